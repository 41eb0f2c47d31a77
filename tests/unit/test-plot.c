#include "torture.h"

#include <math.h>

#include "cmd/plot.h"

#define MIB 1048576.
#define T0 UINT64_C(1789002000)

#define MOST 100000
static uint64_t when[MOST];
static double value[MOST];

/* A checker of well-formed XML, as far as an SVG of ours has it: elements that nest, attributes in
 * double quotes and once each, the five entities and decimal references, valid UTF-8 (RFC 3629)
 * without what XML 1.0 forbids, one root. NULL when it is well-formed, else where it is not. */
static const char *xml_fault(const char *s, size_t n)
{
	const char *open[64], *p = s, *end = s + n;
	size_t len[64], depth = 0, roots = 0;

	for (const unsigned char *u = (const unsigned char *)s, *e = u + n; u < e;) {
		size_t k = *u < 0x80 ? 1 : *u < 0xc2 ? 0 : *u < 0xe0 ? 2 : *u < 0xf0 ? 3 : 4;
		uint32_t c = k == 1 ? *u : *u & (0x7fu >> k);

		if (k == 0 || *u > 0xf4 || (size_t)(e - u) < k)
			return (const char *)u;
		for (size_t i = 1; i < k; i++) {
			if ((u[i] & 0xc0) != 0x80)
				return (const char *)u;
			c = c << 6 | (u[i] & 0x3f);
		}
		if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0xd800 && c < 0xe000) ||
			c == 0xfffe || c == 0xffff || c > 0x10ffff || (k == 3 && c < 0x800) ||
			(k == 4 && c < 0x10000))
			return (const char *)u;
		u += k;
	}
	while (p < end) {
		if (*p == '&') {
			const char *semicolon = memchr(p, ';', (size_t)(end - p));
			size_t k = semicolon ? (size_t)(semicolon - p) - 1 : 0;

			if (!semicolon)
				return p;
			if (p[1] == '#' ? k < 2 || strspn(p + 2, "0123456789") != k - 1
					: !(k == 3 && !memcmp(p + 1, "amp", 3)) &&
						!(k == 2 &&
							(!memcmp(p + 1, "lt", 2) ||
								!memcmp(p + 1, "gt", 2))) &&
						!(k == 4 && !memcmp(p + 1, "quot", 4)))
				return p;
			p = semicolon + 1;
		} else if (*p != '<') {
			if ((depth == 0 && *p != '\n') || (*p == '>'))
				return p;
			p++;
		} else if (p[1] == '/') {
			if (depth == 0 || strncmp(p + 2, open[depth - 1], len[depth - 1]) != 0 ||
				p[2 + len[depth - 1]] != '>')
				return p;
			p += 3 + len[--depth];
		} else {
			static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
						      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-:0123456789";
			const char *tag = p;
			const char *names[16];
			size_t n_names = 0;

			if (depth == COUNT(open) || (depth == 0 && roots++))
				return p;
			open[depth] = p + 1;
			len[depth] = strspn(p + 1, letters);
			if (len[depth] == 0)
				return p;
			p += 1 + len[depth++];
			while (*p == ' ') {
				size_t k = strspn(++p, letters);

				for (size_t i = 0; i < n_names; i++)
					if (!strncmp(names[i], p, k + 1))
						return p;
				if (k == 0 || n_names == COUNT(names) || p[k] != '=' ||
					p[k + 1] != '"')
					return p;
				names[n_names++] = p;
				p += k + 2;
				p += strcspn(p, "\"<&");
				if (*p++ != '"')
					return p - 1;
			}
			if (*p == '/') {
				depth--;
				p++;
			}
			if (*p++ != '>')
				return tag;
		}
	}
	return depth || !roots ? end : NULL;
}

/* Draws, checks what always holds, and returns the text. The caller frees it. */
static char *drawn(const struct plot *p)
{
	struct buf b = BUF_INIT(PLOT_SVG_BYTES);
	const char *fault;

	assert_int_equal(plot_svg(&b, p), 0);
	fault = xml_fault(b.data, b.len);
	if (fault)
		fail_msg("not well-formed at %zu: %.60s", (size_t)(fault - b.data), fault);
	assert_int_equal(strlen(b.data), b.len);
	assert_null(strstr(b.data, "nan"));
	assert_null(strstr(b.data, "inf"));
	assert_null(strstr(b.data, "<script"));
	assert_null(strstr(b.data, "url("));
	assert_null(strstr(b.data, " id="));
	return b.data;
}

static bool has(const char *svg, const char *what)
{
	return strstr(svg, what);
}

