/*
 * A profile: how much memory lives at which site, seen at several moments (checkpoints).
 *
 * A site is whatever can be blamed: an allocation stack, a type, a size class, a holder, a kernel
 * allocation site. Each carries a value per checkpoint, so that growth can be regressed instead of
 * guessed from two looks. Sampled values are already scaled up to bytes of the process.
 *
 * Everything is owned by `arena`; profile_done() frees it all.
 */
#ifndef RESIN_MODEL_PROFILE_H
#define RESIN_MODEL_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/proc-id.h"

#define SITE_KINDS(X)                                                              \
	X(STACK, "stack")	      /* frames: the allocation and its callers */ \
	X(TYPE, "type")		      /* label: a type's name */                   \
	X(SIZE_CLASS, "size-class")   /* label: the chunk size */                  \
	X(HOLDER, "holder")	      /* label: who keeps it reachable */          \
	X(KERNEL_SITE, "kernel-site") /* label: slab cache or allocation site */

enum site_kind {
#define X(id, name) SITE_##id,
	SITE_KINDS(X)
#undef X
		SITE_KIND_MAX_
};

struct frame {
	const char *function; /* "" when no symbol covers the address */
	const char *file;     /* "" without line information */
	const char *module;   /* path as the target sees it; "" for code without a file */
	const char *build_id; /* hex; "" when unknown */
	uint64_t offset;      /* address within the module's file, link-time */
	uint32_t line;
	bool inlined; /* inlined into the next frame */
};

struct site {
	enum site_kind kind;
	const char *label;
	const struct frame *frames; /* from the allocation outwards */
	uint32_t n_frames;
	uint64_t *live_bytes; /* one per checkpoint */
	uint64_t *live_count;
	uint64_t allocated_bytes, allocated_count; /* all that was sampled at this site, scaled */
	uint64_t samples;			   /* unscaled number of samples behind it */
	uint64_t survivors;  /* of the samples of the first half: still live at the end */
	uint64_t first_half; /* samples of the first half */
};

struct profile {
	struct arena arena;
	struct proc_id target;
	const char *component, *exe;
	uint64_t order_id; /* 0 when nobody ordered it */
	uint64_t start_unix_ns, duration_ns;
	uint64_t period_bytes; /* mean sampling distance at the end */
	uint64_t anon_start_bytes,
		anon_end_bytes;		    /* of the whole process, to hold the sum against */
	uint64_t events, dropped, pause_ns; /* pause: the longest stop of any thread */
	uint32_t n_checkpoints;
	uint64_t *checkpoint_ns; /* after start */
	struct site *sites;
	uint32_t n_sites;
	uint64_t dropped_sites;
};

#define PROFILE_ARENA_BYTES (64u << 20)

void profile_init(struct profile *p);
void profile_done(struct profile *p);
const char *site_kind_name(enum site_kind k);

#endif
