/*
 * The published detectors, re-implemented from their descriptions.
 *
 * Every rule is causal: the score of hour h uses only steps up to the end of hour h. Out of memory
 * aborts: a bench that went on without one of its peers would flatter us.
 */
#include "peers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WARM_HOURS 72
#define DAY 24
#define MIB 1048576.0
#define GIB 1073741824.0
#define WORK(n) (7 * (n) + 64)

/* One entity as the rules see it. The hourly rows are NAN where the hour has no reading. */
struct series {
	const double *x; /* per step */
	size_t n, hours;
	size_t per_hour; /* steps */
	double limit;
	double *mean, *min, *max; /* per hour */
	double *work;		  /* scratch for the rule, WORK(n) */
};

typedef void rule_fn(const struct series *s, float *out);

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Median of v, which it sorts; NAN when empty. */
static double median(double *v, size_t n)
{
	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void silence(float *out, size_t from, size_t to)
{
	for (size_t h = from; h < to; h++)
		out[h] = -INFINITY;
}

static void hourly_fill(struct series *s)
{
	for (size_t h = 0; h < s->hours; h++) {
		double sum = 0, lo = NAN, hi = NAN;
		size_t k = 0;

		for (size_t i = h * s->per_hour; i < (h + 1) * s->per_hour; i++) {
			double v = s->x[i];

			if (isnan(v))
				continue;
			sum += v;
			lo = k && lo < v ? lo : v;
			hi = k && hi > v ? hi : v;
			k++;
		}
		s->mean[h] = k ? sum / (double)k : NAN;
		s->min[h] = lo;
		s->max[h] = hi;
	}
}

static double first_day_median(const struct series *s)
{
	size_t k = 0;

	for (size_t h = 0; h < DAY && h < s->hours; h++)
		if (!isnan(s->mean[h]))
			s->work[k++] = s->mean[h];
	return median(s->work, k);
}

/*
 * Runs a rule over every entity. A rule that relates to a limit gets 4 times the median of the
 * first day where none is known, so that its knob keeps its meaning (room to quadruple); what that
 * median is, is not known during the first day, so it says nothing then.
 */
static void run_each(
	const struct group *g, size_t hours, float *score, rule_fn *rule, bool needs_limit)
{
	struct series s = {.n = g->n, .hours = hours, .per_hour = 3600 / g->step_s};
	double *rows = must(malloc((3 * hours + WORK(g->n)) * sizeof(*rows)));

	s.mean = rows;
	s.min = s.mean + hours;
	s.max = s.min + hours;
	s.work = s.max + hours;
	for (size_t e = 0; e < g->n_entities; e++) {
		float *out = score + e * hours;

		s.x = g->entity[e].bytes;
		s.limit = g->entity[e].limit_bytes;
		hourly_fill(&s);
		silence(out, 0, hours);
		if (needs_limit && !(s.limit > 0)) {
			s.limit = 4 * first_day_median(&s);
			if (!(s.limit > 0))
				continue;
			rule(&s, out);
			silence(out, 0, hours < DAY ? hours : DAY);
		} else {
			rule(&s, out);
		}
	}
	free(rows);
}

/* Ordinary least squares over x[from..to). */
struct line {
	size_t n;
	double slope;  /* per step */
	double at_end; /* level at step to-1 */
	double r2;
};

static struct line fit_line(const double *x, size_t from, size_t to)
{
	double st = 0, sy = 0, stt = 0, sty = 0, syy = 0, y0 = NAN;
	struct line l = {.r2 = 0, .slope = NAN, .at_end = NAN};

	for (size_t i = from; i < to; i++) {
		double t = (double)i - (double)(to - 1), y = x[i];

		if (isnan(y))
			continue;
		/* Relative to the first reading, for precision. */
		if (!l.n)
			y0 = y;
		y -= y0;
		l.n++;
		st += t;
		sy += y;
		stt += t * t;
		sty += t * y;
		syy += y * y;
	}
	if (l.n < 2)
		return l;
	double n = (double)l.n, vt = stt - st * st / n, vy = syy - sy * sy / n;
	double c = sty - st * sy / n;

	l.slope = c / vt;
	l.at_end = y0 + (sy - l.slope * st) / n;
	l.r2 = vy > 0 ? c * c / (vt * vy) : 0;
	return l;
}

/* --- static ------------------------------------------------------------------------------- */

/* 0.9 of the limit: Azure App Service's proactive auto-heal, fleet_peers.md 1.1. */
static void rule_static(const struct series *s, float *out)
{
	for (size_t h = 0; h < s->hours; h++)
		if (!isnan(s->max[h]))
			out[h] = (float)(s->max[h] / s->limit);
}

/* --- Prometheus --------------------------------------------------------------------------- */

/* `predict_linear(x[range], ahead) >= limit` with `for: hold`, evaluated at every full hour. */
static void predict_linear(
	const struct series *s, float *out, size_t range_h, size_t ahead_h, size_t hold_h)
{
	size_t range = range_h * s->per_hour;
	double *p = s->work;

	for (size_t h = 0; h < s->hours; h++) {
		size_t end = (h + 1) * s->per_hour;
		struct line l = {.n = 0};

		if (end >= range)
			l = fit_line(s->x, end - range, end);
		p[h] = l.n < 2 ? -INFINITY
			       : (l.at_end + l.slope * (double)(ahead_h * s->per_hour)) / s->limit;
		if (h < hold_h)
			continue;
		double lo = p[h];

		for (size_t i = h - hold_h; i < h; i++)
			lo = p[i] < lo ? p[i] : lo;
		out[h] = (float)lo;
	}
}

static void rule_predict_4h(const struct series *s, float *out)
{
	predict_linear(s, out, 4, 24, 1);
}

static void rule_predict_24h(const struct series *s, float *out)
{
	predict_linear(s, out, 24, 96, 2);
}

/*
 * deriv(x[10m]), its largest value within the hour; on an hourly grid the shortest range with two
 * points, which is an hour. samber/awesome-prometheus-alerts, "Go heap in-use growing".
 */
static void rule_deriv(const struct series *s, float *out)
{
	size_t steps = s->per_hour >= 6 ? s->per_hour / 6 + 1 : 2;
	double step_s = 3600.0 / (double)s->per_hour;

	for (size_t h = 0; h < s->hours; h++) {
		double hi = -INFINITY;

		for (size_t end = h * s->per_hour + 1; end <= (h + 1) * s->per_hour; end++) {
			if (end < steps)
				continue;
			struct line l = fit_line(s->x, end - steps, end);

			if (l.n >= 2 && l.slope / step_s > hi)
				hi = l.slope / step_s;
		}
		out[h] = (float)hi;
	}
}

/* --- Mann-Kendall ------------------------------------------------------------------------- */

struct trend {
	double z;
	bool rises; /* Sen's slope is above the asked one */
};

/*
 * Z = (S -+ 1) / sqrt(Var), Var corrected for ties (papers.md 6.1). Whether the median of all
 * pairwise slopes is above `slope` needs no median: more than half of them must be.
 */
static struct trend mann_kendall(const double *v, const double *t, size_t n, double slope)
{
	long s = 0, above = 0, pairs = (long)(n * (n - 1) / 2);
	double sorted[WARM_HOURS], ties = 0, m = (double)n;
	struct trend r = {.z = -INFINITY};

	if (n < 10)
		return r;
	for (size_t j = 1; j < n; j++) {
		for (size_t i = 0; i < j; i++) {
			double d = v[j] - v[i];

			s += (d > 0) - (d < 0);
			above += d > slope * (t[j] - t[i]);
		}
	}
	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	for (size_t i = 0, j; i < n; i = j) {
		for (j = i; j < n && sorted[j] == sorted[i]; j++)
			;
		double k = (double)(j - i);

		ties += k * (k - 1) * (2 * k + 5);
	}
	double var = (m * (m - 1) * (2 * m + 5) - ties) / 18;

	r.z = var > 0 ? (double)(s - (s > 0) + (s < 0)) / sqrt(var) : 0;
	r.rises = 2 * above > pairs;
	return r;
}

/*
 * Score z where Sen's slope times the window is above rise_pct of the limit (0: no such gate) and,
 * with `daily`, where that row has risen twice from one day to the next.
 */
static void trend_rule(const struct series *s, const double *row, size_t window, double rise_pct,
	const double *daily, float *out)
{
	double v[WARM_HOURS], t[WARM_HOURS], slope = rise_pct / 100 * s->limit / (double)window;

	for (size_t h = window - 1; h < s->hours; h++) {
		size_t n = 0;

		if (daily && !(daily[h] > daily[h - DAY] && daily[h - DAY] > daily[h - 2 * DAY]))
			continue;
		for (size_t i = h + 1 - window; i <= h; i++) {
			if (isnan(row[i]))
				continue;
			v[n] = row[i];
			t[n++] = (double)i;
		}
		struct trend r = mann_kendall(v, t, n, slope);

		if (rise_pct <= 0 || r.rises)
			out[h] = (float)r.z;
	}
}

/* The reading that reproduces the figures takes one value an hour: the median of its steps. */
static const double *hourly_medians(const struct series *s)
{
	double v[12], *row = s->work;

	for (size_t h = 0; h < s->hours; h++) {
		size_t k = 0;

		for (size_t i = h * s->per_hour; i < (h + 1) * s->per_hour; i++)
			if (!isnan(s->x[i]))
				v[k++] = s->x[i];
		row[h] = median(v, k);
	}
	return row;
}

static void rule_mk_24h(const struct series *s, float *out)
{
	trend_rule(s, hourly_medians(s), 24, 2, NULL, out);
}

/*
 * "Two daily rises" is taken as: the 10th percentile of a day's hourly minima is higher than the
 * day before, twice. The published figures fit that better than the day's minimum, mean or median.
 */
static void rule_mk_72h_minima(const struct series *s, float *out)
{
	double v[DAY], *low = s->work;

	for (size_t h = DAY - 1; h < s->hours; h++) {
		size_t k = 0;

		for (size_t i = h + 1 - DAY; i <= h; i++)
			if (!isnan(s->min[i]))
				v[k++] = s->min[i];
		qsort(v, k, sizeof(*v), by_value);
		low[h] = k ? v[k / 10] : NAN;
	}
	trend_rule(s, s->min, 72, 0, low, out);
}

/* --- Coroot ------------------------------------------------------------------------------- */

/* The longest piece of x[from..to) not cut by a drop of half or more. */
static size_t longest_piece(
	const double *x, size_t from, size_t to, size_t *ret_from, size_t *ret_to)
{
	size_t start = from, n = 0, best = 0, last = from;
	double prev = NAN;

	for (size_t i = from; i <= to; i++) {
		bool end = i == to, cut = !end && prev > 0 && x[i] < prev * 0.5;

		if (!end && isnan(x[i]))
			continue;
		if ((end || cut) && n > best) {
			best = n;
			*ret_from = start;
			*ret_to = last + 1;
		}
		if (end)
			break;
		if (cut) {
			start = i;
			n = 0;
		}
		n++;
		prev = x[i];
		last = i;
	}
	return best;
}

/*
 * MemoryGrowthPct() of Coroot's auditor/memory.go (2026-08), % per hour at the end of step end-1, 0
 * where a gate is shut. Its window is one hour of 15-30 s points; a coarser grid cannot give its 10
 * points (of 5 in the tail), so the window is 12 steps and the tail 4, the 15 minutes it asks for.
 */
static double coroot_growth(const struct series *s, size_t end)
{
	const size_t window = 12, tail_min = 4;
	size_t from = 0, to = 0, have = 0, k = 0, tail = 0;

	if (end < window)
		return 0;
	for (size_t i = end - window; i < end; i++)
		have += !isnan(s->x[i]);
	size_t n = have * 10 < window * 8 ? 0 : longest_piece(s->x, end - window, end, &from, &to);

	if (n < 10 || n < window / 3)
		return 0;
	struct line all = fit_line(s->x, from, to);

	if (!(all.slope > 0))
		return 0;
	for (size_t i = to; i-- > from;) {
		if (isnan(s->x[i]))
			continue;
		tail = i;
		if (++k >= tail_min && k >= n / 4)
			break;
	}
	struct line last = fit_line(s->x, tail, to);

	if (!(last.slope > 0) || last.slope < 0.3 * all.slope)
		return 0;
	double e = all.at_end + all.slope * (double)(end - to);
	double b = e - all.slope * (double)s->per_hour;

	if (!(e > 0) || e - b < (s->limit > 0 ? 0.05 * s->limit : 50 * MIB))
		return 0;
	return (e - b) / (b > 0 ? b : e) * 100;
}

/* Evaluated at the full hour and not held, which is what reproduces the measured figures. */
static void rule_coroot(const struct series *s, float *out)
{
	for (size_t h = 0; h < s->hours; h++) {
		double g = coroot_growth(s, (h + 1) * s->per_hour);

		if (g > 0)
			out[h] = (float)g;
	}
}

/* As shipped: evaluated at every step and held for 15 minutes; the best such stretch of the hour.
 */
static void rule_coroot_held(const struct series *s, float *out)
{
	size_t hold = s->per_hour / 4 + 1; /* evaluations */
	double *g = s->work;

	for (size_t i = 0; i < s->hours * s->per_hour; i++) {
		double lo = g[i] = coroot_growth(s, i + 1);

		for (size_t k = 1; k < hold; k++)
			lo = k > i ? 0 : g[i - k] < lo ? g[i - k] : lo;
		if (lo > out[i / s->per_hour] && lo > 0)
			out[i / s->per_hour] = (float)lo;
	}
}

/* --- linear backward regression, CUSUM, day over day, mu + 3 sigma ------------------------ */

/* fleet_peers.md 4.2: OLS over 24 h, R2 > 0.8, full in less than 7 days. */
static void rule_lbr(const struct series *s, float *out)
{
	size_t window = DAY * s->per_hour;

	for (size_t h = DAY - 1; h < s->hours; h++) {
		size_t end = (h + 1) * s->per_hour;
		struct line l = fit_line(s->x, end - window, end);

		if (2 * l.n < window || !(l.slope > 0) || l.r2 <= 0.8)
			continue;
		double full_h = (s->limit - l.at_end) / l.slope / (double)s->per_hour;

		out[h] = (float)(7 * DAY / fmax(full_h, 0.01));
	}
}

/*
 * One-sided CUSUM (Page 1954) of the last 24 hourly minima, in standard deviations of the 24 before
 * them, slack 0.5. The decision interval is not given: 20 reproduces the figures (5 would alarm on
 * every machine). The floor of the deviation, 0.1 % of the level, only keeps a flat day finite.
 */
static void rule_cusum(const struct series *s, float *out)
{
	for (size_t h = 2 * DAY - 1; h < s->hours; h++) {
		double sum = 0, sq = 0, c = 0, x0 = NAN;
		size_t k = 0, n = 0;

		for (size_t i = h + 1 - 2 * DAY; i < h + 1 - DAY; i++) {
			if (isnan(s->min[i]))
				continue;
			x0 = k ? x0 : s->min[i];
			sum += s->min[i] - x0;
			sq += (s->min[i] - x0) * (s->min[i] - x0);
			k++;
		}
		if (k < DAY / 2)
			continue;
		double d = sum / (double)k, mu = x0 + d, sd = sqrt(fmax(0, sq / (double)k - d * d));

		sd = fmax(fmax(sd, 0.001 * mu), 1);
		for (size_t i = h + 1 - DAY; i <= h; i++) {
			if (isnan(s->min[i]))
				continue;
			c = fmax(0, c + (s->min[i] - mu) / sd - 0.5);
			n++;
		}
		if (n >= DAY / 2)
			out[h] = (float)c;
	}
}

/*
 * Three days are two comparisons; the measured delays (40 h) fit only if each of the two must have
 * its share, and the false alarms only if an hour without readings counts as not higher.
 */
static void rule_day_over_day(const struct series *s, float *out)
{
	double *share = s->work;
	size_t up = 0;

	for (size_t h = DAY; h < s->hours; h++) {
		/* False where either is NAN. */
		up += s->mean[h] > s->mean[h - DAY];
		if (h >= 2 * DAY)
			up -= s->mean[h - DAY] > s->mean[h - 2 * DAY];
		share[h] = (double)up / DAY;
		if (h >= 3 * DAY - 1)
			out[h] = (float)fmin(share[h], share[h - DAY]);
	}
}

/* The 72 h roll: trained once on the first 72 h it would find 83 % of the slowest ramps, not 2 %.
 */
static void rule_mu_3_sigma(const struct series *s, float *out)
{
	size_t window = WARM_HOURS * s->per_hour;

	for (size_t h = WARM_HOURS; h < s->hours; h++) {
		size_t end = (h + 1) * s->per_hour, k = 0;
		double sum = 0, sq = 0, x0 = NAN, x = s->x[end - 1];

		if (isnan(x))
			continue;
		for (size_t i = end - 1 - window; i < end - 1; i++) {
			double v = s->x[i];

			if (isnan(v))
				continue;
			x0 = k ? x0 : v;
			sum += v - x0;
			sq += (v - x0) * (v - x0);
			k++;
		}
		if (2 * k < window)
			continue;
		double d = sum / (double)k, sd = sqrt(fmax(0, sq / (double)k - d * d));

		out[h] = (float)((x - x0 - d) / fmax(sd, 1));
	}
}

/* --- PrecogMF ----------------------------------------------------------------------------- */

/* Precog with its max filter: mem_leak_detection/precog_change.py, its defaults; papers.md 6.1. */
#define PRECOG_HOURS 6	       /* shortest trend, and separation of change points */
#define PRECOG_CRITICAL_H 168  /* 7 days */
#define PRECOG_TOP 10	       /* the max filter's values */
#define PRECOG_TRENDS_MAX 64   /* of 72 h of training, which has at most 14 change points */
#define PRECOG_POINTS_MAX 1024 /* 6 h apart: 256 days */

struct precog_trend {
	double slope;	 /* % per step */
	double duration; /* steps */
};

struct precog {
	size_t per_hour;
	const double *y; /* smoothed, % of the limit, no gaps */
	/* Sums over y[0..i), for a fit of any piece in constant time. */
	double *sy, *sty, *syy;
	struct precog_trend seen[PRECOG_TRENDS_MAX];
	size_t n_seen;
	double max_duration, max_slope, top;
};

/* OLS of y[a..b], both included: the result's at_end is not filled. */
static struct line precog_fit(const struct precog *p, size_t a, size_t b)
{
	double n = (double)(b - a + 1), mid = (double)(a + b) / 2;
	double sy = p->sy[b + 1] - p->sy[a], sty = p->sty[b + 1] - p->sty[a];
	double syy = p->syy[b + 1] - p->syy[a];
	double vt = n * (n * n - 1) / 12, c = sty - mid * sy, vy = syy - sy * sy / n;
	struct line l = {.n = b - a + 1, .slope = vt > 0 ? c / vt : NAN, .at_end = NAN};

	/* The sums cancel on a flat piece, which is no trend. */
	l.r2 = vt > 0 && vy > 1e-6 ? c * c / (vt * vy) : 0;
	return l;
}

/* Hours until 100 %; INFINITY when it does not grow. */
static double precog_exit_h(const struct precog *p, double slope, size_t end)
{
	if (!(slope > 0))
		return INFINITY;
	return fmax((100 - p->y[end]) / slope / (double)p->per_hour, 0);
}

/* Median of the absolute deviations from m in the sorted v: in log n.
 */
static double sorted_mad(const double *v, size_t n, double m)
{
	size_t k = n / 2; /* how many deviations are smaller than the wanted one */
	size_t lo = 0, hi = n - k - 1;

	/* The k + 1 values nearest to m are a run of v: find where it starts. */
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (m - v[mid] > v[mid + k + 1] - m)
			lo = mid + 1;
		else
			hi = mid;
	}
	return fmax(m - v[lo], v[lo + k] - m);
}

