#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "wire/messages.h"

enum {
	F_VERSION = 1,
	F_BOOT_ID = 2,
	F_PID = 3,
	F_START = 4,
	F_COMPONENT = 5,
	F_EXE = 6,
	F_ORDER = 7,
	F_START_UNIX = 8,
	F_DURATION = 9,
	F_PERIOD = 10,
	F_ANON_START = 11,
	F_ANON_END = 12,
	F_EVENTS = 13,
	F_DROPPED = 14,
	F_PAUSE = 15,
	F_CHECKPOINTS = 16, /* column: ns after the start */
	F_DROPPED_SITES = 17,
	F_STRING = 18,
	F_SITE = 19,
};

enum {
	S_KIND = 1,
	S_LABEL = 2, /* index of a string, as all below */
	S_LIVE_BYTES = 3,
	S_LIVE_COUNT = 4,
	S_ALLOC_BYTES = 5,
	S_ALLOC_COUNT = 6,
	S_SAMPLES = 7,
	S_SURVIVORS = 8,
	S_FIRST_HALF = 9,
	S_FRAMES = 10, /* column: 7 numbers a frame: function, file, module, build-id, offset, line,
			  inlined */
};

#define FRAME_NUMBERS 7u

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

static int put_site(struct buf *strings, struct map *index, struct buf *out, const struct site *s,
	uint32_t n_checkpoints)
{
	autobuf struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES);
	uint64_t frames[LIMIT_FRAMES * FRAME_NUMBERS], label;
	uint32_t n = s->n_frames < LIMIT_FRAMES ? s->n_frames : LIMIT_FRAMES;
	int r = intern(index, strings, s->label ? s->label : "", &label);

	for (uint32_t i = 0; i < n && r == 0; i++) {
		const struct frame *f = &s->frames[i];
		uint64_t *v = frames + (size_t)i * FRAME_NUMBERS;

		if ((r = intern(index, strings, f->function, &v[0])) == 0 &&
			(r = intern(index, strings, f->file, &v[1])) == 0 &&
			(r = intern(index, strings, f->module, &v[2])) == 0)
			r = intern(index, strings, f->build_id, &v[3]);
		v[4] = f->offset;
		v[5] = f->line;
		v[6] = f->inlined;
	}
	if (r < 0 || (r = pb_put_u64(&b, S_KIND, s->kind)) < 0 ||
		(r = pb_put_u64(&b, S_LABEL, label)) < 0 ||
		(r = pb_put_column(&b, S_LIVE_BYTES, s->live_bytes, n_checkpoints)) < 0 ||
		(r = pb_put_column(&b, S_LIVE_COUNT, s->live_count, n_checkpoints)) < 0 ||
		(r = pb_put_u64(&b, S_ALLOC_BYTES, s->allocated_bytes)) < 0 ||
		(r = pb_put_u64(&b, S_ALLOC_COUNT, s->allocated_count)) < 0 ||
		(r = pb_put_u64(&b, S_SAMPLES, s->samples)) < 0 ||
		(r = pb_put_u64(&b, S_SURVIVORS, s->survivors)) < 0 ||
		(r = pb_put_u64(&b, S_FIRST_HALF, s->first_half)) < 0 ||
		(r = pb_put_column(&b, S_FRAMES, frames, (size_t)n * FRAME_NUMBERS)) < 0)
		return r;
	return pb_put_bytes(out, F_SITE, b.data, b.len);
}

static int put_header(const struct profile *p, struct buf *out)
{
	int r;

	if ((r = pb_put_u64(out, F_VERSION, WIRE_VERSION)) == 0 &&
		(r = pb_put_string(out, F_BOOT_ID, p->target.boot_id)) == 0 &&
		(r = pb_put_u64(out, F_PID, p->target.pid)) == 0 &&
		(r = pb_put_u64(out, F_START, p->target.start_ticks)) == 0 &&
		(r = pb_put_string(out, F_COMPONENT, p->component)) == 0 &&
		(r = pb_put_string(out, F_EXE, p->exe)) == 0 &&
		(r = pb_put_u64(out, F_ORDER, p->order_id)) == 0 &&
		(r = pb_put_u64(out, F_START_UNIX, p->start_unix_ns)) == 0 &&
		(r = pb_put_u64(out, F_DURATION, p->duration_ns)) == 0 &&
		(r = pb_put_u64(out, F_PERIOD, p->period_bytes)) == 0 &&
		(r = pb_put_u64(out, F_ANON_START, p->anon_start_bytes)) == 0 &&
		(r = pb_put_u64(out, F_ANON_END, p->anon_end_bytes)) == 0 &&
		(r = pb_put_u64(out, F_EVENTS, p->events)) == 0 &&
		(r = pb_put_u64(out, F_DROPPED, p->dropped)) == 0 &&
		(r = pb_put_u64(out, F_PAUSE, p->pause_ns)) == 0 &&
		(r = pb_put_u64(out, F_DROPPED_SITES, p->dropped_sites)) == 0)
		r = pb_put_column(out, F_CHECKPOINTS, p->checkpoint_ns, p->n_checkpoints);
	return r;
}

