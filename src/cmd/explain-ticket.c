#include "cmd/explain-ticket.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/render.h"
#include "cmd/say.h"

static void print_weeks(const json_t *w)
{
	const json_t *d = json_object_get(w, "detection"), *v;
	size_t i;

	printf("%s %s on %s: %s (%s), %.0f hours known, %.2f times the evidence that it takes\n",
		json_text(w, "end"), json_text(w, "component"), json_text(w, "host"),
		json_text(d, "verdict"), json_text(d, "behaviour"), json_num(w, "hours"),
		json_num(w, "score"));
	json_array_foreach(json_object_get(d, "reasons"), i, v)
		printf("  - %s\n", json_string_value(v));
	if (json_array_size(json_object_get(w, "looks")) == 0)
		return;
	printf("  %-7s %-11s %8s %7s %12s %11s %9s %10s\n", "BLOCK", "STATE", "Z", "SINCE", "RATE",
		"OVER STEPS", "LATE/EARLY", "CONCAVITY");
	json_array_foreach(json_object_get(w, "looks"), i, v)
	{
		char rate[40];

		printf("  %4.0f h  %-11s %8.1f %5.0f h %12s %11.1f %9.2f %10.1f\n",
			json_num(v, "block_hours"), json_text(v, "state"), json_num(v, "z"),
			json_num(v, "rise_hours"),
			render_rate(json_num(v, "rate_bytes_per_hour"), rate, sizeof(rate)),
			json_num(v, "over_steps"), json_num(v, "late_to_early"),
			json_num(v, "concavity"));
	}
}

int explain_ticket(const char *server, uint64_t ticket, bool as_json)
{
	struct client_options o = {.server = server, .as_json = as_json};
	struct err err = ERR_INIT;
	json_t *t, *w;
	char path[64];

	snprintf(path, sizeof(path), "/v1/tickets/%llu", (unsigned long long)ticket);
	if (client_get(client_url(server), path, &t, NULL, &err) < 0)
		return client_complain(&err);
	snprintf(path, sizeof(path), "/v1/weeks/%.0f", json_num(t, "entity"));
	json_decref(t);
	if (as_json)
		return client_print_json(&o, path);
	if (client_get(client_url(server), path, &w, NULL, &err) < 0)
		return client_complain(&err);
	print_weeks(w);
	json_decref(w);
	return EXIT_DONE;
}
