/*
 * How soon, and how wrongly, the pivot finds what grows.
 *
 *   pivot-detect ramps TRACE.csv [TRIALS]	recorded machines, ramps added to some of them
 *   pivot-detect clean [MONTHS]		made fleets in which nothing grows: false alarms
 *
 * Both print a table; the same seed gives the same table on every machine.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/accuracy/generate.h"
#include "bench/accuracy/trace.h"
#include "pivot/anomaly.h"

#define HOURS TRACE_HOURS
#define RAMP_HOUR TRACE_LEAK_HOUR
#define MONTH_H 720

struct machines {
	size_t n;
	double (*peak)[HOURS]; /* largest share of the limit in the hour; NAN: no reading */
	uint64_t limit_bytes;
};

struct result {
	size_t trials, found;
	double *delay;
};

/* --- rules: the first hour from RAMP_HOUR on in which they alarm; HOURS if they don't ------- */

/* Ours. */
static size_t run_ours(const struct machines *m, size_t *ret_episodes)
{
	static struct anomaly a;
	static struct pivot_row row;
	struct anomaly_verdict v;
	size_t first = HOURS;
	bool was = false;

	anomaly_init(&a);
	*ret_episodes = 0;
	for (size_t h = 0; h < HOURS; h++) {
		memset(&row, 0, sizeof(row));
		for (size_t i = 0; i < m->n; i++)
			if (!isnan(m->peak[i][h]))
				row.hosts[pivot_fine(
					(uint64_t)(m->peak[i][h] * (double)m->limit_bytes))]++;
		if (anomaly_add(&a, 1000 * 24 + h, &row, 0, &v) < 0)
			abort();
		bool is = v.outcome == ANOMALY_ABNORMAL;

		if (is && h >= RAMP_HOUR && first == HOURS)
			first = h;
		*ret_episodes += is && !was;
		was = is;
	}
	return first;
}

/* RESIN's: mu + 3 sigma of the last 72 h, 3 hours running, at least 3 machines. */
static size_t run_resin(const struct machines *m, double width, size_t *ret_episodes)
{
	unsigned n_buckets = (unsigned)lround(1.2 / width);
	size_t first = HOURS;
	unsigned running[64] = {0};
	static double count[64][HOURS];
	bool was = false;

	memset(count, 0, sizeof(count));
	*ret_episodes = 0;
	for (size_t h = 0; h < HOURS; h++) {
		bool is = false;

		for (size_t i = 0; i < m->n; i++)
			for (unsigned b = 0; b < n_buckets; b++)
				count[b][h] += m->peak[i][h] >= b * width;
		for (unsigned b = 1; h >= 72 && b < n_buckets; b++) {
			double sum = 0, sq = 0, mu;

			for (size_t k = h - 72; k < h; k++) {
				sum += count[b][k];
				sq += count[b][k] * count[b][k];
			}
			mu = sum / 72;
			if (count[b][h] >= 3 &&
				count[b][h] > mu + 3 * sqrt(fmax(sq / 72 - mu * mu, 0)))
				running[b]++;
			else
				running[b] = 0;
			is |= running[b] >= 3;
		}
		if (h < RAMP_HOUR)
			continue;
		if (is && first == HOURS)
			first = h;
		*ret_episodes += is && !was;
		was = is;
	}
	return first;
}

static size_t run_rule(unsigned rule, const struct machines *m, size_t *ret_episodes)
{
	static const double width[] = {0, .1, .05, .02};

	return rule == 0 ? run_ours(m, ret_episodes) : run_resin(m, width[rule], ret_episodes);
}

static const char *const rule_names[] = {
	"resin", "resin-pivot 10 %", "resin-pivot 5 %", "resin-pivot 2 %"};
#define N_RULES 4u

/* --- ramps ---------------------------------------------------------------------------------- */

