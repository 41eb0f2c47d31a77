#include "cmd/profiling.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "base/units.h"
#include "cmd/worker.h"
#include "os/elf.h"
#include "snapshot/session.h"

#define DRAIN_EVERY_NS (40 * NSEC_PER_MSEC)
#define RESCAN_EVERY_NS (2 * NSEC_PER_SEC)
#define LEASE_NS (10 * NSEC_PER_SEC)
#define CHECKPOINTS 24u
/* A bound for what one session may cost, whatever the target does: each sample takes it a copy of
 * its stack, and us an unwinding. */
#define MAX_SAMPLES_PER_SEC 1000u
/* Below this a leak of a tenth of all allocations would show in 5 s with 25 samples only. */
#define MIN_SAMPLES_PER_SEC 50u
#define MAX_PERIOD_BYTES (64ull << 20)
#define MIN_PERIOD_BYTES 8192u
#define GOVERN_EVERY_NS (250 * NSEC_PER_MSEC)

struct run {
	struct profiling *p;
	struct os os;
	pid_t pid;
	struct session s;
	struct worker w;
	struct worker_meta meta;
	char exe[4096]; /* what the policy was asked about */
	char probe[4096];
	uint64_t modules[LIMIT_MODULES];
	size_t n_modules;
	uint64_t started_ns, samples, samples_window, window_ns;
	int send_error;
	bool target_gone;
};

static uint64_t now_ns(void)
{
	return clock_mono_ns(&clock_system);
}

static int outcome(struct profiling *p, enum profiling_outcome o, const char *name)
{
	snprintf(p->name, sizeof(p->name), "%s", name);
	return o;
}

static int refused(struct run *run, const struct preflight *pre, struct err *err)
{
	err_set(err, -EPERM, "process %u: %s%s%s%s", run->p->order->target.pid,
		refusal_text(pre->refusal), pre->detail[0] ? " (" : "", pre->detail,
		pre->detail[0] ? ")" : "");
	return outcome(run->p, pre->refusal == REFUSAL_GONE ? PROFILING_GONE : PROFILING_REFUSED,
		refusal_name(pre->refusal));
}

/* Binds the order to this boot, this process, this moment, and to the host's policy. */
static int check_order(struct run *run, struct err *err)
{
	const struct order *o = run->p->order;
	struct preflight pre;
	char why[256];
	int r;

	if (o->expires_unix_ns && clock_unix_ns(&clock_system) > o->expires_unix_ns) {
		err_set(err, -ETIME, "the order has expired");
		return outcome(run->p, PROFILING_REFUSED, "expired");
	}
	r = os_is_process(&run->os, &o->target, err);
	if (r < 0)
		return r;
	if (r > 0) {
		err_set(err, -ESRCH, "process %u is gone (or its pid belongs to another one now)",
			o->target.pid);
		return outcome(run->p, PROFILING_GONE, "gone");
	}
	r = preflight(&run->os, (pid_t)o->target.pid, &pre, err);
	if (r < 0)
		return r;
	/* The policy speaks first: a host that forbids a look owes nobody the reason why it would
	 * not have worked. */
	if (run->p->policy &&
		!policy_allows_profile(run->p->policy, pre.exe[0] ? pre.exe : "(unknown)",
			o->duration_ns, why, sizeof(why))) {
		err_set(err, -EPERM, "%s", why);
		return outcome(run->p, PROFILING_REFUSED, "policy");
	}
	if (pre.refusal)
		return refused(run, &pre, err);
	memcpy(run->exe, pre.exe, sizeof(run->exe));
	snprintf(run->meta.exe, sizeof(run->meta.exe), "%.1000s", pre.exe);
	snprintf(run->meta.component, sizeof(run->meta.component), "%.250s",
		strrchr(pre.exe, '/') ? strrchr(pre.exe, '/') + 1 : pre.exe);
	return PROFILING_OK;
}

static int copy_file(int from, int to, struct err *err)
{
	char buf[65536];

	for (;;) {
		ssize_t n = read(from, buf, sizeof(buf));

		if (n == 0)
			return 0;
		if (n < 0 || write(to, buf, (size_t)n) != n)
			return err_set(err, errno ? -errno : -ENOSPC, "cannot copy the probe: %m");
	}
}

/* The target opens the library itself, as its own user. A copy under a fixed folder, named by its
 * build-id, is readable for all; it is also what a later session finds mapped. */
