#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint64_t system_unix_ns(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_REALTIME);
}

static uint64_t system_mono_ns(void *arg)
{
	(void)arg;
	return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_system = {system_unix_ns, system_mono_ns, NULL};
