#include "unit.h"

#include "pivot/pivot.h"

#define MIB (UINT64_C(1) << 20)

static void bucket_and_edge_agree(void **state)
{
	assert_int_equal(pivot_edge(0), 0);
	assert_int_equal(pivot_edge(1), MIB);
	assert_int_equal(pivot_edge(5), 2 * MIB);
	for (unsigned b = 1; b < PIVOT_BUCKETS; b++) {
		assert_int_equal(pivot_bucket(pivot_edge(b)), b);
		assert_int_equal(pivot_bucket(pivot_edge(b) - 1), b - 1);
		assert_true(pivot_edge(b) > pivot_edge(b - 1));
		if (b > 4)
			assert_true(pivot_edge(b) / 2 - pivot_edge(b - 4) <= 1 ||
				pivot_edge(b - 4) - pivot_edge(b) / 2 <= 1);
	}
	assert_int_equal(pivot_bucket(0), 0);
	assert_int_equal(pivot_bucket(MIB - 1), 0);
	assert_int_equal(pivot_bucket(UINT64_MAX), PIVOT_BUCKETS - 1);
	assert_int_equal(pivot_bucket(UINT64_C(1) << 63), PIVOT_BUCKETS - 1);
}

static void buckets_never_fall(void **state)
{
	struct rng rng = {7};

	for (int i = 0; i < 100000; i++) {
		uint64_t a = rng_next(&rng) >> rng_below(&rng, 50);
		unsigned b = pivot_bucket(a);

		assert_true(b < PIVOT_BUCKETS);
		assert_true(a >= pivot_edge(b));
		if (b + 1 < PIVOT_BUCKETS)
			assert_true(a < pivot_edge(b + 1));
	}
}

static void hosts_count_once_and_cumulatively(void **state)
{
	struct pivot p;

	pivot_init(&p);
	assert_int_equal(pivot_hosts(&p, 1, 0), 0);
	for (uint64_t host = 1; host <= 10; host++)
		for (int again = 0; again < 3; again++)
			assert_int_equal(pivot_add(&p, 100, 1, host, 4 * MIB), 0);
	assert_int_equal(pivot_add(&p, 100, 1, 11, 0), 0);
	assert_int_equal(pivot_add(&p, 100, 2, 11, 64 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 11);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(4 * MIB)), 10);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(4 * MIB) + 1), 0);
	assert_int_equal(pivot_hosts(&p, 2, 0), 1);
	assert_int_equal(pivot_hosts(&p, 3, 0), 0);
	pivot_done(&p);
	pivot_done(NULL);
}

static void hosts_move_up_never_down(void **state)
{
	struct pivot p;

	pivot_init(&p);
	assert_int_equal(pivot_add(&p, 100, 1, 5, 4 * MIB), 0);
	assert_int_equal(pivot_add(&p, 100, 1, 5, 64 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 1);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(64 * MIB)), 1);
	assert_int_equal(pivot_add(&p, 100, 1, 5, 2 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 1);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(64 * MIB)), 1);
	pivot_done(&p);
}

static void the_hour_starts_over(void **state)
{
	struct pivot p;

	pivot_init(&p);
	for (uint64_t c = 0; c < 50; c++)
		assert_int_equal(pivot_add(&p, 100, c, 5, 4 * MIB), 0);
	assert_int_equal(pivot_add(&p, 101, 7, 5, 2 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 7, 0), 1);
	assert_int_equal(pivot_hosts(&p, 7, pivot_bucket(4 * MIB)), 0);
	for (uint64_t c = 0; c < 50; c++)
		assert_int_equal(pivot_hosts(&p, c, 0), c == 7);
	assert_int_equal(pivot_add(&p, 0, 7, 5, 2 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 7, 0), 1);
	pivot_done(&p);
}

static void components_have_a_ceiling(void **state)
{
	struct pivot p;

	pivot_init(&p);
	for (uint64_t c = 0; c < PIVOT_MAX_COMPONENTS; c++)
		assert_int_equal(pivot_add(&p, 1, c, 5, MIB), 0);
	assert_int_equal(p.dropped, 0);
	assert_int_equal(pivot_add(&p, 1, PIVOT_MAX_COMPONENTS, 5, MIB), -EMSGSIZE);
	assert_int_equal(pivot_add(&p, 1, 0, 6, MIB), 0);
	assert_int_equal(p.dropped, 1);
	assert_int_equal(pivot_hosts(&p, 0, 0), 2);
	assert_int_equal(pivot_hosts(&p, PIVOT_MAX_COMPONENTS, 0), 0);
	pivot_done(&p);
}

/* "A host counts once per cell and hour." Each host sends many batches in an hour, and those of
 * others come in between; within a batch a host's samples are together. */
static void hosts_count_once_over_many_batches(void **state)
{
	struct pivot p;

	pivot_init(&p);
	for (int batch = 0; batch < 10; batch++)
		for (uint64_t host = 1; host <= 3; host++)
			assert_int_equal(pivot_add(&p, 100, 1, host, 4 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 3);
	pivot_done(&p);
}

/* Any number may be a host's. */
static void host_zero_is_a_host(void **state)
{
	struct pivot p;

	pivot_init(&p);
	assert_int_equal(pivot_add(&p, 100, 1, 0, 4 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 1);
	pivot_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket_and_edge_agree),
		cmocka_unit_test(buckets_never_fall),
		cmocka_unit_test(hosts_count_once_and_cumulatively),
		cmocka_unit_test(hosts_move_up_never_down),
		cmocka_unit_test(the_hour_starts_over),
		cmocka_unit_test(components_have_a_ceiling),
		cmocka_unit_test(hosts_count_once_over_many_batches),
		cmocka_unit_test(host_zero_is_a_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
