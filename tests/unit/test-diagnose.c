#include "unit.h"

#include <math.h>

#include "diagnose/diagnose.h"

#define MIB (UINT64_C(1) << 20)
#define N 20u

/* A profile of `n` sites and N checkpoints, one a second; live bytes come from a function. */
static void make(struct profile *p, uint32_t n)
{
	profile_init(p);
	p->n_checkpoints = N;
	p->duration_ns = N * UINT64_C(1000000000);
	p->checkpoint_ns = arena_array(&p->arena, N, sizeof(uint64_t));
	for (uint32_t i = 0; i < N; i++)
		p->checkpoint_ns[i] = (i + 1) * UINT64_C(1000000000);
	p->n_sites = n;
	p->sites = arena_array(&p->arena, n, sizeof(*p->sites));
	for (uint32_t i = 0; i < n; i++) {
		p->sites[i].live_bytes = arena_array(&p->arena, N, sizeof(uint64_t));
		p->sites[i].live_count = arena_array(&p->arena, N, sizeof(uint64_t));
		p->sites[i].label = "";
	}
}

static void set_site(struct site *s, uint64_t samples, uint64_t survivors, uint64_t (*at)(uint32_t))
{
	s->samples = samples;
	s->first_half = samples / 2;
	s->survivors = survivors;
	for (uint32_t i = 0; i < N; i++) {
		s->live_bytes[i] = at(i);
		s->live_count[i] = at(i) / 100;
	}
}

static uint64_t steady(uint32_t i)
{
	return (i + 1) * MIB + (i % 3) * (MIB / 20);
}

static uint64_t slower(uint32_t i)
{
	return steady(i) / 4;
}

static uint64_t flat(uint32_t i)
{
	return 500 * MIB + (i % 2 ? MIB : 0);
}

static uint64_t queue(uint32_t i)
{
	return i < 8 ? i * 2 * MIB : 16 * MIB - (i % 3) * MIB;
}

static uint64_t falling(uint32_t i)
{
	return (N - i) * MIB;
}

static uint64_t nothing(uint32_t i)
{
	return 0;
}

static void in_bounds(const struct diagnosis *d)
{
	double shares = 0;

	assert_true(d->n <= DIAGNOSIS_MAX_FINDINGS);
	assert_true(isfinite(d->growth_bytes_per_hour) && isfinite(d->explained));
	for (size_t i = 0; i < d->n; i++) {
		const struct finding *f = &d->findings[i];

		assert_true(f->kind < FINDING_KIND_MAX_);
		assert_true(f->share >= 0 && f->share <= 1 + 1e-9);
		assert_true(f->confidence >= 0 && f->confidence <= 1);
		assert_true(f->survival >= 0 && f->survival <= 1);
		assert_true(f->refute[0] && strlen(f->refute) < sizeof(f->refute));
		shares += f->share;
	}
	assert_true(shares <= 1 + 1e-9);
}

