#include "cmd/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "base/map.h"
#include "snapshot/fold.h"
#include "symbol/symbolizer.h"
#include "wire/messages.h"

#define NOBODY 65534u
#define FREES_PER_PACKET 256u
#define SOCKET_BYTES (8 << 20)

enum packet_type {
	PACKET_MODULE = 1,
	PACKET_UNWIND,
	PACKET_BEGIN,
	PACKET_ALLOC,
	PACKET_FREES,
	PACKET_APPLY,
	PACKET_FINISH,
};

#define UNWIND_STACK_BYTES 65536u
#define UNWIND_MAX_FRAMES 256u
/* Reading the tables of a very large program for the first time. */
#define UNWIND_PATIENCE_SECONDS 10

struct packet_unwind {
	uint64_t id, regs[ARCH_DWARF_REGS], sp, bytes;
	uint8_t stack[UNWIND_STACK_BYTES];
};

struct packet_walk {
	uint64_t id, complete, n, pcs[UNWIND_MAX_FRAMES];
};

struct packet_module {
	uint64_t base, end;
	char path[4096];
};

struct packet {
	uint64_t type;
	union {
		struct packet_module module;
		struct packet_unwind unwind;
		uint64_t begin[2]; /* start, half */
		struct probe_alloc alloc;
		uint64_t frees[2 * FREES_PER_PACKET + 1]; /* count, then address and seq */
		uint64_t checkpoint_ns;
		struct worker_meta meta;
	};
};

/* -- the worker's side ------------------------------------------------------------------- */

struct stack {
	uint64_t pcs[LIMIT_FRAMES];
	size_t n;
};

struct state {
	struct symbolizer *symbolizer;
	struct fold fold;
	struct stack *stacks; /* one per site */
	size_t n_stacks, cap_stacks;
	struct map by_hash;
	uint64_t probe_start, probe_end;
	uint64_t dropped_sites, unwound, not_unwound;
};

static int site_of(struct state *s, const uint64_t *pcs, size_t n, uint32_t *ret)
{
	uint64_t key = hash_bytes(pcs, n * sizeof(*pcs), 0), i;
	int r;

	if (map_get(&s->by_hash, key, &i)) {
		*ret = (uint32_t)i;
		return 0;
	}
	r = array_reserve(&s->stacks, &s->cap_stacks, s->n_stacks + 1, sizeof(*s->stacks),
		LIMIT_PROFILE_SITES);
	if (r == 0)
		r = fold_reserve_sites(&s->fold, s->n_stacks + 1);
	if (r == 0)
		r = map_put(&s->by_hash, key, s->n_stacks);
	if (r < 0)
		return r;
	memcpy(s->stacks[s->n_stacks].pcs, pcs, n * sizeof(*pcs));
	s->stacks[s->n_stacks].n = n;
	*ret = (uint32_t)s->n_stacks++;
	return 0;
}

static int take_alloc(struct state *s, const struct probe_alloc *a)
{
	uint64_t pcs[LIMIT_FRAMES + 8];
	bool complete;
	size_t n = symbolizer_unwind(s->symbolizer, a->regs, ARCH_DWARF_REGS,
		a->regs[ARCH_DWARF_SP], a->stack, a->stack_bytes, pcs, LIMIT_FRAMES + 8, &complete);
	size_t skip = 0;
	uint32_t site;
	int r;

	while (skip < n && pcs[skip] >= s->probe_start && pcs[skip] < s->probe_end)
		skip++; /* our own hook */
	s->unwound += n > skip;
	s->not_unwound += n == skip;
	n -= skip;
	if (n > LIMIT_FRAMES)
		n = LIMIT_FRAMES;
	r = site_of(s, pcs + skip, n, &site);
	if (r == -EMSGSIZE) {
		s->dropped_sites++;
		return 0;
	}
	return r < 0 ? r
		     : fold_alloc(&s->fold, a->seq, a->addr, a->bytes, a->period_bytes, a->mono_ns,
			       site);
}

static int take_module(struct state *s, const struct packet_module *m, int fd)
{
	if (strstr(m->path, "libresin-probe")) {
		s->probe_start = m->base;
		s->probe_end = m->end;
	}
	return symbolizer_add_module(s->symbolizer, fd, m->path, m->base, m->end, NULL);
}

static int answer_unwind(struct state *s, const struct packet_unwind *u, int fd)
{
	struct packet_walk w = {0};
	bool complete;

	if (u->bytes > sizeof(u->stack))
		return -EBADMSG;
	w.n = symbolizer_unwind(s->symbolizer, u->regs, ARCH_DWARF_REGS, u->sp, u->stack, u->bytes,
		w.pcs, UNWIND_MAX_FRAMES, &complete);
	w.id = u->id;
	w.complete = complete;
	return send(fd, &w, sizeof(w), MSG_NOSIGNAL) == (ssize_t)sizeof(w) ? 0 : -EPIPE;
}

