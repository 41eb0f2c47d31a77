#include "curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"
#include "interval.h"
#include "ours.h"
#include "sheet.h"
#include "trace.h"

#define AFTER (TRACE_HOURS - TRACE_LEAK_HOUR)
#define STAIR_HOURS 12
#define SPIKES 3
#define SPIKE_PCT 5

enum shape { SHAPE_NONE, SHAPE_RAMP, SHAPE_STAIR, SHAPE_SPIKE };

/* pct of the limit per hour. The first is what a detector "finds" without any leak. */
static const struct {
	const char *name;
	enum shape shape;
	double pct;
} leaks[] = {
	{"none", SHAPE_NONE, 0},
	{"ramp 1", SHAPE_RAMP, 1},
	{"ramp 0.3", SHAPE_RAMP, 0.3},
	{"ramp 0.1", SHAPE_RAMP, 0.1},
	{"stair 1", SHAPE_STAIR, 1},
	{"stair 0.3", SHAPE_STAIR, 0.3},
	{"stair 0.1", SHAPE_STAIR, 0.1},
	{"spikes", SHAPE_SPIKE, 0},
};
#define LEAKS_N (sizeof(leaks) / sizeof(leaks[0]))

static const size_t budgets[] = {0, 1, 2, 5, 10};
#define BUDGETS_N (sizeof(budgets) / sizeof(budgets[0]))
#define BUDGET_DEFAULT BUDGETS_N /* the published threshold, whatever it costs */

struct curve {
	struct group background, leaky;
	size_t machines, detectors;
	uint64_t seed;
	float *score;	  /* of the detector that is running */
	double *share;	  /* of the leak that is being made, TRACE_STEPS */
	float *worst;	  /* [detector][machine], sorted downwards: highest score without a leak */
	float *best;	  /* [detector][leak][machine][hour of AFTER]: highest score by then */
	uint16_t *starts; /* [leak][machine]: hour of AFTER in which it begins */
};

static const struct peer *detector(size_t d)
{
	return d ? &peers[d - 1] : &ours;
}

/* A rule that looks at the whole group sees one machine leak at a time. */
static bool of_group(const struct peer *p)
{
	return !strncmp(p->name, "resin-", 6);
}

static void *get(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

static float *worst_of(const struct curve *c, size_t d)
{
	return c->worst + d * c->machines;
}

static float *best_of(const struct curve *c, size_t d, size_t leak, size_t machine)
{
	return c->best + ((d * LEAKS_N + leak) * c->machines + machine) * AFTER;
}

/* --- running -------------------------------------------------------------------------------- */

/* Three different hours for each machine, the same ones for every detector. */
static void spike_hours(uint64_t seed, size_t machine, size_t ret[SPIKES])
{
	uint64_t s = seed ^ 0x7370696b65u;

	s = draw(&s) + machine;
	for (size_t i = 0; i < SPIKES;) {
		bool fresh = true;

		ret[i] = draw(&s) % AFTER;
		for (size_t j = 0; j < i; j++)
			fresh = fresh && ret[j] != ret[i];
		i += fresh;
	}
}

/* Fills c->share; returns the hour of AFTER in which the leak begins. */
static size_t make_leak(struct curve *c, size_t leak, size_t machine)
{
	size_t at[SPIKES], first = AFTER;

	spike_hours(c->seed, machine, at);
	for (size_t i = 0; i < SPIKES; i++)
		first = at[i] < first ? at[i] : first;
	for (size_t i = 0; i < TRACE_STEPS; i++) {
		double h = (double)i / TRACE_PER_HOUR - TRACE_LEAK_HOUR, pct = 0;

		switch (leaks[leak].shape) {
		case SHAPE_NONE:
			break;
		case SHAPE_RAMP:
			pct = leaks[leak].pct * h;
			break;
		case SHAPE_STAIR:
			pct = leaks[leak].pct * STAIR_HOURS * floor(h / STAIR_HOURS);
			break;
		case SHAPE_SPIKE:
			for (size_t k = 0; k < SPIKES; k++)
				pct += h >= (double)at[k] ? SPIKE_PCT : 0;
			break;
		}
		c->share[i] = h >= 0 ? pct / 100 : 0;
	}
	return leaks[leak].shape == SHAPE_SPIKE ? first : 0;
}

static void put_leak(struct curve *c, size_t leak, size_t machine)
{
	c->starts[leak * c->machines + machine] = (uint16_t)make_leak(c, leak, machine);
	trace_halve_and_add(
		&c->background.entity[machine], c->leaky.entity[machine].bytes, c->share);
}

static void keep_best(struct curve *c, size_t d, size_t leak, size_t machine)
{
	const struct peer *p = detector(d);
	float *to = best_of(c, d, leak, machine), best = -INFINITY;

	for (size_t h = 0; h < AFTER; h++) {
		float v = c->score[machine * TRACE_HOURS + TRACE_LEAK_HOUR + h];

		/* An alarm before the leak begins is none about it. */
		if (h >= c->starts[leak * c->machines + machine] &&
			TRACE_LEAK_HOUR + h >= p->train_hours)
			best = fmaxf(best, v);
		to[h] = best;
	}
}

static int downwards(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x < y) - (x > y);
}

