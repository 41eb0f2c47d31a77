/*
 * May this process be looked into, and if not, why? Refuses with a reason; never "tries".
 */
#ifndef RESIN_SNAPSHOT_PREFLIGHT_H
#define RESIN_SNAPSHOT_PREFLIGHT_H

#include <stdbool.h>
#include <sys/types.h>

#include "os/proc.h"

/* enum, name for JSON, sentence */
#define REFUSALS(X)                                                                                         \
	X(NONE, "ok", "may be profiled")                                                                    \
	X(GONE, "gone", "the process is gone")                                                              \
	X(DENIED, "denied", "the process belongs to somebody else; run as its user or as root")             \
	X(TRACED, "traced", "another tracer (a debugger, strace) holds it")                                 \
	X(STOPPED, "stopped", "it is stopped (SIGSTOP or SIGTSTP); send it SIGCONT first")                  \
	X(ZOMBIE, "zombie", "it has exited and waits for its parent")                                       \
	X(KERNEL, "kernel-thread", "it is a kernel thread")                                                 \
	X(STATIC, "static",                                                                                 \
		"it is statically linked: there is no dlopen to call and no pointer to redirect")           \
	X(ARCH, "architecture", "it is a program of another architecture or word size")                     \
	X(LIBC, "libc", "its C library is not glibc 2.34 or later: dlopen is not in libc.so.6")             \
	X(SECCOMP, "seccomp",                                                                               \
		"it has a seccomp filter that may kill it for the calls that loading takes")                \
	X(SHADOW_STACK, "shadow-stack",                                                                     \
		"it runs with a shadow stack, which forbids the injected return")                           \
	X(NAMESPACE, "mount-namespace",                                                                     \
		"it lives in another mount namespace (a container), where the probe's file is not visible") \
	X(SELF, "self", "it is resin itself")                                                               \
	X(ALLOCATOR, "own-allocator",                                                                       \
		"the program brings its own malloc within its executable, where no safe point can be told") \
	X(SANITIZER, "sanitizer",                                                                           \
		"it runs under a sanitizer or another allocator tool, whose bookkeeping we would disturb")

enum refusal {
#define X(id, name, text) REFUSAL_##id,
	REFUSALS(X)
#undef X
		REFUSAL_MAX_
};

const char *refusal_name(enum refusal r);
const char *refusal_text(enum refusal r);

struct preflight {
	enum refusal refusal;
	char exe[4096];	  /* what the kernel says it runs; "" when not readable */
	char detail[160]; /* adds to the refusal's sentence; may be "" */
	uint32_t threads, uid, gid;
	uint64_t start_ticks;
	uint64_t libc_base, loader_base; /* lowest mapping of each */
	char libc_path[4096];
};

/* Fills `ret` whatever it finds; <0 only when this host's /proc cannot be read at all. */
must_check int preflight(struct os *os, pid_t pid, struct preflight *ret, struct err *err);

#endif
