#include "pivot/contrast.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void contrast_init(struct contrast *c)
{
	memset(c, 0, sizeof(*c));
}

struct ranks {
	double hosts[2], theta, sd, excess_share;
	unsigned fine; /* where the shares above are furthest apart */
};

/* Mann and Whitney's statistic from two histograms, and its deviation with ties. */
static struct ranks rank(const uint32_t *fresh, const uint32_t *old)
{
	struct ranks r = {0};
	double n, ties = 0, u = 0, seen[2] = {0}, nn;

	for (unsigned f = 0; f < PIVOT_FINE; f++) {
		r.hosts[0] += fresh[f];
		r.hosts[1] += old[f];
	}
	n = r.hosts[0] + r.hosts[1];
	nn = r.hosts[0] * r.hosts[1];
	if (nn < 1)
		return r;
	for (unsigned f = 0; f < PIVOT_FINE; f++) {
		double t = (double)fresh[f] + old[f];
		double apart = seen[1] / r.hosts[1] - seen[0] / r.hosts[0];

		if (apart > r.excess_share) {
			r.excess_share = apart;
			r.fine = f;
		}
		u += fresh[f] * (seen[1] + old[f] / 2.);
		ties += t * t * t - t;
		seen[0] += fresh[f];
		seen[1] += old[f];
	}
	r.theta = u / nn;
	r.sd = sqrt(fmax(n + 1 - ties / (n * (n - 1)), 0) / (12 * nn));
	return r;
}

int contrast_add(struct contrast *c, uint64_t hour, const uint32_t *fresh, const uint32_t *old,
	struct contrast_verdict *ret)
{
	struct ranks r = rank(fresh, old);
	bool above, grown;

	*ret = (struct contrast_verdict){.outcome = CONTRAST_FEW_HOSTS, .theta = .5};
	if (c->hour && hour <= c->hour)
		return -ESTALE;
	if (hour != c->hour + 1)
		c->above_hours = c->grown_hours = c->growth_hours = 0;
	c->hour = hour;
	if (r.hosts[0] < CONTRAST_MIN_HOSTS || r.hosts[1] < CONTRAST_MIN_HOSTS) {
		c->above_hours = c->grown_hours = c->growth_hours = 0;
		return 0;
	}
	c->hours++;
	if (c->hours <= CONTRAST_FIRST_HOURS)
		c->first += (r.theta - c->first) / c->hours;
	/* All in one bucket: nothing is above anything. */
	ret->z = r.sd > 0 ? (r.theta - .5) / r.sd : 0;
	ret->z_grown = r.sd > 0 ? (r.theta - c->first) / (r.sd * M_SQRT2) : 0;
	above = ret->z >= CONTRAST_Z;
	grown = c->hours > CONTRAST_FIRST_HOURS && ret->z_grown >= CONTRAST_Z;
	c->above_hours = above ? c->above_hours + 1 : 0;
	c->grown_hours = grown ? c->grown_hours + 1 : 0;
	ret->theta = r.theta;
	ret->edge_bytes = pivot_fine_edge(r.fine);
	ret->excess = r.excess_share * r.hosts[0];
	ret->outcome = c->grown_hours >= CONTRAST_HOURS ? CONTRAST_GROWING
		: c->above_hours >= CONTRAST_HOURS	? CONTRAST_ABOVE
							: CONTRAST_EQUAL;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static size_t count_equal(const double *v, size_t n, size_t from, double value)
{
	size_t i = from;

	while (i < n && v[i] <= value)
		i++;
	return i - from;
}

void contrast_growth(struct contrast *c, double *fresh, size_t n_fresh, double *old, size_t n_old,
	struct contrast_verdict *ret)
{
	double n = (double)n_fresh + (double)n_old, nn = (double)n_fresh * (double)n_old;
	double u = 0, ties = 0, sd;

	if (ret->outcome == CONTRAST_FEW_HOSTS || n_fresh < CONTRAST_MIN_HOSTS ||
		n_old < CONTRAST_MIN_HOSTS) {
		c->growth_hours = 0;
		return;
	}
	qsort(fresh, n_fresh, sizeof(*fresh), by_value);
	qsort(old, n_old, sizeof(*old), by_value);
	for (size_t i = 0, k = 0; i < n_fresh || k < n_old;) {
		double v = k == n_old || (i < n_fresh && fresh[i] < old[k]) ? fresh[i] : old[k];
		double f = (double)count_equal(fresh, n_fresh, i, v);
		double o = (double)count_equal(old, n_old, k, v), t = f + o;

		u += f * ((double)k + o / 2);
		ties += t * t * t - t;
		i += (size_t)f;
		k += (size_t)o;
	}
	sd = sqrt(fmax(n + 1 - ties / (n * (n - 1)), 0) / (12 * nn));
	ret->z_growth = sd > 0 ? (u / nn - .5) / sd : 0;
	ret->growth = fresh[n_fresh / 2] - old[n_old / 2];
	c->growth_hours = ret->z_growth >= CONTRAST_Z ? c->growth_hours + 1 : 0;
	if (c->growth_hours >= CONTRAST_HOURS)
		ret->outcome = CONTRAST_GROWING;
}
