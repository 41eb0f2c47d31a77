#include "unit.h"

#include "base/json.h"
#include "campaign/campaign.h"
#include "ticket/evidence.h"
#include "ticket/ticket.h"

#define SECOND UINT64_C(1000000000)
#define NOW (1700000000 * SECOND)

static const struct proc_id process = {"boot-1", 42, 4711};
static const struct suspect leak = {
	.verdict = VERDICT_LEAK, .bytes_per_hour = 1e9, .reason = "it grows"};

static void begin(struct ticket *t)
{
	memset(t, 0xa5, sizeof(*t));
	ticket_begin(t, "host-a", &process, "kv-server", "abcd", &leak, NOW);
}

static void a_new_ticket_is_open(void **state)
{
	char longer[1000];
	struct ticket t;

	begin(&t);
	assert_int_equal(t.state, TICKET_OPEN);
	assert_int_equal(t.id, 0);
	assert_int_equal(t.attempts, 0);
	assert_true(t.opened_unix_ns == NOW && t.updated_unix_ns == NOW && t.closed_unix_ns == 0);
	assert_string_equal(t.host, "host-a");
	assert_string_equal(t.component, "kv-server");
	assert_string_equal(t.version, "abcd");
	assert_string_equal(t.note, "");
	assert_memory_equal(&t.process, &process, sizeof(process));
	assert_int_equal(t.suspect.verdict, VERDICT_LEAK);
	memset(longer, 'x', sizeof(longer));
	longer[999] = 0;
	ticket_begin(&t, longer, &process, longer, longer, &leak, NOW);
	assert_int_equal(strlen(t.host), sizeof(t.host) - 1);
	assert_int_equal(strlen(t.component), sizeof(t.component) - 1);
	assert_int_equal(strlen(t.version), sizeof(t.version) - 1);
	ticket_close(&t, longer, NOW);
	assert_int_equal(strlen(t.note), sizeof(t.note) - 1);
}

static void one_ticket_for_a_component_on_a_host(void **state)
{
	struct ticket t;

	begin(&t);
	assert_true(ticket_covers(&t, "host-a", "kv-server"));
	assert_false(ticket_covers(&t, "host-b", "kv-server"));
	assert_false(ticket_covers(&t, "host-a", "kv"));
	ticket_campaign_started(&t, 1, NOW);
	assert_true(ticket_covers(&t, "host-a", "kv-server"));
	ticket_diagnosed(&t, 1, "x", NOW);
	assert_true(ticket_covers(&t, "host-a", "kv-server"));
	ticket_close(&t, "fixed", NOW + 5);
	assert_false(ticket_covers(&t, "host-a", "kv-server"));
	assert_true(t.closed_unix_ns == NOW + 5 && t.updated_unix_ns == NOW + 5);
	assert_string_equal(t.note, "fixed");
}

static void attempts_are_used_up(void **state)
{
	struct ticket t;

	begin(&t);
	ticket_campaign_failed(&t, "not under way", true, 1, NOW);
	assert_int_equal(t.state, TICKET_OPEN);
	assert_string_equal(t.note, "");
	for (unsigned i = 1; i <= 3; i++) {
		ticket_campaign_started(&t, 10 + i, NOW + i);
		assert_int_equal(t.state, TICKET_PROFILING);
		assert_int_equal(t.attempts, i);
		assert_int_equal(t.order_id, 10 + i);
		assert_string_equal(t.note, "");
		ticket_campaign_failed(&t, "no safe point", false, 3, NOW + i);
		assert_int_equal(t.state, i < 3 ? TICKET_OPEN : TICKET_UNDIAGNOSED);
		assert_string_equal(t.note, "no safe point");
		assert_true(t.updated_unix_ns == NOW + i);
	}
	begin(&t);
	ticket_campaign_started(&t, 1, NOW);
	ticket_campaign_failed(&t, "the policy forbids it", true, 3, NOW);
	assert_int_equal(t.state, TICKET_UNDIAGNOSED);
}

static void a_late_answer_does_not_reopen(void **state)
{
	struct ticket t;

	begin(&t);
	ticket_campaign_started(&t, 1, NOW);
	ticket_close(&t, "gone", NOW + 1);
	ticket_diagnosed(&t, 9, "main.c:3", NOW + 2);
	ticket_campaign_failed(&t, "late", false, 3, NOW + 2);
	assert_int_equal(t.state, TICKET_CLOSED);
	assert_int_equal(t.profile_id, 0);
	assert_string_equal(t.note, "gone");
	begin(&t);
	ticket_campaign_started(&t, 1, NOW);
	ticket_diagnosed(&t, 9, "main.c:3", NOW + 2);
	assert_int_equal(t.state, TICKET_DIAGNOSED);
	assert_int_equal(t.profile_id, 9);
	ticket_campaign_failed(&t, "late", true, 3, NOW + 3);
	assert_int_equal(t.state, TICKET_DIAGNOSED);
	assert_string_equal(t.note, "main.c:3");
}

