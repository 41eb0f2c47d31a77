#include "torture.h"

#include <locale.h>
#include <math.h>
#include <time.h>

#include "ingest/table.h"

#define HEADER "time,host,component,process,bytes\n"

/* What came out, as text: a line for each row, then each bad one, then what was unknown. */
struct got {
	struct table *t;
	char text[65536];
	size_t n;
	uint64_t rows;
	int stop_at, code, end;
	struct err err;
};

static void got_add(struct got *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void got_add(struct got *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g->n += (size_t)vsnprintf(g->text + g->n, sizeof(g->text) - g->n, fmt, ap);
	va_end(ap);
	assert_true(g->n < sizeof(g->text));
}

static int got_row(void *arg, const struct table_row *row, struct err *err)
{
	struct got *g = arg;

	if (g->stop_at && ++g->rows == (uint64_t)g->stop_at)
		return err_set(err, -ECANCELED, "enough");
	got_add(g, "%llu.%09llu %s/%s/%s/%s %llu", (unsigned long long)row->unix_ns / 1000000000,
		(unsigned long long)row->unix_ns % 1000000000, table_string(g->t, row->host),
		table_string(g->t, row->component), table_string(g->t, row->process),
		table_string(g->t, row->version), (unsigned long long)row->bytes);
	if (row->limit_bytes)
		got_add(g, " of %llu", (unsigned long long)row->limit_bytes);
	for (unsigned i = 0; i < TABLE_LOADS; i++)
		if (!isnan(row->load[i]))
			got_add(g, " %c=%g", "ctdr"[i], (double)row -> load[i]);
	got_add(g, "\n");
	return 0;
}

/* Feeds pieces of `piece` bytes; 0: of random sizes. */
static struct got *read_pieces(
	const struct table_opts *opts, const char *data, size_t n, size_t piece, struct rng *rng)
{
	struct got *g = calloc(1, sizeof(*g));
	struct table_opts o = opts ? *opts : (struct table_opts){0};
	char text[TABLE_BAD_TEXT_MAX];

	assert_non_null(g);
	if (!o.row) {
		o.row = got_row;
		o.arg = g;
	} else {
		o.row = got_row;
		g->stop_at = *(int *)o.arg;
		o.arg = g;
	}
	assert_int_equal(table_new(&o, &g->t, &g->err), 0);
	for (size_t i = 0; i < n && g->code == 0;) {
		size_t size = piece ? piece : rng_below(rng, 40);

		if (size > n - i)
			size = n - i;
		g->code = table_feed(g->t, data + i, size, &g->err);
		i += size;
	}
	g->end = table_end(g->t, g->code ? NULL : &g->err);
	if (g->code == 0 && g->end < 0)
		g->code = g->end;
	assert_true(g->code == 0 || g->end == g->code);
	for (size_t i = 0; table_bad(g->t, i); i++)
		got_add(g, "! %s\n", table_bad_text(table_bad(g->t, i), text));
	for (size_t i = 0; table_unknown(g->t, i); i++)
		got_add(g, "? %s\n", table_unknown(g->t, i));
	if (g->code)
		got_add(g, "error: %s\n", g->err.msg);
	return g;
}

static void got_free(struct got *g)
{
	table_free(g->t);
	free(g);
}

static bool same(const struct got *a, const struct got *b)
{
	const struct table_counts *x = table_counts(a->t), *y = table_counts(b->t);

	return strcmp(a->text, b->text) == 0 && a->code == b->code && a->end == b->end &&
		x->rows == y->rows && x->skipped == y->skipped && x->series == y->series &&
		memcmp(x->bad, y->bad, sizeof(x->bad)) == 0 &&
		(a->code || (x->lines == y->lines && x->bytes == y->bytes)) &&
		table_strings(a->t) == table_strings(b->t) &&
		table_format(a->t) == table_format(b->t);
}

/* The result may not depend on where the chunks were cut. */
static struct got *read_all(const struct table_opts *opts, const char *data, size_t n)
{
	struct got *whole = read_pieces(opts, data, n, n ? n : 1, NULL), *g;
	static struct rng rng = {42};

	for (size_t piece = 0; piece <= 7; piece++) {
		g = read_pieces(opts, data, n, piece, &rng);
		if (!same(whole, g))
			fail_msg("pieces of %zu: %s\n-- whole:\n%s", piece, g->text, whole->text);
		got_free(g);
	}
	return whole;
}

static void expect_opts(
	const struct table_opts *opts, enum table_format format, const char *data, const char *text)
{
	struct got *g = read_all(opts, data, strlen(data));

	if (strcmp(g->text, text) != 0)
		fail_msg("%s\n-- gave:\n%s-- not:\n%s", data, g->text, text);
	assert_int_equal(table_format(g->t), format);
	got_free(g);
}

static void expect(enum table_format format, const char *data, const char *text)
{
	expect_opts(NULL, format, data, text);
}

static void csv_has_rows(void **state)
{
	expect(TABLE_CSV,
		HEADER "1700000000,web-1,kv,4711,1000\n"
		       "1700000060.25,web-1,kv,,2.5e3\n"
		       "2023-11-14T22:13:20Z,,,x,1\n",
		"1700000000.000000000 web-1/kv/4711/ 1000\n"
		"1700000060.250000000 web-1/kv// 2500\n"
		"1700000000.000000000 -/-/x/ 1\n");
	/* Only what must be; any order; no end of line at the end. */
	expect(TABLE_CSV, "bytes,time\n5,10", "10.000000000 -/-// 5\n");
	/* A mark, CRLF, blank lines, blanks around values, and every column. */
	expect(TABLE_CSV,
		"\xef\xbb\xbf\r\n \n"
		"requests,limit_bytes,time,version,bytes,cpu_seconds,threads,descriptors\r\n"
		"100, 2e9 ,10,v1,7,1.5,12,1e1\r\n"
		"\r\n"
		",,11,,8,,,\r\n"
		"NaN,inf,12,v2,9,nan,,NaN\r\n",
		"10.000000000 -/-//v1 7 of 2000000000 c=1.5 t=12 d=10 r=100\n"
		"11.000000000 -/-// 8\n"
		"12.000000000 -/-//v2 9\n");
}

static void csv_has_quotes(void **state)
{
	expect(TABLE_CSV,
		"\"time\",\"host\",component,note,bytes\n"
		"10,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines \"\"\r\n\",7\n"
		"\"11\",\"\",\" kv \",,\"8\" \r\n"
		"12,\"\"\"\",x,\"\",9",
		"10.000000000 a,b/say \"hi\"// 7\n"
		"11.000000000 -/kv// 8\n"
		"12.000000000 \"/x// 9\n"
		"? note\n");
	/* What is broken costs its own line. */
	expect(TABLE_CSV,
		HEADER "1,a,b\"c,,1\n"
		       "2,a,\"b\"c,,2\n"
		       "3,a,\"b,,3\n"
		       "4,a,b,,4\n"
		       "5,\"a\",b,,5\n"
		       "6,a,\"b,,6\n",
		"4.000000000 a/b// 4\n"
		"5.000000000 a/b// 5\n"
		"! line 2: it has a quote that is out of place, or that nothing closes "
		"(1,a,b\"c,,1)\n"
		"! line 3: it has a quote that is out of place, or that nothing closes "
		"(2,a,\"b\"c,,2)\n"
		"! line 4: it has a quote that is out of place, or that nothing closes "
		"(3,a,\"b,,3)\n"
		"! line 7: it has a quote that is out of place, or that nothing closes "
		"(6,a,\"b,,6)\n");
	/* Lines are counted through what is quoted. */
	expect(TABLE_CSV, "note,time,bytes\n\"\n\n\",1,2\nx,1,-3\n",
		"1.000000000 -/-// 2\n"
		"! line 5: bytes is negative (-3)\n"
		"? note\n");
}

static void headers_are_checked(void **state)
{
	expect(TABLE_CSV, "time,host,rss\n1,2,3\n",
		"? rss\nerror: the header has no column 'bytes'; it has: time, host, rss\n");
	expect(TABLE_CSV, "Time;Bytes\n1;2\n",
		"? Time;Bytes\n"
		"error: the header has no column 'time', and no 'bytes'; it has: Time;Bytes\n");
	expect(TABLE_CSV, "bytes", "error: the header has no column 'time'; it has: bytes\n");
	expect(TABLE_CSV, "time,bytes,time\n", "error: the header has column 'time' twice\n");
	expect(TABLE_CSV, "time,\"bytes\n1,2\n",
		"error: the header, line 1, has a quote that is out of place, or that nothing closes\n");
	expect(TABLE_CSV,
		"bytes,a-name-of-forty-characters-and-some-more-1,"
		"a-name-of-forty-characters-and-some-more-2,"
		"a-name-of-forty-characters-and-some-more-3,"
		"a-name-of-forty-characters-and-some-more-4,"
		"a-name-of-forty-characters-and-some-more-5\n",
		"? a-name-of-forty-characters-and-some-more-1\n"
		"? a-name-of-forty-characters-and-some-more-2\n"
		"? a-name-of-forty-characters-and-some-more-3\n"
		"? a-name-of-forty-characters-and-some-more-4\n"
		"? a-name-of-forty-characters-and-some-more-5\n"
		"error: the header has no column 'time'; it has: bytes, "
		"a-name-of-forty-characters-and-some-more-1, "
		"a-name-of-forty-characters-and-some-more-2, "
		"a-name-of-forty-characters-and-some-more-3, "
		"a-name-of-forty-characters-and-some-more-4, ...\n");
	expect(TABLE_CSV, "time,bytes,\x1b[31m,x\n1,2,,\n", "1.000000000 -/-// 2\n? ?[31m\n? x\n");
}

/* Every kind of bad row, where it is, and what of it is shown. */
static void bad_rows_are_counted(void **state)
{
	static const char data[] = HEADER "1,a,b,c,-3\n"
					  "2,a,b,c,NaN\n"
					  "3,a,b,c,+Inf\n"
					  "4,a,b,c,9223372036854775809\n"
					  "5,a,b,c,1e400\n"
					  "6,a,b,c,12kB\n"
					  "7,a,b,c,\n"
					  ",a,b,c,1\n"
					  "yesterday,a,b,c,1\n"
					  "-1,a,b,c,1\n"
					  "4102444801,a,b,c,1\n"
					  "12,a,b,c\n"
					  "13,a,b,c,1,2\n"
					  "14,a\xff,b,c,1\n"
					  "15,a,b\tb,c,1\n"
					  "16,a,b,c\x7f,1\n"
					  "17,a,\xc2\x85,c,1\n"
					  "18,a,\xed\xa0\x80,c,1\n"
					  "19,a,b,c\"c,1\n"
					  "1969-12-31T23:59:59Z,a,b,c,1\n"
					  "20,a,b,c,0x10\n"
					  "21,a,b,c,1\n"
					  "22,\xf4\x90\x80\x80,b,c,1\n"
					  "23,\xf0\x8f\xbf\xbf,\xc0\x80,c,1\n"
					  "24,\xe2\x82+,b,c,1\n"
					  "25,\xe2\x82\xac,\xf4\x8f\xbf\xbf,\xe2\x28\xa1,1\n"
					  "26,\xe2\x82\xac,\xf4\x8f\xbf\xbf,\xc2\xa0,1\n";
	struct got *g = read_all(NULL, data, sizeof(data) - 1);
	const struct table_counts *c = table_counts(g->t);

	assert_string_equal(g->text,
		"21.000000000 a/b/c/ 1\n"
		"26.000000000 \xe2\x82\xac/\xf4\x8f\xbf\xbf/\xc2\xa0/ 1\n"
		"! line 2: bytes is negative (-3)\n"
		"! line 3: bytes is not a number (NaN)\n"
		"! line 4: bytes is not a number (+Inf)\n"
		"! line 5: bytes is too large (9223372036854775809)\n"
		"! line 6: bytes is too large (1e400)\n"
		"! line 7: bytes cannot be read as a number (12kB)\n"
		"! line 8: bytes is missing\n"
		"! line 9: time is missing\n"
		"! line 10: time is neither seconds since 1970 nor RFC 3339 (yesterday)\n"
		"! line 11: time is before 1970 or after 2100 (-1)\n"
		"! line 12: time is before 1970 or after 2100 (4102444801)\n"
		"! line 13: it has more or fewer columns than the header (12,a,b,c)\n"
		"! line 14: it has more or fewer columns than the header (13,a,b,c,1,2)\n"
		"! line 15: host is not UTF-8, or has control characters (a?)\n"
		"! line 16: component is not UTF-8, or has control characters (b?b)\n"
		"! line 17: process is not UTF-8, or has control characters (c?)\n"
		"! line 18: component is not UTF-8, or has control characters (\?\?)\n"
		"! line 19: component is not UTF-8, or has control characters (\?\?\?)\n"
		"! line 20: it has a quote that is out of place, or that nothing closes "
		"(19,a,b,c\"c,1)\n"
		"! line 21: time is before 1970 or after 2100 (1969-12-31T23:59:59Z)\n");
	assert_int_equal(c->bad[TABLE_BAD_NEGATIVE], 1);
	assert_int_equal(c->bad[TABLE_BAD_NAN], 2);
	assert_int_equal(c->bad[TABLE_BAD_OVERFLOW], 2);
	assert_int_equal(c->bad[TABLE_BAD_NUMBER], 2);
	assert_int_equal(c->bad[TABLE_BAD_MISSING], 2);
	assert_int_equal(c->bad[TABLE_BAD_TIME], 1);
	assert_int_equal(c->bad[TABLE_BAD_TIME_RANGE], 3);
	assert_int_equal(c->bad[TABLE_BAD_COLUMNS], 2);
	assert_int_equal(c->bad[TABLE_BAD_NAME], 9);
	assert_int_equal(c->bad[TABLE_BAD_QUOTES], 1);
	assert_int_equal(c->skipped, 25);
	assert_int_equal(c->rows, 2);
	assert_int_equal(c->lines, 28);
	assert_int_equal(c->bytes, sizeof(data) - 1);
	assert_null(table_bad(g->t, TABLE_BAD_KEPT));
	assert_int_equal(table_bad(g->t, 0)->line, 2);
	assert_string_equal(table_bad_name(table_bad(g->t, 1)->kind), "not-a-number");
	got_free(g);
	/* Not needed, but wrong. */
	expect(TABLE_CSV,
		"time,bytes,limit_bytes,threads\n1,2,-1,\n1,2,,x\n1,2,,-1\n1,2,,1e39\n1,2,,1e99\n",
		"! line 2: limit_bytes is negative (-1)\n"
		"! line 3: threads cannot be read as a number (x)\n"
		"! line 4: threads is negative (-1)\n"
		"! line 5: threads is too large (1e39)\n"
		"! line 6: threads is too large (1e99)\n");
}

static void numbers_are_exact(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"0", "0"},
		{"-0", "0"},
		{"-0.0e5", "0"},
		{"+7", "7"},
		{"007", "7"},
		{"1.999", "1"},
		{".5", "0"},
		{"5.", "5"},
		{"1.2e+09", "1200000000"},
		{"1.2345678901234567e+18", "1234567890123456700"},
		{"9007199254740993", "9007199254740993"},
		{"9223372036854775807", "9223372036854775807"},
		{"9223372036854775808", "9223372036854775808"},
		{"9223372036854775808.9", "9223372036854775808"},
		{"922337203685477580800000e-5", "9223372036854775808"},
		{"0.00000000000000000000000000000012345e32", "12"},
		{"1E3", "1000"},
		{"12345e-2", "123"},
		{"1e-400", "0"},
		{"0e9999999999999", "0"},
		{"18446744073709551616e-1", "1844674407370955161"},
		{"99999999999999999999e-20", "0"},
	};
	char in[256], out[256];

	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(in, sizeof(in), "time,bytes\n1,%s\n", rows[i].in);
		snprintf(out, sizeof(out), "1.000000000 -/-// %s\n", rows[i].out);
		expect(TABLE_CSV, in, out);
	}
	static const char *const wrong[] = {"-0.5", "-1e-30", "1e19", "18446744073709551616",
		"9223372036854775809", "1e99999999999", "", ".", "e5", "1e", "1e+", "--1", "1 2",
		"1,5", "1_000", "nanx", "infinit", "NaN", "-inf", "Infinity", "0x1p3"};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct got *g;

		snprintf(in, sizeof(in), "time,bytes\n1,%s\n", wrong[i]);
		g = read_all(NULL, in, strlen(in));
		assert_int_equal(table_counts(g->t)->rows, 0);
		assert_int_equal(table_counts(g->t)->skipped, 1);
		got_free(g);
	}
}