/*
 * Change points of y[a..b]: steps whose |difference| has a modified z-score above 3.5, at least 6 h
 * apart, with both ends. `sorted` holds those differences, sorted. As in the original, the end
 * comes twice when the last piece is long enough.
 */
static size_t precog_points(const struct precog *p, size_t a, size_t b, const double *sorted,
	size_t n_sorted, size_t *ret)
{
	size_t gap = PRECOG_HOURS * p->per_hour, n = 0, i = a + gap;
	double med = 0, mad = 0;

	if (n_sorted) {
		med = n_sorted % 2 ? sorted[n_sorted / 2]
				   : (sorted[n_sorted / 2 - 1] + sorted[n_sorted / 2]) / 2;
		mad = sorted_mad(sorted, n_sorted, med);
	}
	ret[n++] = a;
	while (i < b && n < PRECOG_POINTS_MAX) {
		double d = fabs(p->y[i] - p->y[i - 1]);

		if (0.6745 * fabs(d - med) > 3.5 * mad) {
			ret[n++] = i;
			i += gap;
		} else {
			i++;
		}
	}
	if (b - ret[n - 1] >= gap)
		ret[n++] = b;
	ret[n++] = b;
	return n;
}

/* The least of the (at most) 10 largest of y[a..b] is ret[0]; ret is sorted upwards. */
static size_t precog_top(const double *y, size_t a, size_t b, double ret[PRECOG_TOP])
{
	size_t n = 0;

	for (size_t i = a; i <= b; i++) {
		size_t k = 0;

		if (n < PRECOG_TOP) {
			for (k = n++; k > 0 && ret[k - 1] > y[i]; k--)
				ret[k] = ret[k - 1];
			ret[k] = y[i];
		} else if (y[i] > ret[0]) {
			for (; k + 1 < n && ret[k + 1] < y[i]; k++)
				ret[k] = ret[k + 1];
			ret[k] = y[i];
		}
	}
	return n;
}

