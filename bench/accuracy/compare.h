/*
 * All detectors of a study side by side, with a paired bootstrap of the differences to ours.
 *
 * Every resample weighs the entities once, for all detectors. Ownership: comparison_free(); the
 * study must live as long. Out of memory ends the program.
 */
#ifndef BENCH_ACCURACY_COMPARE_H
#define BENCH_ACCURACY_COMPARE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "study.h"

struct comparison;

/* `by_fleet`: draws whole components instead of entities. */
struct comparison *comparison_new(const struct study *s, uint64_t seed, bool by_fleet);
void comparison_free(struct comparison *c);

/* Markdown: everybody at one setting. */
void comparison_report(const struct comparison *c, enum oracle o, enum setting t, FILE *f);

/* Markdown: ours against each comparator within every behaviour. The results are over all
 * comparators at the matched setting: behaviours in which ours is worse in something and better
 * in nothing, and in which it is worse in something and better in something. */
void comparison_report_classes(
	const struct comparison *c, enum oracle o, FILE *f, size_t *ret_worse, size_t *ret_mixed);

#endif
