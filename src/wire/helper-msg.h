/*
 * What the agent (or a person's `resin`) and resin-helper say to each other over a stream socket;
 * docs/formats/helper.md has the bytes. A frame is 8 bytes of head, "RSH1" and a little-endian
 * length, then one message in the protobuf encoding. One request per connection; answers follow
 * until DONE, REFUSED or FAILED.
 */
#ifndef RESIN_WIRE_HELPER_MSG_H
#define RESIN_WIRE_HELPER_MSG_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/order.h"

enum helper_kind {
	HELPER_IDENTIFY = 1,  /* request: executables and build-ids of processes */
	HELPER_PROFILE = 2,   /* request: one order */
	HELPER_IDENTITY = 16, /* answer: one process */
	HELPER_PROGRESS = 17, /* answer: a stage and a sentence */
	HELPER_RESULT = 18,   /* answer: an encoded profile */
	HELPER_DONE = 19,
	HELPER_REFUSED = 20, /* policy or preflight; `name` and `text` say why */
	HELPER_FAILED = 21,
};

#define HELPER_MAX_PIDS 1024u

struct helper_msg {
	enum helper_kind kind;
	struct order order;	 /* PROFILE */
	uint64_t *pids, *starts; /* IDENTIFY: pairs */
	size_t n_pids;
	uint64_t pid, start_ticks; /* IDENTITY */
	const char *name, *text;   /* IDENTITY: executable, build-id; else short name, sentence */
	const void *payload;	   /* RESULT */
	size_t payload_bytes;
};

must_check int helper_encode(const struct helper_msg *m, struct buf *out, struct err *err);
/* One whole message without its head. Pointers of `ret` go to the arena, payload into `p`. */
must_check int helper_decode(
	const void *p, size_t n, struct arena *a, struct helper_msg *ret, struct err *err);

#define HELPER_HEAD_BYTES 8u
/* Length of the message behind a head; <0 when it is none or too long. */
must_check ssize_t helper_head(const uint8_t head[HELPER_HEAD_BYTES]);

#endif
