#include "snapshot/inject.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "arch-regs.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/units.h"
#include "os/arch.h"
#include "os/elf.h"

/* Stack that a call of dlopen needs below the frame; with glibc 2.36 a thread that only loads the
 * probe touches 9 KiB, its control block included. */
#define ROOM_BYTES (64u << 10)
/* The kernel grows the main thread's stack by itself; only our frame must fit. */
#define ROOM_MAIN_BYTES (16u << 10)
/* How much of the stack is searched for return addresses. */
#define SCAN_BYTES (64u << 10)
/* The static functions of glibc's malloc.o lie before the public ones (2.36: _int_malloc 8.6 KiB
 * before malloc). What else is caught only makes us look once more. */
#define MALLOC_SLACK_BYTES (24u << 10)
/* Most threads stop within microseconds; one that is throttled, or waits for a disk, may take long.
 */
#define STOP_TIMEOUT_NS (4 * NSEC_PER_SEC)
#define THREADS_PER_ROUND 64u

static uint64_t now_ns(void)
{
	return clock_mono_ns(&clock_system);
}

static bool within(const struct code_range *r, uint64_t v)
{
	return v >= r->start && v < r->end;
}

static int find_trampoline(struct inject *in, struct err *err)
{
	size_t n = in->libc.end - in->libc.start;
	autofree uint8_t *code = NULL;
	ssize_t at;
	int r;

	if (n > (8u << 20))
		return err_set(err, -EINVAL, "the target's libc has %zu bytes of code", n);
	code = malloc(n);
	if (!code)
		return err_set(err, -ENOMEM, "out of memory");
	r = remote_read(in->pid, (struct raddr){in->libc.start}, code, n);
	if (r < 0)
		return err_set(err, r, "cannot read the target's libc: %s", strerrordesc_np(-r));
	at = arch_find_trampoline(code, n);
	if (at < 0)
		return err_set(err, -EOPNOTSUPP, "the target's libc has no signal trampoline");
	in->trampoline.v = in->libc.start + (uint64_t)at;
	return 0;
}

static void note_allocator(struct inject *in, const struct elf *libc)
{
	static const char *const names[] = {"malloc", "free", "calloc", "realloc", "memalign",
		"aligned_alloc", "posix_memalign", "valloc", "pvalloc", "malloc_trim",
		"malloc_usable_size", "mallinfo2", "mallopt", "malloc_info"};
	struct code_range *m = &in->malloc_code;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t addr, size;

		if (elf_symbol(libc, names[i], &addr, &size, NULL) != ELF_OK)
			continue;
		in->entries[in->n_entries++] = addr;
		if (!m->start || addr < m->start)
			m->start = addr;
		if (addr + size > m->end)
			m->end = addr + size;
	}
	if (m->start > in->libc.start + MALLOC_SLACK_BYTES)
		m->start -= MALLOC_SLACK_BYTES;
	else
		m->start = in->libc.start;
	m->end += 256;
}

/* An object other than libc that defines malloc: all its code counts as the allocator. */
static int find_other_allocator(struct inject *in, struct preflight *pre, struct err *err)
{
	const char *last = "";
	struct maps m;
	int r = os_maps(in->os, (uint32_t)in->pid, &m, err);

	if (r != OS_OK)
		return r < 0 ? r : INJECT_GONE;
	for (size_t i = 0; i < m.n; i++) {
		uint64_t addr, size;
		struct elf e;

		if (m.v[i].path[0] != '/' || m.v[i].offset != 0 || m.v[i].start == pre->libc_base ||
			strcmp(m.v[i].path, last) == 0)
			continue;
		last = m.v[i].path;
		if (strstr(last, "libresin-probe") || m.v[i].start == pre->loader_base ||
			elf_open(&e, elf_read_process, &in->pid, true, m.v[i].start, NULL) !=
				ELF_OK ||
			elf_symbol(&e, "malloc", &addr, &size, NULL) != ELF_OK)
			continue;
		if (strcmp(last, pre->exe) == 0) {
			/* Where it begins and ends within the program cannot be told. */
			pre->refusal = REFUSAL_ALLOCATOR;
			r = INJECT_DENIED;
			break;
		}
		in->other_allocator = (struct code_range){e.text_start, e.text_end};
		break;
	}
	maps_done(&m);
	return r;
}

