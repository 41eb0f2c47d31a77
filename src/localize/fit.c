#include "localize/fit.h"

#include <math.h>

void fit_centre(float *y, unsigned n)
{
	float mean = 0;

	for (unsigned i = 0; i < n; i++)
		mean += y[i];
	mean /= (float)n;
	for (unsigned i = 0; i < n; i++)
		y[i] -= mean;
}

struct hinge fit_hinge(const float *y, unsigned n, unsigned least_rise)
{
	struct hinge best = {0, 0, 1, 0};
	float tail = 0, product = 0, best_product = 0;

	for (unsigned from = n - 1; from-- > 0;) {
		float m = (float)(n - 1 - from), h1 = m * (m + 1) / 2;
		float spread;

		tail += y[from + 1];
		product += tail;
		if (n - 1 - from < least_rise || product <= 0)
			continue;
		spread = h1 * ((2 * m + 1) / 3 - h1 / (float)n);
		/* Greater product^2 / spread (y has mean 0), without a division for each. */
		if (product * product * best.spread > best_product * best_product * spread) {
			best.from = from;
			best.spread = spread;
			best_product = product;
		}
	}
	best.slope = best_product / best.spread;
	best.gain = best.slope * best_product;
	return best;
}

struct steps fit_step(const float *y, unsigned n)
{
	struct steps best = {0, 0, 0};
	float sum = 0;

	for (unsigned a = 1; a < n; a++) {
		float gain;

		sum += y[a - 1];
		gain = sum * sum * (1 / (float)a + 1 / (float)(n - a)); /* both sums are opposite */
		if (gain > best.one) {
			best.one = gain;
			best.at = a;
		}
	}
	best.two = best.one;
	return best;
}

struct steps fit_two_steps(const float *y, unsigned n)
{
	struct steps best = fit_step(y, n);
	float sum[FIT_MAX + 1];

	sum[0] = 0;
	for (unsigned i = 0; i < n; i++)
		sum[i + 1] = sum[i] + y[i];
	for (unsigned a = 1; a + 1 < n; a++) {
		float first = sum[a] * sum[a] / (float)a;

		for (unsigned b = a + 1; b < n; b++) {
			float mid = sum[b] - sum[a], last = sum[n] - sum[b];
			float gain =
				first + mid * mid / (float)(b - a) + last * last / (float)(n - b);

			best.two = fmaxf(best.two, gain);
		}
	}
	return best;
}

float fit_slope(const float *y, unsigned n, float *ret_spread)
{
	float mid = (float)(n - 1) / 2, s = 0;

	for (unsigned i = 0; i < n; i++)
		s += ((float)i - mid) * y[i];
	*ret_spread = (float)n * ((float)n * (float)n - 1) / 12;
	return s / *ret_spread;
}

float fit_correlation(const float *a, const float *b, unsigned n)
{
	float aa = 0, bb = 0, ab = 0;

	for (unsigned i = 0; i < n; i++) {
		aa += a[i] * a[i];
		bb += b[i] * b[i];
		ab += a[i] * b[i];
	}
	return aa > 0 && bb > 0 ? ab / sqrtf(aa * bb) : 0;
}
