#include "unit.h"

#include "ingest/head.h"

#define STEP UINT64_C(60000000000)
#define T0 (UINT64_C(1700000000000000000) / STEP * STEP)

struct server {
	struct folder f;
	struct store *store;
	struct head h;
};

static void server_open(struct server *s)
{
	struct err err = ERR_INIT;

	if (store_open(&s->store, s->f.path, &err) < 0)
		fail_msg("%s", err.msg);
	head_init(&s->h, s->store, STEP);
}

static void server_close(struct server *s)
{
	head_done(&s->h);
	s->store = store_close(s->store);
}

static struct proc_id process(uint32_t pid)
{
	return (struct proc_id){.boot_id = "boot-1", .pid = pid, .start_ticks = pid * 10};
}

static int send_batch(struct server *s, uint64_t seq, uint64_t t, uint64_t pace, uint32_t pid,
	const char *component, uint64_t anon)
{
	struct sample sample = {.pid = pid,
		.start_ticks = pid * 10,
		.component = component,
		.version = "v",
		.present = (1u << METRIC_MAX_) - 1};
	struct batch b = {.host = "host-a",
		.boot_id = "boot-1",
		.seq = seq,
		.unix_ns = t,
		.pace = pace,
		.period_ns = 7,
		.dropped = 3,
		.samples = &sample,
		.n_samples = pid ? 1 : 0};
	struct err err = ERR_INIT;
	int r;

	sample.values[METRIC_ANON] = anon;
	r = head_apply(&s->h, &b, &err);
	assert_true(r >= 0 || err.code == r);
	return r;
}

static struct head_entity *entity(struct server *s, uint32_t pid)
{
	struct proc_id id = process(pid);

	return head_find_process(&s->h, "host-a", &id);
}

static void steps_gather_samples_and_close(void **state)
{
	struct head_entity *e;
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	assert_int_equal(send_batch(&s, 1, T0, 1, 10, "kv", 100), 0);
	assert_int_equal(send_batch(&s, 2, T0 + STEP / 2, 1, 10, "kv", 300), 0);
	assert_int_equal(send_batch(&s, 3, T0 + STEP - 1, 1, 10, "kv", 200), 0);
	e = entity(&s, 10);
	assert_non_null(e);
	assert_ptr_equal(head_find(&s.h, e->e.id), e);
	assert_true(e->e.id > 0);
	assert_int_equal(e->n, 0);
	assert_false(e->due);
	assert_int_equal(e->anon_bytes, 200);
	assert_int_equal(send_batch(&s, 4, T0 + STEP, 1, 10, "kv", 50), 0);
	assert_int_equal(e->n, 1);
	assert_true(e->due);
	assert_true(e->points[0].unix_ns == T0);
	assert_true(e->points[0].lo == 100 && e->points[0].hi == 300 && e->points[0].last == 200);
	assert_true(e->open.unix_ns == T0 + STEP && e->open.metric[METRIC_ANON].lo == 50);
	assert_true(e->e.first_seen_ns == T0 && e->e.last_seen_ns == T0 + STEP);
	assert_int_equal(s.h.batches, 4);
	assert_int_equal(s.h.n_hosts, 1);
	assert_int_equal(s.h.hosts[0].seq, 4);
	assert_int_equal(s.h.hosts[0].processes, 1);
	assert_true(s.h.hosts[0].period_ns == 7 && s.h.hosts[0].dropped == 3);
	/* A gap is a gap. */
	assert_int_equal(send_batch(&s, 5, T0 + 9 * STEP, 1, 10, "renamed", 60), 0);
	assert_int_equal(e->n, 2);
	assert_true(e->points[1].unix_ns == T0 + STEP);
	assert_string_equal(e->e.component, "renamed");
	assert_int_equal(send_batch(&s, 6, T0 + 10 * STEP, 1, 0, "", 0), 0);
	assert_int_equal(e->n, 2);
	server_close(&s);
	folder_remove(&s.f);
	head_done(NULL);
}

