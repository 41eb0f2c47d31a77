#include "trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p) {
		fputs("accuracy: out of memory\n", stderr);
		exit(2);
	}
	return p;
}

/*
 * The rules were measured on 5-minute medians, we have means. A reading is a whole percent, so the
 * median is (nearly always) one too: the rounded mean stands for it.
 */
static double as_median(double bytes, double limit)
{
	return round(bytes / limit * 100) / 100 * limit;
}

static struct entity_series *machine_named(struct group *g, const char *host, long t, long *first)
{
	for (size_t e = g->n_entities; e-- > 0;)
		if (!strcmp(g->entity[e].host, host))
			return &g->entity[e];
	if (g->n_entities == TRACE_MACHINES_MAX)
		return NULL;
	struct entity_series *m = &g->entity[g->n_entities];

	first[g->n_entities++] = t;
	memset(m, 0, sizeof(*m));
	snprintf(m->host, sizeof(m->host), "%s", host);
	m->leak_start = g->n;
	m->bytes = must(malloc(g->n * sizeof(*m->bytes)));
	for (size_t i = 0; i < g->n; i++)
		m->bytes[i] = NAN;
	return m;
}

/* Every machine on its own grid, from its first reading. */
int trace_read(const char *path, struct group *g)
{
	long first[TRACE_MACHINES_MAX];
	char line[256];
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		char host[24];
		double bytes, limit;
		long t;

		if (sscanf(line, "%ld,%23[^,],%*[^,],%*[^,],%lf,%lf", &t, host, &bytes, &limit) !=
			4)
			continue;
		struct entity_series *m = machine_named(g, host, t, first);

		if (!m)
			break;
		long i = (t - first[m - g->entity]) / TRACE_STEP_S;

		m->limit_bytes = limit;
		if (i >= 0 && (size_t)i < g->n)
			m->bytes[i] = as_median(bytes, limit);
	}
	fclose(f);
	if (!g->n_entities) {
		fprintf(stderr, "accuracy: no machines in %s\n", path);
		return -1;
	}
	return 0;
}

/* The background halved, and, from the ramp's hour on, pct of the limit per hour on top. */
void trace_halve_and_ramp(const struct entity_series *from, double *to, double pct)
{
	for (size_t i = 0; i < TRACE_STEPS; i++) {
		double h = (double)i / TRACE_PER_HOUR - TRACE_LEAK_HOUR;

		to[i] = from->bytes[i] / 2 + (h > 0 ? h * pct / 100 * from->limit_bytes : 0);
	}
}

void trace_halve_and_add(const struct entity_series *from, double *to, const double *share)
{
	for (size_t i = 0; i < TRACE_STEPS; i++)
		to[i] = from->bytes[i] / 2 + share[i] * from->limit_bytes;
}
