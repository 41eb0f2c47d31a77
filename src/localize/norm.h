/*
 * Norm: what is usual for a component: how noisy its entities are, and what a life adds by its age.
 *
 * A warm-up, or a cache that fills, is told from a leak by what other lives of the same component
 * did at the same age, also those of an older version. Only lives that settled are learnt from, so
 * that a leak does not become the rule; noise is learnt from all, in a form that an even rise
 * leaves no trace in. Fixed size, O(1) an hour and entity. All figures are shares of an entity's
 * size.
 */
#ifndef RESIN_LOCALIZE_NORM_H
#define RESIN_LOCALIZE_NORM_H

#include <stdbool.h>
#include <stdint.h>

#define NORM_LEVELS 7u
#define NORM_AGES 16u

/* Hours of a level's block: 1, 2, 4, 8, 24, 48, 96. */
extern const uint16_t norm_block_hours[NORM_LEVELS];
/* Hours of life at which its growth is noted: 3 to 384. */
extern const uint16_t norm_ages[NORM_AGES];

struct norm {
	float noise[NORM_LEVELS], weight[NORM_LEVELS]; /* variance of a block's mean; samples */
	float growth[NORM_AGES], spread[NORM_AGES], lives[NORM_AGES]; /* mean, variance; lives */
};

/* A life as it is noted: the size (bytes) at the ages passed, NAN at the others. */
struct life {
	float at[NORM_AGES];
	uint16_t taught; /* bit by age: the norm knows */
	uint16_t next;	 /* age at which there is something to do */
};

void norm_init(struct norm *n);
void life_init(struct life *l);

void norm_learn_noise(struct norm *n, unsigned level, float variance_share);
/* Is the noise of a level known well enough to start from? */
bool norm_knows_noise(const struct norm *n, unsigned level);

/* To be called every hour. `size`: bytes, smoothed; `birth`: at its beginning; `noise_bytes`: one
 * standard deviation of such a value. When `age` is double one of the noted ages and the life has
 * settled by then, the norm learns from it. `n` may be NULL. */
void life_goes_on(
	struct life *l, struct norm *n, uint32_t age, float size, float birth, float noise_bytes);

/* Share of its size that a life may add between two ages (hours) without being remarkable: what
 * others' lives added, with a margin for how few they were and how they differed. False: too few
 * are known (or n is NULL). */
bool norm_usual(const struct norm *n, float from_age, float to_age, float *ret_share);

#endif
