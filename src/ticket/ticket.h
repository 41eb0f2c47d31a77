/*
 * The life of a ticket. Pure: who calls gives the time and writes the result down.
 *
 *   open -> profiling -> diagnosed | undiagnosed -> closed
 *             ^  |  a campaign failed: open again, until the attempts are used up
 *
 * One ticket for a component on a host at a time; a second leaking instance does not open another.
 */
#ifndef RESIN_TICKET_TICKET_H
#define RESIN_TICKET_TICKET_H

#include "model/ticket.h"

/* Fills a new ticket. */
void ticket_begin(struct ticket *t, const char *host, const struct proc_id *process,
	const char *component, const char *version, const struct suspect *s, uint64_t now_ns);

/* True when a leak of this component on this host belongs to the ticket already. */
bool ticket_covers(const struct ticket *t, const char *host, const char *component);

/* Another process of the component leaks on after the first is gone. A diagnosis stays; without one
 * the attempts begin anew. */
void ticket_adopt(struct ticket *t, const struct proc_id *process, uint64_t entity_id,
	const char *version, const struct suspect *s, uint64_t now_ns);

void ticket_campaign_started(struct ticket *t, uint64_t order_id, uint64_t now_ns);
/* `final`: trying again is no use (the policy forbids it, the process is gone). */
void ticket_campaign_failed(
	struct ticket *t, const char *why, bool final, uint64_t max_attempts, uint64_t now_ns);
void ticket_diagnosed(struct ticket *t, uint64_t profile_id, const char *headline, uint64_t now_ns);
void ticket_close(struct ticket *t, const char *why, uint64_t now_ns);

#endif