/* Learns the trends of y[a..b] that went towards the limit and ended. */
static void precog_train(struct precog *p, size_t a, size_t b, double *sorted)
{
	size_t point[PRECOG_TRENDS_MAX + 2], points[PRECOG_POINTS_MAX + 2], n, k = 0;
	double top[PRECOG_TOP];

	p->n_seen = 0;
	p->max_slope = 0;
	p->max_duration = PRECOG_HOURS * (double)p->per_hour;
	n = precog_top(p->y, a, b, top);
	p->top = median(top, n);
	for (size_t i = a + 1; i <= b; i++)
		sorted[k++] = fabs(p->y[i] - p->y[i - 1]);
	qsort(sorted, k, sizeof(*sorted), by_value);
	n = precog_points(p, a, b, sorted, k, points);
	n = n < PRECOG_TRENDS_MAX ? n : PRECOG_TRENDS_MAX;
	memcpy(point, points, n * sizeof(*point));
	for (size_t i = 0; i + 1 < n; i++) {
		struct line best = {.n = 0};
		size_t end = 0;

		for (size_t j = i + 1; j < n; j++) {
			struct line l = precog_fit(p, point[i], point[j]);

			if (point[j] - point[i] < PRECOG_HOURS * p->per_hour || l.r2 <= 0.8)
				continue;
			if (best.n ? l.r2 >= best.r2 && l.n >= best.n && l.slope >= best.slope
				   : l.slope > 0) {
				best = l;
				end = point[j];
			}
		}
		if (!best.n || end == b || precog_exit_h(p, best.slope, end) > PRECOG_CRITICAL_H)
			continue;
		struct precog_trend t = {best.slope, (double)(best.n - 1)};

		p->max_duration = fmax(p->max_duration, t.duration);
		p->max_slope = fmax(p->max_slope, t.slope);
		p->seen[p->n_seen++] = t;
	}
}

