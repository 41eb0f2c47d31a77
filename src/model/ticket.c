#include "model/ticket.h"

#include <string.h>

static const char *const names[TICKET_STATE_MAX_] = {
#define X(id, name) name,
	TICKET_STATES(X)
#undef X
};

const char *ticket_state_name(enum ticket_state s)
{
	return names[s];
}

const char *ticket_seen_by_name(enum ticket_seen_by s)
{
	static const char *const by[TICKET_SEEN_BY_MAX_] = {
#define X(id, name) name,
		TICKET_SEEN_BY(X)
#undef X
	};

	return by[s];
}

bool ticket_state_from_name(const char *name, enum ticket_state *ret)
{
	for (int i = 0; i < TICKET_STATE_MAX_; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum ticket_state)i;
			return true;
		}
	}
	return false;
}
