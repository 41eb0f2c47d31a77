/*
 * The server's stages joined, driven without a socket and with a clock of our own.
 */
#include "serve/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ull

static uint64_t now_ns = 1700000000 * SECOND;

static uint64_t fake_now(void *arg)
{
	return now_ns;
}

static const struct clock fake_clock = {fake_now, fake_now, NULL};

static const struct pipeline_settings settings = {
	.localize = {.min_steps = 24,
		.warm_up_steps = 4,
		.min_growth_bytes = 1u << 20,
		.min_growth_share = 0},
	.step_ns = 120 * SECOND,
	.retention_ns = 86400 * SECOND,
	.hour_ns = 3600 * SECOND,
	.campaign_duration_ns = 1200 * SECOND,
	.campaign_period_bytes = 512u << 10,
	.campaign_attempts = 2,
	.campaign_expiry_ns = 120 * SECOND,
	.campaign_per_hour = 5,
};

struct fixture {
	char dir[64];
	struct store *store;
	struct pipeline p;
	struct order orders[WIRE_MAX_ORDERS];
	struct reply reply;
	uint64_t seq;
};

static void open_fixture(struct fixture *f)
{
	struct err err = ERR_INIT;

	assert_int_equal(store_open(&f->store, f->dir, &err), 0);
	assert_int_equal(pipeline_init(&f->p, f->store, &fake_clock, &settings, &err), 0);
}