int inject_open(struct inject *in, struct os *os, pid_t pid, struct preflight *pre, struct err *err)
{
	struct elf libc, loader;
	uint64_t size;
	int r;

	*in = (struct inject){.os = os, .pid = pid};
	r = elf_open(&libc, elf_read_process, &in->pid, true, pre->libc_base, err);
	if (r < 0 && (err->code == -EPERM || err->code == -EACCES)) {
		pre->refusal = REFUSAL_DENIED;
		return INJECT_DENIED;
	}
	if (r < 0)
		return err->code == -ESRCH ? INJECT_GONE : r;
	if (r > 0 || elf_symbol(&libc, "dlopen", &in->dlopen.v, &size, NULL) != ELF_OK) {
		pre->refusal = REFUSAL_LIBC;
		return INJECT_DENIED;
	}
	in->libc = (struct code_range){libc.text_start, libc.text_end};
	note_allocator(in, &libc);
	r = elf_open(&loader, elf_read_process, &in->pid, true, pre->loader_base, err);
	if (r != ELF_OK)
		return r < 0 ? r : err_set(err, -EINVAL, "the target's loader is not ELF");
	in->loader = (struct code_range){loader.text_start, loader.text_end};
	r = find_other_allocator(in, pre, err);
	if (r != 0)
		return r;
	return find_trampoline(in, err);
}

/* A word of the stack: could the thread return through it into code that it must have left? */
static bool is_dangerous(const struct inject *in, uint64_t v)
{
	uint8_t before[8];

	if (within(&in->malloc_code, v)) {
		for (size_t i = 0; i < in->n_entries; i++)
			if (v == in->entries[i])
				return false; /* a function pointer, not a return address */
		return true;
	}
	if (!within(&in->loader, v) && !within(&in->other_allocator, v))
		return false;
	/* Function pointers into the loader are on every main thread's stack (_dl_fini). A function
	 * starts at a multiple of 16 and not behind a call. */
	if (v & 15)
		return true;
	return remote_read(in->pid, (struct raddr){v - 8}, before, 8) < 0 ||
		arch_follows_call(before);
}

enum look {
	LOOK_SAFE,
	LOOK_SAFE_BUT_RESTARTS,
	LOOK_UNSAFE,
	LOOK_COLD, /* only the unwinder can tell, and it has to read its tables first */
};

#define MAX_FRAMES 256u

struct stack_copy {
	uint64_t regs[ARCH_DWARF_REGS], sp;
	size_t bytes;
	uint8_t data[SCAN_BYTES];
};

/* The live part of the stack, if it is one and has room for a call below it. */
static bool copy_stack(const struct inject *in, const struct arch_thread *t, struct stack_copy *c)
{
	const struct mapping *m;
	struct maps maps;
	uint64_t room, tp;
	ssize_t got;
	bool ok;

	c->sp = arch_sp(t);
	arch_dwarf_regs(t, c->regs);
	if (os_maps(in->os, (uint32_t)in->pid, &maps, NULL) != OS_OK)
		return false;
	m = maps_find(&maps, c->sp);
	room = m && strcmp(m->path, "[stack]") == 0 ? ROOM_MAIN_BYTES : ROOM_BYTES;
	/* Its own stack, and not that of a fibre, a goroutine or a signal handler, below which
	 * somebody else's memory may lie: glibc keeps the thread's control block above its stack.
	 */
	tp = arch_thread_pointer(t);
	ok = m && m->perms[1] == 'w' && c->sp - m->start >= room &&
		(strcmp(m->path, "[stack]") == 0 || (tp > c->sp && tp < m->end));
	maps_done(&maps);
	if (!ok)
		return false;
	got = remote_read_some(in->pid, (struct raddr){c->sp}, c->data, sizeof(c->data));
	c->bytes = got > 0 ? (size_t)got : 0;
	return got >= 8;
}

static bool scan_is_clean(const struct inject *in, const struct stack_copy *c)
{
	for (size_t i = 0; i + 8 <= c->bytes; i += 8) {
		uint64_t v;

		memcpy(&v, c->data + i, 8);
		if (is_dangerous(in, v))
			return false;
	}
	return true;
}

/* True when an exact walk over all frames meets neither allocator nor loader. */
static bool walk_is_clean(struct inject *in, const struct stack_copy *c, bool *ret_answered)
{
	uint64_t pcs[MAX_FRAMES];
	bool complete = false;
	int n = in->unwinder.unwind(
		in->unwinder.arg, c->regs, c->sp, c->data, c->bytes, pcs, MAX_FRAMES, &complete);

	if (ret_answered)
		*ret_answered = n >= 0;
	for (int i = 0; i < n; i++)
		if (within(&in->malloc_code, pcs[i]) || within(&in->loader, pcs[i]) ||
			within(&in->other_allocator, pcs[i]))
			return false;
	return n > 0 && complete;
}

/* The kernel aborts a restartable sequence for a signal, but would not for us (rseq(2)). */
static bool in_restartable_sequence(const struct inject *in, pid_t tid)
{
	struct { /* the kernel's struct ptrace_rseq_configuration */
		uint64_t area;
		uint32_t size, signature, flags, pad;
	} c = {0};
	uint64_t section = 0;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(c), &c) < 0 || !c.area)
		return false;
	/* struct rseq: the descriptor of the running section lies at byte 8. */
	return remote_read(in->pid, (struct raddr){c.area + 8}, &section, 8) < 0 || section != 0;
}

