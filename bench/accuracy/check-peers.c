/*
 * Holds the peers against the figures that were measured for their rules on 109 machines.
 *
 * check-peers machines-memory.csv
 *
 * The protocol is that of fleet_peers.md 4.2. What it leaves open was found from its own figures:
 * "2.9 days after 72 h" and "ramp from day 4, 46 h horizon" are both 142 h from the first reading
 * (72 + 70 and 96 + 46), and alarms of a machine at most 12 h apart are one episode. Our data has
 * 55 of its 109 machines, so a figure is also taken as reproduced when drawing 55 of 109 explains
 * the difference. Prints a table; exits 1 if any figure is not reproduced, 2 if it could not try.
 */
#include "peers.h"
#include "trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MERGE_HOURS 12
#define POPULATION 109
#define N_RATES 4

/* Of the limit per hour; 0 is the "base" of the figures: what the rule would find without a leak.
 */
static const double rate_pct[N_RATES] = {1, 0.3, 0.1, 0};

/* NAN: not given. */
struct figures {
	double machines; /* falsely alarmed */
	double episodes; /* per machine-week */
	double found_pct[N_RATES];
	double delay_h[N_RATES]; /* median */
};

static const struct {
	const char *name;
	struct figures f; /* of 109 machines */
} published[] = {
	{"mu+3sigma", {1, 0.02, {100, 38, 2, NAN}, {7, 17, NAN, NAN}}},
	{"coroot", {33, 0.77, {13, 11, 10, 8}, {NAN, NAN, NAN, NAN}}},
	{"predict-4h-24h", {107, 3.7, {100, 1, 0, NAN}, {21, NAN, NAN, NAN}}},
	{"predict-24h-96h", {108, 4.9, {100, 4, 3, NAN}, {14, NAN, NAN, NAN}}},
	{"lbr", {4, 0.11, {100, 69, 3, NAN}, {14, 22, NAN, NAN}}},
	{"mann-kendall", {99, 3.4, {100, 100, 100, 54}, {5, NAN, NAN, NAN}}},
	{"cusum", {24, 0.53, {100, 100, 96, 10}, {8, 16, 25, NAN}}},
	{"day-over-day", {2, 0.04, {87, 65, 30, NAN}, {40, 41, 36, NAN}}},
	{"mann-kendall-72h-minima", {57, 1.45, {100, 100, 95, 38}, {16, NAN, NAN, NAN}}},
	/* papers.md 1.5: 0 of 200 clean leaks; it says nothing at all. */
	{"resin-printed", {0, 0, {0, 0, 0, 0}, {NAN, NAN, NAN, NAN}}},
};

struct range {
	double lo, hi;
};

