/*
 * Tickets from hours: of single processes (watch.h), and of components as a whole (fleet.h).
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/units.h"
#include "serve/pipeline-private.h"
#include "ticket/ticket.h"

/* After so many hours without being abnormal, a ticket of the fleet is closed. */
#define CALM_HOURS 24u

/* What weeks say in the words of a ticket's suspect. */
static void suspect_of(const struct detection *d, uint64_t hour_ns, struct suspect *ret)
{
	double from = d->size_bytes - d->growth_bytes;

	*ret = (struct suspect){.verdict = VERDICT_LEAK,
		.pattern = d->pattern,
		.start_ns = d->start_ns,
		.end_ns = d->end_ns,
		.steps = (d->end_ns - d->start_ns) / hour_ns,
		.from_bytes = from > 0 ? (uint64_t)from : 0,
		.to_bytes = d->size_bytes > 0 ? (uint64_t)d->size_bytes : 0,
		.growth_bytes = d->growth_bytes,
		.bytes_per_hour = d->bytes_per_hour,
		.bytes_per_hour_lo = d->bytes_per_hour_lo,
		.bytes_per_hour_hi = d->bytes_per_hour_hi,
		.late_to_early = 1,
		.severity = d->severity};
	snprintf(ret->reason, sizeof(ret->reason), "%s", d->n_reasons ? d->reason[0] : "");
}

static int open_for(struct pipeline *p, const struct head_entity *e, const struct detection *d,
	const struct suspect *s, enum ticket_seen_by by, const struct fleet_evidence *fleet,
	struct ticket **ret, struct err *err)
{
	struct ticket fresh;

	ticket_begin(&fresh, e->e.host, &e->e.process, e->e.component, e->e.version, s,
		clock_unix_ns(p->clock));
	fresh.entity_id = e->e.id;
	fresh.pace = 1; /* real hours, also while a demo shortens the minutes */
	fresh.seen_by = by;
	fresh.detection = *d;
	if (fleet)
		fresh.fleet = *fleet;
	return pipeline_open_ticket(p, &fresh, ret, err);
}

static int on_leak(struct pipeline *p, struct chain *c, const struct detection *d, struct ticket *t,
	struct err *err)
{
	const struct head_entity *e = head_find(&p->head, c->row.entity_id);
	uint64_t now = clock_unix_ns(p->clock);
	struct suspect s;
	int r = 0;

	if (!e)
		return 0; /* gone, and nothing took its place */
	suspect_of(d, p->set.hour_ns, &s);
	if (!t) {
		if (pipeline_tickets_of(p, c->row.component) >= TICKETS_OF_COMPONENT)
			return 0;
		r = open_for(p, e, d, &s, TICKET_SEEN_BY_HOURS, NULL, &t, err);
		if (r < 0 || !t)
			return r;
	} else if (t->entity_id == e->e.id) {
		t->detection = *d;
		if (t->seen_by != TICKET_SEEN_BY_MINUTES)
			t->suspect = s;
		t->updated_unix_ns = now;
		r = store_put_ticket(p->store, t, err);
	} else if (!pipeline_is_there(p, t)) {
		ticket_adopt(t, &e->e.process, e->e.id, e->e.version, &s, now);
		t->detection = *d;
		r = store_put_ticket(p->store, t, err);
	}
	if (r < 0 || t->entity_id != e->e.id)
		return r;
	c->ticketed = true;
	return t->state == TICKET_OPEN ? pipeline_start_campaign(p, t, err) : 0;
}

/* The judge no longer says leak: it watches for a week, and then takes it back. */
static int on_no_leak(
	struct pipeline *p, struct chain *c, const struct detection *d, struct err *err)
{
	struct ticket *t = pipeline_covering(p, c->row.host, c->row.component);
	bool changed;
	char why[320];

	if (!t || t->entity_id != c->row.entity_id) {
		c->ticketed = false;
		return 0;
	}
	if (t->state == TICKET_PROFILING)
		return 0;
	changed = t->detection.verdict != d->verdict;
	t->detection = *d;
	if (t->seen_by != TICKET_SEEN_BY_HOURS || d->verdict == DETECTION_WATCH)
		return changed ? store_put_ticket(p->store, t, err) : 0;
	snprintf(why, sizeof(why), "no longer a leak: %s", d->n_reasons ? d->reason[0] : "");
	c->ticketed = false;
	return pipeline_close_ticket(p, t, why, err);
}

static int judge_chain(struct pipeline *p, struct chain *c, struct err *err)
{
	struct detection d;

	/* Nearly all of them, nearly always. Not only in the hour of the alarm: its ticket may have
	 * been refused then, or not been written. */
	if (!c->ticketed && !judge_alarm_goes_on(&c->track))
		return 0;
	watch_judge(&p->watch, c, &d);
	if (d.verdict != DETECTION_LEAK)
		return on_no_leak(p, c, &d, err);
	return on_leak(p, c, &d, pipeline_covering(p, c->row.host, c->row.component), err);
}

