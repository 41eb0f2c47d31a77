#include "serve/watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HOSTS 65536u
/* Chains whose states may be written in an hour (8 MB or so); more take turns, over a day at most.
 */
#define STATES_AN_HOUR 2048u
#define STATES_MAX_HOURS 24u
#define STATES_BYTES (1u << 30)
/* What is known of a chain before its past speaks for it. */
#define KNOWN_HOURS 72u
#define NO_LARGER 1.05
/* Growth over a day: this many hours against as many, a day before. */
#define DAY_PART 12u
#define DAY_AGE 48u
/* Where nothing is known about lives of that age, none is believed to have settled before. */
#define SETTLED_AGE 96u

void watch_init(struct watch *w, struct store *store, uint64_t hour_ns)
{
	*w = (struct watch){.store = store,
		.hour_ns = hour_ns,
		.by_component = MAP_INIT(WATCH_MAX_COMPONENTS),
		.by_host = MAP_INIT(MAX_HOSTS)};
}

static void chain_free(struct chain *c)
{
	if (c)
		track_done(&c->track);
	free(c);
}

static void host_free(struct watch_host *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n_chains; i++)
		chain_free(h->chains[i]);
	for (size_t i = 0; i < h->n; i++)
		free(h->v[i].name);
	free(h->chains);
	free(h->v);
	map_done(&h->by_entity);
	map_done(&h->by_process);
	free(h);
}

void watch_done(struct watch *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_hosts; i++)
		host_free(w->hosts[i]);
	free(w->hosts);
	free(w->components);
	free(w->due);
	map_done(&w->by_component);
	map_done(&w->by_host);
	w->n_hosts = w->n_components = w->n_due = 0;
}

/* -- who is who ---------------------------------------------------------------------------- */

static struct watch_host *find_host(const struct watch *w, const char *name)
{
	uint64_t i;

	return map_get(&w->by_host, hash_bytes(name, strlen(name), 0), &i) ? w->hosts[i] : NULL;
}

static struct watch_host *get_host(struct watch *w, const char *name)
{
	struct watch_host *h = find_host(w, name);

	if (h)
		return h;
	if (array_reserve(&w->hosts, &w->cap_hosts, w->n_hosts + 1, sizeof(struct watch_host *),
		    MAX_HOSTS) < 0)
		return NULL;
	h = calloc(1, sizeof(*h));
	if (!h || map_put(&w->by_host, hash_bytes(name, strlen(name), 0), w->n_hosts) < 0) {
		free(h);
		return NULL;
	}
	h->by_entity = MAP_INIT(LIMIT_BATCH_ENTITIES);
	h->by_process = MAP_INIT(WATCH_MAX_CHAINS);
	snprintf(h->name, sizeof(h->name), "%s", name);
	return w->hosts[w->n_hosts++] = h;
}

/* Index, or <0. */
static int get_component(struct watch *w, const char *name, size_t *ret)
{
	uint64_t key = hash_bytes(name, strlen(name), 0), i;
	struct watch_component *c;
	int r;

	if (map_get(&w->by_component, key, &i)) {
		*ret = i;
		return 0;
	}
	r = array_reserve(&w->components, &w->cap_components, w->n_components + 1, sizeof(*c),
		WATCH_MAX_COMPONENTS);
	if (r == 0)
		r = map_put(&w->by_component, key, w->n_components);
	if (r < 0)
		return r;
	*ret = w->n_components++;
	c = &w->components[*ret];
	*c = (struct watch_component){0};
	snprintf(c->name, sizeof(c->name), "%s", name);
	norm_init(&c->norm);
	return 0;
}

static struct chain *add_chain(struct watch *w, struct watch_host *h, size_t component)
{
	struct chain *c;

	if (w->n_chains >= WATCH_MAX_CHAINS ||
		array_reserve(&h->chains, &h->cap_chains, h->n_chains + 1, sizeof(struct chain *),
			WATCH_MAX_CHAINS) < 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	track_init(&c->track);
	c->component = component;
	snprintf(c->row.host, sizeof(c->row.host), "%s", h->name);
	snprintf(c->row.component, sizeof(c->row.component), "%s", w->components[component].name);
	h->chains[h->n_chains++] = c;
	w->n_chains++;
	return c;
}

static struct chain *chain_of_process(const struct watch_host *h, uint64_t entity_id)
{
	uint64_t i;