struct measured {
	struct figures f;
	struct range episodes;	       /* 95 %, for the 109 */
	struct range delay_h[N_RATES]; /* likewise */
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *must(void *p)
{
	if (!p) {
		fputs("check-peers: out of memory\n", stderr);
		exit(2);
	}
	return p;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* --- measuring ---------------------------------------------------------------------------- */

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n ? (v[(n - 1) / 2] + v[n / 2]) / 2 : NAN;
}

/* Hours from the ramp to the end of the first hour with an alarm; NAN for none. */
static double delay(const struct peer *p, const float *score)
{
	for (size_t h = TRACE_LEAK_HOUR; h < TRACE_HOURS; h++)
		if (h >= p->train_hours && score[h] >= p->published)
			return (double)(h + 1 - TRACE_LEAK_HOUR);
	return NAN;
}

static void false_alarms(
	const struct peer *p, const struct group *g, float *score, struct measured *ret)
{
	double sum = 0, sq = 0, weeks = (TRACE_HOURS - TRACE_WARM_HOURS) / 168.0,
	       n = (double)g->n_entities;

	p->run(g, TRACE_HOURS, score);
	for (size_t e = 0; e < g->n_entities; e++) {
		size_t last = 0;
		double k = 0;

		for (size_t h = TRACE_WARM_HOURS; h < TRACE_HOURS; h++) {
			if (h < p->train_hours || !(score[e * TRACE_HOURS + h] >= p->published))
				continue;
			k += !last || h - last > MERGE_HOURS;
			last = h;
		}
		ret->f.machines += k > 0;
		sum += k;
		sq += k * k;
	}
	double sd = sqrt(fmax(sq / n - sum / n * sum / n, 0)), left = fmax(1 - n / POPULATION, 0);
	double half = 1.96 * sd * sqrt(left / n) / weeks;

	ret->f.episodes = sum / n / weeks;
	ret->episodes = (struct range){ret->f.episodes - half, ret->f.episodes + half};
}

/* A rule that looks at the whole group sees one machine leak at a time. */
static bool of_group(const struct peer *p)
{
	return !strncmp(p->name, "resin", 5);
}

static void true_alarms(const struct peer *p, const struct group *g, const struct group *leaky,
	float *score, struct measured *ret)
{
	size_t n = g->n_entities;
	double *d = must(malloc(n * sizeof(*d)));

	for (size_t r = 0; r < N_RATES; r++) {
		size_t k = 0;

		for (size_t e = 0; e < n; e++)
			trace_halve_and_ramp(&g->entity[e], leaky->entity[e].bytes,
				of_group(p) ? 0 : rate_pct[r]);
		if (!of_group(p))
			p->run(leaky, TRACE_HOURS, score);
		for (size_t e = 0; e < n; e++) {
			double *x = leaky->entity[e].bytes;

			if (of_group(p)) {
				trace_halve_and_ramp(&g->entity[e], x, rate_pct[r]);
				p->run(leaky, TRACE_HOURS, score);
				trace_halve_and_ramp(&g->entity[e], x, 0);
			}
			d[k] = delay(p, score + e * TRACE_HOURS);
			k += !isnan(d[k]);
		}
		ret->f.found_pct[r] = 100.0 * (double)k / (double)n;
		ret->f.delay_h[r] = median(d, k);
		if (!k)
			continue;
		/* Interval of the median by order statistics; delays are whole hours on both sides.
		 */
		double left = fmax(1 - (double)n / POPULATION, 0);
		double half = 0.98 * sqrt((double)k * left), mid = (double)(k - 1) / 2;

		ret->delay_h[r].lo = d[(size_t)fmax(floor(mid - half), 0)] - 1;
		ret->delay_h[r].hi = d[(size_t)fmin(ceil(mid + half), (double)(k - 1))] + 1;
	}
	free(d);
}

/* --- judging ------------------------------------------------------------------------------ */

enum verdict { NOT_GIVEN, WITHIN_TENTH, WITHIN_SAMPLING, NOT_REPRODUCED };

static double log_choose(double n, double k)
{
	return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

/* 95 % of the draws of n of 109 of which `marked` are marked have this many marked. */
static struct range hypergeometric(double marked, double n)
{
	struct range r = {-1, -1};
	double sum = 0;

	for (double k = fmax(0, n + marked - POPULATION); k <= fmin(n, marked); k++) {
		sum += exp(log_choose(marked, k) + log_choose(POPULATION - marked, n - k) -
			log_choose(POPULATION, n));
		if (r.lo < 0 && sum > 0.025)
			r.lo = k;
		if (r.hi < 0 && sum >= 0.975)
			r.hi = k;
	}
	return r;
}

static enum verdict judge(double want, double got, bool in_sample)
{
	if (isnan(want))
		return NOT_GIVEN;
	if (fabs(got - want) <= 0.1 * want)
		return WITHIN_TENTH;
	return in_sample ? WITHIN_SAMPLING : NOT_REPRODUCED;
}

/* `marked` of the 109, possibly rounded; got of our n. */
static enum verdict judge_count(double marked, double got, double n)
{
	if (isnan(marked))
		return NOT_GIVEN;
	struct range r = hypergeometric(round(marked), n);

	return judge(marked / POPULATION, got / n, got >= r.lo && got <= r.hi);
}

static bool inside(const struct range *r, double v)
{
	return v >= r->lo && v <= r->hi;
}

struct judgement {
	enum verdict worst;
	char failed[128];
};

static void add(struct judgement *j, enum verdict v, const char *what)
{
	size_t n = strlen(j->failed);

	if (v > j->worst)
		j->worst = v;
	if (v == NOT_REPRODUCED)
		snprintf(j->failed + n, sizeof(j->failed) - n, " %s", what);
}

static void compare(
	const struct figures *want, const struct measured *m, double n, struct judgement *ret)
{
	static const char *const found[] = {"TPR@1", "TPR@0.3", "TPR@0.1", "base"};
	static const char *const late[] = {"delay@1", "delay@0.3", "delay@0.1", "base-delay"};

	add(ret, judge_count(want->machines, m->f.machines, n), "machines");
	/* Where alarms are rare, ours may have none to take a deviation of: their episodes come
	 * with their machines, of which a draw has between r.lo and r.hi. */
	struct range r = hypergeometric(want->machines, n);
	double each = want->machines > 0 ? want->episodes / want->machines * POPULATION / n : 0;
	struct range drawn = {each * r.lo, each * r.hi};

	add(ret,
		judge(want->episodes, m->f.episodes,
			inside(&m->episodes, want->episodes) || inside(&drawn, m->f.episodes)),
		"episodes");
	for (size_t i = 0; i < N_RATES; i++) {
		double marked = want->found_pct[i] / 100 * POPULATION;

		add(ret, judge_count(marked, round(m->f.found_pct[i] / 100 * n), n), found[i]);
		add(ret,
			judge(want->delay_h[i], m->f.delay_h[i],
				inside(&m->delay_h[i], want->delay_h[i])),
			late[i]);
	}
}

static void print_figures(const struct figures *f, double n)
{
	printf("%4.0f/%-4.0f %5.1f %6.2f", f->machines, n, f->machines / n * POPULATION,
		f->episodes);
	for (size_t r = 0; r < N_RATES; r++) {
		char pct[8] = "-", hours[8] = "-";

		if (!isnan(f->found_pct[r]))
			snprintf(pct, sizeof(pct), "%.0f%%", f->found_pct[r]);
		if (!isnan(f->delay_h[r]))
			snprintf(hours, sizeof(hours), "%.0fh", f->delay_h[r]);
		printf("  %5s", pct);
		/* When a rule alarms without a leak is no delay. */
		if (rate_pct[r] > 0)
			printf(" %4s", hours);
	}
}

/* --- cost --------------------------------------------------------------------------------- */

/* Microseconds per entity-hour over four weeks of the recorded machines, repeated. */
static double cost_us(const struct peer *p, const struct group *recorded, uint32_t step_s)
{
	enum { ENTITIES = 40, WEEKS4 = 672 };
	size_t per_hour = 3600 / step_s, stride = step_s / TRACE_STEP_S;
	struct entity_series entity[ENTITIES];
	struct group g = {
		.step_s = step_s, .n = WEEKS4 * per_hour, .entity = entity, .n_entities = ENTITIES};
	float *score = must(malloc(ENTITIES * WEEKS4 * sizeof(*score)));
	double *x = must(malloc(ENTITIES * g.n * sizeof(*x)));

	for (size_t e = 0; e < ENTITIES; e++) {
		const struct entity_series *from = &recorded->entity[e % recorded->n_entities];

		entity[e] = *from;
		entity[e].bytes = x + e * g.n;
		for (size_t i = 0; i < g.n; i++)
			entity[e].bytes[i] = from->bytes[i * stride % TRACE_STEPS];
	}
	double start = seconds();

	p->run(&g, WEEKS4, score);
	double us = (seconds() - start) * 1e6 / (ENTITIES * WEEKS4);

	free(x);
	free(score);
	return us;
}

/* --- */

static bool report(
	const struct peer *p, const struct group *g, const struct group *leaky, float *score)
{
	static const char *const words[] = {"no figure published", "reproduced (10 %)",
		"reproduced (sampling)", "NOT reproduced:"};
	double n = (double)g->n_entities;
	struct measured m = {.f.machines = 0};
	struct judgement j = {.worst = NOT_GIVEN};
	const struct figures *want = NULL;

	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++)
		if (!strcmp(published[i].name, p->name))
			want = &published[i].f;
	false_alarms(p, g, score, &m);
	true_alarms(p, g, leaky, score, &m);
	if (want)
		compare(want, &m, n, &j);
	printf("%-23s ", p->name);
	print_figures(&m.f, n);
	printf("  %6.2f %6.2f  %s%s\n", cost_us(p, g, 3600), cost_us(p, g, TRACE_STEP_S),
		words[j.worst], j.failed);
	if (want) {
		printf("%-23s ", "  published");
		print_figures(want, POPULATION);
		printf("\n");
	}
	fflush(stdout);
	return j.worst != NOT_REPRODUCED;
}

int main(int argc, char **argv)
{
	static struct entity_series machines[TRACE_MACHINES_MAX], halved[TRACE_MACHINES_MAX];
	struct group g = {.step_s = TRACE_STEP_S, .n = TRACE_STEPS, .entity = machines};
	int rc = 0;

	if (argc != 2) {
		fputs("usage: check-peers machines-memory.csv\n", stderr);
		return 2;
	}
	if (trace_read(argv[1], &g) < 0)
		return 2;
	struct group leaky = g;

	leaky.entity = halved;
	memcpy(halved, machines, g.n_entities * sizeof(*halved));
	for (size_t e = 0; e < g.n_entities; e++)
		halved[e].bytes = must(malloc(TRACE_STEPS * sizeof(*halved[e].bytes)));
	float *score = must(malloc(g.n_entities * TRACE_HOURS * sizeof(*score)));

	printf("%-23s %9s %5s %6s  %10s  %10s  %10s  %5s  %6s %6s\n", "", "machines", "/109",
		"ep/mw", "1 %/h", "0.3 %/h", "0.1 %/h", "base", "us/1h", "us/5m");
	for (size_t i = 0; i < n_peers; i++)
		if (!report(&peers[i], &g, &leaky, score))
			rc = 1;
	for (size_t e = 0; e < g.n_entities; e++) {
		free(machines[e].bytes);
		free(halved[e].bytes);
	}
	free(score);
	return rc;
}
