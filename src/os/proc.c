#include "os/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/units.h"

int os_open(struct os *os, const char *proc_root, struct err *err)
{
	*os = (struct os){.proc_fd = -1, .file = BUF_INIT(LIMIT_PROC_FILE_BYTES)};
	os->proc_fd = open(proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (os->proc_fd < 0)
		return err_set(err, -errno, "cannot open %s: %m", proc_root);
	os->ticks_per_second = sysconf(_SC_CLK_TCK);
	os->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

void os_close(struct os *os)
{
	if (!os)
		return;
	if (os->proc_fd >= 0)
		close(os->proc_fd);
	os->proc_fd = -1;
	buf_done(&os->file);
}

static int outcome(int e)
{
	if (e == ENOENT || e == ESRCH || e == ENOTDIR)
		return OS_GONE;
	if (e == EACCES || e == EPERM)
		return OS_DENIED;
	return -e;
}

int os_read(struct os *os, const char *path, struct err *err)
{
	autoclose int fd = openat(os->proc_fd, path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0) {
		r = outcome(errno);
		return r < 0
			? err_set(err, r, "cannot open /proc/%s: %s", path, strerrordesc_np(-r))
			: r;
	}
	buf_clear(&os->file);
	r = buf_read_fd(&os->file, fd);
	if (r < 0) {
		int o = outcome(-r);

		return o < 0
			? err_set(err, r, "cannot read /proc/%s: %s", path, strerrordesc_np(-r))
			: o;
	}
	return os->file.data ? OS_OK : OS_GONE;
}

int os_boot_id(struct os *os, char ret[static BOOT_ID_MAX], struct err *err)
{
	int r = os_read(os, "sys/kernel/random/boot_id", err);
	size_t n;

	if (r < 0)
		return r;
	if (r > 0)
		return err_set(err, -ENOENT, "/proc/sys/kernel/random/boot_id cannot be read");
	n = strcspn(os->file.data, "\n");
	if (n >= BOOT_ID_MAX)
		return err_set(err, -EINVAL, "/proc/sys/kernel/random/boot_id is malformed");
	memcpy(ret, os->file.data, n);
	ret[n] = 0;
	return 0;
}

/* Reads one unsigned number and the blanks before it; advances *p. */
static bool take_u64(const char **p, uint64_t *ret)
{
	uint64_t v = 0;
	const char *s = *p;
	bool negative = false, any = false;

	while (*s == ' ' || *s == '\t')
		s++;
	if (*s == '-') {
		negative = true;
		s++;
	}
	for (; *s >= '0' && *s <= '9'; s++, any = true)
		if (__builtin_mul_overflow(v, 10u, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*p = s;
	*ret = negative ? 0 : v;
	return any;
}

int os_memory_total(struct os *os, uint64_t *ret_bytes, struct err *err)
{
	static const char key[] = "MemTotal:";
	int r = os_read(os, "meminfo", err);
	const char *p;
	uint64_t kib;

	if (r < 0)
		return r;
	p = r == 0 ? strstr(os->file.data, key) : NULL;
	if (!p)
		return OS_NONE;
	p += sizeof(key) - 1;
	if (!take_u64(&p, &kib) || kib > UINT64_MAX >> 10)
		return OS_NONE;
	*ret_bytes = kib << 10;
	return OS_OK;
}

int proc_stat_parse(const char *text, long ticks_per_second, struct proc_stat *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')'), *p;
	uint64_t field[23] = {0}, pid;
	struct proc_stat st;
	size_t n;

	p = text;
	if (!open || !close || close < open || !take_u64(&p, &pid) || ticks_per_second <= 0)
		return -EINVAL;
	if (close[1] != ' ' || close[2] == 0 || close[3] != ' ')
		return -EINVAL;
	st = (struct proc_stat){.pid = (uint32_t)pid, .state = close[2]};
	n = (size_t)(close - open - 1);
	if (n >= sizeof(st.comm))
		n = sizeof(st.comm) - 1;
	memcpy(st.comm, open + 1, n);
	p = close + 3;
	for (int i = 4; i <= 22; i++)
		if (!take_u64(&p, &field[i]))
			return -EINVAL;
	st.ppid = (uint32_t)field[4];
	st.faults = field[10] + field[12];
	st.cpu_ns = (field[14] + field[15]) * (NSEC_PER_SEC / (uint64_t)ticks_per_second);
	st.threads = (uint32_t)field[20];
	st.start_ticks = field[22];
	*ret = st;
	return 0;
}

int os_proc_stat(struct os *os, uint32_t pid, struct proc_stat *ret, struct err *err)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "%u/stat", pid);
	r = os_read(os, path, err);
	if (r != OS_OK)
		return r;
	if (proc_stat_parse(os->file.data, os->ticks_per_second, ret) < 0)
		return err_set(err, -EINVAL, "/proc/%s is malformed", path);
	return OS_OK;
}

static uint64_t take_hex(const char *p)
{
	return strtoull(p, NULL, 16);
}

int proc_status_parse(const char *text, struct proc_status *ret)
{
	struct proc_status s = {0};
	uint64_t v;

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		const char *colon = strchr(p, ':'), *val, *q;
		size_t n;

		if (!colon)
			break;
		n = (size_t)(colon - p);
		val = colon + 1;
		while (*val == ' ' || *val == '\t')
			val++;
		q = val;
#define KEY(k) (n == sizeof(k) - 1 && memcmp(p, k, sizeof(k) - 1) == 0)
		if (KEY("State"))
			s.state = *val;
		else if (KEY("SigPnd"))
			s.sig_pending = take_hex(val);
		else if (KEY("ShdPnd"))
			s.sig_shared_pending = take_hex(val);
		else if (KEY("SigBlk"))
			s.sig_blocked = take_hex(val);
		else if (KEY("x86_Thread_features"))
			s.shadow_stack = strncmp(val, "shstk", 5) == 0 ||
				(strstr(val, " shstk") &&
					strstr(val, " shstk") < strchr(val, '\n'));
		else if (!take_u64(&q, &v))
			continue;
		else if (KEY("RssAnon"))
			s.has_memory = true, s.anon_bytes = v * 1024;
		else if (KEY("RssFile"))
			s.file_bytes = v * 1024;
		else if (KEY("RssShmem"))
			s.shmem_bytes = v * 1024;
		else if (KEY("VmSwap"))
			s.swap_bytes = v * 1024;
		else if (KEY("VmPTE"))
			s.page_tables_bytes = v * 1024;
		else if (KEY("VmStk"))
			s.stack_bytes = v * 1024;
		else if (KEY("TracerPid"))
			s.tracer_pid = (uint32_t)v;
		else if (KEY("Seccomp"))
			s.seccomp_mode = (uint32_t)v;
		else if (KEY("Uid"))
			s.uid = take_u64(&q, &v) ? (uint32_t)v : 0;
		else if (KEY("Gid"))
			s.gid = take_u64(&q, &v) ? (uint32_t)v : 0;
#undef KEY
	}
	if (!s.state)
		return -EINVAL;
	*ret = s;
	return 0;
}

