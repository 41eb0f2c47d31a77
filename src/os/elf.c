#include "os/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "os/remote.h"

#define MAX_PHDRS 128
#define MAX_DYNAMIC 1024
#define MAX_NOTE_BYTES 65536u
#define MAX_CHAIN 65536u

static int get(const struct elf *e, uint64_t addr, void *p, size_t n)
{
	if (addr + n < addr)
		return -EINVAL;
	return e->read(e->arg, addr, p, n);
}

static int read_phdr(const struct elf *e, int i, Elf64_Phdr *ret)
{
	return get(e, e->base + e->phoff + (uint64_t)i * sizeof(*ret), ret, sizeof(*ret));
}

int elf_open(
	struct elf *e, elf_read_fn read, void *arg, bool in_memory, uint64_t base, struct err *err)
{
	Elf64_Ehdr h;
	bool first_load = true;
	int r;

	*e = (struct elf){.read = read, .arg = arg, .in_memory = in_memory, .base = base};
	r = get(e, base, &h, sizeof(h));
	if (r < 0)
		return err_set(err, r, "cannot read the ELF header: %s", strerrordesc_np(-r));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
		h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_phentsize != sizeof(Elf64_Phdr) ||
		h.e_phnum > MAX_PHDRS || h.e_phoff > (1u << 30))
		return ELF_FOREIGN;
	e->type = h.e_type;
	e->machine = h.e_machine;
	e->phoff = h.e_phoff;
	e->phnum = h.e_phnum;
	for (int i = 0; i < e->phnum; i++) {
		Elf64_Phdr ph;

		r = read_phdr(e, i, &ph);
		if (r < 0)
			return err_set(err, r, "cannot read the ELF program headers");
		if (ph.p_type == PT_INTERP)
			e->has_interp = true;
		if (ph.p_type == PT_LOAD && first_load) {
			first_load = false;
			e->bias = in_memory ? base - (ph.p_vaddr - ph.p_offset) : 0;
		}
		if (ph.p_type == PT_LOAD && (ph.p_flags & PF_X) && !e->text_end) {
			e->text_start = ph.p_vaddr;
			e->text_end = ph.p_vaddr + ph.p_memsz;
		}
		if (ph.p_type == PT_DYNAMIC) {
			e->dynamic_addr = in_memory ? ph.p_vaddr : ph.p_offset;
			e->dynamic_size = ph.p_filesz;
		}
	}
	e->text_start += e->bias;
	e->text_end += e->bias;
	return ELF_OK;
}

static int note_build_id(
	const struct elf *e, uint64_t addr, uint64_t size, char ret[static ELF_BUILD_ID_MAX])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t at = 0;

	if (size > MAX_NOTE_BYTES)
		size = MAX_NOTE_BYTES;
	while (at + sizeof(Elf64_Nhdr) <= size) {
		Elf64_Nhdr n;
		uint64_t name_size, desc_size;
		unsigned char desc[32];
		char name[4];

		if (get(e, addr + at, &n, sizeof(n)) < 0)
			return ELF_NONE;
		at += sizeof(n);
		name_size = ((uint64_t)n.n_namesz + 3) & ~3ull;
		desc_size = ((uint64_t)n.n_descsz + 3) & ~3ull;
		if (name_size > size - at || desc_size > size - at - name_size)
			return ELF_NONE;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && n.n_descsz > 0 &&
			n.n_descsz <= sizeof(desc) && get(e, addr + at, name, 4) == 0 &&
			memcmp(name, "GNU", 4) == 0) {
			if (get(e, addr + at + name_size, desc, n.n_descsz) < 0)
				return ELF_NONE;
			for (uint32_t i = 0; i < n.n_descsz; i++) {
				ret[2 * i] = hex[desc[i] >> 4];
				ret[2 * i + 1] = hex[desc[i] & 15];
			}
			ret[2 * n.n_descsz] = 0;
			return ELF_OK;
		}
		at += name_size + desc_size;
	}
	return ELF_NONE;
}

int elf_build_id(const struct elf *e, char ret[static ELF_BUILD_ID_MAX], struct err *err)
{
	for (int i = 0; i < e->phnum; i++) {
		Elf64_Phdr ph;
		int r = read_phdr(e, i, &ph);

		if (r < 0)
			return err_set(err, r, "cannot read the ELF program headers");
		if (ph.p_type != PT_NOTE)
			continue;
		r = note_build_id(
			e, e->in_memory ? e->bias + ph.p_vaddr : ph.p_offset, ph.p_filesz, ret);
		if (r == ELF_OK)
			return r;
	}
	return ELF_NONE;
}

