#include "unit.h"

#include <math.h>

#include "pivot/anomaly.h"
#include "pivot/contrast.h"
#include "pivot/pivot.h"

#define MIB (UINT64_C(1) << 20)

static void bucket_and_edge_agree(void **state)
{
	assert_int_equal(pivot_edge(0), 0);
	assert_int_equal(pivot_edge(1), MIB);
	assert_int_equal(pivot_edge(5), 2 * MIB);
	for (unsigned b = 1; b < PIVOT_BUCKETS; b++) {
		assert_int_equal(pivot_bucket(pivot_edge(b)), b);
		assert_int_equal(pivot_bucket(pivot_edge(b) - 1), b - 1);
		assert_true(pivot_edge(b) > pivot_edge(b - 1));
		if (b > 4)
			assert_true(pivot_edge(b) / 2 - pivot_edge(b - 4) <= 1 ||
				pivot_edge(b - 4) - pivot_edge(b) / 2 <= 1);
	}
	assert_int_equal(pivot_bucket(0), 0);
	assert_int_equal(pivot_bucket(MIB - 1), 0);
	assert_int_equal(pivot_bucket(UINT64_MAX), PIVOT_BUCKETS - 1);
	assert_int_equal(pivot_bucket(UINT64_C(1) << 63), PIVOT_BUCKETS - 1);
}

static void buckets_never_fall(void **state)
{
	struct rng rng = {7};

	for (int i = 0; i < 100000; i++) {
		uint64_t a = rng_next(&rng) >> rng_below(&rng, 50);
		unsigned b = pivot_bucket(a);

		assert_true(b < PIVOT_BUCKETS);
		assert_true(a >= pivot_edge(b));
		if (b + 1 < PIVOT_BUCKETS)
			assert_true(a < pivot_edge(b + 1));
	}
}

static void hosts_count_once_and_cumulatively(void **state)
{
	struct pivot p;

	pivot_init(&p);
	assert_int_equal(pivot_hosts(&p, 1, 0), 0);
	for (uint64_t host = 1; host <= 10; host++)
		for (int again = 0; again < 3; again++)
			assert_int_equal(pivot_add(&p, 100, 1, host, 4 * MIB), 0);
	assert_int_equal(pivot_add(&p, 100, 1, 11, 0), 0);
	assert_int_equal(pivot_add(&p, 100, 2, 11, 64 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 11);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(4 * MIB)), 10);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(4 * MIB) + 1), 0);
	assert_int_equal(pivot_hosts(&p, 2, 0), 1);
	assert_int_equal(pivot_hosts(&p, 3, 0), 0);
	pivot_done(&p);
	pivot_done(NULL);
}

static void hosts_move_up_never_down(void **state)
{
	struct pivot p;

	pivot_init(&p);
	assert_int_equal(pivot_add(&p, 100, 1, 5, 4 * MIB), 0);
	assert_int_equal(pivot_add(&p, 100, 1, 5, 64 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 1);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(64 * MIB)), 1);
	assert_int_equal(pivot_add(&p, 100, 1, 5, 2 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 1);
	assert_int_equal(pivot_hosts(&p, 1, pivot_bucket(64 * MIB)), 1);
	pivot_done(&p);
}

static void the_hour_starts_over(void **state)
{
	struct pivot p;

	pivot_init(&p);
	for (uint64_t c = 0; c < 50; c++)
		assert_int_equal(pivot_add(&p, 100, c, 5, 4 * MIB), 0);
	assert_int_equal(pivot_add(&p, 101, 7, 5, 2 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 7, 0), 1);
	assert_int_equal(pivot_hosts(&p, 7, pivot_bucket(4 * MIB)), 0);
	for (uint64_t c = 0; c < 50; c++)
		assert_int_equal(pivot_hosts(&p, c, 0), c == 7);
	assert_int_equal(pivot_add(&p, 0, 7, 5, 2 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 7, 0), 1);
	pivot_done(&p);
}

