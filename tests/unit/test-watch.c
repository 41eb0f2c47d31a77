/*
 * Weeks of a fleet through the server's pipeline, with a clock of our own: what hours and the fleet
 * see, and that a server that was killed knows it still.
 */
#include "serve/pipeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#define SECOND 1000000000ull
#define HOUR (3600 * SECOND)
#define MIB (1u << 20)
#define START (472222u * HOUR) /* in the hour */

static uint64_t now_ns;

static uint64_t fake_now(void *arg)
{
	return now_ns;
}

static const struct clock fake_clock = {fake_now, fake_now, NULL};

static const struct pipeline_settings settings = {
	.localize = {.min_steps = 48,
		.warm_up_steps = 8,
		.min_growth_bytes = 8 * MIB,
		.min_growth_share = 0.02},
	.step_ns = 120 * SECOND,
	.retention_ns = 30 * 24 * HOUR,
	.hour_ns = HOUR,
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
	uint64_t seq, random;
};

static void open_fixture(struct fixture *f)
{
	struct err err = ERR_INIT;

	assert_int_equal(store_open(&f->store, f->dir, &err), 0);
	assert_int_equal(pipeline_init(&f->p, f->store, &fake_clock, &settings, &err), 0);
}

/* As kill -9 would. */
static void kill_server(struct fixture *f)
{
	pipeline_done(&f->p);
	f->store = store_close(f->store);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	now_ns = START;
	/* Thousands of batches, each on disk before it counts: in memory where that is possible. */
	snprintf(f->dir, sizeof(f->dir), "%s/resin-watch-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	open_fixture(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	kill_server(f);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	assert_int_equal(system(cmd), 0);
	free(f);
	return 0;
}

/* Uniform in -1 to 1. */
static double noise(struct fixture *f)
{
	f->random = f->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(f->random >> 11) * 0x1p-52 - 1;
}

struct process {
	uint32_t pid;
	const char *component, *version;
	double mib;
};

/* A batch of one host. */
static int batch(struct fixture *f, const char *host, const struct process *v, size_t n)
{
	struct sample s[8] = {0};
	struct batch b = {.boot_id = "boot",
		.seq = ++f->seq,
		.unix_ns = now_ns,
		.period_ns = 600 * SECOND,
		.pace = 1,
		.samples = s,
		.n_samples = n};
	struct err err = ERR_INIT;

	snprintf(b.host, sizeof(b.host), "%s", host);
	for (size_t i = 0; i < n; i++)
		s[i] = (struct sample){.kind = ENTITY_PROCESS,
			.pid = v[i].pid,
			.start_ticks = 7,
			.component = v[i].component,
			.version = v[i].version,
			.present = 1u << METRIC_ANON | 1u << METRIC_LIMIT,
			.values = {[METRIC_ANON] = (uint64_t)(v[i].mib * MIB),
				[METRIC_LIMIT] = 1024 * MIB}};
	return pipeline_samples(&f->p, &b, &f->reply, f->orders, &err);
}

static void tick(struct fixture *f, uint64_t ns)
{
	struct err err = ERR_INIT;

	now_ns += ns;
	assert_int_equal(pipeline_tick(&f->p, &err), 0);
}

/* Two looks an hour, so that the minutes have nothing to go by. */
static void hours_of(struct fixture *f, unsigned hours, double mib, double mib_per_hour,
	uint32_t pid, const char *component)
{
	for (unsigned h = 0; h < 2 * hours; h++) {
		struct process p = {pid, component, "v1", mib + mib_per_hour * h / 2 + noise(f)};

		assert_int_equal(batch(f, "a", &p, 1), 0);
		tick(f, HOUR / 2);
	}
}

static const struct chain *chain_of(struct fixture *f, const char *host, uint32_t pid)
{
	struct proc_id id = {.pid = pid, .start_ticks = 7, .boot_id = "boot"};
	const struct head_entity *e = head_find_process(&f->p.head, host, &id);

	return e ? watch_find(&f->p.watch, host, e->e.id) : NULL;
}

static void hours_see_what_minutes_do_not(void **state)
{
	struct fixture *f = *state;
	const struct ticket *t = f->p.tickets;

	hours_of(f, 96, 200, 0, 10, "prog");
	assert_int_equal(f->p.n_tickets, 0);
	hours_of(f, 72, 200, 1, 10, "prog");
	assert_int_equal(f->p.n_tickets, 1);
	t = f->p.tickets;
	assert_int_equal(t->seen_by, TICKET_SEEN_BY_HOURS);
	assert_string_equal(t->component, "prog");
	assert_int_equal(t->process.pid, 10);
	assert_int_equal(t->detection.verdict, DETECTION_LEAK);
	assert_true(t->suspect.bytes_per_hour > 0.8 * MIB && t->suspect.bytes_per_hour < 1.2 * MIB);
	/* The agent said how much there is. */
	assert_true(t->detection.forecast.known);
	assert_true(t->detection.forecast.hours > 500 && t->detection.forecast.hours < 1100);
	assert_true(f->p.n_orders >= 1);
}

static void what_does_not_grow_is_no_ticket(void **state)
{
	struct fixture *f = *state;

	for (unsigned h = 0; h < 24 * 14; h++) {
		double day = 20 * sin(h * 2 * M_PI / 24);
		struct process v[] = {{1, "flat", "", 50 + noise(f)},
			{2, "daily", "", 100 + day + noise(f)},
			{3, "cache", "", 200 - 150 * exp(-(double)h / 30) + noise(f)},
			{4, "step", "", (h < 150 ? 80 : 120) + noise(f)}};

		assert_int_equal(batch(f, "a", v, 4), 0);
		tick(f, HOUR);
	}
	assert_int_equal(f->p.n_tickets, 0);
	assert_int_equal(f->p.watch.n_chains, 4);
}

static void a_restart_goes_on_with_the_chain(void **state)
{
	struct fixture *f = *state;
	const struct chain *c;

	hours_of(f, 30, 100, 0, 10, "prog");
	hours_of(f, 30, 100, 0, 11, "prog");
	c = chain_of(f, "a", 11);
	assert_non_null(c);
	assert_int_equal(f->p.watch.n_chains, 1);
	assert_int_equal(c->track.hours, 59);
	assert_int_equal(c->track.age, 29);
	/* Somebody else is somebody else. */
	hours_of(f, 2, 100, 0, 12, "other");
	assert_int_equal(f->p.watch.n_chains, 2);
}

static void two_at_once_are_two_chains(void **state)
{
	struct fixture *f = *state;

	for (unsigned h = 0; h < 10; h++) {
		struct process v[] = {{1, "worker", "", 50}, {2, "worker", "", 70}};

		assert_int_equal(batch(f, "a", v, h < 5 ? 2 : 1), 0);
		tick(f, HOUR);
	}
	assert_int_equal(f->p.watch.n_chains, 2);
	assert_int_equal(chain_of(f, "a", 1)->track.hours, 9);
	assert_int_equal(chain_of(f, "a", 2)->track.hours, 5);
}

static void what_dies_within_the_hour_is_not_watched(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 60; i++) {
		struct process v[] = {{1000 + i, "job", "", 50}, {1, "init", "", 5}};

		assert_int_equal(batch(f, "a", v, 2), 0);
		tick(f, HOUR / 10);
	}
	/* At most one of them is alive at the end of an hour. */
	assert_int_equal(f->p.watch.n_chains, 2);
}