struct dynamic {
	uint64_t symtab, strtab, strsz, gnu_hash;
};

static int read_dynamic(const struct elf *e, struct dynamic *ret)
{
	struct dynamic d = {0};

	for (uint64_t i = 0; i < MAX_DYNAMIC && (i + 1) * sizeof(Elf64_Dyn) <= e->dynamic_size;
		i++) {
		Elf64_Dyn dyn;

		if (get(e, e->bias + e->dynamic_addr + i * sizeof(dyn), &dyn, sizeof(dyn)) < 0)
			return -EINVAL;
		switch (dyn.d_tag) {
		case DT_NULL:
			i = MAX_DYNAMIC;
			break;
		case DT_SYMTAB:
			d.symtab = dyn.d_un.d_ptr;
			break;
		case DT_STRTAB:
			d.strtab = dyn.d_un.d_ptr;
			break;
		case DT_STRSZ:
			d.strsz = dyn.d_un.d_val;
			break;
		case DT_GNU_HASH:
			d.gnu_hash = dyn.d_un.d_ptr;
			break;
		default:
			break;
		}
	}
	if (!d.symtab || !d.strtab || !d.gnu_hash)
		return ELF_NONE;
	/* glibc relocates these three in place when it loads an object; the vdso and a few other
	 * loaders do not. */
	if (d.symtab < e->base) {
		d.symtab += e->bias;
		d.strtab += e->bias;
		d.gnu_hash += e->bias;
	}
	*ret = d;
	return ELF_OK;
}

static uint32_t gnu_hash(const char *s)
{
	uint32_t h = 5381;

	for (; *s; s++)
		h = h * 33 + (unsigned char)*s;
	return h;
}

static bool name_is(const struct elf *e, const struct dynamic *d, uint32_t at, const char *name)
{
	char got[64];
	size_t n = strlen(name) + 1;

	return n <= sizeof(got) && at < d->strsz && n <= d->strsz - at &&
		get(e, d->strtab + at, got, n) == 0 && memcmp(got, name, n) == 0;
}

int elf_symbol(const struct elf *e, const char *name, uint64_t *ret_addr, uint64_t *ret_size,
	struct err *err)
{
	struct {
		uint32_t buckets, offset, bloom, shift;
	} head;
	uint32_t h = gnu_hash(name), i, chain;
	struct dynamic d;
	uint64_t table;
	int r;

	if (!e->dynamic_addr)
		return ELF_NONE;
	r = read_dynamic(e, &d);
	if (r < 0)
		return err_set(err, r, "the dynamic section is malformed");
	if (r > 0)
		return r;
	if (get(e, d.gnu_hash, &head, sizeof(head)) < 0 || head.buckets == 0)
		return ELF_NONE;
	table = d.gnu_hash + sizeof(head) + (uint64_t)head.bloom * 8;
	if (get(e, table + (uint64_t)(h % head.buckets) * 4, &i, 4) < 0 || i < head.offset)
		return ELF_NONE;
	for (uint32_t steps = 0; steps < MAX_CHAIN; steps++, i++) {
		Elf64_Sym sym;

		if (get(e, table + (uint64_t)head.buckets * 4 + (uint64_t)(i - head.offset) * 4,
			    &chain, 4) < 0)
			return ELF_NONE;
		if ((chain | 1) == (h | 1) &&
			get(e, d.symtab + (uint64_t)i * sizeof(sym), &sym, sizeof(sym)) == 0 &&
			sym.st_shndx != SHN_UNDEF && sym.st_value != 0 &&
			name_is(e, &d, sym.st_name, name)) {
			*ret_addr = e->bias + sym.st_value;
			*ret_size = sym.st_size;
			return ELF_OK;
		}
		if (chain & 1)
			return ELF_NONE;
	}
	return ELF_NONE;
}

int elf_read_file(void *arg, uint64_t off, void *p, size_t n)
{
	int fd = *(int *)arg;

	while (n) {
		ssize_t got = pread(fd, p, n, (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EINVAL;
		p = (char *)p + got;
		off += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int elf_read_process(void *arg, uint64_t addr, void *p, size_t n)
{
	const pid_t *pid = arg;

	return remote_read(*pid, (struct raddr){addr}, p, n);
}

int elf_file_build_id(int fd, char ret[static ELF_BUILD_ID_MAX], struct err *err)
{
	struct elf e;
	int r = elf_open(&e, elf_read_file, &fd, false, 0, err);

	return r == ELF_OK ? elf_build_id(&e, ret, err) : r;
}
