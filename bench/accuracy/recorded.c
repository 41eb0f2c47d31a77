#include "recorded.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alarms.h"
#include "ours.h"
#include "recording.h"
#include "sheet.h"
#include "study.h"

struct judged {
	struct outcome outcome[STUDY_DETECTORS][SETTINGS];
	size_t first_false; /* hour of ours; of the end where there is none */
};

struct recorded {
	struct recording of;
	struct judged judged[RECORDING_SERIES];
	size_t detectors;
	float threshold[STUDY_DETECTORS][SETTINGS];
};

static void *get(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

static struct entity_series *entity_of(const struct recorded *r, size_t i)
{
	return recording_of(&r->of, &r->of.series[i]);
}

/* --- running -------------------------------------------------------------------------------- */

static void run_detector(struct recorded *r, size_t d, enum setting t, struct ladder *ladder)
{
	const struct peer *p = study_detector(d);
	float *score = NULL;

	/* The subjects of a group come one after the other. */
	for (size_t i = 0; i < r->of.n_series; i++) {
		struct recorded_series *s = &r->of.series[i];
		size_t hours = r->of.group[s->group].n, start = entity_of(r, i)->leak_start;

		if (!s->entity) {
			free(score);
			score = get(r->of.group[s->group].n_entities * hours, sizeof(*score));
			p->run(&r->of.group[s->group], hours, score);
		}
		float *mine = score + s->entity * hours;

		r->judged[i].outcome[d][t] =
			alarms_judge(mine, hours, p->train_hours, start, r->threshold[d][t]);
		if (t == SETTING_PUBLISHED)
			ladder_count(ladder, mine, p->train_hours, start);
		for (size_t h = 0; !d && h <= start; h++) {
			r->judged[i].first_false = h;
			if (h == start || mine[h] >= r->threshold[d][t])
				break;
		}
	}
	free(score);
}

struct recorded *recorded_run(const char *folder)
{
	struct recorded *r = get(1, sizeof(*r));
	long alarms = 0;

	if (recording_read(folder, &r->of) < 0) {
		free(r);
		return NULL;
	}
	r->detectors = n_peers + 1;
	for (size_t d = 0; d < r->detectors; d++) {
		struct ladder *ladder = get(1, sizeof(*ladder));

		r->threshold[d][SETTING_PUBLISHED] = (float)study_detector(d)->published;
		run_detector(r, d, SETTING_PUBLISHED, ladder);
		for (size_t i = 0; !d && i < r->of.n_series; i++)
			alarms += r->judged[i].outcome[0][SETTING_PUBLISHED].alarms;
		r->threshold[d][SETTING_MATCHED] =
			d ? ladder_match(ladder, 1, 1, alarms) : (float)ours.published;
		run_detector(r, d, SETTING_MATCHED, ladder);
		free(ladder);
	}
	return r;
}

void recorded_free(struct recorded *r)
{
	if (r)
		recording_done(&r->of);
	free(r);
}

/* --- the tables ------------------------------------------------------------------------------- */

/* Which series a figure is about: a program's, or one of these. */
#define ALL_TUNING RECORDING_PROGRAMS
#define ALL_HELD (RECORDING_PROGRAMS + 1u)
#define ALL (RECORDING_PROGRAMS + 2u)

struct figures {
	size_t series, leaks, found, alarms;
	double weeks, median; /* clean weeks; delay in hours, missed leaks infinite */
};

static int upwards(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct figures figures_of(const struct recorded *r, size_t which, size_t d, enum setting t)
{
	double delay[RECORDING_SERIES];
	struct figures f = {.median = NAN};

	for (size_t i = 0; i < r->of.n_series; i++) {
		const struct recorded_series *s = &r->of.series[i];
		const struct outcome *o = &r->judged[i].outcome[d][t];
		bool held = r->of.program[s->program].held;

		if (which < RECORDING_PROGRAMS ? s->program != which
					       : which != ALL && held != (which == ALL_HELD))
			continue;
		f.series++;
		f.alarms += o->alarms;
		f.weeks += (double)entity_of(r, i)->leak_start / 168;
		if (!entity_of(r, i)->leaks)
			continue;
		delay[f.leaks++] = o->delay ? o->delay : INFINITY;
		f.found += o->delay > 0;
	}
	qsort(delay, f.leaks, sizeof(*delay), upwards);
	if (f.leaks)
		f.median = (delay[(f.leaks - 1) / 2] + delay[f.leaks / 2]) / 2;
	return f;
}

static const char *name_of(const struct recorded *r, size_t which)
{
	return which < RECORDING_PROGRAMS ? r->of.program[which].name
		: which == ALL		  ? "all"
		: which == ALL_HELD	  ? "all held out"
					  : "all for tuning";
}

static void report_ours(const struct recorded *r, FILE *f)
{
	struct sheet h;

	fputs("#### resin by program\n\n", f);
	sheet_init(&h, "program|held out|series|clean weeks|false alarms|leaks|found|median delay");
	for (size_t w = 0; w <= ALL; w++) {
		struct figures x;

		if (w >= r->of.programs && w < RECORDING_PROGRAMS)
			continue;
		x = figures_of(r, w, 0, SETTING_PUBLISHED);
		sheet_add(&h, "%s", name_of(r, w));
		sheet_add(&h, "%s",
			w >= RECORDING_PROGRAMS		? ""
				: r->of.program[w].held ? "yes"
							: "no");
		sheet_add(&h, "%zu", x.series);
		sheet_number(&h, x.weeks, 1);
		sheet_add(&h, "%zu", x.alarms);
		sheet_add(&h, "%zu", x.leaks);
		sheet_add(&h, "%zu", x.found);
		sheet_number(&h, x.median, 0);
	}
	sheet_print(&h, f);
}

static void report_setting(const struct recorded *r, enum setting t, FILE *f)
{
	char head[512];
	struct sheet h;
	int at;

	fprintf(f, "#### Recorded programs, %s\n\n",
		t == SETTING_PUBLISHED ? "published settings"
				       : "as many false alarms in all as resin, or nearly");
	at = snprintf(head, sizeof(head), "detector|threshold");
	for (size_t w = 0; w <= ALL; w++)
		if (w < r->of.programs || w >= RECORDING_PROGRAMS)
			at += snprintf(head + at, sizeof(head) - (size_t)at, "|%s", name_of(r, w));
	sheet_init(&h, head);
	for (size_t d = 0; d < r->detectors; d++) {
		sheet_add(&h, "%s", study_detector(d)->name);
		if (r->threshold[d][t] < -1e38f)
			sheet_add(&h, "any");
		else
			sheet_add(&h, "%.4g", (double)r->threshold[d][t]);
		for (size_t w = 0; w <= ALL; w++) {
			struct figures x;

			if (w >= r->of.programs && w < RECORDING_PROGRAMS)
				continue;
			x = figures_of(r, w, d, t);
			if (isfinite(x.median))
				sheet_add(&h, "%zu; %zu/%zu %.0f h", x.alarms, x.found, x.leaks,
					x.median);
			else
				sheet_add(&h, "%zu; %zu/%zu -", x.alarms, x.found, x.leaks);
		}
	}
	sheet_print(&h, f);
}

/* Percent of what it was before the leak. */
static double percent_a_day(const struct entity_series *e, double bytes_per_hour)
{
	double sum = 0, n = 0;

	for (size_t h = e->leak_start < 24 ? 0 : e->leak_start - 24; h < e->leak_start; h++) {
		sum += isnan(e->bytes[h]) ? 0 : e->bytes[h];
		n += !isnan(e->bytes[h]);
	}
	return 2400 * bytes_per_hour / (sum / n);
}

static void report_series(const struct recorded *r, size_t program, FILE *f)
{
	struct sheet h;

	fprintf(f, "#### resin and each series of %s\n\n", r->of.program[program].name);
	sheet_init(&h, "series|leaks from hour|%/day|grew %/day|false alarms|the first|delay");
	for (size_t i = 0; i < r->of.n_series; i++) {
		const struct recorded_series *s = &r->of.series[i];
		const struct entity_series *e = entity_of(r, i);
		const struct outcome *o = &r->judged[i].outcome[0][SETTING_PUBLISHED];

		if (s->program != program)
			continue;
		sheet_add(&h, "%s/%s", s->component, e->host);
		sheet_number(&h, e->leaks ? (double)e->leak_start : NAN, 0);
		sheet_number(&h, e->leaks ? percent_a_day(e, s->bytes_per_hour) : NAN, 1);
		sheet_number(&h, e->leaks ? percent_a_day(e, s->grown_per_hour) : NAN, 1);
		sheet_add(&h, "%u", o->alarms);
		sheet_number(&h, o->alarms ? (double)r->judged[i].first_false : NAN, 0);
		sheet_number(&h, !e->leaks ? NAN : o->delay ? o->delay : INFINITY, 0);
	}
	sheet_print(&h, f);
}

static void report_wrong(const struct recorded *r, FILE *f)
{
	bool any = false;

	fputs("#### What resin gets wrong in them\n\n", f);
	for (size_t i = 0; i < r->of.n_series; i++) {
		const struct recorded_series *s = &r->of.series[i];
		const struct entity_series *e = entity_of(r, i);
		const struct outcome *o = &r->judged[i].outcome[0][SETTING_PUBLISHED];

		any = any || o->alarms || (e->leaks && !o->delay);
		if (o->alarms)
			fprintf(f, "- %u false, from hour %zu on: %s/%s (%s)\n", o->alarms,
				r->judged[i].first_false, s->component, e->host, s->how);
		if (!e->leaks || o->delay)
			continue;
		fprintf(f, "- missed, %.1f %% a day from hour %zu on",
			percent_a_day(e, s->bytes_per_hour), e->leak_start);
		if (!isnan(s->grown_per_hour))
			fprintf(f, ", which made it grow by %.1f %%",
				percent_a_day(e, s->grown_per_hour));
		fprintf(f, ": %s/%s (%s)\n", s->component, e->host, s->how);
	}
	fputs(any ? "\n" : "Nothing.\n\n", f);
}

/* No more false alarms, no fewer leaks, no later, and not the same. */
static bool is_better(const struct recorded *r, size_t d, size_t program)
{
	struct figures a = figures_of(r, program, d, SETTING_MATCHED);
	struct figures b = figures_of(r, program, 0, SETTING_MATCHED);

	return a.alarms <= b.alarms && a.found >= b.found && !(a.median > b.median) &&
		(a.alarms < b.alarms || a.found > b.found || a.median < b.median);
}

static void tell_goals(const struct recorded *r, FILE *f, struct recorded_result *ret)
{
	*ret = (struct recorded_result){0};
	for (size_t k = 0; k < 2; k++) {
		struct figures x = figures_of(r, k ? ALL_HELD : ALL, 0, SETTING_PUBLISHED);

		ret->leaks[k] = x.leaks;
		ret->found[k] = x.found;
		ret->false_alarms[k] = x.alarms;
		ret->clean_weeks[k] = x.weeks;
	}
	fputs("Better than resin in a program there, in no figure worse:", f);
	for (size_t d = 1; d < r->detectors; d++) {
		for (size_t p = 0; p < r->of.programs; p++) {
			ret->compared++;
			if (!is_better(r, d, p))
				continue;
			fprintf(f, "%s %s (%s)", ret->better ? "," : "", study_detector(d)->name,
				r->of.program[p].name);
			ret->better++;
		}
	}
	fprintf(f, "%s.\n\n", ret->better ? "" : " none");
}

void recorded_report(const struct recorded *r, bool series, FILE *f, struct recorded_result *ret)
{
	fprintf(f,
		"%zu series of %zu real programs under a load that looks like life, recorded at high\n"
		"speed (`bench/accuracy/recorded`). Every alarm is counted, alarms less than %u\n"
		"hours apart as one; a false one is of a series without a leak, or before its\n"
		"leak. Delays are in hours from the leak's start, missed leaks infinite. With so\n"
		"few series these are cases, not rates.\n\n",
		r->of.n_series, r->of.programs, ALARMS_MERGE_HOURS);
	report_ours(r, f);
	for (size_t p = 0; series && p < r->of.programs; p++)
		report_series(r, p, f);
	report_wrong(r, f);
	fputs("Below: false alarms; leaks found of those there are, and the median delay. *any*:\n"
	      "whatever it says is an alarm.\n\n",
		f);
	for (enum setting t = SETTING_PUBLISHED; t < SETTINGS; t++)
		report_setting(r, t, f);
	tell_goals(r, f, ret);
}