static void run_detector(struct curve *c, size_t d)
{
	const struct peer *p = detector(d);
	float *worst = worst_of(c, d);

	p->run(&c->background, TRACE_HOURS, c->score);
	for (size_t e = 0; e < c->machines; e++) {
		worst[e] = -INFINITY;
		for (size_t h = TRACE_WARM_HOURS; h < TRACE_HOURS; h++)
			if (h >= p->train_hours)
				worst[e] = fmaxf(worst[e], c->score[e * TRACE_HOURS + h]);
	}
	qsort(worst, c->machines, sizeof(*worst), downwards);
	for (size_t l = 0; l < LEAKS_N; l++) {
		for (size_t e = 0; e < c->machines; e++)
			put_leak(c, of_group(p) ? 0 : l, e);
		if (!of_group(p))
			p->run(&c->leaky, TRACE_HOURS, c->score);
		for (size_t e = 0; e < c->machines; e++) {
			if (of_group(p)) {
				put_leak(c, l, e);
				p->run(&c->leaky, TRACE_HOURS, c->score);
			}
			keep_best(c, d, l, e);
			if (of_group(p))
				put_leak(c, 0, e);
		}
	}
}

struct curve *curve_run(const char *trace_path, uint64_t seed)
{
	struct curve *c = get(1, sizeof(*c));

	c->seed = seed;
	c->background = (struct group){.step_s = TRACE_STEP_S, .n = TRACE_STEPS};
	c->background.entity = get(TRACE_MACHINES_MAX, sizeof(*c->background.entity));
	if (trace_read(trace_path, &c->background) < 0) {
		curve_free(c);
		return NULL;
	}
	c->leaky = c->background;
	c->machines = c->background.n_entities;
	c->detectors = n_peers + 1;
	c->leaky.entity = get(c->machines, sizeof(*c->leaky.entity));
	for (size_t e = 0; e < c->machines; e++) {
		c->leaky.entity[e] = c->background.entity[e];
		c->leaky.entity[e].bytes = get(TRACE_STEPS, sizeof(double));
	}
	c->score = get(c->machines * TRACE_HOURS, sizeof(*c->score));
	c->share = get(TRACE_STEPS, sizeof(*c->share));
	c->worst = get(c->detectors * c->machines, sizeof(*c->worst));
	c->best = get(c->detectors * LEAKS_N * c->machines * AFTER, sizeof(*c->best));
	c->starts = get(LEAKS_N * c->machines, sizeof(*c->starts));
	for (size_t d = 0; d < c->detectors; d++)
		run_detector(c, d);
	return c;
}

void curve_free(struct curve *c)
{
	if (!c)
		return;
	for (size_t e = 0; e < c->background.n_entities; e++) {
		free(c->background.entity[e].bytes);
		if (c->leaky.entity)
			free(c->leaky.entity[e].bytes);
	}
	free(c->background.entity);
	free(c->leaky.entity);
	free(c->score);
	free(c->share);
	free(c->worst);
	free(c->best);
	free(c->starts);
	free(c);
}

/* --- reading -------------------------------------------------------------------------------- */

/* The lowest threshold that falsely alarms no more than this many machines. */
static float threshold_of(const struct curve *c, size_t d, size_t allowed)
{
	return nextafterf(worst_of(c, d)[allowed], INFINITY);
}

static float threshold_at(const struct curve *c, size_t d, size_t budget)
{
	return budget == BUDGET_DEFAULT ? (float)detector(d)->published
					: threshold_of(c, d, budgets[budget]);
}

static size_t alarmed(const struct curve *c, size_t d, float threshold)
{
	size_t n = 0;

	while (n < c->machines && worst_of(c, d)[n] >= threshold)
		n++;
	return n;
}