static bool precog_worse_than_trained(const struct precog *p, double slope, double duration)
{
	if (slope >= p->max_slope && duration >= p->max_duration)
		return true;
	for (size_t i = 0; i < p->n_seen; i++)
		if (slope >= p->seen[i].slope && duration >= p->seen[i].duration)
			return true;
	return false;
}

/* 7 days over the time to the limit of the worst trend of y[a..b] that lasts to b. */
static double precog_predict(
	const struct precog *p, size_t a, size_t b, const double *sorted, size_t n_sorted)
{
	size_t point[PRECOG_POINTS_MAX + 2];
	size_t n = precog_points(p, a, b, sorted, n_sorted, point);
	double score = -INFINITY, top[PRECOG_TOP];

	for (size_t i = n - 1; i-- > 0;) {
		struct line l = precog_fit(p, point[i], b);
		double duration = (double)(b - point[i]);

		if (b - point[i] < PRECOG_HOURS * p->per_hour || l.r2 <= 0.8 || !(l.slope > 0) ||
			!precog_worse_than_trained(p, l.slope, duration))
			continue;
		double exit_h = fmax(precog_exit_h(p, l.slope, b), 0.01);

		score = fmax(score, PRECOG_CRITICAL_H / exit_h);
	}
	if (score > 0) {
		precog_top(p->y, point[n - 2], b, top);
		if (top[0] < 95 && top[0] < p->top)
			return -INFINITY;
	}
	return score;
}

