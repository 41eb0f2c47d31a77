/*
 * x86-64. The signal frame is laid out as the kernel's struct rt_sigframe (arch/x86/include/asm/
 * sigframe.h); the extended state follows it as check_xstate_in_sigframe() in
 * arch/x86/kernel/fpu/signal.c wants it.
 */
#include "os/arch.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "arch-regs.h"
#include "base/fault.h"

#ifndef PTRACE_SETSIGMASK
#define PTRACE_SETSIGMASK 0x420b
#define PTRACE_GETSIGMASK 0x420a
#endif

const uint16_t arch_elf_machine = EM_X86_64;
const char arch_name[] = "x86-64";

#define XSTATE_MAX 16384u
#define XSTATE_LEGACY 576u /* FXSAVE area and XSAVE header */
#define XFEATURE_TILE_DATA (1ull << 18)

/* Offsets within the FXSAVE area (Intel SDM 1, 13.4; the kernel's struct _fpx_sw_bytes). */
#define FX_SW_OFFSET 464u
#define XSTATE_BV_OFFSET 512u
#define FP_XSTATE_MAGIC1_ 0x46505853u
#define FP_XSTATE_MAGIC2_ 0x46505845u

struct fx_sw {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};

struct sigcontext64 {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};

struct sigframe64 {
	uint64_t pretcode;
	uint64_t uc_flags, uc_link;
	uint64_t ss_sp;
	int32_t ss_flags, ss_pad;
	uint64_t ss_size;
	struct sigcontext64 mc;
	uint64_t sigmask;
	uint8_t info[128];
};

_Static_assert(sizeof(struct sigcontext64) == 256, "as in the kernel");

#define UC_FLAGS 7u /* UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */

struct arch_thread {
	struct user_regs_struct regs;
	uint8_t xstate[XSTATE_MAX];
	size_t xstate_bytes;
	uint64_t sigmask;
	uint64_t frame; /* where the committed call's frame lies */
};

struct arch_thread *arch_thread_new(void)
{
	return calloc(1, sizeof(struct arch_thread));
}

struct arch_thread *arch_thread_free(struct arch_thread *t)
{
	free(t);
	return NULL;
}

int arch_thread_read(struct arch_thread *t, pid_t tid, struct err *err)
{
	struct iovec regs = {&t->regs, sizeof(t->regs)};
	struct iovec xstate = {t->xstate, sizeof(t->xstate)};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &regs) < 0 ||
		ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &xstate) < 0 ||
		ptrace(PTRACE_GETSIGMASK, tid, (void *)8, &t->sigmask) < 0)
		return err_set(err, -errno, "cannot read the registers of thread %d: %m", tid);
	if (regs.iov_len != sizeof(t->regs))
		return err_set(err, -EOPNOTSUPP, "thread %d runs 32-bit code", tid);
	t->xstate_bytes = xstate.iov_len;
	return 0;
}

uint64_t arch_pc(const struct arch_thread *t)
{
	return t->regs.rip;
}

uint64_t arch_thread_pointer(const struct arch_thread *t)
{
	return t->regs.fs_base;
}

uint64_t arch_sp(const struct arch_thread *t)
{
	return t->regs.rsp;
}

void arch_dwarf_regs(const struct arch_thread *t, uint64_t *ret)
{
	const struct user_regs_struct *r = &t->regs;
	const uint64_t v[ARCH_DWARF_REGS] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp,
		r->rsp, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip};

	memcpy(ret, v, sizeof(v));
}

enum arch_where arch_where(const struct arch_thread *t)
{
	static const int waits[] = {
		SYS_read,
		SYS_readv,
		SYS_pread64,
		SYS_write,
		SYS_writev,
		SYS_poll,
		SYS_ppoll,
		SYS_select,
		SYS_pselect6,
		SYS_epoll_wait,
		SYS_epoll_pwait,
		SYS_epoll_pwait2,
		SYS_nanosleep,
		SYS_clock_nanosleep,
		SYS_pause,
		SYS_futex,
		SYS_accept,
		SYS_accept4,
		SYS_connect,
		SYS_recvfrom,
		SYS_recvmsg,
		SYS_recvmmsg,
		SYS_sendto,
		SYS_sendmsg,
		SYS_sendmmsg,
		SYS_wait4,
		SYS_waitid,
		SYS_rt_sigsuspend,
		SYS_rt_sigtimedwait,
		SYS_flock,
		SYS_fsync,
		SYS_fdatasync,
		SYS_semop,
		SYS_semtimedop,
		SYS_msgrcv,
		SYS_msgsnd,
		SYS_io_getevents,
		SYS_io_uring_enter,
		SYS_sched_yield,
		SYS_sendfile,
		SYS_splice,
		SYS_fcntl,
	};

