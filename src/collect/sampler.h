/*
 * The agent's look at /proc: one batch per tick.
 *
 * Reads what everybody may read (stat, status). Who a process is gets asked once in its life, of
 * whoever may know: our own view of its executable, or the helper; until then its name is that of
 * the kernel. Ceiling: LIMIT_BATCH_ENTITIES processes; more are counted in `skipped`. Allocates
 * only while the number of processes grows. One thread.
 */
#ifndef RESIN_COLLECT_SAMPLER_H
#define RESIN_COLLECT_SAMPLER_H

#include "base/clock.h"
#include "base/map.h"
#include "model/batch.h"
#include "os/proc.h"

struct known {
	uint32_t pid;
	uint64_t start_ticks;
	uint64_t last_tick; /* of the sampler; older ones are forgotten */
	uint32_t looks;	    /* ticks that it was there */
	bool asked;
	char component[64];
	char build_id[66];
	char *exe; /* NULL while unknown */
};

struct sampler {
	struct os os;
	const struct clock *clock;
	char host[HOST_NAME_MAX_BYTES], boot_id[BOOT_ID_MAX];
	struct known *known;
	size_t n_known, cap_known;
	struct map index;
	struct sample *samples;
	size_t n_samples, cap_samples;
	uint64_t tick, seq, skipped;
	uint64_t memory_bytes; /* of the host; 0: not known */
};

must_check int sampler_open(struct sampler *s, const char *proc_root, const char *host,
	const struct clock *clock, struct err *err);
void sampler_close(struct sampler *s);

/* One look. The batch points into the sampler until the next call. */
must_check int sampler_tick(struct sampler *s, struct batch *ret, struct err *err);

/* Processes that have lived for two looks and are not known; marks them as asked. */
size_t sampler_unknown(struct sampler *s, uint64_t *pids, uint64_t *starts, size_t max);

/* The answer: the executable's path ("" when nobody can tell) and its build-id. */
void sampler_learn(struct sampler *s, uint32_t pid, uint64_t start_ticks, const char *exe,
	const char *build_id);
/* The helper did not answer: ask again later. */
void sampler_ask_again(struct sampler *s);

/* What is known of a process, or NULL. */
const struct known *sampler_find(const struct sampler *s, uint32_t pid, uint64_t start_ticks);

#endif
