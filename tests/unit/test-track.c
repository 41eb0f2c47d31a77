/*
 * The detector over weeks: fits, seasons, norms, and what it calls a leak. Every series is
 * generated from a seed, so that a failure comes back.
 */
#include "unit.h"

#include <math.h>

#include "localize/judge.h"

#define HOURS (28u * 24)
#define MIB 1048576.0

static double normal(struct rng *r)
{
	double u = ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
	double v = ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* -- fits ---------------------------------------------------------------------------------- */

static void test_hinge_finds_where_a_rise_begins(void **state)
{
	float y[FIT_MAX];
	struct hinge h;

	(void)state;
	for (unsigned from = 0; from <= 10; from++) {
		for (unsigned i = 0; i < FIT_MAX; i++)
			y[i] = i > from ? 3.f * (float)(i - from) : 0;
		fit_centre(y, FIT_MAX);
		h = fit_hinge(y, FIT_MAX, 5);
		assert_int_equal(h.from, from);
		assert_true(fabsf(h.slope - 3) < 1e-4f);
	}
	for (unsigned i = 0; i < FIT_MAX; i++)
		y[i] = -(float)i;
	fit_centre(y, FIT_MAX);
	assert_true(fit_hinge(y, FIT_MAX, 5).slope <= 0);
}

/* Against the definition: least squares of the regressor max(0, i - from). */
static void test_hinge_equals_least_squares(void **state)
{
	struct rng r = {77};
	float y[FIT_MAX];
	struct hinge h;
	double hm = 0, yy = 0, hy = 0, hh = 0;

	(void)state;
	for (unsigned i = 0; i < FIT_MAX; i++)
		y[i] = (float)(normal(&r) + 0.3 * i);
	fit_centre(y, FIT_MAX);
	h = fit_hinge(y, FIT_MAX, 5);
	for (unsigned i = 0; i < FIT_MAX; i++)
		hm += (i > h.from ? i - h.from : 0) / (double)FIT_MAX;
	for (unsigned i = 0; i < FIT_MAX; i++) {
		double x = (i > h.from ? i - h.from : 0) - hm;

		hy += x * (double)y[i];
		hh += x * x;
		yy += (double)(y[i] * y[i]);
	}
	assert_true(fabs((double)h.slope - hy / hh) < 1e-4);
	assert_true(fabs((double)h.gain - hy * hy / hh) < 1e-3);
	assert_true((double)h.gain <= yy);
}

static void test_steps_explain_steps(void **state)
{
	float y[FIT_MAX];
	double all = 0;
	struct steps s;

	(void)state;
	for (unsigned i = 0; i < FIT_MAX; i++)
		y[i] = i < 6 ? 0 : 5;
	fit_centre(y, FIT_MAX);
	for (unsigned i = 0; i < FIT_MAX; i++)
		all += (double)(y[i] * y[i]);
	s = fit_step(y, FIT_MAX);
	assert_int_equal(s.at, 6);
	assert_true(fabs((double)s.one - all) < 1e-3);
	for (unsigned i = 0; i < FIT_MAX; i++)
		y[i] = i < 4 ? 0 : i < 10 ? 2 : 7;
	fit_centre(y, FIT_MAX);
	all = 0;
	for (unsigned i = 0; i < FIT_MAX; i++)
		all += (double)(y[i] * y[i]);
	s = fit_two_steps(y, FIT_MAX);
	assert_true(fabs((double)s.two - all) < 1e-3 && s.one < s.two);
}

/* -- seasons ------------------------------------------------------------------------------- */

static void test_season_takes_the_day_out_and_leaves_the_trend(void **state)
{
	struct season s = {0};
	double worst = 0;
	float v;

	(void)state;
	season_begin(&s);
	for (unsigned h = 0; h < 10 * 24; h++) {
		double day = 100 * sin(6.2832 * (h % 24) / 24), trend = 0.5 * h;

		v = season_remove(&s, h % 24, (float)(day + trend), 1000);
		if (h >= 6 * 24)
			worst = fmax(worst, fabs((double)v - trend));
	}
	assert_true(worst < 5);
	v = season_remove(&s, 0, NAN, 1000);
	assert_true(isnan(v));
}

static void test_one_unusual_day_is_not_a_season(void **state)
{
	struct season s = {0};
	struct rng r = {5};
	double worst = 0;

	(void)state;
	season_begin(&s);
	for (unsigned h = 0; h < 20 * 24; h++) {
		double x = normal(&r) + (h / 24 == 9 && h % 24 < 6 ? 500 : 0);
		float v = season_remove(&s, h % 24, (float)x, 1e9f);

		if (h >= 11 * 24)
			worst = fmax(worst, fabs((double)v));
	}
	assert_true(worst < 6);
}

/* -- norms --------------------------------------------------------------------------------- */

static void live(struct norm *n, double tau, double part, uint32_t hours)
{
	struct life l;

	life_init(&l);
	for (uint32_t age = 1; age <= hours; age++)
		life_goes_on(&l, n, age, (float)(1e8 * (1 + part * (1 - exp(-(double)age / tau)))),
			1e8f, 1e5f);
}

static void test_norm_learns_how_lives_fill(void **state)
{
	struct norm n;
	float share;

	(void)state;
	norm_init(&n);
	assert_false(norm_usual(&n, 3, 100, &share));
	assert_false(norm_usual(NULL, 3, 100, &share));
	for (int i = 0; i < 4; i++)
		live(&n, 20, 0.8, 400);
	assert_true(norm_usual(&n, 3, 100, &share));
	assert_true(share > 0.6f && share < 1.2f);
	assert_true(norm_usual(&n, 150, 300, &share) && share < 0.01f);
}

static void test_norm_does_not_learn_a_leak(void **state)
{
	struct norm n;
	struct life l;
	float share;

	(void)state;
	norm_init(&n);
	for (int i = 0; i < 5; i++) {
		life_init(&l);
		for (uint32_t age = 1; age <= 400; age++)
			life_goes_on(&l, &n, age, (float)(1e8 * (1 + 0.01 * age)), 1e8f, 1e5f);
	}
	assert_true(!norm_usual(&n, 3, 300, &share) || share < 0.05f);
}

/* -- tracks -------------------------------------------------------------------------------- */

enum shape {
	FLAT,
	LEAK,
	SLOW_LEAK,
	CACHE,
	STEP,
	TEETH,
	DAY,
	STAIR,
	LOAD,
	LEAK_AND_DAY,
	DIP,
	SHAPES
};

static double value_at(enum shape s, uint32_t h, struct rng *r, double *load)
{
	double x = 400 + 4 * normal(r), since = h > 200 ? h - 200 : 0;

	*load = NAN;
	switch (s) {
	case LEAK:
		return x + since * 1.0;
	case SLOW_LEAK:
		return x + since * 0.1;
	case CACHE:
		return x + 500 * (1 - exp(-(double)h / 40));
	case STEP:
		return x + (h > 300 ? 150 : 0);
	case TEETH:
		return x + 15 * (h % 11);
	case DAY:
		return x + 80 * sin(6.2832 * (h % 24) / 24);
	case STAIR:
		return x + 20 * floor(since / 12);
	case LOAD:
		*load = 100 * (1 + fmin(since / 168, 1)) + normal(r);
		return x + 3 * (*load - 100);
	case LEAK_AND_DAY:
		return x + 80 * sin(6.2832 * (h % 24) / 24) + since;
	case DIP:
		return x - (h % 150 > 100 && h % 150 < 140 ? 100 - 2.5 * (h % 150 - 100) : 0);
	default:
		return x;
	}
}

/* Runs `shape`; the alarm's hour, or TRACK_NEVER. */
static uint32_t run(enum shape shape, uint64_t seed, struct detection *d)
{
	struct rng r = {seed * 7919 + shape + 1};
	struct track t;
	struct norm n;
	uint32_t alarm;

	norm_init(&n);
	track_init(&t);
	for (uint32_t h = 0; h < HOURS; h++) {
		double load, v = value_at(shape, h, &r, &load) * MIB;

		assert_int_equal(track_add(&t, &track_rules_default, &n, v, load), 0);
	}
	judge_track(&t, &track_rules_default, (uint64_t)HOURS * 3600 * 1000000000,
		3600ull * 1000000000, 8192 * MIB, d);
	alarm = t.first_alarm;
	track_done(&t);
	return alarm;
}

static void test_leaks_are_called_and_look_alikes_are_not(void **state)
{
	static const bool leaks[SHAPES] = {
		[LEAK] = true, [SLOW_LEAK] = true, [STAIR] = true, [LEAK_AND_DAY] = true};

	(void)state;
	for (unsigned s = 0; s < SHAPES; s++) {
		for (uint64_t seed = 1; seed <= 20; seed++) {
			struct detection d;
			uint32_t alarm = run((enum shape)s, seed, &d);

			if (leaks[s] != (alarm != TRACK_NEVER && alarm > 200))
				fail_msg("shape %u, seed %llu: alarm in hour %u, %s (%s)", s,
					(unsigned long long)seed, alarm,
					detection_verdict_name(d.verdict),
					behaviour_kind_name(d.behaviour));
		}
	}
}

static void test_what_is_said_of_a_leak(void **state)
{
	struct detection d;
	uint32_t alarm = run(LEAK, 3, &d);

	(void)state;
	assert_true(alarm > 200 && alarm < 240);
	assert_int_equal(d.verdict, DETECTION_LEAK);
	assert_int_equal(d.behaviour, BEHAVIOUR_KIND_LEAK);
	assert_int_equal(d.pattern, PATTERN_STEADY);
	assert_true(d.bytes_per_hour_lo < MIB && d.bytes_per_hour_hi > MIB);
	assert_true(d.bytes_per_hour > 0.9 * MIB && d.bytes_per_hour < 1.1 * MIB);
	assert_true(d.start_ns / 3600000000000 >= 180 && d.start_ns / 3600000000000 <= 300);
	assert_true(d.first_alarm_ns == (uint64_t)(alarm + 1) * 3600000000000);
	/* 8192 - 400 - 472 MiB at 1 MiB/h. */
	assert_true(d.forecast.known && d.forecast.hours_lo < 7320 && d.forecast.hours_hi > 7320);
	assert_true(d.n_reasons >= 3 && strstr(d.reason[0], "rose by"));
}

static void test_behaviours_are_named(void **state)
{
	struct detection d;

	(void)state;
	(void)run(STEP, 2, &d);
	assert_int_equal(d.behaviour, BEHAVIOUR_KIND_STEP);
	(void)run(TEETH, 2, &d);
	assert_int_equal(d.behaviour, BEHAVIOUR_KIND_SAWTOOTH);
	(void)run(FLAT, 2, &d);
	assert_int_equal(d.behaviour, BEHAVIOUR_KIND_FLAT);
	assert_int_equal(d.verdict, DETECTION_OK);
}

static void test_a_restart_is_no_cure(void **state)
{
	struct rng r = {11};
	struct track t;
	struct norm n;

	(void)state;
	norm_init(&n);
	/* Two healthy lives before, so that it is known what a start adds. */
	for (int i = 0; i < 3; i++)
		live(&n, 5, 0.4, 200);
	track_init(&t);
	for (uint32_t h = 0; h < HOURS; h++) {
		double age = h % 40, x = 400 * (1 + 0.4 * (1 - exp(-age / 5))) + normal(&r);

		if (h > 0 && age == 0)
			track_restart(&t, &track_rules_default, &n);
		assert_int_equal(
			track_add(&t, &track_rules_default, &n, (x + 2 * age) * MIB, NAN), 0);
	}
	assert_true(t.first_alarm != TRACK_NEVER && t.first_alarm > 40);
	track_done(&t);
}

static void test_bad_input_has_an_outcome(void **state)
{
	struct track t;
	struct detection d;

	(void)state;
	track_init(&t);
	judge_track(&t, &track_rules_default, 0, 1, 0, &d);
	assert_int_equal(d.verdict, DETECTION_UNKNOWN);
	assert_int_equal(track_add(&t, &track_rules_default, NULL, NAN, NAN), 0);
	assert_int_equal(track_add(&t, &track_rules_default, NULL, 5e6, NAN), 0);
	judge_track(&t, &track_rules_default, 2, 1, 0, &d);
	assert_int_equal(d.verdict, DETECTION_UNKNOWN);
	assert_true(d.size_bytes == 5e6);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(
			track_add(&t, &track_rules_default, NULL, i % 7 ? NAN : 5e6, NAN), 0);
	assert_int_equal(t.first_alarm, TRACK_NEVER);
	track_done(&t);
	track_init(&t);
	for (int i = 0; i < 1000; i++) {
		double v = i % 3 ? 0 : 1.8e19;

		assert_int_equal(track_add(&t, &track_rules_default, NULL, v, 1e30), 0);
		assert_false(isnan(t.score));
	}
	track_done(&t);
	track_done(NULL);
}

static void test_minima_are_kept_for_30_days(void **state)
{
	struct track t;

	(void)state;
	track_init(&t);
	for (uint32_t h = 0; h < 1000; h++)
		assert_int_equal(track_add(&t, &track_rules_default, NULL, h, NAN), 0);
	for (uint32_t ago = 0; ago < TRACK_MINIMA; ago++)
		assert_true(track_minimum(&t, ago) == 999 - ago);
	assert_true(isnan(track_minimum(&t, TRACK_MINIMA)));
	track_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hinge_finds_where_a_rise_begins),
		cmocka_unit_test(test_hinge_equals_least_squares),
		cmocka_unit_test(test_steps_explain_steps),
		cmocka_unit_test(test_season_takes_the_day_out_and_leaves_the_trend),
		cmocka_unit_test(test_one_unusual_day_is_not_a_season),
		cmocka_unit_test(test_norm_learns_how_lives_fill),
		cmocka_unit_test(test_norm_does_not_learn_a_leak),
		cmocka_unit_test(test_leaks_are_called_and_look_alikes_are_not),
		cmocka_unit_test(test_what_is_said_of_a_leak),
		cmocka_unit_test(test_behaviours_are_named),
		cmocka_unit_test(test_a_restart_is_no_cure),
		cmocka_unit_test(test_bad_input_has_an_outcome),
		cmocka_unit_test(test_minima_are_kept_for_30_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