	return map_get(&h->by_process, entity_id, &i) ? h->chains[i] : NULL;
}

static int index_chains(struct watch_host *h)
{
	int r = 0;

	map_clear(&h->by_process);
	for (size_t i = 0; i < h->n_chains && r == 0; i++)
		if (h->chains[i]->row.entity_id)
			r = map_put(&h->by_process, h->chains[i]->row.entity_id, i);
	return r;
}

/* The chain of the latest one that ended before this process began; NULL: it is the first. `idle`
 * are those that nobody has. */
static struct chain *chain_to_continue(const struct watch *w, struct chain *const *idle, size_t n,
	size_t component, const struct watched *e)
{
	struct chain *best = NULL;

	for (size_t i = 0; i < n; i++) {
		struct chain *c = idle[i];

		if (!c->bound && c->component == component &&
			c->row.last_seen_ns < e->first_seen_ns &&
			e->first_seen_ns - c->row.last_seen_ns <=
				WATCH_RESTART_HOURS * w->hour_ns &&
			(!best || c->row.last_seen_ns > best->row.last_seen_ns))
			best = c;
	}
	return best;
}

struct chain *watch_find(const struct watch *w, const char *host, uint64_t entity_id)
{
	const struct watch_host *h = find_host(w, host);
	uint64_t i;

