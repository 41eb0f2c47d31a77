#include "collect/sampler.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "os/elf.h"

/* Looks between two at the host's memory, which is seldom changed. */
#define MEMORY_EVERY 64u

int sampler_open(struct sampler *s, const char *proc_root, const char *host,
	const struct clock *clock, struct err *err)
{
	struct timespec ts;
	int r;

	*s = (struct sampler){.clock = clock, .index = MAP_INIT(LIMIT_BATCH_ENTITIES)};
	r = os_open(&s->os, proc_root, err);
	if (r < 0)
		return r;
	r = os_boot_id(&s->os, s->boot_id, err);
	if (r < 0)
		return r;
	if (*host)
		snprintf(s->host, sizeof(s->host), "%s", host);
	else if (gethostname(s->host, sizeof(s->host) - 1) < 0 || !s->host[0])
		return err_set(err, -EINVAL, "this host has no name; set [agent] host");
	/* Counts on after a restart of the agent: milliseconds since the boot, which no agent of
	 * before can have reached, as no period is shorter. */
	clock_gettime(CLOCK_BOOTTIME, &ts);
	s->seq = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 + 1;
	return 0;
}

void sampler_close(struct sampler *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_known; i++)
		free(s->known[i].exe);
	free(s->known);
	free(s->samples);
	map_done(&s->index);
	os_close(&s->os);
}

static uint64_t key_of(uint32_t pid, uint64_t start_ticks)
{
	return hash_u64(start_ticks, pid);
}

static struct known *find(const struct sampler *s, uint32_t pid, uint64_t start_ticks)
{
	uint64_t i;

	return map_get(&s->index, key_of(pid, start_ticks), &i) ? &s->known[i] : NULL;
}

const struct known *sampler_find(const struct sampler *s, uint32_t pid, uint64_t start_ticks)
{
	return find(s, pid, start_ticks);
}

static struct known *get_known(struct sampler *s, const struct proc_stat *st)
{
	struct known *k = find(s, st->pid, st->start_ticks);

	if (k)
		return k;
	if (array_reserve(&s->known, &s->cap_known, s->n_known + 1, sizeof(*s->known),
		    LIMIT_BATCH_ENTITIES) < 0 ||
		map_put(&s->index, key_of(st->pid, st->start_ticks), s->n_known) < 0)
		return NULL;
	k = &s->known[s->n_known++];
	*k = (struct known){.pid = st->pid, .start_ticks = st->start_ticks};
	snprintf(k->component, sizeof(k->component), "%s", st->comm);
	return k;
}

/* Forgets the dead. */
static void compact(struct sampler *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_known; i++) {
		if (s->known[i].last_tick == s->tick)
			s->known[kept++] = s->known[i];
		else
			free(s->known[i].exe);
	}
	if (kept == s->n_known)
		return;
	s->n_known = kept;
	map_clear(&s->index);
	for (size_t i = 0; i < kept; i++)
		(void)!map_put(&s->index, key_of(s->known[i].pid, s->known[i].start_ticks), i);
}

struct tick {
	struct sampler *s;
	struct err *err;
};

static int look(void *arg, uint32_t pid)
{
	struct tick *t = arg;
	struct sampler *s = t->s;
	struct proc_status status;
	struct proc_stat st;
	struct sample *out;
	struct known *k;
	int r;

	r = os_proc_stat(&s->os, pid, &st, t->err);
	if (r == 0)
		r = os_proc_status(&s->os, pid, &status, t->err);
	if (r != OS_OK)
		return r < 0 ? r : 0; /* gone meanwhile */
	if (!status.has_memory)
		return 0; /* a kernel thread, or a zombie */
	k = get_known(s, &st);
	if (!k ||
		array_reserve(&s->samples, &s->cap_samples, s->n_samples + 1, sizeof(*s->samples),
			LIMIT_BATCH_ENTITIES) < 0) {
		s->skipped++;
		return 0;
	}
	k->last_tick = s->tick;
	k->looks++;
	if (!k->exe)
		snprintf(k->component, sizeof(k->component), "%s", st.comm); /* exec renames */
	out = &s->samples[s->n_samples++];
	*out = (struct sample){
		.kind = ENTITY_PROCESS,
		.pid = pid,
		.ppid = st.ppid,
		.start_ticks = st.start_ticks,
		.present = (1u << METRIC_MAX_) - 1,
	};
	out->values[METRIC_ANON] = status.anon_bytes + status.swap_bytes;
	out->values[METRIC_FILE] = status.file_bytes;
	out->values[METRIC_SHMEM] = status.shmem_bytes;
	out->values[METRIC_STACK] = status.stack_bytes;
	out->values[METRIC_PAGE_TABLES] = status.page_tables_bytes;
	out->values[METRIC_THREADS] = st.threads;
	out->values[METRIC_CPU] = st.cpu_ns;
	out->values[METRIC_FAULTS] = st.faults;
	out->values[METRIC_LIMIT] = s->memory_bytes;
	if (!s->memory_bytes)
		out->present &= ~(1u << METRIC_LIMIT);
	return 0;
}

