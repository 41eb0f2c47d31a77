#include "torture.h"

#include "base/limits.h"
#include "wire/auth.h"
#include "wire/helper-msg.h"
#include "wire/messages.h"

#define MUTATIONS 20000

/* pb */

static void varints_at_their_extremes(void **state)
{
	static const uint64_t values[] = {
		0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
	struct buf b = BUF_INIT(1000);
	struct pb in;
	struct pb_field f;

	for (size_t i = 0; i < COUNT(values); i++)
		assert_int_equal(pb_put_u64(&b, (uint32_t)i + 1, values[i]), 0);
	assert_int_equal(pb_put_double(&b, 0x1fffffff, -0.5), 0);
	in = pb_of(b.data, b.len);
	for (size_t i = 0; i < COUNT(values); i++) {
		assert_int_equal(pb_next(&in, &f), 1);
		assert_int_equal(f.number, i + 1);
		assert_int_equal(f.type, PB_VARINT);
		assert_true(f.value == values[i]);
	}
	assert_int_equal(pb_next(&in, &f), 1);
	assert_int_equal(f.number, 0x1fffffff);
	assert_true(pb_double(&f) == -0.5);
	assert_int_equal(pb_next(&in, &f), 0);
	buf_done(&b);
}

static int next_of(const char *bytes, size_t n)
{
	char *exact = malloc(n ? n : 1); /* so that a sanitizer sees one byte too many */
	struct pb_field f;
	struct pb in;
	int r;

	memcpy(exact, bytes, n);
	in = pb_of(exact, n);
	r = pb_next(&in, &f);
	free(exact);
	return r;
}

static void malformed_fields(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = {
		{"\x08", 1},		   /* no value */
		{"\x08\x80", 2},	   /* a varint that does not end */
		{"\x80", 1},		   /* a tag that does not end */
		{"\x00\x01", 2},	   /* field 0 */
		{"\x0b", 1},		   /* a group */
		{"\x0c", 1},		   /* its end */
		{"\x0d\0\0\0\0", 5},	   /* fixed32 */
		{"\x0e\0", 2},		   /* types that do not exist */
		{"\x0f\0", 2},		   /* ... */
		{"\x09\0\0\0\0\0\0\0", 8}, /* fixed64, a byte short */
		{"\x0a\x05"
		 "abcd",
			6}, /* bytes, one short */
		{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11}, /* 65 bits */
		{"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 11}, /* field too large */
	};

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(next_of(bad[i].p, bad[i].n), -EBADMSG);
	assert_int_equal(next_of("", 0), 0);
	assert_int_equal(next_of("\x0a\x00", 2), 1);
	assert_int_equal(next_of("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), 1);
}

static void strings_on_the_wire(void **state)
{
	struct arena a = ARENA_INIT(10000);
	char longest[LIMIT_STRING_BYTES + 2], four[4];
	struct pb_field f = {.type = PB_BYTES};
	const char *s = "untouched";

	memset(longest, 'l', sizeof(longest));
	f.bytes = pb_of(longest, LIMIT_STRING_BYTES);
	assert_int_equal(pb_string(&f, &a, &s), 0);
	assert_int_equal(strlen(s), LIMIT_STRING_BYTES);
	s = "untouched";
	f.bytes = pb_of(longest, LIMIT_STRING_BYTES + 1);
	assert_int_equal(pb_string(&f, &a, &s), -EBADMSG);
	f.bytes = pb_of("a\0b", 3);
	assert_int_equal(pb_string(&f, &a, &s), -EBADMSG);
	assert_int_equal(pb_string_into(&f, four, 4), -EBADMSG);
	assert_string_equal(s, "untouched");
	f.bytes = pb_of("abc", 3);
	assert_int_equal(pb_string_into(&f, four, 4), 0);
	assert_string_equal(four, "abc");
	f.bytes = pb_of("abcd", 4);
	assert_int_equal(pb_string_into(&f, four, 4), -EBADMSG);
	f.bytes = pb_of("", 0);
	assert_int_equal(pb_string_into(&f, four, 4), 0);
	assert_string_equal(four, "");
	f.type = PB_VARINT;
	assert_int_equal(pb_string_into(&f, four, 4), -EBADMSG);
	f = (struct pb_field){.type = PB_BYTES, .bytes = pb_of(longest, 4000)};
	assert_int_equal(pb_string(&f, &a, &s), 0);
	assert_int_equal(pb_string(&f, &a, &s), -ENOMEM);
	arena_done(&a);
}

/* The messages, with extremes in every field. */

static struct sample samples[3];

static void make_batch(struct batch *b)
{
	*b = (struct batch){.seq = UINT64_MAX,
		.unix_ns = UINT64_MAX,
		.period_ns = 1,
		.pace = UINT64_MAX,
		.dropped = UINT64_MAX,
		.samples = samples,
		.n_samples = 3};
	memset(b->host, 'h', sizeof(b->host) - 1);
	memset(b->boot_id, 'b', sizeof(b->boot_id) - 1);
	samples[0] = (struct sample){.kind = ENTITY_SLAB,
		.pid = UINT32_MAX,
		.ppid = UINT32_MAX,
		.start_ticks = UINT64_MAX,
		.component = "kv \xff\xfe server",
		.version = "abcd",
		.present = (1u << METRIC_MAX_) - 1};
	for (int m = 0; m < METRIC_MAX_; m++)
		samples[0].values[m] = UINT64_MAX - (uint64_t)m;
	samples[1] = (struct sample){.component = "", .version = ""};
	samples[2] = (struct sample){.kind = ENTITY_PROCESS,
		.pid = 7,
		.component = "abcd", /* shared with a version */
		.version = "",
		.present = 1u << METRIC_FAULTS | 1u << METRIC_ANON};
	samples[2].values[METRIC_FAULTS] = 12;
}

static void assert_same_samples(const struct batch *a, const struct batch *b)
{
	assert_int_equal(a->n_samples, b->n_samples);
	for (size_t i = 0; i < a->n_samples; i++) {
		const struct sample *x = &a->samples[i], *y = &b->samples[i];

		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->pid, y->pid);
		assert_int_equal(x->ppid, y->ppid);
		assert_true(x->start_ticks == y->start_ticks);
		assert_string_equal(x->component, y->component);
		assert_string_equal(x->version, y->version);
		assert_int_equal(x->present, y->present);
		assert_memory_equal(x->values, y->values, sizeof(x->values));
	}
}

static void batch_round_trip(void **state)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	struct batch b, got;

	for (int round = 0; round < 2; round++) {
		make_batch(&b);
		if (round)
			b.n_samples = 0;
		buf_clear(&out);
		assert_int_equal(wire_encode_batch(&b, &out, &err), 0);
		assert_int_equal(wire_decode_batch(out.data, out.len, &a, &got, &err), 0);
		assert_string_equal(got.host, b.host);
		assert_string_equal(got.boot_id, b.boot_id);
		assert_true(got.seq == b.seq && got.unix_ns == b.unix_ns && got.pace == b.pace &&
			got.period_ns == b.period_ns && got.dropped == b.dropped);
		assert_same_samples(&b, &got);
	}
	buf_done(&out);
	arena_done(&a);
}

static void batch_of_many(void **state)
{
	struct arena a = ARENA_INIT(LIMIT_MESSAGE_BYTES);
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	struct batch b, got;
	static char names[LIMIT_BATCH_ENTITIES + 1][8];

	make_batch(&b);
	b.samples = calloc(LIMIT_BATCH_ENTITIES + 1, sizeof(*b.samples));
	for (size_t i = 0; i <= LIMIT_BATCH_ENTITIES; i++) {
		snprintf(names[i], sizeof(names[i]), "%zu", i);
		b.samples[i] =
			(struct sample){.pid = (uint32_t)i, .component = names[i], .version = "v"};
	}
	b.n_samples = LIMIT_BATCH_ENTITIES;
	assert_int_equal(wire_encode_batch(&b, &out, &err), 0);
	assert_int_equal(wire_decode_batch(out.data, out.len, &a, &got, &err), 0);
	assert_same_samples(&b, &got);
	b.n_samples++;
	buf_clear(&out);
	if (wire_encode_batch(&b, &out, &err) == 0)
		assert_int_equal(wire_decode_batch(out.data, out.len, &a, &got, &err), -EMSGSIZE);
	free(b.samples);
	buf_done(&out);
	arena_done(&a);
}

static void encoding_stops_at_the_ceiling(void **state)
{
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES), small = {0};
	struct err err = ERR_INIT;
	struct batch b;

	make_batch(&b);
	assert_int_equal(wire_encode_batch(&b, &out, &err), 0);
	for (size_t limit = 0; limit < out.len; limit++) {
		small = BUF_INIT(limit);
		assert_int_equal(wire_encode_batch(&b, &small, &err), -EMSGSIZE);
		assert_int_equal(err.code, -EMSGSIZE);
		buf_done(&small);
	}
	buf_done(&out);
}

static void make_order(struct order *o, uint8_t fill)
{
	*o = (struct order){.id = UINT64_MAX,
		.kind = ORDER_KIND_PROFILE,
		.target = {.pid = INT32_MAX, .start_ticks = UINT64_MAX},
		.issued_unix_ns = UINT64_MAX,
		.expires_unix_ns = 1,
		.duration_ns = UINT64_MAX,
		.sample_period_bytes = UINT64_MAX,
		.ticket_id = UINT64_MAX};
	memset(o->nonce, fill, sizeof(o->nonce));
	memset(o->host, 'h', sizeof(o->host) - 1);
	memset(o->target.boot_id, 'b', sizeof(o->target.boot_id) - 1);
}

static void assert_same_order(const struct order *a, const struct order *b)
{
	assert_memory_equal(a->nonce, b->nonce, sizeof(a->nonce));
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->target.boot_id, b->target.boot_id);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->target.pid, b->target.pid);
	assert_true(a->id == b->id && a->target.start_ticks == b->target.start_ticks &&
		a->issued_unix_ns == b->issued_unix_ns &&
		a->expires_unix_ns == b->expires_unix_ns && a->duration_ns == b->duration_ns &&
		a->sample_period_bytes == b->sample_period_bytes && a->ticket_id == b->ticket_id);
}

