#include "cmd/detect.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/units.h"
#include "cmd/say.h"

#define MAX_NAMES (1u << 22)

void detect_init(struct detect *d, const struct detect_options *o)
{
	*d = (struct detect){.o = *o, .name_index = MAP_INIT(MAX_NAMES)};
	history_init(&d->history, o->hour_ns);
}

void detect_done(struct detect *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++)
		track_done(&d->v[i].track);
	free(d->v);
	free(d->norms);
	for (size_t i = 0; i < d->n_names; i++)
		free(d->names[i]);
	free(d->names);
	free(d->translate);
	map_done(&d->name_index);
	history_done(&d->history);
	table_free(d->table);
}

const char *detect_name(const struct detect *d, uint32_t id)
{
	return id < d->n_names && d->names[id][0] ? d->names[id] : "-";
}

/* -- reading ------------------------------------------------------------------------------- */

/* The id of a name over all inputs: each table counts its own. */
static int name_id(struct detect *d, uint32_t in_table, uint32_t *ret)
{
	const char *text;
	uint64_t key, id;
	int r;

	while (d->n_translate <= in_table) {
		r = array_reserve(&d->translate, &d->cap_translate, d->n_translate + 1,
			sizeof(*d->translate), MAX_NAMES);
		if (r < 0)
			return r;
		d->translate[d->n_translate++] = UINT32_MAX;
	}
	if (d->translate[in_table] == UINT32_MAX) {
		text = table_string(d->table, in_table);
		key = hash_bytes(text, strlen(text), 7);
		if (!map_get(&d->name_index, key, &id)) {
			r = array_reserve(&d->names, &d->cap_names, d->n_names + 1,
				sizeof(*d->names), MAX_NAMES);
			if (r == 0)
				r = map_put(&d->name_index, key, d->n_names);
			if (r < 0)
				return r;
			d->names[d->n_names] = strdup(text);
			if (!d->names[d->n_names])
				return -ENOMEM;
			id = d->n_names++;
		}
		d->translate[in_table] = (uint32_t)id;
	}
	*ret = d->translate[in_table];
	return 0;
}

static float load_of(const struct detect *d, const struct table_row *row)
{
	if (!d->o.any_load)
		return row->load[d->o.load];
	for (unsigned i = 0; i < TABLE_LOADS; i++)
		if (!isnan(row->load[i]))
			return row->load[i];
	return NAN;
}

static int take_row(void *arg, const struct table_row *row, struct err *err)
{
	struct detect *d = arg;
	struct history_sample s = {.unix_ns = row->unix_ns,
		.bytes = row->bytes,
		.limit_bytes = row->limit_bytes,
		.load = load_of(d, row)};
	int r = name_id(d, row->host, &s.host);

	if (r == 0)
		r = name_id(d, row->component, &s.component);
	if (r == 0)
		r = name_id(d, row->process, &s.process);
	if (r == 0)
		r = name_id(d, row->version, &s.version);
	if (r < 0)
		return err_set(err, r, "out of memory for names");
	d->rows++;
	return history_add(&d->history, &s, err);
}

int detect_begin(struct detect *d, struct err *err)
{
	struct table_opts o = {.format = d->o.format,
		.time_column = d->o.time_column,
		.values = d->o.values,
		.row = take_row,
		.arg = d};

	table_free(d->table);
	d->table = NULL;
	d->n_translate = 0;
	return table_new(&o, &d->table, err);
}

int detect_feed(struct detect *d, const void *data, size_t n, struct err *err)
{
	return table_feed(d->table, data, n, err);
}

int detect_end(struct detect *d, const char *name, struct err *err)
{
	const struct table_counts *c;
	const struct table_bad *bad;
	int r = table_end(d->table, err);

	if (r < 0)
		return r;
	c = table_counts(d->table);
	d->skipped += c->skipped;
	if (r == TABLE_EMPTY)
		say_warning("%s: nothing in it", name);
	for (size_t i = 0; (bad = table_bad(d->table, i)); i++) {
		char text[TABLE_BAD_TEXT_MAX];

		say_warning("%s: %s", name, table_bad_text(bad, text));
	}
	if (c->skipped > TABLE_BAD_KEPT)
		say_warning("%s: %llu rows skipped in all", name, (unsigned long long)c->skipped);
	return 0;
}

