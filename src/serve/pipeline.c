#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "diagnose/diagnose.h"
#include "serve/pipeline-private.h"
#include "ticket/evidence.h"
#include "ticket/ticket.h"
#include "wire/auth.h"

#define MAX_TICKETS 65536u
#define MAX_ORDERS 65536u
#define MIN_CAMPAIGN_NS (10 * NSEC_PER_SEC)
#define HOUSEKEEPING_NS (600 * NSEC_PER_SEC)
/* Judgements without a leak in a row, after which a ticket is closed. */
#define CALM_STEPS 24u
#define FORGET_HOURS 336u
/* A ticket that goes on is written again so often. */
#define UPDATE_STORED_NS (3600 * NSEC_PER_SEC)

static int load_ticket(void *arg, const struct ticket *t)
{
	struct pipeline *p = arg;
	int r = array_reserve(
		&p->tickets, &p->cap_tickets, p->n_tickets + 1, sizeof(*t), MAX_TICKETS);

	/* A server with very many tickets starts, and leaves out the newest. */
	if (r == -EMSGSIZE)
		return 0;
	if (r == 0)
		p->tickets[p->n_tickets++] = *t;
	return r;
}

static int load_order(void *arg, const struct order *o)
{
	struct pipeline *p = arg;
	int r = array_reserve(&p->orders, &p->cap_orders, p->n_orders + 1, sizeof(*o), MAX_ORDERS);

	if (r == 0)
		p->orders[p->n_orders++] = *o;
	return r;
}

/* Everything that the head can hold, at a pace. */
static uint64_t window_start(const struct pipeline *p, uint64_t pace)
{
	uint64_t now = clock_unix_ns(p->clock), window = p->set.step_ns / pace * (HEAD_POINTS + 1);

	return now > window ? now - window : 0;
}

/* The hour that was going on when the server stopped, as far as its steps tell. */
static int resume_hour(struct pipeline *p, struct err *err)
{
	uint64_t now = clock_unix_ns(p->clock);

	for (size_t i = 0; i < p->head.n; i++) {
		const struct head_entity *e = p->head.entities[i];
		struct watch_sample s = {.entity_id = e->e.id,
			.first_seen_ns = e->e.first_seen_ns,
			.unix_ns = e->e.last_seen_ns,
			.component = e->e.component,
			.anon_bytes = e->open.metric[METRIC_ANON].lo};
		int r;

		if (!(e->open.present & 1u << METRIC_ANON))
			continue; /* nothing at pace 1 */
		r = watch_batch(&p->watch, e->e.host, e->e.last_seen_ns, now, err);

		if (r < 0)
			return r;
		for (size_t k = e->n; r == 0 && k-- > 0;) {
			if (e->points[k].unix_ns / p->set.hour_ns < p->watch.host->hour)
				break;
			if (e->points[k].lo < s.anon_bytes)
				s.anon_bytes = e->points[k].lo;
		}
		if (r == 0 && watch_see(&p->watch, &s) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	}
	p->watch.late = p->watch.early = 0;
	for (size_t i = 0; i < p->n_tickets; i++) {
		const struct ticket *t = &p->tickets[i];
		struct chain *c = t->state == TICKET_CLOSED || !t->detection.n_reasons
			? NULL
			: watch_find(&p->watch, t->host, t->entity_id);

		if (c)
			c->ticketed = true;
	}
	return 0;
}

int pipeline_init(struct pipeline *p, struct store *store, const struct clock *clock,
	const struct pipeline_settings *set, struct err *err)
{
	int r;

	*p = (struct pipeline){.clock = clock, .store = store, .set = *set};
	/* Who has not reported since the start is not gone yet. */
	p->last_housekeeping_mono_ns = clock_mono_ns(clock);
	p->started_unix_ns = clock_unix_ns(clock);
	head_init(&p->head, store, set->step_ns);
	watch_init(&p->watch, store, set->hour_ns);
	fleet_init(&p->fleet, store, set->hour_ns);
	if ((r = store_each_ticket(store, load_ticket, p, err)) == 0 &&
		(r = store_each_order(store, load_order, p, err)) == 0)
		r = head_load(&p->head, window_start(p, 1), err);
	if (r == 0 && (r = watch_load(&p->watch, err)) == 0)
		r = fleet_load(&p->fleet, err);
	if (r == 0)
		r = resume_hour(p, err);
	if (r < 0 && !err->code)
		err_set(err, r, "cannot load what the store holds");
	return r;
}

void pipeline_done(struct pipeline *p)
{
	if (!p)
		return;
	head_done(&p->head);
	watch_done(&p->watch);
	fleet_done(&p->fleet);
	free(p->tickets);
	free(p->orders);
	p->tickets = NULL;
	p->orders = NULL;
}

int pipeline_save(struct pipeline *p, struct err *err)
{
	return watch_save(&p->watch, err);
}

struct ticket *pipeline_ticket(struct pipeline *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_tickets; i++)
		if (p->tickets[i].id == id)
			return &p->tickets[i];
	return NULL;
}

