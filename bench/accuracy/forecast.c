/*
 * Does the forecast's 80 % interval hold the truth four times in five?
 *
 * forecast [FLEETS]. For leaks of the generator that were called: a day after the alarm, the limit
 * is put where the memory really is 1, 2, 4 or 7 days later (the mean of the day around it, noise
 * and all), and the forecast is asked when that will be. Prints the coverage by kind of leak and by
 * distance.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "generate.h"
#include "localize/judge.h"

#define HOSTS 10u
#define HOUR_NS UINT64_C(3600000000000)

static const size_t distances[] = {24, 48, 96, 168};

struct tally {
	size_t asked, held, early, late; /* the truth: within, after and before the interval */
};

static struct tally tallies[LEAK_MAX_][4];

static double mean_around(const struct entity_series *e, size_t n, size_t hour)
{
	double sum = 0, k = 0;

	for (size_t i = hour - 12; i < hour + 12 && i < n; i++) {
		if (!isnan(e->bytes[i])) {
			sum += e->bytes[i];
			k++;
		}
	}
	return k > 12 ? sum / k : NAN;
}

/* Also false where it starts anew in between: that is no way to a limit. */
static bool can_ask(const struct group *g, const struct entity_series *e, size_t now, size_t then)
{
	return then + 12 < g->n && e->generation[now] == e->generation[then + 11];
}

static void ask(const struct track *t, const struct group *g, const struct entity_series *e,
	size_t now, enum leak l)
{
	for (size_t d = 0; d < 4; d++) {
		struct tally *y = &tallies[l][d];
		struct detection v;
		double limit;

		if (!can_ask(g, e, now, now + distances[d]))
			continue;
		limit = mean_around(e, g->n, now + distances[d]);
		judge_track(t, &track_rules_default, (now + 1) * HOUR_NS, HOUR_NS, limit, &v);
		if (isnan(limit) || v.verdict != DETECTION_LEAK || !v.forecast.known ||
			limit <= v.size_bytes)
			continue;
		y->asked++;
		y->early += (double)distances[d] > v.forecast.hours_hi;
		y->late += (double)distances[d] < v.forecast.hours_lo;
		y->held += (double)distances[d] >= v.forecast.hours_lo &&
			(double)distances[d] <= v.forecast.hours_hi;
	}
}

static void run(const struct group *g, enum leak l)
{
	struct track t[HOSTS];
	size_t asked_at[HOSTS];
	struct norm norm;

	norm_init(&norm);
	for (size_t e = 0; e < HOSTS; e++) {
		track_init(&t[e]);
		asked_at[e] = SIZE_MAX;
	}
	for (size_t i = 0; i < g->n; i++) {
		for (size_t e = 0; e < HOSTS; e++) {
			const struct entity_series *s = &g->entity[e];

			if (i > 0 && s->generation[i] != s->generation[i - 1])
				track_restart(&t[e], &track_rules_default, &norm);
			if (track_add(&t[e], &track_rules_default, &norm, s->bytes[i], s->load[i]) <
				0)
				abort();
			if (s->leaks && i >= s->leak_start && t[e].score >= 1 &&
				asked_at[e] == SIZE_MAX)
				asked_at[e] = i + 24;
			if (i == asked_at[e])
				ask(&t[e], g, s, i, l);
		}
	}
	for (size_t e = 0; e < HOSTS; e++)
		track_done(&t[e]);
}

static void print(const char *name, const struct tally *y)
{
	if (y->asked)
		printf("%-12s %6zu %8.1f %% %8.1f %% %8.1f %%\n", name, y->asked,
			100. * (double)y->held / (double)y->asked,
			100. * (double)y->early / (double)y->asked,
			100. * (double)y->late / (double)y->asked);
}

int main(int argc, char **argv)
{
	size_t fleets = argc > 1 ? (size_t)atoi(argv[1]) : 20, oracle[HOSTS];
	struct tally all = {0};

	for (unsigned b = 0; b < BEHAVIOUR_MAX_; b++) {
		for (unsigned l = 0; l < LEAK_MAX_; l++) {
			for (size_t f = 0; f < fleets; f++) {
				struct plan p = plan_draw(
					1000 + f, (enum behaviour)b, (enum leak)l, true, HOSTS);
				struct group g;

				generate(&p, 3.09, &g, oracle, NULL);
				run(&g, (enum leak)l);
				group_done(&g);
			}
		}
	}
	printf("%-12s %6s %10s %10s %10s\n", "leak", "asked", "held", "later", "sooner");
	for (unsigned l = 0; l < LEAK_MAX_; l++) {
		struct tally sum = {0};

		for (unsigned d = 0; d < 4; d++) {
			sum.asked += tallies[l][d].asked;
			sum.held += tallies[l][d].held;
			sum.early += tallies[l][d].early;
			sum.late += tallies[l][d].late;
		}
		print(leak_names[l], &sum);
		all.asked += sum.asked;
		all.held += sum.held;
		all.early += sum.early;
		all.late += sum.late;
	}
	for (unsigned d = 0; d < 4; d++) {
		struct tally sum = {0};
		char name[16];

		for (unsigned l = 0; l < LEAK_MAX_; l++) {
			sum.asked += tallies[l][d].asked;
			sum.held += tallies[l][d].held;
			sum.early += tallies[l][d].early;
			sum.late += tallies[l][d].late;
		}
		snprintf(name, sizeof(name), "in %zu h", distances[d]);
		print(name, &sum);
	}
	print("all", &all);
	return 0;
}
