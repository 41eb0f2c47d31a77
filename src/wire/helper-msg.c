#include "wire/helper-msg.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "wire/messages.h"

enum {
	F_VERSION = 1,
	F_KIND = 2,
	F_ORDER = 3,
	F_PIDS = 4,
	F_STARTS = 5,
	F_PID = 6,
	F_START = 7,
	F_NAME = 8,
	F_TEXT = 9,
	F_PAYLOAD = 10,
};

int helper_encode(const struct helper_msg *m, struct buf *out, struct err *err)
{
	autobuf struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES);
	uint32_t n;
	int r;

	if ((r = pb_put_u64(&b, F_VERSION, WIRE_VERSION)) == 0)
		r = pb_put_u64(&b, F_KIND, m->kind);
	if (r == 0 && m->kind == HELPER_PROFILE)
		r = wire_put_order(&b, F_ORDER, &m->order);
	if (r == 0 && m->n_pids && (r = pb_put_column(&b, F_PIDS, m->pids, m->n_pids)) == 0)
		r = pb_put_column(&b, F_STARTS, m->starts, m->n_pids);
	if (r == 0 && m->pid && (r = pb_put_u64(&b, F_PID, m->pid)) == 0)
		r = pb_put_u64(&b, F_START, m->start_ticks);
	if (r == 0 && m->name)
		r = pb_put_string(&b, F_NAME, m->name);
	if (r == 0 && m->text)
		r = pb_put_string(&b, F_TEXT, m->text);
	if (r == 0 && m->payload)
		r = pb_put_bytes(&b, F_PAYLOAD, m->payload, m->payload_bytes);
	n = (uint32_t)b.len;
	if (r == 0 && (r = buf_add(out, "RSH1", 4)) == 0 && (r = buf_add(out, &n, 4)) == 0)
		r = buf_add(out, b.data, b.len);
	return r < 0 ? err_set(err, r, "a helper message is too large") : 0;
}

ssize_t helper_head(const uint8_t head[HELPER_HEAD_BYTES])
{
	uint32_t n;

	memcpy(&n, head + 4, 4);
	if (memcmp(head, "RSH1", 4) != 0 || n > LIMIT_MESSAGE_BYTES)
		return -EBADMSG;
	return (ssize_t)n;
}

static int take_pids(const struct pb_field *f, struct arena *a, uint64_t **ret, size_t *ret_n)
{
	struct pb in = f->bytes;
	uint64_t *v = arena_array(a, HELPER_MAX_PIDS, sizeof(*v)), one;
	size_t n = 0;
	int r;

	if (!v)
		return -ENOMEM;
	if (f->type != PB_BYTES)
		return -EBADMSG;
	while ((r = pb_varint(&in, &one)) == 1) {
		if (n == HELPER_MAX_PIDS)
			return -EMSGSIZE;
		v[n++] = one;
	}
	*ret = v;
	*ret_n = n;
	return r;
}

static int take_field(struct helper_msg *m, struct arena *a, struct pb_field *f, size_t *n_starts)
{
	switch (f->number) {
	case F_KIND:
		m->kind = (enum helper_kind)f->value;
		return f->value > HELPER_FAILED ||
				(f->value > HELPER_PROFILE && f->value < HELPER_IDENTITY)
			? -EBADMSG
			: 0;
	case F_ORDER:
		return wire_get_order(f, &m->order);
	case F_PIDS:
		return take_pids(f, a, &m->pids, &m->n_pids);
	case F_STARTS:
		return take_pids(f, a, &m->starts, n_starts);
	case F_PID:
		m->pid = f->value;
		return 0;
	case F_START:
		m->start_ticks = f->value;
		return 0;
	case F_NAME:
		return pb_string(f, a, &m->name);
	case F_TEXT:
		return pb_string(f, a, &m->text);
	case F_PAYLOAD:
		if (f->type != PB_BYTES)
			return -EBADMSG;
		m->payload = f->bytes.p;
		m->payload_bytes = pb_len(&f->bytes);
		return 0;
	default:
		return 0;
	}
}

int helper_decode(const void *p, size_t n, struct arena *a, struct helper_msg *ret, struct err *err)
{
	struct helper_msg m = {.name = "", .text = ""};
	struct pb in = pb_of(p, n);
	struct pb_field f;
	uint64_t version = 0;
	size_t n_starts = 0;
	int r;

	while ((r = pb_next(&in, &f)) == 1) {
		if (f.number == F_VERSION)
			version = f.value;
		else
			r = take_field(&m, a, &f, &n_starts);
		if (r < 0)
			break;
	}
	if (r == 0 &&
		(version != WIRE_VERSION || !m.kind || m.n_pids != n_starts ||
			(m.kind == HELPER_PROFILE && !m.order.kind)))
		r = -EBADMSG;
	if (r < 0)
		return err_set(err, r, "a message between agent and helper is malformed");
	*ret = m;
	return 0;
}
