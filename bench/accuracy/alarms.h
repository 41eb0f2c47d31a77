/*
 * From a detector's scores to its alarms, and to the threshold that raises so many of them.
 *
 * Pure arithmetic on the caller's storage; a ladder begins as zeros.
 */
#ifndef BENCH_ACCURACY_ALARMS_H
#define BENCH_ACCURACY_ALARMS_H

#include <stddef.h>
#include <stdint.h>

#define ALARMS_MERGE_HOURS 12u /* alarms at most so far apart are one, as in check-peers */

/*
 * Thresholds are told apart by their 18 highest bits, 0.2 %: then how many alarms a threshold lets
 * through is kept for all of them at once, exactly.
 */
#define LADDER_BITS 18u
#define LADDER_STEPS (1u << LADDER_BITS)

/* The alarms at threshold i are the sum of rung[0..i]. */
struct ladder {
	int32_t rung[LADDER_STEPS];
};

struct outcome {
	uint16_t alarms; /* before the leak, or at any time without one */
	uint16_t delay;	 /* of the first alarm that begins after the leak, in hours from the leak's
			  * start to the end of the alarm's hour; 0: none */
};

/* score[from..hours) of one entity; leak_start is `hours` where it does not leak. */
struct outcome alarms_judge(
	const float *score, size_t hours, size_t from, size_t leak_start, float threshold);

/* Adds the alarms that one entity's score[from..to) has at every threshold. */
void ladder_count(struct ladder *l, const float *score, size_t from, size_t to);

/*
 * The threshold whose alarms come nearest to so many, of two: the lowest from which on there are
 * no more, and the one below. Scores that have a highest value may have either far away. (Lower
 * still, alarms grow together and become fewer again.) Sums l[0], l[stride], ... of `n` ladders.
 */
float ladder_match(const struct ladder *l, size_t n, size_t stride, long alarms);

#endif
