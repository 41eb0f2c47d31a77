/*
 * A hash map from uint64 keys to uint64 values: open addressing, linear probing, back-shift delete.
 *
 * For identities (pid, address, hash of a name) that index into an array which somebody else owns.
 * Any key is allowed, 0 too. Grows at 3/4 load up to `limit` entries. Not thread safe.
 */
#ifndef RESIN_BASE_MAP_H
#define RESIN_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct map_slot {
	uint64_t key, value;
	bool used;
};

struct map {
	struct map_slot *slots;
	size_t cap; /* power of two, or 0 */
	size_t len;
	size_t limit;
};

#define MAP_INIT(max_entries) ((struct map){.limit = (max_entries)})

void map_done(struct map *m);
void map_clear(struct map *m);

/* Sets or replaces. Returns 0, -ENOMEM or -EMSGSIZE (the map is full). */
must_check int map_put(struct map *m, uint64_t key, uint64_t value);
bool map_get(const struct map *m, uint64_t key, uint64_t *ret_value);
/* Removes and returns the value; false when there was none. */
bool map_take(struct map *m, uint64_t key, uint64_t *ret_value);

/* 64-bit FNV-1a followed by a finaliser; `seed` chains several pieces into one key. */
uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);
uint64_t hash_u64(uint64_t v, uint64_t seed);

#endif