/* The commands of the line. */
static char *line_of(const char *svg, char *out, size_t size)
{
	const char *d = strstr(svg, "<path class=\"d\" d=\"");

	assert_non_null(d);
	d += strlen("<path class=\"d\" d=\"");
	assert_true(strcspn(d, "\"") < size);
	memcpy(out, d, strcspn(d, "\""));
	out[strcspn(d, "\"")] = 0;
	return out;
}

static unsigned count(const char *s, char c)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == c;
	return n;
}

static void fill(size_t n, double from_mib, double mib_per_h)
{
	struct rng r = {7};

	for (size_t i = 0; i < n; i++) {
		when[i] = T0 + i * 3600;
		value[i] = (from_mib + (double)i * mib_per_h + rng_unit(&r)) * MIB;
	}
}

static struct plot leak(size_t n)
{
	return (struct plot){
		.host = "web-1",
		.component = "kv-server",
		.process = "4711",
		.verdict = "It leaks.",
		.unix_s = when,
		.bytes = value,
		.n = n,
		.limit_bytes = 512 * MIB,
		.suspect_start_s = T0,
		.suspect_end_s = T0 + (n - 1) * 3600,
		.alarm_s = T0 + 72 * 3600,
		.fit_start_bytes = 100 * MIB,
		.fit_bytes_per_h = MIB,
		.fit_low_bytes_per_h = MIB * .8,
		.fit_high_bytes_per_h = MIB * 1.25,
		.forecast = true,
	};
}