/* Against libc, which has another way to the same numbers. */
static void numbers_agree_with_libc(void **state)
{
	struct rng rng = {7};

	for (int i = 0; i < 20000; i++) {
		double v = ldexp(rng_unit(&rng), (int)rng_below(&rng, 63)), load;
		char in[256], s[128], l[64];
		struct got *g;

		/* All digits that it has, so that rounding down must give the same. */
		snprintf(s, sizeof(s), rng_below(&rng, 2) ? "%.80e" : "%.80f", v);
		load = ldexp(rng_unit(&rng), (int)rng_below(&rng, 200) - 100);
		snprintf(l, sizeof(l), rng_below(&rng, 2) ? "%.17e" : "%.12g", load);
		snprintf(in, sizeof(in), "time,bytes,threads\n1,%s,%s\n", s, l);
		g = read_pieces(NULL, in, strlen(in), 1000, NULL);
		snprintf(in, sizeof(in), "1.000000000 -/-// %llu t=%g\n", (unsigned long long)v,
			(double)strtof(l, NULL));
		assert_string_equal(g->text, in);
		got_free(g);
	}
}

static void times_are_exact(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"0", "0.000000000"},
		{"1700000000.123456789", "1700000000.123456789"},
		{"1700000000.9999999999", "1700000000.999999999"},
		{"1.7e9", "1700000000.000000000"},
		{"4102444800", "4102444800.000000000"},
		{"1970-01-01T00:00:00Z", "0.000000000"},
		{"2100-01-01T00:00:00Z", "4102444800.000000000"},
		{"2024-02-29T12:34:56.789Z", "1709210096.789000000"},
		{"2024-02-29t12:34:56z", "1709210096.000000000"},
		{"2024-02-29 14:34:56+02:00", "1709210096.000000000"},
		{"2024-02-29T07:04:56.5-05:30", "1709210096.500000000"},
		{"2016-12-31T23:59:60Z", "1483228800.000000000"},
		{"2000-02-29T00:00:00Z", "951782400.000000000"},
	};
	static const char *const wrong[] = {"2023-02-29T00:00:00Z", "2100-01-01T00:00:00.1Z",
		"2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z",
		"2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z",
		"2024-01-01T00:00:00", "2024-01-01T00:00:00+0200", "2024-01-01T00:00:00.Z",
		"2024-01-01", "2024-01-01T00:00:00.5", "2024-01-01T00:00:00Zx", "NaN",
		"1700000000000", "1e30", "-1", "1970-01-01T00:00:00+00:01",
		"2024-01-01T00:00:00+24:00", "1 7"};
	char in[256], out[256];

	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(in, sizeof(in), "time,bytes\n%s,1\n", rows[i].in);
		snprintf(out, sizeof(out), "%s -/-// 1\n", rows[i].out);
		expect(TABLE_CSV, in, out);
	}
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct got *g;

		snprintf(in, sizeof(in), "time,bytes\n%s,1\n", wrong[i]);
		g = read_all(NULL, in, strlen(in));
		if (table_counts(g->t)->rows)
			fail_msg("%s is no time", wrong[i]);
		assert_int_equal(table_counts(g->t)->bad[TABLE_BAD_TIME] +
				table_counts(g->t)->bad[TABLE_BAD_TIME_RANGE],
			1);
		got_free(g);
	}
	/* Every day, against timegm(). */
	for (time_t day = 0; day < 47482; day++) {
		time_t s = day * 86400 + 3661;
		struct tm tm;
		struct got *g;

		gmtime_r(&s, &tm);
		strftime(in, sizeof(in), "time,bytes\n%Y-%m-%dT%H:%M:%SZ,1\n", &tm);
		g = read_pieces(NULL, in, strlen(in), 1000, NULL);
		snprintf(out, sizeof(out), "%lld.000000000 -/-// 1\n", (long long)s);
		assert_string_equal(g->text, out);
		got_free(g);
	}
}

