/*
 * History: foreign samples, in any order, as hourly cells by entity.
 *
 * An entity is host, component and process. Successive processes of one component on one host that
 * do not overlap are the lives of one chain: a restart does not begin a new entity for the
 * detector. Owns everything; strings are the caller's ids. Not thread safe. Duplicates and any
 * order change nothing: a cell is the least value, the mean load and the latest limit of its hour.
 */
#ifndef RESIN_INGEST_HISTORY_H
#define RESIN_INGEST_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"

/* Entities (a track of each is 5 KB), hours between the first and the last sample of one (400
 * days), and hours of all together (24 bytes each). */
#define HISTORY_MAX_ENTITIES (1u << 18)
#define HISTORY_MAX_HOURS 9600u
#define HISTORY_MAX_CELLS (1u << 26)
/* A process that starts later after another one's end is not its next life. */
#define HISTORY_RESTART_HOURS 24u

struct history_cell {
	double least_bytes; /* NAN: nothing seen */
	double load_sum;    /* of n_load values */
	uint32_t n_load;
};

struct history_entity {
	uint32_t host, component, process, version; /* version: the latest */
	uint64_t first_hour;			    /* since the epoch */
	struct history_cell *cells;
	size_t n, cap;
	uint64_t latest_ns, samples;
	uint64_t limit_bytes, limit_ns; /* the latest that is known, and of when; 0: none */
	size_t next_life; /* index of the entity that goes on where this one ends, or SIZE_MAX */
	bool is_later_life;
};

struct history {
	uint64_t hour_ns;
	struct history_entity *entities;
	size_t n, cap;
	struct map index;
	size_t cells;	  /* of all entities */
	uint64_t too_far; /* samples beyond HISTORY_MAX_HOURS */
	uint64_t crowded; /* samples beyond HISTORY_MAX_ENTITIES or HISTORY_MAX_CELLS */
};

/* `hour_ns`: how long an hour is, > 0; 3600 s but for tests. */
void history_init(struct history *h, uint64_t hour_ns);
void history_done(struct history *h);

struct history_sample {
	uint32_t host, component, process, version;
	uint64_t unix_ns, bytes, limit_bytes;
	float load; /* NAN: none */
};

/* Returns 0 or -ENOMEM; what is beyond a ceiling is counted. */
must_check int history_add(struct history *h, const struct history_sample *s, struct err *err);

/* To be called once, after the last sample: joins lives into chains. Returns 0 or -ENOMEM. */
must_check int history_join(struct history *h, struct err *err);

#endif
