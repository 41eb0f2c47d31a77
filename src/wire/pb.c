#include "wire/pb.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"

static size_t varint_to(uint8_t out[10], uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

static int put_varint(struct buf *b, uint64_t v)
{
	uint8_t tmp[10];

	return buf_add(b, tmp, varint_to(tmp, v));
}

int pb_put_u64(struct buf *b, uint32_t field, uint64_t v)
{
	int r = put_varint(b, (uint64_t)field << 3 | PB_VARINT);

	return r < 0 ? r : put_varint(b, v);
}

int pb_put_double(struct buf *b, uint32_t field, double v)
{
	int r = put_varint(b, (uint64_t)field << 3 | PB_FIXED64);

	return r < 0 ? r : buf_add(b, &v, 8);
}

int pb_put_bytes(struct buf *b, uint32_t field, const void *p, size_t n)
{
	int r = put_varint(b, (uint64_t)field << 3 | PB_BYTES);

	if (r == 0)
		r = put_varint(b, n);
	return r < 0 ? r : buf_add(b, p, n);
}

int pb_put_string(struct buf *b, uint32_t field, const char *s)
{
	return pb_put_bytes(b, field, s, strnlen(s, LIMIT_STRING_BYTES));
}

int pb_put_column(struct buf *b, uint32_t field, const uint64_t *v, size_t n)
{
	uint8_t tmp[10];
	size_t bytes = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		bytes += varint_to(tmp, v[i]);
	r = put_varint(b, (uint64_t)field << 3 | PB_BYTES);
	if (r == 0)
		r = put_varint(b, bytes);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_varint(b, v[i]);
	return r;
}

int pb_varint(struct pb *in, uint64_t *ret)
{
	uint64_t v = 0;

	if (in->p == in->end)
		return 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t c;

		if (in->p == in->end)
			return -EBADMSG;
		c = *in->p++;
		if (shift == 63 && c > 1)
			return -EBADMSG;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*ret = v;
			return 1;
		}
	}
	return -EBADMSG;
}

int pb_next(struct pb *in, struct pb_field *ret)
{
	uint64_t tag = 0, n = 0;
	int r = pb_varint(in, &tag);

	if (r <= 0)
		return r;
	if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return -EBADMSG;
	*ret = (struct pb_field){.number = (uint32_t)(tag >> 3), .type = (enum pb_type)(tag & 7)};
	switch (tag & 7) {
	case PB_VARINT:
		return pb_varint(in, &ret->value) == 1 ? 1 : -EBADMSG;
	case PB_FIXED64:
		if (pb_len(in) < 8)
			return -EBADMSG;
		memcpy(&ret->value, in->p, 8);
		in->p += 8;
		return 1;
	case PB_BYTES:
		if (pb_varint(in, &n) != 1 || n > pb_len(in))
			return -EBADMSG;
		ret->bytes = pb_of(in->p, (size_t)n);
		in->p += n;
		return 1;
	default:
		return -EBADMSG; /* groups and fixed32: nobody of ours sends them */
	}
}

double pb_double(const struct pb_field *f)
{
	double d;

	memcpy(&d, &f->value, 8);
	return d;
}

static int check_string(const struct pb_field *f, size_t max)
{
	size_t n = pb_len(&f->bytes);

	if (f->type != PB_BYTES || n > max || (n && memchr(f->bytes.p, 0, n)))
		return -EBADMSG;
	return 0;
}

int pb_string(const struct pb_field *f, struct arena *a, const char **ret)
{
	int r = check_string(f, LIMIT_STRING_BYTES);
	char *copy;

	if (r < 0)
		return r;
	copy = arena_strndup(a, (const char *)f->bytes.p, pb_len(&f->bytes));
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

int pb_string_into(const struct pb_field *f, char *ret, size_t size)
{
	int r = check_string(f, size - 1);
	size_t n;

	if (r < 0)
		return r;
	n = pb_len(&f->bytes);
	if (n)
		memcpy(ret, f->bytes.p, n);
	ret[n] = 0;
	return 0;
}