	if (!h)
		return NULL;
	if (map_get(&h->by_entity, entity_id, &i) && h->v[i].chain)
		return h->v[i].chain;
	return chain_of_process(h, entity_id);
}

/* -- hours --------------------------------------------------------------------------------- */

/* What one hour does to a chain; also when it is replayed. */
static void chain_add(struct chain *c, const struct store_hour *h, struct norm *norm)
{
	const struct track_rules *rules = &track_rules_default;
	uint64_t missing = c->row.hour ? h->hour - c->row.hour - 1 : 0;

	if (c->row.hour && h->hour <= c->row.hour)
		return;
	if (missing > WATCH_GAP_HOURS) {
		track_done(&c->track);
		track_init(&c->track);
		missing = 0;
	}
	/* Out of memory costs the picture of an hour, not the judgement. */
	for (; missing > 0; missing--)
		(void)!track_add(&c->track, rules, norm, (double)NAN, (double)NAN);
	if (h->entity_id != c->row.entity_id || !c->track.hours) {
		if (c->track.hours)
			track_restart(&c->track, rules, norm);
		c->track.born = h->born;
	}
	(void)!track_add(&c->track, rules, norm, h->bytes, h->load);
	c->row.hour = h->hour;
	c->row.entity_id = h->entity_id;
	c->row.last_seen_ns = h->last_seen_ns;
	c->limit_bytes = h->limit_bytes;
}

/* What is written when an hour ends, and done when it has been. */
struct closing {
	struct watched **processes;
	struct store_chain **rows;
	struct chain **chains;
	struct store_hour *hours;
	size_t n;
	struct store_learnt *learnt;
	size_t *components; /* of learnt */
	size_t n_learnt;
	struct buf states;
};

static void closing_done(struct closing *c)
{
	free(c->processes);
	free(c->rows);
	free(c->chains);
	free(c->hours);
	free(c->learnt);
	free(c->components);
	buf_done(&c->states);
}

static int closing_init(struct closing *c, size_t n)
{
	*c = (struct closing){.states = BUF_INIT(STATES_BYTES)};
	n = n ? n : 1;
	c->processes = calloc(n, sizeof(struct watched *));
	c->rows = calloc(n, sizeof(struct store_chain *));
	c->chains = calloc(n, sizeof(struct chain *));
	c->hours = calloc(n, sizeof(*c->hours));
	c->learnt = calloc(n, sizeof(*c->learnt));
	c->components = calloc(n, sizeof(*c->components));
	return c->processes && c->rows && c->chains && c->hours && c->learnt && c->components
		? 0
		: -ENOMEM;
}

/* Processor seconds in this hour; NAN where it is not known what they were at its beginning. */
static double load_of(const struct watched *e, const struct chain *c, uint64_t hour)
{
	if (!e->cpu_ns || !c->cpu_ns || c->row.entity_id != e->entity_id ||
		c->row.hour + 1 != hour || e->cpu_ns < c->cpu_ns)
		return NAN;
	return (double)(e->cpu_ns - c->cpu_ns) / 1e9;
}

static void closing_add(struct closing *c, struct watched *e, struct chain *chain, uint64_t hour)
{
	if (chain->closing || chain->row.hour >= hour)
		return; /* of a process that ended in this hour */
	chain->closing = true;
	c->processes[c->n] = e;
	c->chains[c->n] = chain;
	c->rows[c->n] = &chain->row;
	c->hours[c->n++] = (struct store_hour){.hour = hour,
		.entity_id = e->entity_id,
		.last_seen_ns = e->last_seen_ns,
		.bytes = e->least_bytes,
		.load = load_of(e, chain, hour),
		.limit_bytes = e->limit_bytes,
		.born = e->born};
}

/* Those that have a chain. Who was not there at the end leaves it. */
static void collect_known(struct watch_host *h, struct closing *c)
{
	for (size_t i = 0; i < h->n_chains; i++)
		h->chains[i]->closing = false;
	for (size_t i = 0; i < h->n; i++) {
		struct watched *e = &h->v[i];

		if (!e->chain)
			continue;
		if (e->last_seen_ns < h->last_batch_ns)
			e->chain->bound = false;
		if (isnan(e->least_bytes))
			continue;
		closing_add(c, e, e->chain, h->hour);
		/* Who comes next has to know. */
		e->chain->row.last_seen_ns = e->last_seen_ns;
	}
}

/* Those that were alive at the end and have no chain. */
static int collect_new(struct watch *w, struct watch_host *h, struct closing *c)
{
	autofree struct chain **idle = calloc(h->n_chains + 1, sizeof(struct chain *));
	size_t n = 0;

	if (!idle)
		return -ENOMEM;
	for (size_t i = 0; i < h->n_chains; i++)
		if (!h->chains[i]->bound)
			idle[n++] = h->chains[i];
	for (size_t i = 0; i < h->n; i++) {
		struct watched *e = &h->v[i];
		size_t component;

		if (e->chain || isnan(e->least_bytes) || e->last_seen_ns < h->last_batch_ns)
			continue;
		/* What dies within the hour has not even a name here. */
		if (get_component(w, e->name, &component) == 0) {
			e->chain = chain_to_continue(w, idle, n, component, e);
			if (!e->chain)
				e->chain = add_chain(w, h, component);
		}
		if (!e->chain) {
			w->crowded++;
			continue;
		}
		e->chain->bound = true;
		closing_add(c, e, e->chain, h->hour);
	}
	return 0;
}

static int collect_hour(struct watch *w, struct watch_host *h, struct closing *c)
{
	int r;

	collect_known(h, c);
	r = collect_new(w, h, c);
	if (r < 0)
		return r;
	return array_reserve(&w->due, &w->cap_due, w->n_due + c->n, sizeof(struct chain *),
		2 * (size_t)WATCH_MAX_CHAINS);
}

/* The states whose turn it is: as they are before this hour. */
static int collect_states(struct closing *c, uint64_t every)
{
	autofree size_t *at = calloc(c->n + 1, sizeof(*at));
	int r = at ? 0 : -ENOMEM;

	for (size_t i = 0; i < c->n && r == 0; i++) {
		struct chain *chain = c->chains[i];
		size_t before = c->states.len;

		chain->row.state = NULL;
		if (!chain->row.id || !chain->track.hours ||
			(chain->row.hour + chain->row.id) % every != 0)
			continue;
		r = track_put(&chain->track, &c->states);
		at[i] = before + 1;
		chain->row.state_bytes = c->states.len - before;
	}
	/* The bytes do not move any more. */
	for (size_t i = 0; i < c->n && r == 0; i++)
		if (at[i])
			c->chains[i]->row.state = c->states.data + at[i] - 1;
	return r;
}

static uint64_t turns(const struct watch *w)
{
	size_t n = 1 + w->n_chains / STATES_AN_HOUR;

	return n < STATES_MAX_HOURS ? n : STATES_MAX_HOURS;
}

static void collect_norms(struct watch *w, struct closing *c, uint64_t hour)
{
	for (size_t i = 0; i < c->n; i++) {
		struct watch_component *k = &w->components[c->chains[i]->component];

		if (k->written_hour >= hour)
			continue;
		k->written_hour = hour;
		c->components[c->n_learnt] = c->chains[i]->component;
		c->learnt[c->n_learnt++] = (struct store_learnt){
			.kind = STORE_NORM, .name = k->name, .v = &k->norm, .n = sizeof(k->norm)};
	}
}

static int reindex(struct watch_host *h)
{
	int r = index_chains(h);

	map_clear(&h->by_entity);
	for (size_t i = 0; i < h->n && r == 0; i++)
		r = map_put(&h->by_entity, h->v[i].entity_id, i);
	return r;
}

/* Who was not there at the end is gone. */
static int begin_hour(struct watch_host *h)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (h->v[i].last_seen_ns < h->last_batch_ns) {
			free(h->v[i].name);
			continue;
		}
		h->v[kept] = h->v[i];
		h->v[kept++].least_bytes = NAN;
	}
	h->n = kept;
	return reindex(h);
}

