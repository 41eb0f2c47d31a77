#include "pivot/pivot.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"

#define FIRST_EDGE_LOG2 20

void pivot_init(struct pivot *p)
{
	*p = (struct pivot){
		.index = MAP_INIT(PIVOT_MAX_COMPONENTS), .seen = MAP_INIT(PIVOT_MAX_CELLS)};
}

void pivot_done(struct pivot *p)
{
	if (!p)
		return;
	free(p->rows);
	map_done(&p->index);
	map_done(&p->seen);
	p->rows = NULL;
	p->n_rows = p->cap_rows = 0;
}

unsigned pivot_bucket(uint64_t bytes)
{
	/* Edges at 2^(20 + i/4): the exponent gives the octave, three comparisons the quarter. */
	static const double quarter[] = {1.189207115002721, 1.4142135623730951, 1.681792830507429};
	unsigned log2, b;
	double mantissa;

	if (bytes < 1ull << FIRST_EDGE_LOG2)
		return 0;
	log2 = 63 - (unsigned)__builtin_clzll(bytes);
	mantissa = (double)bytes / (double)(1ull << log2);
	b = 1 + (log2 - FIRST_EDGE_LOG2) * 4;
	for (unsigned i = 0; i < 3; i++)
		b += mantissa >= quarter[i];
	return b < PIVOT_BUCKETS ? b : PIVOT_BUCKETS - 1;
}

uint64_t pivot_edge(unsigned bucket)
{
	return bucket == 0 ? 0 : (uint64_t)ceil(exp2(FIRST_EDGE_LOG2 + (bucket - 1) / 4.));
}

static int find_row(struct pivot *p, uint64_t component, struct pivot_row **ret)
{
	uint64_t i;
	int r;

	if (!map_get(&p->index, component, &i)) {
		r = array_reserve(&p->rows, &p->cap_rows, p->n_rows + 1, sizeof(*p->rows),
			PIVOT_MAX_COMPONENTS);
		if (r == 0)
			r = map_put(&p->index, component, p->n_rows);
		if (r < 0)
			return r;
		i = p->n_rows++;
		memset(&p->rows[i], 0, sizeof(p->rows[i]));
		p->rows[i].component = component;
	}
	*ret = &p->rows[i];
	return 0;
}

int pivot_add(struct pivot *p, uint64_t hour, uint64_t component, uint64_t host, uint64_t bytes)
{
	struct pivot_row *row;
	unsigned b = pivot_bucket(bytes);
	uint64_t key, before;
	int r;

	if (hour != p->hour) {
		p->hour = hour;
		p->n_rows = 0;
		map_clear(&p->index);
		map_clear(&p->seen);
	}
	r = find_row(p, component, &row);
	if (r < 0) {
		p->dropped++;
		return r;
	}
	key = hash_u64(host, component);
	/* A host that was counted in a lower bucket this hour moves up; it never moves down. */
	if (map_get(&p->seen, key, &before)) {
		if (before >= b)
			return 0;
		row->hosts[before]--;
	}
	r = map_put(&p->seen, key, b);
	if (r < 0) {
		p->dropped++;
		return r;
	}
	row->hosts[b]++;
	return 0;
}

uint32_t pivot_hosts(const struct pivot *p, uint64_t component, unsigned bucket)
{
	uint32_t n = 0;
	uint64_t i;

	if (!map_get(&p->index, component, &i))
		return 0;
	for (unsigned b = bucket; b < PIVOT_BUCKETS; b++)
		n += p->rows[i].hosts[b];
	return n;
}
