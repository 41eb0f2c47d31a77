/*
 * The pivot: component x bucket x hour -> number of distinct hosts with at least that much.
 *
 * Computed online, one call per sample; the anomaly detection on top of it is an issue of its own.
 * Buckets are log-spaced, four per doubling, so that a 4 MB agent and a 40 GB database are resolved
 * alike. Counts are cumulative (hosts with usage >= edge), so that a drop in usage cannot raise a
 * lower bucket (RESIN, OSDI '22, 4.3.1).
 *
 * A host counts once per component and hour, in the highest bucket that it reached. Ceilings:
 * PIVOT_MAX_COMPONENTS components, PIVOT_MAX_CELLS pairs of component and host. Not thread safe.
 */
#ifndef RESIN_PIVOT_PIVOT_H
#define RESIN_PIVOT_PIVOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

#define PIVOT_BUCKETS 64u
#define PIVOT_MAX_COMPONENTS 16384u
#define PIVOT_MAX_CELLS (1u << 22)

struct pivot_row {
	uint64_t component;	       /* the caller's id */
	uint32_t hosts[PIVOT_BUCKETS]; /* exactly in this bucket, by largest usage */
};

struct pivot {
	uint64_t hour; /* unix hour that is being counted */
	struct pivot_row *rows;
	size_t n_rows, cap_rows;
	struct map index;
	struct map seen;  /* component and host -> bucket */
	uint64_t dropped; /* samples of components beyond the ceiling */
};

void pivot_init(struct pivot *p);
void pivot_done(struct pivot *p);

/* 0 below 1 MiB, then four buckets per doubling; the last one is open. */
unsigned pivot_bucket(uint64_t bytes);
/* The least number of bytes of a bucket. */
uint64_t pivot_edge(unsigned bucket);

/* Starts over when the hour changes. `bytes`: the host's largest entity of that component. */
must_check int pivot_add(
	struct pivot *p, uint64_t hour, uint64_t component, uint64_t host, uint64_t bytes);

/* Hosts with at least the bucket's edge; 0 for an unknown component. */
uint32_t pivot_hosts(const struct pivot *p, uint64_t component, unsigned bucket);

#endif
