#include "cmd/plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "cmd/plot-text.h"

#define WIDTH 960
#define HEIGHT 360
#define RIGHT 936 /* of the plot's area, in pixels; so are the others */
#define BOTTOM 304
#define TITLE_FONT 21.
#define BOLD 1.14 /* times as wide */

#define HOUR_S 3600.
#define DAY_S INT64_C(86400)

struct range {
	double from, to;
};

struct point {
	double x, y;
};

/* What is being drawn: the data's figures, the axes, and the place of the area. */
struct canvas {
	const struct plot *p;
	struct buf *out;
	int status;		  /* the first failure sticks */
	size_t finite;		  /* points with a value */
	struct range seen, bytes; /* of the values; of the axis */
	struct range data_s, s;	  /* of the points; of the axis, with the forecast */
	struct range suspect_s;	  /* the interval, as far as there are points */
	double left, top;
	double step_bytes; /* between ticks */
	bool limit, interval, fit, forecast;
};

static const char style[] =
	".bg{fill:#fff;stroke:#e2e3de}"
	"text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,"
	"sans-serif;font-size:15px;fill:#59626d;font-variant-numeric:tabular-nums}"
	".h{font-size:21px;font-weight:650;fill:#1d2329;unicode-bidi:isolate}"
	".k{fill:#8b949e;font-weight:400}.v{fill:#1d2329}"
	".o{stroke:#fff;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}"
	".e{text-anchor:end}.m{text-anchor:middle}"
	".g{stroke:#ecece8;fill:none}.x{stroke:#b9bec4;fill:none}"
	".s{fill:#c9822b;fill-opacity:.13}.se{stroke:#c9822b;stroke-opacity:.55;fill:none}"
	".w{fill:#c9822b;fill-opacity:.26}"
	".d{stroke:#0d6a78;stroke-width:2.2px;fill:none;stroke-linejoin:round;stroke-linecap:round}"
	".dd{fill:#0d6a78}"
	".f{stroke:#a35f0c;stroke-width:2.4px;fill:none}.fd{stroke-dasharray:8 6}"
	".ft{fill:#8a4f08}.fc{fill:#a35f0c;stroke:#fff;stroke-width:1.5px}"
	".l{stroke:#59626d;stroke-width:1.8px;fill:none}"
	".a{stroke:#ad2f1c;stroke-width:2.2px;fill:none}.af{fill:#ad2f1c}"
	".at{fill:#ad2f1c;font-weight:600}"
	"@media(prefers-color-scheme:dark){"
	".bg{fill:#1a1e24;stroke:#2b313a}text{fill:#9ba5b0}.h,.v{fill:#e4e7ea}.k{fill:#78828d}"
	".o{stroke:#1a1e24}.g{stroke:#262b33}.x{stroke:#4a525c}"
	".s{fill:#dfa04f}.se{stroke:#dfa04f}.w{fill:#dfa04f}"
	".d{stroke:#5cc0cf}.dd{fill:#5cc0cf}"
	".f{stroke:#efb56b}.ft{fill:#efb56b}.fc{fill:#efb56b;stroke:#1a1e24}"
	".l{stroke:#9ba5b0}.a{stroke:#f4998a}.af,.at{fill:#f4998a}}";

static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Output */

#define keep(c, call)                         \
	do {                                  \
		if ((c)->status == 0)         \
			(c)->status = (call); \
	} while (0)
#define put(c, ...) keep(c, buf_printf((c)->out, __VA_ARGS__))

/* A coordinate to a tenth of a pixel, with a point whatever the locale. */
#define PX_MAX 12
static const char *px(double v, char out[static PX_MAX])
{
	long t = lround(fmin(fmax(v, -9999), 9999) * 10);
	long u = labs(t);

	if (u % 10)
		snprintf(out, PX_MAX, "%s%ld.%ld", t < 0 ? "-" : "", u / 10, u % 10);
	else
		snprintf(out, PX_MAX, "%ld", t / 10);
	return out;
}

