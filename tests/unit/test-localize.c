/*
 * Localize: what is a leak, what is not, and that only the number of steps counts, not their
 * length. Every series is generated; seeds are fixed, so that a failure repeats.
 */
#include "localize/localize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 160u
#define SECOND 1000000000ull

static const struct localize_rules rules = {.min_steps = 48,
	.warm_up_steps = 8,
	.min_growth_bytes = 8u << 20,
	.min_growth_share = 0.02};

static unsigned seed;

static double uniform(void)
{
	return (rand_r(&seed) + 1.0) / ((double)RAND_MAX + 2.0);
}

static double gauss(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double poisson(double mean)
{
	double v = mean + sqrt(mean) * gauss();

	return v > 0 ? floor(v + 0.5) : 0;
}

enum shape {
	LEAK,
	LEAK_OF_LARGE_BLOCKS,
	LEAK_UNDER_A_SAWTOOTH,
	CACHE,
	SAWTOOTH,
	NOISE,
	STEP,
	SHRINKING,
	FLAT,
};

static void generate(enum shape shape, unsigned trial, uint64_t step_ns, struct point *p)
{
	double size = 40e6, leaked = 0, filled = 0, tooth = 0;

	seed = trial * 977 + (unsigned)shape;
	for (unsigned i = 0; i < N; i++) {
		double v = size;

		switch (shape) {
		case LEAK:
			leaked += poisson(50) * 8192;
			v += leaked;
			break;
		case LEAK_OF_LARGE_BLOCKS:
			leaked += poisson(5) * 65536;
			v += leaked;
			break;
		case LEAK_UNDER_A_SAWTOOTH:
			tooth = tooth > 30e6 ? 0 : tooth + 3e6;
			leaked += poisson(80) * 8192;
			v += leaked + tooth;
			break;
		case CACHE: /* time constant 40 steps */
			filled += poisson((1 - filled / 8000) * 200);
			v += filled * 16384;
			break;
		case SAWTOOTH:
			tooth = tooth > 48e6 ? 0 : tooth + 2e6;
			v += tooth;
			break;
		case NOISE:
			v = 200e6 + 2e6 * gauss();
			break;
		case STEP:
			v += i > 70 ? 60e6 : 0;
			break;
		case SHRINKING:
			v = 200e6 - i * 1e6;
			break;
		case FLAT:
			break;
		}
		p[i] = (struct point){.unix_ns = 1700000000 * SECOND + i * step_ns,
			.lo = (uint64_t)v,
			.last = (uint64_t)v,
			.hi = (uint64_t)(v + fabs(gauss()) * 200e3)};
	}
}

/* Judges after every step, as the server does; the first step at which it is called a leak. */
static unsigned first_alarm(const struct point *p, uint64_t step_ns)
{
	struct suspect s;

	for (unsigned n = 1; n <= N; n++) {
		struct series series = {p, n, step_ns};

		localize(&series, &rules, &s);
		assert_int_not_equal(s.reason[0], 0);
		if (s.verdict == VERDICT_LEAK)
			return n;
	}
	return 0;
}

static void leaks_are_found_soon(void **state)
{
	static const enum shape shapes[] = {LEAK, LEAK_OF_LARGE_BLOCKS, LEAK_UNDER_A_SAWTOOTH};
	struct point p[N];

	for (size_t k = 0; k < 3; k++) {
		for (unsigned trial = 0; trial < 15; trial++) {
			unsigned at;

			generate(shapes[k], trial, SECOND, p);
			at = first_alarm(p, SECOND);
			assert_in_range(
				at, rules.min_steps, shapes[k] == LEAK_UNDER_A_SAWTOOTH ? 140 : 90);
		}
	}
}

static void look_alikes_never_alarm(void **state)
{
	static const enum shape shapes[] = {CACHE, SAWTOOTH, NOISE, STEP, SHRINKING, FLAT};
	struct point p[N];

	for (size_t k = 0; k < 6; k++) {
		for (unsigned trial = 0; trial < 15; trial++) {
			generate(shapes[k], trial, SECOND, p);
			if (first_alarm(p, SECOND))
				fail_msg("shape %zu, trial %u is called a leak", k, trial);
		}
	}
}

static enum verdict verdict_at_end(enum shape shape)
{
	struct series s = {NULL, N, SECOND};
	struct point p[N];
	struct suspect r;

	generate(shape, 1, SECOND, p);
	s.points = p;
	localize(&s, &rules, &r);
	return r.verdict;
}

static void verdicts_name_the_behaviour(void **state)
{
	assert_int_equal(verdict_at_end(LEAK), VERDICT_LEAK);
	assert_int_equal(verdict_at_end(CACHE), VERDICT_SATURATING);
	assert_int_equal(verdict_at_end(SAWTOOTH), VERDICT_SAWTOOTH);
	assert_int_equal(verdict_at_end(FLAT), VERDICT_FLAT);
	assert_int_equal(verdict_at_end(SHRINKING), VERDICT_FLAT);
	assert_true(
		verdict_at_end(STEP) == VERDICT_STEP || verdict_at_end(STEP) == VERDICT_WARM_UP);
}

/* All periods scaled together: the same verdict at the same step, for every shape and scale. */
static void only_the_number_of_steps_counts(void **state)
{
	static const uint64_t scales[] = {1, 120, 3600};
	struct point a[N], b[N];

	for (enum shape shape = LEAK; shape <= FLAT; shape++) {
		generate(shape, 3, SECOND, a);
		for (size_t k = 0; k < 3; k++) {
			for (unsigned n = 50; n <= N; n += 11) {
				struct series sa = {a, n, SECOND}, sb = {b, n, scales[k] * SECOND};
				struct suspect ra, rb;

				generate(shape, 3, scales[k] * SECOND, b);
				localize(&sa, &rules, &ra);
				localize(&sb, &rules, &rb);
				assert_int_equal(ra.verdict, rb.verdict);
				assert_int_equal(ra.pattern, rb.pattern);
				assert_int_equal(ra.steps, rb.steps);
				assert_true(fabs(ra.bytes_per_hour -
						    rb.bytes_per_hour * (double)scales[k]) <=
					1e-6 * fabs(ra.bytes_per_hour) + 1e-9);
			}
		}
	}
}

static void rate_and_interval_are_right(void **state)
{
	struct point p[N];
	struct series s = {p, N, SECOND};
	struct suspect r;
	unsigned covered = 0;

	/* Flat for 40 steps, then exactly 1 MiB a step. */
	for (unsigned i = 0; i < N; i++) {
		uint64_t v = (50u << 20) + (i > 40 ? (uint64_t)(i - 40) << 20 : 0);

		p[i] = (struct point){1700000000 * SECOND + i * SECOND, v, v, v};
	}
	localize(&s, &rules, &r);
	assert_int_equal(r.verdict, VERDICT_LEAK);
	assert_true(fabs(r.bytes_per_hour / (3600. * 1048576) - 1) < 0.02);
	assert_in_range(r.start_ns, 1700000038 * SECOND, 1700000045 * SECOND);
	assert_int_equal(r.pattern, PATTERN_STEADY);
	/* The 95 % interval holds the true rate most of the time. */
	for (unsigned trial = 0; trial < 40; trial++) {
		generate(LEAK, trial, SECOND, p);
		localize(&s, &rules, &r);
		covered += r.bytes_per_hour_lo <= 50 * 8192 * 3600. &&
			r.bytes_per_hour_hi >= 50 * 8192 * 3600.;
		assert_true(r.bytes_per_hour_lo <= r.bytes_per_hour &&
			r.bytes_per_hour <= r.bytes_per_hour_hi);
	}
	assert_true(
		covered >= 20); /* a random walk is no white noise: less than the nominal 95 % */
}

static void small_growth_and_short_series_are_left_alone(void **state)
{
	struct localize_rules strict = rules;
	struct point p[N];
	struct series s = {p, 0, SECOND};
	struct suspect r;

	generate(LEAK, 1, SECOND, p);
	for (unsigned n = 0; n < rules.min_steps + rules.warm_up_steps; n++) {
		s.n = n;
		localize(&s, &rules, &r);
		assert_int_equal(r.verdict, VERDICT_TOO_SHORT);
	}
	s.n = N;
	strict.min_growth_bytes = 1ull << 40;
	localize(&s, &strict, &r);
	assert_int_equal(r.verdict, VERDICT_FLAT);
	strict = rules;
	strict.min_growth_share = 50;
	localize(&s, &strict, &r);
	assert_int_equal(r.verdict, VERDICT_FLAT);
}

/* Gaps, equal times and absurd values must not crash it, nor turn noise into a leak. */
static void odd_series(void **state)
{
	struct point p[N];
	struct series s = {p, N, SECOND};
	struct suspect r;

	generate(LEAK, 5, SECOND, p);
	for (unsigned i = 60; i < N; i++)
		p[i].unix_ns += 500 * SECOND;
	localize(&s, &rules, &r);
	for (unsigned i = 0; i < N; i++)
		p[i] = (struct point){5, i, i, i};
	localize(&s, &rules, &r);
	assert_int_not_equal(r.verdict, VERDICT_LEAK);
	for (unsigned i = 0; i < N; i++)
		p[i] = (struct point){i * SECOND, i % 2 ? UINT64_MAX : 0, 0, UINT64_MAX};
	localize(&s, &rules, &r);
	assert_int_not_equal(r.verdict, VERDICT_LEAK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaks_are_found_soon),
		cmocka_unit_test(look_alikes_never_alarm),
		cmocka_unit_test(verdicts_name_the_behaviour),
		cmocka_unit_test(only_the_number_of_steps_counts),
		cmocka_unit_test(rate_and_interval_are_right),
		cmocka_unit_test(small_growth_and_short_series_are_left_alone),
		cmocka_unit_test(odd_series),
	};

	return cmocka_run_group_tests_name("localize", tests, NULL, NULL);
}
