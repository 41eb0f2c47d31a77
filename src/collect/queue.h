/*
 * Encoded batches that the server has not acknowledged yet, in memory, oldest first.
 *
 * Bounded by bytes; when full the oldest goes, and is counted: what is recent matters more. The
 * durable spool that replaces it has an issue of its own.
 */
#ifndef RESIN_COLLECT_QUEUE_H
#define RESIN_COLLECT_QUEUE_H

#include "base/buf.h"

struct queue_item {
	struct queue_item *next;
	uint64_t seq;
	size_t bytes;
	char data[];
};

struct queue {
	struct queue_item *head, *tail;
	size_t bytes, limit, n;
	uint64_t dropped;
};

#define QUEUE_INIT(limit_bytes) ((struct queue){.limit = (limit_bytes)})

void queue_done(struct queue *q);
/* Copies. -EMSGSIZE: larger than the whole queue; counted as dropped. */
must_check int queue_put(struct queue *q, uint64_t seq, const void *p, size_t n);
/* The oldest, or NULL. Stays until queue_ack(). */
const struct queue_item *queue_peek(const struct queue *q);
/* Drops everything up to and with seq. */
void queue_ack(struct queue *q, uint64_t seq);

#endif
