#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "wire/messages.h"

enum {
	F_VERSION = 1,
	F_HOST = 2,
	F_BOOT_ID = 3,
	F_SEQ = 4,
	F_UNIX_NS = 5,
	F_PERIOD_NS = 6,
	F_PACE = 7,
	F_DROPPED = 8,
	F_STRING = 10,
	F_METRIC = 11,
	F_KIND = 20,
	F_PID = 21,
	F_PPID = 22,
	F_START = 23,
	F_COMPONENT = 24,
	F_BUILD = 25,
	F_PRESENT = 26,
	F_VALUES = 30, /* once per metric, in the order of the table */
};

static int intern(struct map *index, struct buf *out, const char *s, uint64_t *ret)
{
	uint64_t key = hash_bytes(s, strlen(s), 0);
	int r;

	if (map_get(index, key, ret))
		return 0;
	*ret = index->len;
	r = map_put(index, key, *ret);
	return r < 0 ? r : pb_put_string(out, F_STRING, s);
}

static int put_strings(
	const struct batch *b, struct buf *out, uint64_t *component, uint64_t *version)
{
	struct map index = MAP_INIT(LIMIT_BATCH_STRINGS);
	int r = 0;

	for (size_t i = 0; i < b->n_samples && r == 0; i++) {
		r = intern(&index, out, b->samples[i].component, &component[i]);
		if (r == 0)
			r = intern(&index, out, b->samples[i].version, &version[i]);
	}
	map_done(&index);
	return r;
}

static uint64_t column_value(const struct sample *s, uint32_t field)
{
	switch (field) {
	case F_KIND:
		return s->kind;
	case F_PID:
		return s->pid;
	case F_PPID:
		return s->ppid;
	case F_START:
		return s->start_ticks;
	case F_PRESENT:
		return s->present;
	default:
		return 0;
	}
}

int wire_encode_batch(const struct batch *b, struct buf *out, struct err *err)
{
	static const uint32_t columns[] = {F_KIND, F_PID, F_PPID, F_START, F_PRESENT};
	size_t n = b->n_samples;
	autofree uint64_t *scratch = reallocarray(NULL, n ? n : 1, 3 * sizeof(*scratch));
	uint64_t *component, *version;
	int r;

	if (!scratch)
		return err_set(err, -ENOMEM, "out of memory");
	component = scratch + n;
	version = scratch + 2 * n;
	if ((r = pb_put_u64(out, F_VERSION, WIRE_VERSION)) < 0 ||
		(r = pb_put_string(out, F_HOST, b->host)) < 0 ||
		(r = pb_put_string(out, F_BOOT_ID, b->boot_id)) < 0 ||
		(r = pb_put_u64(out, F_SEQ, b->seq)) < 0 ||
		(r = pb_put_u64(out, F_UNIX_NS, b->unix_ns)) < 0 ||
		(r = pb_put_u64(out, F_PERIOD_NS, b->period_ns)) < 0 ||
		(r = pb_put_u64(out, F_PACE, b->pace)) < 0 ||
		(r = pb_put_u64(out, F_DROPPED, b->dropped)) < 0 ||
		(r = put_strings(b, out, component, version)) < 0)
		return err_set(err, r, "the batch is too large");
	for (int m = 0; m < METRIC_MAX_ && r == 0; m++)
		r = pb_put_string(out, F_METRIC, metric_name((enum metric)m));
	for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]) && r == 0; c++) {
		for (size_t i = 0; i < n; i++)
			scratch[i] = column_value(&b->samples[i], columns[c]);
		r = pb_put_column(out, columns[c], scratch, n);
	}
	if (r == 0)
		r = pb_put_column(out, F_COMPONENT, component, n);
	if (r == 0)
		r = pb_put_column(out, F_BUILD, version, n);
	for (int m = 0; m < METRIC_MAX_ && r == 0; m++) {
		for (size_t i = 0; i < n; i++)
			scratch[i] = b->samples[i].values[m];
		r = pb_put_column(out, F_VALUES, scratch, n);
	}
	return r < 0 ? err_set(err, r, "the batch is too large") : 0;
}

struct decoder {
	struct batch *b;
	struct arena *a;
	const char **strings;
	size_t n_strings, cap_strings;
	int metric[LIMIT_BATCH_METRICS]; /* ours, or -1 */
	size_t n_metrics, n_values;
	struct pb columns[F_PRESENT + 1];
	bool have[F_PRESENT + 1];
	struct pb values[LIMIT_BATCH_METRICS];
	uint64_t version;
};

