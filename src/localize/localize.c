#include "localize/localize.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define SEGMENTS 6u
#define MIN_GROWING_SEGMENTS 5u
/* A segment counts as growing from this share of the even share on. */
#define SEGMENT_SHARE 0.25
/* The interval starts where this share of the whole growth has been reached. */
#define START_SHARE 0.02
/* Slope of the late part over slope of the early part. An exponential approach with time constant T
 * has exp(-2W/3T) between its outer thirds and exp(-W/2T) between its halves; these two bounds
 * together hold it back from W = 0.65 T on, while a leak whose thirds each hold 40 independent
 * events stays above them in 19 of 20 looks. */
#define MIN_LATE_TO_EARLY_THIRDS 0.65
#define MIN_LATE_TO_EARLY_HALVES 0.70
#define MAX_SLOPE_POINTS 64u
/* The envelope needs a future: where only a few steps are left, it follows every rise of noise or
 * of a sawtooth's last tooth. So the last eighth, at least this many steps, serves as look-ahead
 * only. */
#define MIN_LOOK_AHEAD 6u

struct view {
	const struct point *p;
	size_t n; /* without the look-ahead */
	uint64_t step_ns;
	uint64_t envelope[LOCALIZE_MAX_POINTS]; /* least value from here to the end */
};