static void a_gap_is_a_gap(void **state)
{
	struct fixture *f = *state;
	const struct chain *c;

	hours_of(f, 10, 100, 0, 10, "prog");
	tick(f, 5 * HOUR);
	hours_of(f, 10, 100, 0, 10, "prog");
	c = chain_of(f, "a", 10);
	assert_int_equal(c->track.hours, 24);
	assert_true(isnan(track_minimum(&c->track, 10)));
	assert_false(isnan(track_minimum(&c->track, 2)));
	assert_int_equal(c->track.age, 24);
}

static void clocks_that_are_wrong(void **state)
{
	struct fixture *f = *state;
	struct process p = {10, "prog", "", 100};

	hours_of(f, 4, 100, 0, 10, "prog");
	now_ns += 100 * HOUR;
	assert_int_equal(batch(f, "a", &p, 1), 0); /* the host's and ours */
	now_ns -= 100 * HOUR;
	assert_int_equal(batch(f, "a", &p, 1), 0);
	assert_int_equal(f->p.watch.late, 1);
	/* Only the host's. */
	f->p.clock = &(const struct clock){fake_now, fake_now, NULL};
	struct sample s = {.kind = ENTITY_PROCESS,
		.pid = 10,
		.start_ticks = 7,
		.component = "prog",
		.version = "",
		.present = 1u << METRIC_ANON,
		.values = {[METRIC_ANON] = 1}};
	struct batch b = {.host = "a",
		.boot_id = "boot",
		.seq = ++f->seq,
		.unix_ns = now_ns + 1000 * HOUR,
		.pace = 1,
		.samples = &s,
		.n_samples = 1};
	struct err err = ERR_INIT;

	assert_int_equal(pipeline_samples(&f->p, &b, &f->reply, f->orders, &err), 0);
	assert_int_equal(f->p.watch.early, 1);
}

