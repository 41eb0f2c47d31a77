#include "unit.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "store/record.h"
#include "store/store.h"

#define NOW UINT64_C(1700000000000000000)
#define STEP UINT64_C(60000000000)

static struct store *open_store(const struct folder *f)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;

	if (store_open(&s, f->path, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static void set_entity(struct store_entity *e, uint32_t pid, uint64_t last_seen)
{
	*e = (struct store_entity){
		.process = {.boot_id = "boot-1", .pid = pid, .start_ticks = 1000 + pid},
		.component = "kv",
		.version = "abcd",
		.first_seen_ns = NOW,
		.last_seen_ns = last_seen};
	strcpy(e->host, "host-a");
}

static void set_step(struct store_step *s, uint64_t unix_ns, uint64_t anon)
{
	*s = (struct store_step){.unix_ns = unix_ns,
		.pace = 1,
		.step_ns = STEP,
		.present = 1u << METRIC_ANON | 1u << METRIC_FAULTS};
	s->metric[METRIC_ANON] = (struct point){unix_ns, anon - 1, anon, anon + 1};
	s->metric[METRIC_FAULTS] = (struct point){unix_ns, 0, UINT64_MAX, UINT64_MAX};
}

static int append(struct store *s, uint64_t seq, struct store_entity *e, uint64_t t, uint64_t anon)
{
	struct batch b = {
		.host = "host-a", .boot_id = "boot-1", .seq = seq, .unix_ns = t, .pace = 1};
	const struct store_step *steps[1];
	struct store_step step;
	struct err err = ERR_INIT;
	int r;

	set_step(&step, t / STEP * STEP, anon);
	steps[0] = &step;
	r = store_append(s, &b, &e, steps, 1, &err);
	assert_true(r >= 0 || err.code == r);
	return r;
}

struct seen {
	size_t n;
	struct store_step steps[16];
	struct store_entity entities[16];
};

static int see_step(void *arg, const struct store_step *step)
{
	struct seen *seen = arg;

	seen->steps[seen->n++] = *step;
	return 0;
}

static int see_entity(void *arg, const struct store_entity *e)
{
	struct seen *seen = arg;

	seen->entities[seen->n++] = *e;
	return 0;
}

static size_t count_steps(struct store *s, uint64_t id, uint64_t pace, uint64_t since)
{
	struct seen seen = {0};

	assert_int_equal(store_each_step(s, id, pace, since, see_step, &seen, NULL), 0);
	return seen.n;
}

static void batches_count_once(void **state)
{
	struct store_entity e, got;
	struct seen seen = {0};
	uint64_t seq = 99;
	struct folder f;
	struct store *s;

	folder_make(&f);
	s = open_store(&f);
	assert_int_equal(store_last_seq(s, "host-a", "boot-1", &seq, NULL), 0);
	assert_int_equal(seq, 0);
	set_entity(&e, 10, NOW);
	assert_int_equal(append(s, 5, &e, NOW, 100), 0);
	assert_true(e.id > 0);
	assert_int_equal(append(s, 5, &e, NOW, 999), 1);
	assert_int_equal(append(s, 4, &e, NOW, 999), 1);
	assert_int_equal(append(s, 6, &e, NOW + STEP, 200), 0);
	assert_int_equal(append(s, 7, &e, NOW + STEP + 1, 201), 0); /* the open step again */
	/* Across a restart. */
	s = store_close(s);
	assert_null(s);
	assert_null(store_close(NULL));
	s = open_store(&f);
	assert_int_equal(append(s, 7, &e, NOW, 999), 1);
	assert_int_equal(store_last_seq(s, "host-a", "boot-1", &seq, NULL), 0);
	assert_int_equal(seq, 7);
	assert_int_equal(store_last_seq(s, "host-a", "boot-2", &seq, NULL), 0);
	assert_int_equal(seq, 0);
	assert_int_equal(store_get_entity(s, e.id, &got, NULL), 0);
	assert_string_equal(got.host, "host-a");
	assert_string_equal(got.component, "kv");
	assert_string_equal(got.version, "abcd");
	assert_memory_equal(&got.process, &e.process, sizeof(e.process));
	assert_true(got.first_seen_ns == NOW && got.last_seen_ns == NOW);
	assert_int_equal(store_get_entity(s, e.id + 1, &got, NULL), 1);
	assert_int_equal(store_each_step(s, e.id, 1, 0, see_step, &seen, NULL), 0);
	assert_int_equal(seen.n, 2);
	assert_true(seen.steps[0].unix_ns == NOW / STEP * STEP);
	assert_true(seen.steps[0].metric[METRIC_ANON].last == 100);
	assert_true(seen.steps[1].unix_ns == NOW / STEP * STEP + STEP);
	assert_true(seen.steps[1].metric[METRIC_ANON].lo == 200);
	assert_true(seen.steps[1].metric[METRIC_ANON].last == 201);
	assert_true(seen.steps[1].metric[METRIC_ANON].hi == 202);
	assert_true(seen.steps[1].metric[METRIC_FAULTS].hi == UINT64_MAX);
	assert_true(seen.steps[1].present == (1u << METRIC_ANON | 1u << METRIC_FAULTS));
	assert_true(seen.steps[1].step_ns == STEP && seen.steps[1].pace == 1);
	assert_int_equal(count_steps(s, e.id, 2, 0), 0);
	assert_int_equal(count_steps(s, e.id, 1, NOW + 1), 1);
	assert_int_equal(count_steps(s, e.id + 1, 1, 0), 0);
	assert_true(store_bytes(s) > 4096);
	store_close(s);
	folder_remove(&f);
}

static void entities_are_known_by_their_identity(void **state)
{
	struct store_entity a, same, other;
	struct seen seen = {0};
	struct folder f;
	struct store *s;

	folder_make(&f);
	s = open_store(&f);
	set_entity(&a, 10, NOW);
	assert_int_equal(append(s, 1, &a, NOW, 100), 0);
	set_entity(&same, 10, NOW + 5);
	strcpy(same.component, "renamed");
	assert_int_equal(append(s, 2, &same, NOW, 100), 0);
	assert_int_equal(same.id, a.id);
	set_entity(&other, 10, NOW - 5);
	other.process.start_ticks++;
	assert_int_equal(append(s, 3, &other, NOW, 100), 0);
	assert_int_not_equal(other.id, a.id);
	assert_int_equal(store_each_entity(s, 0, see_entity, &seen, NULL), 0);
	assert_int_equal(seen.n, 2);
	seen.n = 0;
	assert_int_equal(store_each_entity(s, NOW, see_entity, &seen, NULL), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.entities[0].component, "renamed");
	assert_true(seen.entities[0].last_seen_ns == NOW + 5);
	assert_true(seen.entities[0].first_seen_ns == NOW);
	store_close(s);
	folder_remove(&f);
}

static int see_ticket(void *arg, const struct ticket *t)
{
	struct ticket **at = arg;

	*(*at)++ = *t;
	return 0;
}

static int see_order(void *arg, const struct order *o)
{
	struct order **at = arg;

	*(*at)++ = *o;
	return 0;
}

static int stop_ticket(void *arg, const struct ticket *t)
{
	return ++*(int *)arg == 1 ? 42 : 0;
}

static void tickets_and_orders(void **state)
{
	static struct ticket t[2], got[4], *at = got;
	static struct order o[2], got_o[4], *at_o = got_o;
	struct folder f;
	struct store *s;
	int calls = 0;

	folder_make(&f);
	s = open_store(&f);
	for (int i = 0; i < 2; i++) {
		t[i].state = TICKET_PROFILING;
		snprintf(t[i].note, sizeof(t[i].note), "note %d", i);
		assert_int_equal(store_put_ticket(s, &t[i], NULL), 0);
		o[i].state = ORDER_SENT;
		memset(o[i].nonce, i + 1, sizeof(o[i].nonce));
		assert_int_equal(store_put_order(s, &o[i], NULL), 0);
	}
	assert_true(t[0].id && t[1].id && t[0].id != t[1].id);
	assert_true(o[0].id && o[1].id && o[0].id != o[1].id);
	t[0].state = TICKET_CLOSED;
	o[1].state = ORDER_DONE;
	assert_int_equal(store_put_ticket(s, &t[0], NULL), 0);
	assert_int_equal(store_put_order(s, &o[1], NULL), 0);
	store_close(s);
	s = open_store(&f);
	assert_int_equal(store_each_ticket(s, see_ticket, &at, NULL), 0);
	assert_int_equal(store_each_order(s, see_order, &at_o, NULL), 0);
	assert_int_equal(at - got, 2);
	assert_int_equal(at_o - got_o, 2);
	assert_memory_equal(got, t, sizeof(t));
	assert_memory_equal(got_o, o, sizeof(o));
	assert_int_equal(store_each_ticket(s, stop_ticket, &calls, NULL), 42);
	assert_int_equal(calls, 1);
	store_close(s);
	folder_remove(&f);
}

static void profiles(void **state)
{
	size_t n = 2u << 20;
	char *big = malloc(n);
	struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES), small = BUF_INIT(10);
	uint64_t id = 0, id2 = 0;
	struct folder f;
	struct store *s;

	for (size_t i = 0; i < n; i++)
		big[i] = (char)(i * 7 >> 3);
	folder_make(&f);
	s = open_store(&f);
	assert_int_equal(store_put_profile(s, big, n, &id, NULL), 0);
	assert_int_equal(store_put_profile(s, "x", 1, &id2, NULL), 0);
	assert_true(id && id2 && id != id2);
	store_close(s);
	s = open_store(&f);
	assert_int_equal(store_get_profile(s, id, &b, NULL), 0);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.data, big, n);
	assert_int_equal(store_get_profile(s, id, &small, NULL), -EMSGSIZE);
	assert_int_equal(store_get_profile(s, id2, &small, NULL), 0);
	assert_string_equal(small.data, "x");
	buf_done(&b);
	buf_done(&small);
	store_close(s);
	folder_remove(&f);
	free(big);
}

