#include "proc-tree.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "os/elf.h"
#include "os/proc.h"

#define TAIL " S 7 1 1 0 -1 4194304 1000 2 30 4 500 250 6 7 20 0 3 0 987654321 1 2 3"

/* stat */

static void stat_with_hostile_names(void **state)
{
	static const char *const names[] = {"sh", "", "a) R 1 2 (b", ")", "(", ")(", "((", "))",
		"a b\tc\nd", ") R 1", "12345678901234567890123456789", "\xff\xfe", "(sd-pam)"};

	for (size_t i = 0; i < COUNT(names); i++) {
		struct proc_stat st;
		char text[400];

		snprintf(text, sizeof(text), "4242 (%s)" TAIL "\n", names[i]);
		assert_int_equal(proc_stat_parse(text, 100, &st), 0);
		assert_int_equal(st.pid, 4242);
		assert_int_equal(st.ppid, 7);
		assert_int_equal(st.state, 'S');
		assert_int_equal(st.threads, 3);
		assert_true(st.start_ticks == 987654321);
		assert_true(st.cpu_ns == UINT64_C(7500000000));
		assert_true(st.faults == 1030);
		assert_int_equal(strncmp(st.comm, names[i], sizeof(st.comm) - 1), 0);
		assert_true(strlen(st.comm) < sizeof(st.comm));
	}
}

static void stat_every_truncation(void **state)
{
	static const char text[] = "4242 (a) R 1 2 (b)" TAIL;
	const char *last = strstr(text, " 987654321");
	struct proc_stat st;

	for (size_t n = 0; n < sizeof(text); n++) {
		char *cut = strndup(text, n);
		int r = proc_stat_parse(cut, 100, &st);

		/* Field 22 is the last one that is needed. */
		assert_int_equal(r, n > (size_t)(last - text) + 1 ? 0 : -EINVAL);
		free(cut);
	}
}

static void stat_malformed(void **state)
{
	static const char *const bad[] = {"", "()", ")(", "x (a)" TAIL, "1 a" TAIL, "1 (a" TAIL,
		"1 a)" TAIL, "1 (a)S 7 1", "1 (a)  ", "1 (a) S", "1 (a) S x 1 1",
		"1 (a) S 99999999999999999999 1 1 0 -1 4194304 1000 2 30 4 500 250 6 7 20 0 3 0 9"};
	struct proc_stat st;

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(proc_stat_parse(bad[i], 100, &st), -EINVAL);
	assert_int_equal(proc_stat_parse("1 (a)" TAIL, 0, &st), -EINVAL);
}

/* style.md: "ret_ outputs untouched on failure". */
static void stat_leaves_its_result_alone_on_failure(void **state)
{
	struct proc_stat st, before;

	memset(&st, 0x5a, sizeof(st));
	before = st;
	assert_int_equal(proc_stat_parse("1 (a) S 7 1 x", 100, &st), -EINVAL);
	assert_memory_equal(&st, &before, sizeof(st));
}

/* status */

static void status_fields(void **state)
{
	struct proc_status s;
	struct folder f;
	struct err err = ERR_INIT;
	struct os os;

	proc_tree_make(&f);
	proc_tree_status(&f, 42, 123456);
	proc_tree_kernel_thread(&f, 2);
	assert_int_equal(os_open(&os, f.path, &err), 0);
	assert_int_equal(os_proc_status(&os, 42, &s, &err), OS_OK);
	assert_true(s.has_memory);
	assert_true(s.anon_bytes == UINT64_C(123456) * 1024);
	assert_int_equal(s.file_bytes, 3000 * 1024);
	assert_int_equal(s.shmem_bytes, 40 * 1024);
	assert_int_equal(s.stack_bytes, 132 * 1024);
	assert_int_equal(s.page_tables_bytes, 88 * 1024);
	assert_int_equal(s.swap_bytes, 16 * 1024);
	assert_int_equal(s.uid, 1001);
	assert_int_equal(s.gid, 2001);
	assert_int_equal(s.tracer_pid, 7);
	assert_int_equal(s.seccomp_mode, 2);
	assert_int_equal(s.sig_pending, 1);
	assert_int_equal(s.sig_shared_pending, 0x200);
	assert_true(s.sig_blocked == UINT64_C(0xfffffffe7ffbfeff));
	assert_int_equal(s.state, 'S');
	assert_false(s.shadow_stack); /* only locked, not on */
	assert_int_equal(os_proc_status(&os, 2, &s, &err), OS_OK);
	assert_false(s.has_memory);
	assert_int_equal(os_proc_status(&os, 3, &s, &err), OS_GONE);
	os_close(&os);
	folder_remove(&f);
}

