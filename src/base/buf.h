/*
 * A growing byte buffer with a ceiling.
 *
 * Owns its bytes; `buf_done` frees them. Growth past `limit` returns -EMSGSIZE and leaves the
 * buffer as it was. The bytes are always followed by a NUL that is not counted, so that `data` can
 * be printed. Not thread safe.
 */
#ifndef RESIN_BASE_BUF_H
#define RESIN_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t limit;
};

#define BUF_INIT(limit_bytes) ((struct buf){.limit = (limit_bytes)})

void buf_done(struct buf *b);
void buf_clear(struct buf *b);

/* All return 0, -ENOMEM or -EMSGSIZE. */
must_check int buf_reserve(struct buf *b, size_t extra);
must_check int buf_add(struct buf *b, const void *p, size_t n);
must_check int buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Reads the descriptor to its end. -EMSGSIZE when it holds more than the ceiling. */
must_check int buf_read_fd(struct buf *b, int fd);

/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);

/* Makes room in an array for `need` elements, doubling, at most `ceiling` elements. `*p` is
 * replaced only on success. Returns 0, -ENOMEM or -EMSGSIZE. */
must_check int array_reserve(void *p, size_t *cap, size_t need, size_t elem_size, size_t ceiling);

#define autobuf cleanup(buf_done)

#endif