static void reply_round_trip(void **state)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	static struct order orders[WIRE_MAX_ORDERS + 1];
	struct reply r = {.acked_seq = UINT64_MAX, .pace = UINT64_MAX, .orders = orders}, got;
	struct err err = ERR_INIT;

	for (int i = 0; i <= WIRE_MAX_ORDERS; i++)
		make_order(&orders[i], (uint8_t)i);
	for (r.n_orders = 0; r.n_orders <= WIRE_MAX_ORDERS; r.n_orders += WIRE_MAX_ORDERS) {
		buf_clear(&out);
		assert_int_equal(wire_encode_reply(&r, &out, &err), 0);
		assert_int_equal(wire_decode_reply(out.data, out.len, &a, &got, &err), 0);
		assert_true(got.acked_seq == UINT64_MAX && got.pace == UINT64_MAX);
		assert_int_equal(got.n_orders, r.n_orders);
		for (size_t i = 0; i < r.n_orders; i++)
			assert_same_order(&orders[i], &got.orders[i]);
	}
	r.n_orders = WIRE_MAX_ORDERS + 1;
	buf_clear(&out);
	if (wire_encode_reply(&r, &out, &err) == 0)
		assert_true(wire_decode_reply(out.data, out.len, &a, &got, &err) < 0);
	r.n_orders = 0;
	r.pace = 0;
	buf_clear(&out);
	assert_int_equal(wire_encode_reply(&r, &out, &err), 0);
	assert_int_equal(wire_decode_reply(out.data, out.len, &a, &got, &err), -EBADMSG);
	buf_done(&out);
	arena_done(&a);
}