struct resolved {
	struct frame *frames;
	int n;
};

static const struct resolved *resolve(struct state *s, struct profile *p, struct map *cache,
	struct resolved *store, size_t *n_store, uint64_t pc)
{
	struct frame frames[16];
	struct resolved *r;
	uint64_t i;

	if (map_get(cache, pc, &i))
		return &store[i];
	if (map_put(cache, pc, *n_store) < 0)
		return NULL;
	r = &store[(*n_store)++];
	r->n = symbolizer_resolve(s->symbolizer, pc, &p->arena, frames, 16);
	if (r->n < 0)
		r->n = 0;
	r->frames = arena_array(&p->arena, (size_t)r->n, sizeof(*frames));
	if (!r->frames)
		r->n = 0;
	else
		memcpy(r->frames, frames, (size_t)r->n * sizeof(*frames));
	return r;
}

static int fill_values(const struct state *s, struct profile *p, size_t i, struct site *out)
{
	const struct fold_site *f = &s->fold.sites[i];
	uint32_t n = s->fold.n_checkpoints;

	out->live_bytes = arena_array(&p->arena, n, sizeof(uint64_t));
	out->live_count = arena_array(&p->arena, n, sizeof(uint64_t));
	if (!out->live_bytes || !out->live_count)
		return -ENOMEM;
	for (uint32_t c = 0; c < n; c++) {
		out->live_bytes[c] = (uint64_t)llround(f->bytes_at[c]);
		out->live_count[c] = (uint64_t)llround(f->count_at[c]);
	}
	out->allocated_bytes = (uint64_t)llround(f->allocated_bytes);
	out->allocated_count = (uint64_t)llround(f->allocated_count);
	out->samples = f->samples;
	out->first_half = f->first_half;
	out->survivors = f->survivors;
	return 0;
}

