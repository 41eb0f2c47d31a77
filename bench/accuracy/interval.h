/*
 * Intervals of 95 % around what the bench has measured.
 *
 * Pure. The bootstrap is the caller's: it draws weights here, computes what it wants under each
 * draw, for all detectors under the same one, and takes the interval of the differences.
 */
#ifndef BENCH_ACCURACY_INTERVAL_H
#define BENCH_ACCURACY_INTERVAL_H

#include <stddef.h>
#include <stdint.h>

#define RESAMPLES 1000u

struct interval {
	double lo, hi;
};

/* Wilson 1927: the share behind k of n; 0 to 1 for n = 0. */
struct interval wilson(size_t k, size_t n);

/* Garwood 1936, exact: the mean behind a Poisson count. */
struct interval poisson(size_t k);

/* Draws n of n with replacement: how often each was drawn. */
void resample(uint64_t *state, uint16_t *weight, size_t n);

/* a - b where both may be infinite: two missing values do not differ. */
double difference(double a, double b);

/* From the 2.5th to the 97.5th percentile of v, which it sorts. */
struct interval percentiles(double *v, size_t n);

/* Sign of an interval: 0 where it has 0 in it. */
int beyond_zero(struct interval i);

#endif
