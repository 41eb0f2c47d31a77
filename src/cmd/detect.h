/*
 * What `resin detect` and `resin explain` share: inputs in, one judged chain of lives per entity.
 *
 * Everything is held in memory: hourly cells (24 bytes an hour and entity) and one track each.
 */
#ifndef RESIN_CMD_DETECT_H
#define RESIN_CMD_DETECT_H

#include <stdio.h>

#include "base/err.h"
#include "ingest/history.h"
#include "ingest/table.h"
#include "localize/judge.h"

struct detect_options {
	enum table_format format;
	const char *time_column;
	const char *const *values; /* wide: columns, NULL at the end */
	enum table_load load;	   /* which of the load columns is regressed on */
	bool any_load;		   /* the first one that has values */
	uint64_t hour_ns;	   /* how long the detector's hour is */
};

struct detected {
	uint32_t host, component, process, version; /* of the latest life */
	struct track track;
	uint64_t end_ns; /* end of the latest hour */
	double limit_bytes;
	unsigned lives;
	struct detection d;
};

struct detect {
	struct detect_options o;
	struct table *table; /* of the input that is being read; then of the last one */
	struct history history;
	char **names; /* ids of names, over all inputs; owned */
	size_t n_names, cap_names;
	struct map name_index;
	uint32_t *translate; /* id of the table -> id in names */
	size_t n_translate, cap_translate;
	struct norm *norms; /* one a component */
	struct detected *v; /* most urgent first */
	size_t n;
	uint64_t rows, skipped;
	uint64_t next_progress_ns;
};

void detect_init(struct detect *d, const struct detect_options *o);
void detect_done(struct detect *d);

/* Reads one input to its end. `name` is for messages. Bad rows are counted and named on stderr. */
must_check int detect_read(struct detect *d, FILE *in, const char *name, struct err *err);
/* The same in pieces, for what does not come from a file. */
must_check int detect_begin(struct detect *d, struct err *err);
must_check int detect_feed(struct detect *d, const void *data, size_t n, struct err *err);
must_check int detect_end(struct detect *d, const char *name, struct err *err);

/* Called for every chain and hour while it is judged; may be NULL. */
typedef void detect_watch(void *arg, const struct detected *v, uint64_t hour_end_ns);

/* Judges what was read, hour after hour in the order of time, all entities of a component beside
 * each other, because they learn from each other. */
must_check int detect_judge(struct detect *d, detect_watch *watch, void *arg, struct err *err);

/* "-" for none. */
const char *detect_name(const struct detect *d, uint32_t id);

#endif
