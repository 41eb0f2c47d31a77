/*
 * A track as bytes, for a server that is started again: a header, the minima, the track, its load.
 *
 * The minima come first and mean the same to every build, so that one which does not know the rest
 * can learn the entity anew from its last 30 days.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "localize/track.h"

#define STATE_MAGIC 0x54524b31u /* TRK1 */

struct header {
	uint32_t magic, minima, track_bytes, load_bytes;
	uint32_t levels, blocks; /* what else the layout hangs on */
};

static uint32_t kept_minima(const struct track *t)
{
	return t->hours < t->cap ? t->hours : t->cap;
}

int track_put(const struct track *t, struct buf *out)
{
	struct header h = {.magic = STATE_MAGIC,
		.minima = kept_minima(t),
		.track_bytes = sizeof(*t),
		.load_bytes = t->load ? sizeof(*t->load) : 0,
		.levels = TRACK_LEVELS,
		.blocks = TRACK_BLOCKS};
	struct track flat;
	int r = buf_add(out, &h, sizeof(h));

	for (uint32_t ago = h.minima; ago-- > 0 && r == 0;) {
		float v = (float)track_minimum(t, ago);

		r = buf_add(out, &v, sizeof(v));
	}
	memcpy(&flat, t, sizeof(flat)); /* padding too, so that the same track is the same bytes */
	flat.load = NULL;
	flat.minima = NULL;
	flat.cap = 0;
	if (r == 0)
		r = buf_add(out, &flat, sizeof(flat));
	if (r == 0 && t->load)
		r = buf_add(out, t->load, sizeof(*t->load));
	return r;
}

static bool track_valid(const struct track *t)
{
	if (t->loudest >= TRACK_LEVELS || t->age > t->hours)
		return false;
	for (unsigned l = 0; l < TRACK_LEVELS; l++) {
		const struct track_level *v = &t->at[l];
		const struct track_look *k = &t->looks[l];

		if (v->n > TRACK_BLOCKS || v->head >= TRACK_BLOCKS || k->level != l ||
			(unsigned)k->state > TRACK_LEAKING || k->blocks > TRACK_BLOCKS ||
			k->from > k->blocks || v->hours >= norm_block_hours[l] ||
			v->seen > v->hours)
			return false;
	}
	return true;
}

/* Fills the ring with what is kept; -ENOMEM. */
static int put_minima(struct track *t, const uint8_t *minima, uint32_t n)
{
	uint32_t cap = 24;

	while (cap < n || (cap < t->hours && cap < TRACK_MINIMA))
		cap *= 2;
	t->cap = cap < TRACK_MINIMA ? cap : TRACK_MINIMA;
	t->minima = malloc(t->cap * sizeof(*t->minima));
	if (!t->minima)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->cap; i++)
		t->minima[i] = NAN;
	for (uint32_t i = 0; i < n; i++)
		memcpy(&t->minima[(t->hours - n + i) % t->cap], minima + i * sizeof(float),
			sizeof(float));
	return 0;
}

/* Another build's: all that can be taken over are the minima. */
static int learn_anew(struct track *t, const struct track_rules *rules, const uint8_t *minima,
	uint32_t n, struct norm *norm)
{
	for (uint32_t i = 0; i < n; i++) {
		float v;
		int r;

		memcpy(&v, minima + i * sizeof(v), sizeof(v));
		if (!isnan(v) && !(v >= 0 && v < 0x1p63f))
			return -EBADMSG;
		r = track_add(t, rules, norm, (double)v, NAN);
		if (r < 0)
			return r;
	}
	return 0;
}

int track_get(const void *bytes, size_t n, const struct track_rules *rules, struct norm *norm,
	struct track *ret)
{
	const uint8_t *p = bytes, *minima;
	struct header h;
	bool same;
	int r;

	track_init(ret);
	if (n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, p, sizeof(h));
	minima = p + sizeof(h);
	if (h.magic != STATE_MAGIC || h.minima > TRACK_MINIMA ||
		n - sizeof(h) < h.minima * sizeof(float))
		return -EBADMSG;
	p = minima + h.minima * sizeof(float);
	n -= sizeof(h) + h.minima * sizeof(float);
	same = h.track_bytes == sizeof(*ret) && h.levels == TRACK_LEVELS &&
		h.blocks == TRACK_BLOCKS &&
		(h.load_bytes == 0 || h.load_bytes == sizeof(*ret->load)) &&
		n == (size_t)h.track_bytes + h.load_bytes;
	if (!same) {
		r = learn_anew(ret, rules, minima, h.minima, norm);
		if (r == -EBADMSG) {
			track_done(ret);
			track_init(ret);
		}
		return r;
	}
	memcpy(ret, p, sizeof(*ret));
	ret->load = NULL;
	ret->minima = NULL;
	ret->cap = 0;
	if (!track_valid(ret) || h.minima > ret->hours)
		r = -EBADMSG;
	else
		r = put_minima(ret, minima, h.minima);
	if (r == 0 && h.load_bytes) {
		ret->load = malloc(sizeof(*ret->load));
		if (!ret->load)
			r = -ENOMEM;
		else
			memcpy(ret->load, p + sizeof(*ret), sizeof(*ret->load));
	}
	if (r < 0) {
		track_done(ret);
		track_init(ret);
	}
	return r;
}
