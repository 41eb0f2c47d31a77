/*
 * A streaming JSON writer into a capped buffer.
 *
 * Commas and escapes are its business; nesting is checked. Strings are written as valid UTF-8
 * whatever bytes come in (a process may call itself anything): a byte that is not UTF-8 becomes
 * U+FFFD. The first failure sticks and is returned by json_finish(), so callers need not test each
 * call. Numbers that are not finite become null. Not thread safe.
 */
#ifndef RESIN_BASE_JSON_H
#define RESIN_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json {
	struct buf *out;
	int status;
	int depth;
	bool need_comma;
	bool after_key;
	char stack[32];
};

void json_init(struct json *j, struct buf *out);
void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key);
void json_string(struct json *j, const char *s); /* NULL becomes null */
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_double(struct json *j, double v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* A wall clock time in ns since the epoch, as RFC 3339 UTC with milliseconds; 0 becomes null. */
void json_time(struct json *j, uint64_t unix_ns);

/* Returns 0, or the first failure; -EINVAL when a bracket is still open. */
must_check int json_finish(struct json *j);

/* "key": value in one call. */
#define json_kv(j, kind, key, value) (json_key((j), (key)), json_##kind((j), (value)))

#endif
