#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/render.h"
#include "cmd/say.h"

static void print_list(const json_t *list)
{
	const json_t *t;
	size_t i;

	if (json_array_size(json_object_get(list, "tickets")) == 0) {
		puts("no open ticket");
		return;
	}
	printf("%-4s %-12s %-14s %-18s %-7s %11s %s\n", "ID", "STATE", "HOST", "COMPONENT", "PID",
		"GROWTH", "CAUSE");
	json_array_foreach(json_object_get(list, "tickets"), i, t)
	{
		const json_t *s = json_object_get(t, "suspect");
		const char *cause = json_text(t, "headline");
		char rate[40];

		printf("%-4.0f %-12s %-14.14s %-18.18s %-7.0f %11s %s\n", json_num(t, "id"),
			json_text(t, "state"), json_text(t, "host"), json_text(t, "component"),
			json_num(t, "pid"),
			render_rate(json_num(s, "bytes_per_hour"), rate, sizeof(rate)),
			*cause ? cause : json_text(t, "note"));
	}
}

static void print_finding(const json_t *f, size_t number)
{
	char rate[40], live[UNITS_BYTES_MAX];
	const json_t *frame;
	size_t i;

	printf("\n%zu. %-6s %4.0f %% of the growth  %s  live %s  confidence %.0f %%\n", number,
		json_text(f, "kind"), 100 * json_num(f, "share"),
		render_rate(json_num(f, "growth_bytes_per_hour"), rate, sizeof(rate)),
		units_bytes((uint64_t)json_num(f, "live_bytes"), live),
		100 * json_num(f, "confidence"));
	json_array_foreach(json_object_get(f, "frames"), i, frame)
	{
		const char *function = json_text(frame, "function");

		if (i == 12) {
			printf("        ... %zu more\n",
				json_array_size(json_object_get(f, "frames")) - 12);
			break;
		}
		printf("     %s %s", i == 0 ? "->" : "  ", *function ? function : "?");
		if (json_num(frame, "line") > 0)
			printf("  %s:%.0f", json_text(frame, "file"), json_num(frame, "line"));
		else
			printf("  %s+%s", json_text(frame, "module"), json_text(frame, "offset"));
		puts(json_is_true(json_object_get(frame, "inlined")) ? " (inlined)" : "");
	}
	printf("     refuted by %s\n", json_text(f, "refuted_by"));
}

/* What weeks and the fleet say. */
static void print_weeks(const json_t *t)
{
	const json_t *d = json_object_get(t, "detection"), *f = json_object_get(t, "fleet");
	const json_t *c = json_object_get(d, "forecast"), *v;
	char edge[UNITS_BYTES_MAX], lo[UNITS_DURATION_MAX], hi[UNITS_DURATION_MAX];
	size_t i;

	json_array_foreach(json_object_get(d, "reasons"), i, v)
		printf("%-8s %s\n", i == 0 ? "weeks" : "", json_string_value(v));
	if (json_is_object(c) && json_num(c, "hours_low") > 0) {
		units_duration((uint64_t)(json_num(c, "hours_low") * 3600) * NSEC_PER_SEC, lo);
		if (json_is_number(json_object_get(c, "hours_high")))
			units_duration(
				(uint64_t)(json_num(c, "hours_high") * 3600) * NSEC_PER_SEC, hi);
		else
			snprintf(hi, sizeof(hi), "never");
		printf("limit    %s is reached in %s to %s (80 %%)\n",
			units_bytes((uint64_t)json_num(c, "limit_bytes"), edge), lo, hi);
	}
	if (!json_is_object(f))
		return;
	printf("fleet    since %s: ", json_text(f, "since"));
	if (json_num(f, "hosts_expected") > 0)
		printf("%.0f of %.0f hosts at %s or more, %.1f expected\n",
			json_num(f, "hosts_above"), json_num(f, "hosts"),
			units_bytes((uint64_t)json_num(f, "edge_bytes"), edge),
			json_num(f, "hosts_expected"));
	else
		printf("%.0f hosts with the new version\n", json_num(f, "hosts"));
	if (*json_text(f, "version"))
		printf("         version %.12s against %.12s: %s a day more\n",
			json_text(f, "version"), json_text(f, "version_before"),
			units_bytes((uint64_t)(json_num(f, "growth_bytes_per_day") > 0
						    ? json_num(f, "growth_bytes_per_day")
						    : 0),
				edge));
}