/* Tracks as text, to be compared. */
static void state_of(struct fixture *f, struct buf *out)
{
	const struct chain *c = chain_of(f, "a", 10);

	assert_non_null(c);
	assert_int_equal(track_put(&c->track, out), 0);
}

static void a_clean_stop_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct buf autobuf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	hours_of(f, 100, 100, 0.5, 10, "prog");
	state_of(f, &before);
	assert_int_equal(pipeline_save(&f->p, &err), 0);
	kill_server(f);
	open_fixture(f);
	state_of(f, &after);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	buf_done(&after);
}

static void a_killed_server_knows_its_hours(void **state)
{
	struct fixture *f = *state;
	uint32_t hours;
	float z;

	hours_of(f, 96, 200, 0, 10, "prog");
	for (unsigned i = 0; i < 24; i++) {
		hours_of(f, 3, 200 + 3. * i, 1, 10, "prog");
		hours = chain_of(f, "a", 10)->track.hours;
		z = chain_of(f, "a", 10)->track.looks[2].z;
		kill_server(f);
		open_fixture(f);
		assert_int_equal(chain_of(f, "a", 10)->track.hours, hours);
		assert_true(fabsf(chain_of(f, "a", 10)->track.looks[2].z - z) <= 1e-3f * z);
	}
	assert_int_equal(chain_of(f, "a", 10)->track.hours, 96 + 72 - 1);
	assert_int_equal(f->p.n_tickets, 1);
	assert_int_equal(f->p.tickets[0].seen_by, TICKET_SEEN_BY_HOURS);
}

static void another_builds_state_is_learnt_anew(void **state)
{
	struct fixture *f = *state;
	struct track t, back;
	struct norm norm;
	struct buf autobuf b = BUF_INIT(1 << 20);

	track_init(&t);
	norm_init(&norm);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(
			track_add(&t, &track_rules_default, &norm, 1e8 + 1e6 * noise(f), NAN), 0);
	assert_int_equal(track_put(&t, &b), 0);
	assert_int_equal(track_get(b.data, b.len, &track_rules_default, &norm, &back), 0);
	assert_int_equal(back.hours, 1000);
	for (uint32_t ago = 0; ago < TRACK_MINIMA; ago++)
		assert_true(track_minimum(&t, ago) == track_minimum(&back, ago));
	track_done(&back);
	b.data[8] ^= 1; /* the size of its track */
	assert_int_equal(track_get(b.data, b.len, &track_rules_default, &norm, &back), 0);
	assert_int_equal(back.hours, TRACK_MINIMA);
	assert_true(track_minimum(&t, 5) == track_minimum(&back, 5));
	track_done(&back);
	/* Any byte may be wrong, and any be missing. */
	b.data[8] ^= 1;
	for (size_t i = 0; i < b.len; i += 3) {
		b.data[i] ^= 0x5a;
		if (track_get(b.data, b.len, &track_rules_default, &norm, &back) == 0)
			(void)!track_add(&back, &track_rules_default, &norm, 1e8, NAN);
		track_done(&back);
		b.data[i] ^= 0x5a;
		(void)!track_get(b.data, i, &track_rules_default, &norm, &back);
		track_done(&back);
	}
	track_done(&t);
}

