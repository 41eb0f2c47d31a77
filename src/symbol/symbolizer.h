/*
 * From raw samples to stacks with names: unwinds copied stacks by the call frame information of the
 * modules, and turns addresses into functions, files and lines, inlined ones too.
 *
 * Built on libdw. Everything it reads belongs to the target and is hostile, so it runs in a worker
 * process without privileges, with limits on memory and time. It opens no file of the target by
 * name: modules come as descriptors. Separate debug information is looked for under /usr/lib/debug
 * by build-id; nothing is ever fetched from a network. Not thread safe.
 */
#ifndef RESIN_SYMBOL_SYMBOLIZER_H
#define RESIN_SYMBOL_SYMBOLIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/profile.h"

struct symbolizer;

must_check int symbolizer_new(struct symbolizer **ret, struct err *err);
struct symbolizer *symbolizer_free(struct symbolizer *s);

/* A file that is mapped at `base` (its first page). Takes the descriptor, whatever it returns.
 * A file that is not usable ELF is left out: its frames have a module but no name. */
must_check int symbolizer_add_module(struct symbolizer *s, int fd, const char *path, uint64_t base,
	uint64_t end, struct err *err);

/* Unwinds one stack. `regs` by DWARF number; `stack` holds the bytes from the stack pointer up.
 * Returns the number of addresses written, 0 when not even the first frame could be found. Return
 * addresses are already moved back into the call. *ret_complete tells whether the walk reached a
 * frame that has no caller; otherwise frames may be missing at the outer end. */
size_t symbolizer_unwind(struct symbolizer *s, const uint64_t *regs, size_t n_regs, uint64_t sp,
	const uint8_t *stack, size_t stack_bytes, uint64_t *ret_pcs, size_t max,
	bool *ret_complete);

/* Appends the frames of one address (inlined ones first) to `out`, at most `max`. Strings go to the
 * arena. Returns how many, or <0. */
must_check int symbolizer_resolve(
	struct symbolizer *s, uint64_t pc, struct arena *strings, struct frame *out, size_t max);

#endif