static void put_xy(struct canvas *c, char command, double x, double y)
{
	char a[PX_MAX], b[PX_MAX];

	put(c, "%c%s %s", command, px(x, a), px(y, b));
}

static void put_line(struct canvas *c, const char *class, struct point a, struct point b)
{
	put(c, "<path class=\"%s\" d=\"", class);
	put_xy(c, 'M', a.x, a.y);
	put_xy(c, 'L', b.x, b.y);
	put(c, "\"/>\n");
}

static void put_label_start(struct canvas *c, const char *class, double x, double y)
{
	char a[PX_MAX], b[PX_MAX];

	put(c, "<text class=\"%s\" x=\"%s\" y=\"%s\">", class, px(x, a), px(y, b));
}

/* `text` is ours: plain ASCII without markup. */
static void put_label(struct canvas *c, const char *class, double x, double y, const char *text)
{
	put_label_start(c, class, x, y);
	put(c, "%s</text>\n", text);
}

/* Times as labels */

static double bound(double v, double least, double most)
{
	return fmin(fmax(v, least), most);
}

static void civil(int64_t s, struct tm *ret)
{
	time_t t = (time_t)s;

	if (!gmtime_r(&t, ret))
		*ret = (struct tm){.tm_mday = 1, .tm_year = 70};
}

/* "17 Nov 2026 08:00", without the hour for what is no better known than to the day. */
#define TIME_MAX 48
static const char *time_label(double s, bool hour, char out[static TIME_MAX])
{
	struct tm tm;
	int n;

	civil((int64_t)s, &tm);
	n = snprintf(out, TIME_MAX, "%d %s %d", tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900);
	if (hour)
		snprintf(out + n, TIME_MAX - (size_t)n, " %02d:%02d", tm.tm_hour, tm.tm_min);
	return out;
}

/* Scales */

static double x_of(const struct canvas *c, double s)
{
	return c->left + (s - c->s.from) / (c->s.to - c->s.from) * (RIGHT - c->left);
}

static double y_of(const struct canvas *c, double bytes)
{
	return BOTTOM - (bytes - c->bytes.from) / (c->bytes.to - c->bytes.from) * (BOTTOM - c->top);
}

static bool usable(const struct plot *p, size_t i, uint64_t before_s)
{
	return p->unix_s[i] <= PLOT_TIME_MAX_S && p->unix_s[i] >= before_s;
}

static void measure(struct canvas *c)
{
	const struct plot *p = c->p;
	uint64_t before_s = 0;
	bool any = false;

	c->data_s = c->seen = (struct range){INFINITY, -INFINITY};
	for (size_t i = 0; i < p->n; i++) {
		if (!usable(p, i, before_s))
			continue;
		before_s = p->unix_s[i];
		if (!any)
			c->data_s.from = (double)before_s;
		c->data_s.to = (double)before_s;
		any = true;
		if (!isfinite(p->bytes[i]) || fabs(p->bytes[i]) > 0x1p63)
			continue;
		c->seen.from = fmin(c->seen.from, p->bytes[i]);
		c->seen.to = fmax(c->seen.to, p->bytes[i]);
		c->finite++;
	}
	if (!c->finite)
		return;
	/* One point alone is in the middle of an hour's axis. */
	if (c->data_s.to - c->data_s.from < HOUR_S) {
		double middle = (c->data_s.from + c->data_s.to) / 2;

		c->data_s = (struct range){fmax(middle - HOUR_S / 2, 0), middle + HOUR_S / 2};
	}
	c->suspect_s.from = fmax((double)p->suspect_start_s, c->data_s.from);
	c->suspect_s.to = fmin((double)p->suspect_end_s, c->data_s.to);
	c->interval = c->suspect_s.from < c->suspect_s.to;
	c->fit = c->interval && isfinite(p->fit_start_bytes) && isfinite(p->fit_bytes_per_h) &&
		fabs(p->fit_start_bytes) <= 0x1p63;
	c->forecast = c->fit && p->forecast;
}

/* Beyond that, a slope is vertical in any picture, and products of it stay finite. */
static double slope(double bytes_per_h)
{
	return bound(bytes_per_h, -0x1p70, 0x1p70);
}

