#include "campaign/campaign.h"

#include <stdio.h>
#include <string.h>

/* A few hundred samples of the leak itself make its share exact to some percent. */
#define WANTED_SAMPLES 400
#define MIN_PERIOD_BYTES 4096u
/* After its sampling an order still has symbols to find and a profile to send. */
#define GRACE_NS 120000000000ull

bool campaign_may_start(const struct campaign_rules *r, const struct order *orders, size_t n,
	const struct ticket *t, uint64_t now_ns, char *why, size_t why_size)
{
	uint64_t hour = 3600000000000ull / r->pace, recent = 0;

	for (size_t i = 0; i < n; i++) {
		if (!order_is_final(orders[i].state) && strcmp(orders[i].host, t->host) == 0) {
			snprintf(why, why_size, "order %llu is still under way on %.60s",
				(unsigned long long)orders[i].id, t->host);
			return false;
		}
		recent += orders[i].issued_unix_ns + hour > now_ns;
	}
	if (recent >= r->per_hour) {
		snprintf(why, why_size, "%llu campaigns in the last hour, the limit is %llu",
			(unsigned long long)recent, (unsigned long long)r->per_hour);
		return false;
	}
	return true;
}

void campaign_order(const struct campaign_rules *r, const struct ticket *t,
	const uint8_t nonce[ORDER_NONCE_BYTES], uint64_t now_ns, struct order *o)
{
	double expected;

	memset(o, 0, sizeof(*o));
	o->kind = ORDER_KIND_PROFILE;
	o->state = ORDER_PENDING;
	memcpy(o->nonce, nonce, ORDER_NONCE_BYTES);
	memcpy(o->host, t->host, sizeof(o->host));
	o->target = t->process;
	o->ticket_id = t->id;
	o->issued_unix_ns = now_ns;
	o->expires_unix_ns = now_ns + r->expiry_ns;
	o->duration_ns = r->duration_ns / r->pace;
	if (o->duration_ns < r->min_duration_ns)
		o->duration_ns = r->min_duration_ns;
	expected = t->suspect.bytes_per_hour / 3600e9 * (double)o->duration_ns;
	o->sample_period_bytes = r->period_bytes;
	while (o->sample_period_bytes > MIN_PERIOD_BYTES &&
		expected / (double)o->sample_period_bytes < WANTED_SAMPLES)
		o->sample_period_bytes /= 2;
}

bool campaign_move(struct order *o, enum order_state to, const char *reason)
{
	if (!order_may_become(o->state, to))
		return false;
	o->state = to;
	snprintf(o->reason, sizeof(o->reason), "%s", reason);
	return true;
}

bool campaign_overdue(const struct order *o, uint64_t now_ns)
{
	if (order_is_final(o->state))
		return false;
	if (o->state == ORDER_PENDING || o->state == ORDER_SENT)
		return now_ns > o->expires_unix_ns;
	return now_ns > o->expires_unix_ns + o->duration_ns + GRACE_NS;
}