static struct order *find_order(struct pipeline *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_orders; i++)
		if (p->orders[i].id == id)
			return &p->orders[i];
	return NULL;
}

/* Moves an order in the store first, then in memory, so that what failed is tried again. 1: there
 * is no such arrow, nothing happened. */
static int move_order(struct pipeline *p, struct order *o, enum order_state to, const char *reason,
	struct err *err)
{
	struct order moved = *o;
	int r;

	if (!campaign_move(&moved, to, reason))
		return 1;
	r = store_put_order(p->store, &moved, err);
	if (r == 0)
		*o = moved;
	return r;
}

static struct campaign_rules rules_of(const struct pipeline *p)
{
	return (struct campaign_rules){
		.duration_ns = p->set.campaign_duration_ns,
		.min_duration_ns = MIN_CAMPAIGN_NS,
		.period_bytes = p->set.campaign_period_bytes,
		.expiry_ns = p->set.campaign_expiry_ns,
		.per_hour = p->set.campaign_per_hour,
		.pace = p->head.pace,
	};
}

int pipeline_start_campaign(struct pipeline *p, struct ticket *t, struct err *err)
{
	const struct campaign_rules rules = rules_of(p);
	uint64_t now = clock_unix_ns(p->clock);
	uint8_t nonce[ORDER_NONCE_BYTES];
	struct order o;
	char why[160];
	int r;

	if (!campaign_may_start(&rules, p->orders, p->n_orders, t, now, why, sizeof(why))) {
		if (strcmp(t->note, why) == 0)
			return 0;
		snprintf(t->note, sizeof(t->note), "%s", why);
		return store_put_ticket(p->store, t, err);
	}
	r = auth_random(nonce, sizeof(nonce), err);
	if (r < 0)
		return r;
	campaign_order(&rules, t, nonce, now, &o);
	if ((r = store_put_order(p->store, &o, err)) < 0)
		return r;
	r = load_order(p, &o);
	if (r < 0)
		return err_set(err, r, "no room for more orders");
	ticket_campaign_started(t, o.id, now);
	return store_put_ticket(p->store, t, err);
}

struct ticket *pipeline_covering(struct pipeline *p, const char *host, const char *component)
{
	for (size_t i = 0; i < p->n_tickets; i++)
		if (ticket_covers(&p->tickets[i], host, component))
			return &p->tickets[i];
	return NULL;
}

bool pipeline_is_there(struct pipeline *p, const struct ticket *t)
{
	const struct head_entity *e = head_find(&p->head, t->entity_id);

	for (size_t i = 0; e && i < p->head.n_hosts; i++)
		if (strcmp(p->head.hosts[i].name, t->host) == 0)
			return e->e.last_seen_ns >= p->head.hosts[i].last_seen_ns;
	return false;
}

/* Weeks of hours know this growth as a habit: what rises every morning is no leak. */
static bool knows_better(const struct pipeline *p, struct head_entity *e)
{
	const struct chain *c = watch_find(&p->watch, e->e.host, e->e.id);

	if (!c || !watch_has_seen(c, e->suspect.to_bytes))
		return false;
	snprintf(e->suspect.reason, sizeof(e->suspect.reason),
		"grows, but in the %u days that are known it has been as large before",
		c->track.hours / 24);
	e->suspect.verdict = VERDICT_SAWTOOTH;
	return true;
}

int pipeline_open_ticket(
	struct pipeline *p, struct ticket *fresh, struct ticket **ret, struct err *err)
{
	/* Room first, so that the store never has more than fit here. */
	int r = array_reserve(
		&p->tickets, &p->cap_tickets, p->n_tickets + 1, sizeof(*fresh), MAX_TICKETS);

	if (r < 0)
		return err_set(err, r, "no room for more tickets (limit %u)", MAX_TICKETS);
	r = store_put_ticket(p->store, fresh, err);
	if (r == 0)
		r = load_ticket(p, fresh);
	if (r == 0)
		*ret = &p->tickets[p->n_tickets - 1];
	return r;
}

