/*
 * The hooks, the sampler and the three injected calls.
 *
 * Sampling is by bytes: the distance to the next sample is exponential with mean `period_bytes`
 * (the scheme of tcmalloc and jemalloc; weight of a sample of S bytes is S / (1 - exp(-S / R)),
 * computed outside). Between samples an allocation costs one subtraction, a free one look at one
 * cache line.
 */
#include "probe/probe.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "arch-syscall.h"

#define SYS0(nr) arch_syscall6((nr), 0, 0, 0, 0, 0, 0)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct probe_control resin_probe_control = {.magic = PROBE_MAGIC, .abi = PROBE_ABI};
uintptr_t probe_real[HOOK_MAX_];

#define CTL resin_probe_control

/* initial-exec: no call to __tls_get_addr, which may allocate on its first use in a thread. */
static __thread int64_t bytes_left __attribute__((tls_model("initial-exec")));
static __thread uint64_t drawn_period __attribute__((tls_model("initial-exec")));
static __thread uint64_t rng __attribute__((tls_model("initial-exec")));
static __thread uint64_t rng_generation __attribute__((tls_model("initial-exec")));

static inline bool active(void)
{
	return __atomic_load_n(&CTL.state, __ATOMIC_RELAXED) == PROBE_ACTIVE;
}

static inline struct probe_memory *memory(void)
{
	return (struct probe_memory *)__atomic_load_n(&CTL.memory, __ATOMIC_ACQUIRE);
}

