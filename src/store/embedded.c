/*
 * The embedded engine: one SQLite database, WAL, synchronous=FULL (an acknowledged batch survives a
 * power cut), schema version in user_version.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/embedded-private.h"
#include "store/record.h"

#define SCHEMA_VERSION 2
#define RECORD_BYTES 8192u

/* clang-format off */
static const char schema_1[] =
	"CREATE TABLE entity(id INTEGER PRIMARY KEY, host TEXT NOT NULL, boot TEXT NOT NULL,"
	" pid INTEGER NOT NULL, start INTEGER NOT NULL, component TEXT NOT NULL, version TEXT NOT NULL,"
	" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, UNIQUE(host, boot, pid, start));"
	"CREATE TABLE seen(host TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL,"
	" PRIMARY KEY(host, boot)) WITHOUT ROWID;"
	"CREATE TABLE step(entity INTEGER NOT NULL, pace INTEGER NOT NULL, t INTEGER NOT NULL,"
	" length INTEGER NOT NULL, v BLOB NOT NULL, PRIMARY KEY(entity, pace, t)) WITHOUT ROWID;"
	"CREATE TABLE ticket(id INTEGER PRIMARY KEY, v BLOB NOT NULL);"
	"CREATE TABLE orders(id INTEGER PRIMARY KEY, v BLOB NOT NULL);"
	"CREATE TABLE profile(id INTEGER PRIMARY KEY, v BLOB NOT NULL);";
/* What the watch over hours remembers. Tickets got fields at their end. */
static const char schema_2[] =
	"CREATE TABLE chain(id INTEGER PRIMARY KEY, host TEXT NOT NULL, component TEXT NOT NULL,"
	" entity INTEGER NOT NULL, hour INTEGER NOT NULL, last_seen INTEGER NOT NULL, v BLOB);"
	"CREATE TABLE hour(chain INTEGER NOT NULL, hour INTEGER NOT NULL, entity INTEGER NOT NULL,"
	" last_seen INTEGER NOT NULL, bytes REAL, load REAL, bound REAL NOT NULL, born INTEGER NOT NULL,"
	" PRIMARY KEY(chain, hour)) WITHOUT ROWID;"
	"CREATE TABLE learnt(kind INTEGER NOT NULL, name TEXT NOT NULL, v BLOB NOT NULL,"
	" PRIMARY KEY(kind, name)) WITHOUT ROWID;";
/* clang-format on */

#define SELECT_ENTITY \
	"SELECT id, host, boot, pid, start, component, version, first_seen, last_seen FROM entity "

