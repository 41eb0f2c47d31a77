/*
 * The pivot: component x bucket x hour -> number of distinct hosts with at least that much.
 *
 * Computed online, a column of samples at a time; whether a finished hour is abnormal is
 * anomaly.h's.
 *
 * Counted in fine buckets, 32 per doubling from 1 MiB to 4 TiB, each 2.2 % wide, so that a 4 MB
 * agent and a 40 GB database are resolved alike and growth is seen early (buckets of 2 % find in
 * 18 h what buckets of 10 % find in 38 h). What is watched of them is chosen per component, by
 * anomaly.h. The coarse buckets are every eighth edge, four per doubling, for people and tables.
 * Read as cumulative (hosts with usage >= edge), so that a drop in usage cannot raise a lower
 * bucket (RESIN, OSDI '22, 4.3.1).
 *
 * A host counts once per component and hour, in the highest bucket that it reached. A cell is one
 * component on one host in the hour that is being counted; who adds many samples looks each cell up
 * once per hour and then adds columns, without hashing.
 *
 * Starting an hour forgets the one before: take its rows first. Ceilings: PIVOT_MAX_COMPONENTS
 * components of sizeof(struct pivot_row) = 2.8 KB, PIVOT_MAX_CELLS cells. Not thread safe.
 */
#ifndef RESIN_PIVOT_PIVOT_H
#define RESIN_PIVOT_PIVOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

#define PIVOT_BUCKETS 64u
#define PIVOT_FINE 706u
#define PIVOT_FINE_PER_DOUBLING 32u
#define PIVOT_MAX_COMPONENTS 16384u
#define PIVOT_MAX_CELLS (1u << 22)

struct pivot_row {
	uint64_t component;	    /* the caller's id */
	uint32_t hosts[PIVOT_FINE]; /* exactly in this fine bucket, by largest usage */
};

struct pivot_cell {
	uint64_t next_bytes; /* the least number of bytes that moves it up */
	uint32_t row;
	uint32_t next; /* the bucket that this is the edge of; 0: not counted yet */
};

struct pivot {
	uint64_t hour; /* unix hour that is being counted */
	struct pivot_row *rows;
	size_t n_rows, cap_rows;
	struct pivot_cell *cells;
	size_t n_cells, cap_cells;
	struct map index;
	struct map seen;  /* component and host -> cell */
	uint64_t dropped; /* samples of components beyond the ceiling */
};

void pivot_init(struct pivot *p);
void pivot_done(struct pivot *p);

/* 0 below 1 MiB, then four buckets per doubling; the last one is open. */
unsigned pivot_bucket(uint64_t bytes);
/* The least number of bytes of a bucket. */
uint64_t pivot_edge(unsigned bucket);

/* 0 below 1 MiB, then 32 per doubling; the last one, from 4 TiB, is open. */
unsigned pivot_fine(uint64_t bytes);
uint64_t pivot_fine_edge(unsigned fine);

/* Starts over when the hour changes. `bytes`: the host's largest entity of that component. */
must_check int pivot_add(
	struct pivot *p, uint64_t hour, uint64_t component, uint64_t host, uint64_t bytes);

/* Starts over when the hour changes. The cell is good for pivot_add_column() until then. It is not
 * counted before something is added to it. Returns 0, -ENOMEM or -EMSGSIZE. */
must_check int pivot_cell(
	struct pivot *p, uint64_t hour, uint64_t component, uint64_t host, uint32_t *ret_cell);

/* Sample i is bytes[i] in cell[i]. Returns 0; -ESTALE when `hour` is not the one that is counted,
 * and nothing is added: look the cells up again. Cells that were never handed out are skipped. */
must_check int pivot_add_column(
	struct pivot *p, uint64_t hour, const uint32_t *cell, const uint64_t *bytes, size_t n);

/* NULL for an unknown component. Good until the next component or hour. */
const struct pivot_row *pivot_find(const struct pivot *p, uint64_t component);

/* Hosts with at least the coarse bucket's edge; 0 for an unknown component. */
uint32_t pivot_hosts(const struct pivot *p, uint64_t component, unsigned bucket);

#endif