static void wide_has_a_series_a_column(void **state)
{
	static const char data[] = ",day,ts,web,web-2,\"db, main\",note\n"
				   "0,1,10,100,200,300,x\n"
				   "1,1,20,,-1,NaN,y\n"
				   "2,1,x,1,2,3,z\n"
				   "3,1,30,1,2\n";
	static const char *const webs[] = {"web*", "db, ?ain", NULL};
	static const char *const all[] = {"*", NULL};
	static const char *const none[] = {"web", "cache*", NULL};
	struct table_opts o = {.time_column = "ts", .values = webs};

	expect_opts(&o, TABLE_WIDE, data,
		"10.000000000 -/web// 100\n"
		"10.000000000 -/web-2// 200\n"
		"10.000000000 -/db, main// 300\n"
		"! line 3: web-2 is negative (-1)\n"
		"! line 3: db, main is not a number (NaN)\n"
		"! line 4: ts is neither seconds since 1970 nor RFC 3339 (x)\n"
		"! line 5: it has more or fewer columns than the header (3,1,30,1,2)\n"
		"? \n? day\n? note\n");
	o.values = none;
	expect_opts(&o, TABLE_WIDE, data,
		"error: the header has no column 'cache*' with values; it has: , day, ts, web, web-2, "
		"db, main, note\n");
	o.values = NULL;
	o.time_column = NULL;
	o.format = TABLE_WIDE;
	expect_opts(&o, TABLE_WIDE, "b,time,a\n1,10,2\n",
		"10.000000000 -/b// 1\n10.000000000 -/a// 2\n");
	expect_opts(
		&o, TABLE_WIDE, "b,a\n", "error: the header has no column 'time'; it has: b, a\n");
	expect_opts(&o, TABLE_WIDE, "b,time,b\n", "error: the header has column 'b' twice\n");
	expect_opts(&o, TABLE_WIDE, "time,b,time\n", "error: the header has column 'time' twice\n");
	expect_opts(&o, TABLE_WIDE, "time\n",
		"error: the header has no column '*' with values; it has: time\n");
	expect_opts(&o, TABLE_WIDE, "time,a\xff\n",
		"error: the header's column 2 (a?) is not UTF-8, or has control characters\n");
	o.values = all;
	o.format = TABLE_AUTO;
	expect_opts(&o, TABLE_WIDE, "time,a*\n1,2\n", "1.000000000 -/a*// 2\n");
}