static double fit_at(const struct canvas *c, double s)
{
	const struct plot *p = c->p;

	return p->fit_start_bytes +
		slope(p->fit_bytes_per_h) * (s - (double)p->suspect_start_s) / HOUR_S;
}

/* Seconds from the end of the interval until a line reaches the limit; INFINITY: never. */
static double reach_s(const struct canvas *c, double bytes_per_h)
{
	double way = c->p->limit_bytes - fit_at(c, c->suspect_s.to);

	return c->limit && way > 0 && bytes_per_h > 0 ? way / slope(bytes_per_h) * HOUR_S
						      : INFINITY;
}

/* The axis of bytes begins at 0 unless that would hide what there is to see, and is long enough for
 * a limit that is not too far above. */
static void scale_bytes(struct canvas *c)
{
	double size = fmax(fabs(c->seen.from), fabs(c->seen.to));
	double spread = c->seen.to - c->seen.from;
	double limit = c->p->limit_bytes;
	double least = fmax(fmax(size / 1024, 64), spread), room;

	c->bytes = c->seen;
	if (c->seen.from >= 0 && (spread >= size / 8 || !c->interval))
		c->bytes.from = 0;
	if (c->bytes.to - c->bytes.from < least) {
		c->bytes.from -= c->bytes.from > 0 ? fmin(c->bytes.from, least / 2) : least / 2;
		c->bytes.to = c->bytes.from + least;
	}
	c->limit = isfinite(limit) && limit > 0 && limit <= 0x1p63 &&
		limit >= c->bytes.from - (c->bytes.to - c->bytes.from) &&
		limit - c->bytes.from <= 5 * (c->bytes.to - c->bytes.from);
	if (c->limit) {
		c->bytes.from = fmin(c->bytes.from, limit);
		c->bytes.to = fmax(c->bytes.to, limit);
	}
	/* The forecast may take as much again. */
	if (c->forecast && !c->limit) {
		double end = fit_at(c, c->suspect_s.to + (c->data_s.to - c->data_s.from) / 3);
		double more = c->bytes.to - c->bytes.from;

		c->bytes.to = bound(end, c->bytes.to, c->bytes.to + more);
	}
	room = (c->bytes.to - c->bytes.from) / (c->limit ? 8 : 12); /* of the limit's label */
	c->bytes.to += room;
	if (c->bytes.from != 0)
		c->bytes.from =
			c->bytes.from > 0 ? fmax(0, c->bytes.from - room) : c->bytes.from - room;
	for (c->step_bytes = 1; (c->bytes.to - c->bytes.from) / c->step_bytes > 5.5;)
		c->step_bytes *= 2;
}

/* After scale_bytes: how far a forecast goes depends on the limit. */
static void scale_time(struct canvas *c)
{
	double span = c->data_s.to - c->data_s.from, end = c->suspect_s.to;
	double reach, late;

	c->s = c->data_s;
	if (!c->forecast)
		return;
	reach = reach_s(c, c->p->fit_bytes_per_h);
	late = isfinite(c->p->fit_low_bytes_per_h) ? reach_s(c, c->p->fit_low_bytes_per_h) : reach;
	if (reach <= span)
		c->s.to = fmax(
			c->s.to, end + fmin(fmax(late, reach) * 1.05 + span / 50, span * 1.05));
	else
		c->s.to = fmax(c->s.to, end + span / 3);
	if (c->s.to > (double)PLOT_TIME_MAX_S)
		c->s.to = fmax((double)PLOT_TIME_MAX_S, c->data_s.to);
}

/* The margin fits the widest label. */
static void scale_left(struct canvas *c)
{
	double widest = 0;

	for (double k = ceil(c->bytes.from / c->step_bytes); k * c->step_bytes <= c->bytes.to;
		k++) {
		char text[PLOT_TICK_MAX];

		widest = fmax(widest,
			plot_ascii_width(plot_tick_label(k * c->step_bytes, c->step_bytes, text)));
	}
	c->left = bound(34 + widest, 80, 240);
}