int pipeline_judge_hours(struct pipeline *p, struct err *err)
{
	struct chain *c;
	int r = 0;

	while (r == 0 && (c = watch_next_due(&p->watch)))
		r = judge_chain(p, c, err);
	return r;
}

/* -- components as a whole ----------------------------------------------------------------- */

/* How much a process looks like the one to blame: how surely it rises. */
static double blame(const struct chain *c, double edge_bytes)
{
	double most = 0, size = track_minimum(&c->track, 0);

	/* An edge is 2.2 % wide, and the pivot counts the hour's largest, not its least. */
	if (!c->bound || !(size >= 0.9 * edge_bytes))
		return 0;
	for (unsigned l = 0; l < TRACK_LEVELS; l++) {
		const struct track_look *k = &c->track.looks[l];

		if (k->state != TRACK_YOUNG && k->rate > 0)
			most = fmax(most, (double)k->z);
	}
	return most;
}

static struct chain *most_to_blame(struct pipeline *p, const struct fleet_component *fc,
	double edge_bytes, const char *version)
{
	struct chain *best = NULL;
	double most = 0;

	for (size_t i = 0; i < p->watch.n_hosts; i++) {
		const struct watch_host *h = p->watch.hosts[i];

		for (size_t k = 0; k < h->n_chains; k++) {
			struct chain *c = h->chains[k];
			const struct head_entity *e;
			double b;

			if (strcmp(c->row.component, fc->name) != 0 ||
				(b = blame(c, edge_bytes)) <= most)
				continue;
			e = head_find(&p->head, c->row.entity_id);
			if (!e || (*version && strcmp(e->e.version, version) != 0))
				continue;
			most = b;
			best = c;
		}
	}
	return best;
}

static struct ticket *ticket_of_component(struct pipeline *p, const char *component)
{
	for (size_t i = 0; i < p->n_tickets; i++)
		if (p->tickets[i].state != TICKET_CLOSED &&
			strcmp(p->tickets[i].component, component) == 0)
			return &p->tickets[i];
	return NULL;
}

/* What the component does, in a sentence. */
static void say_fleet(const struct fleet_evidence *f, char *out, size_t size)
{
	char edge[UNITS_BYTES_MAX], more[UNITS_BYTES_MAX];

	units_bytes(f->edge_bytes, edge);
	units_bytes(f->growth_bytes_per_day > 0 ? (uint64_t)f->growth_bytes_per_day : 0, more);
	if (f->growth_bytes_per_day > 0)
		snprintf(out, size,
			"hosts with version %.12s grow by %s a day more than those with %.12s at "
			"the same time (%.1f standard deviations, %u hosts)",
			f->version, more, f->before, f->z, f->hosts);
	else
		snprintf(out, size,
			"%u of %u hosts have it at %s or more, %.1f are usual; of its processes "
			"there this one rises most%s%.12s%s",
			f->count, f->hosts, edge, f->expected,
			f->version[0] ? " (those with version " : "", f->version,
			f->version[0] ? " are larger)" : "");
}

static void put_versions(const struct fleet_component *fc, struct fleet_evidence *ret)
{
	const struct fleet_versions *v = &fc->versions;

	memcpy(ret->version, v->v[v->fresh].name, sizeof(ret->version));
	memcpy(ret->before, v->v[v->old].name, sizeof(ret->before));
}

/* That a version grows says more than that the component does. */
static bool evidence_of(
	const struct pipeline *p, const struct fleet_component *fc, struct fleet_evidence *ret)
{
	const struct fleet_versions *v = &fc->versions;
	const struct contrast *c = &v->contrast;

	memset(ret, 0, sizeof(*ret)); /* padding too: it is stored as it is */
	if (fc->contrast.outcome == CONTRAST_GROWING) {
		ret->hosts = v->v[v->fresh].hosts;
		ret->edge_bytes = fc->contrast.edge_bytes;
		ret->z = fmax(fc->contrast.z_growth, fc->contrast.z_grown);
		ret->count = (uint32_t)fmax(0, fc->contrast.excess);
		ret->growth_bytes_per_day = fc->contrast.growth;
		ret->since_unix_ns =
			(c->hour + 1 - (uint64_t)fmax(c->growth_hours, c->grown_hours)) *
			p->set.hour_ns;
		put_versions(fc, ret);
	} else if (fc->verdict.outcome == ANOMALY_ABNORMAL) {
		ret->hosts = fc->verdict.hosts;
		ret->count = fc->verdict.count;
		ret->edge_bytes = fc->verdict.edge_bytes;
		ret->expected = fc->verdict.expected;
		ret->z = fc->verdict.z;
		ret->since_unix_ns = fc->verdict.since_hour * p->set.hour_ns;
		if (fc->contrast.outcome == CONTRAST_ABOVE)
			put_versions(fc, ret);
	}
	return ret->hosts > 0;
}

