#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "interval.h"
#include "sheet.h"

#define ALL BEHAVIOUR_MAX_ /* the class of everything */
#define CLASSES (BEHAVIOUR_MAX_ + 1)

static void *get(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

/* --- all detectors, weighted ------------------------------------------------------------------ */

enum measure { FALSE_PER_1000, RECALL, MEDIAN, P90, MEASURES };

/* The callable leaks of one class, the earliest found first. */
struct ranking {
	uint32_t *subject;
	float *ratio;
	size_t n;
};

/* What one detector at one setting did, in the order in which a resampling needs it. */
struct record {
	uint32_t *alarmed; /* subjects with false alarms */
	size_t n_alarmed;
	struct ranking rank[ORACLES][CLASSES];
};

struct comparison {
	const struct study *s;
	struct record record[STUDY_DETECTORS][SETTINGS];
	double point[STUDY_DETECTORS][SETTINGS][ORACLES][CLASSES][MEASURES];
	float *drawn; /* likewise, with the number of the resample before the rest */
	uint8_t *class;
	uint16_t *weight; /* by subject */
};

struct ranked {
	float ratio;
	uint32_t subject;
	uint8_t class;
};

static int by_class_and_ratio(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->class != y->class)
		return (x->class > y->class) - (x->class < y->class);
	if (x->ratio < y->ratio || x->ratio > y->ratio)
		return x->ratio > y->ratio ? 1 : -1;
	return (x->subject > y->subject) - (x->subject < y->subject);
}

static void record_make(struct comparison *c, size_t d, enum setting t)
{
	const struct study *s = c->s;
	struct record *r = &c->record[d][t];
	struct ranked *all = get(2 * s->subjects, sizeof(*all));

	r->alarmed = get(s->subjects, sizeof(*r->alarmed));
	for (uint32_t i = 0; i < s->subjects; i++)
		if (study_outcome(s, i, d, t)->alarms)
			r->alarmed[r->n_alarmed++] = i;
	for (size_t o = 0; o < ORACLES; o++) {
		size_t n = 0;

		for (uint32_t i = 0; i < s->subjects; i++) {
			if (!s->subject[i].leaks || !s->subject[i].oracle[o])
				continue;
			all[n] = (struct ranked){(float)study_delay_ratio(s, i, d, t, o), i, ALL};
			all[n + 1] = all[n];
			all[n + 1].class = c->class[i];
			n += 2;
		}
		qsort(all, n, sizeof(*all), by_class_and_ratio);
		for (size_t i = 0, j; i < n; i = j) {
			struct ranking *k = &r->rank[o][all[i].class];

			for (j = i; j < n && all[j].class == all[i].class; j++)
				;
			k->n = j - i;
			k->subject = get(k->n, sizeof(*k->subject));
			k->ratio = get(k->n, sizeof(*k->ratio));
			for (size_t x = 0; x < k->n; x++) {
				k->subject[x] = all[i + x].subject;
				k->ratio[x] = all[i + x].ratio;
			}
		}
	}
	free(all);
}

static void record_done(struct record *r)
{
	free(r->alarmed);
	for (size_t o = 0; o < ORACLES; o++) {
		for (size_t k = 0; k < CLASSES; k++) {
			free(r->rank[o][k].subject);
			free(r->rank[o][k].ratio);
		}
	}
}

static void measure_leaks(const struct ranking *k, const uint16_t *weight, double ret[MEASURES])
{
	uint64_t total = 0, found = 0, sum = 0;

	ret[RECALL] = ret[MEDIAN] = ret[P90] = NAN;
	for (size_t i = 0; i < k->n; i++) {
		total += weight[k->subject[i]];
		if (!isinf(k->ratio[i]))
			found += weight[k->subject[i]];
	}
	if (!total)
		return;
	ret[RECALL] = (double)found / (double)total;
	for (size_t i = 0; i < k->n; i++) {
		sum += weight[k->subject[i]];
		if (isnan(ret[MEDIAN]) && 2 * sum >= total)
			ret[MEDIAN] = (double)k->ratio[i];
		if (10 * sum >= 9 * total) {
			ret[P90] = (double)k->ratio[i];
			break;
		}
	}
}