/* Hours from the leak's start to the end of the alarm's hour; INFINITY: not found. */
static double delay(const struct curve *c, size_t d, size_t leak, size_t machine, float threshold)
{
	const float *best = best_of(c, d, leak, machine);

	for (size_t h = c->starts[leak * c->machines + machine]; h < AFTER; h++)
		if (best[h] >= threshold)
			return (double)(h + 1 - c->starts[leak * c->machines + machine]);
	return INFINITY;
}

struct finding {
	double delay;
	size_t machine;
};

static int sooner(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->delay < y->delay || x->delay > y->delay)
		return x->delay > y->delay ? 1 : -1;
	return (x->machine > y->machine) - (x->machine < y->machine);
}

static void find(const struct curve *c, size_t d, size_t leak, float threshold, struct finding *ret)
{
	for (size_t e = 0; e < c->machines; e++)
		ret[e] = (struct finding){delay(c, d, leak, e, threshold), e};
	qsort(ret, c->machines, sizeof(*ret), sooner);
}

/* Share of the machines whose leak is found, and the median delay, missed ones infinite. */
struct figures {
	double found, median;
};

static struct figures figures_of(const struct finding *f, const uint16_t *weight, size_t n)
{
	struct figures r = {0, INFINITY};
	size_t sum = 0;
	bool half = false;

	for (size_t i = 0; i < n; i++) {
		sum += weight ? weight[f[i].machine] : 1u;
		if (!isinf(f[i].delay))
			r.found = (double)sum / (double)n;
		if (!half && 2 * sum >= n) {
			half = true;
			r.median = f[i].delay;
		}
	}
	return r;
}

/* --- the tables ------------------------------------------------------------------------------- */

/* Everything at one budget: points, and the differences to ours (comparator minus ours). */
struct budget_table {
	struct figures point[LEAKS_N];
	struct interval found[LEAKS_N], median[LEAKS_N];
	struct interval found_all; /* over all kinds of leak */
};

static void compare(const struct curve *c, size_t d, size_t budget, const uint16_t *weights,
	struct budget_table *ret)
{
	size_t n = c->machines;
	struct finding *mine = get(n, sizeof(*mine)), *theirs = get(n, sizeof(*theirs));
	double *found = get(RESAMPLES, sizeof(double)), *median = get(RESAMPLES, sizeof(double));
	double *all = get(RESAMPLES, sizeof(double));

	for (size_t l = 0; l < LEAKS_N; l++) {
		find(c, 0, l, threshold_at(c, 0, budget), mine);
		find(c, d, l, threshold_at(c, d, budget), theirs);
		ret->point[l] = figures_of(theirs, NULL, n);
		for (size_t i = 0; i < RESAMPLES; i++) {
			struct figures a = figures_of(theirs, weights + i * n, n);
			struct figures b = figures_of(mine, weights + i * n, n);

			found[i] = a.found - b.found;
			median[i] = difference(a.median, b.median);
			if (leaks[l].shape != SHAPE_NONE)
				all[i] += found[i] / (LEAKS_N - 1);
		}
		ret->found[l] = percentiles(found, RESAMPLES);
		ret->median[l] = percentiles(median, RESAMPLES);
	}
	ret->found_all = percentiles(all, RESAMPLES);
	free(mine);
	free(theirs);
	free(found);
	free(median);
	free(all);
}

/* Found in percent, median delay; then how ours compares: + better, - worse, for each of both. */
static void add_figures(struct sheet *h, const struct budget_table *t, size_t l, bool marks)
{
	static const char sign[] = {'-', '=', '+'};
	char hours[16] = "-", mark[8] = "";

	if (!isinf(t->point[l].median))
		snprintf(hours, sizeof(hours), "%.0f h", t->point[l].median);
	if (marks)
		snprintf(mark, sizeof(mark), " %c%c", sign[1 - beyond_zero(t->found[l])],
			sign[1 + beyond_zero(t->median[l])]);
	sheet_add(h, "%.0f %% %s%s", 100 * t->point[l].found, hours, mark);
}

static void tell_goals(
	const struct budget_table *mine, const struct budget_table *t, struct curve_result *ret)
{
	for (size_t l = 0; l < LEAKS_N; l++) {
		if (leaks[l].shape == SHAPE_NONE)
			continue;
		ret->compared++;
		ret->less += beyond_zero(t->found[l]) > 0;
		ret->later += beyond_zero(t->median[l]) < 0;
		ret->less_figure += t->point[l].found > mine->point[l].found;
		ret->later_figure += t->point[l].median < mine->point[l].median;
	}
}

static void report_budget(const struct curve *c, size_t budget, const uint16_t *weights, FILE *f,
	struct curve_result *ret)
{
	struct budget_table mine, t;
	struct sheet h;
	char head[512];
	int at;