/* Pieces of the picture */

static void draw_byte_axis(struct canvas *c)
{
	for (double k = ceil(c->bytes.from / c->step_bytes); k * c->step_bytes <= c->bytes.to;
		k++) {
		double y = y_of(c, k * c->step_bytes);
		char text[PLOT_TICK_MAX];

		put_line(c, "g", (struct point){c->left, y}, (struct point){RIGHT, y});
		put_label(c, "e", c->left - 10, y + 5,
			plot_tick_label(k * c->step_bytes, c->step_bytes, text));
	}
}

/* Steps of the time's axis: seconds, or months where those are not 0. */
static const struct time_step {
	int64_t s;
	int months;
} time_steps[] = {{300, 0}, {600, 0}, {900, 0}, {1800, 0}, {3600, 0}, {2 * 3600, 0}, {3 * 3600, 0},
	{6 * 3600, 0}, {12 * 3600, 0}, {DAY_S, 0}, {2 * DAY_S, 0}, {7 * DAY_S, 0}, {14 * DAY_S, 0},
	{30 * DAY_S, 1}, {61 * DAY_S, 2}, {91 * DAY_S, 3}, {182 * DAY_S, 6}, {365 * DAY_S, 12},
	{730 * DAY_S, 24}, {1826 * DAY_S, 60}, {3652 * DAY_S, 120}, {9131 * DAY_S, 300},
	{18262 * DAY_S, 600}, {36524 * DAY_S, 1200}, {73048 * DAY_S, 2400}, {182621 * DAY_S, 6000},
	{365243 * DAY_S, 12000}};

static const struct time_step *time_step(const struct canvas *c)
{
	double most = floor((RIGHT - c->left) / 92);
	size_t i = 0;

	while (i + 1 < sizeof(time_steps) / sizeof(time_steps[0]) &&
		(c->s.to - c->s.from) / (double)time_steps[i].s > most)
		i++;
	return &time_steps[i];
}

/* The first round time at or after `s`. */
static int64_t round_up(const struct time_step *step, int64_t s)
{
	/* Weeks begin on a Monday; 1970 began on a Thursday. */
	int64_t offset = step->s % (7 * DAY_S) == 0 ? 4 * DAY_S : 0, rest;
	struct tm tm;
	int64_t month, t;

	if (!step->months) {
		rest = (s - offset) % step->s;
		return rest == 0 ? s : s - rest + (rest > 0 ? step->s : 0);
	}
	civil(s, &tm);
	month = (int64_t)tm.tm_year * 12 + 1900 * 12 + tm.tm_mon;
	month -= month % step->months;
	do {
		tm = (struct tm){.tm_year = (int)(month / 12 - 1900),
			.tm_mon = (int)(month % 12),
			.tm_mday = 1};
		t = (int64_t)timegm(&tm);
		month += step->months;
	} while (t < s);
	return t;
}

static void draw_time_axis(struct canvas *c)
{
	const struct time_step *step = time_step(c);
	struct tm last = {.tm_year = -1, .tm_yday = -1};
	double free_x = -1;

	put_line(c, "x", (struct point){c->left, BOTTOM}, (struct point){RIGHT, BOTTOM});
	put_label(c, "e k", RIGHT, BOTTOM + 41, "UTC");
	for (int64_t t = round_up(step, (int64_t)ceil(c->s.from)); (double)t <= c->s.to;
		t = round_up(step, t + 1)) {
		double x = x_of(c, (double)t);
		char text[TIME_MAX], below[TIME_MAX];
		struct tm tm;

		civil(t, &tm);
		below[0] = 0;
		if (step->months >= 12) {
			snprintf(text, sizeof(text), "%d", tm.tm_year + 1900);
		} else if (step->s >= DAY_S) {
			if (step->months)
				snprintf(text, sizeof(text), "%s", months[tm.tm_mon]);
			else
				snprintf(
					text, sizeof(text), "%d %s", tm.tm_mday, months[tm.tm_mon]);
			if (tm.tm_year != last.tm_year)
				snprintf(below, sizeof(below), "%d", tm.tm_year + 1900);
		} else {
			snprintf(text, sizeof(text), "%02d:%02d", tm.tm_hour, tm.tm_min);
			if (tm.tm_year != last.tm_year)
				snprintf(below, sizeof(below), "%d %s %d", tm.tm_mday,
					months[tm.tm_mon], tm.tm_year + 1900);
			else if (tm.tm_yday != last.tm_yday)
				snprintf(below, sizeof(below), "%d %s", tm.tm_mday,
					months[tm.tm_mon]);
		}
		last = tm;
		put_line(c, "x", (struct point){x, BOTTOM}, (struct point){x, BOTTOM + 6});
		if (x <= WIDTH - 6 - plot_ascii_width(text) / 2)
			put_label(c, "m", x, BOTTOM + 22, text);
		if (*below && x >= free_x && x <= RIGHT - 40 - plot_ascii_width(below) / 2) {
			put_label(c, "m k", x, BOTTOM + 41, below);
			free_x = x + plot_ascii_width(below) + 8;
		}
	}
}