static const struct campaign_rules rules = {
	.duration_ns = 60 * SECOND,
	.min_duration_ns = 5 * SECOND,
	.period_bytes = 524288,
	.expiry_ns = 300 * SECOND,
	.per_hour = 3,
	.pace = 1,
};

static void put_order(struct order *o, enum order_state state, const char *host, uint64_t issued)
{
	*o = (struct order){.id = 77, .state = state, .issued_unix_ns = issued};
	strcpy(o->host, host);
}

static bool may_start(const struct campaign_rules *r, const struct order *o, size_t n)
{
	char why[120] = "";
	struct ticket t;
	bool ok;

	begin(&t);
	ok = campaign_may_start(r, o, n, &t, NOW, why, sizeof(why));
	assert_true(ok || why[0]);
	return ok;
}

static void one_order_at_a_time_on_a_host(void **state)
{
	struct order o[2];

	assert_true(may_start(&rules, NULL, 0));
	for (int s = 0; s < ORDER_STATE_MAX_; s++) {
		put_order(&o[0], (enum order_state)s, "host-b", 1);
		put_order(&o[1], (enum order_state)s, "host-a", 1);
		assert_true(may_start(&rules, o, 1));
		assert_int_equal(may_start(&rules, o, 2), order_is_final((enum order_state)s));
	}
}

static void campaigns_are_rate_limited(void **state)
{
	struct campaign_rules fast = rules;
	struct order o[4];

	for (int i = 0; i < 4; i++)
		put_order(&o[i], ORDER_DONE, "host-c", NOW - 3599 * SECOND);
	assert_true(may_start(&rules, o, 2));
	assert_false(may_start(&rules, o, 3));
	put_order(&o[0], ORDER_DONE, "host-c", NOW - 3600 * SECOND);
	assert_true(may_start(&rules, o, 3));
	assert_false(may_start(&rules, o, 4));
	/* At sixty times the pace an hour is a minute. */
	fast.pace = 60;
	assert_true(may_start(&fast, o, 4));
	for (int i = 0; i < 3; i++)
		put_order(&o[i], ORDER_REFUSED, "host-c", NOW - 59 * SECOND);
	assert_false(may_start(&fast, o, 3));
	fast.per_hour = 0;
	assert_false(may_start(&fast, o, 0));
}

static void an_order_for_a_ticket(void **state)
{
	static const uint8_t nonce[ORDER_NONCE_BYTES] = "0123456789abcde";
	struct campaign_rules r = rules;
	struct ticket t;
	struct order o;

	begin(&t);
	t.id = 5;
	memset(&o, 0xa5, sizeof(o));
	campaign_order(&r, &t, nonce, NOW, &o);
	assert_int_equal(o.id, 0);
	assert_int_equal(o.state, ORDER_PENDING);
	assert_int_equal(o.kind, ORDER_KIND_PROFILE);
	assert_string_equal(o.host, "host-a");
	assert_memory_equal(&o.target, &process, sizeof(process));
	assert_memory_equal(o.nonce, nonce, sizeof(nonce));
	assert_int_equal(o.ticket_id, 5);
	assert_true(o.issued_unix_ns == NOW && o.expires_unix_ns == NOW + 300 * SECOND);
	assert_true(o.duration_ns == 60 * SECOND);
	assert_string_equal(o.reason, "");
	/* A slow leak is sampled more densely, a fast one at most at the rule's distance. */
	assert_true(o.sample_period_bytes <= r.period_bytes && o.sample_period_bytes >= 4096);
	t.suspect.bytes_per_hour = 1e15;
	campaign_order(&r, &t, nonce, NOW, &o);
	assert_int_equal(o.sample_period_bytes, r.period_bytes);
	t.suspect.bytes_per_hour = 0;
	campaign_order(&r, &t, nonce, NOW, &o);
	assert_int_equal(o.sample_period_bytes, 4096);
	t.suspect.bytes_per_hour = -1e9;
	campaign_order(&r, &t, nonce, NOW, &o);
	assert_int_equal(o.sample_period_bytes, 4096);
	r.pace = 6;
	campaign_order(&r, &t, nonce, NOW, &o);
	assert_true(o.duration_ns == 10 * SECOND);
	r.pace = 60;
	campaign_order(&r, &t, nonce, NOW, &o);
	assert_true(o.duration_ns == 5 * SECOND);
}