	if (budget == BUDGET_DEFAULT)
		fputs("#### Recorded background, published settings\n\n", f);
	else
		fprintf(f,
			"#### Recorded background, at most %zu of %zu machines falsely alarmed\n\n",
			budgets[budget], c->machines);
	at = snprintf(head, sizeof(head), "detector|threshold|false");
	for (size_t l = 0; l < LEAKS_N; l++)
		at += snprintf(head + at, sizeof(head) - (size_t)at, "|%s", leaks[l].name);
	snprintf(head + at, sizeof(head) - (size_t)at, "|all leaks minus ours");
	sheet_init(&h, head);
	compare(c, 0, budget, weights, &mine);
	for (size_t d = 0; d < c->detectors; d++) {
		float threshold = threshold_at(c, d, budget);

		compare(c, d, budget, weights, &t);
		sheet_add(&h, "%s", detector(d)->name);
		if (threshold < -1e38f)
			sheet_add(&h, "any");
		else
			sheet_add(&h, "%.4g", (double)threshold);
		sheet_add(&h, "%zu", alarmed(c, d, threshold));
		for (size_t l = 0; l < LEAKS_N; l++)
			add_figures(&h, &t, l, d && leaks[l].shape != SHAPE_NONE);
		if (d)
			sheet_add(&h, "%+.1f to %+.1f %%", 100 * t.found_all.lo,
				100 * t.found_all.hi);
		else
			sheet_add(&h, "-");
		if (d && budget != BUDGET_DEFAULT)
			tell_goals(&mine, &t, ret);
	}
	sheet_print(&h, f);
}

static void report_words(const struct curve *c, FILE *f)
{
	fprintf(f,
		"%zu machines, %d hours. False: machines with an alarm after hour %d of the recording\n"
		"as it is. Leaks: the recording halved, and from hour %d on a *ramp* of so many\n"
		"percent of the limit an hour, a *stair* of the same growth every %d hours, or\n"
		"*spikes*, %d jumps of %d %% at random hours that stay. Cells: leaks found and\n"
		"median delay (missed is infinite, `-`); then resin against it, in leaks found and in\n"
		"delay: + better, = same, - worse by a paired bootstrap over machines (%u resamples,\n"
		"95 %%). \"None\": alarms without a leak. \"All leaks minus ours\": share found. The\n"
		"lowest threshold that keeps to the budget; *any*: whatever it says is an alarm.\n"
		"Rules of groups (resin-*) see one machine leak at a time, all others see all; so does\n"
		"resin, although what it takes for noise is learnt from all of them.\n\n",
		c->machines, TRACE_HOURS, TRACE_WARM_HOURS, TRACE_LEAK_HOUR, STAIR_HOURS, SPIKES,
		SPIKE_PCT, RESAMPLES);
}

void curve_report(struct curve *c, uint64_t seed, FILE *f, struct curve_result *ret)
{
	uint16_t *weights = get(RESAMPLES * c->machines, sizeof(*weights));

	*ret = (struct curve_result){
		.machines = c->machines, .default_alarmed = alarmed(c, 0, (float)ours.published)};
	for (size_t i = 0; i < RESAMPLES; i++)
		resample(&seed, weights + i * c->machines, c->machines);
	report_words(c, f);
	for (size_t b = 0; b <= BUDGET_DEFAULT; b++)
		if (b == BUDGET_DEFAULT || budgets[b] < c->machines)
			report_budget(c, b, weights, f, ret);
	free(weights);
}

void curve_csv(const struct curve *c, FILE *f)
{
	struct finding *x = get(c->machines, sizeof(*x));

	fputs("detector,allowed_machines,alarmed_machines,threshold,leak,found,machines,"
	      "median_delay_hours\n",
		f);
	for (size_t d = 0; d < c->detectors; d++) {
		for (size_t a = 0; a < c->machines; a++) {
			float threshold = threshold_of(c, d, a);

			for (size_t l = 0; l < LEAKS_N; l++) {
				struct figures r;

				find(c, d, l, threshold, x);
				r = figures_of(x, NULL, c->machines);
				fprintf(f, "%s,%zu,%zu,%.9g,%s,%.0f,%zu,", detector(d)->name, a,
					alarmed(c, d, threshold), (double)threshold, leaks[l].name,
					r.found * (double)c->machines, c->machines);
				if (isinf(r.median))
					fputs("\n", f);
				else
					fprintf(f, "%.0f\n", r.median);
			}
		}
	}
	free(x);
}

/* --- the picture ------------------------------------------------------------------------------ */

