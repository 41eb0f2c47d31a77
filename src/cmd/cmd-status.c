#include <stdio.h>

#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/say.h"

static void print_status(const json_t *s)
{
	char bytes[UNITS_BYTES_MAX], up[40], step[UNITS_DURATION_MAX];
	const json_t *host;
	size_t i;

	printf("server    resin %s, up %s, %s on disk\n", json_text(s, "version"),
		client_age(json_text(s, "started_at"), up, sizeof(up)),
		units_bytes((uint64_t)json_num(s, "store_bytes"), bytes));
	printf("judging   %.0f entities in steps of %s%s\n", json_num(s, "entities"),
		units_duration((uint64_t)json_num(s, "step_ns"), step),
		json_num(s, "pace") > 1 ? " (shortened: a demo or a test is running)" : "");
	printf("samples   %.0f in %.0f batches; %.0f sent twice, %.0f rejected\n",
		json_num(s, "samples"), json_num(s, "batches"), json_num(s, "duplicates"),
		json_num(s, "rejected"));
	printf("tickets   %.0f open\n\n", json_num(s, "tickets_open"));
	printf("%-24s %-10s %-10s %9s %s\n", "HOST", "LAST SEEN", "PERIOD", "PROCESSES",
		"LOST BATCHES");
	json_array_foreach(json_object_get(s, "hosts"), i, host)
	{
		char seen[40], period[UNITS_DURATION_MAX];

		printf("%-24.24s %-10s %-10s %9.0f %.0f\n", json_text(host, "name"),
			client_age(json_text(host, "last_seen_at"), seen, sizeof(seen)),
			units_duration((uint64_t)json_num(host, "period_ns"), period),
			json_num(host, "processes"), json_num(host, "dropped_batches"));
	}
	if (json_array_size(json_object_get(s, "hosts")) == 0)
		puts("(no agent has reported yet)");
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {{"server", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	struct client_options o = {0};
	struct err err = ERR_INIT;
	json_t *s;
	int c;

	while ((c = next_option("status", argc, argv, options)) != -1) {
		if (c == 's')
			o.server = optarg;
		else if (c == 'j')
			o.as_json = true;
		else
			return c == -2 ? EXIT_DONE : EXIT_USAGE;
	}
	if (optind < argc)
		return usage_error("status", "unexpected argument '%s'", argv[optind]);
	if (o.as_json)
		return client_print_json(&o, "/v1/status");
	if (client_get(client_url(o.server), "/v1/status", &s, NULL, &err) < 0)
		return client_complain(&err);
	print_status(s);
	json_decref(s);
	return EXIT_DONE;
}
