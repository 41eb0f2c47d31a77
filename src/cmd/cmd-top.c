#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/render.h"
#include "cmd/say.h"

int cmd_top(int argc, char **argv)
{
	static const struct option options[] = {{"limit", required_argument, NULL, 'l'},
		{"sort", required_argument, NULL, 'o'}, {"server", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	struct client_options o = {0};
	struct err err = ERR_INIT;
	const char *sort = "growth";
	uint64_t limit = 20;
	char path[128];
	const json_t *p;
	json_t *top;
	size_t i;
	int c;

	while ((c = next_option("top", argc, argv, options)) != -1) {
		if (c == 'l') {
			if (parse_u64(optarg, &limit) < 0 || limit == 0 || limit > 100000)
				return usage_error(
					"top", "--limit=%s is not between 1 and 100000", optarg);
		} else if (c == 'o') {
			sort = optarg;
			if (strcmp(sort, "growth") != 0 && strcmp(sort, "size") != 0)
				return usage_error(
					"top", "--sort=%s is neither growth nor size", sort);
		} else if (c == 's') {
			o.server = optarg;
		} else if (c == 'j') {
			o.as_json = true;
		} else {
			return c == -2 ? EXIT_DONE : EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage_error("top", "unexpected argument '%s'", argv[optind]);
	snprintf(path, sizeof(path), "/v1/top?limit=%llu&sort=%s", (unsigned long long)limit, sort);
	if (o.as_json)
		return client_print_json(&o, path);
	if (client_get(client_url(o.server), path, &top, NULL, &err) < 0)
		return client_complain(&err);
	printf("%-16s %-8s %-22s %10s %12s %-11s %s\n", "HOST", "PID", "COMPONENT", "SIZE",
		"GROWTH", "HOURS", "WEEKS");
	json_array_foreach(json_object_get(top, "processes"), i, p)
	{
		const json_t *d = json_object_get(p, "detection");
		bool weeks = json_is_object(d) && strcmp(json_text(d, "verdict"), "unknown") != 0;
		char size[UNITS_BYTES_MAX], rate[40];

		printf("%-16.16s %-8.0f %-22.22s %10s %12s %-11s %s\n", json_text(p, "host"),
			json_num(p, "pid"), json_text(p, "component"),
			units_bytes((uint64_t)json_num(p, "anon_bytes"), size),
			render_rate(json_num(p, "growth_bytes_per_hour"), rate, sizeof(rate)),
			json_text(p, "verdict"), weeks ? json_text(d, "behaviour") : "-");
	}
	json_decref(top);
	return EXIT_DONE;
}
