/*
 * Steps as bytes in the store: a list of (metric, lo, last - lo, hi - lo), each in LEB128. Metrics
 * of a later version are skipped. Pure.
 */
#ifndef RESIN_STORE_RECORD_H
#define RESIN_STORE_RECORD_H

#include "base/buf.h"
#include "store/store.h"

must_check int record_put_step(const struct store_step *s, struct buf *out);
must_check int record_get_step(const void *p, size_t n, struct store_step *ret);

#endif
