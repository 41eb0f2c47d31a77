/*
 * Torture: every allocation of a piece of work fails in turn. It has to say -ENOMEM and to leak
 * nothing. Linked with -Wl,--wrap for the allocator's functions; include it in one file only.
 */
#ifndef RESIN_TESTS_TORTURE_H
#define RESIN_TESTS_TORTURE_H

#include "unit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
void __wrap_free(void *p);

/* Read by the address sanitizer alone: what is too large returns NULL, as without it. */
__attribute__((visibility("default"), used)) const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

#define TORTURE_MAX_LIVE 8192

static struct {
	bool on;
	unsigned long fail_at, calls;
	void *live[TORTURE_MAX_LIVE];
	size_t n_live;
} torture;

static bool torture_fails(void)
{
	return torture.on && ++torture.calls == torture.fail_at;
}

static void *torture_add(void *p)
{
	if (torture.on && p) {
		if (torture.n_live == TORTURE_MAX_LIVE)
			abort();
		torture.live[torture.n_live++] = p;
	}
	return p;
}

static void torture_drop(const void *p)
{
	for (size_t i = torture.n_live; p && i-- > 0;) {
		if (torture.live[i] == p) {
			torture.live[i] = torture.live[--torture.n_live];
			return;
		}
	}
}

void *__wrap_malloc(size_t n)
{
	return torture_fails() ? NULL : torture_add(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return torture_fails() ? NULL : torture_add(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	void *q;

	if (torture_fails())
		return NULL;
	torture_drop(p);
	q = __real_realloc(p, n);
	return torture_add(q);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	void *q;

	if (torture_fails())
		return NULL;
	torture_drop(p);
	q = __real_reallocarray(p, n, size);
	return torture_add(q);
}

char *__wrap_strdup(const char *s)
{
	return torture_fails() ? NULL : torture_add(__real_strdup(s));
}

void __wrap_free(void *p)
{
	torture_drop(p);
	__real_free(p);
}

/* `work` does all, cleans up behind itself and returns what the code under test returned. */
static unsigned long torture_run(int (*work)(void))
{
	for (unsigned long k = 1; k < 100000; k++) {
		bool failed;
		int r;

		torture.n_live = 0;
		torture.calls = 0;
		torture.fail_at = k;
		torture.on = true;
		r = work();
		torture.on = false;
		failed = torture.calls >= k;
		if (r != (failed ? -ENOMEM : 0) || torture.n_live)
			print_error("allocation %lu of %lu: returned %d, %zu blocks leaked\n", k,
				torture.calls, r, torture.n_live);
		assert_int_equal(torture.n_live, 0);
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (!failed)
			return k - 1;
	}
	fail_msg("torture never ended");
	return 0;
}

#endif
