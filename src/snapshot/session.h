/*
 * One profiling session: the probe in a target from its loading to its silence.
 *
 * open -> start -> (drain, renew)* -> stop. A session that is never stopped ends by itself: the
 * probe puts everything back when its lease runs out.
 */
#ifndef RESIN_SNAPSHOT_SESSION_H
#define RESIN_SNAPSHOT_SESSION_H

#include "probe/abi.h"
#include "snapshot/inject.h"

enum session_outcome {
	SESSION_OK = 0,
	SESSION_GONE = 1,
	SESSION_REFUSED = 2, /* pre.refusal says why */
	SESSION_NO_SAFE_POINT = 3,
	SESSION_BUSY = 4,   /* somebody else profiles this process now */
	SESSION_FAILED = 5, /* the target would not load or start the probe; err says why */
};

struct session {
	struct os *os;
	pid_t pid;
	struct preflight pre;
	struct inject in;
	struct raddr control, start, stop, rescan, memory;
	uint64_t alloc_tail, free_tail;
	struct probe_control last; /* as last read */
	struct probe_alloc *slot;  /* one slot, to copy into */
	bool active;
};

/* Checks, finds, loads. `exe`: the executable that the caller has asked the policy about; a process
 * that has become another program since (exec keeps pid and start time) is GONE. `probe_path`: the
 * library as the target can open it. */
must_check int session_open(struct session *s, struct os *os, pid_t pid, const char *exe,
	const char *probe_path, const struct inject_unwinder *unwinder, struct err *err);
/* Waits for an old session that is just ending; SESSION_BUSY: one that goes on. */
must_check int session_start(
	struct session *s, uint64_t period_bytes, uint64_t lease_ns, struct err *err);

/* Hands out what was recorded since the last call. The alloc is valid during the call only. */
struct session_sink {
	int (*alloc)(void *arg, const struct probe_alloc *a);
	int (*free)(void *arg, uint64_t addr, uint64_t seq);
	void *arg;
};
must_check int session_drain(struct session *s, const struct session_sink *sink, struct err *err);

/* Both write one word; -ESRCH when the target is gone. */
must_check int session_renew(struct session *s, uint64_t lease_ns);
must_check int session_set_period(struct session *s, uint64_t period_bytes);

/* Looks at objects that were loaded since. */
must_check int session_rescan(struct session *s, struct err *err);

/* Puts everything back and checks that it is. */
must_check int session_stop(struct session *s, struct err *err);
void session_close(struct session *s);

#endif
