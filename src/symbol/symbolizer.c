#include "symbol/symbolizer.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "os/elf.h"

struct module {
	char *path;
	uint64_t start, end;
	char build_id[ELF_BUILD_ID_MAX];
};

struct symbolizer {
	Dwfl *dwfl;
	Dwfl_Callbacks callbacks;
	char *debuginfo_path;
	bool attached;
	struct module *modules;
	size_t n_modules, cap_modules;
	/* The sample that is being unwound. */
	const uint64_t *regs;
	size_t n_regs;
	uint64_t sp;
	const uint8_t *stack;
	size_t stack_bytes;
	uint64_t *pcs;
	size_t n_pcs, max_pcs;
};

static int no_elf(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
	char **file_name, Elf **elf)
{
	(void)mod;
	(void)userdata;
	(void)name;
	(void)base;
	(void)file_name;
	(void)elf;
	return -1; /* every module was reported with its file */
}

int symbolizer_new(struct symbolizer **ret, struct err *err)
{
	struct symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->callbacks.find_elf = no_elf;
	s->callbacks.find_debuginfo = dwfl_standard_find_debuginfo;
	s->callbacks.debuginfo_path = &s->debuginfo_path;
	s->dwfl = dwfl_begin(&s->callbacks);
	if (!s->dwfl) {
		free(s);
		return err_set(err, -EIO, "libdw: %s", dwfl_errmsg(-1));
	}
	*ret = s;
	return 0;
}

struct symbolizer *symbolizer_free(struct symbolizer *s)
{
	if (!s)
		return NULL;
	dwfl_end(s->dwfl);
	for (size_t i = 0; i < s->n_modules; i++)
		free(s->modules[i].path);
	free(s->modules);
	free(s);
	return NULL;
}

int symbolizer_add_module(struct symbolizer *s, int fd, const char *path, uint64_t base,
	uint64_t end, struct err *err)
{
	struct module m = {.start = base, .end = end};
	autoclose int own = fd;
	Dwfl_Module *reported;
	int r = array_reserve(
		&s->modules, &s->cap_modules, s->n_modules + 1, sizeof(m), LIMIT_MODULES);

	if (r < 0)
		return err_set(err, r, "more than %u modules", LIMIT_MODULES);
	m.path = strdup(path);
	if (!m.path)
		return err_set(err, -ENOMEM, "out of memory");
	if (elf_file_build_id(own, m.build_id, NULL) != ELF_OK)
		m.build_id[0] = 0;
	s->modules[s->n_modules++] = m;
	dwfl_report_begin_add(s->dwfl);
	reported = dwfl_report_elf(s->dwfl, path, path, own, base, false);
	if (reported)
		(void)steal_fd(&own); /* libdw closes it */
	dwfl_report_end(s->dwfl, NULL, NULL);
	return 0;
}

/* -- unwinding --------------------------------------------------------------------------- */

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return 1;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	(void)tid;
	*thread_arg = arg;
	return true;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg)
{
	const struct symbolizer *s = arg;
	uint64_t at = addr - s->sp;

	(void)dwfl;
	if (addr < s->sp || s->stack_bytes < 8 || at > s->stack_bytes - 8)
		return false;
	memcpy(result, s->stack + at, 8);
	return true;
}

static bool set_initial_registers(Dwfl_Thread *thread, void *arg)
{
	const struct symbolizer *s = arg;

	return dwfl_thread_state_registers(
		thread, 0, (unsigned)s->n_regs, (const Dwarf_Word *)s->regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_initial_registers,
};

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	struct symbolizer *s = arg;
	bool activation;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(frame, &pc, &activation) || pc == 0 || s->n_pcs == s->max_pcs)
		return DWARF_CB_ABORT;
	s->pcs[s->n_pcs++] = activation ? pc : pc - 1;
	return DWARF_CB_OK;
}

