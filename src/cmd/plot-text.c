#include "cmd/plot-text.h"

#include <math.h>
#include <string.h>

#include "base/units.h"

/* One character of UTF-8 (RFC 3629) and its length; U+FFFD and 1 for a byte that is none. */
static size_t decode(const unsigned char *s, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? s[0] : len == 2 ? s[0] & 0x1f : len == 3 ? s[0] & 0x0f : s[0] & 7;

	*ret = 0xfffd;
	if (len == 0 || len > n || s[0] > 0xf4)
		return 1;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 1;
	*ret = c;
	return len;
}

void plot_text_init(struct plot_text *t, const char *s)
{
	size_t n = s ? strnlen(s, PLOT_TEXT_BYTES) : 0;

	t->n = 0;
	for (size_t i = 0; i < n;) {
		uint32_t ch;

		i += decode((const unsigned char *)s + i, n - i, &ch);
		if (ch == '\t' || ch == '\n' || ch == '\r')
			ch = ' ';
		if (ch < 0x20 || (ch >= 0x7f && ch < 0xa0) || ch == 0xfffe || ch == 0xffff)
			ch = 0xfffd;
		t->c[t->n++] = ch;
	}
}

/* About how wide a character is, in hundredths of the font's size; on the wide side, as we do not
 * know the font. */
static unsigned char_width(uint32_t ch)
{
	if (ch >= 0x1100)
		return 105;
	if (ch < 0x80 && strchr("ijl.,:;|!'`()[]I /", (int)ch))
		return 36;
	if (ch < 0x80 && strchr("mwMW@%", (int)ch))
		return 92;
	return ch >= 'A' && ch <= 'Z' ? 70 : 58;
}

double plot_text_width(const struct plot_text *t, size_t from, size_t to, double font)
{
	unsigned long w = 0;

	for (size_t i = from; i < to; i++)
		w += char_width(t->c[i]);
	return (double)w * font / 100;
}

double plot_ascii_width(const char *s)
{
	unsigned long w = 0;

	for (; *s; s++)
		w += char_width((unsigned char)*s);
	return (double)w * PLOT_TEXT_FONT / 100;
}

static int put_char(struct buf *out, uint32_t ch)
{
	if (ch == '&')
		return buf_printf(out, "&amp;");
	if (ch == '<')
		return buf_printf(out, "&lt;");
	if (ch == '>')
		return buf_printf(out, "&gt;");
	if (ch == '"')
		return buf_printf(out, "&quot;");
	if (ch < 0x80)
		return buf_printf(out, "%c", (int)ch);
	if (ch < 0x800)
		return buf_printf(out, "%c%c", (int)(0xc0 | ch >> 6), (int)(0x80 | (ch & 0x3f)));
	if (ch < 0x10000)
		return buf_printf(out, "%c%c%c", (int)(0xe0 | ch >> 12),
			(int)(0x80 | (ch >> 6 & 0x3f)), (int)(0x80 | (ch & 0x3f)));
	return buf_printf(out, "%c%c%c%c", (int)(0xf0 | ch >> 18), (int)(0x80 | (ch >> 12 & 0x3f)),
		(int)(0x80 | (ch >> 6 & 0x3f)), (int)(0x80 | (ch & 0x3f)));
}

int plot_text_put(struct buf *out, const struct plot_text *t, size_t from, size_t to)
{
	int r = 0;

	for (size_t i = from; i < to && r == 0; i++)
		r = put_char(out, t->c[i]);
	return r;
}

int plot_text_put_shortened(struct buf *out, const struct plot_text *t, double width, double font)
{
	size_t head, tail;
	int r;

	if (plot_text_width(t, 0, t->n, font) <= width)
		return plot_text_put(out, t, 0, t->n);
	width -= font;
	for (head = 0; head < t->n && plot_text_width(t, 0, head + 1, font) <= width / 2;)
		head++;
	for (tail = t->n; tail > head && plot_text_width(t, tail - 1, t->n, font) <= width / 2;)
		tail--;
	r = plot_text_put(out, t, 0, head);
	if (r == 0)
		r = buf_printf(out, "&#8230;");
	return r == 0 ? plot_text_put(out, t, tail, t->n) : r;
}

size_t plot_text_wrap(const struct plot_text *t, size_t from, double width)
{
	size_t to = from, blank = from;

	while (to < t->n && plot_text_width(t, from, to + 1, PLOT_TEXT_FONT) <= width) {
		if (t->c[to] == ' ')
			blank = to;
		to++;
	}
	return to == t->n || blank == from ? to : blank;
}

const char *plot_bytes_label(double v, char out[static UNITS_BYTES_MAX])
{
	char *dot;

	units_bytes((uint64_t)fmin(fmax(fabs(v), 0), 0x1p63), out);
	dot = strstr(out, ".0 ");
	if (dot)
		memmove(dot, dot + 2, strlen(dot + 2) + 1);
	return out;
}

const char *plot_tick_label(double v, double step, char out[static PLOT_TICK_MAX])
{
	static const char *const names[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
	unsigned i = 0;
	long long quarters;
	double unit = 1;

	while (i + 1 < sizeof(names) / sizeof(names[0]) && step >= unit * 256) {
		unit *= 1024;
		i++;
	}
	quarters = llround(v / unit * 4);
	snprintf(out, PLOT_TICK_MAX, "%s%lld%s%s", quarters < 0 ? "-" : "", llabs(quarters) / 4,
		((const char *[]){"", ".25", ".5", ".75"})[llabs(quarters) % 4],
		quarters ? names[i] : "");
	return out;
}
