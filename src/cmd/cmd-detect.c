#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/json.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/detect.h"
#include "cmd/explain-ticket.h"
#include "cmd/plot.h"
#include "cmd/prometheus.h"
#include "cmd/render.h"
#include "cmd/say.h"
#include "ticket/evidence.h"

#define MAX_INPUTS 256u
#define MAX_COLUMNS 256u
#define MAX_JSON_BYTES (1u << 30)
#define DEFAULT_RANGE_NS (14 * 24 * 3600 * NSEC_PER_SEC)
#define DEFAULT_STEP_NS (300 * NSEC_PER_SEC)

struct options {
	struct detect_options o;
	const char *inputs[MAX_INPUTS];
	size_t n_inputs;
	const char *values[MAX_COLUMNS + 1];
	const char *prometheus, *query, *token, *plot;
	uint64_t range_ns, step_ns;
	bool as_json, exit_code, all;
	const char *host, *component, *server; /* explain */
	uint64_t ticket;
};

static int parse_format(struct options *o, const char *text)
{
	for (int f = TABLE_AUTO; f < TABLE_FORMAT_MAX_; f++) {
		if (strcmp(text, table_format_name((enum table_format)f)) == 0) {
			o->o.format = (enum table_format)f;
			return 0;
		}
	}
	return usage_error(
		"detect", "--format=%s is none of auto, csv, wide, json-lines, prometheus", text);
}

static int parse_values(struct options *o, char *list)
{
	size_t n = 0;
	char *save = NULL;

	for (char *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (n == MAX_COLUMNS)
			return usage_error(
				"detect", "more than %u columns; use a pattern (*)", MAX_COLUMNS);
		o->values[n++] = p;
	}
	o->values[n] = NULL;
	o->o.values = o->values;
	return 0;
}

static int parse_load(struct options *o, const char *text)
{
	static const char *const names[TABLE_LOADS] = {[TABLE_CPU_SECONDS] = "cpu_seconds",
		[TABLE_THREADS] = "threads",
		[TABLE_DESCRIPTORS] = "descriptors",
		[TABLE_REQUESTS] = "requests"};

	o->o.any_load = strcmp(text, "any") == 0;
	for (unsigned i = 0; i < TABLE_LOADS; i++) {
		if (strcmp(text, names[i]) == 0) {
			o->o.load = (enum table_load)i;
			return 0;
		}
	}
	return o->o.any_load ? 0
			     : usage_error("detect",
				       "--load=%s is none of any, cpu_seconds, threads, "
				       "descriptors, requests",
				       text);
}

static int parse_periods(const char *command, struct options *o, int c)
{
	uint64_t *to = c == 'r' ? &o->range_ns : c == 's' ? &o->step_ns : &o->o.hour_ns;
	const char *name = c == 'r' ? "range" : c == 's' ? "step" : "hour";

	if (parse_duration(optarg, to) < 0 || *to < NSEC_PER_SEC)
		return usage_error(command, "--%s=%s is not a duration of at least 1s (14d, 5m)",
			name, optarg);
	return 0;
}

static int parse_one(const char *command, struct options *o, int c)
{
	switch (c) {
	case 'i':
		if (o->n_inputs == MAX_INPUTS)
			return usage_error(command, "more than %u inputs", MAX_INPUTS);
		o->inputs[o->n_inputs++] = optarg;
		return 0;
	case 'f':
		return parse_format(o, optarg);
	case 't':
		o->o.time_column = optarg;
		return 0;
	case 'v':
		return parse_values(o, optarg);
	case 'l':
		return parse_load(o, optarg);
	case 'p':
		o->prometheus = optarg;
		return 0;
	case 'q':
		o->query = optarg;
		return 0;
	case 'k':
		o->token = optarg;
		return 0;
	case 'r':
	case 's':
	case 'u':
		return parse_periods(command, o, c);
	case 'g':
		o->plot = optarg;
		return 0;
	case 'H':
		o->host = optarg;
		return 0;
	case 'c':
		o->component = optarg;
		return 0;
	case 'S':
		o->server = optarg;
		return 0;
	case 'T':
		if (parse_u64(optarg, &o->ticket) == 0 && o->ticket)
			return 0;
		return usage_error(command, "--ticket=%s is not the number of a ticket", optarg);
	case 'a':
		o->all = true;
		return 0;
	case 'j':
		o->as_json = true;
		return 0;
	case 'e':
		o->exit_code = true;
		return 0;
	default:
		return c == -2 ? EXIT_DONE : EXIT_USAGE;
	}
}