static void components_have_a_ceiling(void **state)
{
	struct pivot p;

	pivot_init(&p);
	for (uint64_t c = 0; c < PIVOT_MAX_COMPONENTS; c++)
		assert_int_equal(pivot_add(&p, 1, c, 5, MIB), 0);
	assert_int_equal(p.dropped, 0);
	assert_int_equal(pivot_add(&p, 1, PIVOT_MAX_COMPONENTS, 5, MIB), -EMSGSIZE);
	assert_int_equal(pivot_add(&p, 1, 0, 6, MIB), 0);
	assert_int_equal(p.dropped, 1);
	assert_int_equal(pivot_hosts(&p, 0, 0), 2);
	assert_int_equal(pivot_hosts(&p, PIVOT_MAX_COMPONENTS, 0), 0);
	pivot_done(&p);
}

/* "A host counts once per cell and hour." Each host sends many batches in an hour, and those of
 * others come in between; within a batch a host's samples are together. */
static void hosts_count_once_over_many_batches(void **state)
{
	struct pivot p;

	pivot_init(&p);
	for (int batch = 0; batch < 10; batch++)
		for (uint64_t host = 1; host <= 3; host++)
			assert_int_equal(pivot_add(&p, 100, 1, host, 4 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 3);
	pivot_done(&p);
}

/* Any number may be a host's. */
static void host_zero_is_a_host(void **state)
{
	struct pivot p;

	pivot_init(&p);
	assert_int_equal(pivot_add(&p, 100, 1, 0, 4 * MIB), 0);
	assert_int_equal(pivot_hosts(&p, 1, 0), 1);
	pivot_done(&p);
}

static void fine_buckets_are_fine(void **state)
{
	struct rng rng = {11};

	for (unsigned f = 1; f < PIVOT_FINE; f++) {
		uint64_t edge = pivot_fine_edge(f);

		assert_int_equal(pivot_fine(edge), f);
		assert_int_equal(pivot_fine(edge - 1), f - 1);
		assert_true(edge == (uint64_t)ceil(exp2(20 + (f - 1) / 32.)));
		if (f + 1 < PIVOT_FINE)
			assert_true((double)pivot_fine_edge(f + 1) / (double)edge < 1.0223);
	}
	for (int i = 0; i < 100000; i++) {
		uint64_t bytes = rng_next(&rng) >> rng_below(&rng, 64);
		unsigned f = pivot_fine(bytes);

		assert_true(bytes >= pivot_fine_edge(f));
		assert_true(f + 1 == PIVOT_FINE || bytes < pivot_fine_edge(f + 1));
	}
	assert_int_equal(pivot_fine_edge(0), 0);
	assert_int_equal(pivot_fine_edge(PIVOT_FINE), UINT64_MAX);
}

static void columns_count_as_single_samples_do(void **state)
{
	struct pivot one, col;
	struct rng rng = {5};
	uint32_t cell[40];
	uint64_t bytes[40];

	pivot_init(&one);
	pivot_init(&col);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(pivot_cell(&col, 9, i % 4, i / 4, &cell[i]), 0);
	assert_int_equal(pivot_hosts(&col, 1, 0), 0);
	for (int minute = 0; minute < 60; minute++) {
		for (unsigned i = 0; i < 40; i++) {
			bytes[i] = minute == 30 && i == 7 ? UINT64_MAX : rng_next(&rng) >> 20 >> i;
			assert_int_equal(pivot_add(&one, 9, i % 4, i / 4, bytes[i]), 0);
		}
		assert_int_equal(pivot_add_column(&col, 9, cell, bytes, 40), 0);
	}
	for (unsigned c = 0; c < 4; c++)
		assert_memory_equal(
			pivot_find(&one, c), pivot_find(&col, c), sizeof(struct pivot_row));
	assert_null(pivot_find(&one, 4));

	/* Cells are of one hour, and only those that were handed out. */
	assert_int_equal(pivot_add_column(&col, 10, cell, bytes, 40), -ESTALE);
	assert_int_equal(pivot_cell(&col, 10, 1, 1, &cell[0]), 0);
	assert_int_equal(pivot_add_column(&col, 10, cell, bytes, 40), 0);
	assert_int_equal(pivot_hosts(&col, 1, 0), 1);
	pivot_done(&one);
	pivot_done(&col);
}

/* --- a component's hosts, made up ------------------------------------------------------------ */

#define MAX_HOSTS 400u
#define MONDAY (7 * 24 * 1000u)

static double normal(struct rng *r)
{
	return sqrt(-2 * log(rng_unit(r))) * cos(2 * M_PI * rng_unit(r));
}

/* Hosts with levels of their own and noise that lasts for hours. */
struct fleet {
	struct rng rng;
	size_t n;
	double bytes, spread, noise, hold; /* hold: autocorrelation from hour to hour */
	double level[MAX_HOSTS], drift[MAX_HOSTS], state[MAX_HOSTS];
	struct pivot_row row;
};

static void fleet_make(struct fleet *f, uint64_t seed, size_t n, double bytes)
{
	*f = (struct fleet){.rng = {seed}, .n = n, .bytes = bytes, .noise = .02, .hold = .9};
	for (size_t i = 0; i < MAX_HOSTS; i++) {
		f->level[i] = .05 * normal(&f->rng);
		f->state[i] = f->noise * normal(&f->rng);
	}
}

/* Everybody's usage times exp(shape), and of each host times exp(drift). */
static const struct pivot_row *fleet_hour(struct fleet *f, double shape)
{
	memset(&f->row, 0, sizeof(f->row));
	for (size_t i = 0; i < f->n; i++) {
		f->state[i] = f->hold * f->state[i] +
			sqrt(1 - f->hold * f->hold) * f->noise * normal(&f->rng);
		f->row.hosts[pivot_fine((uint64_t)(f->bytes *
			exp(f->level[i] + f->state[i] + f->drift[i] + shape)))]++;
	}
	return &f->row;
}

static bool abnormal(
	struct anomaly *a, struct fleet *f, unsigned hour, double shape, struct anomaly_verdict *v)
{
	assert_int_equal(anomaly_add(a, MONDAY + hour, fleet_hour(f, shape), 0, v), 0);
	assert_true(anomaly_valid(a));
	assert_true(isfinite(v->z) && isfinite(v->excess) && isfinite(v->strongest_z));
	assert_int_equal(v->outcome == ANOMALY_ABNORMAL, v->n_edges > 0);
	return v->outcome == ANOMALY_ABNORMAL;
}

/* Hours after `from` until the growth of `leaking` hosts by `pct` per hour is found; 0: never. */
static unsigned found_after(double bytes, size_t hosts, size_t leaking, double pct, unsigned hours,
	struct anomaly_verdict *v)
{
	struct anomaly a;
	struct fleet f;

	anomaly_init(&a);
	fleet_make(&f, 77, hosts, bytes);
	for (unsigned h = 0; h < 120 + hours; h++) {
		for (size_t i = 0; h >= 120 && i < leaking; i++)
			f.drift[i] += log1p(pct / 100);
		if (abnormal(&a, &f, h, 0, v)) {
			assert_true(h >= 120);
			return h - 119;
		}
	}
	return 0;
}

static void all_hosts_growing_are_found(void **state)
{
	struct anomaly_verdict v;
	unsigned h = found_after(1e9, 200, 200, .3, 72, &v);

	assert_in_range(h, 5, 40);
	assert_int_equal(v.hosts, 200);
	assert_true(v.excess > 10 && v.count > v.expected);
	assert_true(v.since_hour > MONDAY + 120 && v.since_hour <= MONDAY + 119 + h);
}

static void one_host_of_twenty_growing_is_found(void **state)
{
	struct anomaly_verdict v;

	assert_in_range(found_after(1e9, 200, 10, .3, 120, &v), 5, 110);
	assert_true(v.excess >= ANOMALY_MIN_EXCESS && v.excess <= 30);
}

static void one_single_host_is_never_found(void **state)
{
	struct anomaly_verdict v;

	assert_int_equal(found_after(1e9, 200, 1, 1, 200, &v), 0);
	assert_int_equal(v.outcome, ANOMALY_NORMAL);
}

static void small_and_large_components_are_alike(void **state)
{
	struct anomaly_verdict v;
	unsigned agent = found_after(4e6, 100, 10, .5, 96, &v), database;

	assert_true(v.edge_bytes > 4e6 && v.edge_bytes < 8e6);
	database = found_after(40e9, 100, 10, .5, 96, &v);
	assert_true(v.edge_bytes > 40e9 && v.edge_bytes < 80e9);
	assert_in_range(agent, 5, 50);
	assert_in_range(database, 5, 50);
	assert_true(agent <= database + 10 && database <= agent + 10);
}

/* A leak that goes on climbs the edges; the anomaly stays one, at the largest. */
static void the_largest_bucket_is_reported(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;
	uint64_t edge = 0;

	anomaly_init(&a);
	fleet_make(&f, 3, 100, 1e9);
	for (unsigned h = 0; h < 120 + 150; h++) {
		for (size_t i = 0; h >= 120 && i < 30; i++)
			f.drift[i] += .005;
		if (abnormal(&a, &f, h, 0, &v) && h > 200) {
			assert_true(v.edge_bytes >= edge);
			edge = v.edge_bytes;
			assert_true(v.n_edges > 1);
		}
	}
	assert_true(edge > 1.6e9 && edge < 2.2e9);
	assert_true(v.excess >= ANOMALY_MIN_EXCESS && v.excess <= 31);
}

static void noise_that_lasts_does_not_alarm(void **state)
{
	static const double hold[] = {0, .8, .95, .99, .999};
	struct anomaly_verdict v;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct anomaly a;
		struct fleet f;

		anomaly_init(&a);
		fleet_make(&f, seed, 40 + 15 * seed, 1e8);
		f.hold = hold[seed % COUNT(hold)];
		for (unsigned h = 0; h < 720; h++)
			assert_false(abnormal(&a, &f, h, 0, &v));
	}
}