static int decode_changed_order(void (*change)(struct order *o))
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf out = BUF_INIT(10000);
	struct order o;
	struct reply r = {.acked_seq = 1, .pace = 1, .orders = &o, .n_orders = 1}, got;
	int result;

	make_order(&o, 1);
	change(&o);
	assert_int_equal(wire_encode_reply(&r, &out, NULL), 0);
	result = wire_decode_reply(out.data, out.len, &a, &got, NULL);
	buf_done(&out);
	arena_done(&a);
	return result;
}

static void no_pid(struct order *o)
{
	o->target.pid = 0;
}

static void negative_pid(struct order *o)
{
	o->target.pid = UINT32_MAX;
}

static void no_boot(struct order *o)
{
	o->target.boot_id[0] = 0;
}

static void no_kind(struct order *o)
{
	o->kind = 0;
}

static void unknown_kind(struct order *o)
{
	o->kind = ORDER_KIND_MAX_;
}

static void no_period(struct order *o)
{
	o->sample_period_bytes = 0;
}

static void no_duration(struct order *o)
{
	o->duration_ns = 0;
}

static void nothing(struct order *o)
{
}

static void impossible_orders_are_refused(void **state)
{
	static void (*const changes[])(struct order *) = {
		no_pid, negative_pid, no_boot, no_kind, unknown_kind, no_period, no_duration};

	assert_int_equal(decode_changed_order(nothing), 0);
	for (size_t i = 0; i < COUNT(changes); i++)
		assert_int_equal(decode_changed_order(changes[i]), -EBADMSG);
}

static void report_round_trip(void **state)
{
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct report r = {.order_id = UINT64_MAX, .state = ORDER_CANCELLED}, got;
	struct err err = ERR_INIT;

	memset(r.nonce, 0xfe, sizeof(r.nonce));
	memset(r.reason, 'r', sizeof(r.reason) - 1);
	assert_int_equal(wire_encode_report(&r, &out, &err), 0);
	assert_int_equal(wire_decode_report(out.data, out.len, &got, &err), 0);
	assert_true(got.order_id == UINT64_MAX);
	assert_int_equal(got.state, ORDER_CANCELLED);
	assert_memory_equal(got.nonce, r.nonce, sizeof(r.nonce));
	assert_string_equal(got.reason, r.reason);
	r.order_id = 0;
	buf_clear(&out);
	assert_int_equal(wire_encode_report(&r, &out, &err), 0);
	assert_int_equal(wire_decode_report(out.data, out.len, &got, &err), -EBADMSG);
	buf_done(&out);
}

/* "-EBADMSG for anything that is not exactly right": a state of which nobody has heard is not
 * "pending". */
static void report_with_an_unknown_state(void **state)
{
	struct buf out = BUF_INIT(1000);
	struct report r = {.order_id = 1, .state = ORDER_STATE_MAX_}, got;

	assert_int_equal(wire_encode_report(&r, &out, NULL), 0);
	assert_int_equal(wire_decode_report(out.data, out.len, &got, NULL), -EBADMSG);
	buf_done(&out);
}

/* The nonce is what ties a report to its order; a state is what it is about. */
static void report_without_a_nonce_or_a_state(void **state)
{
	struct buf out = BUF_INIT(1000);
	struct report got;

	assert_int_equal(pb_put_u64(&out, 1, WIRE_VERSION), 0);
	assert_int_equal(pb_put_u64(&out, 2, 77), 0);
	assert_int_equal(wire_decode_report(out.data, out.len, &got, NULL), -EBADMSG);
	buf_done(&out);
}

static void make_profile(struct profile *p)
{
	struct frame *frames;

	profile_init(p);
	p->target = (struct proc_id){.pid = INT32_MAX, .start_ticks = UINT64_MAX};
	memset(p->target.boot_id, 'b', sizeof(p->target.boot_id) - 1);
	p->component = "kv";
	p->exe = "/usr/bin/kv";
	p->order_id = UINT64_MAX;
	p->start_unix_ns = UINT64_MAX;
	p->duration_ns = UINT64_MAX;
	p->period_bytes = 1;
	p->anon_start_bytes = 2;
	p->anon_end_bytes = UINT64_MAX;
	p->events = 3;
	p->dropped = 4;
	p->pause_ns = 5;
	p->dropped_sites = 6;
	p->n_checkpoints = LIMIT_CHECKPOINTS;
	p->checkpoint_ns = arena_array(&p->arena, LIMIT_CHECKPOINTS, sizeof(uint64_t));
	p->n_sites = 4;
	p->sites = arena_array(&p->arena, 4, sizeof(*p->sites));
	frames = arena_array(&p->arena, LIMIT_FRAMES, sizeof(*frames));
	for (uint32_t i = 0; i < LIMIT_FRAMES; i++)
		frames[i] = (struct frame){i % 2 ? "main" : "", "a.c", "/usr/bin/kv", "abcd",
			UINT64_MAX - i, i ? UINT32_MAX : 0, i % 3 == 0};
	for (uint32_t i = 0; i < 4; i++) {
		struct site *s = &p->sites[i];

		*s = (struct site){.kind = (enum site_kind)(i % SITE_KIND_MAX_),
			.label = i == 1 ? "" : "label",
			.frames = frames,
			.n_frames = i == 0 ? LIMIT_FRAMES : i - 1,
			.allocated_bytes = UINT64_MAX,
			.allocated_count = i,
			.samples = UINT64_MAX,
			.survivors = 1,
			.first_half = UINT64_MAX};
		s->live_bytes = arena_array(&p->arena, LIMIT_CHECKPOINTS, sizeof(uint64_t));
		s->live_count = arena_array(&p->arena, LIMIT_CHECKPOINTS, sizeof(uint64_t));
		for (uint32_t c = 0; c < LIMIT_CHECKPOINTS; c++) {
			p->checkpoint_ns[c] = c;
			s->live_bytes[c] = UINT64_MAX - c;
			s->live_count[c] = c * i;
		}
	}
}