static void close_fixture(struct fixture *f)
{
	pipeline_done(&f->p);
	f->store = store_close(f->store);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/resin-serve-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	open_fixture(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	close_fixture(f);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	assert_int_equal(system(cmd), 0);
	free(f);
	return 0;
}

/* One batch with one process of this size; the clock goes on by one step. */
static int look(struct fixture *f, uint32_t pid, uint64_t anon)
{
	struct sample s = {.kind = ENTITY_PROCESS,
		.pid = pid,
		.start_ticks = 7,
		.component = "prog",
		.version = "abc",
		.present = 1u << METRIC_ANON,
		.values = {[METRIC_ANON] = anon}};
	struct batch b = {.host = "h",
		.boot_id = "boot",
		.seq = ++f->seq,
		.unix_ns = now_ns,
		.period_ns = 10 * SECOND,
		.pace = f->p.head.pace,
		.samples = &s,
		.n_samples = 1};
	struct err err = ERR_INIT;
	int r = pipeline_samples(&f->p, &b, &f->reply, f->orders, &err);

	now_ns += head_step_ns(&f->p.head);
	return r;
}

static void leak(struct fixture *f, uint32_t pid, unsigned steps)
{
	for (unsigned i = 0; i < steps; i++)
		assert_int_equal(look(f, pid, (20u << 20) + (uint64_t)i * (1u << 18)), 0);
}

static void report(struct fixture *f, enum order_state state, const char *reason)
{
	struct report r = {.order_id = f->p.orders[f->p.n_orders - 1].id, .state = state};
	struct err err = ERR_INIT;

	memcpy(r.nonce, f->p.orders[f->p.n_orders - 1].nonce, sizeof(r.nonce));
	snprintf(r.reason, sizeof(r.reason), "%s", reason);
	assert_int_equal(pipeline_report(&f->p, &r, &err), 0);
}

static void a_leak_opens_one_ticket_and_one_order(void **state)
{
	struct fixture *f = *state;

	leak(f, 10, 60);
	assert_int_equal(f->p.n_tickets, 1);
	assert_int_equal(f->p.tickets[0].state, TICKET_PROFILING);
	assert_int_equal(f->p.tickets[0].process.pid, 10);
	assert_string_equal(f->p.tickets[0].version, "abc");
	assert_true(f->p.n_orders >= 1);
	assert_int_equal(f->p.orders[0].target.pid, 10);
	assert_string_equal(f->p.orders[0].host, "h");
	assert_true(f->p.orders[0].sample_period_bytes < settings.campaign_period_bytes);
}

static void an_order_is_offered_until_it_is_taken(void **state)
{
	struct fixture *f = *state;

	leak(f, 10, 36);
	assert_int_equal(f->p.n_orders, 1);
	now_ns -= 100 * SECOND; /* before it expires */
	assert_int_equal(look(f, 10, 30u << 20), 0);
	assert_int_equal(f->reply.n_orders, 1);
	report(f, ORDER_ACCEPTED, "");
	assert_int_equal(look(f, 10, 30u << 20), 0);
	assert_int_equal(f->reply.n_orders, 0);
}

static void a_refused_order_is_not_repeated(void **state)
{
	struct fixture *f = *state;

	leak(f, 10, 36);
	report(f, ORDER_REFUSED, "the policy denies it");
	assert_int_equal(f->p.tickets[0].state, TICKET_UNDIAGNOSED);
	assert_string_equal(f->p.tickets[0].note, "the policy denies it");
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(look(f, 10, (40u << 20) + (uint64_t)i * (1u << 18)), 0);
	assert_int_equal(f->p.n_orders, 1);
	assert_int_equal(f->p.n_tickets, 1);
}

static void a_failed_order_is_tried_again_but_not_for_ever(void **state)
{
	struct fixture *f = *state;

	leak(f, 10, 36);
	report(f, ORDER_FAILED, "no safe point");
	assert_int_equal(f->p.tickets[0].state, TICKET_OPEN);
	assert_int_equal(look(f, 10, 60u << 20), 0);
	assert_int_equal(look(f, 10, 61u << 20), 0);
	assert_int_equal(f->p.n_orders, 2);
	report(f, ORDER_FAILED, "no safe point");
	assert_int_equal(f->p.tickets[0].state, TICKET_UNDIAGNOSED);
}

static void an_order_expires_when_nobody_takes_it(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	leak(f, 10, 36);
	now_ns += 1000 * SECOND;
	assert_int_equal(pipeline_tick(&f->p, &err), 0);
	assert_int_equal(f->p.orders[0].state, ORDER_EXPIRED);
	assert_int_equal(f->p.tickets[0].state, TICKET_OPEN);
}

static void reports_need_the_nonce(void **state)
{
	struct fixture *f = *state;
	struct report r = {.state = ORDER_REFUSED};
	struct err err = ERR_INIT;

	leak(f, 10, 36);
	r.order_id = f->p.orders[0].id;
	assert_true(pipeline_report(&f->p, &r, &err) < 0);
	assert_int_equal(f->p.tickets[0].state, TICKET_PROFILING);
	r.order_id = 4711;
	assert_true(pipeline_report(&f->p, &r, &err) < 0);
}

static struct profile profile_for(const struct order *o, bool leaking)
{
	static uint64_t at[8], live[8], flat[8];
	static struct frame frame = {"culprit", "x.c", "/bin/x", "", 1, 42, false};
	static struct site site;
	struct profile p = {.target = o->target,
		.order_id = o->id,
		.component = "prog",
		.exe = "/x",
		.duration_ns = 10 * SECOND,
		.n_checkpoints = 8,
		.checkpoint_ns = at,
		.sites = &site,
		.n_sites = 1};

	for (unsigned i = 0; i < 8; i++) {
		at[i] = i * SECOND;
		live[i] = i << 20;
		flat[i] = 1u << 20;
	}
	site = (struct site){.kind = SITE_STACK,
		.label = "",
		.frames = &frame,
		.n_frames = 1,
		.live_bytes = leaking ? live : flat,
		.live_count = live,
		.samples = 100,
		.first_half = 50,
		.survivors = 50};
	return p;
}

static int send_profile(struct fixture *f, const struct profile *p)
{
	autobuf struct buf b = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;

	assert_int_equal(wire_encode_profile(p, &b, &err), 0);
	return pipeline_profile(&f->p, p, b.data, b.len, &err);
}

static void a_profile_names_the_cause(void **state)
{
	struct fixture *f = *state;
	struct profile p;

	leak(f, 10, 36);
	p = profile_for(&f->p.orders[0], true);
	assert_int_equal(send_profile(f, &p), 0);
	assert_int_equal(f->p.tickets[0].state, TICKET_DIAGNOSED);
	assert_string_equal(f->p.tickets[0].note, "culprit (x.c:42)");
	assert_int_equal(f->p.orders[0].state, ORDER_DONE);
	assert_int_equal(send_profile(f, &p), 0); /* again: acknowledged, and nothing changes */
	p.target.pid = 11;
	assert_true(send_profile(f, &p) < 0); /* nobody ordered that */
}

static void a_profile_without_growth_is_no_diagnosis(void **state)
{
	struct fixture *f = *state;
	struct profile p;

	leak(f, 10, 36);
	p = profile_for(&f->p.orders[0], false);
	assert_int_equal(send_profile(f, &p), 0);
	assert_int_equal(f->p.tickets[0].state, TICKET_OPEN);
}

static void a_restart_is_no_cure(void **state)
{
	struct fixture *f = *state;

	leak(f, 10, 36);
	report(f, ORDER_FAILED, "the process ended");
	leak(f, 11, 60); /* the next instance leaks on */
	assert_int_equal(f->p.n_tickets, 1);
	assert_int_equal(f->p.tickets[0].process.pid, 11);
	assert_int_equal(f->p.orders[f->p.n_orders - 1].target.pid, 11);
}

static void growth_that_ends_closes_the_ticket(void **state)
{
	struct fixture *f = *state;
	struct profile p;

	leak(f, 10, 36);
	p = profile_for(&f->p.orders[0], true);
	assert_int_equal(send_profile(f, &p), 0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(look(f, 10, 30u << 20), 0);
	assert_int_equal(f->p.tickets[0].state, TICKET_CLOSED);
	assert_non_null(strstr(f->p.tickets[0].note, "no longer a leak"));
}

static void everything_is_there_after_a_restart(void **state)
{
	struct fixture *f = *state;
	size_t points;

	leak(f, 10, 40);
	points = f->p.head.entities[0]->n;
	close_fixture(f);
	open_fixture(f);
	assert_int_equal(f->p.n_tickets, 1);
	assert_true(f->p.n_orders >= 1);
	assert_int_equal(f->p.head.n, 1);
	assert_int_equal(f->p.head.entities[0]->n, points);
	f->seq--; /* the agent repeats what it is not sure of */
	assert_int_equal(look(f, 10, 1), 0);
	assert_int_equal(f->p.head.duplicates, 1);
	assert_int_equal(look(f, 10, 45u << 20), 0);
	assert_int_equal(f->p.n_tickets, 1);
}

static void a_pace_has_series_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	leak(f, 10, 10);
	assert_int_equal(f->p.head.entities[0]->n, 9);
	assert_int_equal(pipeline_set_pace(&f->p, 120, 60, &err), 0);
	assert_int_equal(f->p.head.entities[0]->n, 0);
	leak(f, 10, 20);
	assert_int_equal(f->p.head.entities[0]->n, 19);
	now_ns += 61 * SECOND;
	assert_int_equal(pipeline_tick(&f->p, &err), 0);
	assert_int_equal(f->p.head.pace, 1);
	assert_int_equal(f->p.head.entities[0]->n, 9);
	assert_true(pipeline_set_pace(&f->p, 0, 1, &err) < 0);
	assert_true(pipeline_set_pace(&f->p, 100000, 1, &err) < 0);
	assert_true(pipeline_set_pace(&f->p, 2, 100000, &err) < 0);
}

/* -- the API ----------------------------------------------------------------------------- */

static const char *no_query(void *arg, const char *name)
{
	return NULL;
}

static unsigned call(struct api *a, const char *method, const char *path, const char *body,
	bool sign, struct api_response *ret)
{
	char signature[AUTH_SIGNATURE_HEX];
	struct api_request q = {.method = method,
		.path = path,
		.query = no_query,
		.body = body,
		.body_bytes = strlen(body),
		.nonce = "00112233445566778899aabbccddeeff"};

	if (sign) {
		assert_int_equal(auth_sign(&a->key, "POST", path, q.nonce, body, strlen(body),
					 signature, NULL),
			0);
		q.signature = signature;
	}
	api_handle(a, &q, ret);
	return ret->status;
}

static void check_status(struct api *a, const char *method, const char *path, const char *body,
	bool sign, unsigned want)
{
	struct api_response r;

	assert_int_equal(call(a, method, path, body, sign, &r), want);
	assert_int_equal(r.signature[0] != 0, sign);
	if (want != 200)
		assert_non_null(strstr(r.body.data, "\"error\""));
	buf_done(&r.body);
}

static void api_answers(void **state)
{
	struct fixture *f = *state;
	struct api a = {.pipeline = &f->p, .version = "1"};

	leak(f, 10, 40);
	check_status(&a, "GET", "/", "", false, 200);
	check_status(&a, "GET", "/v1/status", "", false, 200);
	check_status(&a, "GET", "/v1/top", "", false, 200);
	check_status(&a, "GET", "/v1/tickets", "", false, 200);
	check_status(&a, "GET", "/v1/tickets/1", "", false, 200);
	check_status(&a, "GET", "/v1/tickets/2", "", false, 404);
	check_status(&a, "GET", "/v1/tickets/x", "", false, 404);
	check_status(&a, "GET", "/v1/series/1", "", false, 200);
	check_status(&a, "GET", "/v1/series/99", "", false, 404);
	check_status(&a, "GET", "/../etc/passwd", "", false, 404);
	check_status(&a, "DELETE", "/v1/tickets/1", "", false, 405);
	check_status(&a, "POST", "/v1/pace", "2 5", false, 401);
	check_status(&a, "POST", "/v1/samples", "", false, 401);
	check_status(&a, "POST", "/v1/pace", "2 5", true, 200);
	check_status(&a, "POST", "/v1/pace", "0 5", true, 400);
	check_status(&a, "POST", "/v1/pace", "two", true, 400);
	check_status(&a, "POST", "/v1/samples", "garbage", true, 400);
	check_status(&a, "POST", "/v1/reports", "garbage", true, 400);
	check_status(&a, "POST", "/v1/profiles", "garbage", true, 400);
	check_status(&a, "POST", "/v1/nothing", "", true, 404);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_leak_opens_one_ticket_and_one_order),
		T(an_order_is_offered_until_it_is_taken),
		T(a_refused_order_is_not_repeated),
		T(a_failed_order_is_tried_again_but_not_for_ever),
		T(an_order_expires_when_nobody_takes_it),
		T(reports_need_the_nonce),
		T(a_profile_names_the_cause),
		T(a_profile_without_growth_is_no_diagnosis),
		T(a_restart_is_no_cure),
		T(growth_that_ends_closes_the_ticket),
		T(everything_is_there_after_a_restart),
		T(a_pace_has_series_of_its_own),
		T(api_answers),
	};

	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
