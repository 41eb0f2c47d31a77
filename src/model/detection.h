/*
 * What localize says about one entity after weeks: a verdict, the behaviour that explains it, the
 * numbers and the sentences behind it.
 */
#ifndef RESIN_MODEL_DETECTION_H
#define RESIN_MODEL_DETECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/suspect.h"

#define DETECTION_VERDICTS(X)                                    \
	X(UNKNOWN, "unknown", "not enough history")              \
	X(OK, "ok", "explained, or nothing grows")               \
	X(WATCH, "watch", "grows; not enough to call it a leak") \
	X(LEAK, "leak", "grows, and nothing harmless explains it")

enum detection_verdict {
#define X(id, name, help) DETECTION_##id,
	DETECTION_VERDICTS(X)
#undef X
		DETECTION_MAX_
};

#define BEHAVIOUR_KINDS(X)                                                        \
	X(YOUNG, "young", "too young to tell")                                    \
	X(FLAT, "flat", "does not grow")                                          \
	X(SAWTOOTH, "sawtooth", "rises and falls back; its troughs do not rise")  \
	X(WARM_UP, "warm-up", "grows since its start, ever more slowly")          \
	X(CACHE_FILLING, "cache-filling", "grows for days, ever more slowly")     \
	X(STEP, "step", "went to a new level and stayed there")                   \
	X(RETURNING, "returning", "comes back to a level at which it was before") \
	X(LOAD, "load", "grows with its load")                                    \
	X(GROWTH, "growth", "grows; too little yet to tell why")                  \
	X(LEAK, "leak", "grows without end")

enum behaviour_kind {
#define X(id, name, help) BEHAVIOUR_KIND_##id,
	BEHAVIOUR_KINDS(X)
#undef X
		BEHAVIOUR_KIND_MAX_
};

#define DETECTION_REASONS 5u
#define DETECTION_REASON_BYTES 160u

/* Until the limit is reached: hours, and the interval that holds the truth four times in five.
 * INFINITY: not at this rate. */
struct forecast {
	bool known; /* a limit is known, and it grows towards it */
	double limit_bytes;
	double hours_lo, hours, hours_hi;
};

struct detection {
	enum detection_verdict verdict;
	enum behaviour_kind behaviour;
	enum pattern pattern;
	uint64_t start_ns, end_ns; /* of the growth that is meant; 0, 0: none */
	uint64_t first_alarm_ns;   /* when a live server would have said so; 0: never */
	double size_bytes;	   /* latest hourly minimum */
	double growth_bytes;	   /* over the interval */
	double bytes_per_hour, bytes_per_hour_lo, bytes_per_hour_hi; /* 95 % */
	double severity; /* 0 to 100: share of the way to the limit (without one, to double its
			    size) that a week at this rate covers */
	struct forecast forecast;
	size_t n_reasons;
	char reason[DETECTION_REASONS][DETECTION_REASON_BYTES];
};

const char *detection_verdict_name(enum detection_verdict v);
const char *behaviour_kind_name(enum behaviour_kind b);
const char *behaviour_kind_help(enum behaviour_kind b);

#endif
