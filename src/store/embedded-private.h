/*
 * What the files of the embedded engine share: the database, its statements, and how they are run.
 */
#ifndef RESIN_STORE_EMBEDDED_PRIVATE_H
#define RESIN_STORE_EMBEDDED_PRIVATE_H

#include <sqlite3.h>

#include "store/store.h"

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_SEEN,
	SQL_SET_SEEN,
	SQL_NEW_ENTITY,
	SQL_TOUCH_ENTITY,
	SQL_FIND_ENTITY,
	SQL_GET_ENTITY,
	SQL_EACH_ENTITY,
	SQL_PUT_STEP,
	SQL_EACH_STEP,
	SQL_LAST_PACE,
	SQL_PUT_TICKET,
	SQL_PUT_ORDER,
	SQL_EACH_TICKET,
	SQL_EACH_ORDER,
	SQL_PUT_PROFILE,
	SQL_GET_PROFILE,
	SQL_EXPIRE_STEPS,
	SQL_EXPIRE_ENTITIES,
	SQL_PUT_CHAIN,
	SQL_NEW_CHAIN,
	SQL_DROP_CHAIN,
	SQL_DROP_HOURS,
	SQL_PUT_HOUR,
	SQL_EACH_CHAIN,
	SQL_EACH_HOUR,
	SQL_PUT_LEARNT,
	SQL_EACH_LEARNT,
	SQL_MAX_,
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *st[SQL_MAX_];
	char path[4096];
};

/* What the database said last, as an error of ours. */
int sql_fail(struct store *s, struct err *err, const char *what);
/* Runs a statement that returns no rows. */
must_check int sql_run(struct store *s, enum statement which, struct err *err, const char *what);
void sql_bind_text(struct store *s, enum statement which, int i, const char *text);
void sql_bind_u64(struct store *s, enum statement which, int i, uint64_t v);
/* Steps through the rows of a query that is already bound. */
must_check int sql_each_row(struct store *s, enum statement which,
	int (*row)(void *arg, sqlite3_stmt *st), void *arg, struct err *err);
void sql_copy_text(sqlite3_stmt *st, int column, char *to, size_t size);
/* Ends a transaction, well (r == 0) or not; returns r or what went wrong. */
must_check int sql_end(struct store *s, int r, struct err *err);

#endif
