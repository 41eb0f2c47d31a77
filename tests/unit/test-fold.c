#include "torture.h"

#include <math.h>

#include "snapshot/fold.h"

static void open_fold(struct fold *f, size_t sites)
{
	fold_init(f, 1000, 2000);
	assert_int_equal(fold_reserve_sites(f, sites), 0);
}

static void alloc_at(struct fold *f, uint64_t seq, uint64_t addr, uint32_t site)
{
	assert_int_equal(fold_alloc(f, seq, addr, 100, 0, 1500, site), 0);
}

static void free_at(struct fold *f, uint64_t seq, uint64_t addr)
{
	assert_int_equal(fold_free(f, seq, addr), 0);
}

static void apply(struct fold *f)
{
	assert_int_equal(fold_apply(f), 0);
}

/* A Poisson process over the bytes, as the probe samples: an allocation of S bytes is hit with
 * probability 1 - exp(-S / R). */
static void weights_are_unbiased(void **state)
{
	static const uint64_t sizes[] = {16, 100, 1000, 4096, 20000, 200000};
	const uint64_t period = 4096;
	struct rng rng = {31337};

	for (size_t s = 0; s < COUNT(sizes); s++) {
		double truth = 0, estimate = 0, count = 0;
		int n = sizes[s] < 1000 ? 400000 : 100000;

		for (int i = 0; i < n; i++) {
			double next = -log(rng_unit(&rng)) * (double)period;

			truth += (double)sizes[s];
			if (next <= (double)sizes[s]) {
				double w = fold_weight(sizes[s], period);

				estimate += w;
				count += w / (double)sizes[s];
			}
		}
		assert_true(fabs(estimate / truth - 1) < 0.06);
		assert_true(fabs(count / n - 1) < 0.06);
	}
}

static void weights_at_the_edges(void **state)
{
	assert_true(fold_weight(0, 4096) == 0);
	assert_true(fold_weight(0, 0) == 0);
	assert_true(fold_weight(100, 0) == 100);
	assert_true(fabs(fold_weight(1, 1u << 20) - (1 << 20)) < 1);
	assert_true(fabs(fold_weight(1u << 30, 4096) - (1 << 30)) < 1);
	assert_true(isfinite(fold_weight(UINT64_MAX, 1)));
	assert_true(isfinite(fold_weight(1, UINT64_MAX)));
	for (uint64_t s = 1; s < UINT64_C(1) << 40; s *= 3)
		assert_true(fold_weight(s, 65536) >= (double)s * (1 - 1e-12) &&
			fold_weight(s, 65536) >= 65536 * (1 - 1e-9));
}

static void allocs_and_frees_in_one_batch(void **state)
{
	struct fold f;

	open_fold(&f, 2);
	/* Any order; seq puts it right. */
	free_at(&f, 4, 0xa);
	alloc_at(&f, 5, 0xb, 1);
	alloc_at(&f, 2, 0xa, 0);
	alloc_at(&f, 6, 0xa, 0);
	apply(&f);
	assert_int_equal(f.n_live, 2);
	assert_true(f.sites[0].live_bytes == 100 && f.sites[0].live_count == 1);
	assert_true(f.sites[1].live_bytes == 100);
	assert_true(f.sites[0].allocated_bytes == 200 && f.sites[0].samples == 2);
	assert_int_equal(f.total_events, 4);
	free_at(&f, 7, 0xa);
	free_at(&f, 8, 0xb);
	apply(&f);
	assert_int_equal(f.n_live, 0);
	assert_true(f.sites[0].live_bytes == 0 && f.sites[1].live_count == 0);
	apply(&f);
	assert_int_equal(f.total_events, 6);
	fold_done(&f);
	fold_done(NULL);
}

static void a_free_waits_for_its_alloc(void **state)
{
	struct fold f;

	open_fold(&f, 1);
	free_at(&f, 10, 0xa);
	apply(&f);
	alloc_at(&f, 9, 0xa, 0);
	apply(&f);
	assert_int_equal(f.n_live, 0);
	assert_true(f.sites[0].live_bytes == 0 && f.sites[0].allocated_bytes == 100);
	/* It waits once only. */
	alloc_at(&f, 11, 0xa, 0);
	apply(&f);
	assert_int_equal(f.n_live, 1);
	/* The free of a block that was never sampled does not hit a later one. */
	free_at(&f, 20, 0xb);
	apply(&f);
	alloc_at(&f, 21, 0xb, 0);
	apply(&f);
	assert_int_equal(f.n_live, 2);
	fold_done(&f);
}

