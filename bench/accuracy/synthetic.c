#include "synthetic.h"

#include <math.h>
#include <stdlib.h>

#include "compare.h"
#include "interval.h"
#include "sheet.h"

static void *get(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

/* --- ours, counted ---------------------------------------------------------------------------- */

/* What ours made of some of the entities. */
struct tally {
	double weeks;
	size_t alarms, alarmed; /* false ones; entities that have any */
	size_t callable, found;
	size_t in_time, in_time_found; /* callable, and the series goes on for as long again */
	size_t others, others_found;   /* leaks that the oracle could not call */
	double *ratio;
	double median, p90;
};

struct choice {
	int behaviour, leak;  /* -1: any */
	double rate;	      /* 0: any */
	unsigned least, most; /* hours of the oracle's delay; 0, 0: any */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The least value that at least this share of the sorted v does not exceed. */
static double quantile(const double *v, size_t n, double share)
{
	return n ? v[(size_t)ceil(share * (double)n) - 1] : NAN;
}

static struct tally count(const struct study *s, enum oracle o, struct choice c)
{
	struct tally r = {.weeks = 0};

	r.ratio = get(s->subjects, sizeof(*r.ratio));
	for (size_t i = 0; i < s->subjects; i++) {
		const struct subject *v = &s->subject[i];
		const struct outcome *x = study_outcome(s, i, 0, SETTING_PUBLISHED);
		const struct plan *p = study_plan_of(s, i);

		if ((c.behaviour >= 0 && p->behaviour != (enum behaviour)c.behaviour) ||
			(c.leak >= 0 && p->leak != (enum leak)c.leak) ||
			(c.rate > 0 && (!v->leaks || p->rate < c.rate || p->rate > c.rate)))
			continue;
		r.weeks += (double)v->clean_weeks;
		r.alarms += x->alarms;
		r.alarmed += x->alarms > 0;
		if (!v->leaks)
			continue;
		if (c.most && (v->oracle[o] < c.least || v->oracle[o] > c.most))
			continue;
		if (!v->oracle[o]) {
			r.others++;
			r.others_found += x->delay > 0;
			continue;
		}
		r.ratio[r.callable++] = study_delay_ratio(s, i, 0, SETTING_PUBLISHED, o);
		r.found += x->delay > 0;
		if (v->left >= 2 * v->oracle[o]) {
			r.in_time++;
			r.in_time_found += x->delay > 0;
		}
	}
	qsort(r.ratio, r.callable, sizeof(*r.ratio), by_value);
	r.median = quantile(r.ratio, r.callable, 0.5);
	r.p90 = quantile(r.ratio, r.callable, 0.9);
	free(r.ratio);
	r.ratio = NULL;
	return r;
}

static double share(size_t k, size_t n)
{
	return n ? (double)k / (double)n : NAN;
}

static void add_false_alarms(struct sheet *h, const char *name, const struct tally *t)
{
	struct interval i = poisson(t->alarms);

	sheet_add(h, "%s", name);
	sheet_number(h, t->weeks, 0);
	sheet_add(h, "%zu", t->alarms);
	sheet_add(h, "%zu", t->alarmed);
	sheet_number(h, 1000 * (double)t->alarms / t->weeks, 2);
	sheet_add(h, "%.2f to %.2f", 1000 * i.lo / t->weeks, 1000 * i.hi / t->weeks);
}

static void add_leaks(struct sheet *h, const char *name, const struct tally *t)
{
	struct interval i = wilson(t->found, t->callable);

	sheet_add(h, "%s", name);
	sheet_add(h, "%zu", t->callable);
	sheet_add(h, "%zu", t->found);
	sheet_number(h, 100 * share(t->found, t->callable), 1);
	sheet_add(h, "%.1f to %.1f", 100 * i.lo, 100 * i.hi);
	sheet_number(h, 100 * share(t->in_time_found, t->in_time), 1);
	sheet_number(h, t->median, 2);
	sheet_number(h, t->p90, 2);
	sheet_add(h, "%zu", t->others);
	sheet_add(h, "%zu", t->others_found);
}

static void leaks_head(struct sheet *h, const char *what)
{
	char head[256];

	snprintf(head, sizeof(head),
		"%s|callable|found|recall %%|95 %%|in time %%|delay median|p90|not callable|found",
		what);
	sheet_init(h, head);
}

static void report_false_alarms(const struct study *s, FILE *f)
{
	struct choice all = {.behaviour = -1, .leak = -1};
	struct tally t;
	struct sheet h;

	fputs("#### resin: false alarms by healthy behaviour\n\n", f);
	sheet_init(&h, "behaviour|clean entity-weeks|false alarms|entities|per 1,000 weeks|95 %");
	for (int b = 0; b < BEHAVIOUR_MAX_; b++) {
		if (!study_has(s, b, -1))
			continue;
		t = count(s, ORACLE_NOT_A_STEP, (struct choice){.behaviour = b, .leak = -1});
		add_false_alarms(&h, behaviour_names[b], &t);
	}
	t = count(s, ORACLE_NOT_A_STEP, all);
	add_false_alarms(&h, "all", &t);
	sheet_print(&h, f);
}

/* The next larger rate of a leak; 0: there is none. */
static double rate_after(const struct study *s, double rate)
{
	double next = 0;

	for (size_t i = 0; i < s->fleets; i++) {
		double v = s->fleet[i].plan.rate;

		if (v > rate && (!(next > 0) || v < next))
			next = v;
	}
	return next;
}

static void report_leaks(const struct study *s, enum oracle o, FILE *f)
{
	static const unsigned upto[] = {0, 3, 6, 12, 24, 72, 168, 672};
	struct tally t;
	struct sheet h;

	fprintf(f, "#### resin: leaks, oracle %s\n\n", oracle_names[o]);
	leaks_head(&h, "behaviour");
	for (int b = 0; b < BEHAVIOUR_MAX_; b++) {
		if (!study_has(s, b, -1))
			continue;
		t = count(s, o, (struct choice){.behaviour = b, .leak = -1});
		add_leaks(&h, behaviour_names[b], &t);
	}
	t = count(s, o, (struct choice){.behaviour = -1, .leak = -1});
	add_leaks(&h, "all", &t);
	sheet_print(&h, f);
	leaks_head(&h, "kind of leak");
	for (int l = 0; l < LEAK_MAX_; l++) {
		if (!study_has(s, -1, l))
			continue;
		t = count(s, o, (struct choice){.behaviour = -1, .leak = l});
		add_leaks(&h, leak_names[l], &t);
	}
	sheet_print(&h, f);
	leaks_head(&h, "% of the level a day");
	for (double r = rate_after(s, 0); r > 0; r = rate_after(s, r)) {
		char name[16];

		t = count(s, o, (struct choice){.behaviour = -1, .leak = -1, .rate = r});
		snprintf(name, sizeof(name), "%g", 100 * r);
		add_leaks(&h, name, &t);
	}
	sheet_print(&h, f);
	leaks_head(&h, "oracle's delay, hours");
	for (size_t i = 0; i + 1 < sizeof(upto) / sizeof(upto[0]); i++) {
		char name[32];

		t = count(s, o,
			(struct choice){.behaviour = -1,
				.leak = -1,
				.least = upto[i] + 1,
				.most = upto[i + 1]});
		snprintf(name, sizeof(name), "%u to %u", upto[i] + 1, upto[i + 1]);
		add_leaks(&h, name, &t);
	}
	sheet_print(&h, f);
}

/* Of the entities that alarm in a week in which this share of them leaks. */
static double precision(double prevalence, double recall, double false_per_week)
{
	double good = prevalence * recall, bad = (1 - prevalence) * false_per_week;

	return good + bad > 0 ? good / (good + bad) : NAN;
}

static void report_precision(const struct study *s, FILE *f, struct synthetic_result *ret)
{
	static const double prevalence[] = {0.1, 0.01, 0.001};
	struct sheet h;

	fputs("#### resin: precision\n\n", f);
	sheet_init(&h, "oracle|recall %|false alarms per 1,000 weeks|at 10 %|at 1 %|at 0.1 %");
	for (size_t o = 0; o < ORACLES; o++) {
		struct tally t = count(s, o, (struct choice){.behaviour = -1, .leak = -1});
		double week = (double)t.alarms / t.weeks;

		ret->recall[o] = share(t.found, t.callable);
		ret->delay_median[o] = t.median;
		ret->delay_p90[o] = t.p90;
		ret->false_per_10000 = 1e4 * week;
		ret->false_per_10000_upper = 1e4 * poisson(t.alarms).hi / t.weeks;
		ret->precision[o] = precision(0.01, ret->recall[o], week);
		sheet_add(&h, "%s", oracle_names[o]);
		sheet_number(&h, 100 * ret->recall[o], 1);
		sheet_number(&h, 1000 * week, 2);
		for (size_t i = 0; i < 3; i++)
			sheet_number(&h, 100 * precision(prevalence[i], ret->recall[o], week), 1);
	}
	sheet_print(&h, f);
}

static void report_words(const struct study *s, bool by_fleet, FILE *f)
{
	fprintf(f,
		"%zu components, %zu entities, four weeks each. A false alarm is every alarm on an\n"
		"entity that does not leak, or not yet; alarms at most %u hours apart are one. A leak\n"
		"is found by an alarm that begins after it. Missed leaks are infinitely late: in\n"
		"medians and 90th percentiles, too. Delays are multiples of the oracle's, which knows\n"
		"the noise, the healthy behaviour and the leak's shape and asks for 99.9 %%\n"
		"(z = %.2f), in two readings: the leak can be *told from one step*, or it is\n"
		"significant *against a constant*. \"In time\" is the recall among leaks that go on\n"
		"for as long again as the oracle took. Recall's intervals are Wilson's, those of\n"
		"false alarms Poisson's. \"Minus ours\" is a paired bootstrap over %s, %u\n"
		"resamples, 95 %%. *Matched* is the threshold at which a comparator's false alarms come\n"
		"nearest to resin's. Precision is that of a week in which the given\n"
		"share of entities leaks. Worse, same and better compare false alarms, recall and\n"
		"median delay where the interval leaves out zero; *mixed* is worse in one and better\n"
		"in another.\n\n",
		s->fleets, s->subjects, ALARMS_MERGE_HOURS, STUDY_Z,
		by_fleet ? "components" : "entities", RESAMPLES);
}

void synthetic_report(
	const struct study *s, uint64_t seed, bool by_fleet, FILE *f, struct synthetic_result *ret)
{
	struct comparison *c = comparison_new(s, seed ^ 0x626f6f74, by_fleet);

	*ret = (struct synthetic_result){.false_per_10000 = NAN};
	report_words(s, by_fleet, f);
	report_false_alarms(s, f);
	for (size_t o = 0; o < ORACLES; o++)
		report_leaks(s, o, f);
	report_precision(s, f, ret);
	for (size_t o = 0; o < ORACLES; o++) {
		for (size_t t = 0; t < SETTINGS; t++)
			comparison_report(c, o, t, f);
		comparison_report_classes(c, o, f, &ret->classes_worse[o], &ret->classes_mixed[o]);
	}
	comparison_free(c);
}
