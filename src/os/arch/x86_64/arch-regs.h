/*
 * x86-64: the registers that an unwinder needs, by DWARF number (psABI, figure 3.36), and how a
 * function captures its own. Used inside targets: no call, no memory but the array.
 */
#ifndef RESIN_ARCH_REGS_H
#define RESIN_ARCH_REGS_H

#include <stdint.h>

#define ARCH_DWARF_REGS 17u
#define ARCH_DWARF_SP 7u
#define ARCH_DWARF_PC 16u
#define ARCH_RED_ZONE_BYTES 128u

/* The state at this very place of the caller; registers that calls do not preserve are left 0. */
static inline __attribute__((always_inline)) void arch_capture(uint64_t regs[ARCH_DWARF_REGS])
{
	__asm__ volatile("movq %%rbx, 24(%0)\n\t"
			 "movq %%rbp, 48(%0)\n\t"
			 "movq %%rsp, 56(%0)\n\t"
			 "movq %%r12, 96(%0)\n\t"
			 "movq %%r13, 104(%0)\n\t"
			 "movq %%r14, 112(%0)\n\t"
			 "movq %%r15, 120(%0)\n\t"
			 "leaq 0f(%%rip), %%rax\n"
			 "0:\tmovq %%rax, 128(%0)"
			 :
			 : "r"(regs)
			 : "rax", "memory");
}

#endif
