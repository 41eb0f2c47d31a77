/*
 * Time as a thing that is handed in: no stage asks the kernel for it. Three readings, all in ns.
 * A test hands in its own functions.
 */
#ifndef RESIN_BASE_CLOCK_H
#define RESIN_BASE_CLOCK_H

#include <stdint.h>

struct clock {
	uint64_t (*unix_ns)(void *arg); /* wall clock; may jump */
	uint64_t (*mono_ns)(void *arg); /* for intervals and deadlines */
	void *arg;
};

static inline uint64_t clock_unix_ns(const struct clock *c)
{
	return c->unix_ns(c->arg);
}

static inline uint64_t clock_mono_ns(const struct clock *c)
{
	return c->mono_ns(c->arg);
}

/* The kernel's clocks. */
extern const struct clock clock_system;

#endif
