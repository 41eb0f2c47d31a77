/*
 * libresin-probe: lives inside other people's processes.
 *
 * It must never allocate, take a lock that the target may hold, touch errno, print, or be unloaded.
 * It is driven by three calls that the helper injects at a safe point, and it takes itself out when
 * the helper has not renewed its lease. After the stop every pointer is as it was; the code stays
 * mapped, because a thread may still be inside it.
 */
#ifndef RESIN_PROBE_H
#define RESIN_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "probe/abi.h"

#define PROBE_EXPORT __attribute__((visibility("default")))

/* The injected calls. They report through resin_probe_control. */
PROBE_EXPORT void resin_probe_start(const struct probe_params *p);
PROBE_EXPORT void resin_probe_stop(void);
PROBE_EXPORT void resin_probe_rescan(void); /* redirects what was loaded since the last scan */

extern PROBE_EXPORT struct probe_control resin_probe_control;

enum hook {
	HOOK_MALLOC,
	HOOK_FREE,
	HOOK_CALLOC,
	HOOK_REALLOC,
	HOOK_REALLOCARRAY,
	HOOK_MEMALIGN,
	HOOK_ALIGNED_ALLOC,
	HOOK_POSIX_MEMALIGN,
	HOOK_VALLOC,
	HOOK_PVALLOC,
	HOOK_MAX_,
};

struct hook_entry {
	const char *name;
	uintptr_t hook; /* our function */
};

/* hooks.c */
extern uintptr_t probe_real[HOOK_MAX_]; /* what the target would have called */
extern const struct hook_entry probe_hooks[HOOK_MAX_];
void probe_sampling_reset(void);
bool probe_lease_over(void);

/* patch.c: both run under the loader's own lock, inside dl_iterate_phdr. */
int probe_patch_all(struct probe_memory *m);
void probe_patch_restore(struct probe_memory *m);
bool probe_resolve_real(void);

#endif
