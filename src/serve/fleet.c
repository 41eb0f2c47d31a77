#include "serve/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_GONE_HOURS 24u

void fleet_init(struct fleet *f, struct store *store, uint64_t hour_ns)
{
	*f = (struct fleet){
		.store = store, .hour_ns = hour_ns, .index = MAP_INIT(FLEET_MAX_COMPONENTS)};
	pivot_init(&f->pivot);
}

void fleet_done(struct fleet *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].anomaly);
	free(f->v);
	map_done(&f->index);
	pivot_done(&f->pivot);
	f->n = 0;
}

/* NULL: no room. */
static struct fleet_component *get(struct fleet *f, const char *name)
{
	uint64_t key = hash_bytes(name, strlen(name), 0), i;

	if (map_get(&f->index, key, &i))
		return &f->v[i];
	if (array_reserve(&f->v, &f->cap, f->n + 1, sizeof(*f->v), FLEET_MAX_COMPONENTS) < 0 ||
		map_put(&f->index, key, f->n) < 0)
		return NULL;
	memset(&f->v[f->n], 0, sizeof(f->v[f->n])); /* padding is written, too */
	f->v[f->n].key = key;
	snprintf(f->v[f->n].name, sizeof(f->v[f->n].name), "%s", name);
	return &f->v[f->n++];
}

/* -- counting ------------------------------------------------------------------------------ */

static uint64_t version_key(const struct fleet_component *c, const char *version)
{
	return hash_bytes(version, strlen(version), c->key ^ 1);
}

/* One that has not been seen for a day makes room, the longest first; without one the version is
 * not told from the others. Those that are contrasted stay. */
static void note_version(struct fleet_versions *v, const char *name, uint64_t hour)
{
	uint32_t at = v->n, i;

	for (i = 0; i < v->n; i++) {
		if (strcmp(v->v[i].name, name) == 0) {
			v->v[i].last_hour = hour;
			return;
		}
		if (v->v[i].last_hour + VERSION_GONE_HOURS < hour &&
			(v->fresh == v->old || (i != v->fresh && i != v->old)) &&
			(at == v->n || v->v[i].last_hour < v->v[at].last_hour))
			at = i;
	}
	if (v->n < FLEET_VERSIONS)
		at = v->n++;
	else if (at == v->n)
		return;
	memset(&v->v[at], 0, sizeof(v->v[at]));
	v->v[at].first_hour = v->v[at].last_hour = hour;
	snprintf(v->v[at].name, sizeof(v->v[at].name), "%s", name);
}

void fleet_see(struct fleet *f, const char *host, const char *component, const char *version,
	uint64_t age_ns, uint64_t bytes)
{
	struct fleet_component *c = get(f, component);
	uint64_t host_key = hash_bytes(host, strlen(host), 1);

	if (!c || pivot_add(&f->pivot, f->hour, c->key, host_key, bytes) < 0) {
		f->dropped++;
		return;
	}
	if (!version[0])
		return;
	note_version(&c->versions, version, f->hour);
	if (age_ns >= FLEET_WARM_HOURS * f->hour_ns &&
		pivot_add(&f->pivot, f->hour, version_key(c, version), host_key, bytes) < 0)
		f->dropped++;
}

/* -- an hour is over ------------------------------------------------------------------------ */

/* Of the hour that is over; NULL: nobody reported it. The pivot itself starts over with the first
 * sample of an hour, so in silence it still holds an older one. */
static const struct pivot_row *row_of(const struct fleet *f, uint64_t key)
{
	return f->pivot.hour == f->hour ? pivot_find(&f->pivot, key) : NULL;
}

static uint32_t hosts_of(const struct pivot_row *row)
{
	uint32_t n = 0;

	for (unsigned i = 0; row && i < PIVOT_FINE; i++)
		n += row->hosts[i];
	return n;
}

/* The newest version that enough hosts have, against the one before it that most have. */
static void choose_versions(const struct fleet *f, struct fleet_component *c)
{
	struct fleet_versions *v = &c->versions;
	uint32_t fresh = v->n, old = v->n;

	for (uint32_t i = 0; i < v->n; i++) {
		struct fleet_version *x = &v->v[i];

		x->hosts = hosts_of(row_of(f, version_key(c, x->name)));
		if (x->hosts >= CONTRAST_MIN_HOSTS &&
			(fresh == v->n || x->first_hour > v->v[fresh].first_hour))
			fresh = i;
	}
	for (uint32_t i = 0; i < v->n && fresh < v->n; i++)
		if (v->v[i].hosts >= CONTRAST_MIN_HOSTS &&
			v->v[i].first_hour < v->v[fresh].first_hour &&
			(old == v->n || v->v[i].hosts > v->v[old].hosts))
			old = i;
	if (old == v->n)
		return; /* a contrast that paused may go on */
	if (fresh != v->fresh || old != v->old)
		contrast_init(&v->contrast);
	v->fresh = fresh;
	v->old = old;
}