	if ((int64_t)t->regs.orig_rax < 0)
		return ARCH_RUNNING;
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		if ((int)t->regs.orig_rax == waits[i])
			return ARCH_BLOCKED;
	return ARCH_OTHER_CALL;
}

/* The kernel's private codes for "run this call again" (include/linux/errno.h). */
#define ERESTARTSYS_ 512
#define ERESTARTNOINTR_ 513
#define ERESTARTNOHAND_ 514
#define ERESTART_RESTARTBLOCK_ 516

bool arch_call_is_fragile(uint64_t nr)
{
	switch (nr) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_rt_sigtimedwait:
	case SYS_io_getevents:
	case SYS_io_uring_enter:
	/* Sockets with a timeout; nothing has been transferred when they say EINTR. */
	case SYS_read:
	case SYS_readv:
	case SYS_write:
	case SYS_writev:
	case SYS_recvmmsg:
	case SYS_sendmmsg:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_connect:
		return true;
	default:
		return false;
	}
}

bool arch_was_interrupted(const struct arch_thread *t)
{
	return (int64_t)t->regs.orig_rax >= 0 && (int64_t)t->regs.rax == -EINTR &&
		arch_call_is_fragile(t->regs.orig_rax);
}

bool arch_wait_restarts(const struct arch_thread *t)
{
	return (int64_t)t->regs.orig_rax >= 0 && (int64_t)t->regs.rax == -ERESTART_RESTARTBLOCK_;
}

/* Rewinds to the syscall instruction when the call was cut short. */
static void rewind_call(struct user_regs_struct *r)
{
	if ((int64_t)r->orig_rax < 0)
		return;
	switch ((int64_t)r->rax) {
	case -ERESTARTSYS_:
	case -ERESTARTNOINTR_:
	case -ERESTARTNOHAND_:
	case -ERESTART_RESTARTBLOCK_:
		break;
	case -EINTR:
		if (arch_call_is_fragile(r->orig_rax))
			break;
		return;
	default:
		return;
	}
	r->rax = r->orig_rax;
	r->rip -= 2; /* the length of `syscall` */
	r->orig_rax = (uint64_t)-1;
}

static int set_regs(pid_t tid, struct user_regs_struct *r)
{
	struct iovec v = {r, sizeof(*r)};

	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &v) < 0 ? -errno : 0;
}

int arch_undo_interrupt(const struct arch_thread *t, pid_t tid)
{
	struct user_regs_struct r = t->regs;

	rewind_call(&r);
	return set_regs(tid, &r);
}

bool arch_follows_call(const uint8_t b[8])
{
	if (b[3] == 0xe8) /* call rel32 */
		return true;
	/* call r/m64 (ff /2) with every length of its operand: 2, 3, 4, 6 and 7 bytes, and one more
	 * with a REX prefix, which comes before the opcode and does not matter here. */
	static const uint8_t at[] = {6, 5, 4, 2, 1};

	for (size_t i = 0; i < sizeof(at); i++)
		if (b[at[i]] == 0xff && (b[at[i] + 1] & 0x38) == 0x10)
			return true;
	return false;
}

