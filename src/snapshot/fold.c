#include "snapshot/fold.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"

void fold_init(struct fold *f, uint64_t start_ns, uint64_t half_ns)
{
	*f = (struct fold){
		.start_ns = start_ns,
		.half_ns = half_ns,
		.stride = 1,
		.by_addr = MAP_INIT(LIMIT_LIVE_SAMPLES),
		.pending = MAP_INIT(LIMIT_LIVE_SAMPLES),
	};
}

void fold_done(struct fold *f)
{
	if (!f)
		return;
	free(f->sites);
	free(f->live);
	free(f->events);
	map_done(&f->by_addr);
	map_done(&f->pending);
	*f = (struct fold){0};
}

double fold_weight(uint64_t bytes, uint64_t period_bytes)
{
	double s = (double)bytes, r = (double)period_bytes;

	if (bytes == 0)
		return 0;
	return period_bytes == 0 ? s : s / -expm1(-s / r);
}

int fold_reserve_sites(struct fold *f, size_t n)
{
	int r = array_reserve(&f->sites, &f->cap_sites, n, sizeof(*f->sites), LIMIT_PROFILE_SITES);

	if (r < 0)
		return r;
	for (; f->n_sites < n; f->n_sites++)
		memset(&f->sites[f->n_sites], 0, sizeof(*f->sites));
	return 0;
}

static int add_event(struct fold *f, const struct fold_event *e)
{
	int r = array_reserve(&f->events, &f->cap_events, f->n_events + 1, sizeof(*e), 1u << 20);

	if (r < 0)
		return r;
	f->events[f->n_events++] = *e;
	return 0;
}

int fold_alloc(struct fold *f, uint64_t seq, uint64_t addr, uint64_t bytes, uint64_t period_bytes,
	uint64_t mono_ns, uint32_t site)
{
	struct fold_event e = {seq, addr, bytes, period_bytes, mono_ns, site};

	return site < f->n_sites ? add_event(f, &e) : -EINVAL;
}

int fold_free(struct fold *f, uint64_t seq, uint64_t addr)
{
	struct fold_event e = {.seq = seq, .addr = addr, .site = FOLD_NO_SITE};

	return add_event(f, &e);
}

static void forget(struct fold *f, size_t i)
{
	const struct fold_live *l = &f->live[i];
	struct fold_site *s = &f->sites[l->site];

	s->live_bytes -= l->weight_bytes;
	s->live_count -= l->weight_count;
	f->n_live--;
	if (i != f->n_live) {
		f->live[i] = f->live[f->n_live];
		/* Replaces an entry that exists, so it cannot fail. */
		(void)!map_put(&f->by_addr, f->live[i].addr, i);
	}
}

static int apply_alloc(struct fold *f, const struct fold_event *e)
{
	struct fold_site *s = &f->sites[e->site];
	double weight = fold_weight(e->bytes, e->period_bytes);
	double count = e->bytes ? weight / (double)e->bytes : 0;
	uint64_t i, freed_seq;
	int r;

	s->allocated_bytes += weight;
	s->allocated_count += count;
	s->samples++;
	s->first_half += e->mono_ns < f->half_ns;
	if (map_take(&f->by_addr, e->addr, &i))
		forget(f, i); /* its free was missed: the address has been given out again */
	/* The latest free of this address that came before its allocation. It stays: several lives
	 * may have gone by. */
	if (map_get(&f->pending, e->addr, &freed_seq)) {
		if (freed_seq > e->seq)
			return 0;
		(void)map_take(&f->pending, e->addr, NULL);
	}
	r = array_reserve(
		&f->live, &f->cap_live, f->n_live + 1, sizeof(*f->live), LIMIT_LIVE_SAMPLES);
	if (r == 0)
		r = map_put(&f->by_addr, e->addr, f->n_live);
	if (r == -EMSGSIZE) {
		f->dropped_live++;
		return 0;
	}
	if (r < 0)
		return r;
	f->live[f->n_live++] = (struct fold_live){e->addr, e->mono_ns, weight, count, e->site};
	s->live_bytes += weight;
	s->live_count += count;
	return 0;
}

static int apply_free(struct fold *f, const struct fold_event *e)
{
	uint64_t i;
	int r;

	if (map_take(&f->by_addr, e->addr, &i)) {
		forget(f, i);
		return 0;
	}
	r = map_put(&f->pending, e->addr, e->seq);
	if (r == -EMSGSIZE) {
		f->dropped_live++;
		return 0;
	}
	return r;
}

static int by_seq(const void *a, const void *b)
{
	const struct fold_event *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

int fold_apply(struct fold *f)
{
	int r = 0;

	if (f->n_events)
		qsort(f->events, f->n_events, sizeof(*f->events), by_seq);
	for (size_t i = 0; i < f->n_events && r == 0; i++) {
		const struct fold_event *e = &f->events[i];

		r = e->site == FOLD_NO_SITE ? apply_free(f, e) : apply_alloc(f, e);
	}
	f->total_events += f->n_events;
	f->n_events = 0;
	return r;
}

static void thin_out(struct fold *f)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < f->n_checkpoints; i += 2, kept++) {
		f->checkpoint_ns[kept] = f->checkpoint_ns[i];
		for (size_t s = 0; s < f->n_sites; s++) {
			f->sites[s].bytes_at[kept] = f->sites[s].bytes_at[i];
			f->sites[s].count_at[kept] = f->sites[s].count_at[i];
		}
	}
	/* A site that appears later must find zeros behind it. */
	for (size_t s = 0; s < f->n_sites; s++)
		for (uint32_t i = kept; i < f->n_checkpoints; i++)
			f->sites[s].bytes_at[i] = f->sites[s].count_at[i] = 0;
	f->n_checkpoints = kept;
}

void fold_checkpoint(struct fold *f, uint64_t mono_ns)
{
	if (f->provisional)
		f->n_checkpoints--;
	if (f->n_checkpoints == LIMIT_CHECKPOINTS) {
		thin_out(f);
		f->stride *= 2;
	}
	f->provisional = f->offered++ % f->stride != 0;
	f->checkpoint_ns[f->n_checkpoints] = mono_ns - f->start_ns;
	for (size_t s = 0; s < f->n_sites; s++) {
		struct fold_site *site = &f->sites[s];

		/* Sums of differences: rounding may leave -1e-9 where nothing lives. */
		site->bytes_at[f->n_checkpoints] = site->live_bytes > 0.5 ? site->live_bytes : 0;
		site->count_at[f->n_checkpoints] = site->live_bytes > 0.5 ? site->live_count : 0;
	}
	f->n_checkpoints++;
}

void fold_finish(struct fold *f)
{
	for (size_t i = 0; i < f->n_live; i++)
		f->sites[f->live[i].site].survivors += f->live[i].mono_ns < f->half_ns;
}