static void draw_interval(struct canvas *c)
{
	double from = x_of(c, c->suspect_s.from);
	double to = x_of(c, c->suspect_s.to);
	char a[PX_MAX], b[PX_MAX], y[PX_MAX], h[PX_MAX];

	put(c, "<rect class=\"s\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\"/>\n", px(from, a),
		px(c->top, y), px(to - from, b), px(BOTTOM - c->top, h));
	put_line(c, "se", (struct point){from, c->top}, (struct point){from, BOTTOM});
	put_line(c, "se", (struct point){to, c->top}, (struct point){to, BOTTOM});
}

/* Two in a column of pixels: the least and the largest, in their order. */
struct column {
	double x;
	struct point least, most;
	bool any, least_first;
};

static void column_put(struct canvas *c, struct column *k, bool *pen_down)
{
	const struct point *first = k->least_first ? &k->least : &k->most;
	const struct point *second = k->least_first ? &k->most : &k->least;

	if (!k->any)
		return;
	put_xy(c, *pen_down ? 'L' : 'M', first->x, first->y);
	if (second->x != first->x || second->y != first->y)
		put_xy(c, 'L', second->x, second->y);
	else if (!*pen_down)
		put(c, "h0"); /* round ends make a dot of a point between gaps */
	*pen_down = true;
	k->any = false;
}

static void draw_data(struct canvas *c)
{
	const struct plot *p = c->p;
	struct column k = {.x = -1};
	uint64_t before_s = 0;
	bool pen_down = false, gap = false;

	put(c, "<path class=\"d\" d=\"");
	for (size_t i = 0; i < p->n && c->status == 0; i++) {
		struct point q;

		if (!usable(p, i, before_s))
			continue;
		before_s = p->unix_s[i];
		if (!isfinite(p->bytes[i]) || fabs(p->bytes[i]) > 0x1p63) {
			gap = true;
			continue;
		}
		q.x = x_of(c, (double)before_s);
		q.y = y_of(c, p->bytes[i]);
		if (floor(q.x) != k.x) {
			column_put(c, &k, &pen_down);
			/* A gap inside of a column is too narrow to be seen. */
			if (gap)
				pen_down = false;
			k = (struct column){floor(q.x), q, q, true, true};
		} else if (q.y > k.least.y) {
			k.least = q;
			k.least_first = false;
		} else if (q.y < k.most.y) {
			k.most = q;
			k.least_first = true;
		}
		gap = false;
	}
	column_put(c, &k, &pen_down);
	put(c, "\"/>\n");
}

static void draw_lone_point(struct canvas *c)
{
	for (size_t i = 0; i < c->p->n; i++) {
		char a[PX_MAX], b[PX_MAX];

		if (c->p->bytes[i] != c->seen.from || c->p->unix_s[i] > PLOT_TIME_MAX_S)
			continue;
		put(c, "<circle class=\"dd\" cx=\"%s\" cy=\"%s\" r=\"4\"/>\n",
			px(x_of(c, (double)c->p->unix_s[i]), a), px(y_of(c, c->p->bytes[i]), b));
		return;
	}
}