/* One look an hour is not what the minutes are made for. */
static void minutes_off(struct fixture *f)
{
	f->p.set.localize.min_steps = 10000;
}

/* A fleet of 40 hosts; some leak by so little that no single one shows it in the time. */
static unsigned fleet(struct fixture *f, unsigned hours, unsigned leaky, double mib_per_hour)
{
	static double walk[40];

	for (unsigned h = 0; h < hours; h++) {
		for (unsigned i = 0; i < 40; i++) {
			char host[16];
			double leak = i < leaky && h > 150 ? (h - 150) * mib_per_hour : 0;
			struct process p = {5, "agentd", "v1", 0};

			walk[i] = 0.9 * walk[i] + 1.5 * noise(f);
			p.mib = 200 + 0.2 * i + walk[i] + leak;
			snprintf(host, sizeof(host), "host-%u", i);
			assert_int_equal(batch(f, host, &p, 1), 0);
		}
		tick(f, HOUR);
		if (f->p.n_tickets)
			return h;
	}
	return hours;
}

static void the_fleet_sees_a_component_grow(void **state)
{
	struct fixture *f = *state;
	const struct ticket *t;
	unsigned hour;

	minutes_off(f);
	hour = fleet(f, 24 * 14, 8, 0.3);
	assert_int_equal(f->p.n_tickets, 1);
	t = f->p.tickets;
	assert_true(hour > 150);
	assert_string_equal(t->component, "agentd");
	if (t->seen_by == TICKET_SEEN_BY_FLEET) {
		assert_int_equal(t->fleet.hosts, 40);
		assert_true(t->fleet.count > t->fleet.expected);
	}
	assert_int_equal(t->seen_by, TICKET_SEEN_BY_FLEET);
	/* One of those that leak. */
	assert_true(atoi(t->host + 5) < 8);
}

static void a_fleet_that_does_not_grow(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	minutes_off(f);
	fleet(f, 24 * 10, 0, 0);
	assert_int_equal(f->p.n_tickets, 0);
	assert_int_equal(f->p.fleet.n, 1);
	assert_int_equal(f->p.fleet.v[0].hosts, 40);
	assert_int_equal(f->p.fleet.v[0].verdict.outcome, ANOMALY_NORMAL);
	assert_int_equal(pipeline_save(&f->p, &err), 0);
	kill_server(f);
	open_fixture(f);
	/* What was learnt is known again. */
	assert_int_equal(f->p.fleet.n, 1);
	assert_non_null(f->p.fleet.v[0].anomaly);
	assert_true(f->p.fleet.v[0].anomaly->hours > 200);
}

