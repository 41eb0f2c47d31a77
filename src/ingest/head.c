#include "ingest/head.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"

void head_init(struct head *h, struct store *store, uint64_t step_ns)
{
	*h = (struct head){
		.store = store,
		.step_ns = step_ns,
		.pace = 1,
		.index = MAP_INIT(LIMIT_HEAD_ENTITIES),
		.by_id = MAP_INIT(LIMIT_HEAD_ENTITIES),
	};
}

static void entity_free(struct head_entity *e)
{
	if (e)
		free(e->points);
	free(e);
}

void head_done(struct head *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		entity_free(h->entities[i]);
	free(h->entities);
	free(h->hosts);
	map_done(&h->index);
	map_done(&h->by_id);
	h->n = 0;
}

static uint64_t identity(const char *host, const struct proc_id *p)
{
	uint64_t k = hash_bytes(host, strlen(host), 0);

	k = hash_bytes(p->boot_id, strlen(p->boot_id), k);
	return hash_u64(p->start_ticks, hash_u64(p->pid, k));
}

struct head_entity *head_find_process(
	struct head *h, const char *host, const struct proc_id *process)
{
	uint64_t i;

	return map_get(&h->index, identity(host, process), &i) ? h->entities[i] : NULL;
}

struct head_entity *head_find(struct head *h, uint64_t entity_id)
{
	uint64_t i;

	return map_get(&h->by_id, entity_id, &i) ? h->entities[i] : NULL;
}

/* A new entity without an id, known by its identity. NULL when there is no room. */
static struct head_entity *add(struct head *h, const struct store_entity *e)
{
	struct head_entity *he;

	if (array_reserve(
		    &h->entities, &h->cap, h->n + 1, sizeof(*h->entities), LIMIT_HEAD_ENTITIES) < 0)
		return NULL;
	he = calloc(1, sizeof(*he));
	if (!he)
		return NULL;
	he->e = *e;
	if (map_put(&h->index, identity(e->host, &e->process), h->n) < 0 ||
		(e->id && map_put(&h->by_id, e->id, h->n) < 0)) {
		entity_free(he);
		return NULL;
	}
	h->entities[h->n++] = he;
	return he;
}

static int push_point(struct head_entity *e, const struct point *p)
{
	if (e->n == HEAD_POINTS) {
		memmove(e->points, e->points + 1, (e->n - 1) * sizeof(*e->points));
		e->n--;
	}
	int r = array_reserve(&e->points, &e->cap, e->n + 1, sizeof(*e->points), HEAD_POINTS);

	if (r < 0)
		return r;
	e->points[e->n++] = *p;
	return 0;
}

static int load_step(void *arg, const struct store_step *s)
{
	struct head_entity *e = arg;
	int r = 0;

	if (e->open.unix_ns && (e->open.present & 1u << METRIC_ANON))
		r = push_point(e, &e->open.metric[METRIC_ANON]);
	e->open = *s; /* the last one stays open: more of it may come */
	return r;
}

static int load_entity(void *arg, const struct store_entity *e)
{
	struct head *h = arg;

	if (!head_find_process(h, e->host, &e->process))
		(void)add(h, e);
	return 0;
}

static int load_points(struct head *h, uint64_t since_ns, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < h->n && r == 0; i++) {
		struct head_entity *e = h->entities[i];

		e->n = 0;
		e->open = (struct store_step){0};
		e->suspect = (struct suspect){0};
		e->calm_steps = 0;
		e->due = false;
		r = store_each_step(h->store, e->e.id, h->pace, since_ns, load_step, e, err);
		if (e->open.present & 1u << METRIC_ANON)
			e->anon_bytes = e->open.metric[METRIC_ANON].last;
		e->due = e->n > 0;
	}
	return r;
}

int head_load(struct head *h, uint64_t since_ns, struct err *err)
{
	int r = store_each_entity(h->store, since_ns, load_entity, h, err);

	return r < 0 ? r : load_points(h, since_ns, err);
}

