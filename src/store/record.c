#include "store/record.h"

#include <errno.h>

static int put(struct buf *b, uint64_t v)
{
	uint8_t tmp[10];
	size_t n = 0;

	while (v >= 0x80) {
		tmp[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	tmp[n++] = (uint8_t)v;
	return buf_add(b, tmp, n);
}

static int get(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c;

		if (*p == end)
			return -EBADMSG;
		c = *(*p)++;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return -EBADMSG;
}

int record_put_step(const struct store_step *s, struct buf *out)
{
	int r = 0;

	for (unsigned m = 0; m < METRIC_MAX_ && r == 0; m++) {
		const struct point *p = &s->metric[m];

		if (!(s->present >> m & 1))
			continue;
		if ((r = put(out, m)) == 0 && (r = put(out, p->lo)) == 0 &&
			(r = put(out, p->last - p->lo)) == 0)
			r = put(out, p->hi - p->lo);
	}
	return r;
}

int record_get_step(const void *bytes, size_t n, struct store_step *ret)
{
	const uint8_t *p = bytes, *end = n ? p + n : p;

	ret->present = 0;
	while (p != end) {
		uint64_t m, lo, last, hi;

		if (get(&p, end, &m) < 0 || get(&p, end, &lo) < 0 || get(&p, end, &last) < 0 ||
			get(&p, end, &hi) < 0)
			return -EBADMSG;
		if (m >= METRIC_MAX_)
			continue; /* of a later version */
		ret->present |= 1u << m;
		ret->metric[m] = (struct point){ret->unix_ns, lo, lo + last, lo + hi};
	}
	return 0;
}