/* The growth of all processes of a component that have one of two versions. */
static int contrast_growths(struct pipeline *p, struct fleet_component *fc)
{
	autofree double *fresh = NULL;
	autofree double *old = NULL;
	const char *names[2];
	size_t n[2] = {0}, room = p->watch.n_chains + 1;

	if (!fleet_contrasted(fc, &names[0], &names[1]))
		return 0;
	fresh = calloc(room, sizeof(*fresh));
	old = calloc(room, sizeof(*old));
	if (!fresh || !old)
		return -ENOMEM;
	for (size_t i = 0; i < p->watch.n_hosts; i++) {
		const struct watch_host *h = p->watch.hosts[i];

		for (size_t k = 0; k < h->n_chains; k++) {
			const struct chain *c = h->chains[k];
			const struct head_entity *e;
			double growth;

			if (strcmp(c->row.component, fc->name) != 0 ||
				isnan(growth = watch_growth_of_day(&p->watch, c)) ||
				!(e = head_find(&p->head, c->row.entity_id)))
				continue;
			if (strcmp(e->e.version, names[0]) == 0)
				fresh[n[0]++] = growth;
			else if (strcmp(e->e.version, names[1]) == 0)
				old[n[1]++] = growth;
		}
	}
	contrast_growth(&fc->versions.contrast, fresh, n[0], old, n[1], &fc->contrast);
	return 0;
}

static int judge_component(struct pipeline *p, struct fleet_component *fc, struct err *err)
{
	struct ticket *t = ticket_of_component(p, fc->name);
	uint64_t now = clock_unix_ns(p->clock);
	enum ticket_seen_by by;
	struct fleet_evidence f;
	struct chain *c;
	const struct head_entity *e;
	struct detection d;
	struct suspect s;
	int r;

	if (contrast_growths(p, fc) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	if (!evidence_of(p, fc, &f)) {
		if (!t || t->seen_by < TICKET_SEEN_BY_FLEET || t->state == TICKET_PROFILING ||
			t->detection.verdict == DETECTION_LEAK ||
			now < t->updated_unix_ns + CALM_HOURS * p->set.hour_ns)
			return 0;
		return pipeline_close_ticket(
			p, t, "the component as a whole is back to its usual size", err);
	}
	if (t && t->seen_by < TICKET_SEEN_BY_FLEET) {
		t->fleet = f; /* its own life goes on */
		return store_put_ticket(p->store, t, err);
	}
	by = fc->contrast.outcome == CONTRAST_GROWING ? TICKET_SEEN_BY_VERSION
						      : TICKET_SEEN_BY_FLEET;
	c = most_to_blame(
		p, fc, by == TICKET_SEEN_BY_VERSION ? 0 : (double)f.edge_bytes, f.version);
	e = c ? head_find(&p->head, c->row.entity_id) : NULL;
	if (t && (pipeline_is_there(p, t) || !e)) {
		t->fleet = f;
		t->updated_unix_ns = now;
		r = store_put_ticket(p->store, t, err);
		return r == 0 && t->state == TICKET_OPEN ? pipeline_start_campaign(p, t, err) : r;
	}
	if (!e)
		return 0; /* nobody to look at yet */
	watch_judge(&p->watch, c, &d);
	suspect_of(&d, p->set.hour_ns, &s);
	say_fleet(&f, s.reason, sizeof(s.reason));
	if (t) {
		/* Its process has gone, the anomaly has not: on to the next one. */
		memcpy(t->host, e->e.host, sizeof(t->host));
		ticket_adopt(t, &e->e.process, e->e.id, e->e.version, &s, now);
		t->detection = d;
		t->fleet = f;
		r = store_put_ticket(p->store, t, err);
	} else {
		r = open_for(p, e, &d, &s, by, &f, &t, err);
	}
	if (r < 0 || !t)
		return r;
	c->ticketed = true;
	return t->state == TICKET_OPEN ? pipeline_start_campaign(p, t, err) : 0;
}

int pipeline_judge_fleet(struct pipeline *p, struct err *err)
{
	struct fleet_component *c;
	int r = fleet_time(&p->fleet, clock_unix_ns(p->clock), err);

	while (r == 0 && (c = fleet_next_due(&p->fleet)))
		r = judge_component(p, c, err);
	return r;
}