static void a_steady_leak_is_named_first(void **state)
{
	struct diagnosis d;
	struct profile p;

	make(&p, 6);
	set_site(&p.sites[0], 5000, 2490, flat);
	set_site(&p.sites[1], 400, 5, queue);
	set_site(&p.sites[2], 400, 198, steady);
	set_site(&p.sites[3], 4, 2, steady);
	set_site(&p.sites[4], 100, 49, slower);
	set_site(&p.sites[5], 300, 10, falling);
	p.anon_start_bytes = 600 * MIB;
	p.anon_end_bytes = 625 * MIB;
	diagnose(&p, &d);
	in_bounds(&d);
	assert_int_equal(d.n, 6);
	assert_ptr_equal(d.findings[0].site, &p.sites[2]);
	assert_int_equal(d.findings[0].kind, FINDING_LEAK);
	assert_true(d.findings[0].growth_bytes_per_hour > 3500. * MIB &&
		d.findings[0].growth_bytes_per_hour < 3700. * MIB);
	assert_int_equal(d.findings[0].live_bytes, steady(N - 1));
	assert_true(fabs(d.findings[0].survival - 198 / 200.) < 1e-9);
	assert_true(d.findings[0].confidence > 0.8);
	assert_ptr_equal(d.findings[1].site, &p.sites[4]);
	assert_int_equal(d.findings[1].kind, FINDING_LEAK);
	for (size_t i = 0; i < d.n; i++) {
		const struct finding *f = &d.findings[i];

		if (f->site == &p.sites[0] || f->site == &p.sites[3] || f->site == &p.sites[5]) {
			assert_int_equal(f->kind, FINDING_STABLE);
			assert_true(f->share == 0);
		} else if (f->site == &p.sites[1]) {
			assert_int_not_equal(f->kind, FINDING_LEAK);
		}
	}
	/* 25 MiB in 20 s are 4500 MiB/h; the sites explain that. */
	assert_true(fabs(d.explained - d.growth_bytes_per_hour / (4500. * MIB)) < 1e-6);
	profile_done(&p);
}

static void what_lets_go_is_growth_and_no_leak(void **state)
{
	struct diagnosis d;
	struct profile p;

	make(&p, 2);
	set_site(&p.sites[0], 400, 20, steady);
	set_site(&p.sites[1], 400, 199, slower);
	diagnose(&p, &d);
	in_bounds(&d);
	/* Four times the growth, but it turns over. */
	assert_ptr_equal(d.findings[0].site, &p.sites[1]);
	assert_int_equal(d.findings[0].kind, FINDING_LEAK);
	assert_int_equal(d.findings[1].kind, FINDING_GROWTH);
	assert_true(d.findings[1].confidence < d.findings[0].confidence);
	assert_non_null(strstr(d.findings[1].refute, "90 %"));
	profile_done(&p);
}

static uint64_t filling(uint32_t i)
{
	return i < 11 ? (i + 1) * 2 * MIB : 22 * MIB + (i - 10) * (MIB / 10);
}

static void what_slows_down_is_growth(void **state)
{
	struct diagnosis d;
	struct profile p;

	make(&p, 1);
	set_site(&p.sites[0], 400, 200, filling);
	diagnose(&p, &d);
	assert_int_equal(d.findings[0].kind, FINDING_GROWTH);
	assert_true(fabs(d.findings[0].share - 1) < 1e-9);
	profile_done(&p);
}

static void shares_sum_to_one(void **state)
{
	struct diagnosis d;
	struct profile p;
	double sum = 0;

	make(&p, 15);
	for (uint32_t i = 0; i < 15; i++)
		set_site(&p.sites[i], 100, i * 3, i % 5 == 0 ? flat : i % 2 ? steady : slower);
	diagnose(&p, &d);
	in_bounds(&d);
	for (size_t i = 0; i < d.n; i++)
		sum += d.findings[i].share;
	assert_true(fabs(sum - 1) < 1e-9);
	profile_done(&p);
}

static void the_twenty_most_important_of_many(void **state)
{
	struct diagnosis d;
	struct profile p;

	make(&p, 300);
	for (uint32_t i = 0; i < 300; i++)
		set_site(&p.sites[i], 1000, 0, flat);
	for (uint32_t i = 0; i < 25; i++) {
		set_site(&p.sites[i * 7], 100, 50, steady);
		for (uint32_t c = 0; c < N; c++)
			p.sites[i * 7].live_bytes[c] *= i + 1;
	}
	diagnose(&p, &d);
	in_bounds(&d);
	assert_int_equal(d.n, DIAGNOSIS_MAX_FINDINGS);
	for (uint32_t i = 0; i < DIAGNOSIS_MAX_FINDINGS; i++)
		assert_ptr_equal(d.findings[i].site, &p.sites[(24 - i) * 7]);
	profile_done(&p);
}