static void globs_match(void **state)
{
	static const struct {
		const char *glob, *name;
		bool matches;
	} rows[] = {{"*", "x", true}, {"a*b", "ab", true}, {"a*b", "axxb", true},
		{"a*b", "axxc", false}, {"?", "x", true}, {"?", "xy", false},
		{"*x*y*", "1x2y3", true}, {"*x*y", "xyxyx", false}, {"a", "ab", false},
		{"ab", "a", false}, {"**", "a", true},
		{"*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *values[] = {rows[i].glob, NULL};
		struct table_opts o = {.values = values};
		struct got *g;
		char in[128];

		snprintf(in, sizeof(in), "time,%s\n1,2\n", rows[i].name);
		g = read_all(&o, in, strlen(in));
		if ((g->code == 0) != rows[i].matches)
			fail_msg("%s and %s: %s", rows[i].glob, rows[i].name, g->text);
		got_free(g);
	}
}

static void json_lines_have_rows(void **state)
{
	expect(TABLE_JSON_LINES,
		"{\"time\":1700000000.5,\"host\":\"web-1\",\"component\":\"kv\",\"process\":4711,"
		"\"bytes\":1000}\n"
		"\n"
		" { \"bytes\" : \" 2e3\" , \"time\" : \"2023-11-14T22:13:20Z\"} \r\n"
		"{\"bytes\":1e3,\"time\":1,\"tags\":{\"bytes\":-1,\"a\":[1,{},[]]},\"x\":true,"
		"\"version\":\"v\\n\",\"host\":null}\r\n"
		"{\"bytes\":1e3,\"time\":1,\"version\":\"v\\u00e9\\ud83d\\ude00\\/\",\"host\":null,"
		"\"limit_bytes\":5,\"cpu_seconds\":1.5,\"requests\":null,\"threads\":NaN}",
		"1700000000.500000000 web-1/kv/4711/ 1000\n"
		"1700000000.000000000 -/-// 2000\n"
		"1.000000000 -/-//v\xc3\xa9\xf0\x9f\x98\x80/ 1000 of 5 c=1.5\n"
		"! line 4: version is not UTF-8, or has control characters (v?)\n"
		"? tags\n? x\n");
}

static void json_lines_that_are_bad(void **state)
{
	struct table_opts o = {.format = TABLE_JSON_LINES};

	expect_opts(&o, TABLE_JSON_LINES,
		"{\"time\":1}\n"
		"{\"bytes\":1}\n"
		"{}\n"
		"[]\n"
		"5\n"
		"{\"time\":1,\"bytes\":NaN}\n"
		"{\"time\":1,\"bytes\":-Infinity}\n"
		"{\"time\":1,\"bytes\":-3}\n"
		"{\"time\":1,\"bytes\":1e999}\n"
		"{\"time\":1,\"bytes\":true}\n"
		"{\"time\":1,\"bytes\":{}}\n"
		"{\"time\":1,\"bytes\":\"lots\"}\n"
		"{\"time\":null,\"bytes\":1}\n"
		"{\"time\":1,\"bytes\":1,\"host\":\"a\\u0000b\"}\n"
		"{\"time\":1,\"bytes\":1,\"host\":\"\\ud800x\"}\n"
		"{\"time\":1,\"bytes\":1,\"host\":\"\\udc00\"}\n"
		"{\"time\":1,\"bytes\":1,\"host\":\"\xff\"}\n"
		"{\"time\":1,\"bytes\":1,\"host\":[\"a\"]}\n"
		"{\"time\":1,\"bytes\":1}\n",
		"1.000000000 -/-// 1\n"
		"! line 1: bytes is missing\n"
		"! line 2: time is missing\n"
		"! line 3: time is missing\n"
		"! line 4: it is not a JSON object ([)\n"
		"! line 5: it is not a JSON object (5)\n"
		"! line 6: bytes is not a number (NaN)\n"
		"! line 7: bytes is not a number (-Infinity)\n"
		"! line 8: bytes is negative (-3)\n"
		"! line 9: bytes is too large (1e999)\n"
		"! line 10: bytes is of another type than it should be (true)\n"
		"! line 11: bytes is of another type than it should be ({)\n"
		"! line 12: bytes cannot be read as a number (lots)\n"
		"! line 13: time is missing\n"
		"! line 14: host is not UTF-8, or has control characters (a?b)\n"
		"! line 15: host is not UTF-8, or has control characters (\?\?\?x)\n"
		"! line 16: host is not UTF-8, or has control characters (\?\?\?)\n"
		"! line 17: host is not UTF-8, or has control characters (?)\n"
		"! line 18: host is of another type than it should be ([)\n");
	static const char *const wrong[] = {"{\"time\":1,\"bytes\":1", "{\"time\":1,\"bytes\":1}}",
		"{\"time\":1,\"bytes\":1} x", "{\"time\":1,\"bytes\":1,}",
		"{\"time\":1 \"bytes\":1}", "{\"time\" 1,\"bytes\":1}", "{time:1,\"bytes\":1}",
		"{\"time\":1,\"bytes\":1]", "{\"time\":1,\"bytes\":1,\"x\":[1,]}",
		"{\"time\":1,\"bytes\":1,\"x\":\"\\q\"}",
		"{\"time\":1,\"bytes\":1,\"x\":\"\\u12g4\"}", "{\"time\":1,\"bytes\":1,\"x\":nul}",
		"{\"time\":1,\"bytes\":1,\"x\":1-2}", "{\"time\":1,\"bytes\":1,\"x\":}", "{,}",
		"{\"time\":1,\"bytes\":1,\"x\":\"\\\\\\\"}",
		"{\"time\":1,\"bytes\":1,\"x\":tru\xff}"};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct got *g = read_all(&o, wrong[i], strlen(wrong[i]));

		if (table_counts(g->t)->bad[TABLE_BAD_JSON] != 1)
			fail_msg("%s: %s", wrong[i], g->text);
		got_free(g);
	}
	/* Not too deep, too deep. */
	for (int depth = 63; depth <= 64; depth++) {
		char in[512] = "{\"time\":1,\"bytes\":1,\"x\":";
		size_t n = strlen(in);
		struct got *g;

		memset(in + n, '[', (size_t)depth);
		memset(in + n + depth, ']', (size_t)depth);
		in[n + 2 * (size_t)depth] = '}';
		g = read_all(&o, in, strlen(in));
		assert_int_equal(table_counts(g->t)->rows, depth == 63);
		got_free(g);
	}
}

