/*
 * How many entity-weeks of hourly points does localize judge in a second on one core?
 *
 * localize-speed [FLEETS]. The series are made before the clock starts: the bench's own mix of
 * healthy behaviours, a tenth of the entities leaking. Prints the best and the median of 5 rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "generate.h"
#include "ours.h"

#define HOSTS 20u
#define ROUNDS 5u

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	size_t fleets = argc > 1 ? (size_t)atoi(argv[1]) : 60;
	struct group *g = calloc(fleets, sizeof(*g));
	size_t oracle[HOSTS], mild[HOSTS], hours = 0;
	double took[ROUNDS], weeks = 0;
	float *score;

	if (!g)
		return 2;
	for (size_t i = 0; i < fleets; i++) {
		struct plan p = plan_draw(i + 1, (enum behaviour)(i % BEHAVIOUR_MAX_), LEAK_STEADY,
			i % 10 == 0, HOSTS);

		generate(&p, 3.09, &g[i], oracle, mild);
		hours = g[i].n;
		weeks += (double)(g[i].n * g[i].n_entities) / 168;
	}
	score = malloc(HOSTS * hours * sizeof(*score));
	if (!score)
		return 2;
	for (unsigned r = 0; r < ROUNDS; r++) {
		double start = seconds();

		for (size_t i = 0; i < fleets; i++)
			ours_run(&g[i], g[i].n, score);
		took[r] = seconds() - start;
	}
	qsort(took, ROUNDS, sizeof(*took), by_value);
	printf("localize: %.0f entity-weeks per second and core at best, %.0f median of %u rounds "
	       "(%.0f entity-weeks)\n",
		weeks / took[0], weeks / took[ROUNDS / 2], ROUNDS, weeks);
	for (size_t i = 0; i < fleets; i++)
		group_done(&g[i]);
	free(g);
	free(score);
	return 0;
}