static const char *const sql[SQL_MAX_] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_SEEN] = "SELECT seq FROM seen WHERE host = ?1 AND boot = ?2",
	[SQL_SET_SEEN] = "INSERT OR REPLACE INTO seen VALUES(?1, ?2, ?3)",
	[SQL_NEW_ENTITY] = "INSERT INTO entity VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SQL_TOUCH_ENTITY] =
		"UPDATE entity SET component = ?2, version = ?3, last_seen = ?4 WHERE id = ?1",
	[SQL_FIND_ENTITY] =
		"SELECT id FROM entity WHERE host = ?1 AND boot = ?2 AND pid = ?3 AND start = ?4",
	[SQL_GET_ENTITY] = SELECT_ENTITY "WHERE id = ?1",
	[SQL_EACH_ENTITY] = SELECT_ENTITY "WHERE last_seen >= ?1",
	[SQL_PUT_STEP] = "INSERT OR REPLACE INTO step VALUES(?1, ?2, ?3, ?4, ?5)",
	[SQL_EACH_STEP] =
		"SELECT t, length, v FROM step WHERE entity = ?1 AND pace = ?2 AND t >= ?3 "
		"ORDER BY t",
	[SQL_LAST_PACE] = "SELECT pace FROM step WHERE entity = ?1 ORDER BY t DESC LIMIT 1",
	[SQL_PUT_TICKET] = "INSERT OR REPLACE INTO ticket VALUES(?1, ?2)",
	[SQL_PUT_ORDER] = "INSERT OR REPLACE INTO orders VALUES(?1, ?2)",
	[SQL_EACH_TICKET] = "SELECT id, v FROM ticket ORDER BY id",
	[SQL_EACH_ORDER] = "SELECT id, v FROM orders ORDER BY id",
	[SQL_PUT_PROFILE] = "INSERT INTO profile VALUES(NULL, ?1)",
	[SQL_GET_PROFILE] = "SELECT v FROM profile WHERE id = ?1",
	[SQL_EXPIRE_STEPS] = "DELETE FROM step WHERE t < ?1",
	[SQL_EXPIRE_ENTITIES] = "DELETE FROM entity WHERE last_seen < ?1",
	[SQL_PUT_CHAIN] = "UPDATE chain SET entity = ?2, hour = ?3, last_seen = ?4, v = ?5 WHERE "
			  "id = ?1",
	[SQL_NEW_CHAIN] = "INSERT INTO chain VALUES(NULL, ?1, ?2, ?3, ?4, ?5, NULL)",
	[SQL_DROP_CHAIN] = "DELETE FROM chain WHERE id = ?1",
	[SQL_DROP_HOURS] = "DELETE FROM hour WHERE chain = ?1",
	[SQL_PUT_HOUR] = "INSERT OR REPLACE INTO hour VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SQL_EACH_CHAIN] = "SELECT id, host, component, entity, hour, last_seen, v FROM chain",
	[SQL_EACH_HOUR] =
		"SELECT chain, hour, entity, last_seen, bytes, load, bound, born FROM hour "
		"ORDER BY chain, hour",
	[SQL_PUT_LEARNT] = "INSERT OR REPLACE INTO learnt VALUES(?1, ?2, ?3)",
	[SQL_EACH_LEARNT] = "SELECT name, v FROM learnt WHERE kind = ?1",
};

int sql_fail(struct store *s, struct err *err, const char *what)
{
	int code = sqlite3_extended_errcode(s->db);
	int r = (code & 0xff) == SQLITE_FULL					       ? -ENOSPC
		: (code & 0xff) == SQLITE_READONLY || (code & 0xff) == SQLITE_CANTOPEN ? -EACCES
										       : -EIO;

	return err_set(err, r, "%s in %s: %s", what, s->path, sqlite3_errmsg(s->db));
}

static int migrate(struct store *s, struct err *err)
{
	sqlite3_stmt *st;
	char after[256];
	int version = 0;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
		return sql_fail(s, err, "cannot read the schema version");
	if (sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int(st, 0);
	else
		version = -1;
	sqlite3_finalize(st);
	if (version < 0)
		return sql_fail(s, err, "cannot read the schema version");
	if (version == SCHEMA_VERSION)
		return 0;
	if (version > SCHEMA_VERSION)
		return err_set(err, -EPROTONOSUPPORT,
			"%s was written by a newer resin (schema %d, this one knows %d)", s->path,
			version, SCHEMA_VERSION);
	/* Tickets of before are as long as they were then, and what came to their end is zero. */
	snprintf(after, sizeof(after),
		"UPDATE ticket SET v = v || zeroblob(%zu - length(v)) WHERE length(v) = %zu;"
		"PRAGMA user_version = %d",
		sizeof(struct ticket), offsetof(struct ticket, seen_by), SCHEMA_VERSION);
	if (sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
		(version < 1 && sqlite3_exec(s->db, schema_1, NULL, NULL, NULL) != SQLITE_OK) ||
		sqlite3_exec(s->db, schema_2, NULL, NULL, NULL) != SQLITE_OK ||
		sqlite3_exec(s->db, after, NULL, NULL, NULL) != SQLITE_OK ||
		sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return sql_fail(s, err, "cannot make the tables");
	return 0;
}

int store_open(struct store **ret, const char *dir, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	snprintf(s->path, sizeof(s->path), "%.4000s/resin.sqlite", dir);
	if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
		SQLITE_OK) {
		r = err_set(err, -EACCES, "cannot open %s: %s; is the data directory writable?",
			s->path, sqlite3_errmsg(s->db));
		store_close(s);
		return r;
	}
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_timeout(s->db, 3000);
	if (sqlite3_exec(s->db,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE; "
		    /* Takes the lock now, also if nothing is read or written for long. */
		    "PRAGMA trusted_schema=OFF; BEGIN EXCLUSIVE; COMMIT",
		    NULL, NULL, NULL) != SQLITE_OK) {
		r = sqlite3_errcode(s->db) == SQLITE_BUSY
			? err_set(err, -EBUSY, "%s is in use by another server", s->path)
			: sql_fail(s, err, "cannot set up the database");
		store_close(s);
		return r;
	}
	r = migrate(s, err);
	for (int i = 0; i < SQL_MAX_ && r == 0; i++)
		if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i],
			    NULL) != SQLITE_OK)
			r = sql_fail(s, err, "the tables are not as expected");
	if (r < 0) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	for (int i = 0; i < SQL_MAX_; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s);
	return NULL;
}

