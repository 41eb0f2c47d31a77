/*
 * What the probe inside a target and the helper outside agree on.
 *
 * The helper reads and writes these structs through process_vm_readv/writev; there is no other
 * channel. All fields are little endian with natural alignment; the layout is fixed by PROBE_ABI.
 * Whoever reads them must treat them as hostile: the target may scribble over them.
 */
#ifndef RESIN_PROBE_ABI_H
#define RESIN_PROBE_ABI_H

#include <stdint.h>

#include "arch-regs.h"

#define PROBE_MAGIC 0x31424f52504e5352ull /* "RSNPROB1" */
#define PROBE_ABI 1u

#define PROBE_SYM_CONTROL "resin_probe_control"
#define PROBE_SYM_START "resin_probe_start"
#define PROBE_SYM_STOP "resin_probe_stop"
#define PROBE_SYM_RESCAN "resin_probe_rescan"

/* Sampled allocations on their way out. 256 slots of 8 KiB: 2 MiB of the target while it is
 * profiled, given back to the kernel at the end. A slot holds the registers and the live end of
 * the stack, because unwinding happens outside, where a mistake costs nothing. */
#define PROBE_ALLOC_SLOTS 256u
#define PROBE_SLOT_BYTES 8192u
#define PROBE_STACK_BYTES (PROBE_SLOT_BYTES - 256u)

/* Frees of sampled allocations. */
#define PROBE_FREE_SLOTS 8192u

/* Sampled allocations that are live, as 64-byte buckets of 8 addresses. */
#define PROBE_LIVE_BUCKETS 8192u
#define PROBE_LIVE_WAYS 8u

/* Pointers that were redirected, so that exactly these are put back. */
#define PROBE_PATCHES 8192u

enum probe_state {
	PROBE_IDLE = 0,
	PROBE_STARTING = 1,
	PROBE_ACTIVE = 2,
	PROBE_STOPPING = 3,
	PROBE_STOPPED = 4,
};

enum probe_error {
	PROBE_ERR_NONE = 0,
	PROBE_ERR_PARAMS = 1,	 /* magic or ABI differ */
	PROBE_ERR_MEMORY = 2,	 /* mmap refused */
	PROBE_ERR_NO_MALLOC = 3, /* no object defines malloc and free */
	PROBE_ERR_NO_SLOTS = 4,	 /* nobody calls malloc through a pointer that we can redirect */
	PROBE_ERR_BUSY = 5,	 /* another start or stop is under way */
};

struct probe_params {
	uint64_t magic;
	uint32_t abi;
	uint32_t pid; /* as the target sees itself */
	uint64_t period_bytes;
	uint64_t lease_ns; /* CLOCK_MONOTONIC; past it the probe takes itself out */
};

struct probe_alloc {
	uint64_t commit; /* position + 1, written last */
	uint64_t seq;	 /* order among all allocs and frees */
	uint64_t addr;
	uint64_t bytes;
	uint64_t period_bytes; /* in force when it was drawn */
	uint64_t mono_ns;
	uint32_t tid;
	uint32_t stack_bytes;
	uint64_t regs[ARCH_DWARF_REGS]; /* by DWARF number */
	uint8_t pad[256 - 7 * 8 - ARCH_DWARF_REGS * 8];
	uint8_t stack[PROBE_STACK_BYTES]; /* from the stack pointer upwards */
};

struct probe_free {
	uint64_t commit;
	uint64_t seq;
	uint64_t addr;
};

struct probe_control {
	uint64_t magic;
	uint32_t abi;
	uint32_t state; /* enum probe_state */
	uint32_t error; /* enum probe_error */
	uint32_t pid;
	uint64_t period_bytes; /* the helper may raise it while the probe is active */
	uint64_t lease_ns;     /* the helper renews it */
	uint64_t memory;       /* address of struct probe_memory */
	uint64_t generation;   /* counts starts and stops */
	uint32_t objects, patched, restored, lost; /* of the last scan, and of the last stop */
	uint8_t pad0[56];
	/* Written by many threads; a cache line each. */
	uint64_t seq;
	uint8_t pad1[56];
	uint64_t alloc_head; /* positions; the helper owns the tails */
	uint8_t pad2[56];
	uint64_t free_head;
	uint8_t pad3[56];
	uint64_t alloc_tail, free_tail;
	uint64_t dropped_ring, dropped_live, dropped_frees;
	uint8_t pad4[24];
};

struct probe_patch {
	uint64_t slot;	   /* address of the pointer */
	uint64_t original; /* what was in it */
	uint64_t hook;
	uint64_t relro; /* 1: the page must be made writable for a moment */
};

struct probe_memory {
	struct probe_alloc allocs[PROBE_ALLOC_SLOTS];
	struct probe_free frees[PROBE_FREE_SLOTS];
	uint8_t occupied[PROBE_LIVE_BUCKETS]; /* live samples by bucket: 8 KiB that stay in the
						 cache */
	uint64_t live[PROBE_LIVE_BUCKETS][PROBE_LIVE_WAYS];
	struct probe_patch patches[PROBE_PATCHES];
	uint64_t n_patches;
};

_Static_assert(sizeof(struct probe_alloc) == PROBE_SLOT_BYTES, "one slot");

#endif
