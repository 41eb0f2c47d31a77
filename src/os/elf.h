/*
 * Just enough ELF to look into somebody else's process: what kind of program it is, its build-id,
 * and where an exported function lies. Works on bytes that come through a callback, so that a file
 * and a live process's memory read alike. Every offset is checked; the bytes are hostile.
 *
 * 64-bit little endian only: other files are an outcome (ELF_FOREIGN), not an error.
 */
#ifndef RESIN_OS_ELF_H
#define RESIN_OS_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum elf_outcome { ELF_OK = 0, ELF_FOREIGN = 1, ELF_NONE = 2 };

#define ELF_BUILD_ID_MAX 65 /* 32 bytes in hex and a NUL; SHA-1 takes 41 */

/* Reads exactly n bytes at `addr` (a file offset, or an address of the process) or fails (<0). */
typedef int (*elf_read_fn)(void *arg, uint64_t addr, void *p, size_t n);

struct elf {
	elf_read_fn read;
	void *arg;
	bool in_memory;	  /* addresses are virtual, relative to `base` */
	uint64_t base;	  /* in memory: where the first page of the file is mapped */
	uint64_t bias;	  /* what to add to a virtual address of the file */
	uint16_t type;	  /* ET_EXEC, ET_DYN */
	uint16_t machine; /* EM_X86_64, ... */
	uint64_t phoff;
	uint16_t phnum;
	bool has_interp;
	uint64_t dynamic_addr, dynamic_size; /* as stored in the file; 0 when static */
	uint64_t text_start, text_end;	     /* first executable segment, with bias */
};

/* `base`: for a live process, the lowest address at which the file is mapped; for a file 0. */
must_check int elf_open(
	struct elf *e, elf_read_fn read, void *arg, bool in_memory, uint64_t base, struct err *err);

/* The GNU build-id in hex. ELF_NONE when there is none. */
must_check int elf_build_id(
	const struct elf *e, char ret[static ELF_BUILD_ID_MAX], struct err *err);

/* Address (with bias) and size of a defined dynamic symbol, by its GNU hash table. In memory only.
 * ELF_NONE when the object does not define it. */
must_check int elf_symbol(const struct elf *e, const char *name, uint64_t *ret_addr,
	uint64_t *ret_size, struct err *err);

/* Build-id of a file by descriptor; ELF_NONE, ELF_FOREIGN or <0 as above. */
must_check int elf_file_build_id(int fd, char ret[static ELF_BUILD_ID_MAX], struct err *err);
/* For elf_open on a file: arg points at the descriptor. On a process: arg points at its pid_t. */
int elf_read_file(void *arg, uint64_t off, void *p, size_t n);
int elf_read_process(void *arg, uint64_t addr, void *p, size_t n);

#endif