#define MATRIX(series) \
	"{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[" series "]}}\n"

static void prometheus_has_rows(void **state)
{
	expect(TABLE_PROMETHEUS,
		MATRIX("{\"metric\":{\"__name__\":\"rss\",\"job\":\"node\",\"groupname\":\"kv\","
		       "\"instance\":\"web-1:9100\",\"pod\":\"kv-0\",\"image\":\"kv:1\"},"
		       "\"values\":[[1700000000,\"1.2e+09\"],[1700000060.5,\"7\"],"
		       "[1700000120,\"NaN\"],[1700000180,\"+Inf\"]]},"
		       "{\"metric\":{},\"values\":[[1,\"5\"]],\"histograms\":[[1,{\"count\":\"1\"}]]},"
		       "{\"metric\":{\"nodename\":\"n\",\"groupname\":\"\",\"__name__\":\"x\","
		       "\"pid\":\"7\",\"id\":\"/a\",\"version\":\"v\",\"image\":\"i\"},"
		       "\"values\":[[2,\"6\"],[3,7]]}"),
		"1700000000.000000000 web-1:9100/kv/kv-0/kv:1 1200000000\n"
		"1700000060.500000000 web-1:9100/kv/kv-0/kv:1 7\n"
		"1.000000000 -/-// 5\n"
		"2.000000000 n/x/7/v 6\n"
		"3.000000000 n/x/7/v 7\n"
		"! line 1, series 1: bytes is not a number (NaN)\n"
		"! line 1, series 1: bytes is not a number (+Inf)\n");
	/* Keys in another order, more keys, over many lines. */
	expect(TABLE_PROMETHEUS,
		"{\n \"data\": {\n  \"result\": [\n   {\"metric\": {\"a\": \"b\"}, \"values\": [\n"
		"[1, \"-3\"], [1, \"2\"]\n]}\n], \"resultType\": \"matrix\", \"stats\": {\"a\": [null]}"
		"}, \"status\": \"success\", \"warnings\": [\"w\"], \"isPartial\": false }",
		"1.000000000 -/-// 2\n"
		"! line 5, series 1: bytes is negative (-3)\n");
	expect(TABLE_PROMETHEUS, MATRIX(""), "");
	/* Samples that are none; the series goes on. */
	expect(TABLE_PROMETHEUS,
		MATRIX("{\"metric\":{\"job\":\"j\"},\"values\":[[],[1],[1,\"2\",3],[1,[\"2\"]],5,{},"
		       "[\"x\",\"1\"],[1,null],[2,\"3\"]]}"),
		"2.000000000 -/j// 3\n"
		"! line 1, series 1: values is of another type than it should be\n"
		"! line 1, series 1: values is of another type than it should be\n"
		"! line 1, series 1: values is of another type than it should be\n"
		"! line 1, series 1: values is of another type than it should be ([)\n"
		"! line 1, series 1: values is of another type than it should be (5)\n"
		"! line 1, series 1: time is neither seconds since 1970 nor RFC 3339 (x)\n"
		"! line 1, series 1: bytes is of another type than it should be (null)\n");
	/* A bad name costs its series. */
	expect(TABLE_PROMETHEUS,
		MATRIX("{\"metric\":{\"job\":\"a\\u0007\"},\"values\":[[1,\"2\"],[2,\"2\"]]},"
		       "{\"metric\":{\"job\":\"b\"},\"values\":[[1,\"2\"]]}"),
		"1.000000000 -/b// 2\n"
		"! line 1, series 1: job is not UTF-8, or has control characters (a?)\n"
		"! line 1, series 1: job is not UTF-8, or has control characters (a?)\n");
}

