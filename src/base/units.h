/*
 * Numbers as people write them: sizes (64M, 2G), durations (250ms, 90s, 5m, 7d), times (RFC 3339),
 * and plain decimal integers. Parsing is strict: the whole string or nothing, no sign, no overflow.
 */
#ifndef RESIN_BASE_UNITS_H
#define RESIN_BASE_UNITS_H

#include <stdint.h>

#include "base/cleanup.h"

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)

#define UNITS_BYTES_MAX 24
#define UNITS_DURATION_MAX 32
#define UNITS_TIME_MAX 32

/* All parsers return 0, -EINVAL or -ERANGE, and leave *ret alone on failure. */
must_check int parse_u64(const char *s, uint64_t *ret);
must_check int parse_size(const char *s, uint64_t *ret_bytes);	/* 4096, 64K, 1.5G (binary) */
must_check int parse_duration(const char *s, uint64_t *ret_ns); /* needs a unit: ms s m h d */

/* Write into the caller's array (of the size above) and return it. */
const char *units_bytes(uint64_t bytes, char out[static UNITS_BYTES_MAX]);    /* "1.5 MiB" */
const char *units_duration(uint64_t ns, char out[static UNITS_DURATION_MAX]); /* "1h 5m" */
const char *units_time(uint64_t unix_ns, char out[static UNITS_TIME_MAX]);

#endif