/* Something is said on a terminal only, after two seconds, and then every second. */
static bool progress_due(struct detect *d)
{
	uint64_t now = clock_mono_ns(&clock_system);

	if (d->next_progress_ns == 0)
		d->next_progress_ns = now + 2 * NSEC_PER_SEC;
	if (now < d->next_progress_ns || !isatty(STDERR_FILENO))
		return false;
	d->next_progress_ns = now + NSEC_PER_SEC;
	return true;
}

int detect_read(struct detect *d, FILE *in, const char *name, struct err *err)
{
	char block[1 << 16];
	char size[UNITS_BYTES_MAX];
	uint64_t bytes = 0;
	size_t n;
	int r = detect_begin(d, err);

	while (r == 0 && (n = fread(block, 1, sizeof(block), in)) > 0) {
		r = detect_feed(d, block, n, err);
		bytes += n;
		if (progress_due(d))
			say_info("%s: %s read, %llu samples of %zu processes", name,
				units_bytes(bytes, size), (unsigned long long)d->rows,
				d->history.n);
	}
	if (r == 0 && ferror(in))
		return err_set(err, -EIO, "%s: cannot be read", name);
	if (r == 0)
		r = detect_end(d, name, err);
	if (r < 0)
		err_wrap(err, "%s", name);
	return r;
}

/* -- judging ------------------------------------------------------------------------------- */

/* A chain of lives on its way through time. */
struct walk {
	struct detected *v;
	const struct history_entity *life;
	uint64_t next_hour;
	bool over;
};

/* Goes on to the life that holds `hour`; false once the chain is over. Lives that began and ended
 * within one hour are passed over: they have nothing to say. */
static bool enter_life(const struct detect *d, struct walk *w, uint64_t hour, struct norm *norm)
{
	bool new = false;

	while (w->life->next_life != SIZE_MAX) {
		const struct history_entity *next = &d->history.entities[w->life->next_life];

		if (hour < next->first_hour)
			break;
		w->life = next;
		w->v->lives++;
		if (next->limit_bytes)
			w->v->limit_bytes = (double)next->limit_bytes;
		new = true;
	}
	if (new) {
		track_restart(&w->v->track, &track_rules_default, norm);
		w->v->process = w->life->process;
		w->v->version = w->life->version;
	}
	return hour < w->life->first_hour + w->life->n || w->life->next_life != SIZE_MAX;
}

static int walk_hour(const struct detect *d, struct walk *w, uint64_t hour, struct norm *norm,
	detect_watch *watch, void *arg)
{
	const struct history_cell *c = NULL;
	int r;

	if (!enter_life(d, w, hour, norm)) {
		w->over = true;
		return 0;
	}
	if (hour >= w->life->first_hour && hour < w->life->first_hour + w->life->n)
		c = &w->life->cells[hour - w->life->first_hour];
	r = track_add(&w->v->track, &track_rules_default, norm, c ? c->least_bytes : NAN,
		c && c->n_load ? c->load_sum / c->n_load : NAN);
	w->next_hour = hour + 1;
	w->v->end_ns = (hour + 1) * d->history.hour_ns;
	if (watch)
		watch(arg, w->v, w->v->end_ns);
	return r;
}

static int by_component_and_start(const void *a, const void *b)
{
	const struct walk *x = a, *y = b;

	if (x->v->component != y->v->component)
		return x->v->component < y->v->component ? -1 : 1;
	if (x->next_hour != y->next_hour)
		return x->next_hour < y->next_hour ? -1 : 1;
	return (x->v > y->v) - (x->v < y->v);
}