static void status_odd_texts(void **state)
{
	struct proc_status s, before;

	memset(&s, 0x5a, sizeof(s));
	before = s;
	assert_int_equal(proc_status_parse("", &s), -EINVAL);
	assert_int_equal(proc_status_parse("no colon here", &s), -EINVAL);
	assert_int_equal(proc_status_parse("RssAnon:\t5 kB\n", &s), -EINVAL);
	assert_memory_equal(&s, &before, sizeof(s));
	assert_int_equal(
		proc_status_parse("\n\nState:\tR\nx86_Thread_features:\twrss shstk \n", &s), 0);
	assert_true(s.shadow_stack);
	assert_int_equal(proc_status_parse("State:\tR\nx86_Thread_features:\tshstk\n", &s), 0);
	assert_true(s.shadow_stack);
	assert_int_equal(
		proc_status_parse("State:\tR\nx86_Thread_features:\twrss\nName:\ta shstk\n", &s),
		0);
	assert_false(s.shadow_stack);
	/* A name is no field, and a field that is no number is none. */
	assert_int_equal(
		proc_status_parse("Name:\tRssAnon:\t7\nState:\tZ\nXRssAnon:\t5\nRssAnonX:\t5\n"
				  "RssAnon:\tlots\nRssAnon:\t99999999999999999999 kB",
			&s),
		0);
	assert_false(s.has_memory);
	assert_int_equal(s.state, 'Z');
}

static void status_every_truncation(void **state)
{
	struct folder f;
	struct proc_status s;
	struct buf b = BUF_INIT(10000);
	int fd;

	proc_tree_make(&f);
	proc_tree_status(&f, 42, 9);
	fd = open(folder_path(&f, "42/status"), O_RDONLY);
	assert_int_equal(buf_read_fd(&b, fd), 0);
	close(fd);
	for (size_t n = 0; n <= b.len; n++) {
		char *cut = strndup(b.data, n);

		(void)!proc_status_parse(cut, &s);
		free(cut);
	}
	buf_done(&b);
	folder_remove(&f);
}

/* maps */

static const char maps_text[] =
	"55e000000000-55e000001000 r--p 00000000 08:01 1234                       /usr/bin/a b\n"
	"55e000001000-55e000003000 r-xp 00001000 08:01 1234                       /usr/bin/a b\n"
	"55e000004000-55e000005000 rw-p 00000000 00:00 0 \n"
	"7f0000000000-7f0000001000 rw-s 00000000 00:01 9                          /memfd:x (deleted)\n"
	"7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static void maps_and_their_borders(void **state)
{
	struct maps m;
	struct err err = ERR_INIT;

	assert_int_equal(maps_parse(&m, maps_text, &err), 0);
	assert_int_equal(m.n, 6);
	assert_string_equal(m.v[0].path, "/usr/bin/a b");
	assert_string_equal(m.v[1].perms, "r-xp");
	assert_true(m.v[1].offset == 0x1000 && m.v[1].inode == 1234);
	assert_string_equal(m.v[2].path, "");
	assert_string_equal(m.v[3].path, "/memfd:x (deleted)");
	assert_true(m.v[5].start == UINT64_C(0xffffffffff600000));
	for (size_t i = 0; i < m.n; i++) {
		assert_ptr_equal(maps_find(&m, m.v[i].start), &m.v[i]);
		assert_ptr_equal(maps_find(&m, m.v[i].end - 1), &m.v[i]);
	}
	assert_null(maps_find(&m, 0));
	assert_null(maps_find(&m, m.v[0].start - 1));
	assert_ptr_equal(maps_find(&m, m.v[0].end), &m.v[1]);
	assert_null(maps_find(&m, m.v[1].end));
	assert_null(maps_find(&m, m.v[5].end));
	assert_null(maps_find(&m, UINT64_MAX));
	maps_done(&m);
	maps_done(&m);
	maps_done(NULL);
	assert_int_equal(maps_parse(&m, "", &err), 0);
	assert_int_equal(m.n, 0);
	assert_null(maps_find(&m, 5));
	maps_done(&m);
}

