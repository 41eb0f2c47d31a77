/*
 * Another process's memory and threads: read, write, stop, resume.
 *
 * Mechanism only. Addresses of the target have a type of their own, so that the compiler stops us
 * from dereferencing them. A stopped thread is released by remote_detach(), and by the kernel when
 * we die: nothing here leaves a thread stopped.
 */
#ifndef RESIN_OS_REMOTE_H
#define RESIN_OS_REMOTE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct raddr {
	uint64_t v;
};

/* Both move exactly n bytes or return <0 (-ESRCH: gone, -EPERM, -EFAULT). */
must_check int remote_read(pid_t pid, struct raddr from, void *to, size_t n);
must_check int remote_write(pid_t pid, struct raddr to, const void *from, size_t n);

/* As much as is mapped, in steps of a page; returns the number of bytes, or <0. */
must_check ssize_t remote_read_some(pid_t pid, struct raddr from, void *to, size_t n);

/* Between these two, remote_wait_event() sleeps exactly until a traced thread stops (SIGCHLD, which
 * they block), or until the deadline: the thread waits for us at every such stop, so neither
 * sleeping for a while nor spinning on a busy machine would do. */
void remote_events_begin(sigset_t *ret_old);
void remote_wait_event(uint64_t deadline_mono_ns);
void remote_events_end(const sigset_t *old);

enum remote_outcome { REMOTE_OK = 0, REMOTE_GONE = 1, REMOTE_DENIED = 2, REMOTE_BUSY = 3 };

/* Seizes one thread and stops it; to be called between remote_events_begin() and _end().
 * REMOTE_BUSY: it did not stop within `timeout_ns` (throttled, uninterruptible sleep). It cannot be
 * let go while it does not stop, and would stay stopped from the moment it does until we exit:
 * choose a long timeout, which costs the thread nothing, and end soon after a BUSY. */
must_check int remote_stop(pid_t tid, uint64_t timeout_ns, struct err *err);

/* Lets the thread go on, untraced. Fine to call on a thread that is gone. */
void remote_detach(pid_t tid);

#endif