static void assert_same_profile(const struct profile *a, const struct profile *b)
{
	assert_memory_equal(&a->target, &b->target, sizeof(a->target));
	assert_string_equal(a->component, b->component);
	assert_string_equal(a->exe, b->exe);
	assert_true(a->order_id == b->order_id && a->start_unix_ns == b->start_unix_ns &&
		a->duration_ns == b->duration_ns && a->period_bytes == b->period_bytes &&
		a->anon_start_bytes == b->anon_start_bytes &&
		a->anon_end_bytes == b->anon_end_bytes && a->events == b->events &&
		a->dropped == b->dropped && a->pause_ns == b->pause_ns &&
		a->dropped_sites == b->dropped_sites);
	assert_int_equal(a->n_checkpoints, b->n_checkpoints);
	assert_int_equal(a->n_sites, b->n_sites);
	if (a->n_checkpoints)
		assert_memory_equal(a->checkpoint_ns, b->checkpoint_ns, a->n_checkpoints * 8);
	for (uint32_t i = 0; i < a->n_sites; i++) {
		const struct site *x = &a->sites[i], *y = &b->sites[i];

		assert_int_equal(x->kind, y->kind);
		assert_string_equal(x->label, y->label);
		assert_true(x->allocated_bytes == y->allocated_bytes &&
			x->allocated_count == y->allocated_count && x->samples == y->samples &&
			x->survivors == y->survivors && x->first_half == y->first_half);
		if (a->n_checkpoints) {
			assert_memory_equal(x->live_bytes, y->live_bytes, a->n_checkpoints * 8);
			assert_memory_equal(x->live_count, y->live_count, a->n_checkpoints * 8);
		}
		assert_int_equal(x->n_frames, y->n_frames);
		for (uint32_t k = 0; k < x->n_frames; k++) {
			const struct frame *f = &x->frames[k], *g = &y->frames[k];

			assert_string_equal(f->function, g->function);
			assert_string_equal(f->file, g->file);
			assert_string_equal(f->module, g->module);
			assert_string_equal(f->build_id, g->build_id);
			assert_true(f->offset == g->offset && f->line == g->line &&
				f->inlined == g->inlined);
		}
	}
}

static void profile_round_trip(void **state)
{
	static const uint32_t checkpoints[] = {LIMIT_CHECKPOINTS, 1, 0};

	for (size_t i = 0; i < COUNT(checkpoints); i++) {
		struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
		struct err err = ERR_INIT;
		struct profile p, got;

		make_profile(&p);
		p.n_checkpoints = checkpoints[i];
		assert_int_equal(wire_encode_profile(&p, &out, &err), 0);
		assert_int_equal(wire_decode_profile(out.data, out.len, &got, &err), 0);
		assert_same_profile(&p, &got);
		profile_done(&got);
		p.n_sites = 0;
		buf_clear(&out);
		assert_int_equal(wire_encode_profile(&p, &out, &err), 0);
		assert_int_equal(wire_decode_profile(out.data, out.len, &got, &err), 0);
		assert_same_profile(&p, &got);
		profile_done(&got);
		profile_done(&p);
		buf_done(&out);
	}
}

static void make_helper(struct helper_msg *m, enum helper_kind kind)
{
	static uint64_t pids[HELPER_MAX_PIDS], starts[HELPER_MAX_PIDS];

	*m = (struct helper_msg){.kind = kind};
	switch (kind) {
	case HELPER_IDENTIFY:
		for (size_t i = 0; i < HELPER_MAX_PIDS; i++) {
			pids[i] = i;
			starts[i] = UINT64_MAX - i;
		}
		m->pids = pids;
		m->starts = starts;
		m->n_pids = HELPER_MAX_PIDS;
		break;
	case HELPER_PROFILE:
		make_order(&m->order, 3);
		break;
	case HELPER_IDENTITY:
		m->pid = UINT64_MAX;
		m->start_ticks = UINT64_MAX;
		m->name = "/usr/bin/\xff";
		m->text = "abcd";
		break;
	case HELPER_RESULT:
		m->payload = "a\0b\xff";
		m->payload_bytes = 4;
		break;
	case HELPER_PROGRESS:
	case HELPER_REFUSED:
	case HELPER_FAILED:
		m->name = "stage";
		m->text = "a sentence";
		break;
	case HELPER_DONE:
		break;
	}
}

static const enum helper_kind helper_kinds[] = {HELPER_IDENTIFY, HELPER_PROFILE, HELPER_IDENTITY,
	HELPER_PROGRESS, HELPER_RESULT, HELPER_DONE, HELPER_REFUSED, HELPER_FAILED};

