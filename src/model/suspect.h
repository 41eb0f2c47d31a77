/*
 * What localize says about one entity's series: a verdict that names the behaviour, the suspicious
 * interval, the numbers behind it, and a sentence with the reason.
 */
#ifndef RESIN_MODEL_SUSPECT_H
#define RESIN_MODEL_SUSPECT_H

#include <stddef.h>
#include <stdint.h>

#define VERDICTS(X)                                                                             \
	X(TOO_SHORT, "too-short", "not enough history to judge")                                \
	X(FLAT, "flat", "does not grow")                                                        \
	X(WARM_UP, "warm-up", "grows, but only since its start")                                \
	X(SAWTOOTH, "sawtooth", "rises and falls back; the troughs do not grow")                \
	X(SATURATING, "saturating", "grows ever more slowly: a cache that fills, or a warm-up") \
	X(STEP, "step", "went to a new level and stayed there")                                 \
	X(LEAK, "leak", "grows steadily and does not come back")

enum verdict {
#define X(id, name, help) VERDICT_##id,
	VERDICTS(X)
#undef X
		VERDICT_MAX_
};

enum pattern { PATTERN_NONE, PATTERN_STEADY, PATTERN_STAIR, PATTERN_SPIKE, PATTERN_MAX_ };

struct suspect {
	enum verdict verdict;
	enum pattern pattern;
	uint64_t start_ns, end_ns; /* the suspicious interval; 0, 0 when there is none */
	size_t steps;		   /* points in it */
	uint64_t from_bytes, to_bytes;
	double growth_bytes; /* over the interval, of the lower envelope */
	double bytes_per_hour, bytes_per_hour_lo, bytes_per_hour_hi; /* 95 % interval */
	double late_to_early; /* slope of the last third / slope of the first third */
	double severity;      /* growth over noise; for ranking */
	char reason[240];
};

const char *verdict_name(enum verdict v);
const char *pattern_name(enum pattern p);

#endif