static void prometheus_labels_can_be_others(void **state)
{
	static const char *const host[] = {"vm", NULL}, *const component[] = {"app", "job", NULL},
				 *const none[] = {NULL};
	struct table_opts o = {.labels = {[TABLE_LABEL_HOST] = host,
				       [TABLE_LABEL_COMPONENT] = component,
				       [TABLE_LABEL_VERSION] = none}};

	expect_opts(&o, TABLE_PROMETHEUS,
		MATRIX("{\"metric\":{\"job\":\"j\",\"app\":\"a\",\"vm\":\"v\",\"instance\":\"i\","
		       "\"image\":\"x\",\"pod\":\"p\"},\"values\":[[1,\"2\"]]}"),
		"1.000000000 v/a/p/ 2\n");
}

static void prometheus_answers_that_are_errors(void **state)
{
	expect(TABLE_PROMETHEUS,
		"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"1:5: parse\\nerror\"}",
		"error: this is Prometheus' answer that the query failed: bad_data: 1:5: parse?error\n");
	expect(TABLE_PROMETHEUS, "{\"error\":\"no\",\"status\":\"error\"}",
		"error: this is Prometheus' answer that the query failed: no\n");
	expect(TABLE_PROMETHEUS,
		"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},"
		"\"value\":[1,\"2\"]}]}}",
		"error: Prometheus answered with a vector, not with a matrix; ask for a range "
		"(query_range)\n");
	expect(TABLE_PROMETHEUS, "{\"status\":\"success\",\"data\":[]}",
		"error: no answer of Prometheus to a range query: no array data.result\n");
	expect(TABLE_PROMETHEUS, MATRIX("{\"values\":[[1,\"2\"]],\"metric\":{}}"),
		"error: series 1 has its values before its metric\n");
	expect(TABLE_PROMETHEUS, "{\"status\":\"success\",\n\"data\":{\"resultType\":",
		"error: no answer of Prometheus: not JSON after 42 bytes, in line 2: it ends in the "
		"middle\n");
	expect(TABLE_PROMETHEUS, "\xef\xbb\xbf {\"status\":\"success\",oops",
		"error: no answer of Prometheus: not JSON after 25 bytes, in line 1: no key\n");
	expect(TABLE_PROMETHEUS, MATRIX("") MATRIX(""),
		"error: no answer of Prometheus: not JSON after 65 bytes, in line 2: something behind "
		"the end\n");
	struct table_opts o = {.format = TABLE_PROMETHEUS};
	expect_opts(
		&o, TABLE_PROMETHEUS, "[1]", "error: no answer of Prometheus: not a JSON object\n");
	expect_opts(&o, TABLE_PROMETHEUS, "time,bytes\n",
		"error: no answer of Prometheus: not JSON after 4 bytes, in line 1: no value\n");
	expect_opts(
		&o, TABLE_PROMETHEUS, "5 ", "error: no answer of Prometheus: not a JSON object\n");
}

static void formats_are_told_apart(void **state)
{
	static const struct {
		const char *in;
		enum table_format format;
	} rows[] = {
		{"{\"status\":", TABLE_PROMETHEUS},
		{"\n\n { \n \"data\" :", TABLE_PROMETHEUS},
		{"{\"statusx\":1}", TABLE_JSON_LINES},
		{"{\"time\":1", TABLE_JSON_LINES},
		{"{", TABLE_JSON_LINES},
		{"{\"", TABLE_JSON_LINES},
		{"{}", TABLE_JSON_LINES},
		{"time", TABLE_CSV},
		{"\xef\xbb", TABLE_CSV},
		{"\xef\xbb\xbf{\"a\":1}", TABLE_JSON_LINES},
		{"", TABLE_AUTO},
		{"\xef\xbb\xbf \r\n", TABLE_AUTO},
	};
	char long_key[600] = "{\"";
	struct got *g;

	for (size_t i = 0; i < COUNT(rows); i++) {
		g = read_all(NULL, rows[i].in, strlen(rows[i].in));
		assert_int_equal(table_format(g->t), rows[i].format);
		got_free(g);
	}
	memset(long_key + 2, 'x', 500);
	strcat(long_key, "\":1,\"time\":1,\"bytes\":2}");
	g = read_all(NULL, long_key, strlen(long_key));
	assert_int_equal(table_format(g->t), TABLE_JSON_LINES);
	assert_int_equal(table_counts(g->t)->rows, 1);
	got_free(g);
	expect(TABLE_CSV, "[{\"time\":1}]",
		"error: an array of JSON: neither CSV, nor JSON Lines (one object a line), nor an "
		"answer of Prometheus\n");
	assert_string_equal(table_format_name(TABLE_WIDE), "wide");
	assert_string_equal(table_format_name(TABLE_PROMETHEUS), "prometheus");
}

static void empty_is_an_outcome(void **state)
{
	static const char *const empty[] = {
		"", " \r\n\n", "\xef\xbb\xbf", HEADER, HEADER "\n \n", MATRIX("")};
	struct got *g;

	for (size_t i = 0; i < COUNT(empty); i++) {
		g = read_all(NULL, empty[i], strlen(empty[i]));
		assert_int_equal(g->end, TABLE_EMPTY);
		got_free(g);
	}
	g = read_all(NULL, HEADER "x\n", strlen(HEADER "x\n"));
	assert_int_equal(g->end, 0);
	got_free(g);
	table_free(NULL);
}

