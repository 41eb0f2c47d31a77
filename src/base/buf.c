#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

void buf_done(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = 0;
}

int buf_reserve(struct buf *b, size_t extra)
{
	size_t need, cap;
	char *p;

	if (extra > b->limit || b->len > b->limit - extra)
		return -EMSGSIZE;
	need = b->len + extra + 1;
	if (need <= b->cap)
		return 0;
	cap = b->cap ? b->cap : 256;
	while (cap < need)
		cap *= 2;
	p = realloc(b->data, cap);
	if (!p)
		return -ENOMEM;
	b->data = p;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	int r = buf_reserve(b, n);

	if (r < 0)
		return r;
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = 0;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

int buf_read_fd(struct buf *b, int fd)
{
	for (;;) {
		size_t room;
		ssize_t n;
		char more;
		int r;

		if (b->len == b->limit) {
			/* Full: right if that was all. */
			n = read(fd, &more, 1);
			if (n < 0 && errno == EINTR)
				continue;
			return n < 0 ? -errno : n == 0 ? 0 : -EMSGSIZE;
		}
		r = buf_reserve(b, b->len + 4096 <= b->limit ? 4096 : 1);

		if (r < 0)
			return r;
		room = b->cap - b->len - 1;
		if (room > b->limit - b->len)
			room = b->limit - b->len;
		n = read(fd, b->data + b->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		b->len += (size_t)n;
		b->data[b->len] = 0;
		if (n == 0)
			return 0;
	}
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		buf_clear(b);
		return;
	}
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	b->data[b->len] = 0;
}

int array_reserve(void *p, size_t *cap, size_t need, size_t elem_size, size_t ceiling)
{
	void **slot = p, *grown;
	size_t n = *cap ? *cap : 16;

	if (need <= *cap)
		return 0;
	if (need > ceiling)
		return -EMSGSIZE;
	while (n < need)
		n *= 2;
	if (n > ceiling)
		n = ceiling;
	grown = reallocarray(*slot, n, elem_size);
	if (!grown)
		return -ENOMEM;
	*slot = grown;
	*cap = n;
	return 0;
}
