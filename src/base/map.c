#include "base/map.h"

#include <errno.h>
#include <string.h>

static uint64_t mix(uint64_t x)
{
	/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint64_t hash_u64(uint64_t v, uint64_t seed)
{
	return mix(v + 0x9e3779b97f4a7c15ull + mix(seed));
}

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
	const unsigned char *c = p;
	uint64_t h = 0xcbf29ce484222325ull ^ mix(seed);

	for (size_t i = 0; i < n; i++)
		h = (h ^ c[i]) * 0x100000001b3ull;
	return mix(h ^ n);
}

void map_done(struct map *m)
{
	if (!m)
		return;
	free(m->slots);
	m->slots = NULL;
	m->cap = m->len = 0;
}

void map_clear(struct map *m)
{
	if (m->slots)
		memset(m->slots, 0, m->cap * sizeof(*m->slots));
	m->len = 0;
}

static size_t home(const struct map *m, uint64_t key)
{
	return mix(key) & (m->cap - 1);
}

/* The slot of `key`, or the free slot where it would go. The table is never full. */
static size_t find(const struct map *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].used && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static int grow(struct map *m)
{
	struct map bigger = {.cap = m->cap ? m->cap * 2 : 64, .limit = m->limit};

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].used)
			bigger.slots[find(&bigger, m->slots[i].key)] = m->slots[i];
	bigger.len = m->len;
	free(m->slots);
	*m = bigger;
	return 0;
}

int map_put(struct map *m, uint64_t key, uint64_t value)
{
	size_t i;
	int r;

	if (m->cap) {
		i = find(m, key);
		if (m->slots[i].used) {
			m->slots[i].value = value;
			return 0;
		}
	}
	if (m->len >= m->limit)
		return -EMSGSIZE;
	if (m->len + 1 > m->cap / 4 * 3) {
		r = grow(m);
		if (r < 0)
			return r;
	}
	i = find(m, key);
	m->slots[i] = (struct map_slot){.key = key, .value = value, .used = true};
	m->len++;
	return 0;
}

bool map_get(const struct map *m, uint64_t key, uint64_t *ret_value)
{
	size_t i;

	if (!m->cap)
		return false;
	i = find(m, key);
	if (!m->slots[i].used)
		return false;
	if (ret_value)
		*ret_value = m->slots[i].value;
	return true;
}

bool map_take(struct map *m, uint64_t key, uint64_t *ret_value)
{
	size_t i, j;

	if (!m->cap)
		return false;
	i = find(m, key);
	if (!m->slots[i].used)
		return false;
	if (ret_value)
		*ret_value = m->slots[i].value;
	/* Knuth, TAOCP 3, 6.4 algorithm R: close the gap so that no tombstone is needed. */
	for (j = (i + 1) & (m->cap - 1); m->slots[j].used; j = (j + 1) & (m->cap - 1)) {
		size_t h = home(m, m->slots[j].key);

		if (((j - h) & (m->cap - 1)) >= ((j - i) & (m->cap - 1))) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i].used = false;
	m->len--;
	return true;
}
