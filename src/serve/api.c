#include "serve/api.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/units.h"
#include "diagnose/diagnose.h"
#include "page.h"
#include "ticket/evidence.h"

#define DECODE_ARENA_BYTES (64u << 20)

static void fail(struct api_response *ret, unsigned status, const char *text)
{
	struct json j;

	buf_clear(&ret->body);
	ret->status = status;
	ret->content_type = "application/json";
	json_init(&j, &ret->body);
	json_object(&j);
	json_kv(&j, string, "error", text);
	json_object_end(&j);
	(void)!json_finish(&j);
}

static void fail_err(struct api_response *ret, const struct err *err)
{
	switch (err->code) {
	case -EBADMSG:
	case -ERANGE:
	case -EINVAL:
	case -EPROTONOSUPPORT:
		fail(ret, 400, err->msg);
		break;
	case -EMSGSIZE:
		fail(ret, 413, err->msg);
		break;
	case -ENOENT:
		fail(ret, 404, err->msg);
		break;
	default:
		/* Ours, not theirs: they hear that, the log hears what. */
		ret->internal = *err;
		fail(ret, 503, "the server cannot do this now; see its log");
	}
}

static uint64_t number(const struct api_request *q, const char *name, uint64_t fallback)
{
	const char *v = q->query(q->arg, name);
	uint64_t n;

	return v && parse_u64(v, &n) == 0 ? n : fallback;
}

/* -- reading ----------------------------------------------------------------------------- */