ssize_t arch_find_trampoline(const uint8_t *code, size_t n)
{
	/* glibc: mov $15,%rax; syscall. musl: mov $15,%eax; syscall. */
	static const uint8_t glibc[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t musl[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
	const uint8_t *p = memmem(code, n, glibc, sizeof(glibc));

	if (!p)
		p = memmem(code, n, musl, sizeof(musl));
	return p ? p - code : -1;
}

/* The size of the state that this task may restore: all features that the kernel enabled, without
 * those that a task must ask for (AMX tile data) unless it uses them. A larger size would make the
 * kernel fall back to the legacy part and drop the upper halves of the vector registers. */
static size_t restorable_bytes(uint64_t features)
{
	size_t size = XSTATE_LEGACY;

	for (unsigned i = 2; i < 63; i++) {
		unsigned a, b, c, d;

		if (!(features >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		(void)c;
		(void)d;
		if (a && b + a > size)
			size = b + a;
	}
	return size;
}

static int prepare_xstate(struct arch_thread *t, size_t *ret_bytes, struct err *err)
{
	struct fx_sw sw = {.magic1 = FP_XSTATE_MAGIC1_};
	const uint32_t magic2 = FP_XSTATE_MAGIC2_;
	uint64_t features, in_use;
	size_t size;

	memcpy(&features, t->xstate + FX_SW_OFFSET, 8);
	memcpy(&in_use, t->xstate + XSTATE_BV_OFFSET, 8);
	if (!(in_use & XFEATURE_TILE_DATA))
		features &= ~XFEATURE_TILE_DATA;
	size = restorable_bytes(features);
	if (t->xstate_bytes < XSTATE_LEGACY || size + 4 > sizeof(t->xstate))
		return err_set(err, -EOPNOTSUPP,
			"the extended processor state has an unknown size (%zu)", t->xstate_bytes);
	sw.xfeatures = features;
	sw.xstate_size = (uint32_t)size;
	sw.extended_size = sw.xstate_size + 4;
	memcpy(t->xstate + FX_SW_OFFSET, &sw, sizeof(sw));
	memcpy(t->xstate + size, &magic2, 4);
	*ret_bytes = size + 4;
	return 0;
}

int arch_call_commit(
	struct arch_thread *t, pid_t pid, pid_t tid, const struct arch_call *call, struct err *err)
{
	static const uint64_t all_blocked = ~0ull;
	struct user_regs_struct home = t->regs, r;
	uint64_t data, fp, frame;
	size_t fp_bytes = 0, image_bytes;
	autofree uint8_t *image = NULL;
	struct sigframe64 f = {0};
	int e = prepare_xstate(t, &fp_bytes, err);

	if (e < 0)
		return e;
	rewind_call(&home);
	data = (t->regs.rsp - ARCH_RED_ZONE_BYTES - call->data_bytes) & ~63ull;
	fp = (data - fp_bytes) & ~63ull;
	frame = ((fp - sizeof(f)) & ~15ull) - 8; /* as if a call instruction had pushed pretcode */
	image_bytes = data + call->data_bytes - frame;
	if (image_bytes > ARCH_CALL_IMAGE_MAX)
		return err_set(err, -EMSGSIZE, "the call's data is too large");

	f.pretcode = call->trampoline.v;
	f.uc_flags = UC_FLAGS;
	/* No valid combination of flags: the kernel then leaves the alternate stack as it is, which
	 * we cannot read (restore_altstack() ignores every error but EFAULT). */
	f.ss_flags = 0x7fffffff;
	f.mc = (struct sigcontext64){
		.r8 = home.r8,
		.r9 = home.r9,
		.r10 = home.r10,
		.r11 = home.r11,
		.r12 = home.r12,
		.r13 = home.r13,
		.r14 = home.r14,
		.r15 = home.r15,
		.di = home.rdi,
		.si = home.rsi,
		.bp = home.rbp,
		.bx = home.rbx,
		.dx = home.rdx,
		.ax = home.rax,
		.cx = home.rcx,
		.sp = home.rsp,
		.ip = home.rip,
		.flags = home.eflags,
		.cs = (uint16_t)home.cs,
		.ss = (uint16_t)home.ss,
		.fpstate = fp,
	};
	f.sigmask = t->sigmask;

	image = calloc(1, image_bytes);
	if (!image)
		return err_set(err, -ENOMEM, "out of memory");
	memcpy(image, &f, sizeof(f));
	memcpy(image + (fp - frame), t->xstate, fp_bytes);
	memcpy(image + (data - frame), call->data, call->data_bytes);
	e = remote_write(pid, (struct raddr){frame}, image, image_bytes);
	if (e < 0)
		return err_set(err, e, "cannot write to the stack of thread %d: %s", tid,
			strerrordesc_np(-e));
	fault_point("call.frame-written");

	r = t->regs;
	r.rip = call->function.v;
	r.rsp = frame;
	r.rdi = data;
	r.rsi = call->arg1;
	r.rax = 0;
	r.orig_rax = (uint64_t)-1; /* no system call to restart */
	r.eflags &= ~0x400ull;	   /* the ABI wants the direction flag clear */
	e = set_regs(tid, &r);
	if (e < 0)
		return err_set(err, e, "cannot set the registers of thread %d: %s", tid,
			strerrordesc_np(-e));
	fault_point("call.registers-set");
	t->frame = frame;
	/* Not essential: a handler that runs on top of the call is as legal as on top of any other.
	 */
	(void)ptrace(PTRACE_SETSIGMASK, tid, (void *)8, &all_blocked);
	fault_point("call.signals-blocked");
	return 0;
}

bool arch_call_returns(pid_t tid)
{
	struct user_regs_struct r;
	struct iovec v = {&r, sizeof(r)};

	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &v) == 0 &&
		r.orig_rax == SYS_rt_sigreturn;
}
