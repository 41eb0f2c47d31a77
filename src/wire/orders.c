#include <errno.h>
#include <string.h>

#include "wire/messages.h"

enum {
	O_ID = 1,
	O_NONCE = 2,
	O_KIND = 3,
	O_HOST = 4,
	O_BOOT_ID = 5,
	O_PID = 6,
	O_START = 7,
	O_ISSUED = 8,
	O_EXPIRES = 9,
	O_DURATION = 10,
	O_PERIOD = 11,
	O_TICKET = 12,
};

int wire_put_order(struct buf *out, uint32_t field, const struct order *o)
{
	autobuf struct buf b = BUF_INIT(4096);
	int r;

	if ((r = pb_put_u64(&b, O_ID, o->id)) < 0 ||
		(r = pb_put_bytes(&b, O_NONCE, o->nonce, sizeof(o->nonce))) < 0 ||
		(r = pb_put_u64(&b, O_KIND, o->kind)) < 0 ||
		(r = pb_put_string(&b, O_HOST, o->host)) < 0 ||
		(r = pb_put_string(&b, O_BOOT_ID, o->target.boot_id)) < 0 ||
		(r = pb_put_u64(&b, O_PID, o->target.pid)) < 0 ||
		(r = pb_put_u64(&b, O_START, o->target.start_ticks)) < 0 ||
		(r = pb_put_u64(&b, O_ISSUED, o->issued_unix_ns)) < 0 ||
		(r = pb_put_u64(&b, O_EXPIRES, o->expires_unix_ns)) < 0 ||
		(r = pb_put_u64(&b, O_DURATION, o->duration_ns)) < 0 ||
		(r = pb_put_u64(&b, O_PERIOD, o->sample_period_bytes)) < 0 ||
		(r = pb_put_u64(&b, O_TICKET, o->ticket_id)) < 0)
		return r;
	return pb_put_bytes(out, field, b.data, b.len);
}

static int take_nonce(const struct pb_field *f, uint8_t nonce[ORDER_NONCE_BYTES])
{
	if (f->type != PB_BYTES || pb_len(&f->bytes) != ORDER_NONCE_BYTES)
		return -EBADMSG;
	memcpy(nonce, f->bytes.p, ORDER_NONCE_BYTES);
	return 0;
}

static int take_order_field(struct order *o, const struct pb_field *f)
{
	switch (f->number) {
	case O_ID:
		o->id = f->value;
		return 0;
	case O_NONCE:
		return take_nonce(f, o->nonce);
	case O_KIND:
		if (f->value == 0 || f->value >= ORDER_KIND_MAX_)
			return -EBADMSG;
		o->kind = (enum order_kind)f->value;
		return 0;
	case O_HOST:
		return pb_string_into(f, o->host, sizeof(o->host));
	case O_BOOT_ID:
		return pb_string_into(f, o->target.boot_id, sizeof(o->target.boot_id));
	case O_PID:
		if (f->value == 0 || f->value > INT32_MAX)
			return -EBADMSG;
		o->target.pid = (uint32_t)f->value;
		return 0;
	case O_START:
		o->target.start_ticks = f->value;
		return 0;
	case O_ISSUED:
		o->issued_unix_ns = f->value;
		return 0;
	case O_EXPIRES:
		o->expires_unix_ns = f->value;
		return 0;
	case O_DURATION:
		o->duration_ns = f->value;
		return 0;
	case O_PERIOD:
		o->sample_period_bytes = f->value;
		return 0;
	case O_TICKET:
		o->ticket_id = f->value;
		return 0;
	default:
		return 0;
	}
}

int wire_get_order(struct pb_field *field, struct order *ret)
{
	struct order o = {0};
	struct pb_field f;
	int r;

	if (field->type != PB_BYTES)
		return -EBADMSG;
	while ((r = pb_next(&field->bytes, &f)) == 1) {
		r = take_order_field(&o, &f);
		if (r < 0)
			return r;
	}
	if (r < 0 || !o.kind || !o.target.pid || !o.target.boot_id[0] || !o.sample_period_bytes ||
		!o.duration_ns)
		return -EBADMSG;
	*ret = o;
	return 0;
}