/* The last value of a step, gaps bridged linearly, then the median of the last hour's steps. */
static size_t precog_smooth(const struct series *s, double *y)
{
	size_t first = 0, prev = 0;

	while (first < s->n && isnan(s->x[first]))
		first++;
	prev = first;
	for (size_t i = first; i < s->n; i++) {
		if (isnan(s->x[i]))
			continue;
		y[i] = s->x[i] / s->limit * 100;
		for (size_t k = prev + 1; k < i; k++)
			y[k] = y[prev] + (y[i] - y[prev]) * (double)(k - prev) / (double)(i - prev);
		prev = i;
	}
	for (size_t i = prev + 1; i < s->n; i++)
		y[i] = y[prev];
	/* Backwards, so that it can be done in place. */
	for (size_t i = s->n; i-- > first;) {
		double v[12];
		size_t k = 0;

		for (size_t j = i + 1; j-- > first && i - j < s->per_hour;) {
			size_t at = k++;

			for (; at > 0 && v[at - 1] > y[j]; at--)
				v[at] = v[at - 1];
			v[at] = y[j];
		}
		y[i] = k % 2 ? v[k / 2] : (v[k / 2 - 1] + v[k / 2]) / 2;
	}
	return first;
}

/*
 * Trained once on the first 72 h, then asked every hour with all that came since, as the authors'
 * own test does; but every alarm raised at any time counts, where theirs forgives those that went
 * away. An hour whose last step has no reading has nothing new to say.
 */