unsigned pipeline_tickets_of(const struct pipeline *p, const char *component)
{
	unsigned n = 0;

	for (size_t i = 0; p->tickets && i < p->n_tickets; i++)
		n += p->tickets[i].state != TICKET_CLOSED &&
			strcmp(p->tickets[i].component, component) == 0;
	return n;
}

static int open_ticket(
	struct pipeline *p, const struct head_entity *e, struct ticket **ret, struct err *err)
{
	struct ticket fresh;

	ticket_begin(&fresh, e->e.host, &e->e.process, e->e.component, e->e.version, &e->suspect,
		clock_unix_ns(p->clock));
	fresh.entity_id = e->e.id;
	fresh.pace = p->head.pace;
	return pipeline_open_ticket(p, &fresh, ret, err);
}

static int on_leak(struct pipeline *p, struct head_entity *e, struct err *err)
{
	struct ticket *t = pipeline_covering(p, e->e.host, e->e.component);
	uint64_t now = clock_unix_ns(p->clock);
	int r;

	e->calm_steps = 0;
	if (!t) {
		if (knows_better(p, e) ||
			pipeline_tickets_of(p, e->e.component) >= TICKETS_OF_COMPONENT)
			return 0;
		r = open_ticket(p, e, &t, err);
		if (r < 0 || !t)
			return r;
	} else if (t->entity_id == e->e.id) {
		bool old = now / UPDATE_STORED_NS != t->updated_unix_ns / UPDATE_STORED_NS;

		t->suspect = e->suspect;
		t->updated_unix_ns = now;
		if (old && (r = store_put_ticket(p->store, t, err)) < 0)
			return r;
	} else if (!pipeline_is_there(p, t)) {
		/* A restart is no cure: the ticket goes on with the next instance that leaks. */
		ticket_adopt(t, &e->e.process, e->e.id, e->e.version, &e->suspect, now);
		r = store_put_ticket(p->store, t, err);
		if (r < 0)
			return r;
	}
	/* Only the process that the ticket is about; another instance waits its turn. */
	if (t->state == TICKET_OPEN && t->entity_id == e->e.id)
		return pipeline_start_campaign(p, t, err);
	return 0;
}

int pipeline_close_ticket(struct pipeline *p, struct ticket *t, const char *why, struct err *err)
{
	ticket_close(t, why, clock_unix_ns(p->clock));
	return store_put_ticket(p->store, t, err);
}

static int on_calm(struct pipeline *p, struct head_entity *e, struct err *err)
{
	struct ticket *t;
	char why[320];

	if (e->suspect.verdict == VERDICT_TOO_SHORT || ++e->calm_steps != CALM_STEPS)
		return 0;
	t = pipeline_covering(p, e->e.host, e->e.component);
	/* What hours or the fleet say, they take back themselves. */
	if (!t || t->entity_id != e->e.id || t->seen_by != TICKET_SEEN_BY_MINUTES ||
		t->detection.verdict == DETECTION_LEAK || t->state == TICKET_PROFILING ||
		t->pace != p->head.pace)
		return 0;
	snprintf(why, sizeof(why), "no longer a leak: %s", e->suspect.reason);
	return pipeline_close_ticket(p, t, why, err);
}

/* Every entity that closed a step since the last time. */
static int judge(struct pipeline *p, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < p->head.n && r == 0; i++) {
		struct head_entity *e = p->head.entities[i];
		struct series s = {e->points, e->n, head_step_ns(&p->head)};

		if (!e->due)
			continue;
		e->due = false;
		localize(&s, &p->set.localize, &e->suspect);
		r = e->suspect.verdict == VERDICT_LEAK ? on_leak(p, e, err) : on_calm(p, e, err);
	}
	return r;
}

/* The samples of a batch that is stored, for what looks at hours. */
static int count_hours(struct pipeline *p, const struct batch *b, bool watched, struct err *err)
{
	bool counted = b->unix_ns / p->set.hour_ns == p->fleet.hour;
	struct proc_id id = {0};

	memcpy(id.boot_id, b->boot_id, sizeof(id.boot_id));
	for (size_t i = 0; i < b->n_samples; i++) {
		const struct sample *s = &b->samples[i];
		const struct head_entity *e;
		struct watch_sample w;

		id.pid = s->pid;
		id.start_ticks = s->start_ticks;
		if (s->kind != ENTITY_PROCESS || !(s->present & 1u << METRIC_ANON) ||
			!(e = head_find_process(&p->head, b->host, &id)))
			continue;
		w = (struct watch_sample){.entity_id = e->e.id,
			.first_seen_ns = e->e.first_seen_ns,
			.unix_ns = b->unix_ns,
			.component = s->component,
			.anon_bytes = s->values[METRIC_ANON]};
		if (s->present & 1u << METRIC_CPU)
			w.cpu_ns = s->values[METRIC_CPU];
		if (s->present & 1u << METRIC_LIMIT)
			w.limit_bytes = s->values[METRIC_LIMIT];
		if (watched && watch_see(&p->watch, &w) < 0)
			return err_set(err, -ENOMEM, "out of memory");
		if (counted)
			fleet_see(&p->fleet, b->host, s->component, s->version,
				b->unix_ns - e->e.first_seen_ns, w.anon_bytes);
	}
	return 0;
}