static void maps_malformed(void **state)
{
	static const char *const bad[] = {"x", "1000-2000", "1000-2000 ", "1000-2000 r--p",
		"1000-2000 r--p ", "1000-2000 r--p 0", "1000-2000 r--p 0 08:01",
		"-2000 r--p 0 08:01 5", "1000- r--p 0 08:01 5", "2000-1000 r--p 0 08:01 5",
		"1000-1000 r--p 0 08:01 5", "1000-2000 r-- 0 08:01 5", "1000 2000 r--p 0 08:01 5",
		"1000-2000 r--p 0 08:01 x", "10000000000000000-20000000000000000 r--p 0 08:01 5",
		"G000-H000 r--p 0 08:01 5", "1000-2000 r--p 0 08:01 99999999999999999999"};
	struct maps m;

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(maps_parse(&m, bad[i], &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_null(m.v);
		assert_null(m.text);
	}
	for (size_t n = 0; n < sizeof(maps_text); n++) {
		char *cut = strndup(maps_text, n);

		if (maps_parse(&m, cut, NULL) == 0)
			maps_done(&m);
		free(cut);
	}
}

static void maps_at_their_ceiling(void **state)
{
	size_t size = (LIMIT_MAPPINGS + 1) * 64, at = 0;
	char *text = malloc(size);
	struct err err = ERR_INIT;
	struct maps m;

	for (uint64_t i = 0; i < LIMIT_MAPPINGS; i++)
		at += (size_t)snprintf(text + at, size - at, "%llx-%llx rw-p 0 00:00 0\n",
			(unsigned long long)(i * 2 + 1) << 12,
			(unsigned long long)(i * 2 + 2) << 12);
	assert_int_equal(maps_parse(&m, text, &err), 0);
	assert_int_equal(m.n, LIMIT_MAPPINGS);
	for (uint64_t i = 0; i < LIMIT_MAPPINGS; i += 97) {
		assert_ptr_equal(maps_find(&m, (i * 2 + 1) << 12), &m.v[i]);
		assert_null(maps_find(&m, (i * 2 + 2) << 12));
	}
	maps_done(&m);
	strcpy(text + at, "7f0000000000-7f0000001000 rw-p 0 00:00 0\n");
	assert_int_equal(maps_parse(&m, text, &err), -EMSGSIZE);
	free(text);
}

/* The recorded tree */

static int count_pid(void *arg, uint32_t pid)
{
	uint64_t *seen = arg;

	assert_true(pid < 64);
	*seen |= UINT64_C(1) << pid;
	return 0;
}

static int stop_at_once(void *arg, uint32_t pid)
{
	++*(int *)arg;
	return 77;
}

static void a_recorded_tree(void **state)
{
	struct proc_id id = {.boot_id = BOOT, .pid = 10, .start_ticks = 1000};
	char link[64], boot[BOOT_ID_MAX];
	struct proc_stat st;
	struct folder f;
	struct err err = ERR_INIT;
	uint64_t seen = 0;
	int calls = 0;
	struct os os;

	proc_tree_make(&f);
	proc_tree_stat(&f, 10, "a) R 1 2 (b", 'S', 1000);
	proc_tree_stat(&f, 11, "z", 'Z', 1000);
	proc_tree_exe(&f, 10, "/usr/bin/app (deleted)");
	folder_write(&f, "10/task/10/status", "State:\tT (stopped)\n");
	folder_write(&f, "10/task/12/status", "State:\tS\n");
	folder_write(&f, "12", "a file with a number for a name");
	folder_write(&f, "99999999999/stat", "no pid");
	folder_write(&f, "13/stat", "torn");
	assert_int_equal(os_open(&os, f.path, &err), 0);
	assert_int_equal(os_boot_id(&os, boot, &err), 0);
	assert_string_equal(boot, BOOT);
	assert_int_equal(os_each_pid(&os, count_pid, &seen, &err), 0);
	assert_true(seen ==
		(UINT64_C(1) << 10 | UINT64_C(1) << 11 | UINT64_C(1) << 12 | UINT64_C(1) << 13));
	assert_int_equal(os_each_pid(&os, stop_at_once, &calls, &err), 77);
	assert_int_equal(calls, 1);
	seen = 0;
	assert_int_equal(os_each_thread(&os, 10, count_pid, &seen, &err), 0);
	assert_true(seen == (UINT64_C(1) << 10 | UINT64_C(1) << 12));
	assert_int_equal(os_each_thread(&os, 40, count_pid, &seen, &err), OS_GONE);
	assert_int_equal(os_proc_stat(&os, 10, &st, &err), OS_OK);
	assert_string_equal(st.comm, "a) R 1 2 (b");
	assert_int_equal(os_proc_stat(&os, 40, &st, &err), OS_GONE);
	assert_int_equal(os_proc_stat(&os, 12, &st, &err), OS_GONE);
	assert_true(os_proc_stat(&os, 13, &st, &err) < 0);
	assert_true(err.code < 0);
	{
		struct proc_status s;

		assert_int_equal(os_thread_status(&os, 10, 10, &s, &err), OS_OK);
		assert_int_equal(s.state, 'T');
		assert_int_equal(os_thread_status(&os, 10, 11, &s, &err), OS_GONE);
	}
	assert_int_equal(os_proc_link(&os, 10, "exe", link, sizeof(link), &err), OS_OK);
	assert_string_equal(link, "/usr/bin/app (deleted)");
	assert_int_equal(os_proc_link(&os, 11, "exe", link, sizeof(link), &err), OS_GONE);
	assert_int_equal(os_is_process(&os, &id, &err), OS_OK);
	id.start_ticks++;
	assert_int_equal(os_is_process(&os, &id, &err), OS_GONE);
	id = (struct proc_id){.boot_id = BOOT, .pid = 11, .start_ticks = 1000};
	assert_int_equal(os_is_process(&os, &id, &err), OS_GONE); /* a zombie */
	id = (struct proc_id){.boot_id = "another boot", .pid = 10, .start_ticks = 1000};
	assert_int_equal(os_is_process(&os, &id, &err), OS_GONE);
	os_close(&os);
	os_close(NULL);
	folder_remove(&f);
	assert_int_equal(os_open(&os, f.path, &err), -ENOENT);
	os_close(&os);
}

static void boot_ids_that_are_none(void **state)
{
	char boot[BOOT_ID_MAX], longer[100];
	struct folder f;
	struct err err = ERR_INIT;
	struct os os;

	proc_tree_make(&f);
	assert_int_equal(os_open(&os, f.path, &err), 0);
	memset(longer, 'b', sizeof(longer));
	longer[99] = 0;
	folder_write(&f, "sys/kernel/random/boot_id", longer);
	assert_int_equal(os_boot_id(&os, boot, &err), -EINVAL);
	longer[BOOT_ID_MAX] = 0;
	folder_write(&f, "sys/kernel/random/boot_id", longer);
	assert_int_equal(os_boot_id(&os, boot, &err), -EINVAL);
	longer[BOOT_ID_MAX - 1] = 0;
	folder_write(&f, "sys/kernel/random/boot_id", longer);
	assert_int_equal(os_boot_id(&os, boot, &err), 0);
	assert_string_equal(boot, longer);
	assert_int_equal(unlink(folder_path(&f, "sys/kernel/random/boot_id")), 0);
	assert_int_equal(os_boot_id(&os, boot, &err), -ENOENT);
	os_close(&os);
	folder_remove(&f);
}

static void our_own_process(void **state)
{
	struct proc_status s;
	struct proc_stat st;
	struct err err = ERR_INIT;
	struct maps m;
	struct os os;
	int local;

	assert_int_equal(os_open(&os, "/proc", &err), 0);
	assert_int_equal(os_proc_stat(&os, (uint32_t)getpid(), &st, &err), OS_OK);
	assert_int_equal(st.pid, getpid());
	assert_int_equal(st.ppid, getppid());
	assert_int_equal(os_proc_status(&os, (uint32_t)getpid(), &s, &err), OS_OK);
	assert_true(s.has_memory && s.anon_bytes > 0);
	assert_int_equal(s.uid, geteuid());
	assert_int_equal(os_maps(&os, (uint32_t)getpid(), &m, &err), OS_OK);
	assert_non_null(maps_find(&m, (uintptr_t)&local));
	assert_non_null(maps_find(&m, (uintptr_t)maps_text));
	maps_done(&m);
	os_close(&os);
}

/* err.h: "<0 for an error (err is filled)". */
static void errors_are_described(void **state)
{
	struct rlimit old, none;
	struct err err = ERR_INIT, err2 = ERR_INIT, err3 = ERR_INIT;
	struct folder f;
	int r, r2, r3;
	struct os os;

	proc_tree_make(&f);
	folder_write(&f, "10/task/10/status", "State:\tT\n");
	assert_int_equal(os_open(&os, f.path, &err), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){3, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = os_read(&os, "10/task/10/status", &err);
	r2 = os_each_pid(&os, stop_at_once, NULL, &err2);
	r3 = os_each_thread(&os, 10, stop_at_once, NULL, &err3);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	os_close(&os);
	folder_remove(&f);
	assert_int_equal(r, -EMFILE);
	assert_int_equal(err.code, -EMFILE);
	assert_int_equal(r2, -EMFILE);
	assert_int_equal(err2.code, -EMFILE);
	assert_int_equal(r3, -EMFILE);
	assert_int_equal(err3.code, -EMFILE);
}

/* ELF */

struct image {
	unsigned char *p;
	size_t n;
	uint64_t base;
};

static int read_image(void *arg, uint64_t addr, void *p, size_t n)
{
	const struct image *im = arg;

	if (addr < im->base || addr - im->base > im->n || n > im->n - (addr - im->base))
		return -EFAULT;
	memcpy(p, im->p + (addr - im->base), n);
	return 0;
}

static struct image load_file(const char *path)
{
	struct image im = {0};
	struct stat st;
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	im.n = (size_t)st.st_size;
	im.p = malloc(im.n);
	assert_int_equal(fread(im.p, 1, im.n, f), im.n);
	fclose(f);
	return im;
}

/* As the loader would map it, at an address of our own, without relocation. */
static struct image map_file(const struct image *file, uint64_t base)
{
	Elf64_Ehdr h;
	Elf64_Phdr ph;
	struct image im = {.base = base};

	memcpy(&h, file->p, sizeof(h));
	for (int i = 0; i < h.e_phnum; i++) {
		memcpy(&ph, file->p + h.e_phoff + (size_t)i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_LOAD && ph.p_vaddr + ph.p_memsz > im.n)
			im.n = ph.p_vaddr + ph.p_memsz;
	}
	im.p = calloc(1, im.n);
	for (int i = 0; i < h.e_phnum; i++) {
		memcpy(&ph, file->p + h.e_phoff + (size_t)i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_LOAD)
			memcpy(im.p + ph.p_vaddr, file->p + ph.p_offset, ph.p_filesz);
	}
	return im;
}

static bool is_hex(const char *s)
{
	return strlen(s) >= 16 && strlen(s) % 2 == 0 && strspn(s, "0123456789abcdef") == strlen(s);
}

static void elf_of_our_own_executable(void **state)
{
	struct image im = load_file("/proc/self/exe");
	char id[ELF_BUILD_ID_MAX] = "", id2[ELF_BUILD_ID_MAX] = "x";
	int fd = open("/proc/self/exe", O_RDONLY);
	struct err err = ERR_INIT;
	struct elf e;

	assert_int_equal(elf_open(&e, read_image, &im, false, 0, &err), ELF_OK);
	assert_true(e.has_interp && e.dynamic_addr && e.type == ET_DYN);
	assert_int_equal(elf_build_id(&e, id, &err), ELF_OK);
	assert_true(is_hex(id));
	assert_int_equal(elf_file_build_id(fd, id2, &err), ELF_OK);
	assert_string_equal(id, id2);
	close(fd);
	free(im.p);
}

static void elf_foreign_files(void **state)
{
	struct image im = load_file("/proc/self/exe");
	struct elf e;

	im.p[EI_CLASS] = ELFCLASS32;
	assert_int_equal(elf_open(&e, read_image, &im, false, 0, NULL), ELF_FOREIGN);
	im.p[EI_CLASS] = ELFCLASS64;
	im.p[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(elf_open(&e, read_image, &im, false, 0, NULL), ELF_FOREIGN);
	im.p[EI_DATA] = ELFDATA2LSB;
	im.p[1] = 'e';
	assert_int_equal(elf_open(&e, read_image, &im, false, 0, NULL), ELF_FOREIGN);
	memset(im.p, '#', im.n);
	assert_int_equal(elf_open(&e, read_image, &im, false, 0, NULL), ELF_FOREIGN);
	free(im.p);
}

/* Whatever the bytes are, it is one of the documented outcomes or an error with a sentence. */
static int look_at(struct image *im, bool in_memory)
{
	char id[ELF_BUILD_ID_MAX];
	uint64_t addr = 0, size = 0;
	struct err err = ERR_INIT;
	struct elf e;
	int r = elf_open(&e, read_image, im, in_memory, im->base, &err);

	assert_true(r == ELF_OK || r == ELF_FOREIGN || (r < 0 && err.code == r));
	if (r != ELF_OK)
		return r;
	memset(id, 'z', sizeof(id));
	r = elf_build_id(&e, id, &err);
	assert_true(r == ELF_OK || r == ELF_NONE || (r < 0 && err.code == r));
	if (r == ELF_OK)
		assert_true(strnlen(id, sizeof(id)) < sizeof(id) &&
			strspn(id, "0123456789abcdef") == strlen(id));
	if (in_memory) {
		r = elf_symbol(&e, "malloc", &addr, &size, &err);
		assert_true(r == ELF_OK || r == ELF_NONE || (r < 0 && err.code == r));
	}
	return r;
}

/* A note that claims to go on past its segment is none. */
static void elf_note_that_is_cut_off(void **state)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr ph;
		Elf64_Nhdr n;
		char name[4];
		unsigned char id[20], behind[64];
	} file = {
		.h = {.e_ident = ELFMAG "\2\1\1",
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1},
		.ph = {.p_type = PT_NOTE, .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr)},
		.n = {4, 20, NT_GNU_BUILD_ID},
		.name = "GNU",
		.id = {0xab, 0xcd},
	};
	struct image im = {.p = (unsigned char *)&file, .n = sizeof(file)};
	char id[ELF_BUILD_ID_MAX];
	struct elf e;

	for (uint64_t size = 0; size < 60; size++) {
		file.ph.p_filesz = size;
		assert_int_equal(elf_open(&e, read_image, &im, false, 0, NULL), ELF_OK);
		assert_int_equal(elf_build_id(&e, id, NULL), size >= 36 ? ELF_OK : ELF_NONE);
	}
	assert_string_equal(id, "abcd000000000000000000000000000000000000");
	file.n.n_descsz = 33;
	file.ph.p_filesz = 100;
	assert_int_equal(elf_open(&e, read_image, &im, false, 0, NULL), ELF_OK);
	assert_int_equal(elf_build_id(&e, id, NULL), ELF_NONE);
	file.n.n_descsz = UINT32_MAX;
	assert_int_equal(elf_build_id(&e, id, NULL), ELF_NONE);
	file.n.n_namesz = UINT32_MAX;
	assert_int_equal(elf_build_id(&e, id, NULL), ELF_NONE);
}