static void helper_round_trip(void **state)
{
	for (size_t i = 0; i < COUNT(helper_kinds); i++) {
		struct arena a = ARENA_INIT(1u << 20);
		struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
		struct helper_msg m, got;
		struct err err = ERR_INIT;

		make_helper(&m, helper_kinds[i]);
		assert_int_equal(helper_encode(&m, &out, &err), 0);
		assert_int_equal(
			helper_head((const uint8_t *)out.data), out.len - HELPER_HEAD_BYTES);
		assert_int_equal(helper_decode(out.data + HELPER_HEAD_BYTES,
					 out.len - HELPER_HEAD_BYTES, &a, &got, &err),
			0);
		assert_int_equal(got.kind, m.kind);
		assert_true(got.pid == m.pid && got.start_ticks == m.start_ticks);
		assert_string_equal(got.name, m.name ? m.name : "");
		assert_string_equal(got.text, m.text ? m.text : "");
		assert_int_equal(got.n_pids, m.n_pids);
		if (m.n_pids) {
			assert_memory_equal(got.pids, m.pids, m.n_pids * 8);
			assert_memory_equal(got.starts, m.starts, m.n_pids * 8);
		}
		assert_int_equal(got.payload_bytes, m.payload_bytes);
		if (m.payload_bytes)
			assert_memory_equal(got.payload, m.payload, m.payload_bytes);
		if (m.kind == HELPER_PROFILE)
			assert_same_order(&got.order, &m.order);
		buf_done(&out);
		arena_done(&a);
	}
}

static void helper_heads(void **state)
{
	static const uint8_t wrong[][9] = {"RSH2\1\0\0\0", "rsh1\1\0\0\0", "RSH1\1\0\0\1",
		"RSH1\xff\xff\xff\xff", "\0\0\0\0\0\0\0\0"};

	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_true(helper_head(wrong[i]) < 0);
	assert_int_equal(helper_head((const uint8_t *)"RSH1\0\0\0\0"), 0);
	assert_int_equal(helper_head((const uint8_t *)"RSH1\2\1\0\0"), 258);
}

/* Hostile bytes: each decoder gets an exact copy on the heap, so that a sanitizer or valgrind sees
 * a read past the end. What it accepts must be whole. */

static bool ends(const char *s, size_t size)
{
	return strnlen(s, size) < size;
}

static int try_batch(const void *p, size_t n)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct err err = ERR_INIT;
	struct batch b;
	int r = wire_decode_batch(p, n, &a, &b, &err);

	if (r == 0) {
		assert_true(b.host[0] && ends(b.host, sizeof(b.host)));
		assert_true(b.boot_id[0] && ends(b.boot_id, sizeof(b.boot_id)));
		assert_true(b.seq && b.pace && b.n_samples <= LIMIT_BATCH_ENTITIES);
		for (size_t i = 0; i < b.n_samples; i++) {
			assert_true(b.samples[i].kind < ENTITY_KIND_MAX_);
			assert_true(ends(b.samples[i].component, LIMIT_STRING_BYTES + 1));
			assert_true(ends(b.samples[i].version, LIMIT_STRING_BYTES + 1));
			assert_int_equal(b.samples[i].present >> METRIC_MAX_, 0);
		}
	}
	assert_int_equal(r, err.code);
	assert_true(r == 0 || err.msg[0]);
	arena_done(&a);
	return r;
}

static void check_order(const struct order *o)
{
	assert_int_equal(o->kind, ORDER_KIND_PROFILE);
	assert_true(o->target.pid > 0 && o->target.pid <= INT32_MAX);
	assert_true(o->target.boot_id[0] && ends(o->target.boot_id, sizeof(o->target.boot_id)));
	assert_true(ends(o->host, sizeof(o->host)));
	assert_true(o->duration_ns && o->sample_period_bytes);
}

static int try_reply(const void *p, size_t n)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct err err = ERR_INIT;
	struct reply rep;
	int r = wire_decode_reply(p, n, &a, &rep, &err);

	if (r == 0) {
		assert_true(rep.pace && rep.n_orders <= WIRE_MAX_ORDERS);
		for (size_t i = 0; i < rep.n_orders; i++)
			check_order(&rep.orders[i]);
	}
	assert_int_equal(r, err.code);
	arena_done(&a);
	return r;
}

static int try_report(const void *p, size_t n)
{
	struct err err = ERR_INIT;
	struct report rep;
	int r = wire_decode_report(p, n, &rep, &err);

	if (r == 0)
		assert_true(rep.order_id && rep.state < ORDER_STATE_MAX_ &&
			ends(rep.reason, sizeof(rep.reason)));
	assert_int_equal(r, err.code);
	return r;
}

static int try_profile(const void *p, size_t n)
{
	struct err err = ERR_INIT;
	struct profile prof;
	int r = wire_decode_profile(p, n, &prof, &err);
	uint64_t sum = 0;

	if (r == 0) {
		assert_true(prof.target.pid && prof.n_checkpoints <= LIMIT_CHECKPOINTS &&
			prof.n_sites <= LIMIT_PROFILE_SITES);
		assert_non_null(prof.component);
		assert_non_null(prof.exe);
		for (uint32_t i = 0; i < prof.n_sites; i++) {
			const struct site *s = &prof.sites[i];

			assert_true(s->kind < SITE_KIND_MAX_ && s->n_frames <= LIMIT_FRAMES);
			for (uint32_t c = 0; c < prof.n_checkpoints; c++)
				sum += s->live_bytes[c] + s->live_count[c] + prof.checkpoint_ns[c];
			sum += strlen(s->label);
			for (uint32_t k = 0; k < s->n_frames; k++)
				sum += strlen(s->frames[k].function) + strlen(s->frames[k].file) +
					strlen(s->frames[k].module) + strlen(s->frames[k].build_id);
		}
	}
	assert_int_equal(r, err.code);
	profile_done(&prof);
	return sum == 1 ? r + 0 : r;
}