/* Orders of this host that nobody has taken yet. A reply may get lost, so an order is sent again
 * until its agent says something about it. */
static int hand_out(struct pipeline *p, const char *host, struct reply *reply, struct order *orders,
	struct err *err)
{
	uint64_t now = clock_unix_ns(p->clock);

	reply->orders = orders;
	for (size_t i = 0; i < p->n_orders && reply->n_orders < WIRE_MAX_ORDERS; i++) {
		struct order *o = &p->orders[i];
		int r;

		if ((o->state != ORDER_PENDING && o->state != ORDER_SENT) ||
			strcmp(o->host, host) != 0 || now > o->expires_unix_ns)
			continue;
		r = move_order(p, o, ORDER_SENT, "", err);
		if (r < 0)
			return r;
		orders[reply->n_orders++] = *o;
	}
	return 0;
}

int pipeline_samples(struct pipeline *p, const struct batch *b, struct reply *reply,
	struct order *orders, struct err *err)
{
	uint64_t now = clock_unix_ns(p->clock);
	int watched, r;

	/* First, so that an hour whose end cannot be written is tried again with this batch. */
	watched = watch_batch(&p->watch, b->host, b->unix_ns, now, err);
	if (watched < 0)
		return watched;
	r = head_apply(&p->head, b, err);
	if (r < 0)
		return r;
	*reply = (struct reply){.acked_seq = b->seq, .pace = p->head.pace};
	if (r == 0) {
		r = fleet_time(&p->fleet, now, err);
		if (r == 0)
			r = count_hours(p, b, watched == 0, err);
		if (r == 0)
			r = judge(p, err);
	} else {
		r = 0;
	}
	if (r == 0)
		r = pipeline_judge_hours(p, err);
	return r < 0 ? r : hand_out(p, b->host, reply, orders, err);
}

static int campaign_ended(struct pipeline *p, const struct order *o, bool final, struct err *err)
{
	struct ticket *t = pipeline_ticket(p, o->ticket_id);

	if (!t || t->order_id != o->id)
		return 0;
	ticket_campaign_failed(
		t, o->reason, final, p->set.campaign_attempts, clock_unix_ns(p->clock));
	return store_put_ticket(p->store, t, err);
}

int pipeline_report(struct pipeline *p, const struct report *r, struct err *err)
{
	struct order *o = find_order(p, r->order_id);
	int e;

	if (!o || memcmp(o->nonce, r->nonce, sizeof(o->nonce)) != 0)
		return err_set(err, -ENOENT, "there is no such order");
	/* Done is what a profile says, not a report. */
	if (r->state == ORDER_DONE)
		return 0;
	e = move_order(p, o, r->state, r->reason, err);
	if (e == 1)
		return 0; /* a report that comes late */
	if (e == 0 && (o->state == ORDER_REFUSED || o->state == ORDER_FAILED))
		e = campaign_ended(p, o, o->state == ORDER_REFUSED, err);
	return e;
}

static void headline_of(const struct diagnosis *d, char *ret, size_t size)
{
	const struct finding *f = &d->findings[0];
	const struct frame *frame = evidence_headline(f->site);
	const char *file = frame ? strrchr(frame->file, '/') : NULL;

	if (!frame)
		snprintf(ret, size, "a stack that could not be unwound");
	else if (frame->line)
		snprintf(ret, size, "%s (%s:%u)", frame->function, file ? file + 1 : frame->file,
			frame->line);
	else
		snprintf(ret, size, "%s (%s)", frame->function[0] ? frame->function : "?",
			frame->module);
}

int pipeline_profile(struct pipeline *p, const struct profile *profile, const void *bytes, size_t n,
	struct err *err)
{
	struct order *o = find_order(p, profile->order_id);
	uint64_t now = clock_unix_ns(p->clock), id;
	struct ticket *t;
	struct diagnosis d;
	char headline[256];
	int r;