static void a_mass_drop_does_not_alarm(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;

	anomaly_init(&a);
	fleet_make(&f, 8, 200, 1e9);
	for (unsigned h = 0; h < 400; h++)
		assert_false(abnormal(&a, &f, h, h >= 150 ? -.7 : 0, &v));
}

static void more_hosts_do_not_alarm(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;

	anomaly_init(&a);
	fleet_make(&f, 9, 40, 1e9);
	for (unsigned h = 0; h < 500; h++) {
		if (h > 100 && f.n < MAX_HOSTS)
			f.n++;
		assert_false(abnormal(&a, &f, h, 0, &v));
	}
	assert_int_equal(v.hosts, MAX_HOSTS);
}

static double day_shape(unsigned h)
{
	return .15 * sin(2 * M_PI * (h % 24) / 24) + (h % 24 == 3 ? .1 : 0);
}

static void days_do_not_alarm_and_are_learned(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;
	unsigned shaped = 0, found = 0;

	anomaly_init(&a);
	fleet_make(&f, 10, 200, 1e9);
	for (unsigned h = 0; h < 400; h++)
		assert_false(abnormal(&a, &f, h, day_shape(h), &v));
	for (unsigned e = 0; e < a.n_edges; e++)
		shaped += a.edge[e].shape > 0;
	assert_true(shaped >= 5);

	/* The baseline is from before the day was known: its error is that of the day. */
	for (unsigned h = 400; h < 472 && !found; h++)
		if (abnormal(&a, &f, h, day_shape(h) + .3, &v))
			found = h - 399;
	assert_in_range(found, 5, 30);
}