static void print_ticket(const json_t *t)
{
	const json_t *s = json_object_get(t, "suspect"), *d = json_object_get(t, "diagnosis"), *v;
	char low[40], high[40], from[UNITS_BYTES_MAX], to[UNITS_BYTES_MAX],
		took[UNITS_DURATION_MAX];
	size_t i;

	printf("ticket %.0f (%s): %s, pid %.0f on %s\n", json_num(t, "id"), json_text(t, "state"),
		json_text(t, "component"), json_num(t, "pid"), json_text(t, "host"));
	printf("opened   %s, seen by %s\n", json_text(t, "opened_at"),
		strcmp(json_text(t, "seen_by"), "minutes") == 0		? "its minutes"
			: strcmp(json_text(t, "seen_by"), "hours") == 0 ? "its hours"
									: "the fleet");
	printf("version  %s\n", *json_text(t, "version") ? json_text(t, "version") : "unknown");
	printf("verdict  %s, %s: %s\n", json_text(s, "verdict"), json_text(s, "pattern"),
		json_text(s, "reason"));
	printf("since    %s, from %s to %s\n", json_text(s, "start"),
		units_bytes((uint64_t)json_num(s, "from_bytes"), from),
		units_bytes((uint64_t)json_num(s, "to_bytes"), to));
	printf("rate     %s to %s (95 %%)\n",
		render_rate(json_num(s, "bytes_per_hour_low"), low, sizeof(low)),
		render_rate(json_num(s, "bytes_per_hour_high"), high, sizeof(high)));
	print_weeks(t);
	if (*json_text(t, "note"))
		printf("%s    %s\n", *json_text(t, "headline") ? "cause" : "note ",
			json_text(t, "note"));
	json_array_foreach(json_object_get(t, "orders"), i, v) printf("order    %.0f %s: %s\n",
		json_num(v, "id"), json_text(v, "state"), json_text(v, "reason"));
	if (!json_is_object(d))
		return;
	printf("sampled  for %s; %.0f events, %.0f lost; longest stop of a thread %.1f ms\n",
		units_duration((uint64_t)json_num(d, "duration_ns"), took), json_num(d, "events"),
		json_num(d, "dropped"), json_num(d, "longest_stop_ns") / 1e6);
	json_array_foreach(json_object_get(d, "findings"), i, v)
	{
		if (i == 5 || (i > 0 && strcmp(json_text(v, "kind"), "stable") == 0))
			break;
		print_finding(v, i + 1);
	}
}

int cmd_ticket(int argc, char **argv)
{
	static const struct option options[] = {{"all", no_argument, NULL, 'a'},
		{"server", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct client_options o = {0};
	struct err err = ERR_INIT;
	const char *verb, *url;
	bool all = false;
	char path[128];
	json_t *v;
	int c;

	while ((c = next_option("ticket", argc, argv, options)) != -1) {
		if (c == 'a')
			all = true;
		else if (c == 's')
			o.server = optarg;
		else if (c == 'j')
			o.as_json = true;
		else
			return c == -2 ? EXIT_DONE : EXIT_USAGE;
	}
	verb = optind < argc ? argv[optind] : "";
	url = client_url(o.server);
	if (strcmp(verb, "list") == 0 && optind + 1 == argc) {
		snprintf(path, sizeof(path), "/v1/tickets%s", all ? "?all=1" : "");
	} else if (strcmp(verb, "show") == 0 && optind + 2 == argc) {
		uint64_t id;

		if (parse_u64(argv[optind + 1], &id) < 0)
			return usage_error(
				"ticket", "'%s' is not the number of a ticket", argv[optind + 1]);
		snprintf(path, sizeof(path), "/v1/tickets/%llu", (unsigned long long)id);
	} else {
		return usage_error("ticket", "say `list`, or `show` and the number of a ticket");
	}
	if (o.as_json)
		return client_print_json(&o, path);
	if (client_get(url, path, &v, NULL, &err) < 0)
		return client_complain(&err);
	if (verb[0] == 'l')
		print_list(v);
	else
		print_ticket(v);
	json_decref(v);
	return EXIT_DONE;
}
