/*
 * Fleets with known truth: components of many hosts whose healthy behaviour, noise and leak are
 * drawn from a seed. The same seed gives the same fleet on every machine.
 */
#ifndef BENCH_ACCURACY_GENERATE_H
#define BENCH_ACCURACY_GENERATE_H

#include "fleet.h"

/* name, held out of tuning, what it is */
#define BEHAVIOURS(X)                                                                       \
	X(FLAT, "flat", 0, "a constant and independent noise")                              \
	X(SLOW_NOISE, "slow-noise", 0, "noise that lasts for hours")                        \
	X(DIURNAL, "diurnal", 0, "follows the day")                                         \
	X(WEEKLY, "weekly", 1, "follows the day and the week")                              \
	X(WARM_UP, "warm-up", 0, "grows for some hours after every start")                  \
	X(CACHE, "cache", 0, "fills for days, ever more slowly")                            \
	X(RING, "ring-buffer", 1, "fills evenly for some hours, then stops")                \
	X(REFILL, "refill", 1, "a cache that is flushed now and then")                      \
	X(TEETH, "sawtooth", 0, "a collector that runs every few hours")                    \
	X(LONG_TEETH, "long-sawtooth", 1, "a collector that runs once or twice a day")      \
	X(STEP, "step", 0, "one or two changes of configuration")                           \
	X(PLATEAU, "plateau", 0, "goes to a new level within hours and stays")              \
	X(LOAD, "load", 0, "grows with its load for a week")                                \
	X(BURST, "burst", 1, "doubles under bursts of load and comes back")                 \
	X(RETENTION, "retention", 0, "an allocator that keeps what the largest burst took") \
	X(RESTARTS, "restarts", 0, "starts anew every day or two, and warms up")            \
	X(GLITCH, "glitch", 1, "a counter that lies now and then")                          \
	X(GAPS, "gaps", 0, "a third of its hours are missing")                              \
	X(MIXED, "mixed-tenants", 0, "tenants come and go: slow noise with deep dips")      \
	X(COARSE, "coarse", 1, "readings with a resolution of 2 %")                         \
	X(BATCH, "batch", 1, "a nightly job that grows for hours and gives it all back")    \
	X(DEPLOYS, "deploys", 1, "restarts every few days, to another level each time")     \
	X(CONNECTIONS, "connections", 1, "follows a random walk of its clients that is pulled back")

enum behaviour {
#define X(id, name, held, help) BEHAVIOUR_##id,
	BEHAVIOURS(X)
#undef X
		BEHAVIOUR_MAX_
};

/* How what leaks arrives. */
#define LEAKS(X)                                                  \
	X(STEADY, "steady", 0, "evenly")                          \
	X(BIRTH, "from-birth", 0, "evenly, since its start")      \
	X(DAILY, "with-load", 1, "in proportion to a daily load") \
	X(STAIR, "stair", 0, "all at once every 6 to 24 hours")   \
	X(SPIKE, "spike", 1, "in a few equal bursts at random")   \
	X(RANDOM, "random", 1, "in many portions of random size")

enum leak {
#define X(id, name, held, help) LEAK_##id,
	LEAKS(X)
#undef X
		LEAK_MAX_
};

struct plan {
	uint64_t seed;
	enum behaviour behaviour;
	enum leak leak;
	double rate;   /* share of the baseline per day; 0: nobody leaks */
	double share;  /* of the hosts that leak */
	double noise;  /* standard deviation of the hourly minimum, share of the baseline */
	double memory; /* autocorrelation of the noise from hour to hour */
	size_t hosts;
	size_t hours;
};

extern const char *const behaviour_names[];
extern const char *const leak_names[];
extern const bool behaviour_held[], leak_held[];

/* Fills `ret`; oracle[e] is the first hour at which entity e's leak is significant to somebody who
 * knows its noise and its healthy behaviour and tells the leak from one step, or SIZE_MAX; mild[e]
 * (NULL: not asked for) is the same for somebody to whom a step is a leak, too. Aborts when memory
 * is short. */
void generate(
	const struct plan *p, double oracle_z, struct group *ret, size_t *oracle, size_t *mild);
void group_done(struct group *g);

/* A plan drawn from a seed: noise, memory, rate and share as the bench's distribution has them. */
struct plan plan_draw(uint64_t seed, enum behaviour b, enum leak l, bool leaks, size_t hosts);

uint64_t draw(uint64_t *state);
double draw_uniform(uint64_t *state);
double draw_normal(uint64_t *state);

#endif
