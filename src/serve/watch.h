/*
 * The watch: every process of the fleet hour by hour, for weeks.
 *
 * Samples are gathered into the hour that is going on at their host; when a batch of a later hour
 * comes, the host's hour is over: it goes to the store and into one track per chain of lives
 * (localize/track.h). A process that is alive at the end of an hour takes over the chain of the one
 * that ended before it began, on the same host and of the same component; a restart is not a cure.
 *
 * Hours are the hosts' own. What lies in an hour that is over, or more than an hour ahead of the
 * server's clock, is counted and left out. What happened up to the last full hour survives kill -9
 * (hours are kept one by one, each chain's state every hour or, of many chains, once a day), the
 * hour that is going on does not.
 *
 * An hour costs O(entities). Ceilings: WATCH_MAX_CHAINS chains of about 5 KB. One thread.
 */
#ifndef RESIN_SERVE_WATCH_H
#define RESIN_SERVE_WATCH_H

#include "base/limits.h"
#include "base/map.h"
#include "localize/judge.h"
#include "store/store.h"

#define WATCH_MAX_CHAINS LIMIT_HEAD_ENTITIES
#define WATCH_MAX_COMPONENTS 16384u
/* Who appears after a longer silence of its host may have begun at any time. */
#define WATCH_SILENCE_HOURS 2u
/* A process that begins later after another one's end does not go on with its chain. */
#define WATCH_RESTART_HOURS 24u
/* Hours that may be missing in a chain; then it is forgotten. */
#define WATCH_GAP_HOURS TRACK_MINIMA

struct watch_component {
	char name[256];
	struct norm norm;
	uint64_t written_hour;
};

struct chain {
	struct store_chain row; /* id, host, component, latest process, last hour in the track */
	size_t component;	/* in watch.components */
	struct track track;
	double limit_bytes; /* 0: none known */
	uint64_t cpu_ns;    /* at the end of that hour; 0: not known */
	bool bound;	    /* a process that was alive at the end of its last hour has it */
	bool closing;	    /* the hour that is being closed is in it */
	bool ticketed;	    /* the pipeline's: a ticket is about it */
};

/* A process in the hour that is going on. */
struct watched {
	uint64_t entity_id, first_seen_ns, last_seen_ns;
	char *name;	     /* of its component; owned */
	struct chain *chain; /* NULL: not alive at the end of an hour yet */
	double least_bytes;  /* NAN: not seen in this hour */
	double limit_bytes;
	uint64_t cpu_ns; /* latest; 0: not known */
	bool born;	 /* it was not there a batch before */
};

struct watch_host {
	char name[HOST_NAME_MAX_BYTES];
	uint64_t hour;		  /* since the epoch; 0: none yet */
	uint64_t last_batch_ns;	  /* of this hour */
	uint64_t batch_before_ns; /* 0: none, or it is long ago */
	struct watched *v;
	size_t n, cap;
	struct map by_entity; /* entity id -> index in v */
	struct chain **chains;
	size_t n_chains, cap_chains;
	struct map by_process; /* latest entity id of a chain -> index in chains */
};

struct watch {
	struct store *store;
	uint64_t hour_ns;
	struct watch_component *components;
	size_t n_components, cap_components;
	struct map by_component;
	struct watch_host **hosts;
	size_t n_hosts, cap_hosts;
	struct map by_host;
	size_t n_chains;
	uint64_t late, early;	 /* batches of an hour that was over, or that is far ahead */
	uint64_t crowded;	 /* processes beyond a ceiling */
	struct watch_host *host; /* of the batch whose samples come now */
	struct chain **due;
	size_t n_due, cap_due;
};

/* `hour_ns`: 3600 s but for tests. */
void watch_init(struct watch *w, struct store *store, uint64_t hour_ns);
void watch_done(struct watch *w);
must_check int watch_load(struct watch *w, struct err *err);
/* Writes every state, for a clean stop. */
must_check int watch_save(struct watch *w, struct err *err);

/* A batch of this host and time has come: 0 take its samples; 1 leave it out. Closes the hour
 * before. `now_ns`: the server's clock. */
must_check int watch_batch(
	struct watch *w, const char *host, uint64_t unix_ns, uint64_t now_ns, struct err *err);

struct watch_sample {
	uint64_t entity_id, first_seen_ns, unix_ns;
	const char *component;
	uint64_t anon_bytes, cpu_ns, limit_bytes; /* the latter two: 0 is unknown */
};
/* One sample of the host of the last watch_batch(). */
must_check int watch_see(struct watch *w, const struct watch_sample *s);

/* Chains that got an hour since, each once; NULL: no more. */
struct chain *watch_next_due(struct watch *w);

/* NULL: none yet. */
struct chain *watch_find(const struct watch *w, const char *host, uint64_t entity_id);

void watch_judge(const struct watch *w, const struct chain *c, struct detection *ret);

/* Days of this chain are known, none of them sees it rise, and it is no larger than it has been in
 * them: what grows within hours is then one of its habits. */
bool watch_has_seen(const struct chain *c, uint64_t bytes);

/* How many bytes more its minima were in the last 12 hours than a day before, without what lives of
 * its component usually add at that age. NAN: too young, or not known. */
double watch_growth_of_day(const struct watch *w, const struct chain *c);

/* Drops chains that nothing can take over any more. */
must_check int watch_forget(struct watch *w, uint64_t now_ns, struct err *err);

#endif