static double at_steps(const struct view *v, size_t i)
{
	return (double)(v->p[i].unix_ns - v->p[0].unix_ns) / (double)v->step_ns;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct slope {
	double mid, lo, hi; /* bytes per step; 95 % interval by Kendall's variance (Sen 1968) */
};

/* Theil-Sen slope of the envelope over [from, to), thinned to MAX_SLOPE_POINTS points. */
static struct slope slope_of(const struct view *v, size_t from, size_t to)
{
	static const struct slope none = {0, 0, 0};
	size_t n = to - from, stride = 1, k = 0, count = 0;
	size_t index[MAX_SLOPE_POINTS];
	double *slopes, c;
	struct slope r;

	if (n < 2)
		return none;
	while (n / stride > MAX_SLOPE_POINTS - 1)
		stride++;
	for (size_t i = from; i < to && k < MAX_SLOPE_POINTS; i += stride)
		index[k++] = i;
	slopes = malloc(k * (k - 1) / 2 * sizeof(*slopes) + 1);
	if (!slopes)
		return none; /* no slope, no verdict: the next look comes in a step */
	for (size_t i = 0; i < k; i++) {
		for (size_t j = i + 1; j < k; j++) {
			double dt = at_steps(v, index[j]) - at_steps(v, index[i]);

			if (dt > 0)
				slopes[count++] = ((double)v->envelope[index[j]] -
							  (double)v->envelope[index[i]]) /
					dt;
		}
	}
	if (count == 0) {
		free(slopes);
		return none;
	}
	qsort(slopes, count, sizeof(*slopes), by_value);
	c = 1.96 * sqrt((double)k * ((double)k - 1) * (2 * (double)k + 5) / 18);
	r.mid = slopes[count / 2];
	r.lo = slopes[c < (double)count ? (size_t)(((double)count - c) / 2) : 0];
	r.hi = slopes[c < (double)count ? (size_t)(((double)count + c) / 2) : count - 1];
	free(slopes);
	return r;
}

/* The first point at which a given share of the interval's time has passed. */
static size_t at_share(const struct view *v, size_t from, double share)
{
	double t0 = at_steps(v, from), t1 = at_steps(v, v->n - 1);
	size_t i = from;

	while (i < v->n - 1 && at_steps(v, i) < t0 + (t1 - t0) * share)
		i++;
	return i;
}

static double growth_between(const struct view *v, size_t i, size_t j)
{
	return (double)v->envelope[j] - (double)v->envelope[i];
}

/* How far above the envelope the series usually runs: what is freed again. */
static double noise_of(const struct view *v)
{
	double excess[LOCALIZE_MAX_POINTS] = {0};

	for (size_t i = 0; i < v->n; i++)
		excess[i] = (double)v->p[i].hi - (double)v->envelope[i];
	qsort(excess, v->n, sizeof(excess[0]), by_value);
	return excess[v->n * 3 / 4];
}

/* The largest rise from a value to a later one, also if it was given back. */
static double largest_rise(const struct view *v)
{
	double least = (double)v->p[0].lo, rise = 0;

	for (size_t i = 0; i < v->n; i++) {
		if ((double)v->p[i].lo < least)
			least = (double)v->p[i].lo;
		if ((double)v->p[i].hi - least > rise)
			rise = (double)v->p[i].hi - least;
	}
	return rise;
}

/* Standard error of the mean growth per step if the increments are independent, as those of a leak
 * under random load are. Kendall's variance takes the errors around the line to be independent
 * instead, and is far too small for a random walk. */
static double increment_error(const struct view *v, size_t from)
{
	double n = (double)(v->n - 1 - from), sum = 0, squares = 0, variance;

	if (n < 2)
		return 0;
	for (size_t i = from; i + 1 < v->n; i++) {
		double d = (double)v->envelope[i + 1] - (double)v->envelope[i];

		sum += d;
		squares += d * d;
	}
	variance = (squares - sum * sum / n) / (n - 1);
	return variance > 0 ? sqrt(variance / n) : 0;
}

static unsigned growing_segments(const struct view *v, size_t from, double growth)
{
	unsigned growing = 0;

	for (unsigned k = 0; k < SEGMENTS; k++) {
		size_t i = at_share(v, from, (double)k / SEGMENTS);
		size_t j = at_share(v, from, (double)(k + 1) / SEGMENTS);

		growing += growth_between(v, i, j) >= SEGMENT_SHARE * growth / SEGMENTS;
	}
	return growing;
}

/* RESIN 5.3: flat stretches between growing ones make a stair, most of the growth in very few
 * points a spike. */
static enum pattern pattern_of(const struct view *v, size_t from, double growth)
{
	size_t flat = 0, n = v->n - 1 - from, large = 0;
	double in_large = 0;

	for (size_t i = from; i + 1 < v->n; i++) {
		double d = growth_between(v, i, i + 1);

		flat += d < 0.1 * growth / (double)n;
		if (d > 0.1 * growth) {
			large++;
			in_large += d;
		}
	}
	if (in_large > 0.5 * growth && large <= 4)
		return PATTERN_SPIKE;
	return flat > n * 6 / 10 ? PATTERN_STAIR : PATTERN_STEADY;
}

static void verdict_is(struct suspect *r, enum verdict verdict, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void verdict_is(struct suspect *r, enum verdict verdict, const char *fmt, ...)
{
	va_list ap;

	r->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
}

/* Slopes of the outer parts of the interval against each other. */
static double late_to_early(const struct view *v, size_t from, double share)
{
	size_t early_end = at_share(v, from, share), late_start = at_share(v, from, 1 - share);
	double early = slope_of(v, from, early_end + 1).mid;
	double late = slope_of(v, late_start, v->n).mid;

	/* The median of the pairwise slopes of a series that rises in rare jumps is 0; what it
	 * gained from end to end says more there. */
	if (early <= 0 || late <= 0) {
		early = growth_between(v, from, early_end);
		late = growth_between(v, late_start, v->n - 1);
	}
	return early > 0 ? late / early : late > 0 ? 10 : 0;
}

static void judge_interval(const struct view *v, size_t from, double noise, struct suspect *r)
{
	double growth = growth_between(v, from, v->n - 1), halves = 0, error;
	unsigned growing = growing_segments(v, from, growth);
	struct slope s = slope_of(v, from, v->n);
	double per_hour = 3600e9 / (double)v->step_ns;
	char grown[UNITS_BYTES_MAX], took[UNITS_DURATION_MAX], swing[UNITS_BYTES_MAX];

	r->bytes_per_hour = s.mid * per_hour;
	error = 1.96 * increment_error(v, from);
	r->bytes_per_hour_lo = (s.mid - error < s.lo ? s.mid - error : s.lo) * per_hour;
	r->bytes_per_hour_hi = (s.mid + error > s.hi ? s.mid + error : s.hi) * per_hour;
	if (growing >= MIN_GROWING_SEGMENTS) {
		r->late_to_early = late_to_early(v, from, 1 / 3.);
		halves = late_to_early(v, from, 0.5);
	}
	r->severity = growth / (noise + 65536);
	r->pattern = pattern_of(v, from, growth);
	units_bytes((uint64_t)growth, grown);
	units_duration(r->end_ns - r->start_ns, took);
	units_bytes((uint64_t)noise, swing);
	if (growing < MIN_GROWING_SEGMENTS)
		verdict_is(r, VERDICT_STEP,
			"grew by %s in %s, but only in %u of %u parts of that time", grown, took,
			growing, SEGMENTS);
	else if (r->late_to_early < MIN_LATE_TO_EARLY_THIRDS || halves < MIN_LATE_TO_EARLY_HALVES)
		verdict_is(r, VERDICT_SATURATING,
			"grew by %s in %s, lately at %.0f %% of its early rate: it is filling up",
			grown, took, 100 * r->late_to_early);
	else if (growth < noise)
		verdict_is(r, VERDICT_SAWTOOTH,
			"the troughs rose by %s in %s, less than it swings by (%s)", grown, took,
			swing);
	else
		verdict_is(r, VERDICT_LEAK,
			"grew by %s in %s in all parts of that time, lately at %.0f %% of its early "
			"rate, and never came back",
			grown, took, 100 * r->late_to_early);
}

static void judge(struct view *v, const struct localize_rules *rules, struct suspect *r)
{
	double noise = noise_of(v), total = growth_between(v, 0, v->n - 1), least;
	size_t from = 0;
	char text[UNITS_BYTES_MAX];

	while (from + 1 < v->n && growth_between(v, 0, from + 1) <= START_SHARE * total)
		from++;
	r->start_ns = v->p[from].unix_ns;
	r->end_ns = v->p[v->n - 1].unix_ns;
	r->steps = (size_t)(at_steps(v, v->n - 1) - at_steps(v, from) + 0.5);
	r->from_bytes = v->envelope[from];
	r->to_bytes = v->envelope[v->n - 1];
	r->growth_bytes = growth_between(v, from, v->n - 1);
	least = (double)rules->min_growth_bytes;
	if (rules->min_growth_share * (double)r->from_bytes > least)
		least = rules->min_growth_share * (double)r->from_bytes;
	if (r->growth_bytes < least) {
		units_bytes((uint64_t)noise, text);
		if (largest_rise(v) > 2 * least)
			verdict_is(r, VERDICT_SAWTOOTH, "swings by %s, but its troughs do not rise",
				text);
		else
			verdict_is(r, VERDICT_FLAT, "does not grow by more than %s",
				units_bytes((uint64_t)least, text));
		r->start_ns = r->end_ns = 0;
		r->steps = 0;
		return;
	}
	if (r->steps < rules->min_steps) {
		bool swings = noise > r->growth_bytes / 2;

		verdict_is(r, swings ? VERDICT_SAWTOOTH : VERDICT_WARM_UP,
			"has been growing for %zu steps; a verdict takes %u", r->steps,
			rules->min_steps);
		return;
	}
	judge_interval(v, from, noise, r);
}

void localize(const struct series *s, const struct localize_rules *rules, struct suspect *ret)
{
	struct view *v;
	size_t skip = rules->warm_up_steps, n = s->n;

	*ret = (struct suspect){.verdict = VERDICT_TOO_SHORT};
	if (n < skip + rules->min_steps + MIN_LOOK_AHEAD) {
		verdict_is(ret, VERDICT_TOO_SHORT, "%zu of %zu steps seen", n,
			skip + rules->min_steps + MIN_LOOK_AHEAD);
		return;
	}
	if (n - skip > LOCALIZE_MAX_POINTS)
		skip = n - LOCALIZE_MAX_POINTS;
	v = calloc(1, sizeof(*v));
	if (!v) {
		verdict_is(ret, VERDICT_TOO_SHORT, "out of memory");
		return;
	}
	v->p = s->points + skip;
	n -= skip;
	v->step_ns = s->step_ns;
	for (size_t i = n; i-- > 0;) {
		uint64_t lo = v->p[i].lo;

		v->envelope[i] = i + 1 < n && v->envelope[i + 1] < lo ? v->envelope[i + 1] : lo;
	}
	v->n = n - (n / 8 > MIN_LOOK_AHEAD ? n / 8 : MIN_LOOK_AHEAD);
	judge(v, rules, ret);
	free(v);
}
