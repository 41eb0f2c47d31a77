#include "snapshot/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "os/arch.h"
#include "os/elf.h"

static const struct {
	const char *name, *text;
} table[REFUSAL_MAX_] = {
#define X(id, name, text) {name, text},
	REFUSALS(X)
#undef X
};

const char *refusal_name(enum refusal r)
{
	return table[r].name;
}

const char *refusal_text(enum refusal r)
{
	return table[r].text;
}

static int refuse(struct preflight *p, enum refusal why)
{
	p->refusal = why;
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Kind of program, read from its file: static, foreign, or fine. */
static int check_exe(struct os *os, pid_t pid, struct preflight *p, struct err *err)
{
	autoclose int fd = -1;
	char path[64];
	struct elf e;
	int r;

	snprintf(path, sizeof(path), "%d/exe", pid);
	fd = openat(os->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(p, errno == EACCES || errno == EPERM ? REFUSAL_DENIED : REFUSAL_GONE);
	r = elf_open(&e, elf_read_file, &fd, false, 0, err);
	if (r < 0)
		return r;
	if (r == ELF_FOREIGN || e.machine != arch_elf_machine)
		return refuse(p, REFUSAL_ARCH);
	if (!e.has_interp)
		return refuse(p, REFUSAL_STATIC);
	return 0;
}

static int check_maps(struct os *os, pid_t pid, struct preflight *p, struct err *err)
{
	static const char *const tools[] = {"libasan.so", "libtsan.so", "liblsan.so", "libmsan.so",
		"libheaptrack", "vgpreload_", "libjemalloc_prof"};
	struct maps m;
	int r = os_maps(os, (uint32_t)pid, &m, err);

	if (r != OS_OK)
		return r < 0 ? r : refuse(p, r == OS_GONE ? REFUSAL_GONE : REFUSAL_DENIED);
	for (size_t i = 0; i < m.n; i++) {
		const char *name = base_name(m.v[i].path);

		if (!p->libc_base && strcmp(name, "libc.so.6") == 0) {
			p->libc_base = m.v[i].start;
			snprintf(p->libc_path, sizeof(p->libc_path), "%s", m.v[i].path);
		}
		if (!p->loader_base && strncmp(name, "ld-linux", 8) == 0)
			p->loader_base = m.v[i].start;
		for (size_t t = 0; t < sizeof(tools) / sizeof(tools[0]); t++) {
			if (strncmp(name, tools[t], strlen(tools[t])) == 0) {
				snprintf(p->detail, sizeof(p->detail), "%.100s is loaded", name);
				maps_done(&m);
				return refuse(p, REFUSAL_SANITIZER);
			}
		}
	}
	maps_done(&m);
	return p->libc_base && p->loader_base ? 0 : refuse(p, REFUSAL_LIBC);
}

static int check_namespace(struct os *os, pid_t pid, struct preflight *p, struct err *err)
{
	char theirs[64], ours[64];
	int r = os_proc_link(os, (uint32_t)pid, "ns/mnt", theirs, sizeof(theirs), err);

	if (r < 0)
		return r;
	if (r > 0)
		return refuse(p, r == OS_GONE ? REFUSAL_GONE : REFUSAL_DENIED);
	r = os_proc_link(os, (uint32_t)getpid(), "ns/mnt", ours, sizeof(ours), err);
	if (r < 0)
		return r;
	return r > 0 || strcmp(theirs, ours) == 0 ? 0 : refuse(p, REFUSAL_NAMESPACE);
}

static int check_status(struct os *os, pid_t pid, struct preflight *p, struct err *err)
{
	struct proc_status st;
	int r = os_proc_status(os, (uint32_t)pid, &st, err);

	if (r != OS_OK)
		return r < 0 ? r : refuse(p, r == OS_GONE ? REFUSAL_GONE : REFUSAL_DENIED);
	p->uid = st.uid;
	p->gid = st.gid;
	if (st.state == 'Z' || st.state == 'X')
		return refuse(p, REFUSAL_ZOMBIE);
	if (!st.has_memory)
		return refuse(p, REFUSAL_KERNEL);
	if (st.tracer_pid) {
		snprintf(p->detail, sizeof(p->detail), "the tracer is process %u", st.tracer_pid);
		return refuse(p, REFUSAL_TRACED);
	}
	if (st.state == 'T' || st.state == 't')
		return refuse(p, REFUSAL_STOPPED);
	if (st.seccomp_mode)
		return refuse(p, REFUSAL_SECCOMP);
	if (st.shadow_stack)
		return refuse(p, REFUSAL_SHADOW_STACK);
	return 0;
}

int preflight(struct os *os, pid_t pid, struct preflight *p, struct err *err)
{
	struct proc_stat st;
	int r;

	*p = (struct preflight){0};
	r = os_proc_stat(os, (uint32_t)pid, &st, err);
	if (r != OS_OK)
		return r < 0 ? r : refuse(p, REFUSAL_GONE);
	p->threads = st.threads;
	p->start_ticks = st.start_ticks;
	/* Whatever comes, a policy can tell what it is about. */
	if (os_proc_link(os, (uint32_t)pid, "exe", p->exe, sizeof(p->exe), NULL) != OS_OK)
		p->exe[0] = 0;
	if (pid == getpid())
		return refuse(p, REFUSAL_SELF);
	r = check_status(os, pid, p, err);
	if (r < 0 || p->refusal)
		return r;
	if (!p->exe[0])
		return refuse(p, REFUSAL_DENIED);
	r = check_exe(os, pid, p, err);
	if (r < 0 || p->refusal)
		return r;
	r = check_namespace(os, pid, p, err);
	if (r < 0 || p->refusal)
		return r;
	return check_maps(os, pid, p, err);
}
