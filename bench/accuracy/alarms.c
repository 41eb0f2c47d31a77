#include "alarms.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* The order of floats as the order of integers. */
static uint32_t ladder_step(float score)
{
	uint32_t bits;

	memcpy(&bits, &score, sizeof(bits));
	bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
	return bits >> (32 - LADDER_BITS);
}

/* The least score of a step: score >= ladder_value(i) just where ladder_step(score) >= i. */
static float ladder_value(uint32_t step)
{
	uint32_t bits = step << (32 - LADDER_BITS);
	float v;

	bits = bits & 0x80000000u ? bits & ~0x80000000u : ~bits;
	memcpy(&v, &bits, sizeof(v));
	return v;
}

/*
 * An alarm begins at hour h where the threshold is above the best of the hours before, as far as
 * they are merged, and not above that of h: so every hour is a range of thresholds.
 */
void ladder_count(struct ladder *l, const float *score, size_t from, size_t to)
{
	for (size_t h = from; h < to; h++) {
		float before = -INFINITY;

		for (size_t i = h; i > from && h - i < ALARMS_MERGE_HOURS; i--)
			before = fmaxf(before, score[i - 1]);
		if (score[h] > before) {
			l->rung[ladder_step(before) + 1]++;
			l->rung[ladder_step(score[h]) + 1]--;
		}
	}
}

float ladder_match(const struct ladder *l, size_t n, size_t stride, long alarms)
{
	uint32_t lowest = ladder_step(-INFINITY) + 1, highest = ladder_step(INFINITY);
	uint32_t best = lowest;
	long count = 0, more = LONG_MAX, fewer = 0;

	for (uint32_t i = 0; i <= highest; i++) {
		for (size_t j = 0; j < n; j++)
			count += l[j * stride].rung[i];
		if (i >= lowest && count > alarms) {
			best = i + 1;
			more = count;
		}
		if (i == best)
			fewer = count;
	}
	return ladder_value(more - alarms < alarms - fewer ? best - 1 : best);
}

struct outcome alarms_judge(
	const float *score, size_t hours, size_t from, size_t leak_start, float threshold)
{
	struct outcome r = {0, 0};
	size_t last = SIZE_MAX;

	for (size_t h = from; h < leak_start; h++) {
		if (!(score[h] >= threshold))
			continue;
		r.alarms += last == SIZE_MAX || h - last > ALARMS_MERGE_HOURS;
		last = h;
	}
	/* An alarm that stands since before the leak does not announce it. */
	for (size_t h = leak_start > from ? leak_start : from; h < hours && !r.delay; h++)
		if (score[h] >= threshold && !(h > from && score[h - 1] >= threshold))
			r.delay = (uint16_t)(h + 1 - leak_start);
	return r;
}