static int try_helper(const void *p, size_t n)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct err err = ERR_INIT;
	struct helper_msg m;
	int r = helper_decode(p, n, &a, &m, &err);
	uint64_t sum = 0;

	if (r == 0) {
		assert_true(m.kind >= 1 && m.kind <= HELPER_FAILED);
		assert_true(m.n_pids <= HELPER_MAX_PIDS);
		for (size_t i = 0; i < m.n_pids; i++)
			sum += m.pids[i] + m.starts[i];
		for (size_t i = 0; i < m.payload_bytes; i++)
			sum += ((const unsigned char *)m.payload)[i];
		sum += strlen(m.name) + strlen(m.text);
		if (m.kind == HELPER_PROFILE)
			check_order(&m.order);
	}
	assert_int_equal(r, err.code);
	arena_done(&a);
	return sum == 1 ? r + 0 : r;
}

struct victim {
	int (*decode)(const void *p, size_t n);
	struct buf bytes;
};

#define VICTIMS 7

static void make_victims(struct victim v[VICTIMS])
{
	struct order o;
	struct batch b;
	struct reply rep = {.acked_seq = 7, .pace = 3, .orders = &o, .n_orders = 1};
	struct report report = {.order_id = 9, .state = ORDER_RUNNING, .reason = "at work"};
	struct profile p;
	struct helper_msg m;

	for (int i = 0; i < VICTIMS; i++)
		v[i].bytes = BUF_INIT(LIMIT_MESSAGE_BYTES);
	make_batch(&b);
	make_order(&o, 1);
	make_profile(&p);
	p.n_checkpoints = 3;
	p.sites[0].n_frames = 3;
	v[0].decode = try_batch;
	assert_int_equal(wire_encode_batch(&b, &v[0].bytes, NULL), 0);
	v[1].decode = try_reply;
	assert_int_equal(wire_encode_reply(&rep, &v[1].bytes, NULL), 0);
	v[2].decode = try_report;
	assert_int_equal(wire_encode_report(&report, &v[2].bytes, NULL), 0);
	v[3].decode = try_profile;
	assert_int_equal(wire_encode_profile(&p, &v[3].bytes, NULL), 0);
	for (int i = 4; i < VICTIMS; i++) {
		static const enum helper_kind kinds[] = {
			HELPER_PROFILE, HELPER_IDENTITY, HELPER_IDENTIFY};

		make_helper(&m, kinds[i - 4]);
		if (m.n_pids)
			m.n_pids = 5;
		v[i].decode = try_helper;
		assert_int_equal(helper_encode(&m, &v[i].bytes, NULL), 0);
		buf_consume(&v[i].bytes, HELPER_HEAD_BYTES);
	}
	profile_done(&p);
}

static int decode_exact(const struct victim *v, const void *p, size_t n)
{
	char *exact = malloc(n ? n : 1);
	int r;

	memcpy(exact, p, n);
	r = v->decode(exact, n);
	free(exact);
	assert_true(r <= 0);
	return r;
}

static void every_truncation(void **state)
{
	struct victim v[VICTIMS];

	make_victims(v);
	for (int i = 0; i < VICTIMS; i++) {
		assert_int_equal(decode_exact(&v[i], v[i].bytes.data, v[i].bytes.len), 0);
		for (size_t n = 0; n < v[i].bytes.len; n++)
			(void)decode_exact(&v[i], v[i].bytes.data, n);
		assert_true(decode_exact(&v[i], "", 0) < 0);
		/* Cut inside the last field, it is malformed for certain. */
		assert_true(decode_exact(&v[i], v[i].bytes.data, v[i].bytes.len - 1) < 0);
		buf_done(&v[i].bytes);
	}
}

static void random_mutations(void **state)
{
	struct rng rng = {2024};
	struct victim v[VICTIMS];
	size_t accepted = 0;

	make_victims(v);
	for (int i = 0; i < MUTATIONS; i++) {
		const struct victim *one = &v[i % VICTIMS];
		size_t n = one->bytes.len,
		       extra = rng_below(&rng, 4) == 0 ? rng_below(&rng, 20) : 0;
		char *copy = malloc(n + extra);
		uint64_t edits = 1 + rng_below(&rng, 6);

		memcpy(copy, one->bytes.data, n);
		for (size_t k = n; k < n + extra; k++)
			copy[k] = (char)rng_next(&rng);
		for (uint64_t e = 0; e < edits; e++) {
			size_t at = rng_below(&rng, n), to = rng_below(&rng, n);
			size_t run = 1 + rng_below(&rng, 8);

			switch (rng_below(&rng, 4)) {
			case 0:
				copy[at] = (char)(copy[at] ^ 1 << rng_below(&rng, 8));
				break;
			case 1:
				copy[at] = (char)rng_next(&rng);
				break;
			case 2:
				copy[at] = (char)0xff;
				break;
			default:
				if (at + run <= n && to + run <= n)
					memmove(copy + to, copy + at, run);
			}
		}
		accepted += decode_exact(one, copy, n + extra) == 0;
		free(copy);
	}
	/* Changed texts and numbers are valid, so some pass; most do not. */
	assert_true(accepted > 100 && accepted < MUTATIONS * 3 / 4);
	for (int i = 0; i < VICTIMS; i++)
		buf_done(&v[i].bytes);
}

/* A newer peer may add fields, and another version is refused with its own code. */

static void unknown_fields_are_skipped(void **state)
{
	struct victim v[VICTIMS];

	make_victims(v);
	for (int i = 0; i < VICTIMS; i++) {
		assert_int_equal(pb_put_u64(&v[i].bytes, 1000, 5), 0);
		assert_int_equal(pb_put_double(&v[i].bytes, 1001, 0.5), 0);
		assert_int_equal(pb_put_string(&v[i].bytes, 1002, "new"), 0);
		assert_int_equal(decode_exact(&v[i], v[i].bytes.data, v[i].bytes.len), 0);
		buf_done(&v[i].bytes);
	}
}

