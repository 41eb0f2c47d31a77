/*
 * Range queries to Prometheus, and to what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics).
 *
 * POST to URL/api/v1/query_range; the answer is handed on as it arrives and is not kept, so it may
 * be larger than memory. Believes nothing: another program's page, an answer that never ends or
 * that stops coming, and a redirect are errors. Redirects are not followed at all, so a password or
 * token goes to no other host; proxies of the environment are not used. What goes into an error's
 * sentence is made printable, and never has the password or the token in it.
 *
 * Prometheus refuses more than 11,000 steps at once, so a longer range becomes several requests,
 * one after the other, that do not overlap. Each answer is a document of its own: `begin` and `end`
 * are called around its pieces, and a parser (ingest/table.h) has to be made anew for each; a
 * series that lives longer is in several of them.
 *
 * Blocks. One thread; uses no state but libcurl's own.
 */
#ifndef RESIN_CMD_PROMETHEUS_H
#define RESIN_CMD_PROMETHEUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Steps in one request: Prometheus' own ceiling (points of one series). */
#define PROMETHEUS_MAX_POINTS 11000u

/* Requests for one range: 21 years of minutes. More is a step that is too short. */
#define PROMETHEUS_MAX_REQUESTS 1000u

/* One answer, unpacked: 50 million samples (what --query.max-samples allows) of 30 bytes are
 * 1.5 GB. */
#define PROMETHEUS_ANSWER_BYTES (UINT64_C(2) << 30)

/* A query; and what is shown of an error text of Prometheus. */
#define PROMETHEUS_QUERY_BYTES (64u << 10)
#define PROMETHEUS_ERROR_BYTES 200u

/* Until it is connected; without a byte, which has to be more than the 2 minutes that Prometheus
 * lets a query take; and for one answer. */
#define PROMETHEUS_CONNECT_S 5u
#define PROMETHEUS_SILENCE_S 150u
#define PROMETHEUS_ANSWER_S 1800u

struct prometheus_query {
	/* http or https, may have user:password@ (percent-encoded where they have to be) and a path
	 * in front of /api; no query and no fragment. */
	const char *url;
	const char *token_path; /* a file with a bearer token; NULL: none. Not beside a user */

	const char *query;		 /* PromQL */
	uint64_t start_s, end_s, step_s; /* both ends are part of it */

	/* Gets every piece of every answer. <0 (err filled) ends it all and is forwarded. */
	int (*feed)(void *arg, const void *data, size_t n, struct err *err);

	/* Before a document's first piece, with the range that it is for, and behind its last one;
	 * not behind one that failed. Both may be NULL; errors as for feed. Without samples, a
	 * document is there all the same. */
	int (*begin)(void *arg, uint64_t start_s, uint64_t end_s, struct err *err);
	int (*end)(void *arg, struct err *err);
	void *arg;

	/* 0: as above. Fewer points make smaller answers, for a Prometheus that refuses a query
	 * with "too many samples". */
	uint32_t points, silence_s;
	uint64_t answer_bytes;
};

/*
 * Returns 0, or <0:
 *   -EINVAL        the address, the range, the token's file (one that cannot be read: its errno)
 *   -ECONNREFUSED  nobody there: refused, unreachable, no such host
 *   -ETIMEDOUT     no answer in time, or it stopped coming
 *   -EACCES        it wants a password or a token, or another one
 *   -EREMOTEIO     Prometheus says no (a wrong query, too many samples); the sentence is its own
 *   -EBADMSG       it is no Prometheus, or not at this path
 *   -EMSGSIZE      an answer above its ceiling
 *   -EIO           anything else on the way (TLS, cut off)
 *   -ENOMEM, and what feed, begin or end returned.
 * Documents that ended before an error were complete.
 */
must_check int prometheus_query_range(const struct prometheus_query *q, struct err *err);

#endif