static void weeks_do_not_alarm(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;
	unsigned shaped = 0;

	anomaly_init(&a);
	fleet_make(&f, 12, 200, 1e9);
	for (unsigned h = 0; h < 7 * 24 * 6; h++)
		assert_false(abnormal(&a, &f, h, h / 24 % 7 >= 5 ? -.12 : day_shape(h) / 3, &v));
	for (unsigned e = 0; e < a.n_edges; e++)
		shaped += a.edge[e].shape == 2;
	assert_true(shaped >= 3);
}

/* RESIN's sliding baseline rises with it; ours stays where it was. */
static void a_rise_over_the_whole_window_is_found(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;
	unsigned found = 0, h;

	anomaly_init(&a);
	fleet_make(&f, 13, 200, 1e9);
	for (h = 0; h < 720; h++) {
		for (size_t i = 0; i < 100; i++)
			f.drift[i] += .0005; /* 1.2 % a day, from the first hour on */
		if (abnormal(&a, &f, h, 0, &v) && !found)
			found = h;
	}
	assert_in_range(found, 96, 600);
	assert_int_equal(v.outcome, ANOMALY_ABNORMAL); /* and not lost again */
}

static void relearning_accepts_a_new_level(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;

	anomaly_init(&a);
	fleet_make(&f, 14, 100, 1e9);
	for (unsigned h = 0; h < 300; h++)
		abnormal(&a, &f, h, h >= 200 ? .3 : 0, &v);
	assert_int_equal(v.outcome, ANOMALY_ABNORMAL);
	anomaly_relearn(&a);
	for (unsigned h = 300; h < 600; h++)
		assert_false(abnormal(&a, &f, h, .3, &v));
	assert_int_equal(v.outcome, ANOMALY_NORMAL);
}

