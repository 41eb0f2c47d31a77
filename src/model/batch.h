/*
 * One look at one host: the samples of all its entities at one moment.
 *
 * A batch is built by the agent and rebuilt by the server; both keep the strings elsewhere (the
 * agent in its identity cache, the server in the decoder's arena). `seq` counts up by one per batch
 * of one agent and boot, and is what the server de-duplicates by.
 */
#ifndef RESIN_MODEL_BATCH_H
#define RESIN_MODEL_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "model/metric.h"
#include "model/proc-id.h"

enum entity_kind {
	ENTITY_PROCESS = 0,
	ENTITY_CGROUP = 1,
	ENTITY_SLAB = 2,
	ENTITY_KIND_MAX_,
};

struct sample {
	enum entity_kind kind;
	uint32_t pid, ppid;
	uint64_t start_ticks;
	const char *component; /* never NULL */
	const char *version;   /* GNU build-id in hex; "" while unknown */
	uint32_t present;      /* bit i: values[i] was measured */
	uint64_t values[METRIC_MAX_];
};

struct batch {
	char host[HOST_NAME_MAX_BYTES];
	char boot_id[BOOT_ID_MAX];
	uint64_t seq;	    /* from 1 */
	uint64_t unix_ns;   /* when the look was taken */
	uint64_t period_ns; /* the agent's period at that time */
	uint64_t pace;	    /* how many times faster than configured; 1 is normal */
	uint64_t dropped;   /* batches that the agent had to give up so far */
	struct sample *samples;
	size_t n_samples;
};

#endif
