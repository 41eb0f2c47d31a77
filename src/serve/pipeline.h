/*
 * The server's stages joined: batches in, tickets and orders out.
 *
 * One thread, no socket: serve/http.c feeds it, tests drive it with a clock of their own.
 * Everything that it decides is written to the store before anybody is told.
 */
#ifndef RESIN_SERVE_PIPELINE_H
#define RESIN_SERVE_PIPELINE_H

#include "base/clock.h"
#include "campaign/campaign.h"
#include "ingest/head.h"
#include "localize/localize.h"
#include "serve/fleet.h"
#include "serve/watch.h"
#include "wire/messages.h"

struct pipeline_settings {
	struct localize_rules localize;
	uint64_t step_ns, retention_ns;
	uint64_t hour_ns; /* of the watch over weeks; 3600 s but for tests */
	uint64_t campaign_duration_ns, campaign_period_bytes, campaign_attempts, campaign_expiry_ns,
		campaign_per_hour;
};

struct pipeline {
	const struct clock *clock;
	struct store *store;
	struct pipeline_settings set;
	struct head head;
	struct watch watch;
	struct fleet fleet;
	struct ticket *tickets;
	size_t n_tickets, cap_tickets;
	struct order *orders;
	size_t n_orders, cap_orders;
	uint64_t pace_until_mono_ns; /* 0: pace 1 for good */
	uint64_t started_unix_ns, last_housekeeping_mono_ns;
};

must_check int pipeline_init(struct pipeline *p, struct store *store, const struct clock *clock,
	const struct pipeline_settings *set, struct err *err);
void pipeline_done(struct pipeline *p);
/* Before a clean stop: what would have to be learnt anew otherwise. */
must_check int pipeline_save(struct pipeline *p, struct err *err);

/* What an agent sent. All fill `reply`, whose orders point into `orders` (WIRE_MAX_ORDERS). */
must_check int pipeline_samples(struct pipeline *p, const struct batch *b, struct reply *reply,
	struct order *orders, struct err *err);
must_check int pipeline_report(struct pipeline *p, const struct report *r, struct err *err);
/* `bytes` is the encoded form of `profile`, and is what is kept. */
must_check int pipeline_profile(struct pipeline *p, const struct profile *profile,
	const void *bytes, size_t n, struct err *err);

#define PIPELINE_MAX_PACE 1000u
#define PIPELINE_MAX_PACE_SECONDS 900u
/* All periods `pace` times shorter for a while; 1 ends it. */
must_check int pipeline_set_pace(
	struct pipeline *p, uint64_t pace, uint64_t seconds, struct err *err);

/* To be called about once a second: expiry of orders, end of the pace and of hours, retention. */
must_check int pipeline_tick(struct pipeline *p, struct err *err);

struct ticket *pipeline_ticket(struct pipeline *p, uint64_t id);

#endif
