#include "base/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static bool is_set(const char *name, const char *action)
{
	const char *v = getenv("RESIN_FAULT"); /* NOLINT(concurrency-mt-unsafe): never set by us */
	size_t n = strlen(name);

	return v && strncmp(v, name, n) == 0 && v[n] == ':' && strcmp(v + n + 1, action) == 0;
}

void fault_point(const char *name)
{
	if (is_set(name, "kill"))
		raise(SIGKILL);
}

bool fault_fails(const char *name)
{
	return is_set(name, "fail");
}
