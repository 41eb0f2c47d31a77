/*
 * How long the pivot takes per sample, on one core.
 *
 *   pivot-speed [SAMPLES.csv]	also writes the same samples for another engine to aggregate
 *
 * One hour of 1,000 hosts with 100 components each, a sample a minute, in the order in which agents
 * send them: minute, host, component. Prints the best of 5 rounds, and what any engine must find.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/accuracy/generate.h"
#include "pivot/anomaly.h"

#define HOSTS 1000u
#define COMPONENTS 100u
#define MINUTES 60u
#define CELLS (HOSTS * COMPONENTS)
#define SAMPLES ((size_t)CELLS * MINUTES)
#define ROUNDS 5
#define HOUR 500000u

struct samples {
	uint64_t *bytes;
	uint32_t *cell; /* of one minute: all are alike */
	struct pivot pivot;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(int r)
{
	if (r < 0)
		abort();
}

static uint64_t component_id(uint32_t c)
{
	return c * 0x9e3779b97f4a7c15u + 1;
}

/* A name's hash in real life; spread here as such a hash is. */
static uint64_t host_id(uint32_t h)
{
	return (h + 1) * 0xbf58476d1ce4e5b9u;
}

static void bucketize(struct samples *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SAMPLES; i++)
		sum += pivot_fine(s->bytes[i]);
	__asm__ volatile("" : : "r"(sum));
}

static void look_up(struct samples *s, uint64_t hour)
{
	for (uint32_t h = 0; h < HOSTS; h++)
		for (uint32_t c = 0; c < COMPONENTS; c++)
			must(pivot_cell(&s->pivot, hour, component_id(c), host_id(h),
				&s->cell[h * COMPONENTS + c]));
}

static void columns(struct samples *s, uint64_t hour)
{
	for (size_t m = 0; m < MINUTES; m++)
		for (size_t h = 0; h < HOSTS; h++) {
			size_t at = h * COMPONENTS;

			must(pivot_add_column(&s->pivot, hour, &s->cell[at],
				&s->bytes[m * CELLS + at], COMPONENTS));
		}
}

static void one_by_one(struct samples *s, uint64_t hour)
{
	const uint64_t *bytes = s->bytes;

	for (uint32_t m = 0; m < MINUTES; m++)
		for (uint32_t h = 0; h < HOSTS; h++)
			for (uint32_t c = 0; c < COMPONENTS; c++)
				must(pivot_add(
					&s->pivot, hour, component_id(c), host_id(h), *bytes++));
}

static void write_csv(const struct samples *s, const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		exit(2);
	}
	fputs("component,host,bytes\n", f);
	for (size_t i = 0; i < SAMPLES; i++)
		fprintf(f, "%zu,%zu,%llu\n", i % COMPONENTS, i / COMPONENTS % HOSTS,
			(unsigned long long)s->bytes[i]);
	fclose(f);
}

static void print_truth(const struct pivot *p)
{
	uint64_t cells = 0, sum = 0, hosts = 0;

	for (size_t r = 0; r < p->n_rows; r++)
		for (unsigned f = 0; f < PIVOT_FINE; f++) {
			cells += p->rows[r].hosts[f] > 0;
			hosts += p->rows[r].hosts[f];
			sum += (uint64_t)f * p->rows[r].hosts[f];
		}
	printf("result: %llu groups, %llu hosts, sum of bucket x hosts %llu\n",
		(unsigned long long)cells, (unsigned long long)hosts, (unsigned long long)sum);
}

static double anomaly_ns(const struct pivot *p)
{
	struct anomaly *a = malloc(p->n_rows * sizeof(*a));
	struct anomaly_verdict v;
	double t;

	if (!a)
		abort();
	for (size_t r = 0; r < p->n_rows; r++)
		anomaly_init(&a[r]);
	for (uint64_t h = 1; h <= 100; h++)
		for (size_t r = 0; r < p->n_rows; r++)
			must(anomaly_add(&a[r], h, &p->rows[r], 0, &v));
	t = now_ns();
	for (uint64_t h = 101; h <= 200; h++)
		for (size_t r = 0; r < p->n_rows; r++)
			must(anomaly_add(&a[r], h, &p->rows[r], 0, &v));
	t = now_ns() - t;
	free(a);
	return t / (100. * (double)p->n_rows);
}

int main(int argc, char **argv)
{
	struct samples s = {0};
	double best[4] = {1e18, 1e18, 1e18, 1e18};
	uint64_t seed = 1, hour = HOUR;

	s.bytes = malloc(SAMPLES * sizeof(*s.bytes));
	s.cell = malloc(CELLS * sizeof(*s.cell));
	if (!s.bytes || !s.cell)
		abort();
	for (size_t i = 0; i < SAMPLES; i++) {
		uint64_t base = (uint64_t)4 << 20 << i % COMPONENTS / 8; /* 4 MiB to 16 GiB */

		s.bytes[i] = base + draw(&seed) % base;
	}
	pivot_init(&s.pivot);
	for (int round = 0; round < ROUNDS; round++) {
		double t[6];

		t[0] = now_ns();
		bucketize(&s);
		t[1] = now_ns();
		one_by_one(&s, hour++);
		t[2] = now_ns();
		look_up(&s, hour);
		t[3] = now_ns();
		columns(&s, hour++);
		t[4] = now_ns();
		best[0] = t[1] - t[0] < best[0] ? t[1] - t[0] : best[0];
		best[1] = t[4] - t[3] < best[1] ? t[4] - t[3] : best[1];
		best[2] = t[4] - t[2] < best[2] ? t[4] - t[2] : best[2];
		best[3] = t[2] - t[1] < best[3] ? t[2] - t[1] : best[3];
	}
	printf("%zu samples of one hour, one core, best of %d; ns per sample\n", SAMPLES, ROUNDS);
	printf("  %-52s %6.2f\n", "bucket of a sample", best[0] / (double)SAMPLES);
	printf("  %-52s %6.2f\n", "columns into distinct hosts, cells known",
		best[1] / (double)SAMPLES);
	printf("  %-52s %6.2f\n", "the hour from nothing: cells looked up once, columns",
		best[2] / (double)SAMPLES);
	printf("  %-52s %6.2f\n", "one call and two hashes per sample (pivot_add)",
		best[3] / (double)SAMPLES);
	printf("  %-52s %6.0f\n", "a finished hour of one component (anomaly_add)",
		anomaly_ns(&s.pivot));
	printf("  struct anomaly: %zu bytes, struct pivot_row: %zu bytes\n", sizeof(struct anomaly),
		sizeof(struct pivot_row));
	print_truth(&s.pivot);
	if (argc > 1)
		write_csv(&s, argv[1]);
	pivot_done(&s.pivot);
	free(s.bytes);
	free(s.cell);
	return 0;
}