/* Two lives of one address pass between the reading of the allocations and that of the frees. */
static void two_frees_wait_for_two_allocs(void **state)
{
	struct fold f;

	open_fold(&f, 1);
	free_at(&f, 2, 0xa);
	free_at(&f, 4, 0xa);
	apply(&f);
	alloc_at(&f, 1, 0xa, 0);
	alloc_at(&f, 3, 0xa, 0);
	apply(&f);
	assert_int_equal(f.n_live, 0);
	assert_true(f.sites[0].live_bytes == 0);
	fold_done(&f);
}

static void an_address_reused_after_a_missed_free(void **state)
{
	struct fold f;

	open_fold(&f, 2);
	alloc_at(&f, 1, 0xa, 0);
	alloc_at(&f, 2, 0xb, 0);
	apply(&f);
	alloc_at(&f, 3, 0xa, 1);
	apply(&f);
	assert_int_equal(f.n_live, 2);
	assert_true(f.sites[0].live_bytes == 100 && f.sites[1].live_bytes == 100);
	free_at(&f, 4, 0xa);
	free_at(&f, 5, 0xb);
	apply(&f);
	assert_int_equal(f.n_live, 0);
	assert_true(f.sites[0].live_bytes == 0 && f.sites[1].live_bytes == 0);
	fold_done(&f);
}

static void random_lives_agree_with_a_naive_model(void **state)
{
	struct rng rng = {77};
	uint32_t owner[64];
	double live[5] = {0};
	struct fold f;
	uint64_t seq = 0;

	memset(owner, 0xff, sizeof(owner));
	open_fold(&f, 5);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 50; i++) {
			size_t a = rng_below(&rng, 64);
			uint32_t site = (uint32_t)rng_below(&rng, 5);

			/* Now and then a free is missed. */
			if (owner[a] != UINT32_MAX) {
				live[owner[a]] -= 100;
				owner[a] = UINT32_MAX;
				if (rng_below(&rng, 10))
					free_at(&f, ++seq, a);
			} else {
				live[site] += 100;
				owner[a] = site;
				alloc_at(&f, ++seq, a, site);
			}
		}
		/* What was missed shows until the address is given out again: do that now. */
		for (size_t a = 0; a < 64; a++) {
			if (owner[a] == UINT32_MAX) {
				alloc_at(&f, ++seq, a, 0);
				free_at(&f, ++seq, a);
			}
		}
		/* Shuffle what came in. */
		for (size_t i = f.n_events; i-- > 1;) {
			size_t k = rng_below(&rng, i + 1);
			struct fold_event e = f.events[i];

			f.events[i] = f.events[k];
			f.events[k] = e;
		}
		apply(&f);
		for (size_t s = 0; s < 5; s++)
			assert_true(fabs(f.sites[s].live_bytes - live[s]) < 1e-6);
	}
	fold_done(&f);
}

static void checkpoints_are_thinned(void **state)
{
	const unsigned total = 1000;
	struct fold f;

	open_fold(&f, 2);
	for (unsigned i = 0; i < total; i++) {
		alloc_at(&f, i + 1, 0x1000 + i, 0);
		apply(&f);
		fold_checkpoint(&f, 1000 + (i + 1) * 10);
		assert_true(f.n_checkpoints <= LIMIT_CHECKPOINTS);
		/* The first and the latest are there, in order, each with the value of its time. */
		assert_int_equal(f.checkpoint_ns[0], 10);
		assert_int_equal(f.checkpoint_ns[f.n_checkpoints - 1], (i + 1) * 10);
		for (uint32_t c = 0; c < f.n_checkpoints; c++) {
			if (c)
				assert_true(f.checkpoint_ns[c] > f.checkpoint_ns[c - 1]);
			assert_true(f.sites[0].bytes_at[c] == (double)f.checkpoint_ns[c] * 10);
			assert_true(f.sites[0].count_at[c] == (double)f.checkpoint_ns[c] / 10);
			assert_true(f.sites[1].bytes_at[c] == 0);
		}
	}
	assert_true(f.n_checkpoints > LIMIT_CHECKPOINTS / 4);
	/* A site of which nobody knew finds zeros behind it. */
	assert_int_equal(fold_reserve_sites(&f, 3), 0);
	assert_int_equal(fold_alloc(&f, total + 1, 5, 100, 0, 1500, 2), 0);
	apply(&f);
	fold_checkpoint(&f, 1000 + (total + 1) * 10);
	for (uint32_t c = 0; c + 1 < f.n_checkpoints; c++)
		assert_true(f.sites[2].bytes_at[c] == 0);
	assert_true(f.sites[2].bytes_at[f.n_checkpoints - 1] == 100);
	fold_done(&f);
}

