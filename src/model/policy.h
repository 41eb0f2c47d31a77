/*
 * The host's own word on what may be done to its processes. Deny is the default: a missing file or
 * an empty one allows nothing. The agent asks it before it passes an order on; the helper, which
 * alone can touch a process, asks it again.
 *
 * The file is INI:
 *
 *   [profile]
 *   allow = /usr/lib/resin/demo/<glob>     executables that may be profiled; repeat the line for
 * more deny = /usr/sbin/sshd                  wins over any allow max_duration = 60s longest
 * sampling that an order may ask for max_pause = 20ms                       kept for the frozen
 * copy
 *
 * Globs are fnmatch(3) without FNM_PATHNAME, matched against the executable's full path, which the
 * asker reads from the kernel, not from the order.
 */
#ifndef RESIN_MODEL_POLICY_H
#define RESIN_MODEL_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define POLICY_MAX_RULES 256

struct policy_rule {
	bool allow;
	char *glob;
};

struct policy {
	struct policy_rule rules[POLICY_MAX_RULES];
	size_t n_rules;
	uint64_t max_duration_ns;
};

void policy_init(struct policy *p); /* allows nothing */
void policy_done(struct policy *p);

/* Adds the rules of `text`; on an error the policy allows nothing, which is the safe side. */
must_check int policy_parse(
	struct policy *p, const char *text, const char *origin, struct err *err);

/* True when `exe` may be sampled for that long; otherwise `why` (at least 200 bytes) says why. */
bool policy_allows_profile(
	const struct policy *p, const char *exe, uint64_t duration_ns, char *why, size_t why_size);

#endif