static int read_status(struct os *os, const char *path, struct proc_status *ret, struct err *err)
{
	int r = os_read(os, path, err);

	if (r != OS_OK)
		return r;
	if (proc_status_parse(os->file.data, ret) < 0)
		return err_set(err, -EINVAL, "/proc/%s is malformed", path);
	return OS_OK;
}

int os_proc_status(struct os *os, uint32_t pid, struct proc_status *ret, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "%u/status", pid);
	return read_status(os, path, ret, err);
}

int os_thread_status(
	struct os *os, uint32_t pid, uint32_t tid, struct proc_status *ret, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "%u/task/%u/status", pid, tid);
	return read_status(os, path, ret, err);
}

static int each_number(int dir_fd, os_pid_fn fn, void *arg, struct err *err)
{
	DIR *d = fdopendir(dir_fd);
	int r = 0;

	if (!d) {
		r = err_set(err, -errno, "cannot list a folder of /proc: %m");
		close(dir_fd);
		return r;
	}
	while (r == 0) {
		struct dirent *e = readdir(d); /* NOLINT(concurrency-mt-unsafe): our own DIR */
		uint64_t v;

		if (!e)
			break;
		if (parse_u64(e->d_name, &v) == 0 && v <= UINT32_MAX)
			r = fn(arg, (uint32_t)v);
	}
	closedir(d);
	return r;
}