static void empty_and_short_profiles(void **state)
{
	struct diagnosis d;
	struct profile p;

	profile_init(&p);
	memset(&d, 0xa5, sizeof(d));
	diagnose(&p, &d);
	assert_int_equal(d.n, 0);
	assert_true(d.growth_bytes_per_hour == 0 && d.explained == 0);
	profile_done(&p);
	for (uint32_t n = 0; n < 3; n++) {
		make(&p, 2);
		set_site(&p.sites[0], 100, 50, steady);
		set_site(&p.sites[1], 100, 50, flat);
		p.n_checkpoints = n;
		diagnose(&p, &d);
		in_bounds(&d);
		assert_int_equal(d.n, 2);
		assert_int_equal(d.findings[0].kind, FINDING_STABLE);
		assert_int_equal(d.findings[0].live_bytes, n ? flat(n - 1) : 0);
		assert_true(d.growth_bytes_per_hour == 0);
		profile_done(&p);
	}
	make(&p, 1);
	set_site(&p.sites[0], 0, 0, nothing);
	diagnose(&p, &d);
	in_bounds(&d);
	assert_int_equal(d.findings[0].kind, FINDING_STABLE);
	for (uint32_t i = 0; i < N; i++)
		p.checkpoint_ns[i] = 5; /* all at one moment */
	set_site(&p.sites[0], 100, 50, steady);
	diagnose(&p, &d);
	in_bounds(&d);
	assert_int_equal(d.findings[0].kind, FINDING_STABLE);
	profile_done(&p);
}

static void explained_is_unknown_without_growth(void **state)
{
	struct diagnosis d;
	struct profile p;

	make(&p, 1);
	set_site(&p.sites[0], 100, 50, steady);
	p.anon_start_bytes = 100;
	p.anon_end_bytes = 50;
	diagnose(&p, &d);
	assert_true(d.explained == 0);
	p.anon_end_bytes = 200;
	p.duration_ns = 0;
	diagnose(&p, &d);
	assert_true(d.explained == 0);
	profile_done(&p);
}

static void numbers_stay_in_bounds(void **state)
{
	struct rng rng = {11};

	for (int round = 0; round < 2000; round++) {
		struct diagnosis d;
		struct profile p;
		uint32_t n = 1 + (uint32_t)rng_below(&rng, 8);

		make(&p, n);
		p.n_checkpoints = (uint32_t)rng_below(&rng, N + 1);
		p.anon_end_bytes = rng_next(&rng);
		for (uint32_t i = 0; i < n; i++) {
			struct site *s = &p.sites[i];
			uint64_t shift = rng_below(&rng, 64), slope = rng_next(&rng) >> 30;
			bool line = rng_below(&rng, 2);

			set_site(s, rng_below(&rng, 100), 0, nothing);
			s->survivors = rng_below(&rng, s->first_half + 1);
			for (uint32_t c = 0; c < N; c++)
				s->live_bytes[c] = line ? (N - c) * slope : rng_next(&rng) >> shift;
		}
		diagnose(&p, &d);
		in_bounds(&d);
		profile_done(&p);
	}
}

/* A profile comes over the wire: its counts need not fit together. */
static void more_survivors_than_samples(void **state)
{
	struct diagnosis d;
	struct profile p;

	make(&p, 1);
	set_site(&p.sites[0], 100, 5000, steady);
	diagnose(&p, &d);
	in_bounds(&d);
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_leak_is_named_first),
		cmocka_unit_test(what_lets_go_is_growth_and_no_leak),
		cmocka_unit_test(what_slows_down_is_growth),
		cmocka_unit_test(shares_sum_to_one),
		cmocka_unit_test(the_twenty_most_important_of_many),
		cmocka_unit_test(empty_and_short_profiles),
		cmocka_unit_test(explained_is_unknown_without_growth),
		cmocka_unit_test(numbers_stay_in_bounds),
		cmocka_unit_test(more_survivors_than_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