int head_set_pace(struct head *h, uint64_t pace, uint64_t since_ns, struct err *err)
{
	h->pace = pace;
	return load_points(h, since_ns, err);
}

static struct head_host *host_of(struct head *h, const struct batch *b)
{
	for (size_t i = 0; i < h->n_hosts; i++)
		if (strcmp(h->hosts[i].name, b->host) == 0)
			return &h->hosts[i];
	if (array_reserve(&h->hosts, &h->cap_hosts, h->n_hosts + 1, sizeof(*h->hosts),
		    HEAD_MAX_HOSTS) < 0)
		return NULL;
	h->hosts[h->n_hosts] = (struct head_host){0};
	memcpy(h->hosts[h->n_hosts].name, b->host, sizeof(b->host));
	return &h->hosts[h->n_hosts++];
}

/* What the open step becomes with this sample; the entity itself is not touched. */
static void merge(const struct head_entity *e, const struct sample *s, const struct batch *b,
	uint64_t step_ns, struct store_step *ret)
{
	uint64_t start = b->unix_ns / step_ns * step_ns;

	/* A clock that was set back: time stands still until it has caught up, so that the points
	 * stay in order. */
	if (e->open.pace == b->pace && start < e->open.unix_ns)
		start = e->open.unix_ns;
	if (e->open.unix_ns == start && e->open.pace == b->pace)
		*ret = e->open;
	else
		*ret = (struct store_step){.unix_ns = start,
			.pace = b->pace,
			.step_ns = step_ns,
			.entity_id = e->e.id};
	for (unsigned m = 0; m < METRIC_MAX_; m++) {
		struct point *p = &ret->metric[m];
		uint64_t v = s->values[m];

		if (!(s->present >> m & 1) || m == METRIC_LIMIT)
			continue;
		if (!(ret->present >> m & 1))
			*p = (struct point){start, v, v, v};
		ret->present |= 1u << m;
		if (v < p->lo)
			p->lo = v;
		if (v > p->hi)
			p->hi = v;
		p->last = v;
	}
}

struct pending {
	struct head_entity **entities;
	struct store_entity *copies; /* what the entities become */
	struct store_entity **records;
	struct store_step *steps;
	const struct store_step **step_ptrs;
	size_t n;
};

static void pending_done(struct pending *p)
{
	free(p->entities);
	free(p->copies);
	free(p->records);
	free(p->steps);
	free(p->step_ptrs);
}

static int prepare(struct head *h, const struct batch *b, struct pending *p)
{
	uint64_t step_ns = h->step_ns / b->pace;
	size_t n = b->n_samples ? b->n_samples : 1;

	p->entities = calloc(n, sizeof(*p->entities));
	p->copies = calloc(n, sizeof(*p->copies));
	p->records = calloc(n, sizeof(*p->records));
	p->steps = calloc(n, sizeof(*p->steps));
	p->step_ptrs = calloc(n, sizeof(*p->step_ptrs));
	if (!p->entities || !p->copies || !p->records || !p->steps || !p->step_ptrs)
		return -ENOMEM;
	for (size_t i = 0; i < b->n_samples; i++) {
		const struct sample *s = &b->samples[i];
		struct proc_id id = {.pid = s->pid, .start_ticks = s->start_ticks};
		struct store_entity *copy;
		struct head_entity *e;

		if (s->kind != ENTITY_PROCESS)
			continue; /* of a later agent */
		memcpy(id.boot_id, b->boot_id, sizeof(id.boot_id));
		e = head_find_process(h, b->host, &id);
		if (!e) {
			struct store_entity fresh = {.process = id, .first_seen_ns = b->unix_ns};

			memcpy(fresh.host, b->host, sizeof(fresh.host));
			e = add(h, &fresh);
			if (!e) {
				h->crowded++; /* the others of this host are worth as much */
				continue;
			}
		}
		/* Names may become known, or change with exec, during a life. */
		copy = &p->copies[p->n];
		*copy = e->e;
		snprintf(copy->component, sizeof(copy->component), "%s", s->component);
		snprintf(copy->version, sizeof(copy->version), "%s", s->version);
		if (b->unix_ns > copy->last_seen_ns)
			copy->last_seen_ns = b->unix_ns;
		merge(e, s, b, step_ns, &p->steps[p->n]);
		p->entities[p->n] = e;
		p->records[p->n] = copy;
		p->step_ptrs[p->n] = &p->steps[p->n];
		p->n++;
	}
	return 0;
}

