#include "recording.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 12u
#define HEAD_TRUTH                                                                            \
	"program,component,host,held_out,leaks,start_hour,bytes_per_hour,grown_per_hour,how," \
	"version,date"
#define HEAD_SERIES "time,host,component,process,version,bytes,requests"

static void *get(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

struct entity_series *recording_of(const struct recording *r, const struct recorded_series *s)
{
	return &r->group[s->group].entity[s->entity];
}

static size_t number(const char *text)
{
	return (size_t)strtoul(text, NULL, 10);
}

/* The rows are sorted: what belongs together comes one after the other. */
static bool add_subject(struct recording *r, char **field)
{
	struct recorded_program *p = r->programs ? &r->program[r->programs - 1] : NULL;
	struct recorded_series *s = &r->series[r->n_series];
	struct entity_series *e;

	if (r->n_series == RECORDING_SERIES)
		return false;
	if (!p || strcmp(p->name, field[0])) {
		if (r->programs == RECORDING_PROGRAMS)
			return false;
		p = &r->program[r->programs++];
		snprintf(p->name, sizeof(p->name), "%s", field[0]);
		p->held = number(field[3]);
	}
	if (!r->n_series || strcmp(s[-1].component, field[1])) {
		r->group[r->groups] = (struct group){.step_s = 3600};
		r->group[r->groups++].entity = get(RECORDING_SERIES, sizeof(*e));
	}
	s->program = r->programs - 1;
	s->group = r->groups - 1;
	s->entity = r->group[s->group].n_entities++;
	snprintf(s->component, sizeof(s->component), "%s", field[1]);
	snprintf(s->how, sizeof(s->how), "%s", field[8]);
	s->bytes_per_hour = strtod(field[6], NULL);
	s->grown_per_hour = *field[7] ? strtod(field[7], NULL) : NAN;
	e = recording_of(r, s);
	snprintf(e->host, sizeof(e->host), "%s", field[2]);
	e->leaks = number(field[4]);
	e->leak_start = e->leaks ? number(field[5]) : RECORDING_HOURS;
	e->bytes = get(RECORDING_HOURS, sizeof(*e->bytes));
	e->load = get(RECORDING_HOURS, sizeof(*e->load));
	e->generation = get(RECORDING_HOURS, sizeof(*e->generation));
	for (size_t h = 0; h < RECORDING_HOURS; h++)
		e->bytes[h] = e->load[h] = NAN;
	r->n_series++;
	return true;
}

static bool add_hour(struct recording *r, char **field)
{
	size_t h = number(field[0]) / 3600;

	for (size_t i = 0; i < r->n_series; i++) {
		struct recorded_series *s = &r->series[i];
		struct entity_series *e = recording_of(r, s);

		if (strcmp(s->component, field[2]) || strcmp(e->host, field[1]))
			continue;
		if (h >= RECORDING_HOURS)
			return false;
		e->bytes[h] = strtod(field[5], NULL);
		e->load[h] = strtod(field[6], NULL);
		/* Also of the hours behind, which may be missing. */
		for (size_t k = h; k < RECORDING_HOURS; k++)
			e->generation[k] = (uint32_t)number(field[3]);
		if (h >= r->group[s->group].n)
			r->group[s->group].n = h + 1;
		return true;
	}
	return false;
}

static int read_csv(struct recording *r, const char *folder, const char *name, const char *head,
	size_t fields, bool (*add)(struct recording *, char **))
{
	char path[4096], line[512], *field[FIELDS];
	size_t lines = 0;
	bool good = true;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.csv", folder, name);
	f = fopen(path, "r");
	if (!f) {
		perror(path);
		return -1;
	}
	while (good && fgets(line, sizeof(line), f)) {
		char *rest = line;
		size_t n = 0;

		line[strcspn(line, "\n")] = '\0';
		if (!lines++) {
			good = !strcmp(line, head);
			continue;
		}
		while (rest && n < FIELDS)
			field[n++] = strsep(&rest, ",");
		good = n == fields && add(r, field);
	}
	fclose(f);
	if (good && lines > 1)
		return 0;
	fprintf(stderr, "accuracy: %s: line %zu is not as expected\n", path, lines);
	return -1;
}

int recording_read(const char *folder, struct recording *r)
{
	*r = (struct recording){0};
	int rc = read_csv(r, folder, "truth", HEAD_TRUTH, 11, add_subject);

	for (size_t p = 0; !rc && p < r->programs; p++)
		rc = read_csv(r, folder, r->program[p].name, HEAD_SERIES, 7, add_hour);
	for (size_t i = 0; !rc && i < r->n_series; i++) {
		struct entity_series *e = recording_of(r, &r->series[i]);
		size_t hours = r->group[r->series[i].group].n;

		if (!hours || (e->leaks && e->leak_start >= hours)) {
			fprintf(stderr, "accuracy: no series of %s/%s\n", r->series[i].component,
				e->host);
			rc = -1;
		}
		e->leak_start = e->leaks ? e->leak_start : hours;
	}
	if (rc < 0)
		recording_done(r);
	return rc;
}

void recording_done(struct recording *r)
{
	for (size_t i = 0; i < r->n_series; i++) {
		struct entity_series *e = recording_of(r, &r->series[i]);

		free(e->bytes);
		free(e->load);
		free(e->generation);
	}
	for (size_t g = 0; g < r->groups; g++)
		free(r->group[g].entity);
	*r = (struct recording){0};
}