static void rule_precogmf(const struct series *s, float *out)
{
	struct precog p = {.per_hour = s->per_hour};
	double *y = s->work, *sorted = y + s->n;
	size_t first = precog_smooth(s, y), start = WARM_HOURS * s->per_hour, n = 0;

	if (s->n <= start || first + PRECOG_HOURS * s->per_hour >= start)
		return;
	p.y = y;
	p.sy = sorted + s->n;
	p.sty = p.sy + s->n + 1;
	p.syy = p.sty + s->n + 1;
	p.sy[first] = p.sty[first] = p.syy[first] = 0;
	for (size_t i = first; i < s->n; i++) {
		/* About the trained start, for precision. */
		double v = y[i] - y[first];

		p.sy[i + 1] = p.sy[i] + v;
		p.sty[i + 1] = p.sty[i] + v * (double)i;
		p.syy[i + 1] = p.syy[i] + v * v;
	}
	precog_train(&p, first, start - 1, sorted);
	for (size_t h = WARM_HOURS; h < s->hours; h++) {
		size_t end = (h + 1) * s->per_hour - 1;

		for (size_t i = end + 1 - s->per_hour; i <= end; i++) {
			if (i == start)
				continue;
			double d = fabs(y[i] - y[i - 1]);
			size_t lo = 0, hi = n;

			while (lo < hi) {
				size_t mid = (lo + hi) / 2;

				if (sorted[mid] < d)
					lo = mid + 1;
				else
					hi = mid;
			}
			memmove(sorted + lo + 1, sorted + lo, (n++ - lo) * sizeof(*sorted));
			sorted[lo] = d;
		}
		/* Its min_value: below 40 % of the limit it does not look. */
		if (s->x[end] / s->limit * 100 >= 40)
			out[h] = (float)precog_predict(&p, start, end, sorted, n);
	}
}

/* --- RESIN, level 2 ----------------------------------------------------------------------- */

#define RESIN_WINDOW_H 720 /* "the most recent month" */
#define RESIN_EPS 0.2	   /* not published; papers.md 1.5 finds 0.1 to 0.3 to work */
#define RESIN_CONFIRM_H 24 /* length from which the increasing rate is asked for */

/* Gaussians of the component's usage and of its hourly difference, over all its entities. */
struct resin_model {
	double mu1, sigma1, mu2, sigma2;
};

/* Sums over the hours before h of one quantity, over all entities. */
struct resin_sums {
	double n, sum, sq;
};

static void resin_gauss(
	const struct resin_sums *sums, size_t from, size_t to, double *ret_mu, double *ret_sigma)
{
	double n = sums[to].n - sums[from].n, m = (sums[to].sum - sums[from].sum) / n;
	double var = (sums[to].sq - sums[from].sq) / n - m * m;

	*ret_mu = n > 0 ? m : NAN;
	*ret_sigma = n > 0 ? sqrt(fmax(var, 0)) : NAN;
}

/*
 * Algorithm 1 (OSDI'22 4.3.2; papers.md 1.5) over the n readings u, and the severity of Equation 1.
 * As printed, the interval can never start: at j = 2 Ninc / n is 0 < eps, so T0 is moved, so Ninc
 * is set to 0, and so for ever. Repaired, the rate is over the interval and asked for after a day,
 * a drop must exceed the noise, and an increase the mean one. -INFINITY where T0 = T1.
 */
static double resin_severity(
	const double *u, const double *hour, size_t n, const struct resin_model *m, bool repaired)
{
	size_t t0 = 0, inc = 0;

	for (size_t j = 1; j < n; j++) {
		double d = u[j] - u[j - 1], length = (double)(j - t0);
		bool outlier = fabs(d - m->mu2) > 3 * m->sigma2, low, drop, larger;

		if (repaired) {
			low = length >= RESIN_CONFIRM_H && (double)inc / length < RESIN_EPS;
			drop = u[j] < u[t0] - m->sigma2;
			larger = d > m->mu2;
		} else {
			low = (double)inc / (double)n < RESIN_EPS;
			drop = u[j] < u[t0];
			larger = d > 0;
		}
		if (outlier || drop || low) {
			t0 = j;
			inc = 0;
		} else if (larger) {
			inc++;
		}
	}
	if (n < 2 || t0 == n - 1)
		return -INFINITY;
	return (u[n - 1] - u[0]) / fmax(m->sigma1, 1) + (double)inc / (double)n +
		(hour[n - 1] - hour[t0]) / RESIN_WINDOW_H +
		1 / (1 + exp(-u[n - 1] / fmax(m->mu1, 1)));
}