static void elf_truncated(void **state)
{
	struct image im = load_file("/proc/self/exe"), cut;

	assert_int_equal(look_at(&im, false), ELF_OK);
	for (size_t n = 0; n < im.n; n += n < 16384 ? 1 : 7) {
		cut = (struct image){.p = malloc(n ? n : 1), .n = n};
		memcpy(cut.p, im.p, n);
		if (look_at(&cut, false) == ELF_OK)
			assert_true(n > sizeof(Elf64_Ehdr));
		free(cut.p);
		if (n > 20000)
			n += 499;
	}
	free(im.p);
}

static const char *libc_path(uint64_t *ret_base)
{
	static char path[512];
	struct maps m;
	struct os os;

	path[0] = 0;
	assert_int_equal(os_open(&os, "/proc", NULL), 0);
	assert_int_equal(os_maps(&os, (uint32_t)getpid(), &m, NULL), OS_OK);
	for (size_t i = 0; i < m.n && !path[0]; i++) {
		if (strstr(m.v[i].path, "/libc.so.6")) {
			snprintf(path, sizeof(path), "%s", m.v[i].path);
			*ret_base = m.v[i].start;
		}
	}
	maps_done(&m);
	os_close(&os);
	assert_true(path[0]);
	return path;
}

static int read_self(void *arg, uint64_t addr, void *p, size_t n)
{
	const struct maps *m = arg;
	const struct mapping *first = maps_find(m, addr), *last = maps_find(m, addr + n - 1);

	if (!first || first != last || first->perms[0] != 'r')
		return -EFAULT;
	memcpy(p, (const void *)(uintptr_t)addr, n);
	return 0;
}