static void duplicates_are_acknowledged_again(void **state)
{
	struct head_entity *e;
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	assert_int_equal(send_batch(&s, 5, T0, 1, 10, "kv", 100), 0);
	assert_int_equal(send_batch(&s, 5, T0, 1, 10, "kv", 999), 1);
	assert_int_equal(send_batch(&s, 3, T0, 1, 10, "kv", 999), 1);
	e = entity(&s, 10);
	assert_int_equal(e->anon_bytes, 100);
	assert_true(e->open.metric[METRIC_ANON].hi == 100);
	assert_int_equal(s.h.duplicates, 2);
	assert_int_equal(s.h.batches, 1);
	assert_int_equal(s.h.hosts[0].seq, 5);
	server_close(&s);
	folder_remove(&s.f);
}

/* "Only when that has said yes does it show here." */
static void what_is_not_stored_does_not_show(void **state)
{
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	assert_int_equal(send_batch(&s, 5, T0, 1, 10, "kv", 100), 0);
	assert_int_equal(send_batch(&s, 5, T0 + STEP, 1, 11, "ghost", 999), 1);
	assert_null(entity(&s, 11));
	assert_int_equal(send_batch(&s, 4, T0 + STEP, 1, 10, "ghost", 999), 1);
	assert_string_equal(entity(&s, 10)->e.component, "kv");
	assert_true(entity(&s, 10)->e.last_seen_ns == T0);
	server_close(&s);
	folder_remove(&s.f);
}

static void a_restart_goes_on_where_it_was(void **state)
{
	struct err err = ERR_INIT;
	struct head_entity *e;
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(send_batch(&s, i * 2 + 1, T0 + i * STEP, 1, 10, "kv", 100 + i), 0);
		assert_int_equal(send_batch(&s, i * 2 + 2, T0 + i * STEP + 5, 1, 11, "b", 1), 0);
	}
	server_close(&s);
	server_open(&s);
	assert_null(entity(&s, 10));
	assert_int_equal(head_load(&s.h, 0, &err), 0);
	e = entity(&s, 10);
	assert_non_null(e);
	assert_int_equal(e->n, 4);
	for (uint64_t i = 0; i < 4; i++)
		assert_true(e->points[i].unix_ns == T0 + i * STEP && e->points[i].last == 100 + i);
	assert_true(e->open.unix_ns == T0 + 4 * STEP);
	assert_int_equal(e->anon_bytes, 104);
	assert_true(e->due);
	assert_ptr_equal(head_find(&s.h, e->e.id), e);
	/* The open step still gathers; a batch of before is known. */
	assert_int_equal(send_batch(&s, 10, T0 + 4 * STEP, 1, 10, "kv", 9), 1);
	assert_int_equal(send_batch(&s, 11, T0 + 4 * STEP + 9, 1, 10, "kv", 50), 0);
	assert_int_equal(send_batch(&s, 12, T0 + 5 * STEP, 1, 10, "kv", 60), 0);
	assert_int_equal(e->n, 5);
	assert_true(e->points[4].lo == 50 && e->points[4].hi == 104 && e->points[4].last == 50);
	server_close(&s);
	server_open(&s);
	assert_int_equal(head_load(&s.h, T0 + 2 * STEP, &err), 0);
	assert_int_equal(entity(&s, 10)->n, 3);
	server_close(&s);
	folder_remove(&s.f);
}

static void a_change_of_pace_reloads(void **state)
{
	struct err err = ERR_INIT;
	struct head_entity *e;
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(send_batch(&s, i + 1, T0 + i * STEP, 1, 10, "kv", i), 0);
	e = entity(&s, 10);
	assert_int_equal(e->n, 3);
	/* Of another pace: stored, not shown. */
	assert_int_equal(send_batch(&s, 5, T0 + 4 * STEP, 60, 10, "kv", 7), 0);
	assert_int_equal(send_batch(&s, 6, T0 + 4 * STEP + STEP / 60, 60, 10, "kv", 8), 0);
	assert_int_equal(e->n, 3);
	assert_int_equal(head_set_pace(&s.h, 60, 0, &err), 0);
	assert_true(head_step_ns(&s.h) == STEP / 60);
	assert_int_equal(e->n, 1);
	assert_true(e->points[0].last == 7);
	assert_int_equal(head_set_pace(&s.h, 1, 0, &err), 0);
	assert_int_equal(e->n, 3);
	assert_int_equal(send_batch(&s, 7, T0 + 9 * STEP, STEP + 1, 10, "kv", 8), -EBADMSG);
	server_close(&s);
	folder_remove(&s.f);
}

