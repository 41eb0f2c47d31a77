/*
 * What the goals for recall and delay ask of anybody who also keeps the goal for false alarms.
 *
 * bound [FLEETS]. The oracle of the goals calls a leak with 99.9 %, z = 3.09, and looks once. Who
 * looks every hour and may be wrong once in 10,000 weeks needs more, even if he knows the noise,
 * the healthy behaviour and the leak's shape as the oracle does. Prints, for the held-out
 * behaviours and leaks, how many of the oracle's leaks an oracle with a higher z can call before
 * the data ends, and its delay over that of the goals' oracle.
 */
#include <stdio.h>
#include <stdlib.h>

#include "generate.h"

#define HOSTS 10u
#define GOAL_Z 3.09
#define MAX_LEAKS 65536u

static const double levels[] = {3.09, 4.0, 4.75, 5.5, 6.0, 7.0};
#define LEVELS (sizeof(levels) / sizeof(levels[0]))

struct tally {
	size_t callable, called;
	double ratio[MAX_LEAKS];
};

static struct tally tallies[LEVELS];

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void count(const struct group *g, const size_t *goal, const size_t *at, struct tally *t)
{
	for (size_t e = 0; e < g->n_entities && t->callable < MAX_LEAKS; e++) {
		size_t start = g->entity[e].leak_start;

		if (goal[e] == SIZE_MAX)
			continue;
		t->ratio[t->callable++] = at[e] == SIZE_MAX
			? 1e9
			: (double)(at[e] + 1 - start) / (double)(goal[e] + 1 - start);
		t->called += at[e] != SIZE_MAX;
	}
}

static void one_fleet(const struct plan *p)
{
	size_t goal[HOSTS], at[HOSTS];
	struct group g;

	generate(p, GOAL_Z, &g, goal, NULL);
	for (size_t i = 0; i < LEVELS; i++) {
		struct group again;

		generate(p, levels[i], &again, at, NULL);
		count(&g, goal, at, &tallies[i]);
		group_done(&again);
	}
	group_done(&g);
}

int main(int argc, char **argv)
{
	size_t fleets = argc > 1 ? (size_t)atoi(argv[1]) : 40;
	uint64_t seed = 20261121;

	for (unsigned b = 0; b < BEHAVIOUR_MAX_; b++)
		for (unsigned l = 0; l < LEAK_MAX_; l++)
			for (size_t i = 0; i < fleets && behaviour_held[b] && leak_held[l]; i++) {
				struct plan p = plan_draw(
					draw(&seed), (enum behaviour)b, (enum leak)l, true, HOSTS);

				one_fleet(&p);
			}
	printf("%6s %9s %8s %14s %8s\n", "z", "callable", "recall", "delay, median", "p90");
	for (size_t i = 0; i < LEVELS; i++) {
		struct tally *t = &tallies[i];
		size_t n = t->callable;

		qsort(t->ratio, n, sizeof(*t->ratio), by_value);
		printf("%6.2f %9zu %6.1f %% %14.2f ", levels[i], n,
			n ? 100. * (double)t->called / (double)n : 0., n ? t->ratio[n / 2] : 0.);
		if (n && t->ratio[n * 9 / 10] < 1e9)
			printf("%8.2f\n", t->ratio[n * 9 / 10]);
		else
			printf("%8s\n", "never");
	}
	return 0;
}