int sampler_tick(struct sampler *s, struct batch *ret, struct err *err)
{
	struct tick t = {s, err};
	int r;

	if (s->tick++ % MEMORY_EVERY == 0 && os_memory_total(&s->os, &s->memory_bytes, err) < 0)
		return err->code;
	s->n_samples = 0;
	r = os_each_pid(&s->os, look, &t, err);
	if (r < 0)
		return r;
	compact(s);
	/* Names last: the array of known processes does not move any more. */
	for (size_t i = 0; i < s->n_samples; i++) {
		const struct known *k = find(s, s->samples[i].pid, s->samples[i].start_ticks);

		s->samples[i].component = k ? k->component : "";
		s->samples[i].version = k ? k->build_id : "";
	}
	*ret = (struct batch){
		.seq = s->seq++,
		.unix_ns = clock_unix_ns(s->clock),
		.samples = s->samples,
		.n_samples = s->n_samples,
	};
	memcpy(ret->host, s->host, sizeof(ret->host));
	memcpy(ret->boot_id, s->boot_id, sizeof(ret->boot_id));
	return 0;
}

/* Our own view, which is enough for processes of our own user. */
static bool learn_alone(struct sampler *s, struct known *k)
{
	char exe[4096], path[64], build_id[ELF_BUILD_ID_MAX] = "";
	autoclose int fd = -1;

	if (os_proc_link(&s->os, k->pid, "exe", exe, sizeof(exe), NULL) != OS_OK)
		return false;
	snprintf(path, sizeof(path), "%u/exe", k->pid);
	fd = openat(s->os.proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && elf_file_build_id(fd, build_id, NULL) != ELF_OK)
		build_id[0] = 0;
	sampler_learn(s, k->pid, k->start_ticks, exe, build_id);
	return true;
}

size_t sampler_unknown(struct sampler *s, uint64_t *pids, uint64_t *starts, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_known && n < max; i++) {
		struct known *k = &s->known[i];

		if (k->exe || k->asked || k->looks < 2)
			continue;
		k->asked = true;
		if (learn_alone(s, k))
			continue;
		pids[n] = k->pid;
		starts[n++] = k->start_ticks;
	}
	return n;
}

void sampler_learn(struct sampler *s, uint32_t pid, uint64_t start_ticks, const char *exe,
	const char *build_id)
{
	struct known *k = find(s, pid, start_ticks);
	static const char deleted[] = " (deleted)";
	const char *name;
	size_t n;

	if (!k || !*exe)
		return;
	free(k->exe);
	k->exe = strdup(exe);
	name = strrchr(exe, '/');
	name = name ? name + 1 : exe;
	n = strlen(name);
	/* A program that was upgraded under a running process is still that program. */
	if (n > sizeof(deleted) - 1 && strcmp(name + n - (sizeof(deleted) - 1), deleted) == 0)
		n -= sizeof(deleted) - 1;
	snprintf(k->component, sizeof(k->component), "%.*s", (int)n, name);
	snprintf(k->build_id, sizeof(k->build_id), "%s", build_id);
}

void sampler_ask_again(struct sampler *s)
{
	for (size_t i = 0; i < s->n_known; i++)
		if (!s->known[i].exe)
			s->known[i].asked = false;
}