static void judge_versions(const struct fleet *f, struct fleet_component *c)
{
	struct fleet_versions *v = &c->versions;
	const struct pivot_row *fresh, *old;

	c->contrast = (struct contrast_verdict){0};
	choose_versions(f, c);
	if (v->fresh == v->old)
		return;
	fresh = row_of(f, version_key(c, v->v[v->fresh].name));
	old = row_of(f, version_key(c, v->v[v->old].name));
	if (fresh && old)
		(void)!contrast_add(&v->contrast, f->hour, fresh->hosts, old->hosts, &c->contrast);
}

static void judge_component(const struct fleet *f, struct fleet_component *c)
{
	const struct pivot_row *row = row_of(f, c->key);

	c->hosts = hosts_of(row);
	if (!c->anomaly && c->hosts >= ANOMALY_MIN_HOSTS) {
		c->anomaly = malloc(sizeof(*c->anomaly));
		if (c->anomaly)
			anomaly_init(c->anomaly);
	}
	c->verdict = (struct anomaly_verdict){.outcome = ANOMALY_FEW_HOSTS, .hosts = c->hosts};
	if (!c->anomaly)
		return;
	/* A clock that was set back: the hours until it has caught up count for nothing. */
	(void)!anomaly_add(c->anomaly, f->hour, row, c->hosts, &c->verdict);
	judge_versions(f, c);
	c->due = true;
}

static int write_hour(const struct fleet *f, struct err *err)
{
	autofree struct store_learnt *l = calloc(2 * f->n + 1, sizeof(*l));
	size_t n = 0;

	if (!l)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < f->n; i++) {
		const struct fleet_component *c = &f->v[i];

		if (!c->anomaly)
			continue;
		l[n++] = (struct store_learnt){
			STORE_ANOMALY, c->name, c->anomaly, sizeof(*c->anomaly)};
		l[n++] = (struct store_learnt){
			STORE_VERSIONS, c->name, &c->versions, sizeof(c->versions)};
	}
	return n ? store_put_hours(f->store, NULL, NULL, 0, l, n, err) : 0;
}

/* Components that never were on many hosts, and were on none in this hour, make room. */
static int drop_components(struct fleet *f)
{
	size_t kept = 0;
	int r = 0;

	map_clear(&f->index);
	for (size_t i = 0; i < f->n && r == 0; i++) {
		if (!f->v[i].anomaly && !f->v[i].hosts)
			continue;
		if (kept != i)
			f->v[kept] = f->v[i];
		r = map_put(&f->index, f->v[kept].key, kept);
		kept++;
	}
	f->n = kept;
	return r;
}

int fleet_time(struct fleet *f, uint64_t now_ns, struct err *err)
{
	uint64_t hour = now_ns / f->hour_ns;
	int r;

	if (f->hour == 0)
		f->hour = hour;
	if (hour <= f->hour)
		return 0;
	for (size_t i = 0; i < f->n; i++)
		judge_component(f, &f->v[i]);
	r = write_hour(f, err);
	f->hour = hour;
	f->next_due = 0;
	if (f->n > FLEET_MAX_COMPONENTS / 2 && drop_components(f) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return r;
}

struct fleet_component *fleet_next_due(struct fleet *f)
{
	while (f->next_due < f->n) {
		struct fleet_component *c = &f->v[f->next_due++];

		if (c->due) {
			c->due = false;
			return c;
		}
	}
	return NULL;
}

bool fleet_contrasted(const struct fleet_component *c, const char **ret_fresh, const char **ret_old)
{
	const struct fleet_versions *v = &c->versions;

	*ret_fresh = v->v[v->fresh].name;
	*ret_old = v->v[v->old].name;
	return v->fresh != v->old && c->contrast.outcome != CONTRAST_FEW_HOSTS;
}

/* -- a server that starts again ------------------------------------------------------------ */

static int load_anomaly(void *arg, const char *name, const void *v, size_t n)
{
	struct fleet_component *c = get(arg, name);
	struct anomaly *a;

	if (!c || n != sizeof(*a) || c->anomaly)
		return 0; /* another build's: learnt anew */
	a = malloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	memcpy(a, v, sizeof(*a));
	if (anomaly_valid(a))
		c->anomaly = a;
	else
		free(a);
	return 0;
}

static int load_versions(void *arg, const char *name, const void *v, size_t n)
{
	struct fleet_component *c = get(arg, name);
	struct fleet_versions *to;

	if (!c || n != sizeof(*to))
		return 0;
	to = &c->versions;
	memcpy(to, v, sizeof(*to));
	if (to->n > FLEET_VERSIONS || to->fresh >= FLEET_VERSIONS || to->old >= FLEET_VERSIONS)
		memset(to, 0, sizeof(*to));
	for (uint32_t i = 0; i < FLEET_VERSIONS; i++)
		to->v[i].name[sizeof(to->v[i].name) - 1] = 0;
	return 0;
}

int fleet_load(struct fleet *f, struct err *err)
{
	int r = store_each_learnt(f->store, STORE_ANOMALY, load_anomaly, f, err);

	return r < 0 ? r : store_each_learnt(f->store, STORE_VERSIONS, load_versions, f, err);
}