/* The convex polygon's part on one side of a horizontal (Sutherland and Hodgman 1974). `to` has
 * room for one corner more than `from`. */
static size_t clip(const struct point *from, size_t n, double y, bool below, struct point *to)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		const struct point *a = &from[i], *b = &from[(i + 1) % n];
		bool a_in = below ? a->y >= y : a->y <= y, b_in = below ? b->y >= y : b->y <= y;

		if (a_in)
			to[k++] = *a;
		if (a_in != b_in)
			to[k++] = (struct point){
				a->x + (b->x - a->x) * ((y - a->y) / (b->y - a->y)), y};
	}
	return k;
}

/* The part of a line between two horizontals; false: none. */
static bool clip_line(double ceiling, struct point *a, struct point *b)
{
	struct point from = *a, way = {b->x - a->x, b->y - a->y};
	double up = (ceiling - from.y) / way.y, down = (BOTTOM - from.y) / way.y;
	double first = fmax(0, fmin(up, down)), last = fmin(1, fmax(up, down));

	if (way.y == 0)
		return from.y >= ceiling && from.y <= BOTTOM;
	if (first >= last)
		return false;
	*a = (struct point){from.x + way.x * first, from.y + way.y * first};
	*b = (struct point){from.x + way.x * last, from.y + way.y * last};
	return true;
}

/* The forecast's ceiling in pixels: the limit, unless the line is beyond it already. */
static double forecast_ceiling(const struct canvas *c)
{
	if (c->limit && fit_at(c, c->suspect_s.to) < c->p->limit_bytes)
		return y_of(c, c->p->limit_bytes);
	return c->top;
}

static void draw_wedge(struct canvas *c)
{
	const struct plot *p = c->p;
	double end = c->suspect_s.to, hours = (c->s.to - end) / HOUR_S;
	double level = fit_at(c, end);
	struct point corner[3], some[8], rest[16];
	size_t n;

	if (!isfinite(p->fit_low_bytes_per_h) || !isfinite(p->fit_high_bytes_per_h) || hours <= 0)
		return;
	corner[0] = (struct point){x_of(c, end), y_of(c, level)};
	corner[1] = (struct point){RIGHT, y_of(c, level + slope(p->fit_high_bytes_per_h) * hours)};
	corner[2] = (struct point){RIGHT, y_of(c, level + slope(p->fit_low_bytes_per_h) * hours)};
	n = clip(corner, 3, forecast_ceiling(c), true, some);
	n = clip(some, n, BOTTOM, false, rest);
	if (n < 3)
		return;
	put(c, "<path class=\"w\" d=\"");
	for (size_t i = 0; i < n; i++)
		put_xy(c, i ? 'L' : 'M', rest[i].x, rest[i].y);
	put(c, "Z\"/>\n");
}

static void draw_fit(struct canvas *c)
{
	double start = c->suspect_s.from, end = c->suspect_s.to;
	struct point a = {x_of(c, start), y_of(c, fit_at(c, start))};
	struct point b = {x_of(c, end), y_of(c, fit_at(c, end))}, from = b, to;

	if (clip_line(c->top, &a, &b))
		put_line(c, "f", a, b);
	if (!c->forecast || end >= c->s.to)
		return;
	to = (struct point){RIGHT, y_of(c, fit_at(c, c->s.to))};
	if (clip_line(forecast_ceiling(c), &from, &to))
		put_line(c, "f fd", from, to);
}

/* The label's y above the limit, so that it is not cut. */
static void draw_limit(struct canvas *c)
{
	double y = y_of(c, c->p->limit_bytes);
	char text[64], bytes[UNITS_BYTES_MAX];

	put_line(c, "l", (struct point){c->left, y}, (struct point){RIGHT, y});
	snprintf(text, sizeof(text), "limit %s", plot_bytes_label(c->p->limit_bytes, bytes));
	put_label(c, "o", c->left + 8, y - 6 < c->top + 10 ? y + 18 : y - 6, text);
}

