/*
 * Scope cleanup by attribute, with an explicit hand-over.
 *
 * A variable marked with one of these is released when it leaves scope. Ownership moves out only
 * through steal_ptr() or steal_fd(), so that a reader sees every hand-over. Nothing here allocates.
 */
#ifndef RESIN_BASE_CLEANUP_H
#define RESIN_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define must_check __attribute__((warn_unused_result))
#define cleanup(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define autofree cleanup(cleanup_free)
#define autoclose cleanup(cleanup_close)
#define autofclose cleanup(cleanup_fclose)

static inline void *steal_ptr_(void *p)
{
	void **pp = p;
	void *v = *pp;
	*pp = NULL;
	return v;
}

/* Takes the pointer out of an auto-released variable: the caller owns it now. */
#define steal_ptr(p) ((__typeof__(p))steal_ptr_(&(p)))

/* The same for a descriptor. */
static inline int steal_fd(int *fd)
{
	int v = *fd;
	*fd = -1;
	return v;
}

#endif
