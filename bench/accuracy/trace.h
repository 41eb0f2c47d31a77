/*
 * The recorded background: machines-memory.csv, on a 5-minute grid, and leaks added to it.
 */
#ifndef BENCH_ACCURACY_TRACE_H
#define BENCH_ACCURACY_TRACE_H

#include "fleet.h"

#define TRACE_STEP_S 300
#define TRACE_PER_HOUR (3600 / TRACE_STEP_S)
#define TRACE_HOURS 142
#define TRACE_STEPS (TRACE_HOURS * TRACE_PER_HOUR)
#define TRACE_WARM_HOURS 72 /* alarms before are not counted: rules are still learning */
#define TRACE_LEAK_HOUR 96

/* Every machine on its own grid, from its first reading. `g` has room for TRACE_MACHINES_MAX
 * entities and g->n is set. Returns 0, or -1 with a message on stderr. */
#define TRACE_MACHINES_MAX 512
int trace_read(const char *path, struct group *g);

/* The background halved, and, from the leak's hour on, pct of the limit per hour on top. */
void trace_halve_and_ramp(const struct entity_series *from, double *to, double pct);

/* The background halved, and share[i] of the limit on top of step i. */
void trace_halve_and_add(const struct entity_series *from, double *to, const double *share);

#endif
