/*
 * Track: one entity over weeks, judged after every hour.
 *
 * Pure: hourly values in, a judgement out; no clock, no files. A new hour costs O(1): the past is
 * kept as a pyramid of block means (1, 2, 4 and 8 hours, 1, 2 and 4 days; 16 blocks each), beside
 * the hourly minima of the last 30 days for people to look at. docs/design/detection.md explains
 * the test, gives its sources and says what it cannot tell apart.
 *
 * At every level whose block has just been completed:
 *   1. How noisy is the entity there: three-sample (Hadamard) variance of adjacent blocks,
 *      winsorised, with its component's figure as the prior; coarser levels bound slow noise.
 *   2. Which "flat, then rising" line fits the blocks best, over all places at which the rise may
 *      begin, and how many standard errors is its slope above zero.
 *   3. Is something harmless as good an explanation: one step or two, an approach to a plateau, a
 *      return to where it was before, what lives add at that age, the load.
 *
 * Time is a number of hours; how long an hour is, is the caller's choice.
 * Ownership: track_done() frees what a track has allocated. Not thread safe. Ceilings: about 1.6
 * KB, 1.1 KB more where a load is given, and 2,880 bytes of minima, grown as they come.
 */
#ifndef RESIN_LOCALIZE_TRACK_H
#define RESIN_LOCALIZE_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "localize/fit.h"
#include "localize/norm.h"
#include "localize/season.h"

#define TRACK_LEVELS NORM_LEVELS
#define TRACK_BLOCKS FIT_MAX
#define TRACK_MINIMA 720u
#define TRACK_JUMPS 16u
#define TRACK_NEVER UINT32_MAX

struct track_level {
	float block[TRACK_BLOCKS]; /* means above track.base; NAN where nothing was seen */
	float sum;		   /* of the block that is being filled */
	uint16_t hours, seen;	   /* of it: passed, and with a value */
	uint8_t n, head;	   /* blocks kept, and where the next one goes */
	float noise, weight;	   /* variance of a block's mean; samples behind it */
	/* Blocks that have left the ring: mean, variance, largest, number. */
	float mean, var, peak, left;
};

struct track_load {
	struct season season;
	float mean; /* over a day, for shares */
	float block[TRACK_LEVELS][TRACK_BLOCKS];
	float sum[TRACK_LEVELS];     /* of the block that is being filled */
	uint16_t seen[TRACK_LEVELS]; /* hours of it with a load */
};

/* A clear change from one hour to the next that lasts for three hours at least. */
struct jump {
	uint32_t hour;
	float bytes; /* < 0: downwards */
};

enum track_state {
	TRACK_YOUNG,	  /* not enough history */
	TRACK_FLAT,	  /* nothing rises */
	TRACK_RISING,	  /* a rise, not significant yet or too short to tell what it is */
	TRACK_STEP,	  /* went to a new level */
	TRACK_SATURATING, /* rises ever more slowly */
	TRACK_RETURNING,  /* rises to where it was before */
	TRACK_AGEING,	  /* rises as others of its component did at this age */
	TRACK_LOADED,	  /* rises with its load */
	TRACK_LEAKING,
};

/* What one level says. */
struct track_look {
	enum track_state state;
	uint8_t level;
	uint8_t blocks, from; /* looked at, and the one in which the rise begins */
	uint32_t hour;	      /* track.hours when it looked */
	bool from_birth;      /* neither a level before the rise nor another life is known */
	float z;	      /* slope over its standard error, less what an age explains */
	float rate, rate_se;  /* bytes per hour */
	float step_gain;      /* what the line explains more than steps do, in noise variances */
	float late_early;     /* slope of the rise's second half over the first's */
	float concavity;      /* their difference in standard errors; > 0: slowing down */
};