static void draw_reach(struct canvas *c)
{
	double reach = reach_s(c, c->p->fit_bytes_per_h), s = c->suspect_s.to + reach;
	double y = y_of(c, c->p->limit_bytes), half;
	char text[TIME_MAX], a[PX_MAX], b[PX_MAX];

	if (!(s <= c->s.to) || s < c->s.from)
		return;
	put(c, "<circle class=\"fc\" cx=\"%s\" cy=\"%s\" r=\"5\"/>\n", px(x_of(c, s), a), px(y, b));
	time_label(s, reach < 3 * (double)DAY_S, text);
	half = plot_ascii_width(text) / 2;
	/* The limit's own label is at the left. */
	if (x_of(c, s) - half > c->left + 170)
		put_label(c, "m o ft", bound(x_of(c, s), c->left, RIGHT - half),
			y - 10 < c->top + 10 ? y + 22 : y - 10, text);
}

/* What the shades are, at the bottom, where a line that has grown is not. */
static void draw_names(struct canvas *c)
{
	double from = x_of(c, c->suspect_s.from);
	double to = x_of(c, c->suspect_s.to);
	char text[96], bytes[UNITS_BYTES_MAX];
	bool band;

	snprintf(text, sizeof(text), "suspicious");
	if (c->fit && fabs(c->p->fit_bytes_per_h) < 0x1p63)
		snprintf(text, sizeof(text), "suspicious: %c%s an hour",
			c->p->fit_bytes_per_h < 0 ? '-' : '+',
			plot_bytes_label(c->p->fit_bytes_per_h, bytes));
	if (plot_ascii_width(text) + 16 > to - from)
		snprintf(text, sizeof(text), "suspicious");
	if (plot_ascii_width(text) + 16 <= to - from)
		put_label(c, "o ft", from + 8, BOTTOM - 9, text);
	if (!c->forecast)
		return;
	band = isfinite(c->p->fit_low_bytes_per_h) && isfinite(c->p->fit_high_bytes_per_h);
	snprintf(text, sizeof(text), "forecast%s", band ? ", 80 % band" : "");
	if (plot_ascii_width(text) + 16 > RIGHT - to)
		snprintf(text, sizeof(text), "forecast");
	if (plot_ascii_width(text) + 16 <= RIGHT - to)
		put_label(c, "o ft", to + 8, BOTTOM - 9, text);
}

static void draw_alarm(struct canvas *c)
{
	double x = x_of(c, (double)c->p->alarm_s);
	char text[TIME_MAX + 16], when[TIME_MAX], a[PX_MAX], b[PX_MAX];
	bool flip;

	snprintf(text, sizeof(text), "first alarm %s",
		time_label((double)c->p->alarm_s, true, when));
	flip = x + 14 + plot_ascii_width(text) * BOLD > WIDTH - 8;
	put_line(c, "a", (struct point){x, c->top - 18}, (struct point){x, BOTTOM});
	put(c, "<path class=\"af\" d=\"M%s %sl%d 6l%d 6z\"/>\n", px(x, a), px(c->top - 19, b),
		flip ? -10 : 10, flip ? 10 : -10);
	put_label(c, flip ? "at e" : "at", flip ? x - 14 : x + 14, c->top - 8, text);
}

/* What a screen reader says, and shows as a tip: all of it. */
static void draw_spoken(struct canvas *c)
{
	const char *const parts[] = {c->p->host, c->p->component, c->p->process};
	struct plot_text t;

	put(c, "<title>");
	for (unsigned i = 0, k = 0; i < 3; i++) {
		plot_text_init(&t, parts[i]);
		if (t.n)
			put(c, "%s", k++ ? ", " : "");
		keep(c, plot_text_put(c->out, &t, 0, t.n));
	}
	plot_text_init(&t, c->p->verdict);
	put(c, "</title>\n<desc>");
	keep(c, plot_text_put(c->out, &t, 0, t.n));
	put(c, "</desc>\n");
}