/* The store has said yes: show it. */
static int show(struct head *h, const struct batch *b, const struct pending *p)
{
	int r = 0;

	for (size_t i = 0; i < p->n && r == 0; i++) {
		struct head_entity *e = p->entities[i];
		const struct store_step *s = &p->steps[i];
		uint64_t known;

		e->e = p->copies[i];
		if (!map_get(&h->by_id, e->e.id, &known) &&
			map_get(&h->index, identity(e->e.host, &e->e.process), &known))
			r = map_put(&h->by_id, e->e.id, known);
		if (s->present & 1u << METRIC_ANON)
			e->anon_bytes = s->metric[METRIC_ANON].last;
		if (b->pace != h->pace || r < 0)
			continue;
		if (e->open.unix_ns && e->open.unix_ns != s->unix_ns &&
			(e->open.present & 1u << METRIC_ANON)) {
			r = push_point(e, &e->open.metric[METRIC_ANON]);
			e->due = true;
		}
		e->open = *s;
		e->open.entity_id = e->e.id;
	}
	return r;
}

/* What was added for a batch that was not stored. */
static void remove_last(struct head *h, size_t n)
{
	while (h->n > n) {
		struct head_entity *e = h->entities[--h->n];

		(void)map_take(&h->index, identity(e->e.host, &e->e.process), NULL);
		if (e->e.id)
			(void)map_take(&h->by_id, e->e.id, NULL);
		entity_free(e);
	}
}

int head_apply(struct head *h, const struct batch *b, struct err *err)
{
	struct pending p = {0};
	size_t known = h->n;
	struct head_host *host = host_of(h, b);
	int r;

	if (!host)
		return err_set(err, -EMSGSIZE, "more than %u hosts", HEAD_MAX_HOSTS);
	if (h->step_ns / b->pace == 0)
		return err_set(err, -EBADMSG, "the batch's pace is out of range");
	r = prepare(h, b, &p);
	if (r < 0)
		err_set(err, -ENOSPC, "no room for more entities (limit %u)", LIMIT_HEAD_ENTITIES);
	else
		r = store_append(h->store, b, p.records, p.step_ptrs, p.n, err);
	if (r == 0 && (r = show(h, b, &p)) < 0)
		err_set(err, r, "out of memory");
	if (r == 0) {
		memcpy(host->boot_id, b->boot_id, sizeof(b->boot_id));
		host->last_seen_ns = b->unix_ns;
		host->seq = b->seq;
		host->period_ns = b->period_ns;
		host->dropped = b->dropped;
		host->processes = p.n;
		h->batches++;
		h->samples += p.n;
	} else if (r == 1) {
		h->duplicates++;
	} else {
		h->rejected++;
	}
	if (r != 0)
		remove_last(h, known);
	pending_done(&p);
	return r;
}

void head_forget(struct head *h, uint64_t before_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->n; i++) {
		struct head_entity *e = h->entities[i];

		if (e->e.last_seen_ns >= before_ns)
			h->entities[kept++] = e;
		else
			entity_free(e);
	}
	if (kept == h->n)
		return;
	h->n = kept;
	map_clear(&h->index);
	map_clear(&h->by_id);
	for (size_t i = 0; i < h->n; i++) {
		/* Fewer than before, into tables that are as large: no failure is possible. */
		const struct store_entity *e = &h->entities[i]->e;

		(void)!map_put(&h->index, identity(e->host, &e->process), i);
		if (e->id)
			(void)!map_put(&h->by_id, e->id, i);
	}
}