struct track {
	double base;	     /* blocks are relative to it; NAN: nothing was seen yet */
	uint32_t hours, age; /* since the first value of all, and of this life */
	/* This life's beginning was seen, so that `age` is its age: so after track_restart(), not
	 * after track_init(); whoever knows better may set it. What was running before anybody
	 * looked has no age: nothing is learnt from it about lives, and they do not excuse it. */
	bool born;
	float birth;   /* bytes at the beginning of this life */
	double before; /* bytes at which the life before stood, at its end; NAN: none did */
	float level;   /* mean over a day, above base */
	float smooth;  /* mean over the last sixth of the age, at most a day, above base */
	struct season season;
	struct track_level at[TRACK_LEVELS];
	float var[TRACK_LEVELS];	       /* noise, as of the latest multiple of 4 hours */
	struct track_look looks[TRACK_LEVELS]; /* the latest of each */
	float recent[6];		       /* the latest hours, oldest first */
	struct jump jumps[TRACK_JUMPS];
	uint32_t n_jumps; /* ever; the latest TRACK_JUMPS are kept */
	struct life life;
	/* Growth in earlier lives beyond what their age explains; precision-weighted, fading. */
	float lives, rising_lives, life_precision, life_rate;
	struct track_load *load; /* NULL as long as no load was seen */
	float *minima;		 /* bytes, by hour modulo cap; NAN is a gap */
	uint32_t cap;
	float score;	      /* of the latest hour: the evidence for a leak; >= 1 is an alarm */
	uint8_t loudest;      /* the level that it is from */
	uint32_t first_alarm; /* hour, or TRACK_NEVER */
	uint32_t last_alarm;
	uint16_t alarm_block; /* hours of a block of the level that it was from */
};

struct track_rules {
	float z;	  /* standard errors, where a level before the rise was seen */
	float z_birth;	  /* where the rise began with the entity and no other life is known */
	float z_visible;  /* there, a slowing down by two fifths would have to show so clearly */
	float z_concave;  /* held back as slowing down from so many standard errors */
	float late_early; /* and from this ratio of the late slope to the early one */
	float step_gain;  /* noise variances by which a line must beat steps */
	uint32_t least_rise_hours;  /* what has risen for less may be a day's ascent, or a step */
	uint32_t warm_up;	    /* hours of a life that are not looked at */
	uint32_t least_birth_hours; /* of a rise since birth */
	uint32_t filling_hours;	    /* a rise that begins later in a life is not its filling */
	double least_bytes;	    /* of growth */
	float least_share;	    /* of growth, of the size */
	float prior_noise;	    /* standard deviation of an hour, share of the size */
	float prior_weight;	    /* of it, in samples */
};

extern const struct track_rules track_rules_default;

void track_init(struct track *t);
void track_done(struct track *t);

/* The least value of the hour that has ended, NAN if none was seen, and its mean load in any unit,
 * NAN if there is none. `norm` is the component's, or NULL. Returns 0 or -ENOMEM; then this hour is
 * missing from the minima, or the load from now on, and the judgement goes on without. */
must_check int track_add(struct track *t, const struct track_rules *rules, struct norm *norm,
	double bytes, double load);

/* The process began anew. A restart is not a cure: the growth of the life that has ended counts on,
 * as far as its age does not explain it. What was learnt about noise and days stays. */
void track_restart(struct track *t, const struct track_rules *rules, const struct norm *norm);

/* The least value of the hour so many hours ago (0: the latest); NAN: unknown. */
double track_minimum(const struct track *t, uint32_t hours_ago);

/* Appends the track as bytes: 1.6 KB, its load, 4 bytes a minimum. 0, -ENOMEM or -EMSGSIZE. */
must_check int track_put(const struct track *t, struct buf *out);

/* Makes a track of them; `ret` is empty before, and also where it fails. What another build has
 * written is learnt anew from its minima. Returns 0, -EBADMSG or -ENOMEM. */
must_check int track_get(const void *bytes, size_t n, const struct track_rules *rules,
	struct norm *norm, struct track *ret);

/* The hour in which the rise began that a look describes. */
uint32_t track_rise_begins(const struct track_look *k);

/* Jumps upwards since an hour: how many, their sum and the largest. */
unsigned track_jumps(const struct track *t, uint32_t since, float *ret_sum, float *ret_largest);

#endif