static void put_status(struct api *a, struct json *j)
{
	struct pipeline *p = a->pipeline;
	uint64_t open = 0, now = clock_unix_ns(p->clock), mono = clock_mono_ns(p->clock);

	for (size_t i = 0; i < p->n_tickets; i++)
		open += p->tickets[i].state != TICKET_CLOSED;
	json_object(j);
	json_kv(j, string, "schema", "resin.status/1");
	json_kv(j, string, "version", a->version);
	json_kv(j, time, "now", now);
	json_kv(j, time, "started_at", p->started_unix_ns);
	json_kv(j, u64, "pace", p->head.pace);
	json_kv(j, time, "pace_until",
		p->pace_until_mono_ns > mono ? now + (p->pace_until_mono_ns - mono) : 0);
	json_kv(j, u64, "step_ns", head_step_ns(&p->head));
	json_kv(j, u64, "entities", p->head.n);
	json_kv(j, u64, "tickets_open", open);
	json_kv(j, u64, "batches", p->head.batches);
	json_kv(j, u64, "samples", p->head.samples);
	json_kv(j, u64, "duplicates", p->head.duplicates);
	json_kv(j, u64, "rejected", p->head.rejected);
	json_kv(j, u64, "chains", p->watch.n_chains);
	json_kv(j, u64, "components", p->fleet.n);
	json_kv(j, u64, "hours_late", p->watch.late);
	json_kv(j, u64, "hours_early", p->watch.early);
	json_kv(j, u64, "unwatched", p->head.crowded + p->watch.crowded + p->fleet.dropped);
	json_kv(j, u64, "store_bytes", store_bytes(p->store));
	json_key(j, "hosts");
	json_array(j);
	for (size_t i = 0; i < p->head.n_hosts; i++) {
		const struct head_host *h = &p->head.hosts[i];

		json_object(j);
		json_kv(j, string, "name", h->name);
		json_kv(j, string, "boot_id", h->boot_id);
		json_kv(j, time, "last_seen_at", h->last_seen_ns);
		json_kv(j, u64, "period_ns", h->period_ns);
		json_kv(j, u64, "dropped_batches", h->dropped);
		json_kv(j, u64, "processes", h->processes);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static int by_growth(const void *x, const void *y)
{
	const struct head_entity *a = *(struct head_entity *const *)x;
	const struct head_entity *b = *(struct head_entity *const *)y;
	double ga = a->suspect.bytes_per_hour, gb = b->suspect.bytes_per_hour;

	if (ga != gb)
		return ga < gb ? 1 : -1;
	return (a->anon_bytes < b->anon_bytes) - (a->anon_bytes > b->anon_bytes);
}

static int by_size(const void *x, const void *y)
{
	const struct head_entity *a = *(struct head_entity *const *)x;
	const struct head_entity *b = *(struct head_entity *const *)y;

	return (a->anon_bytes < b->anon_bytes) - (a->anon_bytes > b->anon_bytes);
}

/* What weeks say of it. */
static void put_watched(struct json *j, const struct pipeline *p, const struct head_entity *e)
{
	const struct chain *c = watch_find(&p->watch, e->e.host, e->e.id);
	struct detection d;

	json_key(j, "detection");
	if (!c || !c->track.hours) {
		json_null(j);
		return;
	}
	watch_judge(&p->watch, c, &d);
	json_object(j);
	evidence_detection_fields(j, &d);
	json_object_end(j);
}

static void put_process(struct json *j, const struct pipeline *p, const struct head_entity *e)
{
	json_object(j);
	json_kv(j, u64, "entity", e->e.id);
	json_kv(j, string, "host", e->e.host);
	json_kv(j, u64, "pid", e->e.process.pid);
	json_kv(j, string, "component", e->e.component);
	json_kv(j, string, "version", e->e.version[0] ? e->e.version : NULL);
	json_kv(j, u64, "anon_bytes", e->anon_bytes);
	json_kv(j, double, "growth_bytes_per_hour", e->suspect.bytes_per_hour);
	json_kv(j, string, "verdict", verdict_name(e->suspect.verdict));
	json_kv(j, string, "reason", e->suspect.reason);
	json_kv(j, u64, "age_ns",
		e->e.last_seen_ns > e->e.first_seen_ns ? e->e.last_seen_ns - e->e.first_seen_ns
						       : 0);
	json_kv(j, time, "last_seen_at", e->e.last_seen_ns);
	json_kv(j, u64, "step_ns", head_step_ns(&p->head));
	put_watched(j, p, e);
	json_object_end(j);
}

/* Processes that the last batch of their host still had. */
static bool is_alive(const struct pipeline *p, const struct head_entity *e)
{
	for (size_t i = 0; i < p->head.n_hosts; i++)
		if (strcmp(p->head.hosts[i].name, e->e.host) == 0)
			return e->e.last_seen_ns >= p->head.hosts[i].last_seen_ns;
	return false;
}

static int put_top(const struct api *a, const struct api_request *q, struct json *j)
{
	const struct pipeline *p = a->pipeline;
	uint64_t limit = number(q, "limit", 20);
	const char *sort = q->query(q->arg, "sort");
	autofree struct head_entity **v = calloc(p->head.n + 1, sizeof(struct head_entity *));
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < p->head.n; i++)
		if (is_alive(p, p->head.entities[i]))
			v[n++] = p->head.entities[i];
	qsort(v, n, sizeof(struct head_entity *),
		sort && strcmp(sort, "size") == 0 ? by_size : by_growth);
	json_object(j);
	json_kv(j, string, "schema", "resin.top/1");
	json_key(j, "processes");
	json_array(j);
	for (size_t i = 0; i < n && i < limit; i++)
		put_process(j, p, v[i]);
	json_array_end(j);
	json_object_end(j);
	return 0;
}

static void put_ticket(struct json *j, const struct ticket *t)
{
	evidence_ticket_fields(j, t);
	json_kv(j, string, "headline", t->state == TICKET_DIAGNOSED ? t->note : NULL);
}

static void put_tickets(const struct api *a, const struct api_request *q, struct json *j)
{
	const struct pipeline *p = a->pipeline;
	const char *all = q->query(q->arg, "all");

	json_object(j);
	json_kv(j, string, "schema", "resin.tickets/1");
	json_key(j, "tickets");
	json_array(j);
	for (size_t i = p->n_tickets; i-- > 0;) {
		const struct ticket *t = &p->tickets[i];

		if (t->state == TICKET_CLOSED && !(all && strcmp(all, "1") == 0))
			continue;
		json_object(j);
		put_ticket(j, t);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static int put_stored_diagnosis(struct api *a, uint64_t profile_id, struct json *j, struct err *err)
{
	autobuf struct buf bytes = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct diagnosis d;
	struct profile p;
	int r = store_get_profile(a->pipeline->store, profile_id, &bytes, err);

	if (r < 0)
		return r;
	if (bytes.len == 0) {
		json_null(j);
		return 0;
	}
	r = wire_decode_profile(bytes.data, bytes.len, &p, err);
	if (r == 0) {
		diagnose(&p, &d);
		evidence_diagnosis(j, &p, &d);
	}
	profile_done(&p);
	return r;
}

/* -- weeks --------------------------------------------------------------------------------- */

static const char *outcome_name(enum anomaly_outcome o)
{
	static const char *const names[] = {[ANOMALY_FEW_HOSTS] = "few-hosts",
		[ANOMALY_LEARNING] = "learning",
		[ANOMALY_NORMAL] = "normal",
		[ANOMALY_HOT] = "hot",
		[ANOMALY_ABNORMAL] = "abnormal"};

	return names[o];
}

static const char *contrast_name(enum contrast_outcome o)
{
	static const char *const names[] = {[CONTRAST_FEW_HOSTS] = "few-hosts",
		[CONTRAST_EQUAL] = "equal",
		[CONTRAST_ABOVE] = "above",
		[CONTRAST_GROWING] = "growing"};

	return names[o];
}

static void put_versions(struct json *j, const struct fleet_component *c)
{
	const char *fresh, *old;

	json_key(j, "versions");
	if (!fleet_contrasted(c, &fresh, &old)) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kv(j, string, "outcome", contrast_name(c->contrast.outcome));
	json_kv(j, string, "new", fresh);
	json_kv(j, string, "old", old);
	json_kv(j, double, "theta", c->contrast.theta);
	json_kv(j, double, "z", c->contrast.z);
	json_kv(j, double, "z_growth", c->contrast.z_growth);
	json_kv(j, double, "growth_bytes_per_day", c->contrast.growth);
	json_object_end(j);
}

static void put_component(struct json *j, const struct fleet_component *c)
{
	const struct anomaly_verdict *v = &c->verdict;

	json_object(j);
	json_kv(j, string, "component", c->name);
	json_kv(j, u64, "hosts", c->hosts);
	json_kv(j, string, "outcome", outcome_name(v->outcome));
	json_kv(j, u64, "edge_bytes", v->edge_bytes);
	json_kv(j, u64, "hosts_above", v->count);
	json_kv(j, double, "hosts_expected", v->expected);
	json_kv(j, double, "excess", v->excess);
	json_kv(j, double, "z", v->strongest_z);
	put_versions(j, c);
	json_object_end(j);
}

/* Most abnormal first, then those on most hosts. */
static int by_anomaly(const void *x, const void *y)
{
	const struct fleet_component *a = *(const struct fleet_component *const *)x;
	const struct fleet_component *b = *(const struct fleet_component *const *)y;

	if (a->verdict.outcome != b->verdict.outcome)
		return a->verdict.outcome < b->verdict.outcome ? 1 : -1;
	if (a->contrast.outcome != b->contrast.outcome)
		return a->contrast.outcome < b->contrast.outcome ? 1 : -1;
	return (a->hosts < b->hosts) - (a->hosts > b->hosts);
}

static int put_fleet(const struct api *a, const struct api_request *q, struct json *j)
{
	const struct fleet *f = &a->pipeline->fleet;
	uint64_t limit = number(q, "limit", 20);
	size_t n = 0;
	autofree const struct fleet_component **v =
		calloc(f->n + 1, sizeof(const struct fleet_component *));

	if (!v)
		return -ENOMEM;
	/* Not those that have not been there for a full hour yet. */
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].hosts || f->v[i].anomaly)
			v[n++] = &f->v[i];
	qsort(v, n, sizeof(const struct fleet_component *), by_anomaly);
	json_object(j);
	json_kv(j, string, "schema", "resin.fleet/1");
	json_kv(j, time, "hour", f->hour * f->hour_ns);
	json_kv(j, u64, "least_hosts", ANOMALY_MIN_HOSTS);
	json_key(j, "components");
	json_array(j);
	for (size_t i = 0; i < n && i < limit; i++)
		put_component(j, v[i]);
	json_array_end(j);
	json_object_end(j);
	return 0;
}

static void put_look(struct json *j, const struct track *t, unsigned l)
{
	const struct track_look *k = &t->looks[l];

	json_object(j);
	json_kv(j, u64, "block_hours", norm_block_hours[l]);
	json_kv(j, string, "state", track_state_name(k->state));
	json_kv(j, double, "z", (double)k->z);
	json_kv(j, u64, "rise_hours", t->hours - track_rise_begins(k));
	json_kv(j, double, "rate_bytes_per_hour", (double)k->rate);
	json_kv(j, double, "over_steps", (double)k->step_gain);
	json_kv(j, double, "late_to_early", (double)k->late_early);
	json_kv(j, double, "concavity", (double)k->concavity);
	json_object_end(j);
}

static int put_weeks(struct api *a, const char *id_text, struct json *j, struct err *err)
{
	const struct pipeline *p = a->pipeline;
	const struct chain *c;
	struct detection d;
	struct store_entity e;
	uint64_t id;
	int r;

	if (parse_u64(id_text, &id) < 0)
		return err_set(err, -ENOENT, "there is no entity %.20s", id_text);
	r = store_get_entity(p->store, id, &e, err);
	if (r != 0)
		return r < 0 ? r : err_set(err, -ENOENT, "there is no entity %.20s", id_text);
	c = watch_find(&p->watch, e.host, id);
	if (!c || !c->track.hours)
		return err_set(err, -ENOENT,
			"no hour of entity %.20s is over yet, or it is long gone", id_text);
	watch_judge(&p->watch, c, &d);
	json_object(j);
	json_kv(j, string, "schema", "resin.weeks/1");
	json_kv(j, u64, "entity", id);
	json_kv(j, string, "host", e.host);
	json_kv(j, string, "component", e.component);
	json_kv(j, u64, "hour_ns", p->watch.hour_ns);
	json_kv(j, time, "end", (c->row.hour + 1) * p->watch.hour_ns);
	json_kv(j, u64, "hours", c->track.hours);
	json_kv(j, u64, "age_hours", c->track.age);
	json_kv(j, double, "score", (double)c->track.score);
	json_key(j, "detection");
	json_object(j);
	evidence_detection_fields(j, &d);
	json_object_end(j);
	json_key(j, "looks");
	json_array(j);
	for (unsigned l = 0; l < TRACK_LEVELS; l++)
		if (c->track.looks[l].state != TRACK_YOUNG)
			put_look(j, &c->track, l);
	json_array_end(j);
	json_key(j, "minima"); /* oldest first */
	json_array(j);
	for (uint32_t ago = TRACK_MINIMA; ago-- > 0;)
		if (ago < c->track.hours)
			json_double(j, track_minimum(&c->track, ago));
	json_array_end(j);
	json_object_end(j);
	return 0;
}

static int put_one_ticket(struct api *a, const char *id_text, struct json *j, struct err *err)
{
	const struct pipeline *p = a->pipeline;
	const struct ticket *t;
	uint64_t id;
	int r = 0;

	if (parse_u64(id_text, &id) < 0 || !(t = pipeline_ticket(a->pipeline, id)))
		return err_set(err, -ENOENT, "there is no ticket %.20s", id_text);
	json_object(j);
	json_kv(j, string, "schema", "resin.ticket/1");
	put_ticket(j, t);
	json_key(j, "orders");
	json_array(j);
	for (size_t i = 0; i < p->n_orders; i++)
		if (p->orders[i].ticket_id == id)
			evidence_order(j, &p->orders[i]);
	json_array_end(j);
	json_key(j, "diagnosis");
	if (t->profile_id)
		r = put_stored_diagnosis(a, t->profile_id, j, err);
	else
		json_null(j);
	json_object_end(j);
	return r;
}

struct series_arg {
	struct json *j;
	enum metric metric;
};

static int put_step(void *arg, const struct store_step *s)
{
	const struct series_arg *a = arg;
	const struct point *p = &s->metric[a->metric];

	if (!(s->present >> a->metric & 1))
		return 0;
	json_array(a->j);
	json_u64(a->j, s->unix_ns / NSEC_PER_MSEC);
	json_u64(a->j, p->lo);
	json_u64(a->j, p->last);
	json_u64(a->j, p->hi);
	json_array_end(a->j);
	return 0;
}

static int put_series(struct api *a, const struct api_request *q, const char *id_text,
	struct json *j, struct err *err)
{
	struct pipeline *p = a->pipeline;
	const char *name = q->query(q->arg, "metric");
	const struct head_entity *live;
	struct series_arg arg = {j, METRIC_ANON};
	struct store_entity e;
	uint64_t id, pace, step_ns, now = clock_unix_ns(p->clock), window;
	int r;

	if (parse_u64(id_text, &id) < 0)
		return err_set(err, -ENOENT, "there is no entity %.20s", id_text);
	if (name && !metric_from_name(name, &arg.metric))
		return err_set(err, -EINVAL, "there is no metric %.40s", name);
	r = store_get_entity(p->store, id, &e, err);
	if (r != 0)
		return r < 0 ? r : err_set(err, -ENOENT, "there is no entity %.20s", id_text);
	/* Without a pace: the one at which it was last seen, which may be over. */
	r = store_last_pace(p->store, id, &pace, err);
	if (r < 0)
		return r;
	pace = number(q, "pace", pace);
	if (pace == 0 || pace > PIPELINE_MAX_PACE)
		return err_set(err, -EINVAL, "pace is 1 to %u", PIPELINE_MAX_PACE);
	step_ns = p->set.step_ns / pace;
	window = step_ns * HEAD_POINTS;
	if (e.last_seen_ns < now)
		now = e.last_seen_ns;
	live = head_find(&p->head, id);
	json_object(j);
	json_kv(j, string, "schema", "resin.series/1");
	json_kv(j, u64, "entity", id);
	json_kv(j, string, "host", e.host);
	json_kv(j, u64, "pid", e.process.pid);
	json_kv(j, string, "component", e.component);
	json_kv(j, string, "version", e.version[0] ? e.version : NULL);
	json_kv(j, string, "metric", metric_name(arg.metric));
	json_kv(j, string, "unit", metric_unit(arg.metric));
	json_kv(j, u64, "step_ns", step_ns);
	json_key(j, "verdict");
	if (live && pace == p->head.pace)
		evidence_suspect(j, &live->suspect);
	else
		json_null(j);
	json_key(j, "points");
	json_array(j);
	r = store_each_step(
		p->store, id, pace, now > window ? now - window : 0, put_step, &arg, err);
	json_array_end(j);
	json_object_end(j);
	return r;
}

static void handle_get(struct api *a, const struct api_request *q, struct api_response *ret)
{
	static const char ticket[] = "/v1/tickets/", series[] = "/v1/series/",
			  weeks[] = "/v1/weeks/";
	struct err err = ERR_INIT;
	struct json j;
	int r = 0;

	json_init(&j, &ret->body);
	if (strcmp(q->path, "/") == 0 || strcmp(q->path, "/index.html") == 0) {
		ret->content_type = "text/html; charset=utf-8";
		if (buf_add(&ret->body, resin_page, resin_page_bytes) < 0)
			fail(ret, 503, "out of memory");
		return;
	}
	if (strcmp(q->path, "/v1/status") == 0)
		put_status(a, &j);
	else if (strcmp(q->path, "/v1/top") == 0)
		r = put_top(a, q, &j);
	else if (strcmp(q->path, "/v1/fleet") == 0)
		r = put_fleet(a, q, &j);
	else if (strncmp(q->path, weeks, sizeof(weeks) - 1) == 0)
		r = put_weeks(a, q->path + sizeof(weeks) - 1, &j, &err);
	else if (strcmp(q->path, "/v1/tickets") == 0)
		put_tickets(a, q, &j);
	else if (strncmp(q->path, ticket, sizeof(ticket) - 1) == 0)
		r = put_one_ticket(a, q->path + sizeof(ticket) - 1, &j, &err);
	else if (strncmp(q->path, series, sizeof(series) - 1) == 0)
		r = put_series(a, q, q->path + sizeof(series) - 1, &j, &err);
	else
		r = err_set(&err, -ENOENT, "there is nothing at this path; docs/formats/api.md");
	if (r == 0)
		r = json_finish(&j);
	if (r < 0 && !err.code)
		err_set(&err, r, "the answer does not fit");
	if (r < 0)
		fail_err(ret, &err);
}

/* -- writing ----------------------------------------------------------------------------- */

static int post_samples(
	struct api *a, const struct api_request *q, struct api_response *ret, struct err *err)
{
	autoarena struct arena arena = ARENA_INIT(DECODE_ARENA_BYTES);
	struct order *orders = arena_array(&arena, WIRE_MAX_ORDERS, sizeof(*orders));
	struct reply reply;
	struct batch b;
	int r;

	if (!orders)
		return err_set(err, -ENOMEM, "out of memory");
	r = wire_decode_batch(q->body, q->body_bytes, &arena, &b, err);
	if (r == 0)
		r = pipeline_samples(a->pipeline, &b, &reply, orders, err);
	return r < 0 ? r : wire_encode_reply(&reply, &ret->body, err);
}

static int post_report(
	struct api *a, const struct api_request *q, struct api_response *ret, struct err *err)
{
	struct reply reply = {.pace = a->pipeline->head.pace};
	struct report report;
	int r = wire_decode_report(q->body, q->body_bytes, &report, err);

	if (r == 0)
		r = pipeline_report(a->pipeline, &report, err);
	return r < 0 ? r : wire_encode_reply(&reply, &ret->body, err);
}

static int post_profile(
	struct api *a, const struct api_request *q, struct api_response *ret, struct err *err)
{
	struct reply reply = {.pace = a->pipeline->head.pace};
	struct profile profile;
	int r = wire_decode_profile(q->body, q->body_bytes, &profile, err);

	if (r == 0)
		r = pipeline_profile(a->pipeline, &profile, q->body, q->body_bytes, err);
	profile_done(&profile);
	return r < 0 ? r : wire_encode_reply(&reply, &ret->body, err);
}

/* Body: "PACE SECONDS". */
static int post_pace(
	struct api *a, const struct api_request *q, struct api_response *ret, struct err *err)
{
	char text[64], *space;
	uint64_t pace, seconds;
	struct json j;
	int r;

	if (q->body_bytes >= sizeof(text))
		return err_set(err, -EBADMSG, "expected 'PACE SECONDS'");
	memcpy(text, q->body, q->body_bytes);
	text[q->body_bytes] = 0;
	space = strchr(text, ' ');
	if (!space)
		return err_set(err, -EBADMSG, "expected 'PACE SECONDS'");
	*space = 0;
	if (parse_u64(text, &pace) < 0 || parse_u64(space + 1, &seconds) < 0)
		return err_set(err, -EBADMSG, "expected 'PACE SECONDS'");
	r = pipeline_set_pace(a->pipeline, pace, seconds, err);
	if (r < 0)
		return r;
	ret->content_type = "application/json";
	json_init(&j, &ret->body);
	json_object(&j);
	json_kv(&j, string, "schema", "resin.pace/1");
	json_kv(&j, u64, "pace", pace);
	json_kv(&j, u64, "seconds", seconds);
	json_object_end(&j);
	return json_finish(&j);
}

static const struct {
	const char *path;
	int (*fn)(struct api *, const struct api_request *, struct api_response *, struct err *);
} posts[] = {
	{"/v1/samples", post_samples},
	{"/v1/reports", post_report},
	{"/v1/profiles", post_profile},
	{"/v1/pace", post_pace},
};

static void handle_post(struct api *a, const struct api_request *q, struct api_response *ret)
{
	struct err err = ERR_INIT;
	bool known = false;

	/* Before anything of the body is looked at. */
	if (!auth_verify(
		    &a->key, "POST", q->path, q->nonce, q->body, q->body_bytes, q->signature)) {
		fail(ret, 401, "not signed with this server's token");
		return;
	}
	ret->content_type = "application/x-protobuf";
	for (size_t i = 0; i < sizeof(posts) / sizeof(posts[0]); i++) {
		if (strcmp(posts[i].path, q->path) != 0)
			continue;
		if (posts[i].fn(a, q, ret, &err) < 0)
			fail_err(ret, &err);
		known = true;
	}
	if (!known)
		fail(ret, 404, "there is nothing at this path");
	if (auth_sign(&a->key, "REPLY", q->path, q->nonce, ret->body.data, ret->body.len,
		    ret->signature, &ret->internal) < 0)
		fail(ret, 503, "the server cannot sign");
}

void api_handle(struct api *a, const struct api_request *q, struct api_response *ret)
{
	*ret = (struct api_response){
		.status = 200,
		.content_type = "application/json",
		.body = BUF_INIT(LIMIT_MESSAGE_BYTES),
	};
	if (strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0)
		handle_get(a, q, ret);
	else if (strcmp(q->method, "POST") == 0)
		handle_post(a, q, ret);
	else
		fail(ret, 405, "only GET and POST");
}