static void only_so_many_points(void **state)
{
	struct head_entity *e;
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	assert_int_equal(send_batch(&s, 1, T0, 1, 10, "kv", 1), 0);
	e = entity(&s, 10);
	/* As if it had run for long: every commit costs a sync. */
	e->points = calloc(HEAD_POINTS, sizeof(*e->points));
	e->n = e->cap = HEAD_POINTS;
	for (uint64_t i = 0; i < HEAD_POINTS; i++)
		e->points[i] = (struct point){T0 - (HEAD_POINTS - i) * STEP, i, i, i};
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(send_batch(&s, 1 + i, T0 + i * STEP, 1, 10, "kv", 1), 0);
	assert_int_equal(e->n, HEAD_POINTS);
	assert_true(e->points[0].lo == 3);
	assert_true(e->points[HEAD_POINTS - 1].unix_ns == T0 + 2 * STEP);
	for (uint64_t i = 1; i < HEAD_POINTS; i++)
		assert_true(e->points[i].unix_ns == e->points[i - 1].unix_ns + STEP);
	server_close(&s);
	folder_remove(&s.f);
}

static void the_old_are_forgotten(void **state)
{
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	for (uint32_t i = 1; i <= 9; i++)
		assert_int_equal(send_batch(&s, i, T0 + i * STEP, 1, i, "kv", 1), 0);
	head_forget(&s.h, T0);
	assert_int_equal(s.h.n, 9);
	head_forget(&s.h, T0 + 5 * STEP);
	assert_int_equal(s.h.n, 5);
	for (uint32_t i = 1; i <= 9; i++)
		assert_int_equal(entity(&s, i) != NULL, i >= 5);
	assert_ptr_equal(head_find(&s.h, entity(&s, 9)->e.id), entity(&s, 9));
	/* Whoever comes back gets the id that the store knows. */
	assert_int_equal(send_batch(&s, 10, T0 + 10 * STEP, 1, 1, "kv", 1), 0);
	assert_ptr_equal(head_find(&s.h, entity(&s, 1)->e.id), entity(&s, 1));
	server_close(&s);
	folder_remove(&s.f);
}

/* "oldest first": the wall clock may jump back, the points stay in order and each step is once. */
static void a_clock_that_jumps_back(void **state)
{
	struct head_entity *e;
	struct server s;

	folder_make(&s.f);
	server_open(&s);
	assert_int_equal(send_batch(&s, 1, T0, 1, 10, "kv", 100), 0);
	assert_int_equal(send_batch(&s, 2, T0 + STEP, 1, 10, "kv", 200), 0);
	assert_int_equal(send_batch(&s, 3, T0 + 5, 1, 10, "kv", 110), 0);
	assert_int_equal(send_batch(&s, 4, T0 + STEP + 5, 1, 10, "kv", 210), 0);
	assert_int_equal(send_batch(&s, 5, T0 + 2 * STEP, 1, 10, "kv", 300), 0);
	e = entity(&s, 10);
	for (size_t i = 1; i < e->n; i++)
		assert_true(e->points[i].unix_ns > e->points[i - 1].unix_ns);
	server_close(&s);
	folder_remove(&s.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_gather_samples_and_close),
		cmocka_unit_test(duplicates_are_acknowledged_again),
		cmocka_unit_test(what_is_not_stored_does_not_show),
		cmocka_unit_test(a_restart_goes_on_where_it_was),
		cmocka_unit_test(a_change_of_pace_reloads),
		cmocka_unit_test(only_so_many_points),
		cmocka_unit_test(the_old_are_forgotten),
		cmocka_unit_test(a_clock_that_jumps_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