static void what_is_old_is_dropped(void **state)
{
	struct store_entity old, young, got;
	struct folder f;
	struct store *s;

	folder_make(&f);
	s = open_store(&f);
	set_entity(&old, 10, NOW);
	set_entity(&young, 11, NOW + 10 * STEP);
	assert_int_equal(append(s, 1, &old, NOW, 100), 0);
	assert_int_equal(append(s, 2, &young, NOW, 100), 0);
	assert_int_equal(append(s, 3, &young, NOW + 10 * STEP, 100), 0);
	assert_int_equal(store_expire(s, NOW + 5 * STEP, NULL), 0);
	assert_int_equal(store_get_entity(s, old.id, &got, NULL), 1);
	assert_int_equal(store_get_entity(s, young.id, &got, NULL), 0);
	assert_int_equal(count_steps(s, old.id, 1, 0), 0);
	assert_int_equal(count_steps(s, young.id, 1, 0), 1);
	/* Expiry forgets no sequence number. */
	assert_int_equal(append(s, 3, &young, NOW, 1), 1);
	store_close(s);
	folder_remove(&f);
}

/* In a process of its own, as a second server would be; forked before the first one opens, so that
 * it shares nothing with it. Says 0 when it was refused as it should be. */
static pid_t second_opener(const struct folder *f, int go)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = ERR_INIT;
		struct store *s = NULL;
		char c;
		int r;

		if (read(go, &c, 1) != 1)
			_exit(3);
		r = store_open(&s, f->path, &err);
		_exit(r == 0 ? 1 : r == -EBUSY && strstr(err.msg, "in use") ? 0 : 2);
	}
	return pid;
}