static void test_checker_checks(void **state)
{
	static const char *const good[] = {"<a/>", "<a b=\"c\">&amp;&#8230;<c/></a>\n"};
	static const char *const bad[] = {"", "x", "<a>", "<a></b>", "<a/><b/>", "<a>&</a>",
		"<a>&x;</a>", "<a>&#x;</a>", "<a b=\"1\" b=\"2\"/>", "<a b=c/>", "<a b=\"<\"/>",
		"<a>\x01</a>", "<a>\xff</a>", "<a>\xed\xa0\x80</a>", "<a>\xc3</a>",
		"<a>\xef\xbf\xbf</a>", "</a>", "<a>></a>"};

	for (size_t i = 0; i < COUNT(good); i++)
		assert_null(xml_fault(good[i], strlen(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_non_null(xml_fault(bad[i], strlen(bad[i])));
}

static void test_everything_is_there(void **state)
{
	struct plot p = leak(240);
	char *svg;

	fill(240, 100, 1);
	svg = drawn(&p);
	assert_true(has(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 360\""));
	assert_true(has(svg, "<title>web-1, kv-server, 4711</title>"));
	assert_true(has(svg, "prefers-color-scheme:dark"));
	assert_true(has(svg, ">It leaks.</text>"));
	assert_true(has(svg, ">limit 512 MiB<"));
	assert_true(has(svg, ">first alarm 13 Sep 2026 01:00<"));
	assert_true(has(svg, ">suspicious: +1 MiB an hour<"));
	assert_true(has(svg, ">forecast, 80 % band<"));
	assert_true(has(svg, "class=\"w\""));  /* the band */
	assert_true(has(svg, "class=\"f\""));  /* the fitted line */
	assert_true(has(svg, "class=\"fc\"")); /* where it reaches the limit: */
	assert_true(has(svg, ">27 Sep 2026<"));
	assert_true(has(svg, ">256 MiB<"));
	assert_true(has(svg, ">UTC<"));
	assert_true(has(svg, ">14 Sep<"));
	free(svg);
}

static void test_zero_is_a_picture(void **state)
{
	struct plot p = {0};
	char *svg = drawn(&p);

	assert_true(has(svg, "no values"));
	free(svg);
}

static void test_few_points(void **state)
{
	fill(10, 100, 1);
	for (size_t n = 0; n < 10; n++) {
		struct plot p = leak(10);
		char *svg;

		p.n = n;
		svg = drawn(&p);
		assert_int_equal(has(svg, "no values"), n == 0);
		assert_int_equal(has(svg, "class=\"dd\""), n == 1);
		free(svg);
		p.suspect_end_s = p.suspect_start_s = 0;
		free(drawn(&p));
	}
}

static void test_gaps_break_the_line(void **state)
{
	struct plot p = leak(100);
	char *svg, d[8192];

	fill(100, 100, 0);
	value[20] = NAN;
	value[21] = INFINITY;
	value[50] = -INFINITY;
	value[52] = NAN; /* 51 is alone */
	svg = drawn(&p);
	line_of(svg, d, sizeof(d));
	assert_int_equal(count(d, 'M'), 4);
	assert_int_equal(count(d, 'h'), 4); /* each line's first point is a dot, too */
	free(svg);

	for (size_t i = 0; i < 100; i++)
		value[i] = NAN;
	svg = drawn(&p);
	assert_true(has(svg, "no values"));
	free(svg);
}

/* No more than two points in each column of pixels, and no peak is lost. */
static void test_thins(void **state)
{
	struct plot p = {.unix_s = when, .bytes = value, .n = MOST};
	double top = 1e9, low = 0;
	char *svg, *d = malloc(PLOT_SVG_BYTES), *s;
	unsigned at[960] = {0};

	assert_non_null(d);
	fill(MOST, 100, 0);
	value[33333] = 1000 * MIB;
	value[66666] = 0;
	svg = drawn(&p);
	line_of(svg, d, PLOT_SVG_BYTES);
	assert_int_equal(count(d, 'M'), 1);
	for (s = d; *s; s++) {
		double x, y;

		if (*s != 'M' && *s != 'L')
			continue;
		x = strtod(s + 1, &s);
		y = strtod(s, NULL);
		assert_true(x >= 0 && x < 960);
		at[(int)x]++;
		top = fmin(top, y);
		low = fmax(low, y);
	}
	/* Rounding to tenths can move a point over a column's edge. */
	for (int i = 0; i < 960; i++)
		assert_true(at[i] <= 4);
	assert_true(count(d, 'L') + 1 <= 2 * 880);
	assert_true(low == 304);
	assert_true(top < 150);
	free(svg);
	free(d);
}

static void test_disorder(void **state)
{
	struct plot p = leak(100);
	char *svg, d[8192];

	fill(100, 100, 1);
	when[50] = 0;
	when[60] = UINT64_MAX;
	svg = drawn(&p);
	assert_int_equal(count(line_of(svg, d, sizeof(d)), 'L'), 97);
	free(svg);
}

static void test_escapes(void **state)
{
	struct plot p = leak(100);
	char *svg, long_name[5000];

	fill(100, 100, 1);
	p.host = "<b>&\"'";
	p.component = "a\x01\xff\xed\xa0\x80\xef\xbf\xbe\xc3";
	p.process = "\xe2\x82\xac\xf0\x9f\x98\x80\n";
	p.verdict = "]]><!-- &amp; -->";
	svg = drawn(&p);
	assert_true(has(svg, "&lt;b&gt;&amp;&quot;'"));
	assert_true(has(svg, "\xe2\x82\xac\xf0\x9f\x98\x80 "));
	assert_true(has(svg, "]]&gt;&lt;!-- &amp;amp; --&gt;"));
	free(svg);

	/* Every cut through characters, and texts that have no blank. */
	for (size_t i = 0; i < sizeof(long_name); i++)
		long_name[i] = "\xf0\x9f\x98\x80&"[i % 5];
	long_name[sizeof(long_name) - 1] = 0;
	for (int i = 0; i < 5; i++) {
		p.host = p.component = p.process = p.verdict = long_name + i;
		free(drawn(&p));
	}
	memset(long_name, '&', sizeof(long_name) - 1);
	free(drawn(&p));
	memset(long_name, '\xff', sizeof(long_name) - 1);
	free(drawn(&p));
}

static void test_long_names_keep_their_ends(void **state)
{
	struct plot p = leak(10);
	char *svg, name[201];

	fill(10, 100, 1);
	memset(name, 'n', sizeof(name));
	memcpy(name, "head", 4);
	memcpy(name + 196, "tail", 5);
	p.process = name;
	svg = drawn(&p);
	assert_true(has(svg, "web-1<tspan class=\"k\"> / </tspan>kv-server<tspan"));
	assert_true(has(svg, "> / </tspan>headnnn"));
	assert_true(has(svg, "nnn&#8230;nnn"));
	assert_true(has(svg, "nnntail</text>"));
	free(svg);
}

static void test_far_limit_is_only_mentioned(void **state)
{
	struct plot p = leak(100);
	char *svg;

	fill(100, 100, 1);
	p.limit_bytes = 64 * 1024 * MIB;
	svg = drawn(&p);
	assert_true(has(svg, ">limit 64 GiB, not in the picture<"));
	assert_false(has(svg, "class=\"l\""));
	free(svg);
}

/* Any number anywhere. */
static void test_any_number(void **state)
{
	static const double numbers[] = {0, -0., 1, -1, 1e-300, 1e300, -1e300, INFINITY, -INFINITY,
		NAN, 0x1p63, -0x1p63, 0x1p62, 4096, 1e9, -1e9, 1e18, 0x1p1023};
	static const uint64_t times[] = {0, 1, T0 - 1, T0, T0 + 3600, T0 + 100 * 3600,
		PLOT_TIME_MAX_S, PLOT_TIME_MAX_S + 1, UINT64_MAX, UINT64_MAX - 1};
	struct rng r = {99};
	uint64_t t[64];
	double v[64];

	for (int round = 0; round < 5000; round++) {
		struct plot p = {.host = "h", .unix_s = t, .bytes = v, .n = rng_below(&r, 64)};
		double base = numbers[rng_below(&r, COUNT(numbers))];
		uint64_t step = UINT64_C(1) << rng_below(&r, 34);

		for (size_t i = 0; i < 64; i++) {
			t[i] = T0 % (1 + rng_below(&r, 3)) + i * step;
			v[i] = rng_below(&r, 4) ? base * (1 + rng_unit(&r) / 1e3)
						: numbers[rng_below(&r, COUNT(numbers))];
			if (!rng_below(&r, 8))
				t[i] = times[rng_below(&r, COUNT(times))];
		}
		p.limit_bytes = numbers[rng_below(&r, COUNT(numbers))];
		p.suspect_start_s = rng_below(&r, 2) ? t[3] : times[rng_below(&r, COUNT(times))];
		p.suspect_end_s = rng_below(&r, 2) ? t[50] : times[rng_below(&r, COUNT(times))];
		p.alarm_s = rng_below(&r, 2) ? t[30] : times[rng_below(&r, COUNT(times))];
		p.fit_start_bytes =
			rng_below(&r, 2) ? v[3] : numbers[rng_below(&r, COUNT(numbers))];
		p.fit_bytes_per_h = numbers[rng_below(&r, COUNT(numbers))];
		p.fit_low_bytes_per_h = numbers[rng_below(&r, COUNT(numbers))];
		p.fit_high_bytes_per_h = numbers[rng_below(&r, COUNT(numbers))];
		p.forecast = rng_below(&r, 4);
		free(drawn(&p));
	}
}

/* Each length of time has an axis with some labels. */
static void test_time_axis(void **state)
{
	double v[2] = {MIB, 2 * MIB};

	for (uint64_t span = 1; span < PLOT_TIME_MAX_S; span += span / 5 + 1) {
		uint64_t t[2] = {0, span};
		struct plot p = {.unix_s = t, .bytes = v, .n = 2};
		char *svg = drawn(&p);
		unsigned labels = 0;

		for (char *s = svg; (s = strstr(s, "<text class=\"m\"")); s++)
			labels++;
		if (labels < 2 || labels > 10)
			fail_msg("%llu s have %u labels", (unsigned long long)span, labels);
		free(svg);
	}
}

/* The worst that can come is within the ceiling, and what is above leaves nothing behind. */
static void test_ceiling(void **state)
{
	struct buf b = BUF_INIT(64);
	struct plot p = leak(MOST);
	char name[PLOT_TEXT_BYTES + 1];

	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	fill(MOST, 100, .001);
	for (size_t i = 0; i < MOST; i++)
		if (i % 230 < 115)
			value[i] = NAN;
	p.host = p.component = p.process = p.verdict = name;
	free(drawn(&p));

	assert_int_equal(buf_add(&b, "before", 6), 0);
	assert_int_equal(plot_svg(&b, &p), -EMSGSIZE);
	assert_string_equal(b.data, "before");
	assert_int_equal(b.len, 6);
	buf_done(&b);
}

static int work(void)
{
	struct buf b = BUF_INIT(PLOT_SVG_BYTES);
	struct plot p = leak(100);
	int r = plot_svg(&b, &p);

	assert_true(r == 0 || b.len == 0);
	buf_done(&b);
	return r;
}

static void test_torture(void **state)
{
	fill(100, 100, 1);
	assert_true(torture_run(work) > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checker_checks),
		cmocka_unit_test(test_everything_is_there),
		cmocka_unit_test(test_zero_is_a_picture),
		cmocka_unit_test(test_few_points),
		cmocka_unit_test(test_gaps_break_the_line),
		cmocka_unit_test(test_thins),
		cmocka_unit_test(test_disorder),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_long_names_keep_their_ends),
		cmocka_unit_test(test_far_limit_is_only_mentioned),
		cmocka_unit_test(test_any_number),
		cmocka_unit_test(test_time_axis),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
