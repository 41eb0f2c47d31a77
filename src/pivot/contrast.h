/*
 * New against old version of one component: does the new one grow away?
 *
 * Pure, fixed size, knows no clock. Not thread safe.
 */
#ifndef RESIN_PIVOT_CONTRAST_H
#define RESIN_PIVOT_CONTRAST_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "pivot/pivot.h"

/*
 * New against old version of one component in the same hours, so that load, day and week are the
 * same for both. theta = P(a host with the new one uses more than one with the old) + half of the
 * ties, from the fine buckets (Mann and Whitney 1947, deviation with ties). Above: theta is more
 * than CONTRAST_Z deviations over 1/2 in CONTRAST_HOURS hours running. Growing: it is that much
 * over what it was in the first CONTRAST_FIRST_HOURS hours, both hours' errors counted as
 * independent; that holds also where the new version began on larger machines. One hour's false
 * alarm is 3e-5 by the normal tail; hosts that stay where they are make the hours repeat each
 * other, not more alarms. What starts anew is small at first: a contrast begins when both have
 * warmed up.
 *
 * Sizes say little where hosts differ in size, and theta ends at 1. So the growth of each host over
 * the same day is held against that of the others, too (contrast_growth()): the same statistic, and
 * the outcome is growing after CONTRAST_HOURS hours running.
 */
#define CONTRAST_MIN_HOSTS 8u /* of each version */
#define CONTRAST_FIRST_HOURS 12u
#define CONTRAST_HOURS 6u
#define CONTRAST_Z 4.0

enum contrast_outcome {
	CONTRAST_FEW_HOSTS,
	CONTRAST_EQUAL,
	CONTRAST_ABOVE,	  /* larger, for whatever reason */
	CONTRAST_GROWING, /* and ever more so */
};

struct contrast {
	uint64_t hour;
	uint32_t hours;					 /* with enough hosts of both */
	uint32_t above_hours, grown_hours, growth_hours; /* running */
	double first;					 /* theta of the first hours */
};

struct contrast_verdict {
	enum contrast_outcome outcome;
	double theta, z, z_grown;
	uint64_t edge_bytes; /* where the shares above are furthest apart (Kolmogorov, Smirnov) */
	double excess;	     /* hosts with the new version more than expected above that edge */
	double z_growth,
		growth; /* of contrast_growth(): its deviation, the difference of medians */
};

void contrast_init(struct contrast *c);

/* One hour; counts per fine bucket, PIVOT_FINE of each, of hosts with the fresh and with the old
 * version. Fills ret (always); 0, or -ESTALE as anomaly_add(). */
must_check int contrast_add(struct contrast *c, uint64_t hour, const uint32_t *fresh,
	const uint32_t *old, struct contrast_verdict *ret);

/* To be called after contrast_add(), for the same hour: by how much each host grew over the same
 * time, in any unit, what is usual at its age taken off. Sorts the values. May raise the outcome.
 */
void contrast_growth(struct contrast *c, double *fresh, size_t n_fresh, double *old, size_t n_old,
	struct contrast_verdict *ret);

#endif
