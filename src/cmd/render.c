#include "cmd/render.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/limits.h"
#include "base/units.h"
#include "ticket/evidence.h"

size_t render_width(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40)
		return w.ws_col;
	return isatty(STDOUT_FILENO) ? 80 : 120;
}

const char *render_rate(double bytes_per_hour, char *out, size_t size)
{
	char bytes[UNITS_BYTES_MAX];
	double a = fabs(bytes_per_hour);

	snprintf(out, size, "%s%s/h", bytes_per_hour < 0 && a >= 1 ? "-" : "",
		units_bytes(a < 1.8e19 ? (uint64_t)a : 0, bytes));
	return out;
}

static void print_frame(const struct frame *f, bool first, size_t width)
{
	char place[512];
	const char *module = strrchr(f->module, '/');

	module = module ? module + 1 : f->module;
	if (f->line)
		snprintf(place, sizeof(place), "%s:%u", f->file, f->line);
	else
		snprintf(place, sizeof(place), "%s+0x%llx", module[0] ? module : "?",
			(unsigned long long)f->offset);
	/* Long paths lose their front: the end is what people look for. */
	size_t name_len = strlen(f->function),
	       room = width > 12 + name_len ? width - 12 - name_len : 20;
	const char *shown = strlen(place) > room ? place + strlen(place) - room : place;

	printf("     %s %s  %s%s%s\n", first ? "->" : "  ", f->function[0] ? f->function : "?",
		shown == place ? "" : "...", shown, f->inlined ? " (inlined)" : "");
}

static void print_finding(const struct finding *f, size_t number)
{
	char live[UNITS_BYTES_MAX], rate[40];
	const struct frame *headline = evidence_headline(f->site);
	size_t width = render_width();

	printf("%zu. %-6s %4.0f %% of the growth  %s  live %s  confidence %.0f %%\n", number,
		finding_kind_name(f->kind), 100 * f->share,
		render_rate(f->growth_bytes_per_hour, rate, sizeof(rate)),
		units_bytes(f->live_bytes, live), 100 * f->confidence);
	for (uint32_t i = 0; i < f->site->n_frames && i < 12; i++)
		print_frame(&f->site->frames[i], &f->site->frames[i] == headline, width);
	if (f->site->n_frames > 12)
		printf("        ... %u more\n", f->site->n_frames - 12);
	if (f->site->n_frames == 0)
		puts("        (no stack could be unwound)");
	if (f->kind != FINDING_STABLE)
		printf("     refuted by %s\n", f->refute);
}

int render_diagnosis(const struct profile *p, const struct diagnosis *d, bool as_json, size_t top)
{
	autobuf struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	char a[UNITS_BYTES_MAX], b[UNITS_BYTES_MAX], t[UNITS_DURATION_MAX], rate[40];
	struct json j;

	if (as_json) {
		json_init(&j, &out);
		evidence_diagnosis(&j, p, d);
		if (json_finish(&j) < 0)
			return -1;
		puts(out.data);
		return 0;
	}
	printf("%s (pid %u), watched for %s: anonymous memory %s -> %s\n", p->component,
		p->target.pid, units_duration(p->duration_ns, t),
		units_bytes(p->anon_start_bytes, a), units_bytes(p->anon_end_bytes, b));
	printf("%llu events sampled every %s, %llu lost; longest stop of a thread %.1f ms\n",
		(unsigned long long)p->events, units_bytes(p->period_bytes, a),
		(unsigned long long)p->dropped, (double)p->pause_ns / 1e6);
	if (d->growth_bytes_per_hour > 0)
		printf("growth seen %s%s\n\n",
			render_rate(d->growth_bytes_per_hour, rate, sizeof(rate)),
			d->explained > 3 ? ", more than the process grew: much of it is not touched"
					 : "");
	else
		puts("no stack grows\n");
	for (size_t i = 0; i < d->n && i < top; i++)
		print_finding(&d->findings[i], i + 1);
	return 0;
}