static void a_new_version_grows_away_from_the_old(void **state)
{
	struct fixture *f = *state;
	const struct ticket *t;

	minutes_off(f);
	for (unsigned h = 0; h < 24 * 8; h++) {
		for (unsigned i = 0; i < 40; i++) {
			char host[16];
			bool fresh = i % 2 && h >= 48;
			struct process p = {fresh ? 6 : 5, "agentd", fresh ? "v2" : "v1", 0};

			p.mib = 200 + 8 * noise(f) + (fresh ? 0.2 * (h - 48) : 0);
			snprintf(host, sizeof(host), "host-%u", i);
			assert_int_equal(batch(f, host, &p, 1), 0);
		}
		tick(f, HOUR);
		if (f->p.n_tickets && f->p.tickets[0].fleet.growth_bytes_per_day > 0)
			break;
	}
	t = f->p.tickets;
	assert_true(f->p.n_tickets >= 1 && f->p.n_tickets <= 3);
	/* Whoever saw it first, the ticket says which version it is. */
	assert_true(t->seen_by != TICKET_SEEN_BY_MINUTES);
	assert_string_equal(t->fleet.version, "v2");
	assert_string_equal(t->fleet.before, "v1");
	assert_true(
		t->fleet.growth_bytes_per_day > 2 * MIB && t->fleet.growth_bytes_per_day < 9 * MIB);
	assert_string_equal(t->version, "v2");
	assert_int_equal(atoi(t->host + 5) % 2, 1);
}

static void a_rollout_is_no_leak(void **state)
{
	struct fixture *f = *state;

	minutes_off(f);
	for (unsigned h = 0; h < 24 * 9; h++) {
		for (unsigned i = 0; i < 40; i++) {
			char host[16];
			bool fresh = i % 2 && h >= 72;
			struct process p = {fresh ? 6 : 5, "agentd", fresh ? "v2" : "v1", 0};

			/* Larger, after a warm-up. */
			p.mib = 200 + 8 * noise(f) +
				(fresh ? 30 - 90 * exp(-(double)(h - 72) / 5) : 0);
			snprintf(host, sizeof(host), "host-%u", i);
			assert_int_equal(batch(f, host, &p, 1), 0);
		}
		tick(f, HOUR);
	}
	assert_int_equal(f->p.n_tickets, 0);
	assert_int_equal(f->p.fleet.v[0].contrast.outcome, CONTRAST_ABOVE);
}

/* A look every two minutes: here the minutes see every morning rise. */
static void habits_are_no_leak(void **state)
{
	struct fixture *f = *state;
	unsigned with_days;

	for (unsigned m = 0; m < 30 * 24 * 6; m++) {
		double hour = m / 30. - floor(m / 720.) * 24;
		/* Up for nine hours, flat, down at once at midnight. */
		struct process p = {
			10, "daily", "", 200 + 10 * fmin(fmax(hour - 7, 0), 9) + 0.2 * noise(f)};

		assert_int_equal(batch(f, "a", &p, 1), 0);
		tick(f, 120 * SECOND);
		if (m == 30 * 24 * 4)
			with_days = (unsigned)f->p.n_tickets;
	}
	assert_int_equal(f->p.n_tickets, with_days);
}