static int by_urgency(const void *a, const void *b)
{
	const struct detection *x = &((const struct detected *)a)->d;
	const struct detection *y = &((const struct detected *)b)->d;

	if (x->verdict != y->verdict)
		return x->verdict > y->verdict ? -1 : 1;
	return (x->severity < y->severity) - (x->severity > y->severity);
}

/* `w` is in order of start. Only those under way cost anything: they are kept at the front. */
static int judge_component(const struct detect *d, struct walk *w, size_t n, detect_watch *watch,
	void *arg, struct err *err)
{
	size_t over = 0, started = 0, ended = 0;
	struct norm norm;
	uint64_t hour = 0;

	norm_init(&norm);
	while (over < n) {
		if (over == started) /* nobody is under way: on to the next start */
			hour = w[started].next_hour;
		while (started < n && w[started].next_hour <= hour)
			started++;
		for (size_t i = over; i < started; i++) {
			int r = walk_hour(d, &w[i], hour, &norm, watch, arg);

			if (r < 0)
				return err_set(err, r, "out of memory while judging");
		}
		/* The others keep their order, and move up to those that have not started. */
		for (size_t i = started, to = started; i-- > over;)
			if (!w[i].over)
				w[--to] = w[i];
			else
				ended++;
		over += ended;
		ended = 0;
		hour++;
	}
	return 0;
}

/* The first hour of each host, by name: who was there then may have been there before. */
static uint64_t *first_hours(const struct detect *d)
{
	uint64_t *first = malloc((d->n_names + 1) * sizeof(*first));

	for (size_t i = 0; first && i < d->n_names; i++)
		first[i] = UINT64_MAX;
	for (size_t i = 0; first && i < d->history.n; i++) {
		const struct history_entity *e = &d->history.entities[i];

		if (e->first_hour < first[e->host])
			first[e->host] = e->first_hour;
	}
	return first;
}

static int start_walks(struct detect *d, struct walk *w)
{
	autofree uint64_t *first = first_hours(d);
	size_t n = 0;

	if (!first)
		return -ENOMEM;
	for (size_t i = 0; i < d->history.n; i++) {
		const struct history_entity *e = &d->history.entities[i];
		struct detected *v = &d->v[n];

		if (e->is_later_life)
			continue;
		*v = (struct detected){.host = e->host,
			.component = e->component,
			.process = e->process,
			.version = e->version,
			.limit_bytes = (double)e->limit_bytes,
			.lives = 1};
		track_init(&v->track);
		v->track.born = e->first_hour > first[e->host];
		w[n] = (struct walk){.v = v, .life = e, .next_hour = e->first_hour};
		n++;
	}
	d->n = n;
	return 0;
}

int detect_judge(struct detect *d, detect_watch *watch, void *arg, struct err *err)
{
	struct walk *w;
	int r = history_join(&d->history, err);

	if (r < 0)
		return r;
	w = calloc(d->history.n ? d->history.n : 1, sizeof(*w));
	d->v = calloc(d->history.n ? d->history.n : 1, sizeof(*d->v));
	if (!w || !d->v || start_walks(d, w) < 0) {
		free(w);
		return err_set(err, -ENOMEM, "out of memory for %zu entities", d->history.n);
	}
	qsort(w, d->n, sizeof(*w), by_component_and_start);
	for (size_t i = 0, end; r == 0 && i < d->n; i = end) {
		for (end = i; end < d->n && w[end].v->component == w[i].v->component; end++)
			continue;
		r = judge_component(d, w + i, end - i, watch, arg, err);
		if (progress_due(d))
			say_info("%zu of %zu entities judged", end, d->n);
	}
	free(w);
	if (r < 0)
		return r;
	for (size_t i = 0; i < d->n; i++)
		judge_track(&d->v[i].track, &track_rules_default, d->v[i].end_ns,
			d->history.hour_ns, d->v[i].limit_bytes, &d->v[i].d);
	qsort(d->v, d->n, sizeof(*d->v), by_urgency);
	return 0;
}