static int build_profile(struct state *s, const struct worker_meta *m, struct profile *p)
{
	size_t max_pcs = s->n_stacks * LIMIT_FRAMES + 1, n_store = 0;
	autofree struct resolved *store = NULL;
	struct map cache = MAP_INIT(max_pcs);
	int r = 0;

	if (max_pcs > 65536)
		max_pcs = 65536;
	cache.limit = max_pcs;
	store = calloc(max_pcs, sizeof(*store));
	p->checkpoint_ns = arena_array(&p->arena, s->fold.n_checkpoints, sizeof(uint64_t));
	p->sites = arena_array(&p->arena, s->n_stacks, sizeof(*p->sites));
	if (!store || !p->checkpoint_ns || !p->sites)
		return -ENOMEM;
	p->target = m->target;
	p->component = m->component;
	p->exe = m->exe;
	p->order_id = m->order_id;
	p->start_unix_ns = m->start_unix_ns;
	p->duration_ns = m->duration_ns;
	p->period_bytes = m->period_bytes;
	p->anon_start_bytes = m->anon_start_bytes;
	p->anon_end_bytes = m->anon_end_bytes;
	p->dropped = m->dropped + s->fold.dropped_live;
	p->pause_ns = m->pause_ns;
	p->events = s->fold.total_events;
	p->dropped_sites = s->dropped_sites;
	p->n_checkpoints = s->fold.n_checkpoints;
	memcpy(p->checkpoint_ns, s->fold.checkpoint_ns, p->n_checkpoints * sizeof(uint64_t));
	for (size_t i = 0; i < s->n_stacks && r == 0; i++) {
		struct frame frames[LIMIT_FRAMES];
		struct site *site = &p->sites[p->n_sites++];
		uint32_t n = 0;

		*site = (struct site){.kind = SITE_STACK, .label = ""};
		for (size_t f = 0; f < s->stacks[i].n; f++) {
			const struct resolved *one =
				resolve(s, p, &cache, store, &n_store, s->stacks[i].pcs[f]);

			for (int k = 0; one && k < one->n && n < LIMIT_FRAMES; k++)
				frames[n++] = one->frames[k];
		}
		site->frames = arena_array(&p->arena, n, sizeof(*frames));
		if (!site->frames) {
			r = -ENOMEM;
			break;
		}
		memcpy((void *)(uintptr_t)site->frames, frames, n * sizeof(*frames));
		site->n_frames = n;
		r = fill_values(s, p, i, site);
	}
	map_done(&cache);
	return r;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

static int finish(struct state *s, const struct worker_meta *m, int out_fd)
{
	autobuf struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct profile p;
	int r;

	profile_init(&p);
	fold_finish(&s->fold);
	r = build_profile(s, m, &p);
	if (r == 0)
		r = wire_encode_profile(&p, &out, NULL);
	profile_done(&p);
	return r < 0 ? r : write_all(out_fd, out.data, out.len);
}

static int receive(int fd, struct packet *p, int *ret_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec v = {p, sizeof(*p)};
	struct msghdr h = {.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*ret_fd = -1;
	c = CMSG_FIRSTHDR(&h);
	if (n > 0 && c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return n <= 0 ? -EPIPE : 0;
}

static int take(struct state *s, const struct packet *p, int fd, int in_fd, int out_fd)
{
	int r = 0;

	switch (p->type) {
	case PACKET_MODULE:
		return take_module(s, &p->module, fd);
	case PACKET_UNWIND:
		return answer_unwind(s, &p->unwind, in_fd);
	case PACKET_BEGIN:
		fold_init(&s->fold, p->begin[0], p->begin[1]);
		return 0;
	case PACKET_ALLOC:
		return take_alloc(s, &p->alloc);
	case PACKET_FREES:
		for (uint64_t i = 0; i < p->frees[0] && i < FREES_PER_PACKET && r == 0; i++)
			r = fold_free(&s->fold, p->frees[2 + 2 * i], p->frees[1 + 2 * i]);
		return r;
	case PACKET_APPLY:
		r = fold_apply(&s->fold);
		if (r == 0 && p->checkpoint_ns)
			fold_checkpoint(&s->fold, p->checkpoint_ns);
		return r;
	case PACKET_FINISH:
		r = finish(s, &p->meta, out_fd);
		return r < 0 ? r : 1;
	default:
		return -EBADMSG;
	}
}

static void drop_privileges(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	const struct rlimit memory = {LIMIT_WORKER_MEMORY_BYTES, LIMIT_WORKER_MEMORY_BYTES};

	(void)setrlimit(RLIMIT_AS, &memory);
#endif
	const struct rlimit cpu = {LIMIT_WORKER_CPU_SECONDS, LIMIT_WORKER_CPU_SECONDS};
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_NPROC, &none);
	if (geteuid() == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(1);
	}
	/* After the change of user, which would clear it. The helper's end also closes our socket.
	 */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "resin-symbols", 0, 0, 0);
	/* Debug information comes from this machine or not at all. */
	unsetenv("DEBUGINFOD_URLS"); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void worker_main(int in, int out)
{
	struct packet *p = malloc(sizeof(*p));
	struct state s = {.by_hash = MAP_INIT(LIMIT_PROFILE_SITES)};
	int fd, r;

	drop_privileges();
	r = p ? symbolizer_new(&s.symbolizer, NULL) : -ENOMEM;
	while (r == 0) {
		r = receive(in, p, &fd);
		if (r == 0)
			r = take(&s, p, fd, in, out);
	}
	_exit(r == 1 ? 0 : 1);
}

/* -- the helper's side ------------------------------------------------------------------- */

int worker_start(struct worker *w, struct err *err)
{
	int packets[2], result[2];
	const int size = SOCKET_BYTES;
	const struct timeval patience = {.tv_sec = 1}, walk = {.tv_sec = UNWIND_PATIENCE_SECONDS};

	*w = (struct worker){.pid = -1, .to = -1, .from = -1};
	w->frees = calloc(2 * FREES_PER_PACKET, sizeof(uint64_t));
	if (!w->frees)
		return err_set(err, -ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, packets) < 0)
		return err_set(err, -errno, "cannot make a socket pair: %m");
	if (pipe2(result, O_CLOEXEC) < 0) {
		close(packets[0]);
		close(packets[1]);
		return err_set(err, -errno, "cannot make a pipe: %m");
	}
	if (setsockopt(packets[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(packets[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(packets[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)setsockopt(packets[0], SOL_SOCKET, SO_RCVTIMEO, &walk, sizeof(walk));
	w->pid = fork();
	if (w->pid == 0) {
		close(packets[0]);
		close(result[0]);
		worker_main(packets[1], result[1]);
	}
	close(packets[1]);
	close(result[1]);
	w->to = packets[0];
	w->from = result[0];
	return w->pid < 0 ? err_set(err, -errno, "cannot fork: %m") : 0;
}

static int send_packet(struct worker *w, const void *p, size_t n)
{
	ssize_t r;

	do
		r = send(w->to, p, n, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int worker_begin(struct worker *w, uint64_t start_ns, uint64_t half_ns, struct err *err)
{
	struct packet p = {.type = PACKET_BEGIN, .begin = {start_ns, half_ns}};
	int r = send_packet(w, &p, offsetof(struct packet, begin) + sizeof(p.begin));

	return r < 0 ? err_set(err, r, "the symbol worker does not answer: %s", strerrordesc_np(-r))
		     : 0;
}

int worker_unwind(void *arg, const uint64_t *dwarf_regs, uint64_t sp, const void *stack,
	size_t stack_bytes, uint64_t *ret_pcs, size_t max, bool *ret_complete)
{
	autofree struct packet *p = malloc(sizeof(*p));
	struct worker *w = arg;
	struct packet_walk walk;
	ssize_t n;

	if (!p)
		return -ENOMEM;
	if (stack_bytes > sizeof(p->unwind.stack))
		stack_bytes = sizeof(p->unwind.stack);
	p->type = PACKET_UNWIND;
	memcpy(p->unwind.regs, dwarf_regs, sizeof(p->unwind.regs));
	p->unwind.id = ++w->unwind_id;
	p->unwind.sp = sp;
	p->unwind.bytes = stack_bytes;
	memcpy(p->unwind.stack, stack, stack_bytes);
	n = send_packet(w, p, offsetof(struct packet, unwind.stack) + stack_bytes);
	if (n < 0)
		return (int)n;
	do /* an answer that comes too late must not be taken for the next one */
		n = recv(w->to, &walk, sizeof(walk), 0);
	while ((n < 0 && errno == EINTR) ||
		(n == (ssize_t)sizeof(walk) && walk.id != w->unwind_id));
	if (n != (ssize_t)sizeof(walk) || walk.n > UNWIND_MAX_FRAMES)
		return -EBADMSG;
	if (walk.n > max)
		walk.n = max;
	memcpy(ret_pcs, walk.pcs, walk.n * sizeof(*ret_pcs));
	*ret_complete = walk.complete != 0;
	return (int)walk.n;
}

int worker_module(
	struct worker *w, int fd, const char *path, uint64_t base, uint64_t end, struct err *err)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct packet p = {.type = PACKET_MODULE};
	struct iovec v = {&p, offsetof(struct packet, module) + sizeof(p.module)};
	struct msghdr h = {.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	p.module.base = base;
	p.module.end = end;
	snprintf(p.module.path, sizeof(p.module.path), "%s", path);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(w->to, &h, MSG_NOSIGNAL) < 0)
		return err_set(err, -errno, "the symbol worker does not answer: %m");
	return 0;
}

int worker_alloc(struct worker *w, const struct probe_alloc *a)
{
	struct packet p = {.type = PACKET_ALLOC};
	size_t n = offsetof(struct probe_alloc, stack) + a->stack_bytes;
	int r;

	memcpy(&p.alloc, a, n);
	r = send_packet(w, &p, offsetof(struct packet, alloc) + n);
	if (r == -EAGAIN) {
		w->dropped++;
		return 0;
	}
	return r;
}

static int flush_frees(struct worker *w)
{
	struct packet p = {.type = PACKET_FREES};

	if (!w->n_frees)
		return 0;
	p.frees[0] = w->n_frees;
	memcpy(&p.frees[1], w->frees, w->n_frees * 2 * sizeof(uint64_t));
	w->n_frees = 0;
	return send_packet(w, &p, offsetof(struct packet, frees) + sizeof(p.frees));
}

int worker_free_event(struct worker *w, uint64_t addr, uint64_t seq)
{
	w->frees[2 * w->n_frees] = addr;
	w->frees[2 * w->n_frees + 1] = seq;
	return ++w->n_frees == FREES_PER_PACKET ? flush_frees(w) : 0;
}

int worker_apply(struct worker *w, uint64_t checkpoint_mono_ns)
{
	struct packet p = {.type = PACKET_APPLY, .checkpoint_ns = checkpoint_mono_ns};
	int r = flush_frees(w);

	return r < 0 ? r : send_packet(w, &p, offsetof(struct packet, checkpoint_ns) + 8);
}

int worker_finish(
	struct worker *w, const struct worker_meta *meta, struct buf *out, struct err *err)
{
	struct packet p = {.type = PACKET_FINISH, .meta = *meta};
	int r, status;

	r = send_packet(w, &p, offsetof(struct packet, meta) + sizeof(p.meta));
	if (r == 0)
		r = buf_read_fd(out, w->from);
	if (r < 0)
		return err_set(err, r, "the symbol worker failed: %s", strerrordesc_np(-r));
	if (waitpid(w->pid, &status, 0) == w->pid)
		w->pid = -1;
	if (w->pid != -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || out->len == 0)
		return err_set(err, -EIO, "the symbol worker died (limit of %llu MiB or %u s?)",
			LIMIT_WORKER_MEMORY_BYTES >> 20, LIMIT_WORKER_CPU_SECONDS);
	return 0;
}

void worker_done(struct worker *w)
{
	if (w->to >= 0)
		close(w->to);
	if (w->from >= 0)
		close(w->from);
	w->to = w->from = -1;
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		(void)waitpid(w->pid, NULL, 0);
	}
	w->pid = -1;
	free(w->frees);
	w->frees = NULL;
}
