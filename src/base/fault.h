/*
 * Fault points by name: places where a test may end this process or make a step fail.
 *
 * RESIN_FAULT=NAME:kill   sends SIGKILL to ourselves at that point
 * RESIN_FAULT=NAME:fail   makes fault_fails() true there
 * Without the variable a point costs one getenv(); points are never on a hot path. The names are
 * listed in docs/internals/faults.md, and a test walks all of them.
 */
#ifndef RESIN_BASE_FAULT_H
#define RESIN_BASE_FAULT_H

#include <stdbool.h>

/* Does not return when this point is set to `kill`. */
void fault_point(const char *name);

/* True when this point is set to `fail`. */
bool fault_fails(const char *name);

#endif
