/*
 * Redirecting the pointers through which objects call the allocator, and putting them back.
 *
 * For every object but the loader, the vdso and ourselves: the relocations that fill a pointer with
 * malloc, free, ... tell where these pointers are (JUMP_SLOT, GLOB_DAT, and plain 64-bit addresses
 * in data, without which a `free` that is handed around as a callback would be missed). A store is
 * one aligned 8-byte write, so that a thread which calls through the pointer at that moment sees
 * the old or the new function. What was there is kept and put back exactly.
 */
#include "probe/probe.h"

#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch-reloc.h"
#include "arch-syscall.h"

#define PAGE 4096ull

struct object {
	uint64_t base; /* what to add to the file's addresses */
	const Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *gnu_hash;
	const Elf64_Rela *rela[2];
	uint64_t n_rela[2];
	uint64_t relro_start, relro_end;
	uint64_t write_start, write_end;
};

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool contains(const char *s, const char *part)
{
	for (; *s; s++) {
		const char *a = s, *b = part;

		while (*b && *a == *b) {
			a++;
			b++;
		}
		if (!*b)
			return true;
	}
	return false;
}

/* glibc adds the load address to these in place; other loaders do not. */
static uint64_t absolute(uint64_t base, uint64_t v)
{
	return v && v < base ? base + v : v;
}

static bool read_object(const struct dl_phdr_info *info, struct object *o)
{
	const Elf64_Dyn *dyn = NULL;
	uint64_t plt_bytes = 0, rela_bytes = 0, b = info->dlpi_addr;
	const uint64_t self = (uint64_t)&resin_probe_control;

	*o = (struct object){.base = b};
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *ph = &info->dlpi_phdr[i];
		uint64_t start = b + ph->p_vaddr, end = start + ph->p_memsz;

		if (ph->p_type == PT_LOAD && self >= start && self < end)
			return false;
		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W)) {
			/* From the first writable segment to the last: lld makes two. */
			if (!o->write_end || start < o->write_start)
				o->write_start = start;
			if (end > o->write_end)
				o->write_end = end;
		}
		if (ph->p_type == PT_GNU_RELRO) {
			o->relro_start = start & ~(PAGE - 1);
			o->relro_end = end & ~(PAGE - 1);
		}
		if (ph->p_type == PT_DYNAMIC)
			dyn = (const Elf64_Dyn *)start;
	}
	if (!dyn || contains(info->dlpi_name, "/ld-linux") ||
		contains(info->dlpi_name, "linux-vdso") ||
		contains(info->dlpi_name, "libresin-probe"))
		return false;
	for (; dyn->d_tag != DT_NULL; dyn++) {
		uint64_t v = dyn->d_un.d_ptr;

		switch (dyn->d_tag) {
		case DT_SYMTAB:
			o->symbols = (const Elf64_Sym *)absolute(b, v);
			break;
		case DT_STRTAB:
			o->strings = (const char *)absolute(b, v);
			break;
		case DT_GNU_HASH:
			o->gnu_hash = (const uint32_t *)absolute(b, v);
			break;
		case DT_JMPREL:
			o->rela[0] = (const Elf64_Rela *)absolute(b, v);
			break;
		case DT_PLTRELSZ:
			plt_bytes = v;
			break;
		case DT_RELA:
			o->rela[1] = (const Elf64_Rela *)absolute(b, v);
			break;
		case DT_RELASZ:
			rela_bytes = v;
			break;
		default:
			break;
		}
	}
	o->n_rela[0] = o->rela[0] ? plt_bytes / sizeof(Elf64_Rela) : 0;
	o->n_rela[1] = o->rela[1] ? rela_bytes / sizeof(Elf64_Rela) : 0;
	return o->symbols && o->strings;
}

/* A defined symbol of this object, or 0. An executable that is not position independent also lists
 * malloc with the address of its own call stub and section UNDEF: calling that would lead straight
 * back to us, so only definitions count. */
static uint64_t defined(const struct object *o, const char *name)
{
	const uint32_t *h = o->gnu_hash, *buckets, *chain;
	uint32_t hash = 5381, i;

	if (!h || h[0] == 0)
		return 0;
	for (const char *s = name; *s; s++)
		hash = hash * 33 + (unsigned char)*s;
	buckets = h + 4 + (uint64_t)h[2] * 2;
	chain = buckets + h[0];
	i = buckets[hash % h[0]];
	if (i < h[1])
		return 0;
	for (;; i++) {
		const Elf64_Sym *s = &o->symbols[i];
		uint32_t c = chain[i - h[1]];

		if ((c | 1) == (hash | 1) && s->st_shndx != SHN_UNDEF && s->st_value &&
			ELF64_ST_TYPE(s->st_info) == STT_FUNC &&
			same(o->strings + s->st_name, name))
			return o->base + s->st_value;
		if (c & 1)
			return 0;
	}
}