/* Returns -1 to go on, or an exit code. */
static int parse(
	const char *command, const struct option *options, int argc, char **argv, struct options *o)
{
	int c, r;

	*o = (struct options){.o = {.any_load = true, .hour_ns = 3600 * NSEC_PER_SEC},
		.range_ns = DEFAULT_RANGE_NS,
		.step_ns = DEFAULT_STEP_NS};
	while ((c = next_option(command, argc, argv, options)) != -1) {
		r = parse_one(command, o, c);
		if (r != 0 || c < 0)
			return r;
	}
	for (; optind < argc; optind++) {
		if (o->n_inputs == MAX_INPUTS)
			return usage_error(command, "more than %u inputs", MAX_INPUTS);
		o->inputs[o->n_inputs++] = argv[optind];
	}
	if (o->prometheus && !o->query)
		return usage_error(command, "--prometheus needs --query");
	if (o->query && !o->prometheus)
		return usage_error(command, "--query needs --prometheus=URL");
	if (o->ticket && (o->n_inputs || o->prometheus))
		return usage_error(command, "either --ticket or inputs, not both");
	if (o->n_inputs == 0 && !o->prometheus && !o->ticket)
		return usage_error(command, "nothing to read: --input=FILE or --prometheus=URL");
	return -1;
}

/* -- reading ------------------------------------------------------------------------------- */

static int feed_answer(void *arg, const void *data, size_t n, struct err *err)
{
	return detect_feed(arg, data, n, err);
}

static int begin_answer(void *arg, uint64_t start_s, uint64_t end_s, struct err *err)
{
	(void)start_s;
	(void)end_s;
	return detect_begin(arg, err);
}

static int end_answer(void *arg, struct err *err)
{
	return detect_end(arg, "prometheus", err);
}

static int read_prometheus(struct detect *d, const struct options *o, struct err *err)
{
	uint64_t now = (uint64_t)time(NULL), range = o->range_ns / NSEC_PER_SEC;
	struct prometheus_query q = {.url = o->prometheus,
		.token_path = o->token,
		.query = o->query,
		.start_s = now > range ? now - range : 0,
		.end_s = now,
		.step_s = o->step_ns / NSEC_PER_SEC,
		.feed = feed_answer,
		.begin = begin_answer,
		.end = end_answer,
		.arg = d};

	d->o.format = TABLE_PROMETHEUS;
	return prometheus_query_range(&q, err);
}

static int read_inputs(struct detect *d, const struct options *o, struct err *err)
{
	for (size_t i = 0; i < o->n_inputs; i++) {
		bool standard = strcmp(o->inputs[i], "-") == 0;
		FILE *f = standard ? stdin : fopen(o->inputs[i], "re");
		int r;

		if (!f)
			return err_set(err, -errno, "%s: %s", o->inputs[i], strerrordesc_np(errno));
		r = detect_read(d, f, standard ? "standard input" : o->inputs[i], err);
		if (!standard)
			(void)fclose(f);
		if (r < 0)
			return r;
	}
	return o->prometheus ? read_prometheus(d, o, err) : 0;
}

static void say_losses(const struct detect *d)
{
	if (d->history.too_far)
		say_warning("%llu rows lie more than %u hours from the others of their entity",
			(unsigned long long)d->history.too_far, HISTORY_MAX_HOURS);
	if (d->history.crowded)
		say_warning("%llu rows were left out: more than %u entities, or %u hours of all",
			(unsigned long long)d->history.crowded, HISTORY_MAX_ENTITIES,
			HISTORY_MAX_CELLS);
}

/* -- printing ------------------------------------------------------------------------------ */

static void put_entity(struct json *j, const struct detect *d, const struct detected *v)
{
	json_object(j);
	json_kv(j, string, "host", detect_name(d, v->host));
	json_kv(j, string, "component", detect_name(d, v->component));
	json_kv(j, string, "process", detect_name(d, v->process));
	json_kv(j, string, "version", detect_name(d, v->version));
	json_kv(j, u64, "lives", v->lives);
	evidence_detection_fields(j, &v->d);
	json_object_end(j);
}

