/*
 * The fleet: each component as a whole, hour by hour: is it larger on more hosts than ever, does
 * its new version grow away from the old one?
 *
 * Counts hosts per component and bucket, and per version, in the hour that is going on (pivot.h);
 * when the server's clock says that it is over, anomaly.h judges each component with enough hosts.
 * What was learnt is written every hour; a restart costs the counts of the hour that is going on,
 * which the next batches bring back.
 *
 * Ceilings: FLEET_MAX_COMPONENTS components; 15 KB for each that runs on ANOMALY_MIN_HOSTS hosts.
 * One thread.
 */
#ifndef RESIN_SERVE_FLEET_H
#define RESIN_SERVE_FLEET_H

#include "base/map.h"
#include "pivot/anomaly.h"
#include "pivot/contrast.h"
#include "store/store.h"

#define FLEET_MAX_COMPONENTS (PIVOT_MAX_COMPONENTS / 2)
#define FLEET_VERSIONS 4u
/* Processes younger than that do not stand for their version: what starts anew is small. */
#define FLEET_WARM_HOURS 12u

struct fleet_version {
	char name[80];
	uint64_t first_hour, last_hour;
	uint32_t hosts; /* in the last hour */
};

/* Written as it is. */
struct fleet_versions {
	uint32_t n, fresh, old; /* the latter: indices of those that are contrasted; n: none */
	struct fleet_version v[FLEET_VERSIONS];
	struct contrast contrast;
};

struct fleet_component {
	char name[256];
	uint64_t key;
	uint32_t hosts;		 /* in the last hour */
	struct anomaly *anomaly; /* NULL: never on enough hosts */
	struct anomaly_verdict verdict;
	struct fleet_versions versions;
	struct contrast_verdict contrast;
	bool due; /* judged since fleet_next_due() */
};

struct fleet {
	struct store *store;
	uint64_t hour_ns, hour; /* that is going on; 0: none yet */
	struct pivot pivot;
	struct fleet_component *v;
	size_t n, cap;
	struct map index;
	uint64_t dropped;
	size_t next_due;
};

void fleet_init(struct fleet *f, struct store *store, uint64_t hour_ns);
void fleet_done(struct fleet *f);
must_check int fleet_load(struct fleet *f, struct err *err);

/* The server's clock; judges and writes the hour that is over. */
must_check int fleet_time(struct fleet *f, uint64_t now_ns, struct err *err);

/* A process of this component on this host, in the hour that is going on. What is past a ceiling is
 * counted. `version`: "" is unknown. */
void fleet_see(struct fleet *f, const char *host, const char *component, const char *version,
	uint64_t age_ns, uint64_t bytes);

/* Components that were judged since, each once; NULL: no more. */
struct fleet_component *fleet_next_due(struct fleet *f);

/* The names of the versions that are contrasted; false: none are. */
bool fleet_contrasted(
	const struct fleet_component *c, const char **ret_fresh, const char **ret_old);

#endif
