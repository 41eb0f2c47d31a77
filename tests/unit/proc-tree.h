/*
 * A recorded /proc, written by the tests that look at one.
 */
#ifndef RESIN_TESTS_PROC_TREE_H
#define RESIN_TESTS_PROC_TREE_H

#include "unit.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"

static inline void proc_tree_make(struct folder *f)
{
	folder_make(f);
	folder_write(f, "sys/kernel/random/boot_id", BOOT "\n");
	folder_write(f, "uptime", "1 1\n");
	folder_write(f, "meminfo", "MemTotal:       24684092 kB\nMemFree:         3364776 kB\n");
	folder_write(f, "self-made/stat", "not a process");
}

static inline void proc_tree_stat(
	const struct folder *f, uint32_t pid, const char *comm, char state, uint64_t start_ticks)
{
	char name[64], text[512];

	snprintf(name, sizeof(name), "%u/stat", pid);
	snprintf(text, sizeof(text),
		"%u (%s) %c 1 %u %u 0 -1 4194560 100 200 30 40 11 22 33 44 20 0 5 0 %llu 1000 200 "
		"18446744073709551615 1 1 0 0 0\n",
		pid, comm, state, pid, pid, (unsigned long long)start_ticks);
	folder_write(f, name, text);
}

static inline void proc_tree_status(const struct folder *f, uint32_t pid, uint64_t anon_kb)
{
	char name[64], text[1024];

	snprintf(name, sizeof(name), "%u/status", pid);
	snprintf(text, sizeof(text),
		"Name:\tx\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t%u\nPid:\t%u\nPPid:\t1\n"
		"TracerPid:\t7\nUid:\t1000\t1001\t1002\t1003\nGid:\t2000\t2001\t2002\t2003\n"
		"VmPeak:\t  999999 kB\nVmRSS:\t  5000 kB\nRssAnon:\t%8llu kB\nRssFile:\t    3000 kB\n"
		"RssShmem:\t      40 kB\nVmData:\t 1 kB\nVmStk:\t     132 kB\nVmPTE:\t      88 kB\n"
		"VmSwap:\t      16 kB\nThreads:\t5\nSigQ:\t0/31329\nSigPnd:\t0000000000000001\n"
		"ShdPnd:\t0000000000000200\nSigBlk:\tfffffffe7ffbfeff\nSeccomp:\t2\n"
		"Seccomp_filters:\t1\nx86_Thread_features:\t\nx86_Thread_features_locked:\tshstk\n",
		pid, pid, (unsigned long long)anon_kb);
	folder_write(f, name, text);
}

static inline void proc_tree_kernel_thread(const struct folder *f, uint32_t pid)
{
	char name[64];

	proc_tree_stat(f, pid, "kworker/0:1H-events", 'I', 5);
	snprintf(name, sizeof(name), "%u/status", pid);
	folder_write(f, name, "Name:\tkworker\nState:\tI (idle)\nUid:\t0\t0\t0\t0\n");
}

static inline void proc_tree_exe(const struct folder *f, uint32_t pid, const char *target)
{
	char name[64];

	snprintf(name, sizeof(name), "%u/exe", pid);
	folder_parents(f, name);
	(void)unlink(folder_path(f, name));
	assert_int_equal(symlink(target, folder_path(f, name)), 0);
}

static inline void proc_tree_remove(const struct folder *f, uint32_t pid, const char *file)
{
	char name[64];

	snprintf(name, sizeof(name), "%u/%s", pid, file);
	assert_int_equal(unlink(folder_path(f, name)), 0);
}

#endif