/* exec keeps pid and start time, but not one address. */
static bool is_other_program(const struct inject *in)
{
	uint8_t code[9];
	uint64_t magic;

	if (remote_read(in->pid, in->trampoline, code, sizeof(code)) < 0 ||
		arch_find_trampoline(code, sizeof(code)) != 0)
		return true;
	return in->guard.v &&
		(remote_read(in->pid, in->guard, &magic, 8) < 0 || magic != in->guard_value);
}

/* The thread is stopped and its registers are read. The copy is filled unless UNSAFE. */
static enum look look(
	struct inject *in, const struct arch_thread *t, pid_t tid, struct stack_copy *c)
{
	uint64_t pc = arch_pc(t);

	switch (arch_where(t)) {
	case ARCH_OTHER_CALL:
		return LOOK_UNSAFE;
	case ARCH_RUNNING:
		if (within(&in->libc, pc) || within(&in->loader, pc) ||
			within(&in->other_allocator, pc) || in_restartable_sequence(in, tid))
			return LOOK_UNSAFE;
		break;
	case ARCH_BLOCKED:
		break;
	}
	if (!copy_stack(in, t, c))
		return LOOK_UNSAFE;
	if (!scan_is_clean(in, c)) {
		if (!in->unwinder.unwind)
			return LOOK_UNSAFE;
		if (!in->unwinder_warm)
			return LOOK_COLD;
		if (!walk_is_clean(in, c, NULL))
			return LOOK_UNSAFE;
	}
	return arch_wait_restarts(t) ? LOOK_SAFE_BUT_RESTARTS : LOOK_SAFE;
}

static bool signal_pending(const struct inject *in, pid_t tid)
{
	struct proc_status st;

	if (os_thread_status(in->os, (uint32_t)in->pid, (uint32_t)tid, &st, NULL) != OS_OK)
		return true;
	return ((st.sig_pending | st.sig_shared_pending) & ~st.sig_blocked) != 0;
}

/* Follows the call to its end, so that we know when it is over; it would get there without us. */
static int follow(struct inject *in, pid_t tid, uint64_t timeout_ns)
{
	uint64_t deadline = now_ns() + timeout_ns;
	bool interrupted = false;

	if (ptrace(PTRACE_SETOPTIONS, tid, NULL, (void *)PTRACE_O_TRACESYSGOOD) < 0 ||
		ptrace(PTRACE_SYSCALL, tid, NULL, NULL) < 0)
		return INJECT_GONE;
	fault_point("call.running");
	for (;;) {
		int status, sig = 0;
		pid_t r = waitpid(tid, &status, __WALL | WNOHANG);

		if (r < 0 || (r == tid && !WIFSTOPPED(status)))
			return INJECT_GONE;
		if (r == 0) {
			if (!interrupted && now_ns() > deadline) {
				(void)ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
				interrupted = true;
				deadline += timeout_ns;
			} else if (interrupted && now_ns() > deadline) {
				return INJECT_SLOW; /* our exit releases it */
			}
			remote_wait_event(deadline);
			continue;
		}
		if (interrupted && status >> 16 == PTRACE_EVENT_STOP) {
			remote_detach(tid);
			return INJECT_SLOW;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (arch_call_returns(tid)) {
				remote_detach(tid);
				return INJECT_OK;
			}
		} else if (status >> 16 == 0) {
			sig = WSTOPSIG(status);
		}
		if (ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(uintptr_t)sig) < 0)
			return INJECT_GONE;
	}
}

struct tids {
	pid_t v[4096];
	size_t n;
};

static int add_tid(void *arg, uint32_t tid)
{
	struct tids *t = arg;

	if (t->n == sizeof(t->v) / sizeof(t->v[0]))
		return 1;
	t->v[t->n++] = (pid_t)tid;
	return 0;
}

/* A thread in uninterruptible sleep cannot be stopped, only waited for: leave it alone. */
static bool can_stop(const struct inject *in, pid_t tid)
{
	struct proc_status st;

	return os_thread_status(in->os, (uint32_t)in->pid, (uint32_t)tid, &st, NULL) == OS_OK &&
		(st.state == 'S' || st.state == 'R') && !st.tracer_pid;
}

/* Waits in a call that a stop breaks. Where we cannot tell, the stop itself will. */
static bool is_fragile(const struct inject *in, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/task/%d/syscall", in->pid, tid);
	if (os_read(in->os, path, NULL) != OS_OK || in->os->file.data[0] < '0' ||
		in->os->file.data[0] > '9')
		return false;
	return arch_call_is_fragile(strtoull(in->os->file.data, NULL, 10));
}