#define PLOT_X 20 /* machines on the axis */
#define PANEL_W 300
#define PANEL_H 210
#define PANEL_GAP 46
#define PANELS_A_ROW 4

/* Told apart by colour and, because seventeen colours are too many, by dashes. */
static void svg_stroke(FILE *f, size_t d)
{
	static const char *const colour[] = {"#1b6ca8", "#c4501b", "#2e8b57", "#8a4fa3", "#b58900",
		"#5c5c5c", "#c2387d", "#20a0a0"};

	if (!d)
		fputs("stroke=\"#000\" stroke-width=\"3.5\"", f);
	else
		fprintf(f, "stroke=\"%s\" stroke-width=\"1.3\"%s", colour[(d - 1) % 8],
			d > 8 ? " stroke-dasharray=\"5 3\"" : "");
}

/* Percent of the leaks found; the last panel is all kinds together. */
static double found_pct(
	const struct curve *c, size_t d, size_t panel, size_t allowed, struct finding *x)
{
	double sum = 0, n = 0;

	for (size_t l = 1; l < LEAKS_N; l++) {
		if (panel < LEAKS_N && l != panel)
			continue;
		find(c, d, l, threshold_of(c, d, allowed), x);
		sum += figures_of(x, NULL, c->machines).found;
		n++;
	}
	return 100 * sum / n;
}

static void svg_panel(
	const struct curve *c, size_t panel, double left, double top, FILE *f, struct finding *x)
{
	size_t last = c->machines - 1 < PLOT_X ? c->machines - 1 : PLOT_X;

	fprintf(f, "<g transform=\"translate(%.0f %.0f)\">\n", left, top);
	fprintf(f, "<text x=\"0\" y=\"-8\" font-weight=\"bold\">%s%s</text>\n",
		panel < LEAKS_N ? leaks[panel].name : "all leaks",
		panel < LEAKS_N && leaks[panel].pct > 0 ? " % an hour" : "");
	for (int y = 0; y <= 100; y += 25)
		fprintf(f,
			"<path d=\"M0 %.1fH%d\" stroke=\"#ddd\"/>"
			"<text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n",
			PANEL_H * (1 - y / 100.0), PANEL_W, PANEL_H * (1 - y / 100.0) + 4, y);
	for (int v = 0; v <= PLOT_X; v += 5)
		fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n",
			(double)PANEL_W * v / PLOT_X, PANEL_H + 16, v);
	/* Ours last, on top. */
	for (size_t i = c->detectors; i-- > 0;) {
		fputs("<path fill=\"none\" ", f);
		svg_stroke(f, i);
		for (size_t a = 0; a <= last; a++)
			fprintf(f, "%s%.1f %.1f", a ? "L" : " d=\"M",
				(double)PANEL_W * (double)a / PLOT_X,
				PANEL_H * (1 - found_pct(c, i, panel, a, x) / 100));
		fprintf(f, "\"><title>%s</title></path>\n", detector(i)->name);
	}
	fputs("</g>\n", f);
}

void curve_svg(const struct curve *c, FILE *f)
{
	struct finding *x = get(c->machines, sizeof(*x));
	int width = PANELS_A_ROW * (PANEL_W + PANEL_GAP) + PANEL_GAP;
	int rows = ((int)LEAKS_N + PANELS_A_ROW - 1) / PANELS_A_ROW;
	int legend = rows * (PANEL_H + 2 * PANEL_GAP) + PANEL_GAP, height = legend + 80;

	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
		"<text x=\"%d\" y=\"24\" font-size=\"15\">Leaks found (%% of %zu machines) against "
		"machines falsely alarmed</text>\n",
		width, height, width, height, width, height, PANEL_GAP, c->machines);
	for (size_t p = 1; p <= LEAKS_N; p++) {
		size_t i = p - 1;

		svg_panel(c, p, PANEL_GAP + (double)(i % PANELS_A_ROW) * (PANEL_W + PANEL_GAP),
			PANEL_GAP + 20 + (double)(i / PANELS_A_ROW) * (PANEL_H + 2 * PANEL_GAP), f,
			x);
	}
	for (size_t d = 0; d < c->detectors; d++) {
		int left = PANEL_GAP + (int)(d % 6) * 225, top = legend + 20 * (int)(d / 6);

		fputs("<path ", f);
		svg_stroke(f, d);
		fprintf(f, " d=\"M%d %dh30\"/><text x=\"%d\" y=\"%d\">%s</text>\n", left, top,
			left + 36, top + 4, detector(d)->name);
	}
	fputs("</svg>\n", f);
	free(x);
}
