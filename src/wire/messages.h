/*
 * What agent and server say to each other; docs/formats/wire.md has the fields.
 *
 * Pure bytes to structs and back. Decoders take hostile input: they
 * return <0 with a sentence for anything that is not exactly right or of another version, and
 * allocate only from the arena that is handed in. Decoded strings live in that arena.
 */
#ifndef RESIN_WIRE_MESSAGES_H
#define RESIN_WIRE_MESSAGES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/batch.h"
#include "model/order.h"
#include "model/profile.h"
#include "wire/pb.h"

#define WIRE_VERSION 1u

must_check int wire_encode_batch(const struct batch *b, struct buf *out, struct err *err);
must_check int wire_decode_batch(
	const void *p, size_t n, struct arena *a, struct batch *ret, struct err *err);

/* The server's answer to any message of an agent. */
struct reply {
	uint64_t acked_seq;
	uint64_t pace; /* from now on */
	struct order *orders;
	size_t n_orders;
};

#define WIRE_MAX_ORDERS 64

must_check int wire_encode_reply(const struct reply *r, struct buf *out, struct err *err);
must_check int wire_decode_reply(
	const void *p, size_t n, struct arena *a, struct reply *ret, struct err *err);

/* The agent on the state of an order. */
struct report {
	uint64_t order_id;
	uint8_t nonce[ORDER_NONCE_BYTES];
	enum order_state state;
	char reason[320];
};

must_check int wire_encode_report(const struct report *r, struct buf *out, struct err *err);
must_check int wire_decode_report(const void *p, size_t n, struct report *ret, struct err *err);

must_check int wire_encode_profile(const struct profile *p, struct buf *out, struct err *err);
/* `ret` is initialised here and owns its arena; profile_done() it, also after a failure. */
must_check int wire_decode_profile(const void *p, size_t n, struct profile *ret, struct err *err);

/* One order as a field of other messages. */
must_check int wire_put_order(struct buf *out, uint32_t field, const struct order *o);
must_check int wire_get_order(struct pb_field *f, struct order *ret);

#endif