/* Nothing is changed that matters before the store has said yes, so that it can be tried again. */
static int close_hour(struct watch *w, struct watch_host *h, struct err *err)
{
	struct closing c;
	int r = closing_init(&c, h->n);

	if (r == 0)
		r = collect_hour(w, h, &c);
	if (r == 0)
		r = collect_states(&c, turns(w));
	if (r < 0)
		err_set(err, r, "out of memory at the end of an hour of %s", h->name);
	if (r == 0) {
		collect_norms(w, &c, h->hour);
		r = store_put_hours(w->store, c.rows, c.hours, c.n, c.learnt, c.n_learnt, err);
		for (size_t i = 0; i < c.n_learnt && r < 0; i++)
			w->components[c.components[i]].written_hour = 0;
	}
	for (size_t i = 0; i < c.n; i++)
		c.chains[i]->row.state = NULL;
	for (size_t i = 0; i < c.n && r == 0; i++) {
		chain_add(c.chains[i], &c.hours[i], &w->components[c.chains[i]->component].norm);
		c.chains[i]->cpu_ns = c.processes[i]->cpu_ns;
		w->due[w->n_due++] = c.chains[i];
	}
	closing_done(&c);
	if (r == 0 && (r = begin_hour(h)) < 0)
		err_set(err, r, "out of memory");
	return r;
}

int watch_batch(
	struct watch *w, const char *host, uint64_t unix_ns, uint64_t now_ns, struct err *err)
{
	uint64_t hour = unix_ns / w->hour_ns;
	struct watch_host *h = get_host(w, host);
	int r = 0;

	w->host = NULL;
	if (!h)
		return err_set(err, -ENOMEM, "no room for another host");
	if (unix_ns > now_ns + w->hour_ns) {
		w->early++;
		return 1;
	}
	if (hour < h->hour) {
		w->late++;
		return 1;
	}
	if (h->hour && hour > h->hour)
		r = close_hour(w, h, err);
	if (r < 0)
		return r;
	h->batch_before_ns =
		h->last_batch_ns && unix_ns - h->last_batch_ns <= WATCH_SILENCE_HOURS * w->hour_ns
		? h->last_batch_ns
		: 0;
	if (hour > h->hour || unix_ns > h->last_batch_ns)
		h->last_batch_ns = unix_ns;
	h->hour = hour;
	w->host = h;
	return 0;
}

static struct watched *get_process(struct watch *w, const struct watch_sample *s)
{
	struct watch_host *h = w->host;
	struct watched *e;
	char *name;
	uint64_t i;

	if (map_get(&h->by_entity, s->entity_id, &i))
		return &h->v[i];
	if (array_reserve(&h->v, &h->cap, h->n + 1, sizeof(*h->v), LIMIT_BATCH_ENTITIES) < 0)
		return NULL;
	name = strdup(s->component);
	if (!name || map_put(&h->by_entity, s->entity_id, h->n) < 0) {
		free(name);
		return NULL;
	}
	e = &h->v[h->n++];
	*e = (struct watched){.entity_id = s->entity_id,
		.name = name,
		.first_seen_ns = s->first_seen_ns,
		.least_bytes = NAN,
		.born = h->batch_before_ns && s->first_seen_ns > h->batch_before_ns,
		.chain = chain_of_process(h, s->entity_id)};
	if (e->chain)
		e->chain->bound = true;
	return e;
}

/* A name may become known, or change with exec: then it is another component, and its chain is for
 * others to go on with. */
static int rename_process(const struct watch *w, struct watched *e, const char *component)
{
	const char *known = e->chain ? w->components[e->chain->component].name : e->name;
	char *name;

	if (strncmp(known, component, sizeof(w->components->name) - 1) == 0)
		return 0;
	name = strdup(component);
	if (!name)
		return -ENOMEM;
	free(e->name);
	e->name = name;
	if (e->chain) {
		e->chain->bound = false;
		e->chain = NULL;
		e->born = false; /* as what it is now it may have been here for long */
	}
	return 0;
}