static int print_json(const struct detect *d, struct err *err)
{
	struct buf autobuf out = BUF_INIT(MAX_JSON_BYTES);
	struct json j;
	int r;

	json_init(&j, &out);
	json_object(&j);
	json_kv(&j, string, "schema", "resin.detection/1");
	json_kv(&j, u64, "rows", d->rows);
	json_kv(&j, u64, "skipped_rows", d->skipped + d->history.too_far + d->history.crowded);
	json_key(&j, "entities");
	json_array(&j);
	for (size_t i = 0; i < d->n; i++)
		put_entity(&j, d, &d->v[i]);
	json_array_end(&j);
	json_object_end(&j);
	r = json_finish(&j);
	if (r < 0)
		return err_set(err, r, "the result is too large to print");
	puts(out.data);
	return 0;
}

static const char *until_text(const struct forecast *f, char out[static UNITS_DURATION_MAX])
{
	if (!f->known)
		return "-";
	if (!(f->hours <= 24. * 365))
		return "> 1 year";
	return units_duration((uint64_t)(f->hours * 3600) * NSEC_PER_SEC, out);
}

static void print_table(const struct detect *d, bool all)
{
	size_t shown = 0, leaks = 0;

	for (size_t i = 0; i < d->n; i++) {
		const struct detected *v = &d->v[i];
		char size[UNITS_BYTES_MAX], rate[40], until[UNITS_DURATION_MAX];

		leaks += v->d.verdict == DETECTION_LEAK;
		if (!all && v->d.verdict < DETECTION_WATCH)
			continue;
		if (shown++ == 0)
			printf("%-7s %-13s %-16s %-22s %10s %12s %8s %s\n", "VERDICT", "BEHAVIOUR",
				"HOST", "COMPONENT", "SIZE", "GROWTH", "SEVERITY", "TO LIMIT");
		printf("%-7s %-13s %-16.16s %-22.22s %10s %12s %8.0f %s\n",
			detection_verdict_name(v->d.verdict), behaviour_kind_name(v->d.behaviour),
			detect_name(d, v->host), detect_name(d, v->component),
			units_bytes((uint64_t)v->d.size_bytes, size),
			render_rate(v->d.bytes_per_hour, rate, sizeof(rate)), v->d.severity,
			until_text(&v->d.forecast, until));
		for (size_t k = 0; k < v->d.n_reasons; k++)
			printf("        %s\n", v->d.reason[k]);
	}
	printf("%s%zu entities, %zu to be called a leak, %zu shown%s\n", shown ? "\n" : "", d->n,
		leaks, shown, all ? "" : " (--all shows the rest)");
}

/* -- pictures ------------------------------------------------------------------------------ */

static void verdict_sentence(const struct detected *v, char *out, size_t size)
{
	snprintf(out, size, "%s (%s): %s", detection_verdict_name(v->d.verdict),
		behaviour_kind_name(v->d.behaviour), v->d.n_reasons ? v->d.reason[0] : "");
}

/* Where the fitted line begins: through the mean of its last day. */
static double line_start(const struct detected *v, uint64_t hour_ns)
{
	double per_hour = v->d.bytes_per_hour * (double)hour_ns / 3600e9, sum = 0, n = 0;
	uint64_t hours = (v->d.end_ns - v->d.start_ns) / hour_ns;

	for (uint32_t ago = 0; ago < 24 && ago < hours; ago++) {
		double x = track_minimum(&v->track, ago);

		if (isnan(x))
			continue;
		sum += x - per_hour * ((double)hours - ago - 0.5);
		n++;
	}
	return n > 0 ? sum / n : NAN;
}

static int plot_one(const struct detect *d, const struct detected *v, struct buf *out)
{
	uint64_t unix_s[TRACK_MINIMA];
	double bytes[TRACK_MINIMA];
	char sentence[256];
	double slow = v->d.bytes_per_hour_lo, fast = v->d.bytes_per_hour_hi;
	/* 95 % to 80 %. */
	double half = (fast - slow) / 2 * 1.2816 / 1.96;
	struct plot p = {.host = detect_name(d, v->host),
		.component = detect_name(d, v->component),
		.process = detect_name(d, v->process),
		.verdict = sentence,
		.unix_s = unix_s,
		.bytes = bytes,
		.limit_bytes = v->limit_bytes,
		.suspect_start_s = v->d.start_ns / NSEC_PER_SEC,
		.suspect_end_s = v->d.end_ns / NSEC_PER_SEC,
		.alarm_s = v->d.first_alarm_ns / NSEC_PER_SEC,
		.fit_start_bytes = line_start(v, d->o.hour_ns),
		.fit_bytes_per_h = v->d.bytes_per_hour,
		.fit_low_bytes_per_h = v->d.bytes_per_hour - half,
		.fit_high_bytes_per_h = v->d.bytes_per_hour + half,
		.forecast = v->d.verdict == DETECTION_LEAK};

	verdict_sentence(v, sentence, sizeof(sentence));
	for (uint32_t ago = TRACK_MINIMA; ago-- > 0;) {
		if (ago >= v->track.hours || (ago + 1) * d->o.hour_ns > v->end_ns)
			continue;
		unix_s[p.n] = (v->end_ns - d->o.hour_ns * (uint64_t)(ago + 1)) / NSEC_PER_SEC;
		bytes[p.n++] = track_minimum(&v->track, ago);
	}
	return plot_svg(out, &p);
}

