/*
 * /proc, behind a root descriptor that can be swapped for a recorded tree.
 *
 * Reads and parses; decides nothing. "The process is gone" and "not permitted" are outcomes (>0),
 * because both happen all day. Not thread safe: one `struct os` per thread.
 */
#ifndef RESIN_OS_PROC_H
#define RESIN_OS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/proc-id.h"

enum os_outcome { OS_OK = 0, OS_GONE = 1, OS_DENIED = 2, OS_NONE = 3 };

struct os {
	int proc_fd;	 /* of /proc, or of a recording of it */
	struct buf file; /* scratch for one file, reused so that a tick allocates nothing */
	long ticks_per_second;
	uint64_t page_bytes;
};

must_check int os_open(struct os *os, const char *proc_root, struct err *err);
void os_close(struct os *os);

/* Reads /proc/<path> into os->file. Returns OS_OK, OS_GONE, OS_DENIED or <0. */
must_check int os_read(struct os *os, const char *path, struct err *err);

must_check int os_boot_id(struct os *os, char ret[static BOOT_ID_MAX], struct err *err);

/* MemTotal. OS_OK, OS_NONE where /proc/meminfo does not say, or <0. */
must_check int os_memory_total(struct os *os, uint64_t *ret_bytes, struct err *err);

struct proc_stat {
	uint32_t pid, ppid;
	char comm[20];
	char state;
	uint32_t threads;
	uint64_t start_ticks;
	uint64_t cpu_ns; /* user + system */
	uint64_t faults; /* minor + major */
};

/* /proc/PID/stat; the name may hold anything, also ") R 1". */
must_check int proc_stat_parse(const char *text, long ticks_per_second, struct proc_stat *ret);
must_check int os_proc_stat(struct os *os, uint32_t pid, struct proc_stat *ret, struct err *err);

struct proc_status {
	bool has_memory; /* false for kernel threads */
	uint64_t anon_bytes, file_bytes, shmem_bytes, swap_bytes, page_tables_bytes, stack_bytes;
	uint32_t uid, gid; /* effective; gid effective */
	uint32_t tracer_pid;
	uint32_t seccomp_mode;
	uint64_t sig_pending, sig_shared_pending, sig_blocked;
	bool shadow_stack; /* x86 user shadow stack is on */
	char state;
};

must_check int proc_status_parse(const char *text, struct proc_status *ret);
must_check int os_proc_status(
	struct os *os, uint32_t pid, struct proc_status *ret, struct err *err);
/* The same of one thread. */
must_check int os_thread_status(
	struct os *os, uint32_t pid, uint32_t tid, struct proc_status *ret, struct err *err);

/* Calls fn for every pid. Stops at the first non-zero return and returns it. */
typedef int (*os_pid_fn)(void *arg, uint32_t pid);
must_check int os_each_pid(struct os *os, os_pid_fn fn, void *arg, struct err *err);
must_check int os_each_thread(
	struct os *os, uint32_t pid, os_pid_fn fn, void *arg, struct err *err);

/* Target of a link such as "exe" or "ns/mnt" of a process. */
must_check int os_proc_link(
	struct os *os, uint32_t pid, const char *name, char *ret, size_t size, struct err *err);

/* True when pid is the very process that `id` names (boot, pid and start time). */
must_check int os_is_process(struct os *os, const struct proc_id *id, struct err *err);

struct mapping {
	uint64_t start, end, offset, inode;
	char perms[5];
	const char *path; /* in the list's storage; "" for anonymous memory */
};

struct maps {
	struct mapping *v;
	size_t n, cap;
	char *text;
};

must_check int maps_parse(struct maps *m, const char *text, struct err *err);
must_check int os_maps(struct os *os, uint32_t pid, struct maps *ret, struct err *err);
void maps_done(struct maps *m);
/* The mapping that holds the address, or NULL. */
const struct mapping *maps_find(const struct maps *m, uint64_t addr);

#endif
