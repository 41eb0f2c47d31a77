/*
 * Campaigns: when to look into a suspect, and the orders that do it. Pure: no clock, no randomness
 * of its own.
 */
#ifndef RESIN_CAMPAIGN_CAMPAIGN_H
#define RESIN_CAMPAIGN_CAMPAIGN_H

#include "model/order.h"
#include "model/ticket.h"

struct campaign_rules {
	uint64_t duration_ns, min_duration_ns;
	uint64_t period_bytes; /* the largest */
	uint64_t expiry_ns;
	uint64_t per_hour; /* how many may start within an hour */
	uint64_t pace;
};

/* May another one start, with these orders in the books? `why` (at least 120 bytes) when not. */
bool campaign_may_start(const struct campaign_rules *r, const struct order *orders, size_t n,
	const struct ticket *t, uint64_t now_ns, char *why, size_t why_size);

/* The order for a ticket; id 0, state pending. */
void campaign_order(const struct campaign_rules *r, const struct ticket *t,
	const uint8_t nonce[ORDER_NONCE_BYTES], uint64_t now_ns, struct order *o);

/* Moves an order if the arrow exists; false when it does not (an old or a false report). */
bool campaign_move(struct order *o, enum order_state to, const char *reason);

/* True when nobody has carried it out in time. */
bool campaign_overdue(const struct order *o, uint64_t now_ns);

#endif