static void measure(const struct comparison *c, const struct record *r, size_t d, enum setting t,
	const double weeks[CLASSES], double ret[ORACLES][CLASSES][MEASURES])
{
	double alarms[CLASSES] = {0};

	for (size_t i = 0; i < r->n_alarmed; i++) {
		uint32_t v = r->alarmed[i];
		double n = (double)c->weight[v] * study_outcome(c->s, v, d, t)->alarms;

		alarms[c->class[v]] += n;
		alarms[ALL] += n;
	}
	for (size_t o = 0; o < ORACLES; o++) {
		for (size_t k = 0; k < CLASSES; k++) {
			measure_leaks(&r->rank[o][k], c->weight, ret[o][k]);
			ret[o][k][FALSE_PER_1000] = 1000 * alarms[k] / weeks[k];
		}
	}
}

static size_t drawn_at(size_t d, size_t t, size_t o, size_t k, size_t m)
{
	return ((((d * SETTINGS + t) * ORACLES + o) * CLASSES + k) * MEASURES + m) * RESAMPLES;
}

/* Under the present weights; n is the number of the resample, or RESAMPLES for the point. */
static void measure_all(struct comparison *c, size_t n)
{
	double weeks[CLASSES] = {0};

	for (size_t i = 0; i < c->s->subjects; i++) {
		double w = c->weight[i] * (double)c->s->subject[i].clean_weeks;

		weeks[c->class[i]] += w;
		weeks[ALL] += w;
	}
	for (size_t d = 0; d < c->s->detectors; d++) {
		for (size_t t = 0; t < SETTINGS; t++) {
			double v[ORACLES][CLASSES][MEASURES];

			measure(c, &c->record[d][t], d, t, weeks, v);
			if (n == RESAMPLES) {
				memcpy(c->point[d][t], v, sizeof(v));
				continue;
			}
			for (size_t o = 0; o < ORACLES; o++)
				for (size_t k = 0; k < CLASSES; k++)
					for (size_t m = 0; m < MEASURES; m++)
						c->drawn[drawn_at(d, t, o, k, m) + n] =
							(float)v[o][k][m];
		}
	}
}

static void draw_weights(struct comparison *c, uint64_t *state, bool by_fleet)
{
	uint16_t *fleet;

	if (!by_fleet) {
		resample(state, c->weight, c->s->subjects);
		return;
	}
	fleet = get(c->s->fleets, sizeof(*fleet));
	resample(state, fleet, c->s->fleets);
	for (size_t i = 0; i < c->s->subjects; i++)
		c->weight[i] = fleet[c->s->subject[i].fleet];
	free(fleet);
}

struct comparison *comparison_new(const struct study *s, uint64_t seed, bool by_fleet)
{
	struct comparison *c = get(1, sizeof(*c));

	c->s = s;
	c->class = get(s->subjects, sizeof(*c->class));
	c->weight = get(s->subjects, sizeof(*c->weight));
	c->drawn = get(drawn_at(s->detectors, 0, 0, 0, 0), sizeof(*c->drawn));
	for (size_t i = 0; i < s->subjects; i++) {
		c->class[i] = (uint8_t)study_plan_of(s, i)->behaviour;
		c->weight[i] = 1;
	}
	for (size_t d = 0; d < s->detectors; d++)
		for (size_t t = 0; t < SETTINGS; t++)
			record_make(c, d, t);
	measure_all(c, RESAMPLES);
	for (size_t n = 0; n < RESAMPLES; n++) {
		draw_weights(c, &seed, by_fleet);
		measure_all(c, n);
	}
	return c;
}

void comparison_free(struct comparison *c)
{
	for (size_t d = 0; d < c->s->detectors; d++)
		for (size_t t = 0; t < SETTINGS; t++)
			record_done(&c->record[d][t]);
	free(c->drawn);
	free(c->class);
	free(c->weight);
	free(c);
}

/* Of comparator minus ours. */
static struct interval compared(const struct comparison *c, size_t d, enum setting t, enum oracle o,
	size_t class, enum measure m)
{
	const float *theirs = c->drawn + drawn_at(d, t, o, class, m);
	const float *mine = c->drawn + drawn_at(0, t, o, class, m);
	double v[RESAMPLES];
	size_t n = 0;

	for (size_t i = 0; i < RESAMPLES; i++)
		if (!isnan(theirs[i]) && !isnan(mine[i]))
			v[n++] = difference((double)theirs[i], (double)mine[i]);
	return n ? percentiles(v, n) : (struct interval){NAN, NAN};
}

/* --- all detectors, printed --------------------------------------------------------------------
 */

static const char *const setting_names[SETTINGS] = {"published", "matched"};

