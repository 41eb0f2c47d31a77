/*
 * How accurate resin's detector is, beside the published ones: on fleets with known truth, on
 * recorded series of real programs, and on a recorded background with leaks added. Measures and
 * exits 0, whatever the goals say; 2 when it was called wrongly, 3 when it could not.
 * bench/accuracy/run.sh compiles and runs it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "curve.h"
#include "recorded.h"
#include "study.h"
#include "synthetic.h"

#define FLEETS_DEFAULT 40u
#define FLEETS_MAX 100000u
#define JOBS_MAX 64u
#define MARK_BEGIN "<!-- accuracy: begin, written by bench/accuracy/run.sh --write -->\n"
#define MARK_END "<!-- accuracy: end -->\n"

static const char usage[] =
	"usage: run.sh [--trace FILE] [--seed N] [--fleets N] [--tuning] [--by-fleet] [--jobs N]\n"
	"              [--recorded DIR] [--series] [--write FILE] [--csv DIR] [--svg FILE]\n"
	"\n"
	"  --trace FILE  the recorded background: time,host,component,process,bytes,limit_bytes;\n"
	"                without it the peers are not checked and the trade-off is left out\n"
	"  --seed N      of all that is drawn (1)\n"
	"  --fleets N    components of each behaviour with each kind of leak (40)\n"
	"  --tuning      the behaviours and leaks that the detector was made with, not the held out\n"
	"  --by-fleet    bootstrap over components instead of entities: wider, as hosts are alike\n"
	"  --jobs N      processes (as many as there are cores); no figure depends on it\n"
	"  --recorded DIR\n"
	"                recorded series of real programs (bench/accuracy/recorded)\n"
	"  --series      also prints what resin made of each recorded series\n"
	"  --write FILE  also writes the tables into FILE, between its marks\n"
	"  --csv DIR     also writes the trade-off to DIR/accuracy-curve.csv\n"
	"  --svg FILE    also draws the trade-off\n";

struct options {
	struct study_options study;
	bool by_fleet, series;
	const char *trace, *recorded, *write, *csv, *svg;
};

static int parse_number(const char *name, const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	uint64_t v = strtoull(text, &end, 10);

	if (errno || *end || text[0] < '0' || text[0] > '9' || v > max) {
		fprintf(stderr, "accuracy: --%s %s: not a number up to %llu\n", name, text,
			(unsigned long long)max);
		return -1;
	}
	*ret = v;
	return 0;
}

static size_t cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > (long)JOBS_MAX ? JOBS_MAX : (size_t)n;
}

/* Returns 0, 1 for --help, or -1 with a message on stderr. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option list[] = {{"trace", required_argument, NULL, 't'},
		{"seed", required_argument, NULL, 's'}, {"fleets", required_argument, NULL, 'f'},
		{"jobs", required_argument, NULL, 'j'}, {"tuning", no_argument, NULL, 'u'},
		{"by-fleet", no_argument, NULL, 'b'}, {"write", required_argument, NULL, 'w'},
		{"csv", required_argument, NULL, 'c'}, {"svg", required_argument, NULL, 'v'},
		{"recorded", required_argument, NULL, 'r'}, {"series", no_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	uint64_t fleets = FLEETS_DEFAULT, jobs = cores();
	int c;

	o->study.seed = 1;
	while ((c = getopt_long(argc, argv, "", list, NULL)) >= 0) {
		int rc = 0;

		switch (c) {
		case 't':
			o->trace = optarg;
			break;
		case 's':
			rc = parse_number("seed", optarg, UINT64_MAX, &o->study.seed);
			break;
		case 'f':
			rc = parse_number("fleets", optarg, FLEETS_MAX, &fleets);
			break;
		case 'j':
			rc = parse_number("jobs", optarg, JOBS_MAX, &jobs);
			break;
		case 'u':
			o->study.tuning = true;
			break;
		case 'b':
			o->by_fleet = true;
			break;
		case 'w':
			o->write = optarg;
			break;
		case 'c':
			o->csv = optarg;
			break;
		case 'v':
			o->svg = optarg;
			break;
		case 'r':
			o->recorded = optarg;
			break;
		case 'e':
			o->series = true;
			break;
		case 'h':
			return 1;
		default:
			rc = -1;
			break;
		}
		if (rc < 0)
			return -1;
	}
	/* Of one fleet none leaks. */
	if (optind < argc || fleets < 2 || !jobs) {
		fprintf(stderr, "accuracy: %s\n",
			optind < argc ? "too many arguments" : "--fleets from 2, --jobs from 1");
		return -1;
	}
	if (!o->recorded) {
		fputs("accuracy: no --recorded; bench/accuracy/run.sh gives it\n", stderr);
		return -1;
	}
	if (!o->trace && (o->csv || o->svg)) {
		fputs("accuracy: --csv and --svg are of the trade-off and need --trace\n", stderr);
		return -1;
	}
	o->study.fleets = fleets;
	o->study.jobs = jobs;
	return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static char *read_whole(const char *path)
{
	char *text = NULL;
	size_t room = 0;
	FILE *f = fopen(path, "r");

	/* Nothing in a page of documentation is a NUL, so this is all of it. */
	if (!f || getdelim(&text, &room, '\0', f) < 0) {
		fprintf(stderr, "accuracy: %s: %s\n", path, errno ? strerror(errno) : "empty");
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

static int close_written(FILE *f, const char *path)
{
	bool bad = ferror(f);

	if (fclose(f) || bad) {
		fprintf(stderr, "accuracy: %s: cannot be written\n", path);
		return -1;
	}
	return 0;
}

/* Where `page` goes in `text`. */
static int find_marks(const char *path, char *text, char **ret_begin, char **ret_end)
{
	*ret_begin = strstr(text, MARK_BEGIN);
	*ret_end = *ret_begin ? strstr(*ret_begin, MARK_END) : NULL;
	if (*ret_end)
		return 0;
	fprintf(stderr, "accuracy: %s has no block between these lines:\n%s%s", path, MARK_BEGIN,
		MARK_END);
	return -1;
}

/* Checks before the long run what would only fail after it. */
static int check_marks(const char *path)
{
	char *text = read_whole(path), *begin, *end;
	int rc = text ? find_marks(path, text, &begin, &end) : -1;

	free(text);
	return rc;
}

static int replace_block(const char *path, const char *page)
{
	char *text = read_whole(path), *begin, *end;
	FILE *f;
	int rc = -1;

	if (text && !find_marks(path, text, &begin, &end)) {
		f = fopen(path, "w");
		if (f) {
			fprintf(f, "%.*s%s\n%s%s", (int)(begin - text), text, MARK_BEGIN, page,
				end);
			rc = close_written(f, path);
		} else {
			perror(path);
		}
	}
	free(text);
	return rc;
}

static int write_curve(
	const struct curve *c, const char *path, void (*how)(const struct curve *, FILE *))
{
	FILE *f = fopen(path, "w");

	if (!f) {
		perror(path);
		return -1;
	}
	how(c, f);
	return close_written(f, path);
}

/* --- goals ------------------------------------------------------------------------------------ */

static void goal(FILE *f, bool met, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void goal(FILE *f, bool met, const char *format, ...)
{
	va_list ap;

	fprintf(f, "- %s: ", met ? "met" : "**missed**");
	va_start(ap, format);
	vfprintf(f, format, ap);
	va_end(ap);
	fputc('\n', f);
}

static void report_recorded_goals(FILE *f, const struct recorded_result *r)
{
	static const char *const of[] = {"recorded programs", "those held out of tuning"};

	for (size_t k = 0; k < 2; k++) {
		goal(f, r->found[k] == r->leaks[k], "every leak found (%s): %zu of %zu", of[k],
			r->found[k], r->leaks[k]);
		goal(f, !r->false_alarms[k], "no false alarm (%s): %zu in %.0f entity-weeks", of[k],
			r->false_alarms[k], r->clean_weeks[k]);
	}
	goal(f, !r->better,
		"in no recorded program worse than a comparator with as many false alarms in all: "
		"of %zu comparisons %zu worse",
		r->compared, r->better);
}

static void report_goals(FILE *f, const struct synthetic_result *s, const struct recorded_result *r,
	const struct curve_result *c)
{
	fputs("### Goals\n\n", f);
	for (size_t o = 0; o < ORACLES; o++) {
		goal(f, s->recall[o] >= 0.97, "recall of at least 97 %% (oracle %s): %.1f %%",
			oracle_names[o], 100 * s->recall[o]);
		goal(f, s->precision[o] >= 0.98,
			"precision of at least 98 %% at a prevalence of 1 %% (oracle %s): %.1f %%",
			oracle_names[o], 100 * s->precision[o]);
		goal(f, s->delay_median[o] <= 1.5 && s->delay_p90[o] <= 2,
			"at most 1.5 (median) and 2 (p90) times the delay of the oracle (%s): "
			"%.2f and %.2f",
			oracle_names[o], s->delay_median[o], s->delay_p90[o]);
		goal(f, !s->classes_worse[o] && !s->classes_mixed[o],
			"in no behaviour worse than a comparator with as many false alarms "
			"(oracle %s): %zu worse, %zu worse in one figure and better in another",
			oracle_names[o], s->classes_worse[o], s->classes_mixed[o]);
	}
	goal(f, s->false_per_10000 <= 1,
		"at most 1 false alarm in 10,000 entity-weeks: %.2f, at most %.2f with 95 %%",
		s->false_per_10000, s->false_per_10000_upper);
	report_recorded_goals(f, r);
	if (!c) {
		fputs("- **not measured**: the recorded background (no --trace)\n\n", f);
		return;
	}
	goal(f, c->default_alarmed <= 1, "at most 1 machine of %zu falsely alarmed by default: %zu",
		c->machines, c->default_alarmed);
	goal(f, !c->less && !c->later,
		"no fewer leaks and no later than a comparator at each budget: of %zu comparisons "
		"%zu fewer and %zu later beyond chance (%zu and %zu by the figures alone)",
		c->compared, c->less, c->later, c->less_figure, c->later_figure);
	fputc('\n', f);
}

/* --- */

static void report_head(FILE *f, const struct options *o)
{
	fprintf(f, "Seed %llu, %zu components of each behaviour with each kind of leak, %s.\n\n",
		(unsigned long long)o->study.seed, o->study.fleets,
		o->study.tuning ? "those that the detector was **tuned** with"
				: "behaviours, leaks and seeds held out of tuning");
}

static int run_synthetic(FILE *f, const struct options *o, struct synthetic_result *ret)
{
	struct study s;

	if (study_run(&o->study, &s) < 0)
		return -1;
	fputs("### Fleets with known truth\n\n", f);
	synthetic_report(&s, o->study.seed, o->by_fleet, f, ret);
	study_done(&s);
	return 0;
}

static int run_recorded(FILE *f, const struct options *o, struct recorded_result *ret)
{
	struct recorded *r = recorded_run(o->recorded);

	if (!r)
		return -1;
	fputs("### Recorded programs\n\n", f);
	recorded_report(r, o->series, f, ret);
	recorded_free(r);
	return 0;
}

static int run_curve(FILE *f, const struct options *o, struct curve_result *ret)
{
	struct curve *c = curve_run(o->trace, o->study.seed);
	char path[4096];
	int rc = 0;

	if (!c)
		return -1;
	fputs("### The recorded background\n\n", f);
	curve_report(c, o->study.seed, f, ret);
	if (o->csv) {
		snprintf(path, sizeof(path), "%s/accuracy-curve.csv", o->csv);
		rc = write_curve(c, path, curve_csv);
	}
	if (!rc && o->svg)
		rc = write_curve(c, o->svg, curve_svg);
	curve_free(c);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = {.trace = NULL};
	struct synthetic_result synthetic;
	struct recorded_result recorded;
	struct curve_result curve;
	char *page = NULL;
	size_t size = 0;
	int rc = parse(argc, argv, &o);
	FILE *f;

	if (rc) {
		fputs(usage, rc > 0 ? stdout : stderr);
		return rc > 0 ? 0 : 2;
	}
	if (o.write && check_marks(o.write) < 0)
		return 2;
	if (!o.trace)
		fputs("accuracy: NO --trace: THE RECORDED BACKGROUND IS LEFT OUT\n", stderr);
	f = open_memstream(&page, &size);
	if (!f)
		return 3;
	report_head(f, &o);
	/* The short part first: it is the one that finds a wrong --trace. */
	if (o.trace)
		rc = run_curve(f, &o, &curve);
	else
		fputs("### The recorded background\n\n**Left out: no --trace was given.**\n\n", f);
	if (!rc)
		rc = run_recorded(f, &o, &recorded);
	if (!rc)
		rc = run_synthetic(f, &o, &synthetic);
	if (!rc)
		report_goals(f, &synthetic, &recorded, o.trace ? &curve : NULL);
	fclose(f);
	if (!rc) {
		fputs(page, stdout);
		if (o.write)
			rc = replace_block(o.write, page);
	}
	free(page);
	return rc ? 3 : 0;
}