int wire_encode_profile(const struct profile *p, struct buf *out, struct err *err)
{
	autobuf struct buf sites = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct map index = MAP_INIT(1u << 18);
	int r = put_header(p, out);

	for (uint32_t i = 0; i < p->n_sites && r == 0; i++)
		r = put_site(out, &index, &sites, &p->sites[i], p->n_checkpoints);
	if (r == 0 && sites.len)
		r = buf_add(out, sites.data, sites.len);
	map_done(&index);
	return r < 0
		? err_set(err, r, "the profile is larger than %u MiB", LIMIT_MESSAGE_BYTES >> 20)
		: 0;
}

struct decoder {
	struct profile *p;
	const char **strings;
	size_t n_strings, cap_strings, cap_sites;
	uint64_t version;
};

/* A column of exactly n values, or (n == SIZE_MAX) however many there are. */
static int take_column(struct arena *a, const struct pb_field *f, size_t n, size_t max,
	uint64_t **ret, size_t *ret_n)
{
	struct pb in = f->bytes, count = f->bytes;
	size_t have = 0;
	uint64_t v, *out;
	int r;

	if (f->type != PB_BYTES)
		return -EBADMSG;
	while ((r = pb_varint(&count, &v)) == 1)
		have++;
	if (r < 0 || have > max || (n != SIZE_MAX && have != n))
		return -EBADMSG;
	out = arena_array(a, have, sizeof(*out));
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < have; i++)
		if (pb_varint(&in, &out[i]) != 1)
			return -EBADMSG;
	*ret = out;
	if (ret_n)
		*ret_n = have;
	return 0;
}

static int take_string(const struct decoder *d, uint64_t index, const char **ret)
{
	if (index >= d->n_strings)
		return -EBADMSG;
	*ret = d->strings[index];
	return 0;
}

static int take_frames(struct decoder *d, const struct pb_field *f, struct site *s)
{
	struct frame *frames;
	uint64_t *v;
	size_t n;
	int r = take_column(&d->p->arena, f, SIZE_MAX, LIMIT_FRAMES * FRAME_NUMBERS, &v, &n);

	if (r < 0)
		return r;
	if (n % FRAME_NUMBERS)
		return -EBADMSG;
	n /= FRAME_NUMBERS;
	frames = arena_array(&d->p->arena, n, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++, v += FRAME_NUMBERS) {
		if ((r = take_string(d, v[0], &frames[i].function)) < 0 ||
			(r = take_string(d, v[1], &frames[i].file)) < 0 ||
			(r = take_string(d, v[2], &frames[i].module)) < 0 ||
			(r = take_string(d, v[3], &frames[i].build_id)) < 0)
			return r;
		frames[i].offset = v[4];
		frames[i].line = v[5] > UINT32_MAX ? 0 : (uint32_t)v[5];
		frames[i].inlined = v[6] != 0;
	}
	s->frames = frames;
	s->n_frames = (uint32_t)n;
	return 0;
}

static int take_site_field(struct decoder *d, const struct pb_field *f, struct site *s)
{
	struct arena *a = &d->p->arena;
	size_t n = d->p->n_checkpoints;

	switch (f->number) {
	case S_KIND:
		if (f->value >= SITE_KIND_MAX_)
			return -EBADMSG;
		s->kind = (enum site_kind)f->value;
		return 0;
	case S_LABEL:
		return take_string(d, f->value, &s->label);
	case S_LIVE_BYTES:
		return take_column(a, f, n, LIMIT_CHECKPOINTS, &s->live_bytes, NULL);
	case S_LIVE_COUNT:
		return take_column(a, f, n, LIMIT_CHECKPOINTS, &s->live_count, NULL);
	case S_ALLOC_BYTES:
		s->allocated_bytes = f->value;
		return 0;
	case S_ALLOC_COUNT:
		s->allocated_count = f->value;
		return 0;
	case S_SAMPLES:
		s->samples = f->value;
		return 0;
	case S_SURVIVORS:
		s->survivors = f->value;
		return 0;
	case S_FIRST_HALF:
		s->first_half = f->value;
		return 0;
	case S_FRAMES:
		return take_frames(d, f, s);
	default:
		return 0;
	}
}

