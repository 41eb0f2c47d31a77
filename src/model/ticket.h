/*
 * A ticket: one leak of one component on one host, with its evidence and its life.
 */
#ifndef RESIN_MODEL_TICKET_H
#define RESIN_MODEL_TICKET_H

#include <stdbool.h>
#include <stdint.h>

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
};

const char *ticket_state_name(enum ticket_state s);
bool ticket_state_from_name(const char *name, enum ticket_state *ret);

#endif
