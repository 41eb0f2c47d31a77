#include "model/order.h"

#include <string.h>

static const char *const names[ORDER_STATE_MAX_] = {
#define X(id, name) name,
	ORDER_STATES(X)
#undef X
};

const char *order_state_name(enum order_state s)
{
	return names[s];
}

bool order_state_from_name(const char *name, enum order_state *ret)
{
	for (int i = 0; i < ORDER_STATE_MAX_; i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum order_state)i;
			return true;
		}
	}
	return false;
}

bool order_is_final(enum order_state s)
{
	return s >= ORDER_DONE;
}

bool order_may_become(enum order_state from, enum order_state to)
{
	if (order_is_final(from))
		return false;
	if (to == ORDER_CANCELLED || to == ORDER_EXPIRED)
		return true;
	/* A report may overtake another on its way, so an arrow may skip states, never go back. */
	return to > from;
}