/* The hour's largest reading, of the background times `scale` and the ramp. */
static void peaks(
	const struct group *g, double scale, const bool *leaks, double pct, struct machines *ret)
{
	ret->n = g->n_entities;
	ret->limit_bytes = (uint64_t)g->entity[0].limit_bytes;
	for (size_t e = 0; e < g->n_entities; e++) {
		const struct entity_series *s = &g->entity[e];

		for (size_t h = 0; h < HOURS; h++) {
			double most = NAN;

			for (size_t k = 0; k < TRACE_PER_HOUR; k++) {
				size_t i = h * TRACE_PER_HOUR + k;
				double t = (double)i / TRACE_PER_HOUR - RAMP_HOUR;
				double x = s->bytes[i] / s->limit_bytes * scale;

				if (leaks[e] && t > 0)
					x += t * pct / 100;
				most = fmax(most, x);
			}
			ret->peak[e][h] = most;
		}
	}
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void ramps(const struct group *g, double scale, size_t trials, struct machines *m)
{
	static const double pct[] = {.1, .3};
	static const size_t number[] = {3, 5, 55};
	double *delay = malloc(trials * N_RULES * sizeof(*delay));
	bool *leaks = calloc(g->n_entities, sizeof(*leaks));
	uint64_t seed = 42;

	if (!delay || !leaks)
		abort();
	printf("\nbackground x %.1f, %zu machines; from hour %d\n", scale, g->n_entities,
		RAMP_HOUR);
	printf("%-18s %8s %8s %7s %8s %8s %8s\n", "rule", "%/h", "leaking", "trials", "found",
		"median h", "p90 h");
	peaks(g, scale, leaks, 0, m);
	for (unsigned r = 0; r < N_RULES; r++) {
		size_t episodes;

		run_rule(r, m, &episodes);
		printf("%-18s %8s %8d %7d %8s   %zu false alarms\n", rule_names[r], "-", 0, 1, "",
			episodes);
	}
	for (size_t k = 0; k < 2 * 3; k++) {
		size_t n = number[k % 3] < g->n_entities ? number[k % 3] : g->n_entities;
		size_t times = n == g->n_entities ? 1 : trials, found[N_RULES] = {0};

		for (size_t t = 0; t < times; t++) {
			memset(leaks, 0, g->n_entities * sizeof(*leaks));
			for (size_t i = 0; i < n;) {
				size_t e = draw(&seed) % g->n_entities;

				i += !leaks[e];
				leaks[e] = true;
			}
			peaks(g, scale, leaks, pct[k / 3], m);
			for (unsigned r = 0; r < N_RULES; r++) {
				size_t episodes, h = run_rule(r, m, &episodes);

				if (h < HOURS)
					delay[r * trials + found[r]++] =
						(double)(h + 1 - RAMP_HOUR);
			}
		}
		for (unsigned r = 0; r < N_RULES; r++) {
			double *d = &delay[r * trials];

			qsort(d, found[r], sizeof(*d), by_value);
			printf("%-18s %8.1f %8zu %7zu %7.1f%%", rule_names[r], pct[k / 3], n, times,
				100. * (double)found[r] / (double)times);
			if (found[r])
				printf(" %8.0f %8.0f", d[found[r] / 2], d[found[r] * 9 / 10]);
			putchar('\n');
		}
	}
	free(delay);
	free(leaks);
}

/* --- clean fleets --------------------------------------------------------------------------- */

struct fleet_kind {
	const char *name;
	double spread;	   /* of the hosts' own levels, log */
	double noise, tau; /* of each host, log, and its memory in hours */
	double fast;	   /* independent noise on top */
	double common, common_tau;
	double day, week; /* shape */
};

static const struct fleet_kind kinds[] = {
	{"tight, white noise", .02, .03, 0, 0, 0, 1, 0, 0},
	{"tau 6 h", .05, .05, 6, .01, 0, 1, 0, 0},
	{"tau 24 h", .05, .05, 24, .01, 0, 1, 0, 0},
	{"tau 100 h", .05, .05, 100, .01, 0, 1, 0, 0},
	{"tau 400 h", .05, .05, 400, .01, 0, 1, 0, 0},
	{"wide, tau 48 h", .5, .10, 48, .02, 0, 1, 0, 0},
	{"hosts that never move", .3, 0, 0, .003, 0, 1, 0, 0},
	{"daily shape, tau 12 h", .1, .03, 12, .01, 0, 1, .10, 0},
	{"day and week, tau 12 h", .1, .03, 12, .01, 0, 1, .10, .06},
	{"common load, tau 6 h", .1, .03, 12, .01, .03, 6, .05, 0},
	{"common load, tau 24 h", .1, .03, 12, .01, .03, 24, 0, 0},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static double ar(uint64_t *seed, double *state, double sd, double tau, bool first)
{
	double rho = tau > 0 ? exp(-1 / tau) : 0;

	*state = first ? sd * draw_normal(seed)
		       : rho * *state + sd * sqrt(1 - rho * rho) * draw_normal(seed);
	return *state;
}

/* RESIN's rule on the same counts: buckets of 1, 2 and 4 fine steps (2.2, 4.4 and 9 %). */
#define RESIN_WIDTHS 3
#define RESIN_WINDOW 72

struct resin {
	double ring[RESIN_WINDOW][PIVOT_FINE], sum[PIVOT_FINE], sq[PIVOT_FINE];
	unsigned running[PIVOT_FINE];
	bool alarmed[RESIN_WIDTHS];
};

static void resin_hour(struct resin *r, unsigned h, const struct pivot_row *row)
{
	double above = 0;

	for (unsigned f = PIVOT_FINE; f-- > 1;) {
		double *old = &r->ring[h % RESIN_WINDOW][f];
		double mu = r->sum[f] / RESIN_WINDOW;
		double var = r->sq[f] / RESIN_WINDOW - mu * mu;

		above += row->hosts[f];
		if (h >= RESIN_WINDOW && above >= 3 && above > mu + 3 * sqrt(fmax(var, 0)))
			r->running[f]++;
		else
			r->running[f] = 0;
		for (unsigned w = 0; w < RESIN_WIDTHS; w++)
			r->alarmed[w] |=
				h >= RAMP_HOUR && r->running[f] >= 3 && (f - 1) % (1u << w) == 0;
		r->sum[f] += above - *old;
		r->sq[f] += above * above - *old * *old;
		*old = above;
	}
}

static void clean_month(const struct fleet_kind *k, size_t n, uint64_t seed, size_t *ret_episodes,
	size_t *ret_edges, size_t *resin_alarmed)
{
	static struct resin resin;
	static double level[4096], state[4096];
	static struct anomaly a;
	static struct pivot_row row;
	struct anomaly_verdict v;
	double common = 0, base = 22 + 14 * draw_uniform(&seed);
	unsigned start = (unsigned)(draw(&seed) % 168);
	bool was = false;

	anomaly_init(&a);
	memset(&resin, 0, sizeof(resin));
	for (size_t i = 0; i < n; i++)
		level[i] = base * M_LN2 + k->spread * draw_normal(&seed);
	for (unsigned h = 0; h < MONTH_H; h++) {
		double phase = 2 * M_PI * ((h + start) % 24) / 24;
		bool weekend = (h + start) / 24 % 7 >= 5;
		double shape = k->day * sin(phase) - k->week * weekend;

		ar(&seed, &common, k->common, k->common_tau, h == 0);
		memset(&row, 0, sizeof(row));
		for (size_t i = 0; i < n; i++) {
			double x = level[i] + shape + common + k->fast * draw_normal(&seed) +
				ar(&seed, &state[i], k->noise, k->tau, h == 0);

			row.hosts[pivot_fine((uint64_t)exp(x))]++;
		}
		resin_hour(&resin, h, &row);
		if (anomaly_add(&a, 168 * 100 + start + h, &row, 0, &v) < 0)
			abort();
		bool is = v.outcome == ANOMALY_ABNORMAL;

		*ret_episodes += is && !was;
		was = is;
	}
	*ret_edges += a.n_edges;
	for (unsigned w = 0; w < RESIN_WIDTHS; w++)
		resin_alarmed[w] += resin.alarmed[w];
}

static void clean(size_t months)
{
	static const size_t sizes[] = {20, 55, 200, 1000};
	size_t all = 0, alarmed = 0, series = 0, resin_all[RESIN_WIDTHS] = {0};

	printf("\nclean fleets of 20, 55, 200, 1000 hosts, 30 days each; component-months with an "
	       "alarm\n");
	printf("%-24s %7s %8s %8s %12s   %s\n", "kind", "months", "alarmed", "share", "by size",
		"resin-pivot with buckets of 9, 4.4, 2.2 %");
	for (size_t k = 0; k < N_KINDS; k++) {
		size_t bad = 0, each = months / N_KINDS + 1, by[4] = {0};
		size_t resin[RESIN_WIDTHS] = {0};

		for (size_t t = 0; t < each; t++) {
			size_t here = 0, s = t % 4;

			clean_month(&kinds[k], sizes[s], 1000 * k + t + 1, &here, &series, resin);
			bad += here > 0;
			by[s] += here > 0;
		}
		printf("%-24s %7zu %8zu %7.2f%% %3zu%3zu%3zu%3zu  ", kinds[k].name, each, bad,
			100. * (double)bad / (double)each, by[0], by[1], by[2], by[3]);
		for (unsigned w = RESIN_WIDTHS; w-- > 0; resin_all[w] += resin[w])
			printf(" %6.1f%%", 100. * (double)resin[w] / (double)each);
		putchar('\n');
		fflush(stdout);
		all += each;
		alarmed += bad;
	}
	printf("%-24s %7zu %8zu %7.2f%% %12s  ", "all", all, alarmed,
		100. * (double)alarmed / (double)all, "");
	for (unsigned w = RESIN_WIDTHS; w-- > 0;)
		printf(" %6.1f%%", 100. * (double)resin_all[w] / (double)all);
	printf("\n%zu bucket series\n", series);
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "ramps")) {
		static struct entity_series entity[TRACE_MACHINES_MAX];
		struct group g = {.step_s = TRACE_STEP_S, .n = TRACE_STEPS, .entity = entity};
		size_t trials = argc > 3 ? strtoul(argv[3], NULL, 10) : 400;
		struct machines m = {0};

		if (!trials || trace_read(argv[2], &g) < 0)
			return 2;
		m.peak = malloc(g.n_entities * sizeof(*m.peak));
		if (!m.peak)
			return 2;
		ramps(&g, .5, trials, &m);
		ramps(&g, 1, trials, &m);
		free(m.peak);
		for (size_t e = 0; e < g.n_entities; e++)
			free(entity[e].bytes);
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "clean")) {
		clean(argc > 2 ? strtoul(argv[2], NULL, 10) : 2200);
		return 0;
	}
	fputs("usage: pivot-detect ramps TRACE.csv [TRIALS] | clean [MONTHS]\n", stderr);
	return 2;
}
