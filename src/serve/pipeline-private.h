/*
 * What the files of the pipeline share: tickets as they are opened and closed.
 */
#ifndef RESIN_SERVE_PIPELINE_PRIVATE_H
#define RESIN_SERVE_PIPELINE_PRIVATE_H

#include "serve/pipeline.h"

/* The ticket that is open for a component on a host; NULL: none. */
struct ticket *pipeline_covering(struct pipeline *p, const char *host, const char *component);
/* Open tickets of a component, over all hosts; more than that are not opened: they would say the
 * same, and three profiles are enough. What else leaks of it is in `resin top`. */
#define TICKETS_OF_COMPONENT 3u
unsigned pipeline_tickets_of(const struct pipeline *p, const char *component);
/* Stores a new ticket and takes it over; `ret` is good until the next one. */
must_check int pipeline_open_ticket(
	struct pipeline *p, struct ticket *fresh, struct ticket **ret, struct err *err);
must_check int pipeline_close_ticket(
	struct pipeline *p, struct ticket *t, const char *why, struct err *err);
must_check int pipeline_start_campaign(struct pipeline *p, struct ticket *t, struct err *err);
/* The ticket's process was in its host's last batch. */
bool pipeline_is_there(struct pipeline *p, const struct ticket *t);

/* What the hours that have just ended say; to be called after a batch. */
must_check int pipeline_judge_hours(struct pipeline *p, struct err *err);
/* What the fleet's hour says, if one has ended; to be called once a second. */
must_check int pipeline_judge_fleet(struct pipeline *p, struct err *err);

#endif
