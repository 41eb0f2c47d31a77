/*
 * Foreign samples as hourly cells: any order, duplicates, restarts, ceilings.
 */
#include "unit.h"

#include <math.h>

#include "ingest/history.h"

#define HOUR UINT64_C(3600000000000)

static void add(struct history *h, uint32_t process, uint64_t hour, uint64_t bytes)
{
	struct history_sample s = {.host = 1,
		.component = 2,
		.process = process,
		.unix_ns = hour * HOUR + 7,
		.bytes = bytes,
		.load = NAN};

	assert_int_equal(history_add(h, &s, NULL), 0);
}

static void test_order_and_duplicates_change_nothing(void **state)
{
	static const uint64_t orders[3][5] = {
		{10, 11, 12, 13, 14}, {14, 10, 12, 11, 13}, {12, 14, 13, 10, 11}};

	(void)state;
	for (unsigned o = 0; o < 3; o++) {
		struct history h;

		history_init(&h, HOUR);
		for (unsigned twice = 0; twice < 2; twice++) {
			for (unsigned i = 0; i < 5; i++) {
				add(&h, 1, orders[o][i], 100 * orders[o][i] + 5);
				add(&h, 1, orders[o][i], 100 * orders[o][i]);
			}
		}
		assert_int_equal(history_join(&h, NULL), 0);
		assert_int_equal(h.n, 1);
		assert_int_equal(h.entities[0].first_hour, 10);
		assert_int_equal(h.entities[0].n, 5);
		for (unsigned i = 0; i < 5; i++)
			assert_true(h.entities[0].cells[i].least_bytes == 100. * (10 + i));
		history_done(&h);
	}
}

static void test_a_gap_is_a_gap(void **state)
{
	struct history h;

	(void)state;
	history_init(&h, HOUR);
	add(&h, 1, 50, 5);
	add(&h, 1, 40, 4);
	assert_int_equal(h.entities[0].n, 11);
	assert_true(isnan(h.entities[0].cells[5].least_bytes));
	history_done(&h);
}

static void test_lives_are_joined(void **state)
{
	struct history h;

	(void)state;
	history_init(&h, HOUR);
	/* 1 ends, 2 goes on in the same hour; 3 runs beside them; 4 comes a week later. */
	for (uint64_t t = 0; t <= 10; t++)
		add(&h, 1, 100 + t, 1);
	for (uint64_t t = 10; t <= 20; t++)
		add(&h, 2, 100 + t, 1);
	for (uint64_t t = 0; t <= 20; t++)
		add(&h, 3, 100 + t, 1);
	add(&h, 4, 300, 1);
	assert_int_equal(history_join(&h, NULL), 0);
	assert_int_equal(h.entities[0].next_life, 1);
	assert_true(h.entities[1].is_later_life);
	assert_int_equal(h.entities[1].next_life, SIZE_MAX);
	assert_false(h.entities[2].is_later_life || h.entities[3].is_later_life);
	history_done(&h);
}

static void test_too_far_is_counted(void **state)
{
	struct history h;

	(void)state;
	history_init(&h, HOUR);
	add(&h, 1, 100000, 5);
	add(&h, 1, 100000 + HISTORY_MAX_HOURS, 5);
	add(&h, 1, 0, 5);
	assert_int_equal(h.too_far, 2);
	assert_int_equal(h.entities[0].n, 1);
	history_done(&h);
	history_done(NULL);
}

static void test_the_latest_limit_and_version_count(void **state)
{
	struct history h;
	struct history_sample s = {.host = 1,
		.component = 1,
		.version = 7,
		.unix_ns = 5 * HOUR,
		.bytes = 1,
		.limit_bytes = 100,
		.load = 3};

	(void)state;
	history_init(&h, HOUR);
	assert_int_equal(history_add(&h, &s, NULL), 0);
	s.unix_ns = 4 * HOUR;
	s.limit_bytes = 50;
	s.version = 6;
	s.load = 5;
	assert_int_equal(history_add(&h, &s, NULL), 0);
	s.unix_ns = 5 * HOUR + 1;
	s.limit_bytes = 0;
	s.version = 8;
	assert_int_equal(history_add(&h, &s, NULL), 0);
	assert_int_equal(h.entities[0].limit_bytes, 100);
	assert_int_equal(h.entities[0].version, 8);
	assert_int_equal(h.entities[0].cells[1].n_load, 2);
	assert_true(h.entities[0].cells[1].load_sum == 8);
	history_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_duplicates_change_nothing),
		cmocka_unit_test(test_a_gap_is_a_gap),
		cmocka_unit_test(test_lives_are_joined),
		cmocka_unit_test(test_too_far_is_counted),
		cmocka_unit_test(test_the_latest_limit_and_version_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