static void few_hosts_go_to_localize(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;

	anomaly_init(&a);
	fleet_make(&f, 15, ANOMALY_MIN_HOSTS - 1, 1e9);
	for (unsigned h = 0; h < 200; h++) {
		abnormal(&a, &f, h, 0, &v);
		assert_int_equal(v.outcome, ANOMALY_FEW_HOSTS);
	}
	f.n++;
	abnormal(&a, &f, 200, 0, &v);
	assert_int_equal(v.outcome, ANOMALY_LEARNING);
	/* The caller knows of one that sent nothing. */
	f.n--;
	assert_int_equal(
		anomaly_add(&a, MONDAY + 201, fleet_hour(&f, 0), ANOMALY_MIN_HOSTS, &v), 0);
	assert_int_equal(v.outcome, ANOMALY_LEARNING);
	assert_int_equal(v.hosts, ANOMALY_MIN_HOSTS);
}

static void nothing_and_extremes_are_numbers(void **state)
{
	struct pivot_row row = {0};
	struct anomaly_verdict v;
	struct anomaly a;
	struct rng rng = {16};

	anomaly_init(&a);
	assert_int_equal(anomaly_add(&a, 5, NULL, 0, &v), 0);
	assert_int_equal(v.outcome, ANOMALY_FEW_HOSTS);
	assert_int_equal(anomaly_add(&a, 5, NULL, 0, &v), -ESTALE);
	for (unsigned h = 6; h < 600; h++) {
		memset(&row, 0, sizeof(row));
		switch (rng_below(&rng, 6)) {
		case 0:
			row.hosts[0] = 50;
			break;
		case 1:
			row.hosts[PIVOT_FINE - 1] = 50;
			break;
		case 2:
			row.hosts[rng_below(&rng, PIVOT_FINE)] = UINT32_MAX;
			row.hosts[rng_below(&rng, PIVOT_FINE)] = UINT32_MAX;
			break;
		case 3:
			row.hosts[rng_below(&rng, PIVOT_FINE)] = 25;
			break;
		default:
			break;
		}
		assert_int_equal(
			anomaly_add(&a, h + h / 100 * 7, h % 5 ? &row : NULL, h % 7 ? 0 : 30, &v),
			0);
		assert_true(anomaly_valid(&a));
		assert_true(isfinite(v.z) && isfinite(v.excess) && isfinite(v.strongest_z) &&
			isfinite(v.expected));
	}

	/* Only ever in the lowest bucket: there is no edge below which nobody is. */
	anomaly_init(&a);
	memset(&row, 0, sizeof(row));
	row.hosts[0] = 50;
	for (unsigned h = 1; h < 300; h++)
		assert_int_equal(anomaly_add(&a, h, &row, 0, &v), 0);
	assert_true(anomaly_valid(&a));
	assert_int_equal(v.outcome, ANOMALY_NORMAL);
}

