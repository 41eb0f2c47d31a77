/*
 * Every detector's whole trade-off on the recorded background: how many clean machines are falsely
 * alarmed, how many leaks are found, how late.
 *
 * curve_run() runs the detectors and keeps, of each machine, how high its score was by when; what a
 * threshold gives is read from that. Ownership: curve_free(). Out of memory ends the program.
 */
#ifndef BENCH_ACCURACY_CURVE_H
#define BENCH_ACCURACY_CURVE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct curve;

/* What the goals ask for, over all comparators, budgets and leaks: where ours finds less, or is
 * later; with an interval that leaves out zero, and by the figure alone. */
struct curve_result {
	size_t machines, default_alarmed;
	size_t compared, less, later, less_figure, later_figure;
};

/* NULL with a message on stderr where the recording cannot be read. */
struct curve *curve_run(const char *trace_path, uint64_t seed);
void curve_free(struct curve *c);

/* Markdown. */
void curve_report(struct curve *c, uint64_t seed, FILE *f, struct curve_result *ret);
void curve_csv(const struct curve *c, FILE *f);
void curve_svg(const struct curve *c, FILE *f);

#endif
