#include "torture.h"

#include "base/units.h"
#include "model/finding.h"
#include "model/metric.h"
#include "model/order.h"
#include "model/policy.h"
#include "model/profile.h"
#include "model/suspect.h"
#include "model/ticket.h"

static bool allows(const struct policy *p, const char *exe, uint64_t seconds)
{
	char why[200] = "";
	bool r = policy_allows_profile(p, exe, seconds * NSEC_PER_SEC, why, sizeof(why));

	assert_true(r || why[0]); /* a refusal has a reason */
	return r;
}

static void policy_denies_by_default(void **state)
{
	struct policy p;
	struct err err = ERR_INIT;

	policy_init(&p);
	assert_false(allows(&p, "/usr/bin/a", 1));
	assert_int_equal(policy_parse(&p, "", "p", &err), 0);
	assert_false(allows(&p, "/usr/bin/a", 1));
	assert_int_equal(policy_parse(&p, "# only\n[profile]\n", "p", &err), 0);
	assert_false(allows(&p, "/usr/bin/a", 1));
	assert_int_equal(policy_parse(&p, "[profile]\ndeny = /usr/bin/b\n", "p", &err), 0);
	assert_false(allows(&p, "/usr/bin/a", 1));
	policy_done(&p);
	policy_done(NULL);
}

static void policy_allows_what_its_globs_match(void **state)
{
	struct policy p;
	struct err err = ERR_INIT;

	policy_init(&p);
	assert_int_equal(policy_parse(&p,
				 "[profile]\nallow = /usr/lib/resin/demo/*\nallow = /opt/?/x[0-9]\n"
				 "max_duration = 60s\n",
				 "p", &err),
		0);
	assert_true(allows(&p, "/usr/lib/resin/demo/server", 60));
	assert_true(allows(&p, "/usr/lib/resin/demo/deep/server", 60)); /* no FNM_PATHNAME */
	assert_true(allows(&p, "/opt/a/x7", 1));
	assert_false(allows(&p, "/opt/a/xx", 1));
	assert_false(allows(&p, "/usr/lib/resin/demo", 1));
	assert_false(allows(&p, "/x/usr/lib/resin/demo/server", 1));
	assert_false(allows(&p, "", 1));
	assert_false(allows(&p, "/usr/lib/resin/demo/server", 61));
	policy_done(&p);
	assert_false(allows(&p, "/usr/lib/resin/demo/server", 1));
}

static void policy_deny_wins_wherever_it_stands(void **state)
{
	static const char *const texts[] = {
		"[profile]\nallow = *\ndeny = /usr/sbin/sshd\n",
		"[profile]\ndeny = /usr/sbin/sshd\nallow = *\nallow = /usr/sbin/sshd\n",
		"[profile]\nallow = /usr/sbin/sshd\ndeny = /usr/sbin/*d\nallow = *\n",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct policy p;
		struct err err = ERR_INIT;

		policy_init(&p);
		assert_int_equal(policy_parse(&p, texts[i], "p", &err), 0);
		assert_false(allows(&p, "/usr/sbin/sshd", 1));
		assert_true(allows(&p, "/usr/bin/ls", 1));
		policy_done(&p);
	}
}

static void policy_bad_file_allows_nothing(void **state)
{
	static const char *const bad[] = {
		"[profile]\nallow = *\nalow = /x\n",
		"[profile]\nallow = *\n[freeze]\nallow = *\n",
		"[profile]\nallow = *\nmax_duration = 60\n",
		"[profile]\nallow = *\nallow = relative/path\n",
		"[profile]\nallow = *\ndeny =\n",
		"[profile]\nallow = *\nno equals sign\n",
		"[profile]\nallow = *\n[profile\n",
		"allow = *\n",
		"[Profile]\nallow = *\n",
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct policy p;
		struct err err = ERR_INIT;

		policy_init(&p);
		assert_true(policy_parse(&p, bad[i], "the-file", &err) < 0);
		assert_non_null(strstr(err.msg, "the-file:"));
		assert_false(allows(&p, "/usr/bin/a", 1));
		policy_done(&p);
	}
}

static void policy_has_a_ceiling_of_rules(void **state)
{
	char text[16384] = "[profile]\n";
	struct policy p;
	struct err err = ERR_INIT;

	for (int i = 0; i < POLICY_MAX_RULES; i++)
		sprintf(text + strlen(text), "allow = /bin/%d\n", i);
	policy_init(&p);
	assert_int_equal(policy_parse(&p, text, "p", &err), 0);
	assert_true(allows(&p, "/bin/0", 1));
	assert_true(allows(&p, "/bin/255", 1));
	policy_done(&p);
	strcat(text, "deny = /bin/0\n");
	policy_init(&p);
	assert_int_equal(policy_parse(&p, text, "p", &err), -EMSGSIZE);
	assert_false(allows(&p, "/bin/1", 1));
	policy_done(&p);
}