int watch_see(struct watch *w, const struct watch_sample *s)
{
	struct watched *e = get_process(w, s);
	int r;

	if (!e) {
		w->crowded++;
		return 0;
	}
	r = rename_process(w, e, s->component);
	if (r < 0)
		return r;
	e->least_bytes = fmin(e->least_bytes, (double)s->anon_bytes);
	if (s->unix_ns > e->last_seen_ns)
		e->last_seen_ns = s->unix_ns;
	if (s->cpu_ns)
		e->cpu_ns = s->cpu_ns;
	if (s->limit_bytes)
		e->limit_bytes = (double)s->limit_bytes;
	return 0;
}

struct chain *watch_next_due(struct watch *w)
{
	return w->n_due ? w->due[--w->n_due] : NULL;
}

/* -- a server that starts again ------------------------------------------------------------ */

struct loading {
	struct watch *w;
	struct map by_id;   /* chain's id -> pointer */
	struct norm *norms; /* copies: what is replayed has been learnt from already */
};

static int load_norm(void *arg, const char *name, const void *v, size_t n)
{
	struct loading *l = arg;
	size_t i;
	int r = get_component(l->w, name, &i);

	if (r == 0 && n == sizeof(struct norm))
		memcpy(&l->w->components[i].norm, v, n);
	return r == -EMSGSIZE ? 0 : r; /* no room: it is learnt anew, if it is met again */
}

static int load_chain(void *arg, const struct store_chain *row)
{
	struct loading *l = arg;
	struct watch_host *h = get_host(l->w, row->host);
	struct chain *c;
	size_t component;
	int r = h ? get_component(l->w, row->component, &component) : -ENOMEM;

	if (r == -EMSGSIZE) {
		l->w->crowded++;
		return 0;
	}
	if (r < 0)
		return r;
	c = add_chain(l->w, h, component);
	if (!c) {
		l->w->crowded++;
		return 0;
	}
	c->row = *row;
	c->row.state = NULL;
	if (row->state_bytes) {
		r = track_get(row->state, row->state_bytes, &track_rules_default,
			&l->w->components[component].norm, &c->track);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	if (!c->track.hours)
		c->row.hour = 0; /* its first hour comes with the hours */
	else if (h->hour <= row->hour)
		h->hour = row->hour + 1;
	return map_put(&l->by_id, row->id, (uint64_t)(uintptr_t)c);
}

static int load_hour(void *arg, const struct store_hour *row)
{
	struct loading *l = arg;
	struct watch_host *h;
	struct chain *c;
	uint64_t p;

	if (!map_get(&l->by_id, row->chain_id, &p))
		return 0;
	c = (struct chain *)(uintptr_t)p;
	chain_add(c, row, &l->norms[c->component]);
	h = find_host(l->w, c->row.host);
	if (h && h->hour <= row->hour)
		h->hour = row->hour + 1;
	return 0;
}

int watch_load(struct watch *w, struct err *err)
{
	struct loading l = {.w = w, .by_id = MAP_INIT(WATCH_MAX_CHAINS)};
	int r = store_each_learnt(w->store, STORE_NORM, load_norm, &l, err);

	if (r == 0)
		r = store_each_chain(w->store, load_chain, &l, err);
	if (r == 0)
		l.norms = calloc(w->n_components + 1, sizeof(*l.norms));
	if (r == 0 && !l.norms)
		r = err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < w->n_components && l.norms; i++)
		l.norms[i] = w->components[i].norm;
	if (r == 0)
		r = store_each_hour(w->store, load_hour, &l, err);
	for (size_t i = 0; i < w->n_hosts && r == 0; i++)
		if ((r = index_chains(w->hosts[i])) < 0)
			err_set(err, r, "out of memory");
	free(l.norms);
	map_done(&l.by_id);
	return r;
}

static int save_host(struct watch *w, struct watch_host *h, struct err *err)
{
	struct closing c;
	int r = closing_init(&c, h->n_chains);

	for (size_t i = 0; i < h->n_chains && r == 0; i++) {
		if (!h->chains[i]->row.id)
			continue;
		c.chains[c.n] = h->chains[i];
		c.rows[c.n++] = &h->chains[i]->row;
	}
	if (r == 0)
		r = collect_states(&c, 1);
	if (r < 0)
		err_set(err, r, "out of memory for the states of %s", h->name);
	if (r == 0) {
		collect_norms(w, &c, UINT64_MAX);
		r = store_put_hours(w->store, c.rows, c.hours, c.n, c.learnt, c.n_learnt, err);
	}
	for (size_t i = 0; i < c.n; i++)
		c.chains[i]->row.state = NULL;
	closing_done(&c);
	return r;
}

