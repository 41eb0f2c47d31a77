/*
 * Whether a component as a whole grows: finished hours of its pivot row in, a verdict out.
 *
 * Method (numbers and what it cannot tell: docs/design/pivot.md). RESIN (OSDI '22, 4.3.1) holds the
 * number of hosts per bucket against mu + 3 sigma of a sliding window. Kept of it: cumulative
 * counts, and the largest abnormal bucket is the component's one anomaly. Changed:
 *
 *  - Edges. 24 h are looked at, then ANOMALY_EDGES fine edges are chosen: at the quantiles of the
 *    hosts, and closely above the highest one, wider further up, to 8 times its usage.
 *  - Share. What is learned is the share of the hosts that run the component, so that a fleet that
 *    grows raises nothing.
 *  - Shape. A profile of 24 hours, then of 7 days, is subtracted where it predicted better than
 *    none did, before the hour was known.
 *  - Baseline. The mean share of the first ANOMALY_LEARN_HOURS hours, and its error's variance and
 *    memory; then fixed until anomaly_relearn(). It follows nothing, so that no rise is slow enough
 *    to hide itself. (The shapes go on learning; their mean is taken off.)
 *  - Statistic. z = sqrt(2 N KL(c/N || p) / phi), the signed root of the binomial deviance: for
 *    hosts that are independent of each other exp(-z^2/2) bounds the probability of a count that
 *    high (Chernoff; Hoeffding, JASA 1963), however long a host stays where it is. phi >= 1 is the
 *    dispersion that was seen (quasi-likelihood: Wedderburn, Biometrika 1974).
 *  - Memory. Hosts do not redraw their bucket every hour. The baseline counts as n / (1 + 2 tau)
 *    draws; tau, in hours, is the longer one that the errors' autocorrelation at 1 h and at 12 h
 *    suggests. p is (k + 1/2) of that many draws of N hosts; phi covers the baseline's own error.
 *  - Alarm. An edge is hot with at least ANOMALY_MIN_EXCESS hosts too many and z >=
 *    ANOMALY_INSIDE_Z; z >= ANOMALY_Z where the fleet as a whole is higher than ever in the
 *    baseline, because then hosts are not independent: a common load moves them all. It is abnormal
 *    when hot now and in ANOMALY_HOT_HOURS of the last ANOMALY_RECENT_HOURS hours. At
 *    ANOMALY_INSIDE_Z the bound alone is 1 % an hour: the rate of false alarms over a component's
 * 48 edges and a month is what was measured, 1 to 2 % (docs/design/pivot.md).
 *
 * Below ANOMALY_MIN_HOSTS hosts counts have no power: the outcome says so, and every instance goes
 * straight to localize. An hour costs O(buckets + edges), never the length of the history.
 *
 * A struct anomaly holds no pointer and may be written to a file as it is, by the same build for
 * the same machine; check what comes back with anomaly_valid(). Ceilings: sizeof(struct anomaly),
 * 15 KB per component (asserted below), no heap. Knows no clock. Not thread safe.
 */
#ifndef RESIN_PIVOT_ANOMALY_H
#define RESIN_PIVOT_ANOMALY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "pivot/pivot.h"

#define ANOMALY_EDGES 48u
#define ANOMALY_MIN_HOSTS 20u
#define ANOMALY_CHOOSE_HOURS 24u
#define ANOMALY_LEARN_HOURS 96u /* those included; then the baseline is fixed */
#define ANOMALY_Z 6.0
#define ANOMALY_INSIDE_Z 3.0
#define ANOMALY_MIN_EXCESS 2.5
#define ANOMALY_RECENT_HOURS 6u
#define ANOMALY_HOT_HOURS 5u
#define ANOMALY_LAG 12u

enum anomaly_outcome {
	ANOMALY_FEW_HOSTS, /* no power: localize looks at every instance */
	ANOMALY_LEARNING,
	ANOMALY_NORMAL,
	ANOMALY_HOT, /* some edge is hot, not yet for long enough */
	ANOMALY_ABNORMAL,
};

struct anomaly_edge {
	uint16_t fine;		 /* counted are hosts in this fine bucket or above */
	uint8_t hot;		 /* one bit per hour, the latest lowest */
	uint8_t shape;		 /* how much of it predicts: 0 nothing, 1 the day, 2 day and week */
	float error[3];		 /* mean square of predictions by each shape, for choosing */
	double level;		 /* mean share; fixed after learning */
	double slow;		 /* mean share, a week's memory: what the shapes are relative to */
	double var, cov1, cov12; /* of the prediction's error, share^2 */
	float last[ANOMALY_LAG];
	float day[24], week[7];
	float day_sum, week_sum;
	float unused;
};

struct anomaly {
	uint32_t version; /* of this struct */
	uint16_t n_edges; /* 0 while they are chosen */
	uint16_t n_inner; /* of them where hosts were, the others are above */
	uint64_t hour;	  /* the last one that was added */
	uint32_t hours;	  /* added since learning began, those without enough hosts left out */
	uint32_t unused;
	double hosts;	   /* mean number while learning */
	double shift;	   /* of the whole fleet in the last hour: fine edges above the baseline */
	double most_shift; /* while learning */
	uint8_t seen_day[24], seen_week[7], unused_too;
	struct anomaly_edge edge[ANOMALY_EDGES];
	float chosen[PIVOT_FINE]; /* host-hours per fine bucket while edges are chosen */
};

_Static_assert(sizeof(struct anomaly) <= 15u << 10, "documented as 15 KB");

struct anomaly_verdict {
	enum anomaly_outcome outcome;
	uint32_t hosts;	     /* that run the component */
	uint32_t n_edges;    /* abnormal ones */
	uint64_t edge_bytes; /* of the largest abnormal (or hot) bucket */
	uint32_t count;	     /* hosts at or above it */
	double expected;     /* of them, by the baseline */
	double excess;	     /* the severity: hosts more than expected */
	double z;	     /* of this bucket */
	double strongest_z;  /* of any edge, hot or not: how near an alarm is */
	double draws;	     /* as how many independent looks that baseline counts */
	uint64_t since_hour; /* first hot hour of the recent ones */
};

void anomaly_init(struct anomaly *a);

/* Starts learning anew, edges included: after a ticket was closed as accepted, or when the
 * component's usage is meant to be another now. */
void anomaly_relearn(struct anomaly *a);

/*
 * One finished hour. `row` NULL: nobody reported it. `hosts`: how many run the component; the row's
 * own total is taken where that is larger. Fills ret (always) and returns 0, or -ESTALE when the
 * hour is not after the last one, and nothing is changed. Hours may be missing.
 */
must_check int anomaly_add(struct anomaly *a, uint64_t hour, const struct pivot_row *row,
	uint32_t hosts, struct anomaly_verdict *ret);

/* Of a state that was read back: every field in its bounds. */
bool anomaly_valid(const struct anomaly *a);

#endif
