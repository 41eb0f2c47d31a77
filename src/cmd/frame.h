/*
 * Helper messages over a stream descriptor: the socket's side of wire/helper-msg.h.
 */
#ifndef RESIN_CMD_FRAME_H
#define RESIN_CMD_FRAME_H

#include "wire/helper-msg.h"

/* Writes one message whole. -EPIPE when the peer is gone. */
must_check int frame_send(int fd, const struct helper_msg *m, struct err *err);

/* Collects bytes until a message is whole. Returns 1: `ret` is filled (valid until the next call),
 * 0: not yet, -EPIPE: the peer closed, other <0: malformed. Reads at most once from a descriptor
 * that may block. */
struct frame_reader {
	struct buf in;
	size_t consume; /* bytes of the message that was handed out last */
	struct arena arena;
};

void frame_reader_init(struct frame_reader *r);
void frame_reader_done(struct frame_reader *r);
must_check int frame_receive(
	struct frame_reader *r, int fd, struct helper_msg *ret, struct err *err);

#endif
