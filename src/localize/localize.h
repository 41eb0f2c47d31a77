/*
 * Localize: is this one entity leaking, since when, how fast, and what else could it be?
 *
 * Pure: a series in, a verdict out; no clock, no files. Time enters only as a number of steps, so a
 * series that runs k times faster with steps k times shorter gets the same verdict; only bytes per
 * hour change. docs/design/localize.md explains the rules and what they cannot tell apart.
 *
 * The idea is RESIN's moving suspicious interval (OSDI '22, 4.3.2) on the lower envelope of the
 * series: the least value that is still to come. What is freed again, a sawtooth or the memory of a
 * burst, never enters the envelope.
 */
#ifndef RESIN_LOCALIZE_LOCALIZE_H
#define RESIN_LOCALIZE_LOCALIZE_H

#include "model/series.h"
#include "model/suspect.h"

struct localize_rules {
	uint32_t min_steps;	   /* shortest suspicious interval */
	uint32_t warm_up_steps;	   /* not judged at the start of the series */
	uint64_t min_growth_bytes; /* smaller growth is never suspicious */
	double min_growth_share;   /* of the size at the start of the interval */
};

/* Longest series that is looked at; older points are ignored. */
#define LOCALIZE_MAX_POINTS 1440u

/* Judges; always fills `ret`. */
void localize(const struct series *s, const struct localize_rules *rules, struct suspect *ret);

#endif
