#include "cmd/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"

#define FRAME_ARENA_BYTES (1u << 20)

int frame_send(int fd, const struct helper_msg *m, struct err *err)
{
	autobuf struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES + 64);
	size_t done = 0;
	int r = helper_encode(m, &out, err);

	while (r == 0 && done < out.len) {
		ssize_t n = send(fd, out.data + done, out.len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, errno == ECONNRESET ? -EPIPE : -errno,
				"cannot send a message: %m");
		done += (size_t)n;
	}
	return r;
}

void frame_reader_init(struct frame_reader *r)
{
	*r = (struct frame_reader){
		.in = BUF_INIT(LIMIT_MESSAGE_BYTES + HELPER_HEAD_BYTES),
		.arena = ARENA_INIT(FRAME_ARENA_BYTES),
	};
}

void frame_reader_done(struct frame_reader *r)
{
	buf_done(&r->in);
	arena_done(&r->arena);
}

/* 1: a whole message is there. */
static int parse(struct frame_reader *r, struct helper_msg *ret, struct err *err)
{
	ssize_t n;
	int e;

	if (r->in.len < HELPER_HEAD_BYTES)
		return 0;
	n = helper_head((const uint8_t *)r->in.data);
	if (n < 0)
		return err_set(err, (int)n, "the peer does not speak the helper's protocol");
	if (r->in.len - HELPER_HEAD_BYTES < (size_t)n)
		return 0;
	arena_done(&r->arena);
	e = helper_decode(r->in.data + HELPER_HEAD_BYTES, (size_t)n, &r->arena, ret, err);
	if (e < 0)
		return e;
	r->consume = HELPER_HEAD_BYTES + (size_t)n;
	return 1;
}

int frame_receive(struct frame_reader *r, int fd, struct helper_msg *ret, struct err *err)
{
	ssize_t n;
	int e;

	buf_consume(&r->in, r->consume);
	r->consume = 0;
	e = parse(r, ret, err);
	if (e != 0)
		return e;
	e = buf_reserve(&r->in, 65536 < r->in.limit - r->in.len ? 65536 : r->in.limit - r->in.len);
	if (e < 0)
		return err_set(err, e, "out of memory");
	n = read(fd, r->in.data + r->in.len, r->in.cap - r->in.len - 1);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return err_set(err, -errno, "cannot read a message: %m");
	if (n <= 0)
		return err_set(err, -EPIPE, "the peer closed the connection");
	r->in.len += (size_t)n;
	r->in.data[r->in.len] = 0;
	return parse(r, ret, err);
}
