/*
 * A metric of one entity over time, folded into steps of equal length.
 */
#ifndef RESIN_MODEL_SERIES_H
#define RESIN_MODEL_SERIES_H

#include <stddef.h>
#include <stdint.h>

struct point {
	uint64_t unix_ns; /* start of the step */
	uint64_t lo, last, hi;
};

struct series {
	const struct point *points; /* in order of time, gaps allowed */
	size_t n;
	uint64_t step_ns;
};

#endif
