/*
 * Recorded series of real programs: recorded/README.md says what they are, recorded/truth.csv which
 * of them leak, and from which hour on.
 *
 * All is kept in memory: some hundred series of some hundred hours. What is in the folder is ours,
 * so that a file that is not as expected is an error with its line. Ownership: recording_done()
 * frees what recording_read() made. Out of memory ends the program.
 */
#ifndef BENCH_ACCURACY_RECORDING_H
#define BENCH_ACCURACY_RECORDING_H

#include <stdbool.h>
#include <stddef.h>

#include "fleet.h"

#define RECORDING_SERIES 256u
#define RECORDING_PROGRAMS 12u
#define RECORDING_HOURS 2160u

/* Those of a program, and in it those of a component, come one after the other. */
struct recorded_series {
	char component[24], how[96];
	size_t program, group, entity;
	double bytes_per_hour; /* of the leak */
	double grown_per_hour; /* of the series since; NAN where a restart came between */
};

struct recorded_program {
	char name[24];
	bool held; /* out of tuning */
};

struct recording {
	struct recorded_series series[RECORDING_SERIES];
	struct recorded_program program[RECORDING_PROGRAMS];
	struct group group[RECORDING_SERIES]; /* components */
	size_t n_series, programs, groups;
};

struct entity_series *recording_of(const struct recording *r, const struct recorded_series *s);

/* Returns 0, or -1 with a message on stderr. */
int recording_read(const char *folder, struct recording *ret);
void recording_done(struct recording *r);

#endif