int os_each_pid(struct os *os, os_pid_fn fn, void *arg, struct err *err)
{
	int fd = openat(os->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "cannot open /proc: %m");
	return each_number(fd, fn, arg, err);
}

int os_each_thread(struct os *os, uint32_t pid, os_pid_fn fn, void *arg, struct err *err)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%u/task", pid);
	fd = openat(os->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = outcome(errno);

		return r < 0 ? err_set(err, r, "cannot open /proc/%s: %m", path) : r;
	}
	return each_number(fd, fn, arg, err);
}

int os_proc_link(
	struct os *os, uint32_t pid, const char *name, char *ret, size_t size, struct err *err)
{
	char path[128];
	ssize_t n;
	int r;

	snprintf(path, sizeof(path), "%u/%s", pid, name);
	n = readlinkat(os->proc_fd, path, ret, size - 1);
	if (n < 0) {
		r = outcome(errno);
		return r < 0 ? err_set(err, r, "cannot read the link /proc/%s: %m", path) : r;
	}
	ret[n] = 0;
	return OS_OK;
}

int os_is_process(struct os *os, const struct proc_id *id, struct err *err)
{
	char boot_id[BOOT_ID_MAX];
	struct proc_stat st = {0};
	int r = os_boot_id(os, boot_id, err);

	if (r < 0)
		return r;
	if (strcmp(boot_id, id->boot_id) != 0)
		return OS_GONE;
	r = os_proc_stat(os, id->pid, &st, err);
	if (r != OS_OK)
		return r;
	return st.start_ticks == id->start_ticks && st.state != 'Z' ? OS_OK : OS_GONE;
}

static bool take_hex_to(const char **p, char end, uint64_t *ret)
{
	uint64_t v = 0;
	const char *s = *p;
	int digits = 0;

	for (;; s++, digits++) {
		unsigned d;

		if (*s >= '0' && *s <= '9')
			d = (unsigned)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			d = (unsigned)(*s - 'a' + 10);
		else
			break;
		if (digits == 16)
			return false;
		v = v << 4 | d;
	}
	if (digits == 0 || *s != end)
		return false;
	*p = s + 1;
	*ret = v;
	return true;
}

/* "start-end perms offset dev inode   path" */
static bool parse_mapping(char *line, struct mapping *m)
{
	const char *p = line;

	if (!take_hex_to(&p, '-', &m->start) || !take_hex_to(&p, ' ', &m->end) ||
		m->start >= m->end || strlen(p) < 5 || p[4] != ' ')
		return false;
	memcpy(m->perms, p, 4);
	m->perms[4] = 0;
	p += 5;
	if (!take_hex_to(&p, ' ', &m->offset))
		return false;
	p += strcspn(p, " ");
	if (!take_u64(&p, &m->inode))
		return false;
	p += strspn(p, " ");
	m->path = p;
	return true;
}

int maps_parse(struct maps *m, const char *text, struct err *err)
{
	char *save = NULL;

	*m = (struct maps){0};
	m->text = strdup(text);
	if (!m->text)
		return err_set(err, -ENOMEM, "out of memory");
	for (char *line = strtok_r(m->text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		struct mapping one;
		int r;

		if (!parse_mapping(line, &one)) {
			maps_done(m);
			return err_set(err, -EINVAL, "a line of the memory map is malformed");
		}
		r = array_reserve(&m->v, &m->cap, m->n + 1, sizeof(*m->v), LIMIT_MAPPINGS);
		if (r < 0) {
			maps_done(m);
			return err_set(
				err, r, "the process has more than %u mappings", LIMIT_MAPPINGS);
		}
		m->v[m->n++] = one;
	}
	return 0;
}

int os_maps(struct os *os, uint32_t pid, struct maps *ret, struct err *err)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "%u/maps", pid);
	r = os_read(os, path, err);
	if (r != OS_OK)
		return r;
	return maps_parse(ret, os->file.data, err);
}

void maps_done(struct maps *m)
{
	if (!m)
		return;
	free(m->v);
	free(m->text);
	*m = (struct maps){0};
}

const struct mapping *maps_find(const struct maps *m, uint64_t addr)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr < m->v[mid].start)
			hi = mid;
		else if (addr >= m->v[mid].end)
			lo = mid + 1;
		else
			return &m->v[mid];
	}
	return NULL;
}