size_t symbolizer_unwind(struct symbolizer *s, const uint64_t *regs, size_t n_regs, uint64_t sp,
	const uint8_t *stack, size_t stack_bytes, uint64_t *ret_pcs, size_t max, bool *ret_complete)
{
	*ret_complete = false;
	if (!s->attached) {
		/* Needs a module, to learn the machine. The pid is only a name here. */
		if (!dwfl_attach_state(s->dwfl, NULL, 1, &thread_callbacks, s))
			return 0;
		s->attached = true;
	}
	s->regs = regs;
	s->n_regs = n_regs;
	s->sp = sp;
	s->stack = stack;
	s->stack_bytes = stack_bytes;
	s->pcs = ret_pcs;
	s->n_pcs = 0;
	s->max_pcs = max;
	*ret_complete = dwfl_getthread_frames(s->dwfl, 1, on_frame, s) == 0;
	return s->n_pcs;
}

/* -- names ------------------------------------------------------------------------------- */

static const struct module *module_of(const struct symbolizer *s, uint64_t pc)
{
	for (size_t i = 0; i < s->n_modules; i++)
		if (pc >= s->modules[i].start && pc < s->modules[i].end)
			return &s->modules[i];
	return NULL;
}

static const char *keep(struct arena *a, const char *s)
{
	size_t n = s ? strlen(s) : 0;
	char *p = arena_strndup(a, s ? s : "", n < LIMIT_STRING_BYTES ? n : LIMIT_STRING_BYTES - 1);

	return p ? p : "";
}

static const char *call_file(Dwarf_Die *cu, Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	Dwarf_Word index;

	if (!dwarf_attr(die, DW_AT_call_file, &attr) || dwarf_formudata(&attr, &index) != 0 ||
		dwarf_getsrcfiles(cu, &files, NULL) != 0)
		return NULL;
	return dwarf_filesrc(files, index, NULL, NULL);
}

static uint32_t call_line(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Word line;

	if (!dwarf_attr(die, DW_AT_call_line, &attr) || dwarf_formudata(&attr, &line) != 0)
		return 0;
	return (uint32_t)line;
}

/* Puts the inlined functions around the address before the one that holds them. `out[0]` already
 * carries file and line of the address itself. */
static size_t expand_inlined(
	Dwfl_Module *mod, uint64_t pc, struct arena *strings, struct frame *out, size_t max)
{
	Dwarf_Die *scopes = NULL, *cu;
	Dwarf_Addr bias;
	size_t n = 1;
	int n_scopes;

	cu = dwfl_module_addrdie(mod, pc, &bias);
	if (!cu)
		return n;
	n_scopes = dwarf_getscopes(cu, pc - bias, &scopes);
	for (int i = 0; i < n_scopes && n < max; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag == DW_TAG_subprogram)
			break;
		if (tag != DW_TAG_inlined_subroutine)
			continue;
		/* The outer frame so far becomes the next one out, at the place of the call. */
		out[n] = out[n - 1];
		out[n].inlined = false;
		out[n].file = keep(strings, call_file(cu, &scopes[i]));
		out[n].line = call_line(&scopes[i]);
		out[n - 1].function = keep(strings, dwarf_diename(&scopes[i]));
		out[n - 1].inlined = true;
		n++;
	}
	free(scopes);
	return n;
}

int symbolizer_resolve(
	struct symbolizer *s, uint64_t pc, struct arena *strings, struct frame *out, size_t max)
{
	const struct module *m = module_of(s, pc);
	Dwfl_Module *mod = dwfl_addrmodule(s->dwfl, pc);
	struct frame f = {.function = "", .file = "", .module = "", .build_id = "", .offset = pc};
	Dwarf_Addr bias = 0;
	Dwfl_Line *line;
	const char *name;

	if (max == 0)
		return 0;
	if (m) {
		f.module = keep(strings, m->path);
		f.build_id = keep(strings, m->build_id);
		f.offset = pc - m->start;
	}
	if (!mod) {
		out[0] = f;
		return 1;
	}
	if (dwfl_module_getelf(mod, &bias))
		f.offset = pc - bias;
	name = dwfl_module_addrname(mod, pc);
	f.function = keep(strings, name);
	line = dwfl_module_getsrc(mod, pc);
	if (line) {
		int number = 0;
		const char *file = dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);

		f.file = keep(strings, file);
		f.line = number > 0 ? (uint32_t)number : 0;
	}
	out[0] = f;
	return (int)expand_inlined(mod, pc, strings, out, max);
}
