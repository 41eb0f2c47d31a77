#include "snapshot/session.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/units.h"
#include "os/elf.h"

#define CALL_TIMEOUT_NS (5 * NSEC_PER_SEC)
#define RTLD_NOW_ 2u
#define SETTLE_NS (2 * NSEC_PER_SEC)
#define SETTLE_POLL_NS (2 * NSEC_PER_SEC / 1000)
#define START_TRIES 3

/* Looks for the library among the target's mappings. SESSION_FAILED: it is not there. */
static int find_probe(struct session *s, const char *path, struct err *err)
{
	struct elf e;
	struct maps m;
	uint64_t base = 0, size;
	int r = os_maps(s->os, (uint32_t)s->pid, &m, err);

	if (r != OS_OK)
		return r < 0 ? r : SESSION_GONE;
	for (size_t i = 0; i < m.n && !base; i++)
		if (m.v[i].offset == 0 && strcmp(m.v[i].path, path) == 0)
			base = m.v[i].start;
	maps_done(&m);
	if (!base)
		return SESSION_FAILED;
	r = elf_open(&e, elf_read_process, &s->pid, true, base, err);
	if (r != ELF_OK)
		return r < 0 ? r : err_set(err, -EINVAL, "%s in the target is not ELF", path);
	if (elf_symbol(&e, PROBE_SYM_CONTROL, &s->control.v, &size, err) != ELF_OK ||
		size != sizeof(struct probe_control) ||
		elf_symbol(&e, PROBE_SYM_START, &s->start.v, &size, err) != ELF_OK ||
		elf_symbol(&e, PROBE_SYM_STOP, &s->stop.v, &size, err) != ELF_OK ||
		elf_symbol(&e, PROBE_SYM_RESCAN, &s->rescan.v, &size, err) != ELF_OK)
		return err_set(
			err, -EINVAL, "%s in the target is not the probe of this version", path);
	s->in.guard = s->control;
	s->in.guard_value = PROBE_MAGIC;
	return SESSION_OK;
}

static int from_inject(int r, struct err *err)
{
	switch (r) {
	case INJECT_OK:
		return SESSION_OK;
	case INJECT_GONE:
		return SESSION_GONE;
	case INJECT_DENIED:
		return SESSION_REFUSED;
	case INJECT_NO_SAFE_POINT:
		return SESSION_NO_SAFE_POINT;
	case INJECT_SLOW:
		err_set(err, -ETIMEDOUT,
			"a call in the target did not return within 5 s (another thread holds the "
			"loader's lock?); it will end by itself");
		return SESSION_FAILED;
	default:
		return r;
	}
}

static int read_control(struct session *s)
{
	int r = remote_read(s->pid, s->control, &s->last, sizeof(s->last));

	if (r == 0 && (s->last.magic != PROBE_MAGIC || s->last.abi != PROBE_ABI))
		return -EINVAL;
	return r;
}

int session_open(struct session *s, struct os *os, pid_t pid, const char *exe,
	const char *probe_path, const struct inject_unwinder *unwinder, struct err *err)
{
	int r;

	*s = (struct session){.os = os, .pid = pid};
	r = preflight(os, pid, &s->pre, err);
	if (r < 0)
		return r;
	if (s->pre.refusal == REFUSAL_GONE || (!s->pre.refusal && strcmp(s->pre.exe, exe) != 0))
		return SESSION_GONE;
	if (s->pre.refusal)
		return SESSION_REFUSED;
	s->slot = malloc(sizeof(*s->slot));
	if (!s->slot)
		return err_set(err, -ENOMEM, "out of memory");
	r = inject_open(&s->in, os, pid, &s->pre, err);
	if (r != INJECT_OK)
		return from_inject(r, err);
	s->in.unwinder = *unwinder;
	r = find_probe(s, probe_path, err);
	if (r != SESSION_FAILED)
		return r;
	fault_point("session.before-load");
	r = from_inject(inject_call(&s->in, s->in.dlopen, probe_path, strlen(probe_path) + 1,
				RTLD_NOW_, CALL_TIMEOUT_NS, err),
		err);
	if (r != SESSION_OK)
		return r;
	fault_point("session.loaded");
	r = find_probe(s, probe_path, err);
	if (r == SESSION_FAILED)
		err_set(err, -ENOEXEC,
			"the target's dlopen refused %s: is it readable for user %u, on a file system "
			"without noexec, and of the same architecture?",
			probe_path, s->pre.uid);
	return r;
}

