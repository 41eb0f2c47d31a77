#include "proc-tree.h"

#include "collect/queue.h"
#include "collect/sampler.h"

/* queue */

static void queue_keeps_order_and_drops_the_oldest(void **state)
{
	struct queue q = QUEUE_INIT(100);
	char bytes[101];

	memset(bytes, 'q', sizeof(bytes));
	assert_null(queue_peek(&q));
	for (uint64_t seq = 1; seq <= 4; seq++)
		assert_int_equal(queue_put(&q, seq, bytes, 25), 0);
	assert_int_equal(q.n, 4);
	assert_int_equal(q.bytes, 100);
	assert_int_equal(q.dropped, 0);
	assert_int_equal(queue_put(&q, 5, "x", 1), 0);
	assert_int_equal(q.dropped, 1);
	assert_int_equal(queue_peek(&q)->seq, 2);
	assert_int_equal(q.bytes, 76);
	assert_int_equal(queue_put(&q, 6, bytes, 100), 0);
	assert_int_equal(q.dropped, 5);
	assert_int_equal(q.n, 1);
	assert_int_equal(queue_peek(&q)->seq, 6);
	assert_int_equal(queue_peek(&q)->bytes, 100);
	assert_memory_equal(queue_peek(&q)->data, bytes, 100);
	assert_int_equal(queue_put(&q, 7, bytes, 101), -EMSGSIZE);
	assert_int_equal(q.dropped, 6);
	assert_int_equal(queue_peek(&q)->seq, 6);
	queue_done(&q);
	queue_done(NULL);
}

static void queue_acks_up_to_and_with(void **state)
{
	struct queue q = QUEUE_INIT(1000);

	for (uint64_t seq = 10; seq <= 50; seq += 10)
		assert_int_equal(queue_put(&q, seq, &seq, sizeof(seq)), 0);
	queue_ack(&q, 9);
	assert_int_equal(q.n, 5);
	queue_ack(&q, 20);
	assert_int_equal(queue_peek(&q)->seq, 30);
	assert_memory_equal(queue_peek(&q)->data, &(uint64_t){30}, 8);
	queue_ack(&q, 35);
	assert_int_equal(queue_peek(&q)->seq, 40);
	queue_ack(&q, UINT64_MAX);
	assert_null(queue_peek(&q));
	assert_int_equal(q.n, 0);
	assert_int_equal(q.bytes, 0);
	assert_int_equal(q.dropped, 0);
	assert_int_equal(queue_put(&q, 60, "a", 1), 0);
	assert_int_equal(queue_peek(&q)->seq, 60);
	queue_done(&q);
	assert_null(queue_peek(&q));
}

/* sampler */

static uint64_t fake_ns(void *arg)
{
	return *(uint64_t *)arg;
}

struct host {
	struct folder f;
	uint64_t now;
	struct clock clock;
	struct sampler s;
};

static void host_open(struct host *h)
{
	struct err err = ERR_INIT;

	proc_tree_make(&h->f);
	h->now = 1000;
	h->clock = (struct clock){fake_ns, fake_ns, &h->now};
	assert_int_equal(sampler_open(&h->s, h->f.path, "host-a", &h->clock, &err), 0);
}

static void host_close(struct host *h)
{
	sampler_close(&h->s);
	folder_remove(&h->f);
}

static void add_process(struct host *h, uint32_t pid, const char *comm, uint64_t start, uint64_t kb)
{
	proc_tree_stat(&h->f, pid, comm, 'S', start);
	proc_tree_status(&h->f, pid, kb);
}

static struct batch tick(struct host *h)
{
	struct err err = ERR_INIT;
	struct batch b;

	h->now += 10;
	assert_int_equal(sampler_tick(&h->s, &b, &err), 0);
	return b;
}

static const struct sample *sample_of(const struct batch *b, uint32_t pid)
{
	for (size_t i = 0; i < b->n_samples; i++)
		if (b->samples[i].pid == pid)
			return &b->samples[i];
	return NULL;
}

