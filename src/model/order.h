/*
 * An order: what the server asks of one host about one process, and how far that got.
 *
 * An order is bound to a boot, a pid and a start time, carries a nonce and an expiry, and is valid
 * once. It moves only along the arrows of order_may_become(); the last five states are final.
 */
#ifndef RESIN_MODEL_ORDER_H
#define RESIN_MODEL_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "model/proc-id.h"

#define ORDER_STATES(X)                                                                        \
	X(PENDING, "pending")	/* made, not yet given to the agent */                         \
	X(SENT, "sent")		/* in a reply to the agent */                                  \
	X(ACCEPTED, "accepted") /* the agent checked it and asked the helper */                \
	X(RUNNING, "running")	/* the helper is at work */                                    \
	X(DONE, "done")		/* a profile came back */                                      \
	X(REFUSED, "refused")	/* the host's policy or the state of the process forbids it */ \
	X(FAILED, "failed")	/* it was tried and did not work */                            \
	X(EXPIRED, "expired")	/* nobody carried it out in time */                            \
	X(CANCELLED, "cancelled")

enum order_state {
#define X(id, name) ORDER_##id,
	ORDER_STATES(X)
#undef X
		ORDER_STATE_MAX_
};

enum order_kind { ORDER_KIND_PROFILE = 1, ORDER_KIND_MAX_ };

#define ORDER_NONCE_BYTES 16

struct order {
	uint64_t id;
	uint8_t nonce[ORDER_NONCE_BYTES];
	enum order_kind kind;
	enum order_state state;
	char host[HOST_NAME_MAX_BYTES];
	struct proc_id target;
	uint64_t issued_unix_ns, expires_unix_ns;
	uint64_t duration_ns;	      /* how long to sample */
	uint64_t sample_period_bytes; /* mean distance of samples */
	uint64_t ticket_id;
	char reason[320]; /* of the last change of state */
};

const char *order_state_name(enum order_state s);
bool order_state_from_name(const char *name, enum order_state *ret);
bool order_is_final(enum order_state s);
bool order_may_become(enum order_state from, enum order_state to);

#endif
