#include "pivot/pivot.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

#define FIRST_EDGE_LOG2 20
#define FINE_PER_COARSE 8

/* 2^(63 + j/32) for j = 1..32, rounded up; the last one is never reached. */
static const uint64_t step_edge[] = {0x82cd8698ac2ba1d8, 0x85aac367cc487b15, 0x88980e8092da8528,
	0x8b95c1e3ea8bd6e7, 0x8ea4398b45cd53c1, 0x91c3d373ab11c337, 0x94f4efa8fef70962,
	0x9837f0518db8a970, 0x9b8d39b9d54e5539, 0x9ef5326091a111ae, 0xa27043030c496819,
	0xa5fed6a9b15138eb, 0xa9a15ab4ea7c0ef9, 0xad583eea42a14ac7, 0xb123f581d2ac2590,
	0xb504f333f9de6485, 0xb8fbaf4762fb9eea, 0xbd08a39f580c36bf, 0xc12c4cca66709457,
	0xc5672a115506dade, 0xc9b9bd866e2f27a3, 0xce248c151f8480e4, 0xd2a81d91f12ae45b,
	0xd744fccad69d6af5, 0xdbfbb797daf23756, 0xe0ccdeec2a94e112, 0xe5b906e77c8348a9,
	0xeac0c6e7dd24392f, 0xefe4b99bdcdaf5cc, 0xf5257d152486cc2d, 0xfa83b2db722a033b,
	0xffffffffffffffff};
/* How many of them are at or below 2^63 + i 2^57: at most one more is inside such a step, which is
 * 1.6 % of 2^63 where an edge is 2.2 % from the next. */
static const uint8_t step_first[] = {0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 7, 8, 9, 9, 10, 10, 11, 12,
	12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21, 21, 21, 22, 22, 23,
	23, 24, 24, 25, 25, 25, 26, 26, 27, 27, 27, 28, 28, 29, 29, 29, 30, 30, 30, 31, 31};

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
	free(p->cells);
	map_done(&p->index);
	map_done(&p->seen);
	p->rows = NULL;
	p->cells = NULL;
	p->n_rows = p->cap_rows = p->n_cells = p->cap_cells = 0;
}

unsigned pivot_fine(uint64_t bytes)
{
	unsigned log2, j;
	uint64_t mantissa;

	if (bytes < UINT64_C(1) << FIRST_EDGE_LOG2)
		return 0;
	log2 = 63 - (unsigned)__builtin_clzll(bytes);
	mantissa = bytes << (63 - log2);
	j = step_first[mantissa >> 57 & 63];
	j += mantissa >= step_edge[j];
	j += 1 + (log2 - FIRST_EDGE_LOG2) * PIVOT_FINE_PER_DOUBLING;
	return j < PIVOT_FINE ? j : PIVOT_FINE - 1;
}

uint64_t pivot_fine_edge(unsigned fine)
{
	unsigned doubling, step;
	uint64_t round_up;

	if (fine == 0)
		return 0;
	if (fine >= PIVOT_FINE)
		return UINT64_MAX;
	doubling = (fine - 1) / PIVOT_FINE_PER_DOUBLING;
	step = (fine - 1) % PIVOT_FINE_PER_DOUBLING;
	if (step == 0)
		return UINT64_C(1) << (FIRST_EDGE_LOG2 + doubling);
	round_up = (UINT64_C(1) << (63 - FIRST_EDGE_LOG2 - doubling)) - 1;
	return (step_edge[step - 1] + round_up) >> (63 - FIRST_EDGE_LOG2 - doubling);
}

static unsigned fine_of(unsigned bucket)
{
	return bucket == 0 ? 0 : 1 + (bucket - 1) * FINE_PER_COARSE;
}

unsigned pivot_bucket(uint64_t bytes)
{
	unsigned fine = pivot_fine(bytes);
	unsigned b = fine == 0 ? 0 : 1 + (fine - 1) / FINE_PER_COARSE;

	return b < PIVOT_BUCKETS ? b : PIVOT_BUCKETS - 1;
}

uint64_t pivot_edge(unsigned bucket)
{
	return pivot_fine_edge(fine_of(bucket));
}

static int find_row(struct pivot *p, uint64_t component, uint64_t *ret)
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
	*ret = i;
	return 0;
}

static void start(struct pivot *p, uint64_t hour)
{
	p->hour = hour;
	p->n_rows = p->n_cells = 0;
	map_clear(&p->index);
	map_clear(&p->seen);
}

static int make_cell(struct pivot *p, uint64_t component, uint64_t key, uint64_t *ret)
{
	uint64_t row;
	int r = find_row(p, component, &row);

	if (r == 0)
		r = array_reserve(&p->cells, &p->cap_cells, p->n_cells + 1, sizeof(*p->cells),
			PIVOT_MAX_CELLS);
	if (r == 0)
		r = map_put(&p->seen, key, p->n_cells);
	if (r < 0)
		return r;
	*ret = p->n_cells;
	p->cells[p->n_cells++] = (struct pivot_cell){.row = (uint32_t)row};
	return 0;
}

int pivot_cell(
	struct pivot *p, uint64_t hour, uint64_t component, uint64_t host, uint32_t *ret_cell)
{
	uint64_t key = hash_u64(host, component), cell;
	int r;

	if (hour != p->hour)
		start(p, hour);
	if (!map_get(&p->seen, key, &cell)) {
		r = make_cell(p, component, key, &cell);
		if (r < 0) {
			p->dropped++;
			return r;
		}
	}
	*ret_cell = (uint32_t)cell;
	return 0;
}

static void move_up(struct pivot *p, struct pivot_cell *c, uint64_t bytes)
{
	uint32_t *hosts = p->rows[c->row].hosts;
	unsigned fine = pivot_fine(bytes);

	if (fine < c->next)
		return;
	if (c->next)
		hosts[c->next - 1]--;
	hosts[fine]++;
	c->next = fine + 1;
	c->next_bytes = pivot_fine_edge(c->next);
}

int pivot_add_column(
	struct pivot *p, uint64_t hour, const uint32_t *cell, const uint64_t *bytes, size_t n)
{
	if (hour != p->hour)
		return -ESTALE;
	for (size_t i = 0; i < n; i++) {
		struct pivot_cell *c;

		if (cell[i] >= p->n_cells)
			continue;
		c = &p->cells[cell[i]];
		/* A host that was counted in a lower bucket this hour moves up; never down. */
		if (bytes[i] >= c->next_bytes)
			move_up(p, c, bytes[i]);
	}
	return 0;
}

int pivot_add(struct pivot *p, uint64_t hour, uint64_t component, uint64_t host, uint64_t bytes)
{
	uint32_t cell;
	int r = pivot_cell(p, hour, component, host, &cell);

	return r < 0 ? r : pivot_add_column(p, hour, &cell, &bytes, 1);
}

const struct pivot_row *pivot_find(const struct pivot *p, uint64_t component)
{
	uint64_t i;

	return map_get(&p->index, component, &i) ? &p->rows[i] : NULL;
}

uint32_t pivot_hosts(const struct pivot *p, uint64_t component, unsigned bucket)
{
	const struct pivot_row *row = pivot_find(p, component);
	uint32_t n = 0;

	for (unsigned f = fine_of(bucket); row && f < PIVOT_FINE; f++)
		n += row->hosts[f];
	return n;
}