static void a_store_of_before_is_taken_over(void **state)
{
	struct fixture *f = *state;
	char path[128], sql[512];
	sqlite3 *db;

	hours_of(f, 96, 200, 0, 10, "prog");
	hours_of(f, 72, 200, 1, 10, "prog");
	assert_int_equal(f->p.n_tickets, 1);
	kill_server(f);
	snprintf(path, sizeof(path), "%s/resin.sqlite", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(sql, sizeof(sql),
		"DROP TABLE chain; DROP TABLE hour; DROP TABLE learnt;"
		"UPDATE ticket SET v = substr(v, 1, %zu); PRAGMA user_version = 1",
		offsetof(struct ticket, seen_by));
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	open_fixture(f);
	assert_int_equal(f->p.n_tickets, 1);
	assert_int_equal(f->p.tickets[0].process.pid, 10);
	assert_int_equal(f->p.tickets[0].seen_by, TICKET_SEEN_BY_MINUTES);
	assert_int_equal(f->p.tickets[0].detection.n_reasons, 0);
	hours_of(f, 5, 272, 1, 10, "prog");
	assert_int_equal(f->p.watch.n_chains, 1);
}

static void chains_are_forgotten(void **state)
{
	struct fixture *f = *state;

	hours_of(f, 5, 100, 0, 10, "gone");
	hours_of(f, 40, 100, 0, 11, "stays");
	assert_int_equal(f->p.watch.n_chains, 1);
	assert_null(chain_of(f, "a", 10));
	kill_server(f);
	open_fixture(f);
	assert_int_equal(f->p.watch.n_chains, 1);
}

/* -- what a second reader found ------------------------------------------------------------- */

static void a_leak_that_has_stopped_is_taken_back(void **state)
{
	struct fixture *f = *state;

	minutes_off(f);
	hours_of(f, 96, 200, 0, 10, "prog");
	hours_of(f, 72, 200, 1, 10, "prog");
	assert_int_equal(f->p.n_tickets, 1);
	assert_int_equal(f->p.tickets[0].detection.verdict, DETECTION_LEAK);
	hours_of(f, 24 * 6, 272, 0, 10, "prog");
	assert_int_not_equal(f->p.tickets[0].state, TICKET_CLOSED);
	hours_of(f, 24 * 10, 272, 0, 10, "prog");
	assert_int_equal(f->p.tickets[0].state, TICKET_CLOSED);
	assert_non_null(strstr(f->p.tickets[0].note, "no longer a leak"));
	/* And may come again. */
	hours_of(f, 96, 272, 1, 10, "prog");
	assert_int_equal(f->p.n_tickets, 2);
}

static void a_name_that_changes_is_another_component(void **state)
{
	struct fixture *f = *state;

	minutes_off(f);
	hours_of(f, 3, 200, 0, 10, "sh");
	hours_of(f, 96, 200, 0, 10, "java");
	hours_of(f, 72, 200, 1, 10, "java");
	assert_int_equal(f->p.n_tickets, 1);
	assert_string_equal(f->p.tickets[0].component, "java");
	assert_string_equal(chain_of(f, "a", 10)->row.component, "java");
}

static void silence_is_not_the_last_hour_again(void **state)
{
	struct fixture *f = *state;

	minutes_off(f);
	fleet(f, 24 * 6, 0, 0);
	for (unsigned i = 0; i < 20; i++) {
		char host[16];
		struct process p = {5, "agentd", "v1", 280};

		snprintf(host, sizeof(host), "host-%u", i);
		assert_int_equal(batch(f, host, &p, 1), 0);
	}
	for (unsigned h = 0; h < 30; h++) {
		tick(f, HOUR);
		assert_int_not_equal(f->p.fleet.v[0].verdict.outcome, ANOMALY_ABNORMAL);
	}
	assert_int_equal(f->p.n_tickets, 0);
	assert_int_equal(f->p.fleet.v[0].hosts, 0);
}

static void a_fleet_ticket_gets_its_campaign_later(void **state)
{
	struct fixture *f = *state;

	minutes_off(f);
	f->p.set.campaign_per_hour = 0;
	fleet(f, 24 * 14, 8, 0.3);
	assert_int_equal(f->p.n_tickets, 1);
	assert_int_equal(f->p.tickets[0].state, TICKET_OPEN);
	assert_int_equal(f->p.n_orders, 0);
	f->p.set.campaign_per_hour = 5;
	/* It goes on from where it was: those eight are large. */
	for (unsigned h = 0; h < 3; h++) {
		for (unsigned i = 0; i < 40; i++) {
			char host[16];
			struct process p = {5, "agentd", "v1", i < 8 ? 290 : 204};

			snprintf(host, sizeof(host), "host-%u", i);
			assert_int_equal(batch(f, host, &p, 1), 0);
		}
		tick(f, HOUR);
	}
	assert_true(f->p.n_orders >= 1);
}

static void five_versions_at_a_time(void **state)
{
	static const char *const names[] = {"v1", "v2", "v3", "v4", "v5"};
	struct fixture *f = *state;

	minutes_off(f);
	for (unsigned h = 0; h < 60; h++) {
		for (unsigned i = 0; i < 40; i++) {
			unsigned host_no = (i + h) % 40; /* in varying order */
			unsigned version = h < 20 || host_no < 20 ? 0 : 1 + host_no % 4;
			struct process p = {5 + version, "agentd", names[version], 200};
			char host[16];

			p.mib += noise(f);
			snprintf(host, sizeof(host), "host-%u", host_no);
			assert_int_equal(batch(f, host, &p, 1), 0);
		}
		tick(f, HOUR);
	}
	/* None of the four newer ones is on enough hosts; the others keep their first hours. */
	assert_int_equal(f->p.fleet.v[0].versions.n, FLEET_VERSIONS);
	for (unsigned i = 0; i < FLEET_VERSIONS; i++)
		assert_true(f->p.fleet.v[0].versions.v[i].first_hour <= START / HOUR + 21);
}

static void a_restart_closes_no_ticket_of_the_living(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	hours_of(f, 96, 200, 0, 10, "prog");
	hours_of(f, 72, 200, 1, 10, "prog");
	assert_int_equal(f->p.n_tickets, 1);
	kill_server(f);
	now_ns += 20 * 24 * HOUR;
	open_fixture(f);
	assert_int_equal(pipeline_tick(&f->p, &err), 0);
	now_ns += HOUR;
	assert_int_equal(pipeline_tick(&f->p, &err), 0);
	assert_int_not_equal(f->p.tickets[0].state, TICKET_CLOSED);
}

static void two_lives_in_one_hour(void **state)
{
	struct fixture *f = *state;
	const struct chain *c;

	hours_of(f, 10, 200, 0, 10, "prog");
	for (unsigned i = 0; i < 6; i++) {
		struct process p = {i < 2 ? 10 : 11, "prog", "", i < 2 ? 200 : 50};

		assert_int_equal(batch(f, "a", &p, 1), 0);
		tick(f, HOUR / 6);
	}
	hours_of(f, 1, 50, 0, 11, "prog");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(f->p.watch.n_chains, 1);
		c = f->p.watch.hosts[0]->chains[0];
		/* The hour is the first life's; the second one begins with the next. */
		assert_int_equal(c->track.hours, 11);
		assert_true(track_minimum(&c->track, 0) > 190. * MIB);
		kill_server(f);
		open_fixture(f);
	}
	hours_of(f, 3, 50, 0, 11, "prog");
	c = chain_of(f, "a", 11);
	assert_int_equal(f->p.watch.n_chains, 1);
	assert_true(c->track.age < 5 && c->track.hours > 11);
}

