#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/say.h"

static void print_component(const json_t *c)
{
	const json_t *v = json_object_get(c, "versions");
	const char *outcome = json_text(c, "outcome");
	char edge[UNITS_BYTES_MAX], more[UNITS_BYTES_MAX];

	printf("%-28.28s %6.0f %-9s", json_text(c, "component"), json_num(c, "hosts"), outcome);
	if (json_num(c, "edge_bytes") > 0)
		printf(" %10s %6.0f %8.1f %6.1f",
			units_bytes((uint64_t)json_num(c, "edge_bytes"), edge),
			json_num(c, "hosts_above"), json_num(c, "hosts_expected"),
			json_num(c, "z"));
	puts("");
	if (!json_is_object(v))
		return;
	units_bytes((uint64_t)(json_num(v, "growth_bytes_per_day") > 0
				    ? json_num(v, "growth_bytes_per_day")
				    : 0),
		more);
	printf("    version %.12s against %.12s: %s; larger in %.0f of 100 pairs of hosts",
		json_text(v, "new"), json_text(v, "old"), json_text(v, "outcome"),
		100 * json_num(v, "theta"));
	if (json_num(v, "growth_bytes_per_day") > 0)
		printf(", grows by %s a day more", more);
	puts("");
}

int cmd_fleet(int argc, char **argv)
{
	static const struct option options[] = {{"limit", required_argument, NULL, 'l'},
		{"server", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct client_options o = {0};
	struct err err = ERR_INIT;
	const json_t *c;
	uint64_t limit = 20;
	char path[128];
	json_t *fleet;
	size_t i;
	int opt;

	while ((opt = next_option("fleet", argc, argv, options)) != -1) {
		if (opt == 'l') {
			if (parse_u64(optarg, &limit) < 0 || limit == 0 || limit > 100000)
				return usage_error(
					"fleet", "--limit=%s is not between 1 and 100000", optarg);
		} else if (opt == 's') {
			o.server = optarg;
		} else if (opt == 'j') {
			o.as_json = true;
		} else {
			return opt == -2 ? EXIT_DONE : EXIT_USAGE;
		}
	}
	if (optind < argc)
		return usage_error("fleet", "unexpected argument '%s'", argv[optind]);
	snprintf(path, sizeof(path), "/v1/fleet?limit=%llu", (unsigned long long)limit);
	if (o.as_json)
		return client_print_json(&o, path);
	if (client_get(client_url(o.server), path, &fleet, NULL, &err) < 0)
		return client_complain(&err);
	printf("%-28s %6s %-9s %10s %6s %8s %6s\n", "COMPONENT", "HOSTS", "OUTCOME", "EDGE",
		"ABOVE", "EXPECTED", "Z");
	json_array_foreach(json_object_get(fleet, "components"), i, c) print_component(c);
	if (json_array_size(json_object_get(fleet, "components")) == 0)
		puts("(no full hour yet)");
	else
		printf("\nBelow %.0f hosts every process is judged for itself: resin top\n",
			json_num(fleet, "least_hosts"));
	json_decref(fleet);
	return EXIT_DONE;
}
