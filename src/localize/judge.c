#include "localize/judge.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/units.h"

#define GOES_ON_HOURS 24u
#define TWO_DAYS 48u
#define WEEK 168u
#define WARM_UP_HOURS 36u /* what fills for longer is called a cache */
#define WEEK_HOURS 168.0
/* The rate of a leak changes by itself: random portions, more load. Relative standard deviation of
 * what a rate will be over the coming stretch, fitted with bench/accuracy/forecast.c. */
#define RATE_WANDERS 0.2
#define EIGHTY_PERCENT 1.2816

const char *track_state_name(enum track_state s)
{
	static const char *const names[] = {
		[TRACK_YOUNG] = "young",
		[TRACK_FLAT] = "flat",
		[TRACK_RISING] = "rising",
		[TRACK_STEP] = "step",
		[TRACK_SATURATING] = "saturating",
		[TRACK_RETURNING] = "returning",
		[TRACK_AGEING] = "ageing",
		[TRACK_LOADED] = "loaded",
		[TRACK_LEAKING] = "leaking",
	};

	return names[s];
}

static void reason(struct detection *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void reason(struct detection *d, const char *fmt, ...)
{
	va_list ap;

	if (d->n_reasons == DETECTION_REASONS)
		return;
	va_start(ap, fmt);
	vsnprintf(d->reason[d->n_reasons++], DETECTION_REASON_BYTES, fmt, ap);
	va_end(ap);
}

/* The level that describes the entity best: a leak before anything else, then the strongest rise;
 * of equal ones the coarser, which has seen more. NULL: no level says anything. */
static const struct track_look *telling_look(const struct track *t)
{
	const struct track_look *best = NULL;

	for (unsigned l = TRACK_LEVELS; l-- > 0;) {
		const struct track_look *k = &t->looks[l];

		if (k->state == TRACK_YOUNG)
			continue;
		if (!best || (k->state == TRACK_LEAKING && best->state != TRACK_LEAKING) ||
			((k->state == TRACK_LEAKING) == (best->state == TRACK_LEAKING) &&
				(best->state == TRACK_FLAT || k->z > 1.5f * best->z) &&
				k->state != TRACK_FLAT))
			best = k;
	}
	return best;
}

/* Growth far above what the troughs do, back again several times. */
static bool swings(const struct track *t)
{
	double lo = INFINITY, hi = -INFINITY, falls = 0, previous = NAN;
	uint32_t n = t->hours < 168 ? t->hours : 168;

	for (uint32_t i = 0; i < n; i++) {
		double v = track_minimum(t, n - 1 - i);

		if (isnan(v))
			continue;
		lo = fmin(lo, v);
		hi = fmax(hi, v);
	}
	for (uint32_t i = 0; i < n; i++) {
		double v = track_minimum(t, n - 1 - i);

		falls += previous - v > 0.4 * (hi - lo);
		if (!isnan(v))
			previous = v;
	}
	return falls >= 3 && hi - lo > 0.1 * hi;
}

static enum behaviour_kind behaviour_of(const struct track *t, const struct track_look *k)
{
	bool young = t->age <= WARM_UP_HOURS;

	switch (k ? k->state : TRACK_YOUNG) {
	case TRACK_RISING:
		return BEHAVIOUR_KIND_GROWTH;
	case TRACK_STEP:
		return BEHAVIOUR_KIND_STEP;
	case TRACK_SATURATING:
	case TRACK_AGEING:
		return young ? BEHAVIOUR_KIND_WARM_UP : BEHAVIOUR_KIND_CACHE_FILLING;
	case TRACK_RETURNING:
		return swings(t) ? BEHAVIOUR_KIND_SAWTOOTH : BEHAVIOUR_KIND_RETURNING;
	case TRACK_LOADED:
		return BEHAVIOUR_KIND_LOAD;
	case TRACK_LEAKING:
		return BEHAVIOUR_KIND_LEAK;
	case TRACK_FLAT:
		return swings(t) ? BEHAVIOUR_KIND_SAWTOOTH : BEHAVIOUR_KIND_FLAT;
	default:
		return BEHAVIOUR_KIND_YOUNG;
	}
}

/* RESIN 5.3: a rise that lies between flat stretches is a stair, one in a few points a spike. */
static enum pattern pattern_of(const struct track *t, uint32_t begins, double growth)
{
	float sum, largest;
	unsigned jumps = track_jumps(t, begins, &sum, &largest);

	if ((double)sum < 0.5 * growth)
		return PATTERN_STEADY;
	return jumps <= 4 ? PATTERN_SPIKE : PATTERN_STAIR;
}

/* Where the line is now: the mean of the last day, moved to its end. An hour alone is too noisy. */
static double size_now(const struct track *t, double per_hour)
{
	double sum = 0, n = 0;

	for (uint32_t ago = 0; ago < 24 && ago < t->hours; ago++) {
		double v = track_minimum(t, ago);

		if (isnan(v))
			continue;
		sum += v + per_hour * (ago + 0.5);
		n++;
	}
	return n > 0 ? sum / n : NAN;
}

/* The relative variance of the time to the limit: the slope's, that of a rate which changes by
 * itself, that of where we are now, and, where it comes in a few portions, that of their number. */
static double relative_variance(
	const struct detection *d, const struct track *t, const struct track_look *k, double left)
{
	uint32_t begins = track_rise_begins(k);
	double se = (double)k->rate_se / (double)k->rate, now = sqrt((double)t->var[0]) / left;
	double v = se * se + RATE_WANDERS * RATE_WANDERS + now * now;
	float sum, largest;
	unsigned jumps = track_jumps(t, begins, &sum, &largest);

	if (jumps > 0 && (double)sum > 0.3 * d->growth_bytes)
		v += 1. / jumps + (double)sum / jumps / left;
	return v;
}

static void forecast(struct detection *d, const struct track *t, const struct track_look *k,
	double limit_bytes, uint64_t hour_ns)
{
	double per_hour = (double)k->rate, left, sd, unit = (double)hour_ns / 3600e9;

	if (limit_bytes <= 0 || per_hour <= 0)
		return;
	left = limit_bytes - size_now(t, per_hour);
	if (!(left > 0)) {
		d->forecast = (struct forecast){.known = true, .limit_bytes = limit_bytes};
		return;
	}
	sd = EIGHTY_PERCENT * sqrt(relative_variance(d, t, k, left));
	d->forecast = (struct forecast){
		.known = true,
		.limit_bytes = limit_bytes,
		.hours = left / per_hour * unit,
		.hours_lo = left / per_hour * unit / (1 + sd),
		.hours_hi = sd < 1 ? left / per_hour * unit / (1 - sd) : INFINITY,
	};
}

static double severity(const struct detection *d, double limit_bytes)
{
	double way = limit_bytes > 0 ? limit_bytes - d->size_bytes : d->size_bytes;

	if (d->bytes_per_hour <= 0)
		return 0;
	return way > 0 ? fmin(100, 100 * WEEK_HOURS * d->bytes_per_hour / way) : 100;
}

/* Foreign numbers may be anything; what is printed fits. */
static uint64_t as_bytes(double v)
{
	return v > 0 ? (uint64_t)fmin(v, 0x1p63) : 0;
}

static void say_growth(
	struct detection *d, const struct track_look *k, uint64_t hour_ns, uint32_t hours)
{
	char grown[UNITS_BYTES_MAX], took[UNITS_DURATION_MAX];

	reason(d, "rose by %s in %s, %.1f standard errors above what its noise explains",
		units_bytes(as_bytes(d->growth_bytes), grown),
		units_duration(hours * hour_ns, took), (double)k->z);
}

static void say_why(struct detection *d, const struct track *t, const struct track_rules *rules,
	const struct track_look *k)
{
	double pace = 100 * (double)k->late_early;

	switch (k->state) {
	case TRACK_LEAKING:
		reason(d, "an even rise explains it better than steps do, by %.0f noise variances",
			(double)k->step_gain);
		reason(d, "it does not slow down: the second half runs at %.0f %% of the first",
			pace);
		if (t->load)
			reason(d, "its load did not grow by enough to explain it");
		if (t->lives > 0)
			reason(d, "%.0f %% of its earlier lives grew, too",
				100 * (double)(t->rising_lives / t->lives));
		break;
	case TRACK_RISING:
		if (k->from_birth)
			reason(d,
				"it has grown since its start and no other life is known: it may "
				"be filling");
		else
			reason(d, "a leak takes %.0f standard errors", (double)rules->z);
		if (k->step_gain < rules->step_gain)
			reason(d, "a step explains it nearly as well");
		break;
	case TRACK_STEP:
		reason(d, "steps explain it as well as a rise does");
		break;
	case TRACK_SATURATING:
		reason(d, "it slows down: the second half runs at %.0f %% of the first", pace);
		break;
	case TRACK_AGEING:
		reason(d, "earlier lives of this component grew like this at the same age");
		break;
	case TRACK_RETURNING:
		reason(d, "it is not higher than it was before");
		break;
	case TRACK_LOADED:
		reason(d, "its load grew at least two thirds as much, at the same time");
		break;
	default:
		break;
	}
}

static void describe(struct detection *d, const struct track *t, const struct track_rules *rules,
	const struct track_look *k, uint64_t end_ns, uint64_t hour_ns)
{
	uint32_t begins = track_rise_begins(k), hours = t->hours - begins;

	d->start_ns = end_ns > hours * hour_ns ? end_ns - hours * hour_ns : 0;
	d->end_ns = end_ns;
	d->bytes_per_hour = (double)k->rate * 3600e9 / (double)hour_ns;
	d->bytes_per_hour_lo =
		d->bytes_per_hour - 1.96 * (double)k->rate_se * 3600e9 / (double)hour_ns;
	d->bytes_per_hour_hi =
		d->bytes_per_hour + 1.96 * (double)k->rate_se * 3600e9 / (double)hour_ns;
	d->growth_bytes = (double)k->rate * hours;
	d->pattern = pattern_of(t, begins, d->growth_bytes);
	say_growth(d, k, hour_ns, hours);
	say_why(d, t, rules, k);
}

static uint32_t silence_of(const struct track *t)
{
	return t->alarm_block > GOES_ON_HOURS ? t->alarm_block : GOES_ON_HOURS;
}

bool judge_alarm_goes_on(const struct track *t)
{
	return t->last_alarm != TRACK_NEVER && t->hours - t->last_alarm <= silence_of(t);
}

void judge_track(const struct track *t, const struct track_rules *rules, uint64_t end_ns,
	uint64_t hour_ns, double limit_bytes, struct detection *ret)
{
	const struct track_look *k = telling_look(t);
	bool alarmed = t->first_alarm != TRACK_NEVER;
	uint32_t quiet = alarmed ? t->hours - t->last_alarm : 0;

	*ret = (struct detection){.verdict = DETECTION_UNKNOWN, .pattern = PATTERN_NONE};
	for (uint32_t ago = 0; ago < t->hours && ago < TRACK_MINIMA; ago++) {
		ret->size_bytes = track_minimum(t, ago);
		if (!isnan(ret->size_bytes))
			break;
	}
	if (isnan(ret->size_bytes))
		ret->size_bytes = 0;
	if (alarmed)
		ret->first_alarm_ns = end_ns - (uint64_t)(t->hours - 1 - t->first_alarm) * hour_ns;
	ret->behaviour = behaviour_of(t, k);
	if (k && k->z > 0 && k->state != TRACK_FLAT)
		describe(ret, t, rules, k, end_ns, hour_ns);
	if (judge_alarm_goes_on(t)) {
		ret->verdict = DETECTION_LEAK;
		ret->behaviour = BEHAVIOUR_KIND_LEAK;
	} else if (alarmed && quiet <= silence_of(t) + WEEK) {
		ret->verdict = DETECTION_WATCH;
		reason(ret, "it was called a leak, but has not gone on for the last day");
	} else if (k) {
		ret->verdict = k->state == TRACK_RISING ? DETECTION_WATCH : DETECTION_OK;
		if (alarmed)
			reason(ret, "it was called a leak, but has not gone on for %u days",
				quiet / 24);
	}
	if (ret->verdict == DETECTION_UNKNOWN && t->age + TWO_DAYS <= t->hours)
		reason(ret,
			"%u hours seen, but its process is %u h old; a judgement takes "
			"two days of one process",
			t->hours, t->age);
	else if (ret->verdict == DETECTION_UNKNOWN)
		reason(ret, "%u hours seen; a judgement takes two days", t->hours);
	else if (ret->n_reasons == 0)
		reason(ret, "%s", behaviour_kind_help(ret->behaviour));
	ret->severity = ret->verdict >= DETECTION_WATCH ? severity(ret, limit_bytes) : 0;
	if (ret->verdict >= DETECTION_WATCH && k)
		forecast(ret, t, k, limit_bytes, hour_ns);
}
