/*
 * What the unit tests share: cmocka in its order, a folder that goes away, a generator with a seed
 * that never changes, so that a failure comes back.
 */
#ifndef RESIN_TESTS_UNIT_H
#define RESIN_TESTS_UNIT_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct rng {
	uint64_t s;
};

/* xorshift64* (Vigna 2016). */
static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * 0x2545f4914f6cdd1dull;
}

static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

/* In (0, 1]. */
static inline double rng_unit(struct rng *r)
{
	return ((double)(rng_next(r) >> 11) + 1) / 9007199254740992.;
}

struct folder {
	char path[64];
};

static inline void folder_make(struct folder *f)
{
	strcpy(f->path, "/tmp/resin-unit-XXXXXX");
	assert_non_null(mkdtemp(f->path));
}

static inline int folder_remove_one(
	const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

static inline void folder_remove(struct folder *f)
{
	nftw(f->path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *folder_path(const struct folder *f, const char *name)
{
	static char path[4][512];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", f->path, name);
	return p;
}

static inline void folder_parents(const struct folder *f, const char *name)
{
	char path[512];
	size_t start = strlen(f->path) + 1;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	for (char *p = strchr(path + start, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		(void)mkdir(path, 0755);
		*p = '/';
	}
}

static inline void folder_write_bytes(
	const struct folder *f, const char *name, const void *p, size_t n)
{
	FILE *file;

	folder_parents(f, name);
	file = fopen(folder_path(f, name), "w");
	assert_non_null(file);
	assert_int_equal(fwrite(p, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static inline void folder_write(const struct folder *f, const char *name, const char *text)
{
	folder_write_bytes(f, name, text, strlen(text));
}

#endif
