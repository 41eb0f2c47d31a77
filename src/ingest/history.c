#include "ingest/history.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define LOOK_BACK 256u
#define FEW_SAMPLES 8u

void history_init(struct history *h, uint64_t hour_ns)
{
	*h = (struct history){.hour_ns = hour_ns, .index = MAP_INIT(HISTORY_MAX_ENTITIES)};
}

void history_done(struct history *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n; i++)
		free(h->entities[i].cells);
	free(h->entities);
	map_done(&h->index);
	*h = (struct history){.hour_ns = h->hour_ns};
}

/* NULL without an error: there are too many. */
static int find(struct history *h, const struct history_sample *s, uint64_t hour,
	struct history_entity **ret)
{
	uint64_t key = hash_u64(s->process, hash_u64(s->component, hash_u64(s->host, 1))), i;
	int r;

	*ret = NULL;
	/* The ids are dense and few; a collision of 64 bits would merge two of a million with
	 * probability 3e-8. */
	if (map_get(&h->index, key, &i)) {
		*ret = &h->entities[i];
		return 0;
	}
	if (h->n >= HISTORY_MAX_ENTITIES)
		return 0;
	r = array_reserve(
		&h->entities, &h->cap, h->n + 1, sizeof(*h->entities), HISTORY_MAX_ENTITIES);
	if (r == 0)
		r = map_put(&h->index, key, h->n);
	if (r < 0)
		return r;
	*ret = &h->entities[h->n++];
	**ret = (struct history_entity){.host = s->host,
		.component = s->component,
		.process = s->process,
		.version = s->version,
		.first_hour = hour,
		.next_life = SIZE_MAX};
	return 0;
}

enum { TOO_FAR = 1, CROWDED };

/* Room for one hour, before or behind what is there; or TOO_FAR, CROWDED. */
static int reach(struct history *h, struct history_entity *e, uint64_t hour)
{
	uint64_t first = hour < e->first_hour ? hour : e->first_hour;
	uint64_t end = hour >= e->first_hour + e->n ? hour + 1 : e->first_hour + e->n;
	size_t n = (size_t)(end - first), shift = (size_t)(e->first_hour - first);
	int r;

	if (end - first > HISTORY_MAX_HOURS)
		return TOO_FAR;
	if (h->cells + n - e->n > HISTORY_MAX_CELLS)
		return CROWDED;
	r = array_reserve(&e->cells, &e->cap, n, sizeof(*e->cells), HISTORY_MAX_HOURS);
	if (r < 0)
		return r;
	if (e->n > 0)
		memmove(e->cells + shift, e->cells, e->n * sizeof(*e->cells));
	for (size_t i = 0; i < n; i++)
		if (i < shift || i >= shift + e->n)
			e->cells[i] = (struct history_cell){.least_bytes = NAN};
	h->cells += n - e->n;
	e->first_hour = first;
	e->n = n;
	return 0;
}

/* What was seen so far is counted as too far away; the entity begins at `hour`. */
static void forget(struct history *h, struct history_entity *e, uint64_t hour)
{
	h->too_far += e->samples;
	h->cells -= e->n;
	e->samples = 0;
	e->n = 0;
	e->first_hour = hour;
	e->latest_ns = e->limit_ns = e->limit_bytes = 0;
}

int history_add(struct history *h, const struct history_sample *s, struct err *err)
{
	uint64_t hour = s->unix_ns / h->hour_ns;
	struct history_entity *e;
	struct history_cell *c;
	int r = find(h, s, hour, &e);

	if (r == 0 && !e) {
		h->crowded++;
		return 0;
	}
	if (r == 0 && (hour < e->first_hour || hour >= e->first_hour + e->n))
		r = reach(h, e, hour);
	if (r == TOO_FAR && e->samples <= FEW_SAMPLES) {
		forget(h, e, hour);
		r = reach(h, e, hour);
	}
	if (r < 0)
		return err_set(err, r, "out of memory for the series");
	if (r > 0) {
		*(r == TOO_FAR ? &h->too_far : &h->crowded) += 1;
		return 0;
	}
	c = &e->cells[hour - e->first_hour];
	c->least_bytes = fmin(c->least_bytes, (double)s->bytes); /* fmin prefers what is not NAN */
	if (!isnan(s->load)) {
		c->load_sum += (double)s->load;
		c->n_load++;
	}
	e->samples++;
	if (s->unix_ns >= e->latest_ns) {
		e->latest_ns = s->unix_ns;
		e->version = s->version;
	}
	if (s->limit_bytes && s->unix_ns >= e->limit_ns) {
		e->limit_ns = s->unix_ns;
		e->limit_bytes = s->limit_bytes;
	}
	return 0;
}

static int by_place_and_time(const void *a, const void *b, void *arg)
{
	const struct history *h = arg;
	const struct history_entity *x = &h->entities[*(const size_t *)a];
	const struct history_entity *y = &h->entities[*(const size_t *)b];

	if (x->component != y->component)
		return x->component < y->component ? -1 : 1;
	if (x->host != y->host)
		return x->host < y->host ? -1 : 1;
	if (x->first_hour != y->first_hour)
		return x->first_hour < y->first_hour ? -1 : 1;
	return x->process < y->process ? -1 : x->process > y->process;
}

/* The one that ended last before `e` began, among those from `from` on that nobody goes on from.
 * Looks at the latest LOOK_BACK only: more instances of one component side by side on one host do
 * not restart one for one anyhow. */
static struct history_entity *ended_before(struct history *h, const size_t *order, size_t from,
	size_t to, const struct history_entity *e)
{
	struct history_entity *best = NULL;

	if (to - from > LOOK_BACK)
		from = to - LOOK_BACK;
	for (size_t i = from; i < to; i++) {
		struct history_entity *o = &h->entities[order[i]];
		uint64_t end = o->first_hour + o->n;

		/* The hour in which one ends and the next begins is shared. */
		if (o->next_life != SIZE_MAX || end > e->first_hour + 1 ||
			end + HISTORY_RESTART_HOURS < e->first_hour || o->latest_ns == 0)
			continue;
		if (!best || end > best->first_hour + best->n)
			best = o;
	}
	return best;
}

int history_join(struct history *h, struct err *err)
{
	size_t *order = malloc((h->n ? h->n : 1) * sizeof(*order)), from = 0;

	if (!order)
		return err_set(err, -ENOMEM, "out of memory for the series");
	for (size_t i = 0; i < h->n; i++)
		order[i] = i;
	qsort_r(order, h->n, sizeof(*order), by_place_and_time, h);
	for (size_t i = 0; i < h->n; i++) {
		struct history_entity *e = &h->entities[order[i]], *before;
		const struct history_entity *first = &h->entities[order[from]];

		if (first->component != e->component || first->host != e->host)
			from = i;
		before = ended_before(h, order, from, i, e);
		if (before) {
			before->next_life = order[i];
			e->is_later_life = true;
		}
	}
	free(order);
	return 0;
}