static void ceilings_hold(void **state)
{
	size_t n = 3u << 20, at;
	char *in = malloc(n);
	struct got *g;

	assert_non_null(in);
	/* A line of just the ceiling, and one that is longer by one. */
	for (size_t more = 0; more < 2; more++) {
		at = (size_t)sprintf(in, "note,time,bytes\n");
		memset(in + at, 'x', TABLE_LINE_BYTES);
		at += TABLE_LINE_BYTES + more;
		memcpy(in + at - 4, ",1,2", 4);
		in[at++] = '\n';
		at += (size_t)sprintf(in + at, "x,3,4\n");
		for (size_t piece = 1; piece < 1u << 23; piece *= 97) {
			g = read_pieces(NULL, in, at, piece, NULL);
			assert_int_equal(table_counts(g->t)->rows, 2 - more);
			assert_int_equal(table_counts(g->t)->bad[TABLE_BAD_LINE_LONG], more);
			if (more) {
				assert_int_equal(table_bad(g->t, 0)->line, 2);
				assert_int_equal(strlen(table_bad(g->t, 0)->excerpt),
					TABLE_EXCERPT_BYTES - 1);
			}
			assert_int_equal(table_counts(g->t)->lines, 3);
			got_free(g);
		}
	}
	/* A header that is too long, or has too many columns. */
	memset(in, ',', n);
	g = read_pieces(NULL, in, n, 4096, NULL);
	assert_int_equal(g->code, -EBADMSG);
	assert_string_equal(g->err.msg, "the header, line 1, is longer than 1 MiB");
	got_free(g);
	in[TABLE_COLUMNS] = '\n';
	g = read_pieces(NULL, in, n, 4096, NULL);
	assert_int_equal(g->code, -EMSGSIZE);
	got_free(g);
	/* Names. */
	for (size_t len = TABLE_NAME_BYTES; len <= TABLE_NAME_BYTES + 1; len++) {
		static const char *const heads[] = {"host,time,bytes\n",
			"{\"time\":1,\"bytes\":2,\"host\":\"",
			"{\"status\":\"success\",\"data\":{\"result\":[{\"metric\":{\"node\":\"\\u0061"};
		static const char *const tails[] = {
			",1,2\n", "\"}\n", "\"},\"values\":[[1,\"2\"]]}]}}"};

		for (size_t i = 0; i < COUNT(heads); i++) {
			at = (size_t)sprintf(in, "%s", heads[i]);
			memset(in + at, 'x', len);
			at += len - (i == 2);
			at += (size_t)sprintf(in + at, "%s", tails[i]);
			g = read_all(NULL, in, at);
			assert_int_equal(table_counts(g->t)->bad[TABLE_BAD_NAME_LONG],
				len > TABLE_NAME_BYTES);
			assert_int_equal(table_counts(g->t)->rows, len == TABLE_NAME_BYTES);
			got_free(g);
		}
	}
	/* A token that is longer than any that is of use. */
	at = (size_t)sprintf(in, "{\"time\":1,\"bytes\":2,\"x\":\"\\n");
	memset(in + at, 'x', 5000);
	at += 5000;
	at += (size_t)sprintf(in + at, "\"}");
	g = read_all(NULL, in, at);
	assert_int_equal(table_counts(g->t)->rows, 1);
	got_free(g);
	/* Numbers. */
	at = (size_t)sprintf(in, "time,bytes\n1,");
	memset(in + at, '0', TABLE_NUMBER_BYTES);
	in[at + TABLE_NUMBER_BYTES - 1] = '7';
	at += TABLE_NUMBER_BYTES;
	at += (size_t)sprintf(in + at, "\n1,0");
	memcpy(in + at, in + 13, TABLE_NUMBER_BYTES);
	g = read_all(NULL, in, at + TABLE_NUMBER_BYTES);
	assert_int_equal(table_counts(g->t)->rows, 1);
	assert_int_equal(table_counts(g->t)->bad[TABLE_BAD_NUMBER], 1);
	got_free(g);
	free(in);
}

static int count_row(void *arg, const struct table_row *row, struct err *err)
{
	(void)err;
	((uint64_t *)arg)[0]++;
	((uint64_t *)arg)[1] += row->bytes;
	return 0;
}

static void an_open_quote_costs_one_line(void **state)
{
	size_t n = 2u << 20, at;
	char *in = malloc(n);

	assert_non_null(in);
	at = (size_t)sprintf(in, "time,bytes\n1,\"2\n");
	while (at + 5 < n) {
		memcpy(in + at, "3,44\n", 5);
		at += 5;
	}
	for (size_t piece = 1; piece < 1u << 23; piece *= 211) {
		uint64_t sum[2] = {0};
		struct table_opts o = {.row = count_row, .arg = sum};
		struct table *t;

		assert_int_equal(table_new(&o, &t, NULL), 0);
		for (size_t i = 0; i < at; i += piece)
			assert_int_equal(
				table_feed(t, in + i, at - i < piece ? at - i : piece, NULL), 0);
		assert_int_equal(table_end(t, NULL), 0);
		assert_int_equal(sum[0], (at - 16) / 5);
		assert_int_equal(sum[1], sum[0] * 44);
		assert_int_equal(table_counts(t)->bad[TABLE_BAD_QUOTES], 1);
		assert_int_equal(table_bad(t, 0)->line, 2);
		assert_int_equal(table_counts(t)->lines, sum[0] + 2);
		table_free(t);
	}
	free(in);
}

static void only_so_many_names(void **state)
{
	uint64_t sum[2] = {0};
	struct table_opts o = {.row = count_row, .arg = sum};
	char line[1200];
	struct table *t;

	assert_int_equal(table_new(&o, &t, NULL), 0);
	assert_int_equal(table_feed(t, HEADER, strlen(HEADER), NULL), 0);
	for (size_t i = 0; i < TABLE_STRINGS + 10; i++) {
		int n = snprintf(line, sizeof(line), "1,,,%zu,1\n", i);

		assert_int_equal(table_feed(t, line, (size_t)n, NULL), 0);
	}
	/* Two are always there. What is known is still known. */
	assert_int_equal(table_strings(t), TABLE_STRINGS);
	assert_int_equal(table_counts(t)->bad[TABLE_BAD_NAMES_FULL], 12);
	assert_int_equal(sum[0], TABLE_STRINGS - 2);
	assert_int_equal(table_feed(t, "1,,,77,1\n", 9, NULL), 0);
	assert_int_equal(sum[0], TABLE_STRINGS - 1);
	table_free(t);
	/* Their bytes. */
	memset(sum, 0, sizeof(sum));
	assert_int_equal(table_new(&o, &t, NULL), 0);
	assert_int_equal(table_feed(t, HEADER, strlen(HEADER), NULL), 0);
	for (size_t i = 0; i < TABLE_STRINGS_BYTES / 1000 + 10; i++) {
		int n = snprintf(line, sizeof(line), "1,%01000zu,,,1\n", i);

		assert_int_equal(table_feed(t, line, (size_t)n, NULL), 0);
	}
	assert_true(table_counts(t)->bad[TABLE_BAD_NAMES_FULL] > 0);
	assert_true(sum[0] > TABLE_STRINGS_BYTES / 1100);
	table_free(t);
}

static void only_the_first_are_kept(void **state)
{
	char in[8192] = "time,bytes", *p = in + strlen(in);
	struct got *g;

	for (int i = 0; i < 30; i++)
		p += sprintf(p, ",c%d", i);
	*p++ = '\n';
	for (int i = 0; i < 30; i++)
		p += sprintf(p, "x\n");
	g = read_all(NULL, in, (size_t)(p - in));
	assert_int_equal(table_counts(g->t)->skipped, 30);
	assert_non_null(table_bad(g->t, TABLE_BAD_KEPT - 1));
	assert_null(table_bad(g->t, TABLE_BAD_KEPT));
	assert_int_equal(table_counts(g->t)->unknown, TABLE_UNKNOWN_KEPT);
	assert_string_equal(table_unknown(g->t, 19), "c19");
	assert_null(table_unknown(g->t, 20));
	got_free(g);
}