static void names_of_the_short_lived_are_not_kept(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 600; i++) {
		char name[32];
		struct process v[] = {{1000 + i, name, "", 5}, {1, "init", "", 5}};

		snprintf(name, sizeof(name), "conftest%u", i);
		assert_int_equal(batch(f, "a", v, 2), 0);
		tick(f, HOUR / 100);
	}
	assert_true(f->p.watch.n_components <= 8);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(hours_see_what_minutes_do_not),
		TEST(what_does_not_grow_is_no_ticket),
		TEST(a_restart_goes_on_with_the_chain),
		TEST(two_at_once_are_two_chains),
		TEST(what_dies_within_the_hour_is_not_watched),
		TEST(a_gap_is_a_gap),
		TEST(clocks_that_are_wrong),
		TEST(a_clean_stop_loses_nothing),
		TEST(a_killed_server_knows_its_hours),
		TEST(another_builds_state_is_learnt_anew),
		TEST(the_fleet_sees_a_component_grow),
		TEST(a_fleet_that_does_not_grow),
		TEST(a_new_version_grows_away_from_the_old),
		TEST(a_rollout_is_no_leak),
		TEST(habits_are_no_leak),
		TEST(a_store_of_before_is_taken_over),
		TEST(chains_are_forgotten),
		TEST(a_leak_that_has_stopped_is_taken_back),
		TEST(a_name_that_changes_is_another_component),
		TEST(silence_is_not_the_last_hour_again),
		TEST(a_fleet_ticket_gets_its_campaign_later),
		TEST(five_versions_at_a_time),
		TEST(a_restart_closes_no_ticket_of_the_living),
		TEST(two_lives_in_one_hour),
		TEST(names_of_the_short_lived_are_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
