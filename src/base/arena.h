/*
 * One arena per unit of work (a batch, a profile): many small things that die together.
 *
 * Capped: past `limit` bytes an allocation returns NULL. Passed explicitly, never ambient. What
 * comes out is zeroed and aligned for any type. Not thread safe.
 */
#ifndef RESIN_BASE_ARENA_H
#define RESIN_BASE_ARENA_H

#include <stddef.h>

#include "base/cleanup.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	size_t used, limit;
};

#define ARENA_INIT(limit_bytes) ((struct arena){.limit = (limit_bytes)})

void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t n);
/* n elements of the given size; NULL on overflow too. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A NUL-terminated copy of n bytes. */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);

#define autoarena cleanup(arena_done)

#endif