int watch_save(struct watch *w, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < w->n_hosts && r == 0; i++)
		r = save_host(w, w->hosts[i], err);
	return r;
}

/* -- what is known ------------------------------------------------------------------------- */

void watch_judge(const struct watch *w, const struct chain *c, struct detection *ret)
{
	judge_track(&c->track, &track_rules_default, (c->row.hour + 1) * w->hour_ns, w->hour_ns,
		c->limit_bytes, ret);
}

bool watch_has_seen(const struct chain *c, uint64_t bytes)
{
	const struct track *t = &c->track;
	double most = 0;

	if (t->hours < KNOWN_HOURS || (t->lives > 1 && t->rising_lives > 0.8f * t->lives))
		return false;
	for (unsigned l = 0; l < TRACK_LEVELS; l++)
		if (t->looks[l].state == TRACK_RISING || t->looks[l].state == TRACK_LEAKING)
			return false;
	for (uint32_t ago = 0; ago < t->hours && ago < TRACK_MINIMA; ago++)
		most = fmax(most, track_minimum(t, ago));
	return (double)bytes <= NO_LARGER * most;
}

static double mean_minimum(const struct track *t, uint32_t from_ago)
{
	double sum = 0, n = 0;

	for (uint32_t i = 0; i < DAY_PART; i++) {
		double v = track_minimum(t, from_ago + i);

		if (!isnan(v)) {
			sum += v;
			n++;
		}
	}
	return n >= DAY_PART / 2. ? sum / n : NAN;
}

double watch_growth_of_day(const struct watch *w, const struct chain *c)
{
	const struct track *t = &c->track;
	const struct norm *norm = &w->components[c->component].norm;
	float age = (float)t->age, usual;

	if (!c->bound || t->age < DAY_AGE)
		return NAN;
	if (!norm_usual(norm, age - 24, age, &usual)) {
		if (t->age < SETTLED_AGE)
			return NAN;
		usual = 0;
	}
	return mean_minimum(t, 0) - mean_minimum(t, 24) - (double)(usual * t->birth);
}

/* Those that no chain is of any more. */
static int drop_components(struct watch *w)
{
	autofree size_t *to = calloc(w->n_components + 1, sizeof(*to));
	size_t kept = 0;
	int r = 0;

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_hosts; i++)
		for (size_t k = 0; k < w->hosts[i]->n_chains; k++)
			to[w->hosts[i]->chains[k]->component] = 1;
	map_clear(&w->by_component);
	for (size_t i = 0; i < w->n_components && r == 0; i++) {
		const char *name = w->components[i].name;

		if (!to[i])
			continue;
		r = map_put(&w->by_component, hash_bytes(name, strlen(name), 0), kept);
		to[i] = kept;
		if (kept != i)
			w->components[kept] = w->components[i];
		kept++;
	}
	w->n_components = kept;
	for (size_t i = 0; i < w->n_hosts; i++)
		for (size_t k = 0; k < w->hosts[i]->n_chains; k++) {
			struct chain *c = w->hosts[i]->chains[k];

			c->component = to[c->component];
		}
	return r;
}

int watch_forget(struct watch *w, uint64_t now_ns, struct err *err)
{
	autofree uint64_t *ids = calloc(w->n_chains + 1, sizeof(*ids));
	uint64_t now = now_ns / w->hour_ns;
	size_t n = 0;

	if (!ids)
		return err_set(err, -ENOMEM, "out of memory");
	w->n_due = 0; /* nobody asked for them: they may be among those that go */
	for (size_t i = 0; i < w->n_hosts; i++) {
		struct watch_host *h = w->hosts[i];
		size_t kept = 0;

		for (size_t k = 0; k < h->n_chains; k++) {
			struct chain *c = h->chains[k];

			if (c->bound ? now <= c->row.hour + WATCH_GAP_HOURS
				     : h->hour <= c->row.hour + WATCH_RESTART_HOURS + 1 &&
						now <= c->row.hour + WATCH_GAP_HOURS) {
				h->chains[kept++] = c;
				continue;
			}
			if (c->row.id)
				ids[n++] = c->row.id;
			for (size_t e = 0; e < h->n; e++)
				if (h->v[e].chain == c)
					h->v[e].chain = NULL;
			chain_free(c);
			w->n_chains--;
		}
		h->n_chains = kept;
		if (index_chains(h) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	}
	if (w->n_components > WATCH_MAX_COMPONENTS / 2 && drop_components(w) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return n ? store_drop_chains(w->store, ids, n, err) : 0;
}