static void add_interval(struct sheet *h, struct interval i, double scale, int decimals)
{
	char lo[16], hi[16];

	if (isnan(i.lo)) {
		sheet_add(h, "-");
		return;
	}
	snprintf(lo, sizeof(lo), "%+.*f", decimals, scale * i.lo);
	snprintf(hi, sizeof(hi), "%+.*f", decimals, scale * i.hi);
	if (strcmp(lo, hi))
		sheet_add(h, "%s to %s", lo, hi);
	else
		sheet_add(h, "%s", lo);
}

void comparison_report(const struct comparison *c, enum oracle o, enum setting t, FILE *f)
{
	struct sheet h;

	fprintf(f, "#### Everybody at the %s setting, oracle %s\n\n", setting_names[t],
		oracle_names[o]);
	sheet_init(&h,
		"detector|threshold|false per 1,000 weeks|minus ours|recall %|minus ours|"
		"delay median|minus ours|p90|minus ours");
	for (size_t d = 0; d < c->s->detectors; d++) {
		static const struct {
			double scale;
			int decimals;
		} form[MEASURES] = {{1, 2}, {100, 1}, {1, 2}, {1, 2}};

		sheet_add(&h, "%s", study_detector(d)->name);
		/* The lowest possible: whatever it says is an alarm. */
		if (c->s->threshold[d][t] < -1e38f)
			sheet_add(&h, "any");
		else
			sheet_add(&h, "%.4g", (double)c->s->threshold[d][t]);
		for (size_t m = 0; m < MEASURES; m++) {
			sheet_number(
				&h, form[m].scale * c->point[d][t][o][ALL][m], form[m].decimals);
			if (d)
				add_interval(&h, compared(c, d, t, o, ALL, m), form[m].scale,
					form[m].decimals);
			else
				sheet_add(&h, "-");
		}
	}
	sheet_print(&h, f);
}

enum verdict { WORSE, MIXED, SAME, BETTER, VERDICTS };

/* Ours against a comparator within one behaviour. */
static enum verdict verdict_on(
	const struct comparison *c, size_t d, enum setting t, enum oracle o, size_t class)
{
	int false_alarms = beyond_zero(compared(c, d, t, o, class, FALSE_PER_1000));
	int recall = -beyond_zero(compared(c, d, t, o, class, RECALL));
	int delay = beyond_zero(compared(c, d, t, o, class, MEDIAN));
	bool worse = false_alarms < 0 || recall < 0 || delay < 0;
	bool better = false_alarms > 0 || recall > 0 || delay > 0;

	return worse ? (better ? MIXED : WORSE) : better ? BETTER : SAME;
}

void comparison_report_classes(
	const struct comparison *c, enum oracle o, FILE *f, size_t *ret_worse, size_t *ret_mixed)
{
	struct sheet h;

	*ret_worse = *ret_mixed = 0;
	fprintf(f, "#### resin against each comparator by behaviour, oracle %s\n\n",
		oracle_names[o]);
	sheet_init(&h,
		"comparator|published: worse|mixed|same|better|matched: worse|mixed|same|better|"
		"worse in (matched)");
	for (size_t d = 1; d < c->s->detectors; d++) {
		size_t n[SETTINGS][VERDICTS] = {{0}};
		char where[SHEET_CELL] = "";
		size_t more = 0;

		for (size_t t = 0; t < SETTINGS; t++) {
			for (size_t k = 0; k < BEHAVIOUR_MAX_; k++) {
				enum verdict v;
				size_t at = strlen(where);

				if (!study_has(c->s, (int)k, -1))
					continue;
				v = verdict_on(c, d, t, o, k);
				n[t][v]++;
				if (t != SETTING_MATCHED || v != WORSE)
					continue;
				if (at + strlen(behaviour_names[k]) + 8 < sizeof(where))
					snprintf(where + at, sizeof(where) - at, "%s%s",
						at ? " " : "", behaviour_names[k]);
				else
					more++;
			}
		}
		sheet_add(&h, "%s", study_detector(d)->name);
		for (size_t t = 0; t < SETTINGS; t++)
			for (size_t v = 0; v < VERDICTS; v++)
				sheet_add(&h, "%zu", n[t][v]);
		if (more)
			snprintf(where + strlen(where), sizeof(where) - strlen(where), " +%zu",
				more);
		sheet_add(&h, "%s", where[0] ? where : "-");
		*ret_worse += n[SETTING_MATCHED][WORSE];
		*ret_mixed += n[SETTING_MATCHED][MIXED];
	}
	sheet_print(&h, f);
}
