/*
 * The tables about fleets with known truth, from a study.
 */
#ifndef BENCH_ACCURACY_SYNTHETIC_H
#define BENCH_ACCURACY_SYNTHETIC_H

#include <stdio.h>

#include "study.h"

/* What the goals ask for. */
struct synthetic_result {
	double recall[ORACLES], delay_median[ORACLES], delay_p90[ORACLES];
	double false_per_10000, false_per_10000_upper; /* upper end of the interval */
	double precision[ORACLES];		       /* at a prevalence of 1 % */
	/* Behaviours in which ours is worse than a comparator that raises as many false alarms:
	 * worse in something and better in nothing; or worse in something, better in something. */
	size_t classes_worse[ORACLES], classes_mixed[ORACLES];
};

/* Writes Markdown. `by_fleet`: the bootstrap draws whole components instead of entities. */
void synthetic_report(
	const struct study *s, uint64_t seed, bool by_fleet, FILE *f, struct synthetic_result *ret);

#endif
