/*
 * Folds sampled allocations and frees into live bytes by site, at several checkpoints.
 *
 * Pure bookkeeping: no clock, no I/O. A sample of S bytes that was drawn with mean distance R
 * stands for S / (1 - exp(-S / R)) bytes (the inclusion probability's inverse, so the sum is
 * unbiased). Events of one batch may come in any order; `seq` puts them right. A free whose
 * allocation has not been seen yet waits for it.
 *
 * Ceilings: LIMIT_PROFILE_SITES sites, LIMIT_LIVE_SAMPLES live samples, LIMIT_CHECKPOINTS
 * checkpoints; what does not fit is counted.
 */
#ifndef RESIN_SNAPSHOT_FOLD_H
#define RESIN_SNAPSHOT_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/map.h"

struct fold_site {
	double live_bytes, live_count;
	double allocated_bytes, allocated_count;
	uint64_t samples, first_half, survivors;
	double bytes_at[LIMIT_CHECKPOINTS], count_at[LIMIT_CHECKPOINTS];
};

struct fold_event {
	uint64_t seq, addr, bytes, period_bytes, mono_ns;
	uint32_t site; /* UINT32_MAX: a free */
};

struct fold_live {
	uint64_t addr, mono_ns;
	double weight_bytes, weight_count;
	uint32_t site;
};

struct fold {
	struct fold_site *sites;
	size_t n_sites, cap_sites;
	struct fold_live *live;
	size_t n_live, cap_live;
	struct map by_addr; /* address -> index in live */
	struct map pending; /* address -> seq of a free that came first */
	struct fold_event *events;
	size_t n_events, cap_events;
	uint64_t start_ns, half_ns;
	uint64_t checkpoint_ns[LIMIT_CHECKPOINTS]; /* after start */
	uint32_t n_checkpoints, stride, offered;
	bool provisional; /* the last checkpoint is off the stride: the next one replaces it */
	uint64_t total_events, dropped_live;
};

#define FOLD_NO_SITE UINT32_MAX

/* `half_ns`: the moment that parts early samples from late ones. */
void fold_init(struct fold *f, uint64_t start_ns, uint64_t half_ns);
void fold_done(struct fold *f);

/* Makes room for site numbers 0 .. n-1. */
must_check int fold_reserve_sites(struct fold *f, size_t n);
must_check int fold_alloc(struct fold *f, uint64_t seq, uint64_t addr, uint64_t bytes,
	uint64_t period_bytes, uint64_t mono_ns, uint32_t site);
must_check int fold_free(struct fold *f, uint64_t seq, uint64_t addr);

/* Applies what came since the last call, in order of seq. */
must_check int fold_apply(struct fold *f);

/* Records live bytes by site. Past the ceiling every second checkpoint is dropped, and from then on
 * only every second is kept, so that they stay even; the newest is always there. */
void fold_checkpoint(struct fold *f, uint64_t mono_ns);

/* Counts the early samples that still live. Call once, at the end. */
void fold_finish(struct fold *f);

double fold_weight(uint64_t bytes, uint64_t period_bytes);

#endif
