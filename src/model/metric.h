/*
 * The metrics of a process (design section 3). A metric travels by name in the batch's table, so a
 * new one needs no new wire version: a server ignores names that it does not know.
 */
#ifndef RESIN_MODEL_METRIC_H
#define RESIN_MODEL_METRIC_H

#include <stdbool.h>

/* enum, wire name, unit, what it is */
#define METRICS(X)                                                                    \
	X(ANON, "anon", "bytes",                                                      \
		"private anonymous memory, resident and swapped: the leak metric")    \
	X(FILE, "file", "bytes", "resident pages of mapped files")                    \
	X(SHMEM, "shmem", "bytes", "resident shared memory")                          \
	X(STACK, "stack", "bytes", "the main thread's stack")                         \
	X(PAGE_TABLES, "page_tables", "bytes", "page tables")                         \
	X(THREADS, "threads", "count", "threads")                                     \
	X(CPU, "cpu", "ns", "processor time, user and system, since the start")       \
	X(FAULTS, "faults", "count", "page faults, minor and major, since the start") \
	X(LIMIT, "limit", "bytes", "what its memory cannot exceed; not kept as a series")

enum metric {
#define X(id, name, unit, help) METRIC_##id,
	METRICS(X)
#undef X
		METRIC_MAX_
};

const char *metric_name(enum metric m);
const char *metric_unit(enum metric m);
bool metric_from_name(const char *name, enum metric *ret);

#endif