/* A file name of what may be anything: what is not a letter, a digit, a dot or a dash becomes _. */
static void file_name(
	const struct detect *d, const struct detected *v, size_t number, char *out, size_t size)
{
	int n = snprintf(out, size, "%03zu-%.60s-%.60s.svg", number, detect_name(d, v->host),
		detect_name(d, v->component));

	for (int i = 0; i < n && out[i]; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-",
			    out[i]))
			out[i] = '_';
}

static int plot_all(const struct detect *d, const char *dir, struct err *err)
{
	size_t written = 0;

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return err_set(err, -errno, "--plot=%s: %s", dir, strerrordesc_np(errno));
	for (size_t i = 0; i < d->n && d->v[i].d.verdict >= DETECTION_WATCH; i++) {
		struct buf autobuf out = BUF_INIT(PLOT_SVG_BYTES + 1);
		char name[160], path[4096];
		FILE *f;
		int r = plot_one(d, &d->v[i], &out);

		if (r < 0)
			return err_set(err, r, "out of memory for a picture");
		file_name(d, &d->v[i], written + 1, name, sizeof(name));
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		f = fopen(path, "we");
		if (!f || fwrite(out.data, 1, out.len, f) != out.len) {
			r = -errno;
			if (f)
				(void)fclose(f);
			return err_set(err, r, "%s: %s", path, strerrordesc_np(-r));
		}
		if (fclose(f) != 0)
			return err_set(err, -errno, "%s: %s", path, strerrordesc_np(errno));
		written++;
	}
	say_info("%zu pictures written to %s", written, dir);
	return 0;
}

/* -- the commands -------------------------------------------------------------------------- */

/* Results that did not arrive are no results. */
static int finish_output(struct err *err)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return err_set(
			err, -EIO, "cannot write to standard output: %s", strerrordesc_np(errno));
	return 0;
}

static int detect_run(const struct options *o, struct detect *d, detect_watch *watch, void *arg)
{
	struct err err = ERR_INIT;
	int r;

	detect_init(d, &o->o);
	r = read_inputs(d, o, &err);
	if (r == 0) {
		say_losses(d);
		r = detect_judge(d, watch, arg, &err);
	}
	if (r < 0)
		say_error("%s", err.msg);
	return r;
}

#define COMMON_OPTIONS                                                                            \
	{"input", required_argument, NULL, 'i'}, {"format", required_argument, NULL, 'f'},        \
		{"time-column", required_argument, NULL, 't'},                                    \
		{"value-columns", required_argument, NULL, 'v'},                                  \
		{"load", required_argument, NULL, 'l'}, {"hour", required_argument, NULL, 'u'},   \
		{"prometheus", required_argument, NULL, 'p'},                                     \
		{"query", required_argument, NULL, 'q'}, {"token", required_argument, NULL, 'k'}, \
		{"range", required_argument, NULL, 'r'}, {"step", required_argument, NULL, 's'},  \
	{                                                                                         \
		"help", no_argument, NULL, 'h'                                                    \
	}

/* What was found first, then the pictures: a folder that cannot be written loses nothing. */
static int print_all(struct detect *d, const struct options *o)
{
	struct err err = ERR_INIT;
	int r = 0;

	if (o->as_json)
		r = print_json(d, &err);
	else
		print_table(d, o->all);
	if (r == 0)
		r = finish_output(&err);
	if (r == 0 && o->plot)
		r = plot_all(d, o->plot, &err);
	if (r < 0)
		say_error("%s", err.msg);
	return r;
}

