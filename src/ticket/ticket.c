#include "ticket/ticket.h"

#include <stdio.h>
#include <string.h>

void ticket_begin(struct ticket *t, const char *host, const struct proc_id *process,
	const char *component, const char *version, const struct suspect *s, uint64_t now_ns)
{
	/* Padding too: the record is stored as it is. */
	memset(t, 0, sizeof(*t));
	t->state = TICKET_OPEN;
	t->process = *process;
	t->suspect = *s;
	t->opened_unix_ns = t->updated_unix_ns = now_ns;
	snprintf(t->host, sizeof(t->host), "%s", host);
	snprintf(t->component, sizeof(t->component), "%s", component);
	snprintf(t->version, sizeof(t->version), "%s", version);
}

bool ticket_covers(const struct ticket *t, const char *host, const char *component)
{
	return t->state != TICKET_CLOSED && strcmp(t->host, host) == 0 &&
		strcmp(t->component, component) == 0;
}

static void note(struct ticket *t, const char *text, uint64_t now_ns)
{
	snprintf(t->note, sizeof(t->note), "%s", text);
	t->updated_unix_ns = now_ns;
}

void ticket_adopt(struct ticket *t, const struct proc_id *process, uint64_t entity_id,
	const char *version, const struct suspect *s, uint64_t now_ns)
{
	t->process = *process;
	t->entity_id = entity_id;
	t->suspect = *s;
	t->updated_unix_ns = now_ns;
	snprintf(t->version, sizeof(t->version), "%s", version);
	if (t->state == TICKET_UNDIAGNOSED) {
		t->state = TICKET_OPEN;
		t->attempts = 0;
	}
}

void ticket_campaign_started(struct ticket *t, uint64_t order_id, uint64_t now_ns)
{
	if (t->state == TICKET_CLOSED)
		return;
	t->state = TICKET_PROFILING;
	t->order_id = order_id;
	t->attempts++;
	note(t, "", now_ns);
}

void ticket_campaign_failed(
	struct ticket *t, const char *why, bool final, uint64_t max_attempts, uint64_t now_ns)
{
	if (t->state != TICKET_PROFILING)
		return;
	t->state = final || t->attempts >= max_attempts ? TICKET_UNDIAGNOSED : TICKET_OPEN;
	note(t, why, now_ns);
}

void ticket_diagnosed(struct ticket *t, uint64_t profile_id, const char *headline, uint64_t now_ns)
{
	if (t->state == TICKET_CLOSED)
		return;
	t->state = TICKET_DIAGNOSED;
	t->profile_id = profile_id;
	note(t, headline, now_ns);
}

void ticket_close(struct ticket *t, const char *why, uint64_t now_ns)
{
	t->state = TICKET_CLOSED;
	t->closed_unix_ns = now_ns;
	note(t, why, now_ns);
}