	if (!o || o->target.pid != profile->target.pid ||
		o->target.start_ticks != profile->target.start_ticks ||
		strcmp(o->target.boot_id, profile->target.boot_id) != 0)
		return err_set(err, -ENOENT, "nobody ordered this profile");
	if (!order_may_become(o->state, ORDER_DONE))
		return 0; /* sent twice */
	r = store_put_profile(p->store, bytes, n, &id, err);
	if (r == 0)
		r = move_order(p, o, ORDER_DONE, "a profile came back", err);
	t = pipeline_ticket(p, o->ticket_id);
	if (r < 0 || !t)
		return r;
	diagnose(profile, &d);
	if (d.n && d.findings[0].kind != FINDING_STABLE) {
		headline_of(&d, headline, sizeof(headline));
		ticket_diagnosed(t, id, headline, now);
	} else {
		t->profile_id = id; /* what was seen is evidence, too */
		ticket_campaign_failed(t, "no allocation stack grew while it was watched", false,
			p->set.campaign_attempts, now);
	}
	return store_put_ticket(p->store, t, err);
}

/* What was suspected at another pace only, and led to nothing, is not worth a person's time. */
static int close_of_other_pace(struct pipeline *p, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < p->n_tickets && r == 0; i++) {
		struct ticket *t = &p->tickets[i];

		if (t->pace != p->head.pace && t->pace != 1 &&
			(t->state == TICKET_OPEN || t->state == TICKET_UNDIAGNOSED))
			r = pipeline_close_ticket(p, t, "was seen at a demo's pace only", err);
	}
	return r;
}

static bool has_reported(const struct pipeline *p, const char *host)
{
	for (size_t i = 0; i < p->head.n_hosts; i++)
		if (strcmp(p->head.hosts[i].name, host) == 0)
			return true;
	return false;
}

/* Nothing of that component has leaked for as long as the head remembers; what it took days to see
 * has as many days to come back after a restart. */
static int close_forgotten(struct pipeline *p, struct err *err)
{
	uint64_t minutes = window_start(p, p->head.pace);
	uint64_t days = clock_unix_ns(p->clock) - FORGET_HOURS * p->set.hour_ns;
	int r = 0;

	for (size_t i = 0; i < p->n_tickets && r == 0; i++) {
		struct ticket *t = &p->tickets[i];
		uint64_t before = t->seen_by == TICKET_SEEN_BY_MINUTES ? minutes : days;

		if (t->state != TICKET_CLOSED && t->state != TICKET_PROFILING &&
			t->pace == p->head.pace && t->updated_unix_ns < before &&
			has_reported(p, t->host) && !pipeline_is_there(p, t))
			r = pipeline_close_ticket(p, t,
				"the process is gone, and no other of its kind has leaked since",
				err);
	}
	return r;
}

int pipeline_set_pace(struct pipeline *p, uint64_t pace, uint64_t seconds, struct err *err)
{
	if (pace == 0 || pace > PIPELINE_MAX_PACE || seconds > PIPELINE_MAX_PACE_SECONDS)
		return err_set(err, -ERANGE, "pace is 1 to %u, for at most %u seconds",
			PIPELINE_MAX_PACE, PIPELINE_MAX_PACE_SECONDS);
	p->pace_until_mono_ns = pace == 1 ? 0 : clock_mono_ns(p->clock) + seconds * NSEC_PER_SEC;
	if (pace == p->head.pace)
		return 0;
	int r = head_set_pace(&p->head, pace, window_start(p, pace), err);

	return r < 0 ? r : close_of_other_pace(p, err);
}

int pipeline_tick(struct pipeline *p, struct err *err)
{
	uint64_t mono = clock_mono_ns(p->clock), now = clock_unix_ns(p->clock);
	int r = 0;

	if (p->pace_until_mono_ns && mono > p->pace_until_mono_ns)
		r = pipeline_set_pace(p, 1, 0, err);
	if (r == 0)
		r = pipeline_judge_fleet(p, err);
	for (size_t i = 0; i < p->n_orders && r == 0; i++) {
		struct order *o = &p->orders[i];

		if (campaign_overdue(o, now)) {
			r = move_order(p, o, ORDER_EXPIRED, "nobody carried it out in time", err);
			if (r == 0)
				r = campaign_ended(p, o, false, err);
		}
	}
	if (r == 0 && mono - p->last_housekeeping_mono_ns > HOUSEKEEPING_NS) {
		p->last_housekeeping_mono_ns = mono;
		head_forget(&p->head, window_start(p, p->head.pace));
		r = close_forgotten(p, err);
		if (r == 0)
			r = watch_forget(&p->watch, now, err);
		if (r == 0 && now > p->set.retention_ns)
			r = store_expire(p->store, now - p->set.retention_ns, err);
	}
	return r;
}