/* Five hot hours of six, not some hot hours of many. */
static void bursts_do_not_alarm(void **state)
{
	struct anomaly_verdict v;
	struct anomaly a;
	struct fleet f;
	bool hot = false;

	anomaly_init(&a);
	fleet_make(&f, 18, 100, 1e9);
	for (unsigned h = 0; h < 400; h++) {
		assert_false(abnormal(&a, &f, h, h > 150 && h % 40 < 3 ? .5 : 0, &v));
		hot |= v.outcome == ANOMALY_HOT;
	}
	assert_true(hot);

	/* Hours that nobody reported end a run. */
	for (unsigned h = 400; h < 404; h++)
		assert_false(abnormal(&a, &f, h, .5, &v));
	for (unsigned h = 410; h < 414; h++)
		assert_false(abnormal(&a, &f, h, .5, &v));
	assert_true(abnormal(&a, &f, 414, .5, &v));
}

static void a_state_that_came_back_goes_on(void **state)
{
	struct anomaly_verdict v, w;
	struct anomaly a, b;
	struct fleet f, g;

	anomaly_init(&a);
	fleet_make(&f, 19, 100, 1e9);
	for (unsigned h = 0; h < 200; h++)
		abnormal(&a, &f, h, h >= 198 ? .3 : 0, &v);
	memcpy(&b, &a, sizeof(b));
	g = f;
	for (unsigned h = 200; h < 220; h++) {
		abnormal(&a, &f, h, .3, &v);
		abnormal(&b, &g, h, .3, &w);
		assert_memory_equal(&a, &b, sizeof(a));
		assert_int_equal(v.outcome, w.outcome);
	}
	assert_int_equal(v.outcome, ANOMALY_ABNORMAL);

	b.edge[3].fine = PIVOT_FINE;
	assert_false(anomaly_valid(&b));
	b = a;
	b.edge[0].level = NAN;
	assert_false(anomaly_valid(&b));
	b = a;
	b.n_edges = ANOMALY_EDGES + 1;
	assert_false(anomaly_valid(&b));
	b = a;
	b.version++;
	assert_false(anomaly_valid(&b));
	memset(&b, 0xff, sizeof(b));
	assert_false(anomaly_valid(&b));
}

/* Two versions for a week under one daily load; the last verdict. */
static void growth_is_contrasted(void **state)
{
	double fresh[20], old[20], same[20];
	struct contrast_verdict v;
	struct contrast c;

	contrast_init(&c);
	for (unsigned h = 0; h < CONTRAST_HOURS; h++) {
		for (unsigned i = 0; i < 20; i++) {
			fresh[i] = 5 + 0.1 * i;
			old[i] = i;
			same[i] = 3;
		}
		v = (struct contrast_verdict){.outcome = CONTRAST_EQUAL};
		contrast_growth(&c, fresh, 20, same, 20, &v);
		assert_int_equal(
			v.outcome, h + 1 < CONTRAST_HOURS ? CONTRAST_EQUAL : CONTRAST_GROWING);
		assert_true(v.z_growth > 5 && v.growth > 2);
	}
	/* In the middle of the others; all equal; too few. */
	v = (struct contrast_verdict){.outcome = CONTRAST_EQUAL};
	contrast_growth(&c, fresh, 20, old, 20, &v);
	assert_true(fabs(v.z_growth) < 3);
	assert_int_equal(c.growth_hours, 0);
	contrast_growth(&c, same, 10, same + 10, 10, &v);
	assert_true(v.z_growth == 0);
	contrast_growth(&c, fresh, 7, same, 20, &v);
	assert_int_equal(v.outcome, CONTRAST_EQUAL);
}

static struct contrast_verdict versions(
	size_t fresh, size_t old, double pct, double apart, unsigned *ret_growing)
{
	struct contrast_verdict v = {0};
	struct contrast c;
	struct fleet f, g;

	contrast_init(&c);
	fleet_make(&f, 20, fresh, 1e9);
	fleet_make(&g, 21, old, 1e9);
	*ret_growing = 0;
	for (unsigned h = 0; h < 168; h++) {
		for (size_t i = 0; i < fresh; i++)
			f.drift[i] = apart + h * pct / 100;
		assert_int_equal(contrast_add(&c, MONDAY + h, fleet_hour(&f, day_shape(h))->hosts,
					 fleet_hour(&g, day_shape(h))->hosts, &v),
			0);
		assert_true(isfinite(v.z) && isfinite(v.theta) && isfinite(v.z_grown));
		if (v.outcome == CONTRAST_GROWING && !*ret_growing)
			*ret_growing = h;
	}
	assert_int_equal(contrast_add(&c, MONDAY, f.row.hosts, g.row.hosts, &v), -ESTALE);
	assert_int_equal(contrast_add(&c, MONDAY + 168, f.row.hosts, g.row.hosts, &v), 0);
	return v;
}