/* `idle`: the first server has opened a store that was there and has written nothing yet. Both
 * cases wait for the busy timeout. */
static int refuses(bool idle)
{
	struct store_entity e;
	struct folder f;
	struct store *s;
	int status, go[2];
	pid_t pid;

	folder_make(&f);
	assert_int_equal(pipe(go), 0);
	if (idle)
		store_close(open_store(&f));
	pid = second_opener(&f, go[0]);
	s = open_store(&f);
	set_entity(&e, 10, NOW);
	if (!idle)
		assert_int_equal(append(s, 1, &e, NOW, 100), 0);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(go[0]);
	close(go[1]);
	store_close(s);
	folder_remove(&f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_second_opener_is_refused(void **state)
{
	assert_int_equal(refuses(false), 0);
}

static void a_second_opener_is_refused_by_an_idle_server(void **state)
{
	assert_int_equal(refuses(true), 0);
}

static void folders_and_files_that_are_no_store(void **state)
{
	struct err err = ERR_INIT;
	struct store *s = (void *)1;
	struct folder f;
	char junk[8192];

	assert_true(store_open(&s, "/no/such/folder", &err) < 0);
	assert_true(err.code < 0 && strstr(err.msg, "/no/such/folder"));
	assert_ptr_equal(s, (void *)1);
	folder_make(&f);
	memset(junk, 'j', sizeof(junk));
	folder_write_bytes(&f, "resin.sqlite", junk, sizeof(junk));
	err = ERR_INIT;
	assert_true(store_open(&s, f.path, &err) < 0);
	assert_true(err.code < 0);
	assert_ptr_equal(s, (void *)1);
	folder_remove(&f);
}

static void change(const struct folder *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(folder_path(f, "resin.sqlite"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void corrupt_records(void **state)
{
	static const char *const bad[] = {"x'80'", "x'00'", "x'0001'", "x'000102'", "x'00ffffff'",
		"x'00010203ff'", "x'00ffffffffffffffffffffffff0000'"};
	struct seen seen = {0};
	struct err err = ERR_INIT;
	struct store_entity e;
	struct ticket t = {0}, got[2], *at = got;
	struct order o = {0}, got_o[2], *at_o = got_o;
	struct folder f;
	struct store *s;

	folder_make(&f);
	s = open_store(&f);
	set_entity(&e, 10, NOW);
	assert_int_equal(append(s, 1, &e, NOW, 100), 0);
	assert_int_equal(store_put_ticket(s, &t, NULL), 0);
	assert_int_equal(store_put_order(s, &o, NULL), 0);
	store_close(s);
	change(&f, "UPDATE ticket SET v = x'0102'; UPDATE orders SET v = x''");
	for (size_t i = 0; i < COUNT(bad); i++) {
		char sql[200];

		snprintf(sql, sizeof(sql), "UPDATE step SET v = %s", bad[i]);
		change(&f, sql);
		s = open_store(&f);
		err = ERR_INIT;
		assert_int_equal(store_each_step(s, e.id, 1, 0, see_step, &seen, &err), -EBADMSG);
		assert_int_equal(err.code, -EBADMSG);
		assert_int_equal(seen.n, 0);
		store_close(s);
	}
	s = open_store(&f);
	err = ERR_INIT;
	assert_int_equal(store_each_ticket(s, see_ticket, &at, &err), -EPROTONOSUPPORT);
	assert_int_equal(err.code, -EPROTONOSUPPORT);
	err = ERR_INIT;
	assert_int_equal(store_each_order(s, see_order, &at_o, &err), -EPROTONOSUPPORT);
	assert_int_equal(err.code, -EPROTONOSUPPORT);
	/* The store is still of use. */
	assert_int_equal(append(s, 2, &e, NOW, 100), 0);
	assert_int_equal(count_steps(s, e.id, 1, 0), 1);
	store_close(s);
	/* Of a later version: metrics that we do not know are skipped. */
	change(&f, "UPDATE step SET v = x'7f01010100050101'");
	s = open_store(&f);
	assert_int_equal(store_each_step(s, e.id, 1, 0, see_step, &seen, NULL), 0);
	assert_int_equal(seen.steps[0].present, 1u << METRIC_ANON);
	assert_true(seen.steps[0].metric[METRIC_ANON].lo == 5);
	store_close(s);
	change(&f, "PRAGMA user_version = 999");
	assert_int_equal(store_open(&s, f.path, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.msg, "newer"));
	folder_remove(&f);
}

static void records_round_trip(void **state)
{
	struct store_step a = {.unix_ns = 7, .present = (1u << METRIC_MAX_) - 1},
			  b = {.unix_ns = 7};
	struct buf out = BUF_INIT(1000), tiny = BUF_INIT(3);

	for (unsigned m = 0; m < METRIC_MAX_; m++)
		a.metric[m] = (struct point){7, m ? UINT64_MAX - m : 0, UINT64_MAX, UINT64_MAX};
	assert_int_equal(record_put_step(&a, &out), 0);
	assert_int_equal(record_get_step(out.data, out.len, &b), 0);
	assert_int_equal(a.present, b.present);
	assert_memory_equal(a.metric, b.metric, sizeof(a.metric));
	for (size_t n = 0; n < out.len; n++) {
		char *cut = malloc(n ? n : 1);

		memcpy(cut, out.data, n);
		(void)!record_get_step(cut, n, &b);
		free(cut);
	}
	assert_int_equal(record_put_step(&a, &tiny), -EMSGSIZE);
	buf_done(&out);
	buf_done(&tiny);
}

/* A disk that is full: nothing is written, and once there is room again all of it is. */
static void a_failed_append_leaves_nothing(void **state)
{
	struct rlimit old, small;
	struct store_entity a, e, got;
	struct folder f;
	struct store *s;
	uint64_t seq;
	int r, status;
	pid_t pid;

	folder_make(&f);
	pid = fork();
	if (pid == 0) {
		signal(SIGXFSZ, SIG_IGN);
		s = open_store(&f);
		set_entity(&a, 10, NOW);
		if (append(s, 1, &a, NOW, 100) != 0)
			_exit(10);
		getrlimit(RLIMIT_FSIZE, &old);
		small = (struct rlimit){1, old.rlim_max};
		setrlimit(RLIMIT_FSIZE, &small);
		set_entity(&e, 11, NOW);
		r = append(s, 2, &e, NOW, 100);
		setrlimit(RLIMIT_FSIZE, &old);
		if (r >= 0)
			_exit(11);
		if (store_last_seq(s, "host-a", "boot-1", &seq, NULL) < 0 || seq != 1)
			_exit(12);
		if (append(s, 2, &e, NOW, 100) != 0)
			_exit(13);
		if (store_get_entity(s, e.id, &got, NULL) != 0 || got.process.pid != 11)
			_exit(14); /* acknowledged, but not there */
		store_close(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	folder_remove(&f);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_count_once),
		cmocka_unit_test(entities_are_known_by_their_identity),
		cmocka_unit_test(tickets_and_orders),
		cmocka_unit_test(profiles),
		cmocka_unit_test(what_is_old_is_dropped),
		cmocka_unit_test(a_second_opener_is_refused),
		cmocka_unit_test(a_second_opener_is_refused_by_an_idle_server),
		cmocka_unit_test(folders_and_files_that_are_no_store),
		cmocka_unit_test(corrupt_records),
		cmocka_unit_test(records_round_trip),
		cmocka_unit_test(a_failed_append_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