int sql_run(struct store *s, enum statement which, struct err *err, const char *what)
{
	int r = sqlite3_step(s->st[which]);

	sqlite3_reset(s->st[which]);
	sqlite3_clear_bindings(s->st[which]);
	return r == SQLITE_DONE ? 0 : sql_fail(s, err, what);
}

void sql_bind_text(struct store *s, enum statement which, int i, const char *text)
{
	sqlite3_bind_text(s->st[which], i, text, -1, SQLITE_TRANSIENT);
}

void sql_bind_u64(struct store *s, enum statement which, int i, uint64_t v)
{
	sqlite3_bind_int64(s->st[which], i, (sqlite3_int64)v);
}

int store_last_seq(
	struct store *s, const char *host, const char *boot_id, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *st = s->st[SQL_SEEN];
	int r;

	sql_bind_text(s, SQL_SEEN, 1, host);
	sql_bind_text(s, SQL_SEEN, 2, boot_id);
	r = sqlite3_step(st);
	*ret = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : sql_fail(s, err, "cannot read");
}

int store_last_pace(struct store *s, uint64_t entity_id, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *st = s->st[SQL_LAST_PACE];
	int r;

	sql_bind_u64(s, SQL_LAST_PACE, 1, entity_id);
	r = sqlite3_step(st);
	*ret = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 1;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : sql_fail(s, err, "cannot read");
}

static int find_entity(struct store *s, struct store_entity *e, struct err *err)
{
	sqlite3_stmt *st = s->st[SQL_FIND_ENTITY];
	int r;

	sql_bind_text(s, SQL_FIND_ENTITY, 1, e->host);
	sql_bind_text(s, SQL_FIND_ENTITY, 2, e->process.boot_id);
	sql_bind_u64(s, SQL_FIND_ENTITY, 3, e->process.pid);
	sql_bind_u64(s, SQL_FIND_ENTITY, 4, e->process.start_ticks);
	r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		e->id = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : sql_fail(s, err, "cannot read");
}