static void orders_move_along_their_arrows(void **state)
{
	struct order o;

	put_order(&o, ORDER_PENDING, "host-a", NOW);
	assert_true(campaign_move(&o, ORDER_SENT, "given out"));
	assert_string_equal(o.reason, "given out");
	assert_true(campaign_move(&o, ORDER_RUNNING, "at work"));
	assert_false(campaign_move(&o, ORDER_ACCEPTED, "late"));
	assert_int_equal(o.state, ORDER_RUNNING);
	assert_string_equal(o.reason, "at work");
	assert_true(campaign_move(&o, ORDER_DONE, ""));
	assert_false(campaign_move(&o, ORDER_CANCELLED, "x"));
	assert_false(campaign_move(&o, ORDER_DONE, "x"));
	assert_int_equal(o.state, ORDER_DONE);
}

static void overdue_orders(void **state)
{
	for (int s = 0; s < ORDER_STATE_MAX_; s++) {
		bool waits = s == ORDER_PENDING || s == ORDER_SENT;
		struct order o;

		put_order(&o, (enum order_state)s, "host-a", NOW);
		o.expires_unix_ns = NOW + 10;
		o.duration_ns = 60 * SECOND;
		assert_false(campaign_overdue(&o, NOW + 10));
		assert_int_equal(campaign_overdue(&o, NOW + 11), waits);
		/* Once accepted, it has its time to sample. */
		assert_int_equal(campaign_overdue(&o, NOW + 60 * SECOND), waits);
		assert_int_equal(campaign_overdue(&o, NOW + 3600 * SECOND), s < ORDER_DONE);
	}
}

static void headline_skips_system_libraries(void **state)
{
	struct frame f[] = {
		{.module = "/usr/lib/x86_64-linux-gnu/libc.so.6"},
		{.module = "/usr/lib/libstdc++.so.6.0.30"},
		{.module = "/usr/lib/libcurl.so.4"},
		{.module = "/usr/bin/app"},
	};
	struct site s = {.frames = f, .n_frames = 4};

	assert_ptr_equal(evidence_headline(&s), &f[2]);
	s.n_frames = 2;
	assert_ptr_equal(evidence_headline(&s), &f[0]);
	s.n_frames = 0;
	assert_null(evidence_headline(&s));
	s.frames = f + 3;
	s.n_frames = 1;
	f[3].module = "";
	assert_ptr_equal(evidence_headline(&s), &f[3]);
}

static void evidence_is_whole_json(void **state)
{
	struct frame frame = {.function = "leak\"it",
		.file = "",
		.module = "/a",
		.build_id = "",
		.offset = UINT64_MAX};
	uint64_t live[2] = {1, UINT64_MAX};
	struct site site = {
		.frames = &frame, .n_frames = 1, .live_bytes = live, .live_count = live};
	struct profile p;
	struct diagnosis d = {.n = 1};
	struct order o;
	struct ticket t;
	struct buf b = BUF_INIT(100000);
	struct json j;

	begin(&t);
	put_order(&o, ORDER_SENT, "host-a", NOW);
	memset(o.nonce, 'N', sizeof(o.nonce));
	profile_init(&p);
	p.sites = &site;
	p.n_sites = 1;
	p.n_checkpoints = 2;
	p.checkpoint_ns = live;
	d.findings[0].site = &site;
	json_init(&j, &b);
	json_array(&j);
	evidence_diagnosis(&j, &p, &d);
	evidence_order(&j, &o);
	json_object(&j);
	evidence_ticket_fields(&j, &t);
	json_object_end(&j);
	json_array_end(&j);
	assert_int_equal(json_finish(&j), 0);
	assert_non_null(strstr(b.data, "\"schema\":\"resin.diagnosis/1\""));
	assert_non_null(strstr(b.data, "\"explained_share\":null"));
	assert_non_null(strstr(b.data, "\"function\":\"leak\\\"it\",\"file\":null"));
	assert_non_null(strstr(b.data, "0xffffffffffffffff"));
	assert_non_null(strstr(b.data, "\"verdict\":\"leak\""));
	assert_non_null(strstr(b.data, "\"closed_at\":null"));
	assert_null(strstr(b.data, "NNNN"));
	assert_null(strstr(b.data, "nonce"));
	buf_done(&b);
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_ticket_is_open),
		cmocka_unit_test(one_ticket_for_a_component_on_a_host),
		cmocka_unit_test(attempts_are_used_up),
		cmocka_unit_test(a_late_answer_does_not_reopen),
		cmocka_unit_test(one_order_at_a_time_on_a_host),
		cmocka_unit_test(campaigns_are_rate_limited),
		cmocka_unit_test(an_order_for_a_ticket),
		cmocka_unit_test(orders_move_along_their_arrows),
		cmocka_unit_test(overdue_orders),
		cmocka_unit_test(headline_skips_system_libraries),
		cmocka_unit_test(evidence_is_whole_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
