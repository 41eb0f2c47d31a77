/*
 * Fit: what a short row of equally spaced values looks like: a hinge, a step, two steps.
 *
 * Pure arithmetic on at most FIT_MAX values with mean 0; what a model explains is a sum of squares,
 * so that two models compare by their difference over the noise's variance.
 */
#ifndef RESIN_LOCALIZE_FIT_H
#define RESIN_LOCALIZE_FIT_H

#define FIT_MAX 16u

/* Flat up to value `from`, rising evenly from there. */
struct hinge {
	unsigned from;
	float slope;  /* per value; <= 0: nothing rises */
	float spread; /* sum of squares of the regressor: the slope's variance is noise / spread */
	float gain;   /* sum of squares explained */
};

struct steps {
	float one, two; /* what the best step, and the best two, explain */
	unsigned at;	/* first value behind the best one */
};

void fit_centre(float *y, unsigned n);

/* The best one with at least `least_rise` intervals in its rise. O(n): from the end backwards, an
 * onset one earlier adds the sum of the tail once more. */
struct hinge fit_hinge(const float *y, unsigned n, unsigned least_rise);

/* The best step alone is O(n), two are O(n^2). */
struct steps fit_step(const float *y, unsigned n);
struct steps fit_two_steps(const float *y, unsigned n);

/* Least squares of n >= 2 values, of any mean. */
float fit_slope(const float *y, unsigned n, float *ret_spread);

/* Of two rows with mean 0; 0 where one is constant. */
float fit_correlation(const float *a, const float *b, unsigned n);

#endif
