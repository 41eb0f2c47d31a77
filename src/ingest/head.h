/*
 * The in-memory head: the recent steps of every entity, and the way in for batches.
 *
 * A batch goes to the store first; only when that has said yes does it show here, so what is judged
 * is what is kept. Points of the current pace only; a change of pace reloads them from the store.
 * Ceilings: LIMIT_HEAD_ENTITIES entities, HEAD_POINTS steps each. One thread.
 */
#ifndef RESIN_INGEST_HEAD_H
#define RESIN_INGEST_HEAD_H

#include <stdbool.h>

#include "base/map.h"
#include "model/suspect.h"
#include "store/store.h"

#define HEAD_POINTS 720u

struct head_entity {
	struct store_entity e;
	struct store_step open; /* the step that still gathers samples; unix_ns 0: none */
	struct point *points;	/* closed steps of ANON, oldest first */
	size_t n, cap;
	bool due; /* a step was closed since the last judgement */
	struct suspect suspect;
	uint32_t calm_steps; /* judgements in a row that were no leak */
	uint64_t anon_bytes; /* last seen */
};

struct head_host {
	char name[HOST_NAME_MAX_BYTES], boot_id[BOOT_ID_MAX];
	uint64_t last_seen_ns, seq, period_ns, dropped;
	size_t processes;
};

#define HEAD_MAX_HOSTS 4096u

struct head {
	struct store *store;
	uint64_t step_ns; /* at pace 1 */
	uint64_t pace;
	struct head_entity **entities;
	size_t n, cap;
	struct map index; /* hash of the identity -> entity */
	struct map by_id;
	struct head_host *hosts;
	size_t n_hosts, cap_hosts;
	uint64_t batches, samples, duplicates, rejected;
	uint64_t crowded; /* samples of processes for which there was no room */
};

void head_init(struct head *h, struct store *store, uint64_t step_ns);
void head_done(struct head *h);

/* Loads what was seen since then. */
must_check int head_load(struct head *h, uint64_t since_ns, struct err *err);
must_check int head_set_pace(struct head *h, uint64_t pace, uint64_t since_ns, struct err *err);

/* 0: stored and shown; 1: a duplicate, acknowledged again; <0: not stored. */
must_check int head_apply(struct head *h, const struct batch *b, struct err *err);

struct head_entity *head_find(struct head *h, uint64_t entity_id);
struct head_entity *head_find_process(
	struct head *h, const char *host, const struct proc_id *process);

/* Forgets entities that were last seen before then. */
void head_forget(struct head *h, uint64_t before_ns);

static inline uint64_t head_step_ns(const struct head *h)
{
	return h->step_ns / h->pace;
}

#endif