static int stage_probe(struct run *run, struct err *err)
{
	autoclose int from = open(run->p->probe_path, O_RDONLY | O_CLOEXEC);
	char build_id[ELF_BUILD_ID_MAX], tmp[4160];
	struct stat st;
	int r;

	if (from < 0)
		return err_set(err, -errno, "cannot open the probe %s: %m", run->p->probe_path);
	if (!run->p->stage_dir) {
		if (!realpath(run->p->probe_path, run->probe))
			return err_set(err, -errno, "cannot resolve %s: %m", run->p->probe_path);
		return 0;
	}
	r = elf_file_build_id(from, build_id, err);
	if (r != ELF_OK)
		return err_set(err, -EINVAL, "%s has no build-id", run->p->probe_path);
	if (mkdir(run->p->stage_dir, 0755) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot make %s: %m", run->p->stage_dir);
	if (stat(run->p->stage_dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(err, -EPERM, "%s is not ours alone; remove it", run->p->stage_dir);
	snprintf(run->probe, sizeof(run->probe), "%.3900s/libresin-probe-%.16s.so",
		run->p->stage_dir, build_id);
	if (access(run->probe, R_OK) == 0)
		return 0;
	snprintf(tmp, sizeof(tmp), "%s.%d", run->probe, getpid());
	autoclose int to = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (to < 0)
		return err_set(err, -errno, "cannot write %s: %m", tmp);
	r = copy_file(from, to, err);
	if (r == 0 && (fchmod(to, 0755) < 0 || rename(tmp, run->probe) < 0))
		r = err_set(err, -errno, "cannot write %s: %m", run->probe);
	if (r < 0)
		(void)unlink(tmp);
	return r;
}

static uint64_t anon_bytes(struct run *run)
{
	struct proc_status st;

	if (os_proc_status(&run->os, (uint32_t)run->pid, &st, NULL) != OS_OK)
		return 0;
	return st.anon_bytes + st.swap_bytes;
}

/* Hands every file that is mapped executable and not known yet to the worker. Returns how many. */
static int send_modules(struct run *run, struct err *err)
{
	struct maps m;
	int r = os_maps(&run->os, (uint32_t)run->pid, &m, err), sent = 0;

	if (r != OS_OK)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < m.n && r >= 0; i++) {
		char path[128];
		uint64_t end = m.v[i].end;
		bool known = false, code = m.v[i].perms[2] == 'x';
		int fd;

		if (m.v[i].offset != 0 || !m.v[i].inode || run->n_modules == LIMIT_MODULES)
			continue;
		for (size_t k = i + 1; k < m.n && m.v[k].inode == m.v[i].inode && m.v[k].offset;
			k++) {
			code |= m.v[k].perms[2] == 'x';
			end = m.v[k].end;
		}
		for (size_t k = 0; k < run->n_modules; k++)
			known |= run->modules[k] == m.v[i].start;
		if (known || !code)
			continue;
		/* The mapped file itself, also when its name is gone or lies in a container. */
		snprintf(path, sizeof(path), "%d/map_files/%lx-%lx", run->pid,
			(unsigned long)m.v[i].start, (unsigned long)m.v[i].end);
		fd = openat(run->os.proc_fd, path, O_RDONLY | O_CLOEXEC);
		/* By name only with a person's own rights: the name is the target's choice. */
		if (fd < 0 && geteuid() != 0)
			fd = open(m.v[i].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			continue;
		run->modules[run->n_modules++] = m.v[i].start;
		r = worker_module(&run->w, fd, m.v[i].path, m.v[i].start, end, err);
		close(fd);
		sent++;
	}
	maps_done(&m);
	return r < 0 ? r : sent;
}

static int on_alloc(void *arg, const struct probe_alloc *a)
{
	struct run *run = arg;

	run->samples++;
	run->samples_window++;
	return worker_alloc(&run->w, a);
}

static int on_free(void *arg, uint64_t addr, uint64_t seq)
{
	struct run *run = arg;

	return worker_free_event(&run->w, addr, seq);
}

/* Of all kinds: a lost free makes a block look alive. */
static uint64_t lost_events(const struct run *run)
{
	const struct probe_control *c = &run->s.last;

	return c->dropped_ring + c->dropped_live + c->dropped_frees;
}

/* Keeps the rate of samples in a band: too many cost the target, too few say nothing. Every sample
 * carries the distance that was in force, so a change biases nothing. */
static int govern(struct run *run, uint64_t now)
{
	uint64_t lost = lost_events(run);
	uint64_t period = run->s.last.period_bytes, wanted = period;
	uint64_t window = now - run->window_ns, rate;

	if (window < GOVERN_EVERY_NS)
		return 0;
	rate = run->samples_window * NSEC_PER_SEC / window;
	if (rate > MAX_SAMPLES_PER_SEC || lost > run->meta.dropped)
		wanted = period * 2 < MAX_PERIOD_BYTES ? period * 2 : MAX_PERIOD_BYTES;
	else if (rate < MIN_SAMPLES_PER_SEC && period / 2 >= MIN_PERIOD_BYTES)
		wanted = period / 2;
	run->meta.dropped = lost;
	run->samples_window = 0;
	run->window_ns = now;
	if (wanted == period)
		return 0;
	int r = session_set_period(&run->s, wanted);

	return r == -ESRCH ? 0 : r;
}

static int rescan(struct run *run, struct err *err)
{
	int r = send_modules(run, err);

	if (r <= 0)
		return r;
	r = session_rescan(&run->s, err);
	return r < 0 ? r : 0; /* not now is no harm: the next look tries again */
}

/* Samples until the time is over, the target goes, or somebody calls it off. */
static int sample(struct run *run, struct err *err)
{
	const struct session_sink sink = {on_alloc, on_free, run};
	const struct order *o = run->p->order;
	uint64_t next_checkpoint = run->started_ns, end = run->started_ns + o->duration_ns;
	uint64_t next_rescan = run->started_ns + RESCAN_EVERY_NS, next_progress = 0;
	uint64_t step = o->duration_ns / CHECKPOINTS;

	for (;;) {
		uint64_t now = now_ns();
		bool checkpoint = now >= next_checkpoint || now >= end;
		int r = session_drain(&run->s, &sink, err);

		if (r == SESSION_GONE) {
			run->target_gone = true;
			return PROFILING_OK;
		}
		if (r > 0)
			return outcome(run->p, PROFILING_FAILED, "probe");
		if (r == 0)
			r = worker_apply(&run->w, checkpoint ? now : 0);
		if (r == 0)
			r = govern(run, now);
		if (r < 0)
			return err->code
				? r
				: err_set(err, r, "sampling failed: %s", strerrordesc_np(-r));
		if (checkpoint)
			next_checkpoint += step;
		if (now >= end)
			return PROFILING_OK;
		if (now >= next_rescan) {
			r = rescan(run, err);
			if (r < 0)
				return r;
			next_rescan = now + RESCAN_EVERY_NS;
		}
		if (now >= next_progress) {
			char text[120], left[UNITS_DURATION_MAX];

			snprintf(text, sizeof(text), "%llu samples, %s left",
				(unsigned long long)run->samples,
				units_duration((end - now) / NSEC_PER_SEC * NSEC_PER_SEC, left));
			if (!run->p->progress(run->p->arg, "sampling", text)) {
				err_set(err, -ECANCELED, "called off");
				return outcome(run->p, PROFILING_CANCELLED, "cancelled");
			}
			next_progress = now + NSEC_PER_SEC;
		}
		r = session_renew(&run->s, now + LEASE_NS);
		if (r < 0 && r != -ESRCH)
			return err_set(err, r, "cannot renew the probe's lease");
		fault_point("profiling.sampling");
		nanosleep(&(struct timespec){.tv_nsec = DRAIN_EVERY_NS}, NULL);
	}
}

static int from_session(struct run *run, int r, struct err *err)
{
	switch (r) {
	case SESSION_OK:
		return PROFILING_OK;
	case SESSION_GONE:
		err_set(err, -ESRCH, "process %d ended", run->pid);
		return outcome(run->p, PROFILING_GONE, "gone");
	case SESSION_REFUSED:
		return refused(run, &run->s.pre, err);
	case SESSION_NO_SAFE_POINT:
		err_set(err, -EAGAIN,
			"no safe point in 5 s: every one of %llu looks found the threads inside the "
			"allocator or the loader; try again",
			(unsigned long long)run->s.in.looks);
		return outcome(run->p, PROFILING_FAILED, "no-safe-point");
	case SESSION_BUSY:
		err_set(err, -EBUSY, "process %d is being profiled by somebody else now", run->pid);
		return outcome(run->p, PROFILING_REFUSED, "busy");
	case SESSION_FAILED:
		return outcome(run->p, PROFILING_FAILED, "probe");
	default:
		return r;
	}
}

static int open_session(struct run *run, struct err *err)
{
	const struct inject_unwinder unwinder = {worker_unwind, &run->w};
	const struct order *o = run->p->order;
	char text[160];
	int r;

	(void)run->p->progress(run->p->arg, "attaching", "looking for a safe point");
	r = worker_start(&run->w, err);
	if (r == 0)
		r = send_modules(run, err);
	if (r < 0)
		return r;
	r = from_session(run,
		session_open(&run->s, &run->os, run->pid, run->exe, run->probe, &unwinder, err),
		err);
	if (r != PROFILING_OK)
		return r;
	run->started_ns = run->window_ns = now_ns();
	run->meta.start_unix_ns = clock_unix_ns(&clock_system);
	run->meta.anon_start_bytes = anon_bytes(run);
	r = worker_begin(&run->w, run->started_ns, run->started_ns + o->duration_ns / 2, err);
	if (r == 0)
		r = send_modules(run, err); /* the probe is one now */
	if (r < 0)
		return r;
	r = from_session(
		run, session_start(&run->s, o->sample_period_bytes, now_ns() + LEASE_NS, err), err);
	if (r != PROFILING_OK)
		return r;
	snprintf(text, sizeof(text), "%u pointers of %u objects redirected, longest stop %.1f ms",
		run->s.last.patched, run->s.last.objects, (double)run->s.in.longest_stop_ns / 1e6);
	(void)run->p->progress(run->p->arg, "attached", text);
	return PROFILING_OK;
}

static int close_session(struct run *run, struct err *err)
{
	struct err stop_err = ERR_INIT;
	int r;

	if (run->target_gone || !run->s.active)
		return PROFILING_OK;
	/* Two tries; after that the lease does it. */
	for (int i = 0; i < 2; i++) {
		r = session_stop(&run->s, &stop_err);
		if (r == SESSION_OK || r == SESSION_GONE) {
			char text[120];

			snprintf(text, sizeof(text), "%u of %u pointers restored",
				run->s.last.restored, run->s.last.patched);
			(void)run->p->progress(run->p->arg, "detached", text);
			return PROFILING_OK;
		}
	}
	(void)err;
	(void)run->p->progress(run->p->arg, "detaching",
		"no safe point to detach at; the probe will take itself out when its lease ends");
	return PROFILING_OK;
}

static int run_order(struct run *run, struct buf *out, struct err *err)
{
	int r = check_order(run, err);

	if (r == PROFILING_OK)
		r = stage_probe(run, err);
	if (r == PROFILING_OK)
		r = open_session(run, err);
	if (r == PROFILING_OK) {
		int stopped;

		r = sample(run, err);
		run->meta.duration_ns = now_ns() - run->started_ns;
		run->meta.period_bytes = run->s.last.period_bytes;
		run->meta.dropped = lost_events(run);
		stopped = close_session(run, err);
		/* Now, when the probe's own 2 MiB are given back. */
		run->meta.anon_end_bytes = run->target_gone ? 0 : anon_bytes(run);
		if (r == PROFILING_OK)
			r = stopped;
	}
	if (r != PROFILING_OK)
		return r;
	if (run->target_gone && run->samples == 0) {
		err_set(err, -ESRCH, "process %d ended before anything was sampled", run->pid);
		return outcome(run->p, PROFILING_GONE, "gone");
	}
	(void)run->p->progress(run->p->arg, "symbols", "naming the stacks");
	run->meta.target = run->p->order->target;
	run->meta.order_id = run->p->order->id;
	run->meta.dropped += run->w.dropped;
	run->meta.pause_ns = run->s.in.longest_stop_ns;
	return worker_finish(&run->w, &run->meta, out, err);
}

int profiling_run(struct profiling *p, struct buf *out, struct err *err)
{
	struct run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return err_set(err, -ENOMEM, "out of memory");
	run->p = p;
	run->pid = (pid_t)p->order->target.pid;
	run->w = (struct worker){.pid = -1, .to = -1, .from = -1};
	r = os_open(&run->os, "/proc", err);
	if (r == 0)
		r = run_order(run, out, err);
	session_close(&run->s);
	worker_done(&run->w);
	os_close(&run->os);
	free(run);
	if (r < 0) {
		snprintf(p->name, sizeof(p->name), "error");
		return PROFILING_FAILED;
	}
	return r;
}
