/*
 * Series with known truth, for judging detectors.
 *
 * A group is one component: all its entities, on all hosts, on a common grid of steps. Ownership:
 * group_done() frees what group_alloc() made. Not thread safe; deterministic.
 */
#ifndef BENCH_ACCURACY_FLEET_H
#define BENCH_ACCURACY_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entity_series {
	char host[24];
	uint32_t behaviour; /* enum behaviour of the generator; 0 for recorded backgrounds */
	bool leaks;
	size_t leak_start;    /* step from which it leaks; n where it does not */
	double rate;	      /* true growth, share of the baseline per day; 0 unknown */
	double *bytes;	      /* one per step; NAN is a gap */
	double *load;	      /* one per step, or NULL: some proxy of load, cores of CPU */
	uint32_t *generation; /* one per step, or NULL: changes with every restart */
	double limit_bytes;   /* 0: none known */
};

struct group {
	uint32_t step_s; /* 300 or 3600 */
	size_t n;	 /* steps; all entities have as many */
	struct entity_series *entity;
	size_t n_entities;
};

#endif