static int put_entity(struct store *s, struct store_entity *e, struct err *err)
{
	int r = 0;

	if (!e->id)
		r = find_entity(s, e, err);
	if (r < 0)
		return r;
	if (e->id) {
		sql_bind_u64(s, SQL_TOUCH_ENTITY, 1, e->id);
		sql_bind_text(s, SQL_TOUCH_ENTITY, 2, e->component);
		sql_bind_text(s, SQL_TOUCH_ENTITY, 3, e->version);
		sql_bind_u64(s, SQL_TOUCH_ENTITY, 4, e->last_seen_ns);
		return sql_run(s, SQL_TOUCH_ENTITY, err, "cannot write an entity");
	}
	sql_bind_text(s, SQL_NEW_ENTITY, 1, e->host);
	sql_bind_text(s, SQL_NEW_ENTITY, 2, e->process.boot_id);
	sql_bind_u64(s, SQL_NEW_ENTITY, 3, e->process.pid);
	sql_bind_u64(s, SQL_NEW_ENTITY, 4, e->process.start_ticks);
	sql_bind_text(s, SQL_NEW_ENTITY, 5, e->component);
	sql_bind_text(s, SQL_NEW_ENTITY, 6, e->version);
	sql_bind_u64(s, SQL_NEW_ENTITY, 7, e->first_seen_ns);
	sql_bind_u64(s, SQL_NEW_ENTITY, 8, e->last_seen_ns);
	r = sql_run(s, SQL_NEW_ENTITY, err, "cannot write an entity");
	if (r == 0)
		e->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return r;
}

static int put_step(
	struct store *s, uint64_t entity_id, const struct store_step *step, struct err *err)
{
	autobuf struct buf b = BUF_INIT(RECORD_BYTES);
	int r = record_put_step(step, &b);

	if (r < 0)
		return err_set(err, r, "a step does not fit");
	sql_bind_u64(s, SQL_PUT_STEP, 1, entity_id);
	sql_bind_u64(s, SQL_PUT_STEP, 2, step->pace);
	sql_bind_u64(s, SQL_PUT_STEP, 3, step->unix_ns);
	sql_bind_u64(s, SQL_PUT_STEP, 4, step->step_ns);
	sqlite3_bind_blob(
		s->st[SQL_PUT_STEP], 5, b.data ? b.data : "", (int)b.len, SQLITE_TRANSIENT);
	return sql_run(s, SQL_PUT_STEP, err, "cannot write a step");
}

static int append(struct store *s, const struct batch *e, struct store_entity **entities,
	const struct store_step *const *steps, size_t n, struct err *err)
{
	uint64_t last;
	int r = store_last_seq(s, e->host, e->boot_id, &last, err);

	if (r < 0)
		return r;
	if (e->seq <= last)
		return 1;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = put_entity(s, entities[i], err);
		if (r == 0)
			r = put_step(s, entities[i]->id, steps[i], err);
	}
	if (r < 0)
		return r;
	sql_bind_text(s, SQL_SET_SEEN, 1, e->host);
	sql_bind_text(s, SQL_SET_SEEN, 2, e->boot_id);
	sql_bind_u64(s, SQL_SET_SEEN, 3, e->seq);
	return sql_run(s, SQL_SET_SEEN, err, "cannot write");
}

int sql_end(struct store *s, int r, struct err *err)
{
	if (r == 0)
		r = sql_run(s, SQL_COMMIT, err, "cannot commit");
	if (r != 0 && sql_run(s, SQL_ROLLBACK, NULL, "") < 0)
		return err_set(err, -EIO, "cannot roll back in %s", s->path);
	return r;
}

int store_append(struct store *s, const struct batch *e, struct store_entity **entities,
	const struct store_step *const *steps, size_t n, struct err *err)
{
	autofree bool *fresh = calloc(n + 1, sizeof(*fresh));
	int r;

	if (!fresh)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		fresh[i] = !entities[i]->id;
	r = sql_run(s, SQL_BEGIN, err, "cannot begin");
	if (r < 0)
		return r;
	r = append(s, e, entities, steps, n, err);
	r = sql_end(s, r, err);
	/* An id that was given in a transaction that is undone is nobody's. */
	for (size_t i = 0; i < n && r != 0; i++)
		if (fresh[i])
			entities[i]->id = 0;
	return r;
}

void sql_copy_text(sqlite3_stmt *st, int column, char *to, size_t size)
{
	const char *v = (const char *)sqlite3_column_text(st, column);

	snprintf(to, size, "%s", v ? v : "");
}

