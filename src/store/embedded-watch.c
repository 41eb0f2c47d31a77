/*
 * The embedded engine's tables for the watch over hours: chains of lives, the hours that are not in
 * their state yet, and what was learnt by component.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "store/embedded-private.h"

static void bind_real(struct store *s, enum statement which, int i, double v)
{
	if (isnan(v))
		sqlite3_bind_null(s->st[which], i);
	else
		sqlite3_bind_double(s->st[which], i, v);
}

static double real_of(sqlite3_stmt *st, int column)
{
	return sqlite3_column_type(st, column) == SQLITE_NULL ? (double)NAN
							      : sqlite3_column_double(st, column);
}

static int new_chain(struct store *s, struct store_chain *c, struct err *err)
{
	int r;

	sql_bind_text(s, SQL_NEW_CHAIN, 1, c->host);
	sql_bind_text(s, SQL_NEW_CHAIN, 2, c->component);
	sql_bind_u64(s, SQL_NEW_CHAIN, 3, c->entity_id);
	sql_bind_u64(s, SQL_NEW_CHAIN, 4, c->hour);
	sql_bind_u64(s, SQL_NEW_CHAIN, 5, c->last_seen_ns);
	r = sql_run(s, SQL_NEW_CHAIN, err, "cannot write a chain");
	if (r == 0)
		c->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return r;
}

static int put_state(struct store *s, const struct store_chain *c, struct err *err)
{
	int r;

	sql_bind_u64(s, SQL_PUT_CHAIN, 1, c->id);
	sql_bind_u64(s, SQL_PUT_CHAIN, 2, c->entity_id);
	sql_bind_u64(s, SQL_PUT_CHAIN, 3, c->hour);
	sql_bind_u64(s, SQL_PUT_CHAIN, 4, c->last_seen_ns);
	sqlite3_bind_blob(s->st[SQL_PUT_CHAIN], 5, c->state, (int)c->state_bytes, SQLITE_TRANSIENT);
	r = sql_run(s, SQL_PUT_CHAIN, err, "cannot write a chain");
	if (r < 0)
		return r;
	sql_bind_u64(s, SQL_DROP_HOURS, 1, c->id);
	return sql_run(s, SQL_DROP_HOURS, err, "cannot drop hours");
}

static int put_hour(struct store *s, const struct store_hour *h, struct err *err)
{
	sql_bind_u64(s, SQL_PUT_HOUR, 1, h->chain_id);
	sql_bind_u64(s, SQL_PUT_HOUR, 2, h->hour);
	sql_bind_u64(s, SQL_PUT_HOUR, 3, h->entity_id);
	sql_bind_u64(s, SQL_PUT_HOUR, 4, h->last_seen_ns);
	bind_real(s, SQL_PUT_HOUR, 5, h->bytes);
	bind_real(s, SQL_PUT_HOUR, 6, h->load);
	bind_real(s, SQL_PUT_HOUR, 7, h->limit_bytes);
	sql_bind_u64(s, SQL_PUT_HOUR, 8, h->born);
	return sql_run(s, SQL_PUT_HOUR, err, "cannot write an hour");
}

static int put_learnt(struct store *s, const struct store_learnt *l, struct err *err)
{
	sql_bind_u64(s, SQL_PUT_LEARNT, 1, (uint64_t)l->kind);
	sql_bind_text(s, SQL_PUT_LEARNT, 2, l->name);
	sqlite3_bind_blob(s->st[SQL_PUT_LEARNT], 3, l->v, (int)l->n, SQLITE_TRANSIENT);
	return sql_run(s, SQL_PUT_LEARNT, err, "cannot write what was learnt");
}

static int put_one(
	struct store *s, struct store_chain *c, struct store_hour *h, bool *fresh, struct err *err)
{
	int r = 0;

	*fresh = c->id == 0;
	if (*fresh)
		r = new_chain(s, c, err);
	h->chain_id = c->id;
	if (r == 0 && c->state)
		r = put_state(s, c, err);
	if (r == 0 && h->hour)
		r = put_hour(s, h, err);
	return r;
}

int store_put_hours(struct store *s, struct store_chain *const *chains, struct store_hour *hours,
	size_t n, const struct store_learnt *learnt, size_t n_learnt, struct err *err)
{
	autofree bool *fresh = calloc(n + 1, sizeof(*fresh));
	int r;

	if (!fresh)
		return err_set(err, -ENOMEM, "out of memory");
	r = sql_run(s, SQL_BEGIN, err, "cannot begin");
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_one(s, chains[i], &hours[i], &fresh[i], err);
	for (size_t i = 0; i < n_learnt && r == 0; i++)
		r = put_learnt(s, &learnt[i], err);
	r = sql_end(s, r, err);
	for (size_t i = 0; i < n && r != 0; i++)
		if (fresh[i])
			chains[i]->id = 0;
	return r;
}

int store_drop_chains(struct store *s, const uint64_t *ids, size_t n, struct err *err)
{
	int r = sql_run(s, SQL_BEGIN, err, "cannot begin");

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		sql_bind_u64(s, SQL_DROP_HOURS, 1, ids[i]);
		r = sql_run(s, SQL_DROP_HOURS, err, "cannot drop hours");
		if (r < 0)
			break;
		sql_bind_u64(s, SQL_DROP_CHAIN, 1, ids[i]);
		r = sql_run(s, SQL_DROP_CHAIN, err, "cannot drop a chain");
	}
	return sql_end(s, r, err);
}

struct each {
	store_chain_fn chain;
	store_hour_fn hour;
	store_learnt_fn learnt;
	void *arg;
};

static int on_chain(void *arg, sqlite3_stmt *st)
{
	struct each *a = arg;
	struct store_chain c = {.id = (uint64_t)sqlite3_column_int64(st, 0),
		.entity_id = (uint64_t)sqlite3_column_int64(st, 3),
		.hour = (uint64_t)sqlite3_column_int64(st, 4),
		.last_seen_ns = (uint64_t)sqlite3_column_int64(st, 5),
		.state = sqlite3_column_blob(st, 6),
		.state_bytes = (size_t)sqlite3_column_bytes(st, 6)};

	sql_copy_text(st, 1, c.host, sizeof(c.host));
	sql_copy_text(st, 2, c.component, sizeof(c.component));
	return a->chain(a->arg, &c);
}

int store_each_chain(struct store *s, store_chain_fn fn, void *arg, struct err *err)
{
	struct each a = {.chain = fn, .arg = arg};

	return sql_each_row(s, SQL_EACH_CHAIN, on_chain, &a, err);
}

static int on_hour(void *arg, sqlite3_stmt *st)
{
	struct each *a = arg;
	struct store_hour h = {.chain_id = (uint64_t)sqlite3_column_int64(st, 0),
		.hour = (uint64_t)sqlite3_column_int64(st, 1),
		.entity_id = (uint64_t)sqlite3_column_int64(st, 2),
		.last_seen_ns = (uint64_t)sqlite3_column_int64(st, 3),
		.bytes = real_of(st, 4),
		.load = real_of(st, 5),
		.limit_bytes = sqlite3_column_double(st, 6),
		.born = sqlite3_column_int(st, 7) != 0};

	return a->hour(a->arg, &h);
}

int store_each_hour(struct store *s, store_hour_fn fn, void *arg, struct err *err)
{
	struct each a = {.hour = fn, .arg = arg};

	return sql_each_row(s, SQL_EACH_HOUR, on_hour, &a, err);
}

static int on_learnt(void *arg, sqlite3_stmt *st)
{
	struct each *a = arg;

	return a->learnt(a->arg, (const char *)sqlite3_column_text(st, 0),
		sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
}

int store_each_learnt(struct store *s, enum store_learnt_kind kind, store_learnt_fn fn, void *arg,
	struct err *err)
{
	struct each a = {.learnt = fn, .arg = arg};

	sql_bind_u64(s, SQL_EACH_LEARNT, 1, (uint64_t)kind);
	return sql_each_row(s, SQL_EACH_LEARNT, on_learnt, &a, err);
}
