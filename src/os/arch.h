/*
 * What depends on the processor when a live thread is made to call a function.
 *
 * The call is fire and forget: the function's return address is the C library's own signal
 * trampoline, and above it on the thread's stack lies a signal frame with the thread's registers.
 * When the function returns, the kernel restores every register from that frame, as after a signal
 * handler. Once arch_call_commit() has set the registers, the thread needs nobody any more: if we
 * are killed at that instant, it still comes home. Nothing is written but the stack below the red
 * zone, so before the commit nothing has happened at all.
 *
 * One implementation per architecture in os/arch/<cpu>/.
 */
#ifndef RESIN_OS_ARCH_H
#define RESIN_OS_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "os/remote.h"

#define ARCH_CALL_IMAGE_MAX (24u << 10)

extern const uint16_t arch_elf_machine;
extern const char arch_name[];

struct arch_thread; /* the registers of one stopped thread */

struct arch_thread *arch_thread_new(void);
struct arch_thread *arch_thread_free(struct arch_thread *t);

/* Reads the registers of a stopped thread, floating point and vector state too. */
must_check int arch_thread_read(struct arch_thread *t, pid_t tid, struct err *err);

uint64_t arch_pc(const struct arch_thread *t);
uint64_t arch_sp(const struct arch_thread *t);
uint64_t arch_thread_pointer(const struct arch_thread *t);

/* The registers by DWARF number, for an unwinder; `ret` has ARCH_DWARF_REGS elements. */
void arch_dwarf_regs(const struct arch_thread *t, uint64_t *ret);

enum arch_where {
	ARCH_RUNNING,	 /* in user code */
	ARCH_BLOCKED,	 /* in a system call of the kind that waits for the outside world */
	ARCH_OTHER_CALL, /* in any other system call: not a place to call a function from */
};
enum arch_where arch_where(const struct arch_thread *t);

/* System calls that answer EINTR to any stop, although no signal came (signal(7), last section). A
 * program may take that for an event, or for the end; so such threads are the last choice, and
 * arch_undo_interrupt() makes the thread wait again, at once. Only to be used when no signal is
 * pending for it. `t` keeps the registers as they were read. */
bool arch_call_is_fragile(uint64_t syscall_nr);
bool arch_was_interrupted(const struct arch_thread *t);
must_check int arch_undo_interrupt(const struct arch_thread *t, pid_t tid);

/* The wait that the stop cut short starts over with its full timeout: a reason to prefer another.
 */
bool arch_wait_restarts(const struct arch_thread *t);

/* True when the 8 bytes before an address end in a call instruction. */
bool arch_follows_call(const uint8_t before[8]);

/* Finds the signal trampoline in code; returns its offset or -1. */
ssize_t arch_find_trampoline(const uint8_t *code, size_t n);

struct arch_call {
	struct raddr function, trampoline;
	const void *data; /* copied to the thread's stack; its address is the first argument */
	size_t data_bytes;
	uint64_t arg1;
};

/* Writes the frame and sets the registers: the last step is the only one that matters. The thread
 * stays stopped; its signals are blocked until the call returns. */
must_check int arch_call_commit(
	struct arch_thread *t, pid_t pid, pid_t tid, const struct arch_call *call, struct err *err);

/* At a stop on entry to a system call: is this the call's return? */
bool arch_call_returns(pid_t tid);

#endif