static void read_entity(sqlite3_stmt *st, struct store_entity *e)
{
	*e = (struct store_entity){.id = (uint64_t)sqlite3_column_int64(st, 0)};
	sql_copy_text(st, 1, e->host, sizeof(e->host));
	sql_copy_text(st, 2, e->process.boot_id, sizeof(e->process.boot_id));
	e->process.pid = (uint32_t)sqlite3_column_int64(st, 3);
	e->process.start_ticks = (uint64_t)sqlite3_column_int64(st, 4);
	sql_copy_text(st, 5, e->component, sizeof(e->component));
	sql_copy_text(st, 6, e->version, sizeof(e->version));
	e->first_seen_ns = (uint64_t)sqlite3_column_int64(st, 7);
	e->last_seen_ns = (uint64_t)sqlite3_column_int64(st, 8);
}

int sql_each_row(struct store *s, enum statement which, int (*row)(void *arg, sqlite3_stmt *st),
	void *arg, struct err *err)
{
	sqlite3_stmt *st = s->st[which];
	int step = SQLITE_DONE, r = 0;

	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW)
		r = row(arg, st);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (r == 0 && step != SQLITE_DONE)
		r = sql_fail(s, err, "cannot read");
	else if (r < 0 && err && !err->code)
		err_set(err, r, "a record in %s is malformed", s->path);
	return r;
}

struct entity_arg {
	store_entity_fn fn;
	void *arg;
};

static int on_entity(void *arg, sqlite3_stmt *st)
{
	struct entity_arg *a = arg;
	struct store_entity e;

	read_entity(st, &e);
	return a->fn(a->arg, &e);
}

int store_each_entity(
	struct store *s, uint64_t since_ns, store_entity_fn fn, void *arg, struct err *err)
{
	struct entity_arg a = {fn, arg};

	sql_bind_u64(s, SQL_EACH_ENTITY, 1, since_ns);
	return sql_each_row(s, SQL_EACH_ENTITY, on_entity, &a, err);
}

static int on_one_entity(void *arg, sqlite3_stmt *st)
{
	read_entity(st, arg);
	return 0;
}

int store_get_entity(struct store *s, uint64_t id, struct store_entity *ret, struct err *err)
{
	struct store_entity e = {0};
	int r;

	sql_bind_u64(s, SQL_GET_ENTITY, 1, id);
	r = sql_each_row(s, SQL_GET_ENTITY, on_one_entity, &e, err);
	if (r < 0)
		return r;
	if (!e.id)
		return 1;
	*ret = e;
	return 0;
}

struct step_arg {
	store_step_fn fn;
	void *arg;
	uint64_t entity_id, pace;
};

static int on_step(void *arg, sqlite3_stmt *st)
{
	struct step_arg *a = arg;
	struct store_step step = {
		.entity_id = a->entity_id,
		.pace = a->pace,
		.unix_ns = (uint64_t)sqlite3_column_int64(st, 0),
		.step_ns = (uint64_t)sqlite3_column_int64(st, 1),
	};
	int r = record_get_step(
		sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2), &step);

	return r < 0 ? r : a->fn(a->arg, &step);
}

int store_each_step(struct store *s, uint64_t entity_id, uint64_t pace, uint64_t since_ns,
	store_step_fn fn, void *arg, struct err *err)
{
	struct step_arg a = {fn, arg, entity_id, pace};

	sql_bind_u64(s, SQL_EACH_STEP, 1, entity_id);
	sql_bind_u64(s, SQL_EACH_STEP, 2, pace);
	sql_bind_u64(s, SQL_EACH_STEP, 3, since_ns);
	return sql_each_row(s, SQL_EACH_STEP, on_step, &a, err);
}

/* Tickets and orders are few and small: the struct itself, with its size as the version. A later
 * layout has another size and comes with a migration in migrate(). */
static int put_struct(struct store *s, enum statement which, uint64_t *id, const void *p, size_t n,
	struct err *err)
{
	int r;