static uint64_t mono_ns(void)
{
	struct timespec ts = {0};

	arch_syscall6(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&ts, 0, 0, 0, 0);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

bool probe_lease_over(void)
{
	return mono_ns() > __atomic_load_n(&CTL.lease_ns, __ATOMIC_RELAXED);
}

/* -- the sampler ------------------------------------------------------------------------- */

static uint64_t next_random(void)
{
	/* xorshift64* (Vigna 2016). */
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dull;
}

/* -ln(u) for u uniform in (0, 1], by splitting off the exponent and a series for atanh. */
static double minus_log_uniform(void)
{
	uint64_t u = (next_random() >> 11) + 1; /* 1 .. 2^53 */
	int exponent = 63 - __builtin_clzll(u);
	double m = (double)u / (double)(1ull << exponent); /* 1 <= m < 2 */
	double t = (m - 1) / (m + 1), t2 = t * t;
	double ln_m = 2 * t *
		(1 + t2 * (1 / 3. + t2 * (1 / 5. + t2 * (1 / 7. + t2 * (1 / 9. + t2 / 11)))));

	return (53 - exponent) * 0.69314718055994531 - ln_m;
}

static int64_t draw(void)
{
	uint64_t period = __atomic_load_n(&CTL.period_bytes, __ATOMIC_RELAXED);
	double d = minus_log_uniform();

	/* A cap at 20 means cuts off one draw in 5e8 and keeps the sum within an int64. */
	drawn_period = period;
	return (int64_t)((d > 20 ? 20 : d) * (double)period) + 1;
}

/* The period by which these bytes were chosen, or 0 when they are not. Only called when the counter
 * ran out. The period may have been changed since the distance was drawn; the weight is that of the
 * draw, or the sum would be biased. */
static uint64_t sample_due(void)
{
	uint64_t period = drawn_period;
	uint64_t generation = __atomic_load_n(&CTL.generation, __ATOMIC_RELAXED);

	if (unlikely(rng_generation != generation)) {
		/* First allocation of this thread since the start: its counter means nothing yet.
		 */
		int64_t bytes = -bytes_left;

		rng_generation = generation;
		rng = (mono_ns() ^ (uint64_t)&rng ^ ((uint64_t)SYS0(SYS_gettid) << 32)) | 1;
		(void)next_random();
		if (bytes < 0)
			bytes = 0;
		bytes_left = draw() - bytes;
		if (bytes_left >= 0)
			return 0;
		period = drawn_period;
	}
	bytes_left = draw();
	return period;
}

/* -- live samples ------------------------------------------------------------------------ */

static inline unsigned bucket_of(uint64_t addr)
{
	return (unsigned)((addr >> 4) * 0x9e3779b97f4a7c15ull >> 51); /* 13 bits */
}

_Static_assert(PROBE_LIVE_BUCKETS == 1u << 13, "bucket_of takes 13 bits");

static bool live_insert(struct probe_memory *m, uint64_t addr)
{
	unsigned k = bucket_of(addr);
	_Atomic uint64_t *b = (_Atomic uint64_t *)m->live[k];

	/* Counted before it can be found, and until it cannot any more: nobody who owns the address
	 * reads 0 while it is there. */
	__atomic_fetch_add(&m->occupied[k], 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < PROBE_LIVE_WAYS; i++) {
		uint64_t empty = 0;

		if (atomic_compare_exchange_strong(&b[i], &empty, addr))
			return true;
	}
	__atomic_fetch_sub(&m->occupied[k], 1, __ATOMIC_SEQ_CST);
	return false;
}

static __attribute__((noinline)) bool live_remove_slow(struct probe_memory *m, uint64_t addr)
{
	unsigned k = bucket_of(addr);
	_Atomic uint64_t *b = (_Atomic uint64_t *)m->live[k];

	for (unsigned i = 0; i < PROBE_LIVE_WAYS; i++) {
		uint64_t expected = addr;

		if (atomic_load_explicit(&b[i], memory_order_relaxed) == addr &&
			atomic_compare_exchange_strong(&b[i], &expected, 0)) {
			__atomic_fetch_sub(&m->occupied[k], 1, __ATOMIC_SEQ_CST);
			return true;
		}
	}
	return false;
}

static inline __attribute__((always_inline)) bool live_remove(struct probe_memory *m, uint64_t addr)
{
	if (likely(!__atomic_load_n(&m->occupied[bucket_of(addr)], __ATOMIC_RELAXED)))
		return false;
	return live_remove_slow(m, addr);
}

/* -- the rings --------------------------------------------------------------------------- */

/* Reserves one position; false when the ring is full. */
static bool reserve(uint64_t *head, const uint64_t *tail, uint64_t slots, uint64_t *ret)
{
	uint64_t pos = __atomic_load_n(head, __ATOMIC_RELAXED);

	do {
		if (pos - __atomic_load_n(tail, __ATOMIC_ACQUIRE) >= slots)
			return false;
	} while (!__atomic_compare_exchange_n(
		head, &pos, pos + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	*ret = pos;
	return true;
}

static void push_free(struct probe_memory *m, uint64_t addr, uint64_t seq)
{
	struct probe_free *f;
	uint64_t pos;

	if (!reserve(&CTL.free_head, &CTL.free_tail, PROBE_FREE_SLOTS, &pos)) {
		__atomic_fetch_add(&CTL.dropped_frees, 1, __ATOMIC_RELAXED);
		return;
	}
	f = &m->frees[pos % PROBE_FREE_SLOTS];
	f->seq = seq;
	f->addr = addr;
	__atomic_store_n(&f->commit, pos + 1, __ATOMIC_RELEASE);
}

/* Copies the live end of the stack through the kernel, which stops at the first hole instead of
 * faulting: the stack pointer may be on a fibre or an alternate stack of any size. */
static uint32_t copy_stack(long pid, uint64_t sp, uint8_t *to)
{
	struct iovec local = {to, PROBE_STACK_BYTES};
	struct iovec remote[4];
	uint64_t at = sp, end = sp + PROBE_STACK_BYTES;
	int n = 0;
	long got;

	while (at < end && n < 4) {
		uint64_t page_end = (at | 4095) + 1;

		if (page_end > end)
			page_end = end;
		remote[n++] = (struct iovec){(void *)at, page_end - at};
		at = page_end;
	}
	got = arch_syscall6(SYS_process_vm_readv, pid, (long)&local, 1, (long)remote, n, 0);
	return got > 0 ? (uint32_t)got : 0;
}

static __attribute__((noinline)) void record(uint64_t addr, uint64_t bytes, uint64_t period)
{
	struct probe_memory *m = memory();
	struct probe_alloc *a;
	uint64_t pos;
	long pid;

	if (!m || !addr)
		return;
	if (probe_lease_over()) {
		resin_probe_stop();
		return;
	}
	/* A child after fork() has copies of all this; after vfork() it shares it. It records
	 * nothing either way. (Past the lease it has taken the hooks out above, which is right in
	 * both cases: in its own copy, or for the parent, whose lease is over as well.) */
	pid = SYS0(SYS_getpid);
	if (pid != (long)CTL.pid)
		return;
	if (!live_insert(m, addr)) {
		__atomic_fetch_add(&CTL.dropped_live, 1, __ATOMIC_RELAXED);
		return;
	}
	if (!reserve(&CTL.alloc_head, &CTL.alloc_tail, PROBE_ALLOC_SLOTS, &pos)) {
		(void)live_remove(m, addr);
		__atomic_fetch_add(&CTL.dropped_ring, 1, __ATOMIC_RELAXED);
		return;
	}
	a = &m->allocs[pos % PROBE_ALLOC_SLOTS];
	a->seq = __atomic_add_fetch(&CTL.seq, 1, __ATOMIC_RELAXED);
	a->addr = addr;
	a->bytes = bytes;
	a->period_bytes = period;
	a->mono_ns = mono_ns();
	a->tid = (uint32_t)SYS0(SYS_gettid);
	arch_capture(a->regs);
	a->stack_bytes = copy_stack(pid, a->regs[ARCH_DWARF_SP], a->stack);
	__atomic_store_n(&a->commit, pos + 1, __ATOMIC_RELEASE);
}

static inline __attribute__((always_inline)) void on_alloc(void *p, size_t bytes)
{
	if (likely((bytes_left -= (int64_t)bytes) >= 0) || !active())
		return;
	uint64_t period = sample_due();

	if (period)
		record((uint64_t)p, bytes, period);
}

/* Before the real free: afterwards the address may already belong to somebody else. */
static inline __attribute__((always_inline)) bool on_free(void *p)
{
	struct probe_memory *m;

	if (!p || !active())
		return false;
	m = memory();
	if (likely(!live_remove(m, (uint64_t)p)))
		return false;
	push_free(m, (uint64_t)p, __atomic_add_fetch(&CTL.seq, 1, __ATOMIC_RELAXED));
	return true;
}

/* -- the hooks --------------------------------------------------------------------------- */

#define REAL(which, type) ((type)probe_real[which])

static void *hook_malloc(size_t n)
{
	void *p = REAL(HOOK_MALLOC, void *(*)(size_t))(n);

	on_alloc(p, n);
	return p;
}

static void hook_free(void *p)
{
	(void)on_free(p);
	REAL(HOOK_FREE, void (*)(void *))(p);
}

static void *hook_calloc(size_t n, size_t size)
{
	void *p = REAL(HOOK_CALLOC, void *(*)(size_t, size_t))(n, size);

	on_alloc(p, p ? n * size : 0);
	return p;
}

/* The old address must leave the live set before the call, because another thread may be given it
 * at once; it comes back when the call fails, because then the old block still lives. */
static inline __attribute__((always_inline)) bool realloc_begin(
	struct probe_memory **ret_m, void *old, uint64_t *ret_seq)
{
	*ret_m = NULL;
	if (!old || !active())
		return false;
	*ret_m = memory();
	if (likely(!live_remove(*ret_m, (uint64_t)old)))
		return false;
	*ret_seq = __atomic_add_fetch(&CTL.seq, 1, __ATOMIC_RELAXED);
	return true;
}

static inline __attribute__((always_inline)) void realloc_end(
	struct probe_memory *m, bool was_live, void *old, uint64_t seq, void *p, size_t bytes)
{
	if (unlikely(was_live)) {
		if (!p && bytes)
			(void)live_insert(m, (uint64_t)old);
		else
			push_free(m, (uint64_t)old, seq);
	}
	if (p)
		on_alloc(p, bytes);
}

static void *hook_realloc(void *old, size_t n)
{
	struct probe_memory *m;
	uint64_t seq = 0;
	bool was_live = realloc_begin(&m, old, &seq);
	void *p = REAL(HOOK_REALLOC, void *(*)(void *, size_t))(old, n);

	realloc_end(m, was_live, old, seq, p, n);
	return p;
}

static void *hook_reallocarray(void *old, size_t n, size_t size)
{
	struct probe_memory *m;
	uint64_t seq = 0;
	size_t bytes = 0;
	bool overflow = __builtin_mul_overflow(n, size, &bytes);
	bool was_live = realloc_begin(&m, old, &seq);
	void *p = REAL(HOOK_REALLOCARRAY, void *(*)(void *, size_t, size_t))(old, n, size);

	realloc_end(m, was_live, old, seq, p, overflow ? 1 : bytes);
	return p;
}

static void *hook_memalign(size_t align, size_t n)
{
	void *p = REAL(HOOK_MEMALIGN, void *(*)(size_t, size_t))(align, n);

	on_alloc(p, n);
	return p;
}

static void *hook_aligned_alloc(size_t align, size_t n)
{
	void *p = REAL(HOOK_ALIGNED_ALLOC, void *(*)(size_t, size_t))(align, n);

	on_alloc(p, n);
	return p;
}

static int hook_posix_memalign(void **ret, size_t align, size_t n)
{
	int r = REAL(HOOK_POSIX_MEMALIGN, int (*)(void **, size_t, size_t))(ret, align, n);

	if (r == 0)
		on_alloc(*ret, n);
	return r;
}

static void *hook_valloc(size_t n)
{
	void *p = REAL(HOOK_VALLOC, void *(*)(size_t))(n);

	on_alloc(p, n);
	return p;
}

static void *hook_pvalloc(size_t n)
{
	void *p = REAL(HOOK_PVALLOC, void *(*)(size_t))(n);

	on_alloc(p, n);
	return p;
}

const struct hook_entry probe_hooks[HOOK_MAX_] = {
	[HOOK_MALLOC] = {"malloc", (uintptr_t)hook_malloc},
	[HOOK_FREE] = {"free", (uintptr_t)hook_free},
	[HOOK_CALLOC] = {"calloc", (uintptr_t)hook_calloc},
	[HOOK_REALLOC] = {"realloc", (uintptr_t)hook_realloc},
	[HOOK_REALLOCARRAY] = {"reallocarray", (uintptr_t)hook_reallocarray},
	[HOOK_MEMALIGN] = {"memalign", (uintptr_t)hook_memalign},
	[HOOK_ALIGNED_ALLOC] = {"aligned_alloc", (uintptr_t)hook_aligned_alloc},
	[HOOK_POSIX_MEMALIGN] = {"posix_memalign", (uintptr_t)hook_posix_memalign},
	[HOOK_VALLOC] = {"valloc", (uintptr_t)hook_valloc},
	[HOOK_PVALLOC] = {"pvalloc", (uintptr_t)hook_pvalloc},
};

/* -- the injected calls ------------------------------------------------------------------ */

static bool become(uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(
		&CTL.state, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* The pages go back to the kernel and read as zero from now on. Locked pages (mlockall) would stay.
 */
static void give_back(struct probe_memory *m)
{
	arch_syscall6(SYS_munlock, (long)m, sizeof(*m), 0, 0, 0, 0);
	arch_syscall6(SYS_madvise, (long)m, sizeof(*m), MADV_DONTNEED, 0, 0, 0);
}

static struct probe_memory *get_memory(void)
{
	struct probe_memory *m = memory();
	long r;

	if (m) {
		/* Emptied at the end of an earlier session; once more, because a late thread of
		 * that time may have left something. Nothing is redirected now. */
		give_back(m);
		return m;
	}
	r = arch_syscall6(SYS_mmap, 0, sizeof(*m), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r < 0 && r > -4096)
		return NULL;
	__atomic_store_n(&CTL.memory, (uint64_t)r, __ATOMIC_RELEASE);
	return (struct probe_memory *)r;
}

static void fail(uint32_t error)
{
	CTL.error = error;
	__atomic_store_n(&CTL.state, PROBE_STOPPED, __ATOMIC_RELEASE);
}

void resin_probe_start(const struct probe_params *p)
{
	struct probe_memory *m;

	if (p->magic != PROBE_MAGIC || p->abi != PROBE_ABI || p->period_bytes == 0) {
		CTL.error = PROBE_ERR_PARAMS;
		return;
	}
	if (!become(PROBE_IDLE, PROBE_STARTING) && !become(PROBE_STOPPED, PROBE_STARTING)) {
		CTL.error = PROBE_ERR_BUSY;
		return;
	}
	CTL.error = PROBE_ERR_NONE;
	m = get_memory();
	if (!m) {
		fail(PROBE_ERR_MEMORY);
		return;
	}
	CTL.pid = p->pid;
	CTL.period_bytes = p->period_bytes;
	CTL.lease_ns = p->lease_ns;
	CTL.alloc_head = CTL.alloc_tail = CTL.free_head = CTL.free_tail = 0;
	CTL.dropped_ring = CTL.dropped_live = CTL.dropped_frees = 0;
	CTL.restored = CTL.lost = 0;
	__atomic_add_fetch(&CTL.generation, 1, __ATOMIC_RELEASE);
	if (!probe_resolve_real()) {
		fail(PROBE_ERR_NO_MALLOC);
		return;
	}
	__atomic_store_n(&CTL.state, PROBE_ACTIVE, __ATOMIC_RELEASE);
	if (probe_patch_all(m) == 0)
		fail(PROBE_ERR_NO_SLOTS);
}

void resin_probe_stop(void)
{
	struct probe_memory *m = memory();

	if (!become(PROBE_ACTIVE, PROBE_STOPPING))
		return;
	probe_patch_restore(m);
	/* The pages go back to the kernel and read as zero from now on; the addresses stay valid
	 * for a thread that is still between a test and a store. n_patches is 0 then, too. */
	give_back(m);
	__atomic_add_fetch(&CTL.generation, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&CTL.state, PROBE_STOPPED, __ATOMIC_RELEASE);
}

void resin_probe_rescan(void)
{
	if (active())
		(void)probe_patch_all(memory());
}
