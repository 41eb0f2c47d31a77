/*
 * A ticket: one leak of one component on one host, with its evidence and its life.
 */
#ifndef RESIN_MODEL_TICKET_H
#define RESIN_MODEL_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "model/detection.h"
#include "model/proc-id.h"
#include "model/suspect.h"

#define TICKET_STATES(X)                                                                        \
	X(OPEN, "open")		      /* detected; no diagnosis yet */                          \
	X(PROFILING, "profiling")     /* an order is under way */                               \
	X(DIAGNOSED, "diagnosed")     /* a stack is named */                                    \
	X(UNDIAGNOSED, "undiagnosed") /* looked, or was not allowed to look: `note` says why */ \
	X(CLOSED, "closed")

enum ticket_state {
#define X(id, name) TICKET_##id,
	TICKET_STATES(X)
#undef X
		TICKET_STATE_MAX_
};

/* Who saw it first. */
#define TICKET_SEEN_BY(X)                                                                          \
	X(MINUTES, "minutes") /* its steps of the last hours: fast growth */                       \
	X(HOURS, "hours")     /* its hourly minima over weeks */                                   \
	X(FLEET, "fleet")     /* more hosts than ever have a process of that component so large */ \
	X(VERSION, "version") /* hosts with the new version grow away from those with the old one  \
			       */

enum ticket_seen_by {
#define X(id, name) TICKET_SEEN_BY_##id,
	TICKET_SEEN_BY(X)
#undef X
		TICKET_SEEN_BY_MAX_
};

/* What the component as a whole does. */
struct fleet_evidence {
	uint32_t hosts, count; /* that run it, and at or above the edge */
	uint64_t edge_bytes;
	double expected, z; /* hosts there, by the baseline or the old version */
	uint64_t since_unix_ns;
	double growth_bytes_per_day;  /* more than the old version */
	char version[80], before[80]; /* contrasted; "": none */
};

struct ticket {
	uint64_t id;
	enum ticket_state state;
	char host[HOST_NAME_MAX_BYTES];
	struct proc_id process;
	uint64_t entity_id;
	char component[256];
	char version[80];
	struct suspect suspect; /* the numbers at opening, refreshed while it is open */
	uint64_t opened_unix_ns, updated_unix_ns, closed_unix_ns;
	uint64_t order_id;   /* of the last campaign, 0 = none */
	uint64_t profile_id; /* 0 = none */
	uint32_t attempts;   /* campaigns so far */
	uint64_t pace;	     /* the pace at which it was judged */
	char note[320];
	/* From here on since schema 2 of the store. */
	enum ticket_seen_by seen_by;
	struct detection detection;  /* by hours; n_reasons 0: none */
	struct fleet_evidence fleet; /* hosts 0: none */
};

const char *ticket_state_name(enum ticket_state s);
const char *ticket_seen_by_name(enum ticket_seen_by s);
bool ticket_state_from_name(const char *name, enum ticket_state *ret);

#endif