static void elf_symbols_of_the_living_libc(void **state)
{
	static const char *const names[] = {
		"malloc", "free", "calloc", "realloc", "dlopen", "printf", "posix_memalign"};
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	uint64_t base, addr = 5, size = 5;
	char id[ELF_BUILD_ID_MAX], file_id[ELF_BUILD_ID_MAX];
	struct err err = ERR_INIT;
	struct image file;
	struct elf e, fe;
	struct maps m;
	struct os os;

	file = load_file(libc_path(&base));
	assert_int_equal(os_open(&os, "/proc", NULL), 0);
	assert_int_equal(os_maps(&os, (uint32_t)getpid(), &m, NULL), OS_OK);
	assert_int_equal(elf_open(&e, read_self, &m, true, base, &err), ELF_OK);
	assert_int_equal(elf_symbol(&e, "no_such_function_in_libc", &addr, &size, &err), ELF_NONE);
	assert_int_equal(elf_symbol(&e, "", &addr, &size, &err), ELF_NONE);
	assert_int_equal(elf_symbol(&e,
				 "a_name_that_is_very_much_longer_than_sixty_four_bytes_"
				 "and_goes_on_for_a_while_after",
				 &addr, &size, &err),
		ELF_NONE);
	assert_true(addr == 5 && size == 5);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(elf_symbol(&e, names[i], &addr, &size, &err), ELF_OK);
		assert_ptr_equal((void *)(uintptr_t)addr, dlsym(libc, names[i]));
		assert_true(size > 0 && addr >= e.text_start && addr < e.text_end);
	}
	assert_int_equal(elf_build_id(&e, id, &err), ELF_OK);
	assert_int_equal(elf_open(&fe, read_image, &file, false, 0, &err), ELF_OK);
	assert_int_equal(elf_build_id(&fe, file_id, &err), ELF_OK);
	assert_string_equal(id, file_id);
	maps_done(&m);
	os_close(&os);
	free(file.p);
	dlclose(libc);
}