static void strings_are_interned(void **state)
{
	struct got *g = read_all(NULL, HEADER "1,a,b,c,1\n2,a,b,c,2\n3,b,a,,2\n",
		strlen(HEADER "1,a,b,c,1\n2,a,b,c,2\n3,b,a,,2\n"));

	assert_int_equal(table_strings(g->t), 5);
	assert_string_equal(table_string(g->t, TABLE_STRING_EMPTY), "");
	assert_string_equal(table_string(g->t, TABLE_STRING_DASH), "-");
	assert_string_equal(table_string(g->t, 2), "a");
	assert_null(table_string(g->t, 5));
	got_free(g);
}

static void the_caller_can_stop(void **state)
{
	static const char data[] = "time,bytes\n1,1\n2,2\n3,3\n";
	int stop = 2;
	struct table_opts o = {.row = got_row, .arg = &stop};
	struct got *g = read_all(&o, data, sizeof(data) - 1);

	assert_string_equal(g->text, "1.000000000 -/-// 1\nerror: enough\n");
	assert_int_equal(g->code, -ECANCELED);
	assert_int_equal(table_feed(g->t, "x", 1, &g->err), -ECANCELED);
	assert_int_equal(table_end(g->t, &g->err), -ECANCELED);
	got_free(g);
}

/* Whatever comes, in pieces it gives the same. */
static void garbage_is_the_same_in_pieces(void **state)
{
	static const char *const seeds[] = {HEADER "1,a,\"b\",c,1\n2,\"x\n\",,,2\n3,a,b,c,-1\n",
		"{\"time\":1,\"host\":\"\\u00e9\\ud83d\\ude00\",\"bytes\":2}\n{\"time\":3,\"bytes\":4}\n",
		MATRIX("{\"metric\":{\"job\":\"a\\\"b\"},\"values\":[[1,\"2\"],[2,\"NaN\"]]}")};
	static const char spice[] = "\",\n\r{}[]:\\u0ed8 -.1e\xff\xc3\xa9";
	struct rng rng = {99};

	for (int i = 0; i < 6000; i++) {
		const char *seed = seeds[rng_below(&rng, COUNT(seeds))];
		size_t n = strlen(seed), changes = rng_below(&rng, 4);
		struct got *whole, *g;
		char in[512];

		memcpy(in, seed, n);
		for (size_t k = 0; k <= changes; k++)
			in[rng_below(&rng, n)] = spice[rng_below(&rng, sizeof(spice))];
		whole = read_pieces(NULL, in, n, n, NULL);
		g = read_pieces(NULL, in, n, i % 2, &rng);
		if (!same(whole, g))
			fail_msg("%.*s\n-- pieces:\n%s-- whole:\n%s", (int)n, in, g->text,
				whole->text);
		got_free(whole);
		got_free(g);
	}
}

static int ignore_row(void *arg, const struct table_row *row, struct err *err)
{
	(void)arg;
	(void)row;
	(void)err;
	return 0;
}

static int torture_one(const struct table_opts *o, const char *data)
{
	struct err err = ERR_INIT;
	struct table *t = NULL;
	int r = table_new(o, &t, &err);

	for (size_t i = 0, n = strlen(data); i < n && r == 0; i += 7)
		r = table_feed(t, data + i, n - i < 7 ? n - i : 7, &err);
	if (r == 0)
		r = table_end(t, &err);
	if (r < 0)
		assert_int_equal(err.code, r);
	table_free(t);
	return r == TABLE_EMPTY ? 0 : r;
}

/* Enough for each array to grow. A # of the row becomes another letter each time. */
static const char *many(char *out, size_t size, const char *head, const char *row, const char *tail)
{
	size_t n = (size_t)snprintf(out, size, "%s", head);

	for (char c = 'a'; c < 'u'; c++)
		for (const char *p = row; *p && n < size; p++)
			out[n++] = *p == '#' ? c : *p;
	assert_true(n < size);
	n += (size_t)snprintf(out + n, size - n, "%s", tail);
	assert_true(n < size);
	return out;
}

static int torture_work(void)
{
	static const char *const values[] = {"*", NULL};
	struct table_opts o = {.row = ignore_row}, wide = {.row = ignore_row, .values = values};
	char s[8192];
	int r;

	r = torture_one(&o,
		many(s, sizeof(s), HEADER "1,a,\"b\nc\",d,1\n", "3,h#,i,,3\n", "4,\"k\",l,m,5\n"));
	if (r == 0)
		r = torture_one(&o, many(s, sizeof(s), "time,bytes,", "a long line has # x", "\n"));
	if (r == 0)
		r = torture_one(&wide, many(s, sizeof(s), "time", ",#", "\n1,2\n"));
	if (r == 0)
		r = torture_one(&o,
			many(s, sizeof(s), "{\"time\":1,\"bytes\":2}\n",
				"{\"time\":1,\"host\":\"a\",\"version\":\"#\",\"bytes\":2}\n", ""));
	if (r == 0)
		r = torture_one(&o,
			many(s, sizeof(s),
				"{\"status\":\"success\",\"data\":{\"result\":[{\"metric\":{}}",
				",{\"metric\":{\"job\":\"#\"},\"values\":[[1,\"2\"]]}", "]}}"));
	return r;
}

static void every_allocation_may_fail(void **state)
{
	assert_true(torture_run(torture_work) > 10);
}

/* Numbers are read as they are written in every country. */
static void the_locale_does_not_matter(void **state)
{
	if (!setlocale(LC_ALL, "de_DE.UTF-8"))
		setlocale(LC_ALL, "");
	expect(TABLE_CSV, "time,bytes\n1.5,2.5\n", "1.500000000 -/-// 2\n");
	setlocale(LC_ALL, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_has_rows),
		cmocka_unit_test(csv_has_quotes),
		cmocka_unit_test(headers_are_checked),
		cmocka_unit_test(bad_rows_are_counted),
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(numbers_agree_with_libc),
		cmocka_unit_test(times_are_exact),
		cmocka_unit_test(wide_has_a_series_a_column),
		cmocka_unit_test(globs_match),
		cmocka_unit_test(json_lines_have_rows),
		cmocka_unit_test(json_lines_that_are_bad),
		cmocka_unit_test(prometheus_has_rows),
		cmocka_unit_test(prometheus_labels_can_be_others),
		cmocka_unit_test(prometheus_answers_that_are_errors),
		cmocka_unit_test(formats_are_told_apart),
		cmocka_unit_test(empty_is_an_outcome),
		cmocka_unit_test(ceilings_hold),
		cmocka_unit_test(an_open_quote_costs_one_line),
		cmocka_unit_test(only_so_many_names),
		cmocka_unit_test(only_the_first_are_kept),
		cmocka_unit_test(strings_are_interned),
		cmocka_unit_test(the_caller_can_stop),
		cmocka_unit_test(garbage_is_the_same_in_pieces),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(the_locale_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
