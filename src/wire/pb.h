/*
 * The protobuf encoding (varints, length-delimited fields, packed columns), by hand: no reflection,
 * no allocation while reading, every length checked. Readers skip fields that they do not know, so
 * that a newer peer may add some.
 */
#ifndef RESIN_WIRE_PB_H
#define RESIN_WIRE_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2 };

/* Writing: failures are those of buf_add. */
must_check int pb_put_u64(struct buf *b, uint32_t field, uint64_t v);
must_check int pb_put_double(struct buf *b, uint32_t field, double v);
must_check int pb_put_bytes(struct buf *b, uint32_t field, const void *p, size_t n);
must_check int pb_put_string(struct buf *b, uint32_t field, const char *s);
/* n values as one packed column. */
must_check int pb_put_column(struct buf *b, uint32_t field, const uint64_t *v, size_t n);

struct pb {
	const uint8_t *p, *end;
};

struct pb_field {
	uint32_t number;
	enum pb_type type;
	uint64_t value;	 /* PB_VARINT, PB_FIXED64 */
	struct pb bytes; /* PB_BYTES */
};

static inline struct pb pb_of(const void *p, size_t n)
{
	return (struct pb){p, n ? (const uint8_t *)p + n : (const uint8_t *)p};
}

/* 1: a field was read, 0: the end, -EBADMSG: malformed. */
must_check int pb_next(struct pb *in, struct pb_field *ret);

/* One varint of a packed column: 1, 0 at the end, -EBADMSG. */
must_check int pb_varint(struct pb *in, uint64_t *ret);

static inline size_t pb_len(const struct pb *in)
{
	return (size_t)(in->end - in->p);
}

double pb_double(const struct pb_field *f);

/* Copies a string field: -EBADMSG when it is not one, holds a NUL or is longer than allowed,
 * -ENOMEM when the arena is full. */
must_check int pb_string(const struct pb_field *f, struct arena *a, const char **ret);
/* The same into a fixed array. */
must_check int pb_string_into(const struct pb_field *f, char *ret, size_t size);

#endif