static int take_envelope(struct decoder *d, const struct pb_field *f)
{
	struct batch *b = d->b;
	enum metric m;
	char name[64];
	int r;

	if ((f->number == F_VERSION || (f->number >= F_SEQ && f->number <= F_DROPPED)) &&
		f->type != PB_VARINT)
		return -EBADMSG;
	switch (f->number) {
	case F_VERSION:
		d->version = f->value;
		return 0;
	case F_HOST:
		return pb_string_into(f, b->host, sizeof(b->host));
	case F_BOOT_ID:
		return pb_string_into(f, b->boot_id, sizeof(b->boot_id));
	case F_SEQ:
		b->seq = f->value;
		return 0;
	case F_UNIX_NS:
		b->unix_ns = f->value;
		return 0;
	case F_PERIOD_NS:
		b->period_ns = f->value;
		return 0;
	case F_PACE:
		b->pace = f->value;
		return 0;
	case F_DROPPED:
		b->dropped = f->value;
		return 0;
	case F_METRIC:
		if (d->n_metrics == LIMIT_BATCH_METRICS)
			return -EMSGSIZE;
		r = pb_string_into(f, name, sizeof(name));
		if (r < 0)
			return r;
		d->metric[d->n_metrics++] = metric_from_name(name, &m) ? (int)m : -1;
		return 0;
	default:
		return 0;
	}
}

static int take_field(struct decoder *d, const struct pb_field *f)
{
	int r;

	if (f->number == F_STRING) {
		r = array_reserve(&d->strings, &d->cap_strings, d->n_strings + 1,
			sizeof(*d->strings), LIMIT_BATCH_STRINGS);
		if (r == 0)
			r = pb_string(f, d->a, &d->strings[d->n_strings]);
		d->n_strings += r == 0;
		return r;
	}
	if (f->number >= F_KIND && f->number <= F_PRESENT) {
		if (f->type != PB_BYTES || d->have[f->number])
			return -EBADMSG;
		d->have[f->number] = true;
		d->columns[f->number] = f->bytes;
		return 0;
	}
	if (f->number == F_VALUES) {
		if (f->type != PB_BYTES || d->n_values == LIMIT_BATCH_METRICS)
			return -EBADMSG;
		d->values[d->n_values++] = f->bytes;
		return 0;
	}
	return take_envelope(d, f);
}

static int fill_sample(struct decoder *d, struct sample *s)
{
	uint64_t v[F_PRESENT + 1], present;

	for (int c = F_KIND; c <= F_PRESENT; c++)
		if (pb_varint(&d->columns[c], &v[c]) != 1)
			return -EBADMSG;
	if (v[F_KIND] >= ENTITY_KIND_MAX_ || v[F_PID] > UINT32_MAX || v[F_PPID] > UINT32_MAX ||
		v[F_COMPONENT] >= d->n_strings || v[F_BUILD] >= d->n_strings)
		return -EBADMSG;
	s->kind = (enum entity_kind)v[F_KIND];
	s->pid = (uint32_t)v[F_PID];
	s->ppid = (uint32_t)v[F_PPID];
	s->start_ticks = v[F_START];
	s->component = d->strings[v[F_COMPONENT]];
	s->version = d->strings[v[F_BUILD]];
	present = v[F_PRESENT];
	for (size_t m = 0; m < d->n_metrics; m++) {
		uint64_t value;

		if (pb_varint(&d->values[m], &value) != 1)
			return -EBADMSG;
		if (d->metric[m] < 0 || (m < 64 && !(present >> m & 1)))
			continue;
		s->values[d->metric[m]] = value;
		s->present |= 1u << d->metric[m];
	}
	return 0;
}

static int decode(struct decoder *d, struct pb in)
{
	struct pb_field f;
	size_t n = 0;
	struct pb count;
	uint64_t v;
	int r;

	while ((r = pb_next(&in, &f)) == 1) {
		r = take_field(d, &f);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (d->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (!d->b->host[0] || !d->b->boot_id[0] || d->b->seq == 0 || d->b->pace == 0 ||
		d->n_values != d->n_metrics)
		return -EBADMSG;
	for (count = d->columns[F_PID]; (r = pb_varint(&count, &v)) == 1;)
		n++;
	if (r < 0)
		return r;
	if (n > LIMIT_BATCH_ENTITIES)
		return -EMSGSIZE;
	d->b->samples = arena_array(d->a, n, sizeof(*d->b->samples));
	if (!d->b->samples)
		return -ENOMEM;
	d->b->n_samples = n;
	for (size_t i = 0; i < n; i++) {
		r = fill_sample(d, &d->b->samples[i]);
		if (r < 0)
			return r;
	}
	for (int c = F_KIND; c <= F_PRESENT; c++)
		if (pb_len(&d->columns[c]))
			return -EBADMSG;
	for (size_t m = 0; m < d->n_values; m++)
		if (pb_len(&d->values[m]))
			return -EBADMSG;
	return 0;
}

int wire_decode_batch(const void *p, size_t n, struct arena *a, struct batch *ret, struct err *err)
{
	struct decoder *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_set(err, -ENOMEM, "out of memory");
	*ret = (struct batch){0};
	d->b = ret;
	d->a = a;
	r = decode(d, pb_of(p, n));
	free(d->strings);
	free(d);
	switch (r) {
	case 0:
		return 0;
	case -EPROTONOSUPPORT:
		return err_set(err, r, "the batch has a wire version other than %u", WIRE_VERSION);
	case -EMSGSIZE:
		return err_set(
			err, r, "the batch exceeds a ceiling (entities, metrics or strings)");
	case -ENOMEM:
		return err_set(err, r, "the batch needs more memory than a message may");
	default:
		return err_set(err, -EBADMSG, "the batch is malformed");
	}
}