struct attempt {
	struct inject *in;
	struct stack_copy *copy;
	const struct arch_call *call;
	uint64_t timeout_ns;
	bool accept_fragile; /* threads whose wait a stop breaks, until we mend it */
	bool accept_restart;
	bool saw_restart;
};

/* One look at one thread, and the call if it is a safe point. INJECT_NO_SAFE_POINT: look on. */
static int try_thread(struct attempt *a, struct arch_thread *t, pid_t tid, struct err *err)
{
	struct inject *in = a->in;
	uint64_t began = now_ns(), took;
	bool signalled;
	enum look l;
	int r;

	if (!can_stop(in, tid) || (!a->accept_fragile && is_fragile(in, tid)))
		return INJECT_NO_SAFE_POINT;
	fault_point("inject.before-stop");
	r = remote_stop(tid, STOP_TIMEOUT_NS, err);
	if (r == REMOTE_BUSY)
		return err_set(err, -EBUSY, "thread %d does not stop", tid);
	if (r == REMOTE_DENIED)
		return INJECT_DENIED;
	if (r != REMOTE_OK)
		return r < 0 ? r : INJECT_NO_SAFE_POINT; /* that thread is gone, others may live */
	in->looks++;
	r = arch_thread_read(t, tid, err);
	if (r < 0) {
		remote_detach(tid);
		return r;
	}
	/* First of all, so that it does not matter what becomes of us. Its look still sees the
	 * registers of the wait. */
	signalled = arch_was_interrupted(t) && signal_pending(in, tid);
	if (arch_was_interrupted(t) && !signalled)
		(void)!arch_undo_interrupt(t, tid);
	fault_point("inject.stopped");
	if (is_other_program(in)) {
		remote_detach(tid);
		return INJECT_GONE;
	}
	l = look(in, t, tid, a->copy);
	if (l == LOOK_SAFE_BUT_RESTARTS)
		a->saw_restart = true;
	if (l == LOOK_UNSAFE || l == LOOK_COLD ||
		(l == LOOK_SAFE_BUT_RESTARTS && !a->accept_restart) || signalled) {
		remote_detach(tid);
		r = INJECT_NO_SAFE_POINT;
	} else {
		r = arch_call_commit(t, in->pid, tid, a->call, err);
		if (r < 0) {
			remote_detach(tid);
			return r == -EFAULT ? INJECT_NO_SAFE_POINT : r;
		}
		r = follow(in, tid, a->timeout_ns);
	}
	took = now_ns() - began;
	/* With the thread running again: reading a large program's tables takes a while. */
	if (l == LOOK_COLD)
		(void)walk_is_clean(in, a->copy, &in->unwinder_warm);
	if (took > in->longest_stop_ns)
		in->longest_stop_ns = took;
	return r;
}

int inject_call(struct inject *in, struct raddr function, const void *data, size_t n, uint64_t arg1,
	uint64_t timeout_ns, struct err *err)
{
	struct arch_call call = {function, in->trampoline, data, n, arg1};
	struct attempt a = {.in = in, .call = &call, .timeout_ns = timeout_ns};
	uint64_t deadline = now_ns() + timeout_ns;
	autofree struct tids *tids = malloc(sizeof(*tids));
	autofree struct stack_copy *copy = malloc(sizeof(*copy));
	struct arch_thread *t = arch_thread_new();
	int result = INJECT_NO_SAFE_POINT;
	sigset_t old;

	a.copy = copy;
	if (!tids || !copy || !t) {
		arch_thread_free(t);
		return err_set(err, -ENOMEM, "out of memory");
	}
	remote_events_begin(&old);
	for (unsigned round = 0; result == INJECT_NO_SAFE_POINT && now_ns() < deadline; round++) {
		int r;

		tids->n = 0;
		r = os_each_thread(in->os, (uint32_t)in->pid, add_tid, tids, err);
		if (r < 0 || r == OS_GONE || tids->n == 0) {
			result = r < 0 ? r : INJECT_GONE;
			break;
		}
		for (size_t i = 0; i < tids->n && i < THREADS_PER_ROUND; i++) {
			result = try_thread(&a, t, tids->v[(i + round * 7) % tids->n], err);
			if (result != INJECT_NO_SAFE_POINT)
				break;
		}
		a.accept_fragile = round >= 1;
		/* Every waiting thread sleeps with a timeout: then one of those. */
		a.accept_restart = a.saw_restart && round >= 2;
		if (result == INJECT_NO_SAFE_POINT)
			nanosleep(
				&(struct timespec){.tv_nsec = 300000 + (round % 7) * 110000}, NULL);
	}
	remote_events_end(&old);
	arch_thread_free(t);
	return result;
}