/* Objects come in the loader's search order: the first definition is what the target calls. */
static int resolve_in(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct object o;

	(void)size;
	(void)arg;
	if (!read_object(info, &o))
		return 0;
	for (int i = 0; i < HOOK_MAX_; i++)
		if (!probe_real[i])
			probe_real[i] = defined(&o, probe_hooks[i].name);
	return 0;
}

bool probe_resolve_real(void)
{
	/* Never reset: a thread may still be inside a hook of an earlier session. */
	dl_iterate_phdr(resolve_in, NULL);
	return probe_real[HOOK_MALLOC] && probe_real[HOOK_FREE];
}

static void store(const struct probe_patch *p, uint64_t value)
{
	uint64_t page = p->slot & ~(PAGE - 1);

	if (p->relro &&
		arch_syscall6(SYS_mprotect, (long)page, PAGE, PROT_READ | PROT_WRITE, 0, 0, 0) < 0)
		return;
	__atomic_store_n((uint64_t *)p->slot, value, __ATOMIC_RELEASE);
	if (p->relro)
		arch_syscall6(SYS_mprotect, (long)page, PAGE, PROT_READ, 0, 0, 0);
}

struct scan {
	struct probe_memory *m;
	uint32_t objects, patched;
	bool releasing; /* this pass takes the hooks that free, the next one those that allocate */
};

static bool releases(int hook)
{
	return hook == HOOK_FREE || hook == HOOK_REALLOC || hook == HOOK_REALLOCARRAY;
}

static void patch_slot(struct scan *s, const struct object *o, uint64_t slot, int hook)
{
	struct probe_patch p = {.slot = slot, .hook = probe_hooks[hook].hook};

	if (slot & 7 || slot < o->write_start || slot + 8 > o->write_end || !probe_real[hook])
		return;
	p.original = __atomic_load_n((uint64_t *)slot, __ATOMIC_RELAXED);
	if (!p.original || p.original == p.hook || s->m->n_patches == PROBE_PATCHES)
		return;
	p.relro = slot >= o->relro_start && slot < o->relro_end;
	s->m->patches[s->m->n_patches++] = p;
	store(&p, p.hook);
	s->patched++;
}

static int patch_in(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct scan *s = arg;
	struct object o;

	(void)size;
	if (!read_object(info, &o))
		return 0;
	s->objects++;
	for (int t = 0; t < 2; t++) {
		for (uint64_t i = 0; i < o.n_rela[t]; i++) {
			const Elf64_Rela *r = &o.rela[t][i];
			const char *name;

			if (!arch_reloc_is_pointer(r))
				continue;
			name = o.strings + o.symbols[ELF64_R_SYM(r->r_info)].st_name;
			for (int h = 0; h < HOOK_MAX_; h++)
				if (releases(h) == s->releasing && same(name, probe_hooks[h].name))
					patch_slot(s, &o, o.base + r->r_offset, h);
		}
	}
	return 0;
}

int probe_patch_all(struct probe_memory *m)
{
	struct scan s = {.m = m, .releasing = true};

	/* The freeing side first: an allocation must not be sampled whose free would be missed. */
	dl_iterate_phdr(patch_in, &s);
	s.releasing = false;
	s.objects = 0;
	dl_iterate_phdr(patch_in, &s);
	resin_probe_control.objects = s.objects;
	resin_probe_control.patched = (uint32_t)m->n_patches;
	return (int)m->n_patches;
}

/* An object that was unloaded meanwhile took its pointers with it; its pages may be gone or belong
 * to something else. So each pointer is looked for again among the objects that are loaded now. */
static int restore_in(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct scan *s = arg;
	struct object o;

	(void)size;
	if (!read_object(info, &o))
		return 0;
	for (uint64_t i = 0; i < s->m->n_patches; i++) {
		struct probe_patch *p = &s->m->patches[i];

		if (p->slot < o.write_start || p->slot + 8 > o.write_end)
			continue;
		if (__atomic_load_n((uint64_t *)p->slot, __ATOMIC_RELAXED) == p->hook) {
			store(p, p->original);
			s->patched++;
		}
	}
	return 0;
}

void probe_patch_restore(struct probe_memory *m)
{
	struct scan s = {.m = m};

	dl_iterate_phdr(restore_in, &s);
	resin_probe_control.restored = s.patched;
	resin_probe_control.lost = (uint32_t)m->n_patches - s.patched;
}
