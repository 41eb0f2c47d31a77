/*
 * x86-64: which relocations fill in the address of a function.
 */
#ifndef RESIN_ARCH_RELOC_H
#define RESIN_ARCH_RELOC_H

#include <elf.h>
#include <stdbool.h>

static inline bool arch_reloc_is_pointer(const Elf64_Rela *r)
{
	switch (ELF64_R_TYPE(r->r_info)) {
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_GLOB_DAT:
		return true;
	case R_X86_64_64:
		return r->r_addend == 0;
	default:
		return false;
	}
}

#endif