static void policy_reason_fits_in_200_bytes(void **state)
{
	char exe[4096], why[210], glob[4000] = "[profile]\nallow = *\ndeny = /";
	struct policy p;
	struct err err = ERR_INIT;

	memset(exe, 'e', sizeof(exe));
	exe[0] = '/';
	exe[4095] = 0;
	memset(why, 0x55, sizeof(why));
	policy_init(&p);
	assert_false(policy_allows_profile(&p, exe, 1, why, 200));
	assert_non_null(memchr(why, 0, 200));
	memset(glob + strlen(glob), '*', 3000);
	assert_int_equal(policy_parse(&p, glob, "p", &err), 0);
	assert_false(policy_allows_profile(&p, exe, 1, why, 200));
	assert_non_null(memchr(why, 0, 200));
	for (int i = 200; i < 210; i++)
		assert_int_equal(why[i], 0x55);
	policy_done(&p);
}

/* The table, written down a second time: rows from, columns to. */
static void order_arrows(void **state)
{
	/* clang-format off */
	static const char *const may[ORDER_STATE_MAX_] = {
		/*                P S A R D R F E C */
		[ORDER_PENDING] = "0 1 1 1 1 1 1 1 1",
		[ORDER_SENT] =    "0 0 1 1 1 1 1 1 1",
		[ORDER_ACCEPTED]= "0 0 0 1 1 1 1 1 1",
		[ORDER_RUNNING] = "0 0 0 0 1 1 1 1 1",
		[ORDER_DONE] =    "0 0 0 0 0 0 0 0 0",
		[ORDER_REFUSED] = "0 0 0 0 0 0 0 0 0",
		[ORDER_FAILED] =  "0 0 0 0 0 0 0 0 0",
		[ORDER_EXPIRED] = "0 0 0 0 0 0 0 0 0",
		[ORDER_CANCELLED]="0 0 0 0 0 0 0 0 0",
	};
	/* clang-format on */

	assert_int_equal(ORDER_STATE_MAX_, 9);
	for (int from = 0; from < ORDER_STATE_MAX_; from++) {
		assert_int_equal(order_is_final((enum order_state)from), from >= ORDER_DONE);
		for (int to = 0; to < ORDER_STATE_MAX_; to++)
			assert_int_equal(
				order_may_become((enum order_state)from, (enum order_state)to),
				may[from][2 * to] == '1');
	}
}

static void names_go_there_and_back(void **state)
{
	enum order_state o = ORDER_RUNNING;
	enum ticket_state t = TICKET_PROFILING;
	enum metric m = METRIC_STACK;

	for (int i = 0; i < ORDER_STATE_MAX_; i++) {
		assert_true(order_state_from_name(order_state_name((enum order_state)i), &o));
		assert_int_equal(o, i);
	}
	for (int i = 0; i < TICKET_STATE_MAX_; i++) {
		assert_true(ticket_state_from_name(ticket_state_name((enum ticket_state)i), &t));
		assert_int_equal(t, i);
	}
	for (int i = 0; i < METRIC_MAX_; i++) {
		assert_true(metric_from_name(metric_name((enum metric)i), &m));
		assert_int_equal(m, i);
		assert_true(metric_unit((enum metric)i)[0]);
	}
	o = ORDER_RUNNING;
	t = TICKET_PROFILING;
	m = METRIC_STACK;
	assert_false(order_state_from_name("Pending", &o));
	assert_false(order_state_from_name("", &o));
	assert_false(ticket_state_from_name("opened", &t));
	assert_false(metric_from_name("anon ", &m));
	assert_int_equal(o, ORDER_RUNNING);
	assert_int_equal(t, TICKET_PROFILING);
	assert_int_equal(m, METRIC_STACK);
	assert_string_equal(metric_unit(METRIC_CPU), "ns");
	assert_string_equal(finding_kind_name(FINDING_GROWTH), "growth");
	assert_string_equal(site_kind_name(SITE_KERNEL_SITE), "kernel-site");
	assert_string_equal(verdict_name(VERDICT_LEAK), "leak");
	assert_string_equal(pattern_name(PATTERN_SPIKE), "spike");
}

static void profile_owns_its_arena(void **state)
{
	struct profile p;

	profile_init(&p);
	assert_string_equal(p.exe, "");
	assert_string_equal(p.component, "");
	p.sites = arena_array(&p.arena, 3, sizeof(*p.sites));
	assert_non_null(p.sites);
	p.n_sites = 3;
	profile_done(&p);
	assert_int_equal(p.n_sites, 0);
	profile_done(&p);
	profile_done(NULL);
}

static int work_policy(void)
{
	struct policy p;
	struct err err = ERR_INIT;
	int r;

	policy_init(&p);
	r = policy_parse(&p, "[profile]\nallow = /a\nallow = /b\nmax_duration = 60s\ndeny = /c\n",
		"p", &err);
	if (r < 0 && (p.n_rules || err.code != r || allows(&p, "/a", 1)))
		r = -EIO;
	policy_done(&p);
	return r;
}

static void torture_policy(void **state)
{
	assert_int_equal(torture_run(work_policy), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_denies_by_default),
		cmocka_unit_test(policy_allows_what_its_globs_match),
		cmocka_unit_test(policy_deny_wins_wherever_it_stands),
		cmocka_unit_test(policy_bad_file_allows_nothing),
		cmocka_unit_test(policy_has_a_ceiling_of_rules),
		cmocka_unit_test(policy_reason_fits_in_200_bytes),
		cmocka_unit_test(order_arrows),
		cmocka_unit_test(names_go_there_and_back),
		cmocka_unit_test(profile_owns_its_arena),
		cmocka_unit_test(torture_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
