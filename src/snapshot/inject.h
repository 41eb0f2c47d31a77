/*
 * Make a live process call a function, at a safe point, without stopping more than one thread.
 *
 * A safe point is a thread that is waiting in the kernel for the outside world, or running in code
 * of its own, and that is not inside the allocator or the loader: neither its program counter nor
 * any word of its stack that could be a return address points there. A dead word that was left
 * behind by an earlier call would hold us up for ever; then an exact unwinding has the last word.
 * Only that one thread is stopped, for the time it takes to look (tens of microseconds) and then
 * for the call itself; all others run on, so that a lock which one of them holds is released.
 *
 * What it never does: overwrite code, run a system call by hand, set a debug register, leave a
 * thread stopped. Killed at any instant, it leaves the target whole (see os/arch.h).
 */
#ifndef RESIN_SNAPSHOT_INJECT_H
#define RESIN_SNAPSHOT_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "os/proc.h"
#include "os/remote.h"
#include "snapshot/preflight.h"

enum inject_outcome {
	INJECT_OK = 0,
	INJECT_GONE = 1,
	INJECT_DENIED = 2,
	INJECT_NO_SAFE_POINT = 3, /* every look found the threads in the allocator or the loader */
	INJECT_SLOW = 4,	  /* the call did not return in time; it will, and needs nobody */
};

/* An exact unwinder that runs elsewhere, without privileges. Fills at most `max` return addresses,
 * innermost first; *ret_complete: down to the thread's first frame. Returns how many, or <0. */
struct inject_unwinder {
	int (*unwind)(void *arg, const uint64_t *dwarf_regs, uint64_t sp, const void *stack,
		size_t stack_bytes, uint64_t *ret_pcs, size_t max, bool *ret_complete);
	void *arg;
};

struct code_range {
	uint64_t start, end;
};

struct inject {
	struct os *os;
	pid_t pid;
	struct raddr dlopen, trampoline;
	struct code_range loader, libc, malloc_code; /* text */
	struct code_range other_allocator;	     /* a malloc that is not libc's; else empty */
	uint64_t entries[16]; /* first addresses of libc's public allocator functions */
	size_t n_entries;
	struct raddr guard; /* a word that only this program has there; 0: not known yet */
	uint64_t guard_value;
	struct inject_unwinder unwinder; /* unwind == NULL: none */
	bool unwinder_warm;		 /* it has read the tables that it needs */
	/* What it cost, for the report. */
	uint64_t longest_stop_ns, looks;
};

/* Finds what is needed in the target's memory. REFUSAL_* that shows only now goes to `pre`. */
must_check int inject_open(
	struct inject *in, struct os *os, pid_t pid, struct preflight *pre, struct err *err);

/* Calls function(address of a copy of data, arg1). `timeout_ns` bounds the search for a safe point
 * and, separately, the call. */
must_check int inject_call(struct inject *in, struct raddr function, const void *data, size_t n,
	uint64_t arg1, uint64_t timeout_ns, struct err *err);

#endif
