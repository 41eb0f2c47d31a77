/*
 * The agent's parts and what they share; wired together in agent.c. One thread: everything waits in
 * one curl_multi_poll().
 */
#ifndef RESIN_CMD_AGENT_H
#define RESIN_CMD_AGENT_H

#include <curl/curl.h>
#include <signal.h>

#include "cmd/frame.h"
#include "cmd/settings.h"
#include "collect/queue.h"
#include "collect/sampler.h"
#include "model/policy.h"
#include "wire/auth.h"
#include "wire/messages.h"

/* agent-link.c: talks to the server, one request at a time. */
struct link {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct auth_key key;
	char url[512];
	struct queue samples, control; /* control: reports and profiles, which go first */
	bool busy, busy_control;
	uint64_t busy_seq, control_seq;
	char path[32], nonce[AUTH_NONCE_HEX], reply_signature[AUTH_SIGNATURE_HEX];
	struct buf reply;
	uint64_t retry_at_ns, backoff_ns;
	bool complained; /* says once that the server is not there, and once that it is back */
};

/* agent-helper.c: one conversation with the helper. */
struct helper_job {
	int fd; /* -1: none */
	struct frame_reader reader;
	struct order order; /* of a profile */
	uint64_t deadline_ns;
};

struct agent {
	struct settings set;
	struct config config;
	struct sampler sampler;
	struct link link;
	struct helper_job identify, profile;
	bool helper_complained;
	uint64_t pace, next_tick_ns, ask_again_at_ns;
};

uint64_t agent_period_ns(const struct agent *a);

must_check int link_open(struct agent *a, struct err *err);
void link_close(struct link *l);
/* Starts the next request, if there is something to send and nothing under way. */
void link_pump(struct agent *a, uint64_t now_ns);
/* Takes finished transfers. */
void link_finished(struct agent *a, uint64_t now_ns);
/* Queues a message that is no batch. */
void link_send_report(
	struct agent *a, const struct order *o, enum order_state state, const char *reason);
void link_send_profile(struct agent *a, const void *p, size_t n);

/* Forgets the nonces of orders that have expired anyway. */
must_check int helper_prune_nonces(const struct agent *a, struct err *err);
/* What the server ordered: refuses, or hands it to the helper. */
void helper_on_order(struct agent *a, const struct order *o);
void helper_ask_identities(struct agent *a);
/* Something can be read from the job's descriptor, or its time is over. */
void helper_on_ready(struct agent *a, struct helper_job *j, uint64_t now_ns);
void helper_job_end(struct helper_job *j);

#endif