static void sampler_measures(void **state)
{
	const struct sample *s;
	struct batch b, next;
	struct host h;

	host_open(&h);
	add_process(&h, 10, "a) R 1 2 (b", 1000, 500);
	proc_tree_kernel_thread(&h.f, 2);
	b = tick(&h);
	assert_string_equal(b.host, "host-a");
	assert_string_equal(b.boot_id, BOOT);
	assert_true(b.unix_ns == 1010 && b.seq > 0);
	assert_int_equal(b.n_samples, 1);
	s = sample_of(&b, 10);
	assert_non_null(s);
	assert_int_equal(s->kind, ENTITY_PROCESS);
	assert_int_equal(s->ppid, 1);
	assert_int_equal(s->start_ticks, 1000);
	assert_string_equal(s->component, "a) R 1 2 (b");
	assert_string_equal(s->version, "");
	assert_int_equal(s->present, (1u << METRIC_MAX_) - 1);
	assert_int_equal(s->values[METRIC_ANON], (500 + 16) * 1024); /* swap counts too */
	assert_int_equal(s->values[METRIC_FILE], 3000 * 1024);
	assert_int_equal(s->values[METRIC_SHMEM], 40 * 1024);
	assert_int_equal(s->values[METRIC_STACK], 132 * 1024);
	assert_int_equal(s->values[METRIC_PAGE_TABLES], 88 * 1024);
	assert_int_equal(s->values[METRIC_THREADS], 5);
	assert_int_equal(s->values[METRIC_FAULTS], 130);
	assert_true(s->values[METRIC_CPU] ==
		33 * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK)));
	assert_true(s->values[METRIC_LIMIT] == UINT64_C(24684092) << 10);
	next = tick(&h);
	assert_true(next.seq == b.seq + 1);
	host_close(&h);
	sampler_close(NULL);
}

static void processes_vanish(void **state)
{
	struct batch b;
	struct host h;

	host_open(&h);
	add_process(&h, 10, "a", 1000, 500);
	add_process(&h, 11, "b", 1001, 600);
	add_process(&h, 12, "c", 1002, 700);
	b = tick(&h);
	assert_int_equal(b.n_samples, 3);
	proc_tree_remove(&h.f, 10, "stat");   /* gone before the first look */
	proc_tree_remove(&h.f, 11, "status"); /* gone between the two */
	b = tick(&h);
	assert_int_equal(b.n_samples, 1);
	assert_int_equal(b.samples[0].pid, 12);
	assert_null(sampler_find(&h.s, 10, 1000));
	assert_null(sampler_find(&h.s, 11, 1001));
	assert_non_null(sampler_find(&h.s, 12, 1002));
	proc_tree_remove(&h.f, 12, "stat");
	b = tick(&h);
	assert_int_equal(b.n_samples, 0);
	assert_int_equal(h.s.n_known, 0);
	add_process(&h, 10, "a", 1000, 500);
	b = tick(&h);
	assert_int_equal(b.n_samples, 1);
	assert_string_equal(b.samples[0].component, "a");
	host_close(&h);
}

static void a_reused_pid_is_another_process(void **state)
{
	uint64_t pids[8], starts[8];
	const struct sample *s;
	struct batch b;
	struct host h;

	host_open(&h);
	add_process(&h, 10, "old", 1000, 500);
	tick(&h);
	sampler_learn(&h.s, 10, 1000, "/usr/bin/old-name", "aaaa");
	b = tick(&h);
	s = sample_of(&b, 10);
	assert_string_equal(s->component, "old-name");
	assert_string_equal(s->version, "aaaa");
	add_process(&h, 10, "new", 2000, 500);
	b = tick(&h);
	s = sample_of(&b, 10);
	assert_int_equal(b.n_samples, 1);
	assert_int_equal(s->start_ticks, 2000);
	assert_string_equal(s->component, "new");
	assert_string_equal(s->version, "");
	assert_null(sampler_find(&h.s, 10, 1000));
	/* An answer that comes too late is for somebody else. */
	sampler_learn(&h.s, 10, 1000, "/usr/bin/old-name", "aaaa");
	b = tick(&h);
	assert_string_equal(sample_of(&b, 10)->component, "new");
	assert_int_equal(sampler_unknown(&h.s, pids, starts, 8), 1);
	assert_true(pids[0] == 10 && starts[0] == 2000);
	host_close(&h);
}

static void names_follow_exec_until_they_are_known(void **state)
{
	struct batch b;
	struct host h;

	host_open(&h);
	add_process(&h, 10, "sh", 1000, 500);
	b = tick(&h);
	assert_string_equal(sample_of(&b, 10)->component, "sh");
	add_process(&h, 10, "server", 1000, 500);
	b = tick(&h);
	assert_string_equal(sample_of(&b, 10)->component, "server");
	sampler_learn(&h.s, 10, 1000, "", "aaaa"); /* nobody could tell */
	b = tick(&h);
	assert_string_equal(sample_of(&b, 10)->component, "server");
	assert_string_equal(sample_of(&b, 10)->version, "");
	sampler_learn(&h.s, 10, 1000, "/opt/kv/bin/kv-server (deleted)", "bbbb");
	b = tick(&h);
	assert_string_equal(sample_of(&b, 10)->component, "kv-server");
	assert_string_equal(sample_of(&b, 10)->version, "bbbb");
	assert_string_equal(sampler_find(&h.s, 10, 1000)->exe, "/opt/kv/bin/kv-server (deleted)");
	sampler_learn(&h.s, 10, 1000, "/opt/kv/bin/kv-server", "cccc");
	b = tick(&h);
	assert_string_equal(sample_of(&b, 10)->version, "cccc");
	host_close(&h);
}