int cmd_detect(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS,
		{"plot", required_argument, NULL, 'g'}, {"all", no_argument, NULL, 'a'},
		{"exit-code", no_argument, NULL, 'e'}, {"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0}};
	struct detect d;
	struct options o;
	bool leaks;
	int r = parse("detect", options, argc, argv, &o);

	if (r >= 0)
		return r;
	r = detect_run(&o, &d, NULL, NULL);
	if (r == 0)
		r = print_all(&d, &o);
	leaks = d.n > 0 && d.v[0].d.verdict == DETECTION_LEAK;
	detect_done(&d);
	if (r < 0)
		return EXIT_FAILED;
	return o.exit_code && leaks ? EXIT_FINDINGS : EXIT_DONE;
}

/* What is remembered while time goes on: the first alarm of each entity that is asked for. */
struct replay {
	const struct options *o;
	struct detect *d;
	size_t shown;
};

static bool asked_for(const struct replay *p, const struct detected *v)
{
	return (!p->o->host || strcmp(p->o->host, detect_name(p->d, v->host)) == 0) &&
		(!p->o->component || strcmp(p->o->component, detect_name(p->d, v->component)) == 0);
}

static void print_looks(const struct detected *v)
{
	printf("  %-7s %-11s %8s %7s %12s %11s %9s %10s\n", "BLOCK", "STATE", "Z", "SINCE", "RATE",
		"OVER STEPS", "LATE/EARLY", "CONCAVITY");
	for (unsigned l = 0; l < TRACK_LEVELS; l++) {
		const struct track_look *k = &v->track.looks[l];
		char rate[40];

		if (k->state == TRACK_YOUNG)
			continue;
		printf("  %4u h  %-11s %8.1f %5u h %12s %11.1f %9.2f %10.1f\n",
			(unsigned)norm_block_hours[l], track_state_name(k->state), (double)k->z,
			(unsigned)(v->track.hours - track_rise_begins(k)),
			render_rate((double)k->rate, rate, sizeof(rate)), (double)k->step_gain,
			(double)k->late_early, (double)k->concavity);
	}
}

static void explain_alarm(void *arg, const struct detected *v, uint64_t hour_end_ns)
{
	struct replay *p = arg;
	char when[UNITS_TIME_MAX];

	if (!asked_for(p, v) || v->track.first_alarm != v->track.hours - 1)
		return;
	p->shown++;
	printf("%s %s on %s: first called a leak, with %.2f times the evidence that it takes\n",
		units_time(hour_end_ns, when), detect_name(p->d, v->component),
		detect_name(p->d, v->host), (double)v->track.score);
	print_looks(v);
}

int cmd_explain(int argc, char **argv)
{
	static const struct option options[] = {COMMON_OPTIONS,
		{"host", required_argument, NULL, 'H'}, {"component", required_argument, NULL, 'c'},
		{"ticket", required_argument, NULL, 'T'}, {"server", required_argument, NULL, 'S'},
		{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	struct detect d;
	struct options o;
	struct replay p = {.o = &o, .d = &d};
	size_t found = 0;
	int r = parse("explain", options, argc, argv, &o);

	if (r >= 0)
		return r;
	if (o.ticket)
		return explain_ticket(o.server, o.ticket, o.as_json);
	if (o.as_json || o.server)
		return usage_error("explain", "--json and --server belong to --ticket");
	r = detect_run(&o, &d, explain_alarm, &p);
	for (size_t i = 0; r == 0 && i < d.n; i++) {
		const struct detected *v = &d.v[i];
		char when[UNITS_TIME_MAX];

		if (!asked_for(&p, v) ||
			(!o.host && !o.component && v->d.verdict < DETECTION_WATCH))
			continue;
		found++;
		printf("%s %s on %s: %s (%s)\n", units_time(v->end_ns, when),
			detect_name(&d, v->component), detect_name(&d, v->host),
			detection_verdict_name(v->d.verdict), behaviour_kind_name(v->d.behaviour));
		for (size_t k = 0; k < v->d.n_reasons; k++)
			printf("  - %s\n", v->d.reason[k]);
		print_looks(v);
	}
	detect_done(&d);
	if (r == 0) {
		struct err err = ERR_INIT;

		r = finish_output(&err);
		if (r < 0)
			say_error("%s", err.msg);
	}
	if (r < 0)
		return EXIT_FAILED;
	if (found == 0 && (o.host || o.component)) {
		say_error("no entity of that host and component in the input");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