static void resin_level2(const struct group *g, size_t hours, float *score, bool repaired)
{
	struct series s = {.n = g->n, .hours = hours, .per_hour = 3600 / g->step_s};
	double *rows = must(malloc((g->n_entities * hours + 4 * hours + 1) * sizeof(*rows)));
	struct resin_sums *sums = must(calloc(2 * (hours + 1), sizeof(*sums)));
	struct resin_sums *usage = sums, *diff = sums + hours + 1;
	double *u = rows + g->n_entities * hours, *when = u + hours;

	s.min = when + hours;
	s.max = s.min + hours;
	for (size_t e = 0; e < g->n_entities; e++) {
		double prev = NAN;

		s.x = g->entity[e].bytes;
		s.mean = rows + e * hours;
		hourly_fill(&s);
		for (size_t h = 0; h < hours; h++) {
			double v = s.mean[h];

			if (isnan(v))
				continue;
			usage[h + 1].n++;
			usage[h + 1].sum += v / GIB;
			usage[h + 1].sq += v / GIB * (v / GIB);
			if (!isnan(prev)) {
				diff[h + 1].n++;
				diff[h + 1].sum += (v - prev) / GIB;
				diff[h + 1].sq += (v - prev) / GIB * ((v - prev) / GIB);
			}
			prev = v;
		}
	}
	for (size_t i = 0; i < 2 * (hours + 1); i++) {
		if (i == 0 || i == hours + 1)
			continue;
		sums[i].n += sums[i - 1].n;
		sums[i].sum += sums[i - 1].sum;
		sums[i].sq += sums[i - 1].sq;
	}
	silence(score, 0, g->n_entities * hours);
	for (size_t h = DAY; h < hours; h++) {
		size_t from = h + 1 > RESIN_WINDOW_H ? h + 1 - RESIN_WINDOW_H : 0;
		struct resin_model m;

		resin_gauss(usage, from, h + 1, &m.mu1, &m.sigma1);
		resin_gauss(diff, from, h + 1, &m.mu2, &m.sigma2);
		m.mu1 *= GIB;
		m.sigma1 *= GIB;
		m.mu2 *= GIB;
		m.sigma2 *= GIB;
		for (size_t e = 0; e < g->n_entities; e++) {
			const double *mean = rows + e * hours;
			size_t n = 0;

			if (isnan(mean[h]))
				continue;
			for (size_t i = from; i <= h; i++) {
				if (isnan(mean[i]))
					continue;
				u[n] = mean[i];
				when[n++] = (double)i;
			}
			score[e * hours + h] = (float)resin_severity(u, when, n, &m, repaired);
		}
	}
	free(sums);
	free(rows);
}

static void run_resin_printed(const struct group *g, size_t hours, float *score)
{
	resin_level2(g, hours, score, false);
}

static void run_resin_repaired(const struct group *g, size_t hours, float *score)
{
	resin_level2(g, hours, score, true);
}

/* --- RESIN, level 1 ----------------------------------------------------------------------- */

#define PIVOT_WINDOW_H 360 /* 15 days, of which two thirds are the baseline */
#define PIVOT_RUN 3	   /* hours running; not published, papers.md 1.4 asks for some */

/* The paper gives "50 MB, 100 MB, 200 MB, ..., 40 GB, 50 GB" of 20; the rest as in papers.md 1.4.
 */
static const double pivot_edge_mb[] = {50, 100, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000,
	3000, 4000, 5000, 8000, 10000, 20000, 30000, 40000, 50000};
#define N_EDGES (sizeof(pivot_edge_mb) / sizeof(pivot_edge_mb[0]))
#define PIVOT_FIRST 2 /* alerts from the 200 MB bucket up */

static size_t pivot_bucket(double bytes)
{
	size_t b = 0;

	while (b < N_EDGES && bytes >= pivot_edge_mb[b] * 1e6)
		b++;
	return b; /* 0: none; else one more than the highest bucket it is in */
}

