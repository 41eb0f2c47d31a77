/*
 * The helper's unprivileged half: a forked process that unwinds, folds and names.
 *
 * Stacks, ELF and DWARF of a target are hostile input. The helper only moves bytes; this process
 * parses them, as nobody, with limits on memory and time, with no way to reach anything but its
 * pipes. If it dies, the profile is lost and nothing else.
 */
#ifndef RESIN_CMD_WORKER_H
#define RESIN_CMD_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/profile.h"
#include "probe/abi.h"

struct worker {
	pid_t pid;
	int to, from; /* packets to it, the encoded profile from it */
	uint64_t *frees;
	size_t n_frees;
	uint64_t unwind_id;
	uint64_t dropped; /* samples that it was too slow for */
};

/* What the helper knows about the session at its end. */
struct worker_meta {
	struct proc_id target;
	char component[256], exe[1024];
	uint64_t order_id, start_unix_ns, duration_ns, period_bytes;
	uint64_t anon_start_bytes, anon_end_bytes, dropped, pause_ns;
};

must_check int worker_start(struct worker *w, struct err *err);
/* Sampling begins; `half_ns` parts early samples from late ones. */
must_check int worker_begin(struct worker *w, uint64_t start_ns, uint64_t half_ns, struct err *err);
/* Unwinds one stack: what snapshot/inject.h asks for. `arg` is the worker. */
int worker_unwind(void *arg, const uint64_t *dwarf_regs, uint64_t sp, const void *stack,
	size_t stack_bytes, uint64_t *ret_pcs, size_t max, bool *ret_complete);
/* Sends a module with its file; does not keep the descriptor. */
must_check int worker_module(
	struct worker *w, int fd, const char *path, uint64_t base, uint64_t end, struct err *err);
must_check int worker_alloc(struct worker *w, const struct probe_alloc *a);
must_check int worker_free_event(struct worker *w, uint64_t addr, uint64_t seq);
/* All events of a drain are in; now a checkpoint, if `mono_ns` is not 0. */
must_check int worker_apply(struct worker *w, uint64_t checkpoint_mono_ns);
/* Ends the session: the encoded profile is appended to `out`. */
must_check int worker_finish(
	struct worker *w, const struct worker_meta *meta, struct buf *out, struct err *err);
/* Kills and reaps whatever is left. */
void worker_done(struct worker *w);

#endif