static void unknown_processes_are_asked_for_once(void **state)
{
	uint64_t pids[8], starts[8];
	struct host h;

	host_open(&h);
	add_process(&h, 10, "a", 1000, 500);
	add_process(&h, 11, "b", 1001, 500);
	tick(&h);
	assert_int_equal(sampler_unknown(&h.s, pids, starts, 8), 0); /* too young */
	tick(&h);
	assert_int_equal(sampler_unknown(&h.s, pids, starts, 1), 1);
	assert_int_equal(sampler_unknown(&h.s, pids + 1, starts + 1, 7), 1);
	assert_true((pids[0] == 10 && pids[1] == 11) || (pids[0] == 11 && pids[1] == 10));
	assert_int_equal(starts[0], 990 + pids[0]);
	assert_int_equal(sampler_unknown(&h.s, pids, starts, 8), 0);
	sampler_learn(&h.s, 10, 1000, "/bin/a", "");
	sampler_ask_again(&h.s);
	assert_int_equal(sampler_unknown(&h.s, pids, starts, 8), 1);
	assert_int_equal(pids[0], 11);
	host_close(&h);
}

static void versions_are_learnt_from_our_own_view(void **state)
{
	uint64_t pids[8], starts[8];
	const struct known *k;
	char exe[512];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	struct batch b;
	struct host h;

	assert_true(n > 0);
	exe[n] = 0;
	host_open(&h);
	add_process(&h, 10, "a", 1000, 500);
	add_process(&h, 11, "b", 1001, 500);
	proc_tree_exe(&h.f, 10, exe);
	proc_tree_exe(&h.f, 11, "/no/such/file/app (deleted)");
	tick(&h);
	tick(&h);
	assert_int_equal(sampler_unknown(&h.s, pids, starts, 8), 0);
	k = sampler_find(&h.s, 10, 1000);
	assert_string_equal(k->exe, exe);
	assert_string_equal(k->component, "test-collect");
	assert_true(strlen(k->build_id) >= 16);
	b = tick(&h);
	assert_string_equal(sample_of(&b, 10)->version, k->build_id);
	assert_string_equal(sample_of(&b, 11)->component, "app");
	assert_string_equal(sample_of(&b, 11)->version, "");
	host_close(&h);
}

static void many_processes_come_and_go(void **state)
{
	struct rng rng = {5};
	uint64_t alive[100] = {0};
	struct host h;

	host_open(&h);
	for (int round = 0; round < 8; round++) {
		size_t n = 0;
		struct batch b;

		for (uint32_t i = 0; i < COUNT(alive); i++) {
			if (alive[i] && rng_below(&rng, 4) == 0) {
				alive[i] = 0;
				proc_tree_remove(&h.f, 100 + i, "stat");
			} else if (!alive[i] && rng_below(&rng, 2)) {
				char comm[16];

				alive[i] = 1 + rng_below(&rng, 1000);
				snprintf(comm, sizeof(comm), "p%u", i);
				add_process(&h, 100 + i, comm, alive[i], i);
			}
			n += alive[i] != 0;
		}
		b = tick(&h);
		assert_int_equal(b.n_samples, n);
		assert_int_equal(h.s.n_known, n);
		for (uint32_t i = 0; i < COUNT(alive); i++) {
			const struct sample *s = sample_of(&b, 100 + i);
			char comm[16];

			assert_int_equal(s != NULL, alive[i] != 0);
			snprintf(comm, sizeof(comm), "p%u", i);
			if (s) {
				assert_true(s->start_ticks == alive[i]);
				assert_string_equal(s->component, comm);
			}
		}
	}
	host_close(&h);
}

static void a_root_that_is_none(void **state)
{
	struct err err = ERR_INIT;
	struct sampler s;
	struct folder f;

	assert_true(sampler_open(&s, "/no/such/folder", "h", &clock_system, &err) < 0);
	assert_true(err.code < 0 && err.msg[0]);
	sampler_close(&s);
	folder_make(&f);
	err = ERR_INIT;
	assert_true(sampler_open(&s, f.path, "h", &clock_system, &err) < 0); /* no boot id */
	assert_true(err.code < 0);
	sampler_close(&s);
	folder_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_keeps_order_and_drops_the_oldest),
		cmocka_unit_test(queue_acks_up_to_and_with),
		cmocka_unit_test(sampler_measures),
		cmocka_unit_test(processes_vanish),
		cmocka_unit_test(a_reused_pid_is_another_process),
		cmocka_unit_test(names_follow_exec_until_they_are_known),
		cmocka_unit_test(unknown_processes_are_asked_for_once),
		cmocka_unit_test(versions_are_learnt_from_our_own_view),
		cmocka_unit_test(many_processes_come_and_go),
		cmocka_unit_test(a_root_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