static void check_version(int which)
{
	struct victim v[VICTIMS];
	int r;

	make_victims(v);
	assert_int_equal(v[which].bytes.data[0], 1 << 3);
	v[which].bytes.data[1] = 2;
	r = decode_exact(&v[which], v[which].bytes.data, v[which].bytes.len);
	for (int i = 0; i < VICTIMS; i++)
		buf_done(&v[i].bytes);
	assert_int_equal(r, -EPROTONOSUPPORT);
}

static void batch_of_another_version(void **state)
{
	check_version(0);
}

static void reply_of_another_version(void **state)
{
	check_version(1);
}

static void report_of_another_version(void **state)
{
	check_version(2);
}

static void profile_of_another_version(void **state)
{
	check_version(3);
}

/* A string where a number belongs is not "exactly right". */
static void batch_with_a_field_of_another_type(void **state)
{
	struct victim v[VICTIMS];

	make_victims(v);
	assert_int_equal(pb_put_string(&v[0].bytes, 8, "dropped"), 0);
	assert_int_equal(decode_exact(&v[0], v[0].bytes.data, v[0].bytes.len), -EBADMSG);
	for (int i = 0; i < VICTIMS; i++)
		buf_done(&v[i].bytes);
}

static void columns_of_different_length(void **state)
{
	static const uint64_t one[] = {0}, two[] = {0, 0};

	for (uint32_t odd = 19; odd <= 30; odd++) {
		struct buf b = BUF_INIT(1000);
		int r;

		if (odd > 26 && odd < 30)
			continue;
		assert_int_equal(pb_put_u64(&b, 1, WIRE_VERSION), 0);
		assert_int_equal(pb_put_string(&b, 2, "h"), 0);
		assert_int_equal(pb_put_string(&b, 3, "b"), 0);
		assert_int_equal(pb_put_u64(&b, 4, 1), 0);
		assert_int_equal(pb_put_u64(&b, 7, 1), 0);
		assert_int_equal(pb_put_string(&b, 10, "s"), 0);
		assert_int_equal(pb_put_string(&b, 11, "anon"), 0);
		for (uint32_t f = 20; f <= 26; f++)
			assert_int_equal(
				pb_put_column(&b, f, f == odd ? two : one, f == odd ? 2 : 1), 0);
		assert_int_equal(pb_put_column(&b, 30, two, odd == 30 ? 2 : 1), 0);
		r = try_batch(b.data, b.len);
		assert_int_equal(r, odd == 19 ? 0 : -EBADMSG);
		/* A column twice, a metric without values. */
		if (odd == 19) {
			assert_int_equal(pb_put_column(&b, 21, one, 1), 0);
			assert_int_equal(try_batch(b.data, b.len), -EBADMSG);
		}
		buf_done(&b);
	}
}

/* auth */