enum { R_VERSION = 1, R_ACKED = 2, R_PACE = 3, R_ORDER = 4 };

int wire_encode_reply(const struct reply *rep, struct buf *out, struct err *err)
{
	int r;

	if ((r = pb_put_u64(out, R_VERSION, WIRE_VERSION)) == 0 &&
		(r = pb_put_u64(out, R_ACKED, rep->acked_seq)) == 0)
		r = pb_put_u64(out, R_PACE, rep->pace);
	for (size_t i = 0; i < rep->n_orders && r == 0; i++)
		r = wire_put_order(out, R_ORDER, &rep->orders[i]);
	return r < 0 ? err_set(err, r, "the reply is too large") : 0;
}

static int decode_reply(struct pb in, struct reply *ret, uint64_t *version)
{
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) == 1) {
		switch (f.number) {
		case R_VERSION:
			*version = f.value;
			break;
		case R_ACKED:
			ret->acked_seq = f.value;
			break;
		case R_PACE:
			ret->pace = f.value;
			break;
		case R_ORDER:
			if (ret->n_orders == WIRE_MAX_ORDERS)
				return -EMSGSIZE;
			r = wire_get_order(&f, &ret->orders[ret->n_orders]);
			if (r < 0)
				return r;
			ret->n_orders++;
			break;
		default:
			break;
		}
	}
	return r;
}

int wire_decode_reply(const void *p, size_t n, struct arena *a, struct reply *ret, struct err *err)
{
	struct reply rep = {0};
	uint64_t version = 0;
	int r;

	rep.orders = arena_array(a, WIRE_MAX_ORDERS, sizeof(*rep.orders));
	if (!rep.orders)
		return err_set(err, -ENOMEM, "out of memory");
	r = decode_reply(pb_of(p, n), &rep, &version);
	if (r == 0 && version > WIRE_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "the server speaks another wire version");
	if (r < 0 || rep.pace == 0 || version != WIRE_VERSION)
		return err_set(err, r < 0 ? r : -EBADMSG, "the server's reply is malformed");
	*ret = rep;
	return 0;
}

enum { P_VERSION = 1, P_ORDER = 2, P_NONCE = 3, P_STATE = 4, P_REASON = 5 };

int wire_encode_report(const struct report *rep, struct buf *out, struct err *err)
{
	int r;

	if ((r = pb_put_u64(out, P_VERSION, WIRE_VERSION)) == 0 &&
		(r = pb_put_u64(out, P_ORDER, rep->order_id)) == 0 &&
		(r = pb_put_bytes(out, P_NONCE, rep->nonce, sizeof(rep->nonce))) == 0 &&
		(r = pb_put_u64(out, P_STATE, rep->state)) == 0)
		r = pb_put_string(out, P_REASON, rep->reason);
	return r < 0 ? err_set(err, r, "the report is too large") : 0;
}

int wire_decode_report(const void *p, size_t n, struct report *ret, struct err *err)
{
	struct pb in = pb_of(p, n);
	struct report rep = {0};
	struct pb_field f;
	uint64_t version = 0;
	bool nonce = false, state = false;
	int r;

	while ((r = pb_next(&in, &f)) == 1) {
		if (f.number == P_VERSION)
			version = f.value;
		else if (f.number == P_ORDER)
			rep.order_id = f.value;
		else if (f.number == P_NONCE && (r = take_nonce(&f, rep.nonce)) == 0)
			nonce = true;
		else if (f.number == P_STATE && f.value < ORDER_STATE_MAX_)
			rep.state = (enum order_state)f.value, state = true;
		else if (f.number == P_REASON)
			r = pb_string_into(&f, rep.reason, sizeof(rep.reason));
		if (r < 0)
			break;
	}
	if (r == 0 && version > WIRE_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "the report has another wire version");
	if (r < 0 || version != WIRE_VERSION || !rep.order_id || !nonce || !state)
		return err_set(err, -EBADMSG, "the report is malformed");
	*ret = rep;
	return 0;
}
