/*
 * The store: what the server remembers, behind one interface.
 *
 * The embedded engine is SQLite in the data directory. What store_append() has returned 0 for is on
 * disk. Batches are counted once by (host, boot, seq). All functions return <0 with `err` filled
 * when the disk or the database fails. One thread.
 *
 * Series are kept as steps of the pace at which they were taken; the step that is still open is
 * rewritten with every batch, so a crash loses nothing of it.
 */
#ifndef RESIN_STORE_STORE_H
#define RESIN_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/batch.h"
#include "model/order.h"
#include "model/series.h"
#include "model/ticket.h"

struct store;

must_check int store_open(struct store **ret, const char *dir, struct err *err);
struct store *store_close(struct store *s);

struct store_entity {
	uint64_t id;
	char host[HOST_NAME_MAX_BYTES];
	struct proc_id process;
	char component[256], version[80];
	uint64_t first_seen_ns, last_seen_ns;
};

/* One step of one entity, all metrics. */
struct store_step {
	uint64_t entity_id, unix_ns, pace, step_ns;
	uint32_t present;
	struct point metric[METRIC_MAX_];
};

/* Everything that one batch changes, in one transaction: 0, or 1 when (host, boot, seq) is already
 * there and nothing was written. Entities with id 0 are new and get one. */
must_check int store_append(struct store *s, const struct batch *envelope,
	struct store_entity **entities, const struct store_step *const *steps, size_t n,
	struct err *err);

typedef int (*store_entity_fn)(void *arg, const struct store_entity *e);
/* Entities seen since a time. */
must_check int store_each_entity(
	struct store *s, uint64_t since_ns, store_entity_fn fn, void *arg, struct err *err);
/* 0 or 1 (there is none). */
must_check int store_get_entity(
	struct store *s, uint64_t id, struct store_entity *ret, struct err *err);

typedef int (*store_step_fn)(void *arg, const struct store_step *step);
/* Steps of one entity at one pace, oldest first. */
must_check int store_each_step(struct store *s, uint64_t entity_id, uint64_t pace,
	uint64_t since_ns, store_step_fn fn, void *arg, struct err *err);

/* The pace of an entity's newest step; 1 when it has none. */
must_check int store_last_pace(struct store *s, uint64_t entity_id, uint64_t *ret, struct err *err);

/* The highest seq of a host's boot, 0 when there is none. */
must_check int store_last_seq(
	struct store *s, const char *host, const char *boot_id, uint64_t *ret, struct err *err);

/* Inserts when the id is 0 (and sets it), else replaces. */
must_check int store_put_ticket(struct store *s, struct ticket *t, struct err *err);
must_check int store_put_order(struct store *s, struct order *o, struct err *err);
typedef int (*store_ticket_fn)(void *arg, const struct ticket *t);
typedef int (*store_order_fn)(void *arg, const struct order *o);
must_check int store_each_ticket(struct store *s, store_ticket_fn fn, void *arg, struct err *err);
must_check int store_each_order(struct store *s, store_order_fn fn, void *arg, struct err *err);

/* An encoded profile; the id goes into the ticket. */
must_check int store_put_profile(
	struct store *s, const void *p, size_t n, uint64_t *ret_id, struct err *err);
must_check int store_get_profile(struct store *s, uint64_t id, struct buf *ret, struct err *err);

/* A chain of lives: successive processes of one component on one host, as the watch over hours
 * knows them. `state` holds all hours up to `hour`; later ones are kept one by one. */
struct store_chain {
	uint64_t id; /* 0: new; gets one */
	char host[HOST_NAME_MAX_BYTES];
	char component[256];
	uint64_t entity_id, hour, last_seen_ns;
	const void *state; /* NULL: as it was */
	size_t state_bytes;
};

struct store_hour {
	uint64_t chain_id, hour, entity_id, last_seen_ns;
	double bytes, load; /* NAN: none */
	double limit_bytes; /* 0: none is known */
	bool born;	    /* the process began where it could be seen */
};

enum store_learnt_kind { STORE_NORM = 1, STORE_ANOMALY = 2, STORE_VERSIONS = 3 };

struct store_learnt {
	enum store_learnt_kind kind;
	const char *name;
	const void *v;
	size_t n;
};

/* All in one transaction. hours[i] belongs to chains[i], comes after its state, and gets its
 * chain_id; 0 is no hour. */
must_check int store_put_hours(struct store *s, struct store_chain *const *chains,
	struct store_hour *hours, size_t n, const struct store_learnt *learnt, size_t n_learnt,
	struct err *err);
must_check int store_drop_chains(struct store *s, const uint64_t *ids, size_t n, struct err *err);
typedef int (*store_chain_fn)(void *arg, const struct store_chain *c);
typedef int (*store_hour_fn)(void *arg, const struct store_hour *h);
typedef int (*store_learnt_fn)(void *arg, const char *name, const void *v, size_t n);
must_check int store_each_chain(struct store *s, store_chain_fn fn, void *arg, struct err *err);
/* By chain, then by hour. */
must_check int store_each_hour(struct store *s, store_hour_fn fn, void *arg, struct err *err);
must_check int store_each_learnt(struct store *s, enum store_learnt_kind kind, store_learnt_fn fn,
	void *arg, struct err *err);

/* Drops what is older. */
must_check int store_expire(struct store *s, uint64_t before_ns, struct err *err);
/* Size of the files. */
uint64_t store_bytes(struct store *s);

#endif