static const char *probe_error(uint32_t e)
{
	switch (e) {
	case PROBE_ERR_PARAMS:
		return "it belongs to another version of resin";
	case PROBE_ERR_MEMORY:
		return "the target may not map 3 MiB more (limit?)";
	case PROBE_ERR_NO_MALLOC:
		return "no loaded object defines malloc and free";
	case PROBE_ERR_NO_SLOTS:
		return "no object calls malloc through a pointer that can be redirected";
	default:
		return "unknown reason";
	}
}

/* A target that ends an old session by itself at this moment, or still begins one whose helper was
 * killed, needs some milliseconds for it: it protects and unprotects pages. Returns SESSION_OK with
 * s->last read in a state that lasts, SESSION_BUSY after SETTLE_NS, or a failure. */
static int settle(struct session *s, struct err *err)
{
	const uint64_t give_up = clock_mono_ns(&clock_system) + SETTLE_NS;

	for (;;) {
		int r = read_control(s);

		if (r < 0)
			return r == -ESRCH ? SESSION_GONE
					   : err_set(err, r, "cannot read the probe's state: %s",
						     strerrordesc_np(-r));
		if (s->last.state != PROBE_STARTING && s->last.state != PROBE_STOPPING)
			return SESSION_OK;
		if (clock_mono_ns(&clock_system) > give_up)
			return SESSION_BUSY;
		nanosleep(&(struct timespec){.tv_nsec = SETTLE_POLL_NS}, NULL);
	}
}

static int start_once(struct session *s, const struct probe_params *p, struct err *err)
{
	int r = settle(s, err);

	if (r != SESSION_OK)
		return r;
	if (s->last.state == PROBE_ACTIVE && s->last.lease_ns > clock_mono_ns(&clock_system))
		return SESSION_BUSY;
	if (s->last.state == PROBE_ACTIVE) {
		/* Left behind by a helper that was killed, in a target that allocates so little
		 * that the probe has not noticed. */
		r = from_inject(inject_call(&s->in, s->stop, "", 1, 0, CALL_TIMEOUT_NS, err), err);
		if (r != SESSION_OK)
			return r;
	}
	r = from_inject(inject_call(&s->in, s->start, p, sizeof(*p), 0, CALL_TIMEOUT_NS, err), err);
	if (r != SESSION_OK)
		return r;
	fault_point("session.started");
	r = read_control(s);
	if (r < 0)
		return r == -ESRCH ? SESSION_GONE : err_set(err, r, "the probe's state is damaged");
	return s->last.error == PROBE_ERR_BUSY ? SESSION_BUSY : SESSION_OK;
}

int session_start(struct session *s, uint64_t period_bytes, uint64_t lease_ns, struct err *err)
{
	const struct probe_params p = {
		.magic = PROBE_MAGIC,
		.abi = PROBE_ABI,
		.pid = (uint32_t)s->pid,
		.period_bytes = period_bytes,
		.lease_ns = lease_ns,
	};
	int r = SESSION_BUSY;

	/* An old session may end between the look at its state and our call. */
	for (int i = 0; i < START_TRIES && r == SESSION_BUSY; i++)
		r = start_once(s, &p, err);
	if (r != SESSION_OK)
		return r;
	if (s->last.error || s->last.state != PROBE_ACTIVE) {
		err_set(err, -EIO, "the probe did not start: %s", probe_error(s->last.error));
		return SESSION_FAILED;
	}
	s->memory.v = s->last.memory;
	s->alloc_tail = s->free_tail = 0;
	s->active = true;
	return SESSION_OK;
}

static struct raddr field(struct raddr base, size_t offset)
{
	return (struct raddr){base.v + offset};
}