static void draw_title(struct canvas *c)
{
	const char *const parts[] = {c->p->host, c->p->component, c->p->process};
	double font = TITLE_FONT * BOLD, room = WIDTH - 48 - 2 * font, width[3], large = 0;
	double rest = room;
	struct plot_text t;

	/* Names of up to a third of the room stay whole; the others share what these leave. */
	for (unsigned i = 0; i < 3; i++) {
		plot_text_init(&t, parts[i]);
		width[i] = plot_text_width(&t, 0, t.n, font);
		if (width[i] <= room / 3)
			rest -= width[i];
		else
			large += width[i];
	}
	put_label_start(c, "h", 24, 35);
	for (unsigned i = 0, k = 0; i < 3; i++) {
		plot_text_init(&t, parts[i]);
		if (!t.n)
			continue;
		put(c, "%s", k++ ? "<tspan class=\"k\"> / </tspan>" : "");
		keep(c,
			plot_text_put_shortened(c->out, &t,
				width[i] <= room / 3 || large <= rest ? room
								      : rest * width[i] / large,
				font));
	}
	put(c, "</text>\n");
}

/* Sets where the area begins, too. */
static void draw_subtitle(struct canvas *c)
{
	struct plot_text t;
	size_t end;

	c->top = 102;
	plot_text_init(&t, c->p->verdict);
	if (!t.n)
		return;
	end = plot_text_wrap(&t, 0, WIDTH - 48);
	put_label_start(c, "v", 24, 60);
	keep(c, plot_text_put(c->out, &t, 0, end));
	put(c, "</text>\n");
	while (end < t.n && t.c[end] == ' ')
		end++;
	if (end == t.n)
		return;
	c->top = 122;
	put_label_start(c, "v", 24, 80);
	memmove(t.c, t.c + end, (t.n - end) * sizeof(t.c[0]));
	t.n -= end;
	end = plot_text_wrap(&t, 0, WIDTH - 48 - PLOT_TEXT_FONT);
	keep(c, plot_text_put(c->out, &t, 0, end));
	put(c, "%s</text>\n", end < t.n ? "&#8230;" : "");
}

static void draw(struct canvas *c)
{
	char text[96], bytes[UNITS_BYTES_MAX];

	scale_bytes(c);
	scale_time(c);
	scale_left(c);
	draw_byte_axis(c);
	if (c->interval)
		draw_interval(c);
	if (c->forecast)
		draw_wedge(c);
	draw_time_axis(c);
	if (c->limit) {
		draw_limit(c);
	} else if (isfinite(c->p->limit_bytes) && c->p->limit_bytes > c->bytes.to &&
		c->p->limit_bytes <= 0x1p63) {
		snprintf(text, sizeof(text), "limit %s, not in the picture",
			plot_bytes_label(c->p->limit_bytes, bytes));
		put_label(c, "o k", c->left + 8, c->top + 16, text);
	}
	draw_data(c);
	if (c->finite == 1)
		draw_lone_point(c);
	if (c->fit)
		draw_fit(c);
	if (c->p->alarm_s && (double)c->p->alarm_s >= c->s.from && (double)c->p->alarm_s <= c->s.to)
		draw_alarm(c);
	if (c->interval)
		draw_names(c);
	if (c->forecast && c->limit)
		draw_reach(c);
}

int plot_svg(struct buf *out, const struct plot *p)
{
	struct canvas c = {.p = p, .out = out};
	size_t before = out->len;

	measure(&c);
	put(&c,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\">\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	draw_spoken(&c);
	put(&c, "<style>%s</style>\n", style);
	put(&c, "<rect class=\"bg\" x=\".5\" y=\".5\" width=\"%d\" height=\"%d\" rx=\"10\"/>\n",
		WIDTH - 1, HEIGHT - 1);
	draw_title(&c);
	draw_subtitle(&c);
	if (c.finite)
		draw(&c);
	else
		put_label(&c, "m", WIDTH / 2., (c.top + BOTTOM) / 2, "no values in this time");
	put(&c, "</svg>\n");
	if (c.status < 0) {
		out->len = before;
		if (out->data)
			out->data[before] = 0;
	}
	return c.status;
}
