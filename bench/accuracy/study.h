/*
 * Synthetic fleets put before every detector: what each made of each entity.
 *
 * A study runs twice. The first pass gives every detector's alarms at its published setting and
 * how its false alarms depend on its threshold; the second gives the comparators' alarms at the
 * threshold at which they raise about as many false alarms as ours does. Scores are not kept.
 *
 * Forks one child per job and waits for all of them; the result does not depend on their number.
 * Ownership: study_done() frees what study_run() made. Out of memory ends the program.
 */
#ifndef BENCH_ACCURACY_STUDY_H
#define BENCH_ACCURACY_STUDY_H

#include "alarms.h"
#include "fleet.h"
#include "generate.h"
#include "peers.h"

#define STUDY_DETECTORS 24u
#define STUDY_Z 3.09 /* the oracles': 99.9 % */

enum oracle { ORACLE_NOT_A_STEP, ORACLE_NOT_CONSTANT, ORACLES };
enum setting { SETTING_PUBLISHED, SETTING_MATCHED, SETTINGS };

struct study_options {
	uint64_t seed;
	size_t fleets; /* of every behaviour with every kind of leak */
	bool tuning;   /* the half that the detector was made with, not the one held out */
	size_t jobs;
};

struct fleet_plan {
	struct plan plan;
	size_t first; /* subject */
};

/* One entity. Delays are in hours from the leak's start to the end of the alarm's hour. */
struct subject {
	uint32_t fleet;
	bool leaks;
	float clean_weeks;
	uint16_t left;		  /* hours from the leak's start to the end of the series */
	uint16_t oracle[ORACLES]; /* delay; 0: cannot be called */
};

struct study {
	struct fleet_plan *fleet;
	size_t fleets;
	size_t subjects, detectors;
	/* Mapped, shared with the children. */
	struct subject *subject;
	struct outcome *outcome; /* see study_outcome() */
	float threshold[STUDY_DETECTORS][SETTINGS];
};

/* Detector 0 is ours, the others are the peers. */
const struct peer *study_detector(size_t d);
const struct outcome *study_outcome(
	const struct study *s, size_t subject, size_t d, enum setting t);

const struct plan *study_plan_of(const struct study *s, size_t subject);
/* Delay over the oracle's, of a leak that the oracle calls; INFINITY where it was missed. */
double study_delay_ratio(
	const struct study *s, size_t subject, size_t d, enum setting t, enum oracle o);
/* Whether any fleet is of this behaviour or this kind of leak; -1: of none. */
bool study_has(const struct study *s, int behaviour, int leak);
extern const char *const oracle_names[ORACLES];

/* Returns 0, or -1 with a message on stderr. */
int study_run(const struct study_options *o, struct study *ret);
void study_done(struct study *s);

#endif