static int drain_allocs(struct session *s, const struct session_sink *sink)
{
	uint64_t head = s->last.alloc_head;
	int r;

	if (head - s->alloc_tail > PROBE_ALLOC_SLOTS)
		return -EINVAL; /* nobody but a damaged target can do that */
	for (; s->alloc_tail < head; s->alloc_tail++) {
		uint64_t at = s->memory.v + offsetof(struct probe_memory, allocs) +
			(s->alloc_tail % PROBE_ALLOC_SLOTS) * sizeof(*s->slot);
		const size_t fixed = offsetof(struct probe_alloc, stack);

		r = remote_read(s->pid, (struct raddr){at}, s->slot, fixed);
		if (r < 0)
			return r;
		if (s->slot->commit != s->alloc_tail + 1)
			break; /* reserved, not yet filled */
		if (s->slot->stack_bytes > PROBE_STACK_BYTES)
			return -EINVAL;
		r = remote_read(
			s->pid, (struct raddr){at + fixed}, s->slot->stack, s->slot->stack_bytes);
		if (r < 0)
			return r;
		r = sink->alloc(sink->arg, s->slot);
		if (r < 0)
			return r;
	}
	return remote_write(s->pid, field(s->control, offsetof(struct probe_control, alloc_tail)),
		&s->alloc_tail, 8);
}

static int drain_frees(struct session *s, const struct session_sink *sink)
{
	uint64_t head = s->last.free_head;

	if (head - s->free_tail > PROBE_FREE_SLOTS)
		return -EINVAL;
	while (s->free_tail < head) {
		struct probe_free batch[256];
		uint64_t index = s->free_tail % PROBE_FREE_SLOTS, n = head - s->free_tail;
		int r;

		if (n > 256)
			n = 256;
		if (n > PROBE_FREE_SLOTS - index)
			n = PROBE_FREE_SLOTS - index;
		r = remote_read(s->pid,
			field(s->memory,
				offsetof(struct probe_memory, frees) + index * sizeof(batch[0])),
			batch, n * sizeof(batch[0]));
		if (r < 0)
			return r;
		for (uint64_t i = 0; i < n; i++) {
			if (batch[i].commit != s->free_tail + 1)
				goto out;
			r = sink->free(sink->arg, batch[i].addr, batch[i].seq);
			if (r < 0)
				return r;
			s->free_tail++;
		}
	}
out:
	return remote_write(s->pid, field(s->control, offsetof(struct probe_control, free_tail)),
		&s->free_tail, 8);
}

int session_drain(struct session *s, const struct session_sink *sink, struct err *err)
{
	int r = read_control(s);

	if (r == 0 && (s->last.state != PROBE_ACTIVE || s->last.memory != s->memory.v)) {
		err_set(err, -EIO, "the probe ended by itself (its lease ran out)");
		return SESSION_FAILED;
	}
	/* Allocations first: a free that is read now may belong to an allocation of a moment ago,
	 * but not the other way round; the order is put right by seq. */
	if (r == 0)
		r = drain_allocs(s, sink);
	if (r == 0)
		r = drain_frees(s, sink);
	if (r == -ESRCH)
		return SESSION_GONE;
	return r < 0 ? err_set(err, r, "cannot read the samples: %s", strerrordesc_np(-r))
		     : SESSION_OK;
}

int session_renew(struct session *s, uint64_t lease_ns)
{
	return remote_write(
		s->pid, field(s->control, offsetof(struct probe_control, lease_ns)), &lease_ns, 8);
}

int session_set_period(struct session *s, uint64_t period_bytes)
{
	return remote_write(s->pid, field(s->control, offsetof(struct probe_control, period_bytes)),
		&period_bytes, 8);
}

int session_rescan(struct session *s, struct err *err)
{
	return from_inject(inject_call(&s->in, s->rescan, "", 1, 0, CALL_TIMEOUT_NS, err), err);
}

int session_stop(struct session *s, struct err *err)
{
	int r;

	if (!s->active)
		return SESSION_OK;
	fault_point("session.before-stop");
	r = from_inject(inject_call(&s->in, s->stop, "", 1, 0, CALL_TIMEOUT_NS, err), err);
	if (r != SESSION_OK)
		return r;
	s->active = false;
	fault_point("session.stopped");
	r = read_control(s);
	if (r == -ESRCH)
		return SESSION_GONE;
	if (r < 0 || s->last.state != PROBE_STOPPED) {
		err_set(err, -EIO, "the probe did not confirm that it is out");
		return SESSION_FAILED;
	}
	return SESSION_OK;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	free(s->slot);
	s->slot = NULL;
}