static int take_site(struct decoder *d, struct pb_field *field)
{
	struct site s = {.label = ""};
	struct profile *p = d->p;
	struct pb_field f;
	int r;

	if (field->type != PB_BYTES || p->n_sites == LIMIT_PROFILE_SITES)
		return -EBADMSG;
	while ((r = pb_next(&field->bytes, &f)) == 1) {
		r = take_site_field(d, &f, &s);
		if (r < 0)
			return r;
	}
	if (r < 0 || !s.live_bytes || !s.live_count || !s.frames)
		return -EBADMSG;
	if (!p->sites) {
		p->sites = arena_array(&p->arena, LIMIT_PROFILE_SITES, sizeof(*p->sites));
		if (!p->sites)
			return -ENOMEM;
	}
	p->sites[p->n_sites++] = s;
	return 0;
}

static int take_string_field(struct decoder *d, const struct pb_field *f)
{
	int r = array_reserve(
		&d->strings, &d->cap_strings, d->n_strings + 1, sizeof(*d->strings), 1u << 18);

	if (r == 0)
		r = pb_string(f, &d->p->arena, &d->strings[d->n_strings]);
	d->n_strings += r == 0;
	return r;
}

static int take_field(struct decoder *d, struct pb_field *f)
{
	struct profile *p = d->p;
	size_t n;
	int r;

	switch (f->number) {
	case F_VERSION:
		d->version = f->value;
		return 0;
	case F_BOOT_ID:
		return pb_string_into(f, p->target.boot_id, sizeof(p->target.boot_id));
	case F_PID:
		p->target.pid = (uint32_t)f->value;
		return f->value > INT32_MAX ? -EBADMSG : 0;
	case F_START:
		p->target.start_ticks = f->value;
		return 0;
	case F_COMPONENT:
		return pb_string(f, &p->arena, &p->component);
	case F_EXE:
		return pb_string(f, &p->arena, &p->exe);
	case F_ORDER:
		p->order_id = f->value;
		return 0;
	case F_START_UNIX:
		p->start_unix_ns = f->value;
		return 0;
	case F_DURATION:
		p->duration_ns = f->value;
		return 0;
	case F_PERIOD:
		p->period_bytes = f->value;
		return 0;
	case F_ANON_START:
		p->anon_start_bytes = f->value;
		return 0;
	case F_ANON_END:
		p->anon_end_bytes = f->value;
		return 0;
	case F_EVENTS:
		p->events = f->value;
		return 0;
	case F_DROPPED:
		p->dropped = f->value;
		return 0;
	case F_PAUSE:
		p->pause_ns = f->value;
		return 0;
	case F_DROPPED_SITES:
		p->dropped_sites = f->value;
		return 0;
	case F_CHECKPOINTS:
		if (p->n_sites || p->checkpoint_ns)
			return -EBADMSG;
		r = take_column(&p->arena, f, SIZE_MAX, LIMIT_CHECKPOINTS, &p->checkpoint_ns, &n);
		p->n_checkpoints = r == 0 ? (uint32_t)n : 0;
		return r;
	case F_STRING:
		return take_string_field(d, f);
	case F_SITE:
		return take_site(d, f);
	default:
		return 0;
	}
}

int wire_decode_profile(const void *bytes, size_t n, struct profile *ret, struct err *err)
{
	struct decoder d = {.p = ret};
	struct pb in = pb_of(bytes, n);
	struct pb_field f;
	int r;

	profile_init(ret);
	while ((r = pb_next(&in, &f)) == 1) {
		r = take_field(&d, &f);
		if (r < 0)
			break;
	}
	free(d.strings);
	if (r == 0 && d.version > WIRE_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "the profile has another wire version");
	if (r == 0 && (d.version != WIRE_VERSION || !ret->target.pid))
		r = -EBADMSG;
	return r < 0 ? err_set(err, r, "the profile is malformed") : 0;
}