	if (*id)
		sql_bind_u64(s, which, 1, *id);
	else
		sqlite3_bind_null(s->st[which], 1);
	sqlite3_bind_blob(s->st[which], 2, p, (int)n, SQLITE_TRANSIENT);
	r = sql_run(s, which, err, "cannot write");
	if (r == 0 && !*id)
		*id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return r;
}

int store_put_ticket(struct store *s, struct ticket *t, struct err *err)
{
	return put_struct(s, SQL_PUT_TICKET, &t->id, t, sizeof(*t), err);
}

int store_put_order(struct store *s, struct order *o, struct err *err)
{
	return put_struct(s, SQL_PUT_ORDER, &o->id, o, sizeof(*o), err);
}

struct record_arg {
	store_ticket_fn ticket;
	store_order_fn order;
	void *arg;
};

static int on_ticket(void *arg, sqlite3_stmt *st)
{
	struct record_arg *a = arg;
	struct ticket t;

	if (sqlite3_column_bytes(st, 1) != (int)sizeof(t))
		return -EPROTONOSUPPORT;
	memcpy(&t, sqlite3_column_blob(st, 1), sizeof(t));
	t.id = (uint64_t)sqlite3_column_int64(st, 0);
	return a->ticket(a->arg, &t);
}

static int on_order(void *arg, sqlite3_stmt *st)
{
	struct record_arg *a = arg;
	struct order o;

	if (sqlite3_column_bytes(st, 1) != (int)sizeof(o))
		return -EPROTONOSUPPORT;
	memcpy(&o, sqlite3_column_blob(st, 1), sizeof(o));
	o.id = (uint64_t)sqlite3_column_int64(st, 0);
	return a->order(a->arg, &o);
}

int store_each_ticket(struct store *s, store_ticket_fn fn, void *arg, struct err *err)
{
	struct record_arg a = {.ticket = fn, .arg = arg};

	return sql_each_row(s, SQL_EACH_TICKET, on_ticket, &a, err);
}

int store_each_order(struct store *s, store_order_fn fn, void *arg, struct err *err)
{
	struct record_arg a = {.order = fn, .arg = arg};

	return sql_each_row(s, SQL_EACH_ORDER, on_order, &a, err);
}

int store_put_profile(struct store *s, const void *p, size_t n, uint64_t *ret_id, struct err *err)
{
	int r;

	sqlite3_bind_blob(s->st[SQL_PUT_PROFILE], 1, p, (int)n, SQLITE_TRANSIENT);
	r = sql_run(s, SQL_PUT_PROFILE, err, "cannot write a profile");
	if (r == 0)
		*ret_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	return r;
}

static int on_profile(void *arg, sqlite3_stmt *st)
{
	return buf_add(arg, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
}

int store_get_profile(struct store *s, uint64_t id, struct buf *ret, struct err *err)
{
	sql_bind_u64(s, SQL_GET_PROFILE, 1, id);
	return sql_each_row(s, SQL_GET_PROFILE, on_profile, ret, err);
}

int store_expire(struct store *s, uint64_t before_ns, struct err *err)
{
	int r;

	sql_bind_u64(s, SQL_EXPIRE_STEPS, 1, before_ns);
	r = sql_run(s, SQL_EXPIRE_STEPS, err, "cannot drop old steps");
	if (r < 0)
		return r;
	sql_bind_u64(s, SQL_EXPIRE_ENTITIES, 1, before_ns);
	return sql_run(s, SQL_EXPIRE_ENTITIES, err, "cannot drop old entities");
}

uint64_t store_bytes(struct store *s)
{
	uint64_t total = 0;
	struct stat st;
	char wal[4200];

	if (stat(s->path, &st) == 0)
		total += (uint64_t)st.st_size;
	snprintf(wal, sizeof(wal), "%s-wal", s->path);
	if (stat(wal, &st) == 0)
		total += (uint64_t)st.st_size;
	return total;
}
