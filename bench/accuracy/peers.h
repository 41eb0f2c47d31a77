/*
 * The detectors that ours is compared with, each as published, each with one knob.
 *
 * A peer gives every entity a score per hour: it alarms at the hours whose score is at least its
 * threshold, and its published setting is `published`. So one run draws its whole trade-off.
 */
#ifndef BENCH_ACCURACY_PEERS_H
#define BENCH_ACCURACY_PEERS_H

#include "fleet.h"

struct peer {
	const char *name;   /* short, for tables */
	const char *source; /* where the rule is from */
	double published;   /* threshold of the published setting */
	size_t train_hours; /* scores before this are not alarms (0: the rule has no training) */
	/* Fills score[e * hours + h] with the score of entity e at the end of hour h (0-based,
	 * hours = n * step_s / 3600), from what was known by then; -INFINITY where it says nothing.
	 */
	void (*run)(const struct group *g, size_t hours, float *score);
};

extern const struct peer peers[];
extern const size_t n_peers;

#endif