/* "So that they still span the whole session": with looks at even distances no quarter of it may
 * stay without a checkpoint. */
static void checkpoints_leave_no_hole(void **state)
{
	struct fold f;

	open_fold(&f, 1);
	for (unsigned i = 1; i <= 600; i++)
		fold_checkpoint(&f, 1000 + i);
	for (uint32_t c = 1; c < f.n_checkpoints; c++)
		assert_true(f.checkpoint_ns[c] - f.checkpoint_ns[c - 1] <= 600 / 4);
	fold_done(&f);
}

static void early_samples_and_survivors(void **state)
{
	struct fold f;

	open_fold(&f, 1);
	assert_int_equal(fold_alloc(&f, 1, 0x1, 100, 0, 1999, 0), 0);
	assert_int_equal(fold_alloc(&f, 2, 0x2, 100, 0, 1999, 0), 0);
	assert_int_equal(fold_alloc(&f, 3, 0x3, 100, 0, 2000, 0), 0);
	free_at(&f, 4, 0x1);
	apply(&f);
	fold_finish(&f);
	assert_int_equal(f.sites[0].samples, 3);
	assert_int_equal(f.sites[0].first_half, 2);
	assert_int_equal(f.sites[0].survivors, 1);
	fold_done(&f);
}

static void ceilings(void **state)
{
	struct fold f;

	open_fold(&f, 1);
	assert_int_equal(fold_alloc(&f, 1, 1, 100, 0, 1500, 1), -EINVAL);
	assert_int_equal(fold_alloc(&f, 1, 1, 100, 0, 1500, FOLD_NO_SITE), -EINVAL);
	assert_int_equal(f.n_events, 0);
	assert_int_equal(fold_reserve_sites(&f, LIMIT_PROFILE_SITES), 0);
	assert_int_equal(fold_reserve_sites(&f, LIMIT_PROFILE_SITES + 1), -EMSGSIZE);
	assert_int_equal(f.n_sites, LIMIT_PROFILE_SITES);
	alloc_at(&f, 1, 1, LIMIT_PROFILE_SITES - 1);
	assert_int_equal(fold_reserve_sites(&f, 5), 0);
	assert_int_equal(f.n_sites, LIMIT_PROFILE_SITES);
	apply(&f);
	assert_true(f.sites[LIMIT_PROFILE_SITES - 1].live_bytes == 100);
	fold_done(&f);
}

static void live_samples_past_the_ceiling_are_counted(void **state)
{
	struct fold f;

	open_fold(&f, 1);
	/* As if the ceiling were lower: the maps carry it. */
	f.by_addr.limit = 10;
	for (uint64_t i = 0; i < 15; i++)
		alloc_at(&f, i + 1, i, 0);
	apply(&f);
	assert_int_equal(f.n_live, 10);
	assert_int_equal(f.dropped_live, 5);
	assert_true(f.sites[0].live_bytes == 1000 && f.sites[0].allocated_bytes == 1500);
	free_at(&f, 20, 3);
	apply(&f);
	alloc_at(&f, 21, 99, 0);
	apply(&f);
	assert_int_equal(f.n_live, 10);
	fold_done(&f);
}

static int work_fold(void)
{
	struct fold f;
	int r;

	fold_init(&f, 0, 100);
	r = fold_reserve_sites(&f, 40);
	for (uint64_t i = 0; i < 120 && r == 0; i++) {
		r = fold_alloc(&f, i * 2, i, 64, 4096, i, (uint32_t)i % 40);
		if (r == 0)
			r = fold_free(&f, i * 2 + 1, i % 2 ? i : i + 1000);
		if (r == 0 && i % 20 == 19)
			r = fold_apply(&f);
	}
	if (r == 0 && f.n_live != 60)
		r = -EIO;
	fold_done(&f);
	return r;
}

static void torture_fold(void **state)
{
	assert_true(torture_run(work_fold) > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_unbiased),
		cmocka_unit_test(weights_at_the_edges),
		cmocka_unit_test(allocs_and_frees_in_one_batch),
		cmocka_unit_test(a_free_waits_for_its_alloc),
		cmocka_unit_test(two_frees_wait_for_two_allocs),
		cmocka_unit_test(an_address_reused_after_a_missed_free),
		cmocka_unit_test(random_lives_agree_with_a_naive_model),
		cmocka_unit_test(checkpoints_are_thinned),
		cmocka_unit_test(checkpoints_leave_no_hole),
		cmocka_unit_test(early_samples_and_survivors),
		cmocka_unit_test(ceilings),
		cmocka_unit_test(live_samples_past_the_ceiling_are_counted),
		cmocka_unit_test(torture_fold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