static void elf_flipped_bytes(void **state)
{
	uint64_t base, addr, size;
	struct image file = load_file(libc_path(&base));
	struct image im = map_file(&file, UINT64_C(0x7f0000000000));
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	struct rng rng = {99};
	struct elf e;

	/* The untouched image first. */
	assert_int_equal(elf_open(&e, read_image, &im, true, im.base, NULL), ELF_OK);
	assert_int_equal(elf_symbol(&e, "malloc", &addr, &size, NULL), ELF_OK);
	assert_true(addr - im.base == (uintptr_t)dlsym(libc, "malloc") - base);
	for (int i = 0; i < 20000; i++) {
		size_t at[4], dyn = (size_t)(e.bias - im.base + e.dynamic_addr);
		unsigned char old[4];
		bool in_memory = i % 2;
		struct image *victim = in_memory ? &im : &file;

		for (int k = 0; k < 4; k++) {
			uint64_t where = rng_below(&rng, 4);

			at[k] = where == 0   ? rng_below(&rng, 1024)
				: where == 1 ? (in_memory ? dyn : 0) + rng_below(&rng, 512)
					     : rng_below(&rng, 1u << 17);
			if (at[k] >= victim->n)
				at[k] = 0;
			old[k] = victim->p[at[k]];
			victim->p[at[k]] = (unsigned char)rng_next(&rng);
		}
		(void)look_at(victim, in_memory);
		for (int k = 3; k >= 0; k--)
			victim->p[at[k]] = old[k];
	}
	assert_int_equal(look_at(&im, true), ELF_OK);
	assert_int_equal(look_at(&file, false), ELF_OK);
	free(im.p);
	free(file.p);
	dlclose(libc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_with_hostile_names),
		cmocka_unit_test(stat_every_truncation),
		cmocka_unit_test(stat_malformed),
		cmocka_unit_test(stat_leaves_its_result_alone_on_failure),
		cmocka_unit_test(status_fields),
		cmocka_unit_test(status_odd_texts),
		cmocka_unit_test(status_every_truncation),
		cmocka_unit_test(maps_and_their_borders),
		cmocka_unit_test(maps_malformed),
		cmocka_unit_test(maps_at_their_ceiling),
		cmocka_unit_test(a_recorded_tree),
		cmocka_unit_test(boot_ids_that_are_none),
		cmocka_unit_test(our_own_process),
		cmocka_unit_test(errors_are_described),
		cmocka_unit_test(elf_of_our_own_executable),
		cmocka_unit_test(elf_foreign_files),
		cmocka_unit_test(elf_note_that_is_cut_off),
		cmocka_unit_test(elf_truncated),
		cmocka_unit_test(elf_symbols_of_the_living_libc),
		cmocka_unit_test(elf_flipped_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
