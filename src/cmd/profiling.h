/*
 * One order carried out, from preflight to the encoded profile: the helper's main job.
 */
#ifndef RESIN_CMD_PROFILING_H
#define RESIN_CMD_PROFILING_H

#include <stdbool.h>

#include "base/buf.h"
#include "model/order.h"
#include "model/policy.h"

enum profiling_outcome {
	PROFILING_OK = 0,
	PROFILING_REFUSED = 1,
	PROFILING_GONE = 2,
	PROFILING_FAILED = 3,
	PROFILING_CANCELLED = 4,
};

struct profiling {
	const struct order *order;
	const struct policy *policy; /* NULL: the caller acts with its own rights only */
	const char *probe_path;	     /* the library as it was built or installed */
	const char *stage_dir;	     /* where a copy goes that every user can read; NULL: no copy */
	/* Told about each stage; returns false to cancel. */
	bool (*progress)(void *arg, const char *stage, const char *text);
	void *arg;
	char name[40]; /* out: short name of a refusal or failure */
};

/* Outcomes as above; `err` holds the sentence for every one but OK. The encoded profile goes to
 * `out`. Whatever happens, the target is left as it was or the probe's lease will see to it. */
must_check int profiling_run(struct profiling *p, struct buf *out, struct err *err);

#endif