/* Numbers the hosts of the group; returns how many there are. */
static size_t number_hosts(const struct group *g, size_t *ret_host)
{
	size_t cap = 1, n = 0, *slot;

	while (cap < 2 * g->n_entities + 2)
		cap *= 2;
	slot = must(calloc(cap, sizeof(*slot))); /* entity + 1 */
	for (size_t e = 0; e < g->n_entities; e++) {
		const char *name = g->entity[e].host;
		uint64_t hash = 14695981039346656037u;
		size_t i;

		for (const char *c = name; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 1099511628211u;
		for (i = hash & (cap - 1); slot[i]; i = (i + 1) & (cap - 1))
			if (!strcmp(g->entity[slot[i] - 1].host, name))
				break;
		ret_host[e] = slot[i] ? ret_host[slot[i] - 1] : n++;
		if (!slot[i])
			slot[i] = e + 1;
	}
	free(slot);
	return n;
}

/* Prefix sums of one bucket's host counts and of their squares. */
struct pivot_row {
	double *count, *sum, *sq;
};

/* How far the count of hour h is above mu + 3 sigma of its baseline, in hosts. */
static double pivot_deviation(const struct pivot_row *r, size_t h)
{
	size_t from = h + 1 > PIVOT_WINDOW_H ? h + 1 - PIVOT_WINDOW_H : 0;
	size_t to = from + (h + 1 - from) * 2 / 3;
	double n = (double)(to - from), mu = (r->sum[to] - r->sum[from]) / n;
	double sd = sqrt(fmax((r->sq[to] - r->sq[from]) / n - mu * mu, 0));

	/* The floor is a repair (papers.md 1.4): a count that never moved has no deviation. */
	return r->count[h] - (mu + 3 * fmax(sd, sqrt(fmax(mu, 1))));
}

/*
 * Hosts per usage bucket, cumulative (OSDI'22 4.3.1). The severity is not published; excess hosts
 * is what fits its threshold of 40. Of the abnormal buckets only the largest counts, and every
 * entity in it gets the score.
 */
static void run_resin_pivot(const struct group *g, size_t hours, float *score)
{
	struct series s = {.n = g->n, .hours = hours, .per_hour = 3600 / g->step_s};
	size_t *host = must(malloc((g->n_entities + 1) * sizeof(*host)));
	size_t n_hosts = number_hosts(g, host);
	uint8_t *of_host = must(calloc(n_hosts * hours + 1, 1));
	uint8_t *of_entity = must(calloc(g->n_entities * hours + 1, 1));
	double *rows = must(calloc(N_EDGES * 3 * (hours + 1) + 3 * hours, sizeof(*rows)));
	struct pivot_row row[N_EDGES];

	for (size_t b = 0; b < N_EDGES; b++) {
		row[b].count = rows + b * 3 * (hours + 1);
		row[b].sum = row[b].count + hours + 1;
		row[b].sq = row[b].sum + hours + 1;
	}
	s.mean = rows + N_EDGES * 3 * (hours + 1);
	s.min = s.mean + hours;
	s.max = s.min + hours;
	silence(score, 0, g->n_entities * hours);
	for (size_t e = 0; e < g->n_entities; e++) {
		s.x = g->entity[e].bytes;
		hourly_fill(&s);
		for (size_t h = 0; h < hours; h++) {
			/* NAN is in no bucket. */
			uint8_t b = (uint8_t)pivot_bucket(s.mean[h]);
			uint8_t *top = &of_host[host[e] * hours + h];

			of_entity[e * hours + h] = b;
			*top = b > *top ? b : *top;
		}
	}
	for (size_t h = 0; h < hours; h++) {
		for (size_t i = 0; i < n_hosts; i++)
			for (size_t b = 0; b < of_host[i * hours + h]; b++)
				row[b].count[h]++;
		for (size_t b = 0; b < N_EDGES; b++) {
			row[b].sum[h + 1] = row[b].sum[h] + row[b].count[h];
			row[b].sq[h + 1] = row[b].sq[h] + row[b].count[h] * row[b].count[h];
		}
	}
	for (size_t h = DAY; h < hours; h++) {
		for (size_t b = N_EDGES; b-- > PIVOT_FIRST;) {
			double least = INFINITY;

			for (size_t k = 0; k < PIVOT_RUN; k++)
				least = fmin(least, pivot_deviation(&row[b], h - k));
			if (least <= 0)
				continue;
			for (size_t e = 0; e < g->n_entities; e++)
				if (of_entity[e * hours + h] > b)
					score[e * hours + h] = (float)least;
			break;
		}
	}
	free(rows);
	free(of_entity);
	free(of_host);
	free(host);
}

/* --- the table ---------------------------------------------------------------------------- */

#define EACH(rule, needs_limit)                                                   \
	static void run_##rule(const struct group *g, size_t hours, float *score) \
	{                                                                         \
		run_each(g, hours, score, rule_##rule, needs_limit);              \
	}

EACH(static, true)
EACH(predict_4h, true)
EACH(predict_24h, true)
EACH(deriv, false)
EACH(mk_24h, true)
EACH(mk_72h_minima, false)
EACH(coroot, false)
EACH(coroot_held, false)
EACH(lbr, true)
EACH(cusum, false)
EACH(day_over_day, false)
EACH(precogmf, true)
EACH(mu_3_sigma, false)

const struct peer peers[] = {
	/* Its severity threshold per process is not published: growth of 3 sigma and the rest's 1.
	 */
	{"resin-printed", "RESIN OSDI'22 alg. 1", 4, WARM_HOURS, run_resin_printed},
	{"resin-repaired", "RESIN OSDI'22 alg. 1, papers.md 1.5", 4, WARM_HOURS,
		run_resin_repaired},
	{"resin-pivot", "RESIN OSDI'22 4.3.1", 40, WARM_HOURS, run_resin_pivot},
	{"static", "Azure App Service auto-heal", 0.9, 0, run_static},
	{"predict-4h-24h", "Prometheus predict_linear, for 1h", 1, 0, run_predict_4h},
	{"predict-24h-96h", "Prometheus predict_linear, for 2h", 1, 0, run_predict_24h},
	{"deriv", "samber/awesome-prometheus-alerts", 1e7, 0, run_deriv},
	/* p < .01, two-sided. */
	{"mann-kendall", "fleet_peers.md 4.2, 24 h", 2.576, 0, run_mk_24h},
	{"mann-kendall-72h-minima", "fleet_peers.md 4.2, z > 4", 4, 0, run_mk_72h_minima},
	{"coroot", "Coroot auditor/memory.go", 10, 0, run_coroot},
	{"coroot-held", "Coroot as shipped, for 15m", 10, 0, run_coroot_held},
	{"lbr", "Jindal et al. 2020, fleet_peers.md 4.2", 1, 0, run_lbr},
	{"cusum", "Matias et al. 2014, fleet_peers.md 4.2", 20, 0, run_cusum},
	{"day-over-day", "fleet_peers.md 4.2", 0.85, 0, run_day_over_day},
	{"precogmf", "Jindal et al. 2021, precog_change.py", 1, WARM_HOURS, run_precogmf},
	{"mu+3sigma", "fleet_peers.md 4.2", 3, WARM_HOURS, run_mu_3_sigma},
};
const size_t n_peers = sizeof(peers) / sizeof(peers[0]);
