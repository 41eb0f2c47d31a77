/*
 * Judge: what a track has seen, in the words and numbers that people and programs get.
 *
 * Pure. The track decides (localize/track.h); this explains: the interval, the rate, the pattern,
 * the forecast and the sentences.
 */
#ifndef RESIN_LOCALIZE_JUDGE_H
#define RESIN_LOCALIZE_JUDGE_H

#include "localize/track.h"
#include "model/detection.h"

/* `end_ns`: wall clock at the end of the latest hour; `hour_ns`: how long an hour is;
 * `limit_bytes`: 0 when none is known. An alarm of the last day counts as going on. */
void judge_track(const struct track *t, const struct track_rules *rules, uint64_t end_ns,
	uint64_t hour_ns, double limit_bytes, struct detection *ret);

/* The latest alarm still counts: it was within a day, or within a block of the level that raised
 * it, which speaks only when one ends. */
bool judge_alarm_goes_on(const struct track *t);

const char *track_state_name(enum track_state s);

#endif