static const char key_text[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char nonce[] = "00112233445566778899aabbccddeeff";

/* From Python: hmac.new(bytes(range(32)), b"resin1\nPOST\n/v1/batches\n" + nonce + b"\n" + body,
 * "sha256").hexdigest(). */
static const char vector_body[] =
	"c58b9fbc729216ef8f8c0bd4619ee7bd8832bb275fb50810a9cf6542ab90134c";
static const char vector_empty[] =
	"67d5496c4cee5c6ca030b55620336d5018c8b5b2f5e9a532db1353e9f134d75e";

static void auth_matches_an_independent_hmac(void **state)
{
	char sig[AUTH_SIGNATURE_HEX];
	struct auth_key k;

	assert_int_equal(auth_key_parse(key_text, &k), 0);
	assert_int_equal(
		auth_sign(&k, "POST", "/v1/batches", nonce, "body\0bytes", 10, sig, NULL), 0);
	assert_string_equal(sig, vector_body);
	assert_true(auth_verify(&k, "POST", "/v1/batches", nonce, "body\0bytes", 10, sig));
	assert_int_equal(auth_sign(&k, "REPLY", "/", nonce, NULL, 0, sig, NULL), 0);
	assert_string_equal(sig, vector_empty);
}

static void auth_fails_with_one_bit_flipped(void **state)
{
	char sig[AUTH_SIGNATURE_HEX], body[] = "some body", n[sizeof(nonce)];
	struct auth_key k;

	memcpy(n, nonce, sizeof(n));
	assert_int_equal(auth_key_parse(key_text, &k), 0);
	assert_int_equal(auth_sign(&k, "POST", "/p", n, body, 9, sig, NULL), 0);
	for (size_t i = 0; i < 8 * 64; i++) {
		sig[i / 8] = (char)(sig[i / 8] ^ 1 << i % 8);
		assert_false(auth_verify(&k, "POST", "/p", n, body, 9, sig));
		sig[i / 8] = (char)(sig[i / 8] ^ 1 << i % 8);
	}
	for (size_t i = 0; i < 8 * 9; i++) {
		body[i / 8] = (char)(body[i / 8] ^ 1 << i % 8);
		assert_false(auth_verify(&k, "POST", "/p", n, body, 9, sig));
		body[i / 8] = (char)(body[i / 8] ^ 1 << i % 8);
	}
	for (size_t i = 0; i < 8 * 32; i++) {
		n[i / 8] = (char)(n[i / 8] ^ 1 << i % 8);
		assert_false(auth_verify(&k, "POST", "/p", n, body, 9, sig));
		n[i / 8] = (char)(n[i / 8] ^ 1 << i % 8);
	}
	for (size_t i = 0; i < 8 * AUTH_SECRET_BYTES; i++) {
		k.secret[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(auth_verify(&k, "POST", "/p", n, body, 9, sig));
		k.secret[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(auth_verify(&k, "POST", "/p", n, body, 9, sig));
	assert_false(auth_verify(&k, "REPLY", "/p", n, body, 9, sig));
	assert_false(auth_verify(&k, "POST", "/q", n, body, 9, sig));
	assert_false(auth_verify(&k, "POST", "/p", n, body, 8, sig));
	assert_false(auth_verify(&k, "POST", "/p", n, body, 9, NULL));
	assert_false(auth_verify(&k, "POST", "/p", NULL, body, 9, sig));
	assert_false(auth_verify(&k, "POST", "/p", "", body, 9, sig));
	assert_false(auth_verify(&k, "POST", "/p", n, body, 9, ""));
	sig[63] = 0;
	assert_false(auth_verify(&k, "POST", "/p", n, body, 9, sig));
}

static void auth_keys(void **state)
{
	char text[100];
	struct auth_key k;

	snprintf(text, sizeof(text), " \n\t%s\r\n", key_text);
	assert_int_equal(auth_key_parse(text, &k), 0);
	for (int i = 0; i < AUTH_SECRET_BYTES; i++)
		assert_int_equal(k.secret[i], i);
	for (size_t n = 0; n < 64; n++) {
		snprintf(text, sizeof(text), "%.*s", (int)n, key_text);
		assert_int_equal(auth_key_parse(text, &k), -EINVAL);
	}
	snprintf(text, sizeof(text), "%s0", key_text);
	assert_int_equal(auth_key_parse(text, &k), -EINVAL);
	snprintf(text, sizeof(text), "%s", key_text);
	text[10] = 'g';
	assert_int_equal(auth_key_parse(text, &k), -EINVAL);
	text[10] = ' ';
	assert_int_equal(auth_key_parse(text, &k), -EINVAL);
}

/* "64 hex digits": capitals are such too. */
static void auth_keys_in_capitals(void **state)
{
	char text[] = "FF0102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
	struct auth_key k;

	assert_int_equal(auth_key_parse(text, &k), 0);
	assert_int_equal(k.secret[0], 0xff);
}

static void auth_randomness(void **state)
{
	uint8_t a[32] = {0}, b[32] = {0};

	assert_int_equal(auth_random(a, sizeof(a), NULL), 0);
	assert_int_equal(auth_random(b, sizeof(b), NULL), 0);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* torture */

static int work_batch(void)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	struct batch b, got;
	int r;

	make_batch(&b);
	r = wire_encode_batch(&b, &out, &err);
	if (r == 0)
		r = wire_decode_batch(out.data, out.len, &a, &got, &err);
	if (err.code != r)
		r = -EIO;
	buf_done(&out);
	arena_done(&a);
	return r;
}

static int work_reply(void)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	struct order o;
	struct reply rep = {.acked_seq = 1, .pace = 1, .orders = &o, .n_orders = 1}, got;
	struct report report = {.order_id = 1}, got_report;
	int r;

	make_order(&o, 1);
	r = wire_encode_reply(&rep, &out, &err);
	if (r == 0)
		r = wire_decode_reply(out.data, out.len, &a, &got, &err);
	buf_done(&out);
	if (r == 0)
		r = wire_encode_report(&report, &out, &err);
	if (r == 0)
		r = wire_decode_report(out.data, out.len, &got_report, &err);
	if (err.code != r)
		r = -EIO;
	buf_done(&out);
	arena_done(&a);
	return r;
}

static struct profile torture_profile;

static int work_profile(void)
{
	struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	struct profile got;
	int r = wire_encode_profile(&torture_profile, &out, &err);

	if (r == 0) {
		r = wire_decode_profile(out.data, out.len, &got, &err);
		profile_done(&got);
	}
	if (err.code != r)
		r = -EIO;
	buf_done(&out);
	return r;
}

static int work_helper(void)
{
	struct err err = ERR_INIT;
	int r = 0;

	for (size_t i = 0; i < COUNT(helper_kinds) && r == 0; i++) {
		struct arena a = ARENA_INIT(1u << 20);
		struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
		struct helper_msg m, got;

		make_helper(&m, helper_kinds[i]);
		r = helper_encode(&m, &out, &err);
		if (r == 0)
			r = helper_decode(out.data + HELPER_HEAD_BYTES, out.len - HELPER_HEAD_BYTES,
				&a, &got, &err);
		buf_done(&out);
		arena_done(&a);
	}
	return err.code == r ? r : -EIO;
}

static void torture_wire(void **state)
{
	assert_true(torture_run(work_batch) > 5);
	assert_true(torture_run(work_reply) > 3);
	assert_true(torture_run(work_helper) > 8);
	make_profile(&torture_profile);
	assert_true(torture_run(work_profile) > 5);
	profile_done(&torture_profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varints_at_their_extremes),
		cmocka_unit_test(malformed_fields),
		cmocka_unit_test(strings_on_the_wire),
		cmocka_unit_test(batch_round_trip),
		cmocka_unit_test(batch_of_many),
		cmocka_unit_test(encoding_stops_at_the_ceiling),
		cmocka_unit_test(reply_round_trip),
		cmocka_unit_test(impossible_orders_are_refused),
		cmocka_unit_test(report_round_trip),
		cmocka_unit_test(report_with_an_unknown_state),
		cmocka_unit_test(report_without_a_nonce_or_a_state),
		cmocka_unit_test(profile_round_trip),
		cmocka_unit_test(helper_round_trip),
		cmocka_unit_test(helper_heads),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(random_mutations),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(batch_of_another_version),
		cmocka_unit_test(reply_of_another_version),
		cmocka_unit_test(report_of_another_version),
		cmocka_unit_test(profile_of_another_version),
		cmocka_unit_test(batch_with_a_field_of_another_type),
		cmocka_unit_test(columns_of_different_length),
		cmocka_unit_test(auth_matches_an_independent_hmac),
		cmocka_unit_test(auth_fails_with_one_bit_flipped),
		cmocka_unit_test(auth_keys),
		cmocka_unit_test(auth_keys_in_capitals),
		cmocka_unit_test(auth_randomness),
		cmocka_unit_test(torture_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