static void versions_are_held_against_each_other(void **state)
{
	unsigned growing;
	struct contrast_verdict v = versions(40, 200, 0, 0, &growing);

	assert_int_equal(v.outcome, CONTRAST_EQUAL);
	assert_int_equal(growing, 0);
	v = versions(40, 200, .1, 0, &growing);
	assert_int_equal(v.outcome, CONTRAST_GROWING);
	assert_in_range(growing, 24, 120);
	assert_true(v.theta > .9 && v.excess > 20);
	/* Larger machines from the start: above, not growing. */
	v = versions(40, 200, 0, .2, &growing);
	assert_int_equal(v.outcome, CONTRAST_ABOVE);
	assert_int_equal(growing, 0);
	/* Smaller ones that leak. */
	versions(40, 200, .2, -.1, &growing);
	assert_true(growing > 24);
	v = versions(40, 200, -.2, 0, &growing);
	assert_int_equal(v.outcome, CONTRAST_EQUAL);
	v = versions(CONTRAST_MIN_HOSTS - 1, 200, .5, 0, &growing);
	assert_int_equal(v.outcome, CONTRAST_FEW_HOSTS);
	v = versions(0, 0, 0, 0, &growing);
	assert_int_equal(v.outcome, CONTRAST_FEW_HOSTS);
}

/* All in one bucket: no rank says anything, and nothing is divided by zero. */
static void ties_are_equal(void **state)
{
	static uint32_t hosts[PIVOT_FINE];
	struct contrast_verdict v;
	struct contrast c;

	contrast_init(&c);
	hosts[100] = 30;
	for (unsigned h = 1; h < 50; h++) {
		assert_int_equal(contrast_add(&c, h, hosts, hosts, &v), 0);
		assert_int_equal(v.outcome, CONTRAST_EQUAL);
		assert_true(v.z == 0 && v.theta == .5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket_and_edge_agree),
		cmocka_unit_test(buckets_never_fall),
		cmocka_unit_test(hosts_count_once_and_cumulatively),
		cmocka_unit_test(hosts_move_up_never_down),
		cmocka_unit_test(the_hour_starts_over),
		cmocka_unit_test(components_have_a_ceiling),
		cmocka_unit_test(hosts_count_once_over_many_batches),
		cmocka_unit_test(host_zero_is_a_host),
		cmocka_unit_test(fine_buckets_are_fine),
		cmocka_unit_test(columns_count_as_single_samples_do),
		cmocka_unit_test(all_hosts_growing_are_found),
		cmocka_unit_test(one_host_of_twenty_growing_is_found),
		cmocka_unit_test(one_single_host_is_never_found),
		cmocka_unit_test(small_and_large_components_are_alike),
		cmocka_unit_test(the_largest_bucket_is_reported),
		cmocka_unit_test(noise_that_lasts_does_not_alarm),
		cmocka_unit_test(a_mass_drop_does_not_alarm),
		cmocka_unit_test(more_hosts_do_not_alarm),
		cmocka_unit_test(days_do_not_alarm_and_are_learned),
		cmocka_unit_test(weeks_do_not_alarm),
		cmocka_unit_test(a_rise_over_the_whole_window_is_found),
		cmocka_unit_test(relearning_accepts_a_new_level),
		cmocka_unit_test(few_hosts_go_to_localize),
		cmocka_unit_test(nothing_and_extremes_are_numbers),
		cmocka_unit_test(bursts_do_not_alarm),
		cmocka_unit_test(a_state_that_came_back_goes_on),
		cmocka_unit_test(versions_are_held_against_each_other),
		cmocka_unit_test(ties_are_equal),
		cmocka_unit_test(growth_is_contrasted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
