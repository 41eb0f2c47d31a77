#include "interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"

#define Z_95 1.959963984540054

struct interval wilson(size_t k, size_t n)
{
	double m = (double)n, p, mid, half;

	if (!n)
		return (struct interval){0, 1};
	p = (double)k / m;
	mid = (p + Z_95 * Z_95 / (2 * m)) / (1 + Z_95 * Z_95 / m);
	half = Z_95 * sqrt(p * (1 - p) / m + Z_95 * Z_95 / (4 * m * m)) / (1 + Z_95 * Z_95 / m);
	return (struct interval){fmax(mid - half, 0), fmin(mid + half, 1)};
}

/* P(X <= k) of a Poisson of mean m. From k downwards, because the terms only shrink where it
 * matters (m above k). */
static double poisson_at_most(size_t k, double m)
{
	double log_term = (double)k * log(m) - m - lgamma((double)k + 1), sum = 0;

	for (size_t j = k + 1; j-- > 0;) {
		sum += exp(log_term);
		if (j > 0)
			log_term += log((double)j) - log(m);
	}
	return fmin(sum, 1);
}

/* The mean at which at most k has this probability. */
static double poisson_mean(size_t k, double probability)
{
	double lo = 1e-9, hi = (double)k + 10 * sqrt((double)k + 1) + 10;

	for (unsigned i = 0; i < 100; i++) {
		double mid = (lo + hi) / 2;

		if (poisson_at_most(k, mid) > probability)
			lo = mid;
		else
			hi = mid;
	}
	return (lo + hi) / 2;
}

struct interval poisson(size_t k)
{
	return (struct interval){k ? poisson_mean(k - 1, 0.975) : 0, poisson_mean(k, 0.025)};
}

void resample(uint64_t *state, uint16_t *weight, size_t n)
{
	memset(weight, 0, n * sizeof(*weight));
	for (size_t i = 0; i < n; i++)
		weight[draw(state) % n]++;
}

double difference(double a, double b)
{
	return isinf(a) && isinf(b) ? 0 : a - b;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct interval percentiles(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return (struct interval){
		v[(size_t)(0.025 * (double)(n - 1))], v[(size_t)ceil(0.975 * (double)(n - 1))]};
}

int beyond_zero(struct interval i)
{
	return (i.lo > 0) - (i.hi < 0);
}
