/*
 * Recorded series of real programs, put before every detector (recording.h).
 *
 * Ownership: recorded_free(). Out of memory ends the program.
 */
#ifndef BENCH_ACCURACY_RECORDED_H
#define BENCH_ACCURACY_RECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct recorded;

/* What the goals ask for: ours, of all and of the programs held out of tuning; and where, with a
 * comparator's threshold set to raise as many false alarms in all, it is better in one program: no
 * more false alarms there, no fewer leaks, no later, and not the same. */
struct recorded_result {
	size_t leaks[2], found[2], false_alarms[2]; /* [1]: held out */
	double clean_weeks[2];
	size_t compared, better;
};

/* NULL with a message on stderr where the folder cannot be read. */
struct recorded *recorded_run(const char *folder);
void recorded_free(struct recorded *r);

/* Markdown. `series`: also what ours made of every series. */
void recorded_report(const struct recorded *r, bool series, FILE *f, struct recorded_result *ret);

#endif
