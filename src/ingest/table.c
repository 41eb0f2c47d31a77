#include "ingest/table.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/units.h"

/* Above that, a JSON document is none of ours; Prometheus' has 5. */
#define JSON_DEPTH 64u

/* More than a name and more than a number may have, so that a cut token is never taken for good. */
#define JSON_TOKEN_BYTES 2048u

/* Bytes that tell JSON Lines from Prometheus: up to the end of the first key. */
#define START_BYTES 256u

/* Names with the same hash: nobody has them by chance. */
#define SAME_HASH 16u

/* So many bytes of a value that no character is cut where its excerpt ends. */
#define EXCERPT_SOURCE_BYTES (TABLE_EXCERPT_BYTES + 4u)

enum field {
	FIELD_TIME,
	FIELD_BYTES,
	FIELD_HOST,
	FIELD_COMPONENT,
	FIELD_PROCESS,
	FIELD_VERSION,
	FIELD_LIMIT,
	FIELD_LOAD,
	FIELDS = FIELD_LOAD + TABLE_LOADS,
	FIELD_OTHER = FIELDS
};

static const char *const field_names[FIELDS] = {
	"time",
	"bytes",
	"host",
	"component",
	"process",
	"version",
	"limit_bytes",
	"cpu_seconds",
	"threads",
	"descriptors",
	"requests",
};

struct span {
	const char *p;
	size_t n;
	bool quoted; /* may have doubled quotes, and stands in the table's own buffer */
};

/* A column that means something: a field, or in a wide file a series. */
struct column {
	size_t index;
	enum field field;
	uint32_t component;
};

struct string {
	const char *s;
	size_t n;
};

enum quote { QUOTE_OUT, QUOTE_IN, QUOTE_BROKEN };

enum json_state {
	JSON_VALUE,
	JSON_FIRST_VALUE,
	JSON_KEY,
	JSON_FIRST_KEY,
	JSON_COLON,
	JSON_COMMA,
	JSON_STRING,
	JSON_ESCAPE,
	JSON_HEX,
	JSON_WORD,
	JSON_DONE
};

enum json_event {
	EVENT_OBJECT,
	EVENT_OBJECT_END,
	EVENT_ARRAY,
	EVENT_ARRAY_END,
	EVENT_KEY,
	EVENT_STRING,
	EVENT_NUMBER, /* NaN and Infinity, too, as Python writes them */
	EVENT_WORD    /* true, false, null */
};

/* A tokenizer that may be cut anywhere. */
struct json_in {
	enum json_state state;
	unsigned depth, hex_left;
	uint64_t objects;    /* a bit for each depth; the others are arrays */
	uint32_t code, high; /* of \u, and the first half of a pair */
	bool key;
	uint64_t bytes, lines;
	size_t n;
	char token[JSON_TOKEN_BYTES];
};

/* Where in Prometheus' answer an object or array stands. */
enum place {
	PLACE_NONE,
	PLACE_OTHER,
	PLACE_TOP,
	PLACE_DATA,
	PLACE_RESULT,
	PLACE_SERIES,
	PLACE_METRIC,
	PLACE_VALUES,
	PLACE_SAMPLE
};

enum key {
	KEY_OTHER,
	KEY_STATUS,
	KEY_DATA,
	KEY_ERROR,
	KEY_ERROR_TYPE,
	KEY_RESULT,
	KEY_RESULT_TYPE,
	KEY_METRIC,
	KEY_VALUES
};

struct label {
	const char *name; /* of the best one so far; NULL: none */
	size_t rank, next_rank, n;
	char text[TABLE_NAME_BYTES + 1];
};

struct prometheus {
	enum place places[JSON_DEPTH + 1];
	enum key key;
	bool failed, result, metric; /* an error's answer; has been there */
	char error_type[TABLE_EXCERPT_BYTES], error[200];
	struct label labels[TABLE_LABELS];
	uint32_t ids[TABLE_LABELS];
	size_t n_sample; /* elements of this sample so far */
};

/* The first thing that is wrong with a row. */
struct fault {
	enum table_bad_kind kind;
	const char *column;
	size_t n;
	char value[EXCERPT_SOURCE_BYTES];
};

struct table {
	struct table_opts opts;
	enum table_format format;
	int failed;
	bool at_start;
	struct err *err; /* the caller's, during a call */

	/* Lines. `pending` has what is not complete; up to `scanned` it is lines inside of quotes.
	 */
	struct buf pending;
	size_t scanned;
	enum quote quote;
	bool skipping;

	/* CSV. */
	struct column *columns;
	size_t n_columns, cap_columns;
	struct span *fields;
	size_t n_fields, cap_fields; /* of the header */

	/* JSON. */
	struct json_in json;
	enum field field;
	bool has_time, has_bytes;
	struct table_row row;
	struct fault fault;
	struct fault series_fault;
	struct prometheus prom;

	struct arena arena;
	struct string *strings;
	size_t n_strings, cap_strings;
	struct map index; /* hash of a string -> its id */
	uint32_t last[FIELDS];

	struct table_counts counts;
	struct table_bad bad[TABLE_BAD_KEPT];
	size_t n_bad;
	char unknown[TABLE_UNKNOWN_KEPT][TABLE_EXCERPT_BYTES];
};

static const char *const host_labels[] = {TABLE_HOST_LABELS, NULL};
static const char *const component_labels[] = {TABLE_COMPONENT_LABELS, NULL};
static const char *const process_labels[] = {TABLE_PROCESS_LABELS, NULL};
static const char *const version_labels[] = {TABLE_VERSION_LABELS, NULL};
static const char *const any_column[] = {"*", NULL};

static const struct {
	const char *name, *text;
} kinds[TABLE_BAD_MAX_] = {
	[TABLE_BAD_NONE] = {"none", "is good"},
	[TABLE_BAD_COLUMNS] = {"columns", "has more or fewer columns than the header"},
	[TABLE_BAD_QUOTES] = {"quotes", "has a quote that is out of place, or that nothing closes"},
	[TABLE_BAD_JSON] = {"json", "is not a JSON object"},
	[TABLE_BAD_TYPE] = {"type", "is of another type than it should be"},
	[TABLE_BAD_LINE_LONG] = {"long-line", "is longer than 1 MiB"},
	[TABLE_BAD_MISSING] = {"missing", "is missing"},
	[TABLE_BAD_TIME] = {"bad-time", "is neither seconds since 1970 nor RFC 3339"},
	[TABLE_BAD_TIME_RANGE] = {"time-range", "is before 1970 or after 2100"},
	[TABLE_BAD_NAN] = {"not-a-number", "is not a number"},
	[TABLE_BAD_NUMBER] = {"malformed-number", "cannot be read as a number"},
	[TABLE_BAD_NEGATIVE] = {"negative", "is negative"},
	[TABLE_BAD_OVERFLOW] = {"overflow", "is too large"},
	[TABLE_BAD_NAME] = {"bad-name", "is not UTF-8, or has control characters"},
	[TABLE_BAD_NAME_LONG] = {"long-name", "is longer than 1024 bytes"},
	[TABLE_BAD_NAMES_FULL] = {"too-many-names", "is one name more than fit"},
};

/* ---- text ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void trim(const char **p, size_t *n)
{
	while (*n && is_space((*p)[*n - 1]))
		--*n;
	while (*n && is_space(**p)) {
		++*p;
		--*n;
	}
}

static bool span_is(const char *p, size_t n, const char *s)
{
	return strlen(s) == n && memcmp(p, s, n) == 0;
}

/* Length of the printable character at p, 0 when there is none: RFC 3629, table in 4, without C0
 * and C1 controls. */
static size_t character(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (p[0] == 0xc2 || p[0] == 0xe0)
		lo = 0xa0;
	if (p[0] == 0xed)
		hi = 0x9f;
	if (p[0] == 0xf0)
		lo = 0x90;
	if (p[0] == 0xf4)
		hi = 0x8f;
	if (n < len || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* What a terminal may show of foreign bytes: '?' for each that is not printable. */
static void excerpt(char *out, size_t size, const char *p, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n;) {
		size_t c = character(p + i, n - i);

		if (len + (c ? c : 1) >= size)
			break;
		if (c)
			memcpy(out + len, p + i, c);
		else
			out[len] = '?';
		len += c ? c : 1;
		i += c ? c : 1;
	}
	out[len] = 0;
}

static bool glob_matches(const char *pattern, const char *s, size_t n)
{
	const char *star = NULL;
	size_t i = 0, again = 0;

	while (i < n) {
		if (*pattern == '*') {
			star = pattern++;
			again = i;
		} else if (*pattern && (*pattern == '?' || *pattern == s[i])) {
			pattern++;
			i++;
		} else if (star) {
			pattern = star + 1;
			i = ++again;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* ---- numbers and times: exact in integers, no strtod(), no locale ---- */

static const uint64_t powers[] = {UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000),
	UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000), UINT64_C(10000000),
	UINT64_C(100000000), UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
	UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000),
	UINT64_C(1000000000000000), UINT64_C(10000000000000000), UINT64_C(100000000000000000),
	UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)};

/* digits * 10^exponent; of the digits, the first 19 that count. What is cut off of an integer part
 * leaves a number above 10^19, so that rounding down stays right for all that fits. */
struct decimal {
	uint64_t digits;
	int exponent;
	bool negative;
};

static bool is_nan(const char *p, size_t n)
{
	static const char *const names[] = {"nan", "inf", "infinity"};
	char low[9];

	if (n && (*p == '+' || *p == '-')) {
		p++;
		n--;
	}
	if (n >= sizeof(low))
		return false;
	for (size_t i = 0; i < n; i++)
		low[i] = (char)(p[i] | 0x20);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_is(low, n, names[i]))
			return true;
	return false;
}

/* 0, TABLE_BAD_NAN or TABLE_BAD_NUMBER. */
static int decimal_parse(const char *p, size_t n, struct decimal *ret)
{
	const char *end = p + n, *start = p, *first;
	struct decimal d = {0};
	size_t seen = 0;
	int kept = 0;

	if (n > TABLE_NUMBER_BYTES)
		return TABLE_BAD_NUMBER;
	if (p < end && (*p == '-' || *p == '+'))
		d.negative = *p++ == '-';
	for (first = p; p < end && is_digit(*p); p++) {
		if (kept < 19) {
			d.digits = d.digits * 10 + (uint64_t)(*p - '0');
			kept += d.digits != 0;
		} else {
			d.exponent++;
		}
	}
	seen = (size_t)(p - first);
	if (p < end && *p == '.') {
		for (first = ++p; p < end && is_digit(*p); p++) {
			if (kept < 19) {
				d.digits = d.digits * 10 + (uint64_t)(*p - '0');
				kept += d.digits != 0;
				d.exponent--;
			}
		}
		seen += (size_t)(p - first);
	}
	if (!seen)
		return is_nan(start, n) ? TABLE_BAD_NAN : TABLE_BAD_NUMBER;
	if (p < end && (*p == 'e' || *p == 'E')) {
		bool down = false;
		int e = 0;

		if (++p < end && (*p == '-' || *p == '+'))
			down = *p++ == '-';
		for (first = p; p < end && is_digit(*p); p++)
			if (e < 10000)
				e = e * 10 + (*p - '0');
		if (p == first)
			return TABLE_BAD_NUMBER;
		d.exponent += down ? -e : e;
	}
	if (p != end)
		return TABLE_BAD_NUMBER;
	*ret = d;
	return 0;
}

/* The decimal times 10^shift, rounded down. 0, TABLE_BAD_NEGATIVE or TABLE_BAD_OVERFLOW. */
static int decimal_floor(const struct decimal *d, int shift, uint64_t *ret)
{
	int e = d->exponent + shift;

	*ret = 0;
	if (d->digits == 0)
		return 0;
	if (d->negative)
		return TABLE_BAD_NEGATIVE;
	if (e < 0)
		*ret = e < -19 ? 0 : d->digits / powers[-e];
	else if (e > 19 || __builtin_mul_overflow(d->digits, powers[e], ret))
		return TABLE_BAD_OVERFLOW;
	return 0;
}

/* Bytes as whole ones, at most 2^63. */
static int parse_bytes(const char *p, size_t n, uint64_t *ret)
{
	struct decimal d;
	uint64_t v;
	int kind;

	if (!n)
		return TABLE_BAD_MISSING;
	kind = decimal_parse(p, n, &d);
	if (kind == 0)
		kind = decimal_floor(&d, 0, &v);
	if (kind == 0 && v > UINT64_C(1) << 63)
		kind = TABLE_BAD_OVERFLOW;
	if (kind == 0)
		*ret = v;
	return kind;
}

/* Within some units in the last place of a double, so right to a float but for ties. */
static int parse_float(const char *p, size_t n, float *ret)
{
	struct decimal d;
	double v;
	int kind = decimal_parse(p, n, &d);

	if (kind)
		return kind;
	if (d.negative && d.digits)
		return TABLE_BAD_NEGATIVE;
	v = (double)d.digits;
	if (d.digits && d.exponent > 60)
		return TABLE_BAD_OVERFLOW;
	for (; d.exponent > 0 && d.digits; d.exponent--)
		v *= 10;
	for (; d.exponent < 0 && v > 0; d.exponent += d.exponent > -19 ? -d.exponent : 19)
		v /= (double)powers[d.exponent > -19 ? -d.exponent : 19];
	if (v > 3.4028234663852886e38)
		return TABLE_BAD_OVERFLOW;
	*ret = (float)v;
	return 0;
}

/* Days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t)doe - 719468;
}

static bool two_digits(const char *p, unsigned max, unsigned *ret)
{
	if (!is_digit(p[0]) || !is_digit(p[1]))
		return false;
	*ret = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
	return *ret <= max;
}

static unsigned month_days(unsigned y, unsigned m)
{
	static const unsigned char n[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : n[m - 1];
}

/* 2026-11-21T03:47:27.728+01:00. A space may stand for the T; a leap second is the next one. */
static int parse_rfc3339(const char *p, size_t n, uint64_t *ret_ns)
{
	unsigned century, year, month, day, hour, minute, second, off_hour = 0, off_minute = 0;
	uint64_t ns = 0, place = 100000000;
	int64_t s, off;
	size_t i = 19;

	if (n < 20 || !two_digits(p, 99, &century) || !two_digits(p + 2, 99, &year) ||
		p[4] != '-' || !two_digits(p + 5, 12, &month) || p[7] != '-' ||
		!two_digits(p + 8, 31, &day) || (p[10] != 'T' && p[10] != 't' && p[10] != ' ') ||
		!two_digits(p + 11, 23, &hour) || p[13] != ':' ||
		!two_digits(p + 14, 59, &minute) || p[16] != ':' ||
		!two_digits(p + 17, 60, &second))
		return TABLE_BAD_TIME;
	year += century * 100;
	if (month == 0 || day == 0 || day > month_days(year, month))
		return TABLE_BAD_TIME;
	if (p[i] == '.') {
		for (i++; i < n && is_digit(p[i]); i++, place /= 10)
			ns += place * (uint64_t)(p[i] - '0');
		if (i == 20)
			return TABLE_BAD_TIME;
	}
	if (n - i == 6 && (p[i] == '+' || p[i] == '-')) {
		if (!two_digits(p + i + 1, 23, &off_hour) || p[i + 3] != ':' ||
			!two_digits(p + i + 4, 59, &off_minute))
			return TABLE_BAD_TIME;
	} else if (n - i != 1 || (p[i] != 'Z' && p[i] != 'z')) {
		return TABLE_BAD_TIME;
	}
	off = (int64_t)off_hour * 3600 + off_minute * 60;
	s = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
		(p[i] == '-' ? -off : off);
	if (s < 0 || (uint64_t)s > TABLE_TIME_MAX_NS / NSEC_PER_SEC)
		return TABLE_BAD_TIME_RANGE;
	*ret_ns = (uint64_t)s * NSEC_PER_SEC + ns;
	return *ret_ns > TABLE_TIME_MAX_NS ? TABLE_BAD_TIME_RANGE : 0;
}

static int parse_time(const char *p, size_t n, uint64_t *ret_ns)
{
	struct decimal d;
	uint64_t ns;

	if (!n)
		return TABLE_BAD_MISSING;
	if (n > 4 && p[4] == '-' && is_digit(p[3]))
		return parse_rfc3339(p, n, ret_ns);
	if (decimal_parse(p, n, &d))
		return TABLE_BAD_TIME;
	if (decimal_floor(&d, 9, &ns) || ns > TABLE_TIME_MAX_NS)
		return TABLE_BAD_TIME_RANGE;
	*ret_ns = ns;
	return 0;
}

/* ---- names ---- */

static int string_add(struct table *t, uint64_t hash, const char *p, size_t n, uint32_t *ret)
{
	char *s;
	int r;

	for (size_t i = 0, len; i < n; i += len) {
		len = character(p + i, n - i);
		if (!len)
			return TABLE_BAD_NAME;
	}
	if (t->n_strings == TABLE_STRINGS || t->arena.limit - t->arena.used < n + 64)
		return TABLE_BAD_NAMES_FULL;
	r = array_reserve(
		&t->strings, &t->cap_strings, t->n_strings + 1, sizeof(*t->strings), TABLE_STRINGS);
	if (r < 0)
		return r;
	s = arena_strndup(&t->arena, p, n);
	if (!s)
		return -ENOMEM;
	r = map_put(&t->index, hash, t->n_strings);
	if (r < 0)
		return r;
	*ret = (uint32_t)t->n_strings;
	t->strings[t->n_strings++] = (struct string){s, n};
	return 0;
}

/* The id of a name: 0, a kind of bad row, or -ENOMEM. */
static int intern(struct table *t, const char *p, size_t n, uint32_t *ret)
{
	uint64_t hash, id;

	if (n > TABLE_NAME_BYTES)
		return TABLE_BAD_NAME_LONG;
	hash = hash_bytes(p, n, 0);
	for (unsigned i = 0; i < SAME_HASH; i++) {
		const struct string *s;

		if (!map_get(&t->index, hash, &id))
			return string_add(t, hash, p, n, ret);
		s = &t->strings[id];
		if (s->n == n && memcmp(s->s, p, n) == 0) {
			*ret = (uint32_t)id;
			return 0;
		}
		hash = hash_u64(hash, 1);
	}
	return TABLE_BAD_NAMES_FULL;
}

/* ---- rows ---- */

static void row_init(struct table_row *row)
{
	*row = (struct table_row){.host = TABLE_STRING_DASH,
		.component = TABLE_STRING_DASH,
		.load = {NAN, NAN, NAN, NAN}};
}

static int row_emit(struct table *t, const struct table_row *row)
{
	int r = t->opts.row(t->opts.arg, row, t->err);

	if (r < 0)
		return r;
	t->counts.rows++;
	return 0;
}

static int bad_row(
	struct table *t, enum table_bad_kind kind, const char *column, const char *p, size_t n)
{
	struct table_bad *b = &t->bad[t->n_bad];

	t->counts.bad[kind]++;
	t->counts.skipped++;
	if (t->n_bad == TABLE_BAD_KEPT)
		return 0;
	b->kind = kind;
	b->line = t->counts.lines + t->json.lines + 1;
	b->series = t->format == TABLE_PROMETHEUS ? t->counts.series : 0;
	b->column = column;
	excerpt(b->excerpt, sizeof(b->excerpt), p, n);
	t->n_bad++;
	return 0;
}

static void fault_set(
	struct fault *f, enum table_bad_kind kind, const char *column, const char *value, size_t n)
{
	if (f->kind)
		return;
	f->kind = kind;
	f->column = column;
	f->n = n < sizeof(f->value) ? n : sizeof(f->value);
	if (f->n)
		memcpy(f->value, value, f->n);
}

static int row_set_name(
	struct table *t, enum field field, uint32_t none, const char *p, size_t n, uint32_t *ret)
{
	const struct string *last = &t->strings[t->last[field]];
	int r;

	if (!n) {
		*ret = none;
		return 0;
	}
	if (last->n == n && memcmp(last->s, p, n) == 0) {
		*ret = t->last[field];
		return 0;
	}
	r = intern(t, p, n, ret);
	if (r == 0)
		t->last[field] = *ret;
	return r;
}

/* 0, a kind of bad row, or -ENOMEM. */
static int row_set(
	struct table *t, struct table_row *row, enum field field, const char *p, size_t n)
{
	int kind = 0;

	switch (field) {
	case FIELD_TIME:
		return parse_time(p, n, &row->unix_ns);
	case FIELD_BYTES:
		return parse_bytes(p, n, &row->bytes);
	case FIELD_HOST:
		return row_set_name(t, field, TABLE_STRING_DASH, p, n, &row->host);
	case FIELD_COMPONENT:
		return row_set_name(t, field, TABLE_STRING_DASH, p, n, &row->component);
	case FIELD_PROCESS:
		return row_set_name(t, field, TABLE_STRING_EMPTY, p, n, &row->process);
	case FIELD_VERSION:
		return row_set_name(t, field, TABLE_STRING_EMPTY, p, n, &row->version);
	case FIELD_LIMIT:
		row->limit_bytes = 0;
		if (n)
			kind = parse_bytes(p, n, &row->limit_bytes);
		break;
	default:
		row->load[field - FIELD_LOAD] = NAN;
		if (n)
			kind = parse_float(p, n, &row->load[field - FIELD_LOAD]);
		break;
	}
	/* "None" is a fair value of what need not be there. */
	return kind == TABLE_BAD_NAN ? 0 : kind;
}

static enum field field_find(const char *p, size_t n)
{
	for (unsigned i = 0; i < FIELDS; i++)
		if (span_is(p, n, field_names[i]))
			return i;
	return FIELD_OTHER;
}

static void unknown_add(struct table *t, const char *p, size_t n)
{
	char name[TABLE_EXCERPT_BYTES];

	if (t->counts.unknown == TABLE_UNKNOWN_KEPT)
		return;
	excerpt(name, sizeof(name), p, n);
	for (size_t i = 0; i < t->counts.unknown; i++)
		if (strcmp(t->unknown[i], name) == 0)
			return;
	memcpy(t->unknown[t->counts.unknown++], name, sizeof(name));
}

/* ---- CSV: RFC 4180 ---- */

/* How a line that began inside or outside of quotes ends. What is not by the book is broken at
 * once, rather than taken as it may have been meant: one quote too many shall cost its own line. */
static enum quote quote_scan(enum quote q, const char *p, const char *end)
{
	while (p < end) {
		const char *stop;

		if (q == QUOTE_IN) {
			p = memchr(p, '"', (size_t)(end - p));
			if (!p)
				return QUOTE_IN;
			if (++p < end && *p == '"') {
				p++;
				continue;
			}
			q = QUOTE_OUT;
			while (p < end && is_blank(*p))
				p++;
			if (p < end && *p++ != ',')
				return QUOTE_BROKEN;
		} else if (*p == '"') {
			q = QUOTE_IN;
			p++;
		} else {
			stop = memchr(p, ',', (size_t)(end - p));
			if (memchr(p, '"', (size_t)((stop ? stop : end) - p)))
				return QUOTE_BROKEN;
			p = stop ? stop + 1 : end;
		}
	}
	return q;
}

static size_t csv_split(struct span *fields, size_t max, const char *p, size_t n)
{
	const char *end = p + n, *start = p;
	size_t k = 0;

	for (;; p++) {
		if (p != end && *p != ',')
			continue;
		if (k < max)
			fields[k] = (struct span){start, (size_t)(p - start), false};
		k++;
		if (p == end)
			return k;
		start = p + 1;
	}
}

/* The same where quote_scan() has found quotes, all in place. */
static size_t csv_split_quoted(struct span *fields, size_t max, const char *p, size_t n)
{
	const char *end = p + n;
	size_t k = 0;

	for (;; p++) {
		struct span s = {p, 0, p < end && *p == '"'};

		if (s.quoted) {
			s.p = ++p;
			while (p < end && (*p != '"' || (p + 1 < end && p[1] == '"')))
				p += *p == '"' ? 2 : 1;
			s.n = (size_t)(p - s.p);
		}
		while (p < end && *p != ',')
			p++;
		if (!s.quoted)
			s.n = (size_t)(p - s.p);
		if (k < max)
			fields[k] = s;
		k++;
		if (p >= end)
			return k;
	}
}

static size_t csv_fields(struct table *t, const char *p, size_t n, bool quoted, size_t max)
{
	return quoted ? csv_split_quoted(t->fields, max, p, n) : csv_split(t->fields, max, p, n);
}

/* Without blanks around it; doubled quotes become one, in place. */
static void csv_value(struct span *s)
{
	if (s->quoted && memchr(s->p, '"', s->n)) {
		char *to = (char *)s->p;

		for (size_t i = 0; i < s->n; i++) {
			i += s->p[i] == '"' && i + 1 < s->n;
			*to++ = s->p[i];
		}
		s->n = (size_t)(to - s->p);
	}
	s->quoted = false;
	trim(&s->p, &s->n);
}

/* "time, host, ..." */
static const char *csv_names(const struct table *t, char *out, size_t size)
{
	size_t len = 0;

	out[0] = 0;
	for (size_t i = 0; i < t->n_fields; i++) {
		char name[TABLE_EXCERPT_BYTES];

		excerpt(name, sizeof(name), t->fields[i].p, t->fields[i].n);
		if (len + strlen(name) + 8 > size) {
			snprintf(out + len, size - len, ", ...");
			break;
		}
		len += (size_t)snprintf(out + len, size - len, "%s%s", i ? ", " : "", name);
	}
	return out;
}

static int csv_column_add(struct table *t, size_t index, enum field field, uint32_t component)
{
	int r = array_reserve(
		&t->columns, &t->cap_columns, t->n_columns + 1, sizeof(*t->columns), TABLE_COLUMNS);

	if (r < 0)
		return err_set(t->err, r, "no memory for the columns of the header");
	t->columns[t->n_columns++] = (struct column){index, field, component};
	return 0;
}

static int csv_header_long(struct table *t)
{
	size_t at[FIELDS] = {0};
	char names[200];
	int r;

	for (size_t i = 0; i < t->n_fields; i++) {
		const struct span *s = &t->fields[i];
		enum field f = field_find(s->p, s->n);

		if (f == FIELD_OTHER)
			unknown_add(t, s->p, s->n);
		else if (at[f])
			return err_set(t->err, -EBADMSG, "the header has column '%s' twice",
				field_names[f]);
		else
			at[f] = i + 1;
	}
	if (!at[FIELD_TIME] || !at[FIELD_BYTES])
		return err_set(t->err, -EBADMSG, "the header has no column '%s'%s; it has: %s",
			at[FIELD_TIME] ? "bytes" : "time",
			at[FIELD_TIME] || at[FIELD_BYTES] ? "" : ", and no 'bytes'",
			csv_names(t, names, sizeof(names)));
	for (unsigned f = 0; f < FIELDS; f++) {
		r = at[f] ? csv_column_add(t, at[f] - 1, f, 0) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *wide_time(const struct table *t)
{
	return t->opts.time_column ? t->opts.time_column : "time";
}

static const char *const *wide_values(const struct table *t)
{
	return t->opts.values ? t->opts.values : any_column;
}

static bool wide_matches(const struct table *t, const char *pattern, const struct span *s)
{
	/* A column without a name is the index that some programs add. */
	return s->n && !span_is(s->p, s->n, wide_time(t)) && glob_matches(pattern, s->p, s->n);
}

static int wide_series_add(struct table *t, size_t index)
{
	const struct span *s = &t->fields[index];
	char name[TABLE_EXCERPT_BYTES];
	size_t before = t->n_strings;
	uint32_t id;
	int r;

	excerpt(name, sizeof(name), s->p, s->n);
	r = intern(t, s->p, s->n, &id);
	if (r < 0)
		return err_set(t->err, r, "no memory for the columns of the header");
	if (r > 0)
		return err_set(t->err, -EBADMSG, "the header's column %zu (%s) %s", index + 1, name,
			kinds[r].text);
	if (id > TABLE_STRING_DASH && id < before)
		return err_set(t->err, -EBADMSG, "the header has column '%s' twice", name);
	t->counts.series++;
	return csv_column_add(t, index, FIELD_BYTES, id);
}

static int csv_header_wide(struct table *t)
{
	const char *const *values = wide_values(t);
	char names[160];
	int r = 0;

	for (const char *const *v = values; *v; v++) {
		size_t i = 0;

		while (i < t->n_fields && !wide_matches(t, *v, &t->fields[i]))
			i++;
		if (i == t->n_fields)
			return err_set(t->err, -EBADMSG,
				"the header has no column '%.60s' with values; it has: %s", *v,
				csv_names(t, names, sizeof(names)));
	}
	/* The time first, whatever stands before it. */
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct span *s = &t->fields[i];

		if (!span_is(s->p, s->n, wide_time(t)))
			continue;
		if (t->n_columns)
			return err_set(t->err, -EBADMSG, "the header has column '%.60s' twice",
				wide_time(t));
		r = csv_column_add(t, i, FIELD_TIME, 0);
		if (r < 0)
			return r;
	}
	if (!t->n_columns)
		return err_set(t->err, -EBADMSG, "the header has no column '%.60s'; it has: %s",
			wide_time(t), csv_names(t, names, sizeof(names)));
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct span *s = &t->fields[i];
		const char *const *v = values;

		while (*v && !wide_matches(t, *v, s))
			v++;
		if (*v)
			r = wide_series_add(t, i);
		else if (i != t->columns[0].index)
			unknown_add(t, s->p, s->n);
		if (r < 0)
			return r;
	}
	return 0;
}

static int csv_header(struct table *t, const char *p, size_t n, bool quoted)
{
	size_t k = csv_fields(t, p, n, quoted, 0);
	int r;

	if (k > TABLE_COLUMNS)
		return err_set(t->err, -EMSGSIZE, "the header has %zu columns, more than %u", k,
			TABLE_COLUMNS);
	r = array_reserve(&t->fields, &t->cap_fields, k, sizeof(*t->fields), TABLE_COLUMNS);
	if (r < 0)
		return err_set(t->err, r, "no memory for the columns of the header");
	t->n_fields = csv_fields(t, p, n, quoted, k);
	for (size_t i = 0; i < k; i++)
		csv_value(&t->fields[i]);
	return t->format == TABLE_WIDE ? csv_header_wide(t) : csv_header_long(t);
}

static int wide_row(struct table *t)
{
	struct table_row row;
	struct span *s = &t->fields[t->columns[0].index];
	int r;

	row_init(&row);
	csv_value(s);
	r = parse_time(s->p, s->n, &row.unix_ns);
	if (r)
		return bad_row(t, r, wide_time(t), s->p, s->n);
	for (size_t i = 1; i < t->n_columns; i++) {
		const struct column *c = &t->columns[i];

		s = &t->fields[c->index];
		csv_value(s);
		if (!s->n)
			continue; /* a gap */
		row.component = c->component;
		r = parse_bytes(s->p, s->n, &row.bytes);
		r = r ? bad_row(t, r, t->strings[c->component].s, s->p, s->n) : row_emit(t, &row);
		if (r < 0)
			return r;
	}
	return 0;
}

static int csv_row(struct table *t, const char *p, size_t n, bool quoted)
{
	struct table_row row;

	if (csv_fields(t, p, n, quoted, t->n_fields) != t->n_fields)
		return bad_row(t, TABLE_BAD_COLUMNS, NULL, p, n);
	if (t->format == TABLE_WIDE)
		return wide_row(t);
	row_init(&row);
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct column *c = &t->columns[i];
		struct span *s = &t->fields[c->index];
		int kind;

		csv_value(s);
		kind = row_set(t, &row, c->field, s->p, s->n);
		if (kind < 0)
			return err_set(t->err, kind, "no memory for another name");
		if (kind)
			return bad_row(t, kind, field_names[c->field], s->p, s->n);
	}
	return row_emit(t, &row);
}

/* ---- JSON: RFC 8259, and NaN and Infinity ---- */

static void json_start(struct json_in *j)
{
	j->state = JSON_VALUE;
	j->depth = j->hex_left = 0;
	j->objects = j->lines = j->bytes = 0;
	j->high = 0;
	j->n = 0;
	j->key = false;
}

/* What does not fit is cut off: see JSON_TOKEN_BYTES. */
static void json_token_add(struct json_in *j, const char *p, size_t n)
{
	size_t room = sizeof(j->token) - j->n;

	if (n > room)
		n = room;
	if (n)
		memcpy(j->token + j->n, p, n);
	j->n += n;
}

static void json_token_code(struct json_in *j, uint32_t c)
{
	char s[4];
	size_t n;

	if (c < 0x80) {
		s[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		s[0] = (char)(0xc0 | c >> 6);
		s[1] = (char)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		s[0] = (char)(0xe0 | c >> 12);
		s[1] = (char)(0x80 | (c >> 6 & 0x3f));
		s[2] = (char)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		s[0] = (char)(0xf0 | c >> 18);
		s[1] = (char)(0x80 | (c >> 12 & 0x3f));
		s[2] = (char)(0x80 | (c >> 6 & 0x3f));
		s[3] = (char)(0x80 | (c & 0x3f));
		n = 4;
	}
	json_token_add(j, s, n);
}

/* Half a pair becomes three bytes that are no UTF-8, so that no such name is good. */
static void json_half_flush(struct json_in *j)
{
	if (j->high)
		json_token_code(j, j->high);
	j->high = 0;
}

static void json_unicode(struct json_in *j)
{
	if (j->high && j->code >= 0xdc00 && j->code <= 0xdfff) {
		uint32_t c = 0x10000 + ((j->high - 0xd800) << 10) + (j->code - 0xdc00);

		j->high = 0;
		json_token_code(j, c);
		return;
	}
	json_half_flush(j);
	if (j->code >= 0xd800 && j->code <= 0xdbff)
		j->high = j->code;
	else
		json_token_code(j, j->code);
}

typedef int json_event_fn(struct table *t, enum json_event event, const char *p, size_t n);

struct json_reader {
	struct table *t;
	struct json_in *j;
	json_event_fn *event;
	const char *why; /* set where it returns -EBADMSG for the text itself */
};

static int json_wrong(struct json_reader *r, const char *why)
{
	r->why = why;
	return -EBADMSG;
}

static int json_value_done(struct json_reader *r, enum json_event event, const char *p, size_t n)
{
	r->j->state = r->j->depth ? JSON_COMMA : JSON_DONE;
	r->j->n = 0;
	return r->event(r->t, event, p, n);
}

static int json_word(struct json_reader *r, const char *p, size_t n)
{
	struct decimal d;

	if (span_is(p, n, "true") || span_is(p, n, "false") || span_is(p, n, "null"))
		return json_value_done(r, EVENT_WORD, p, n);
	if (decimal_parse(p, n, &d) == TABLE_BAD_NUMBER)
		return json_wrong(r, "no value");
	return json_value_done(r, EVENT_NUMBER, p, n);
}

static int json_open(struct json_reader *r, bool object)
{
	struct json_in *j = r->j;

	if (j->depth == JSON_DEPTH)
		return json_wrong(r, "nested too deeply");
	j->objects = (j->objects & ~(UINT64_C(1) << j->depth)) | (uint64_t)object << j->depth;
	j->depth++;
	j->state = object ? JSON_FIRST_KEY : JSON_FIRST_VALUE;
	return r->event(r->t, object ? EVENT_OBJECT : EVENT_ARRAY, NULL, 0);
}

static bool json_in_object(const struct json_in *j)
{
	return j->depth && (j->objects >> (j->depth - 1) & 1);
}

static int json_close(struct json_reader *r, char c)
{
	if (json_in_object(r->j) != (c == '}'))
		return json_wrong(r, "a bracket that closes another one");
	r->j->depth--;
	return json_value_done(r, c == '}' ? EVENT_OBJECT_END : EVENT_ARRAY_END, NULL, 0);
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
		c == '+' || c == '.';
}

/* One character between tokens, or the first of a token; that of a word is left where it is. */
static int json_between(struct json_reader *r, char c)
{
	struct json_in *j = r->j;

	switch (j->state) {
	case JSON_FIRST_VALUE:
		if (c == ']')
			return json_close(r, c);
		/* fall through */
	case JSON_VALUE:
		if (c == '{' || c == '[')
			return json_open(r, c == '{');
		j->key = false;
		j->state = c == '"' ? JSON_STRING : JSON_WORD;
		return c == '"' || is_word(c) ? 0 : json_wrong(r, "no value");
	case JSON_FIRST_KEY:
		if (c == '}')
			return json_close(r, c);
		/* fall through */
	case JSON_KEY:
		j->key = true;
		j->state = JSON_STRING;
		return c == '"' ? 0 : json_wrong(r, "no key");
	case JSON_COLON:
		j->state = JSON_VALUE;
		return c == ':' ? 0 : json_wrong(r, "no colon");
	case JSON_COMMA:
		if (c == '}' || c == ']')
			return json_close(r, c);
		j->state = json_in_object(j) ? JSON_KEY : JSON_VALUE;
		return c == ',' ? 0 : json_wrong(r, "no comma");
	default:
		return json_wrong(r, "something behind the end");
	}
}

static int json_string(struct json_reader *r, const char *p, const char *end, const char **ret_next)
{
	struct json_in *j = r->j;
	const char *q = p;
	size_t n;

	while (q < end && *q != '"' && *q != '\\')
		q++;
	n = (size_t)(q - p);
	if (n)
		json_half_flush(j);
	*ret_next = q < end ? q + 1 : q;
	if (q == end || *q == '\\') {
		json_token_add(j, p, n);
		j->state = q == end ? JSON_STRING : JSON_ESCAPE;
		return 0;
	}
	json_half_flush(j);
	if (j->n) {
		json_token_add(j, p, n);
		p = j->token;
		n = j->n;
	}
	if (!j->key)
		return json_value_done(r, EVENT_STRING, p, n);
	j->state = JSON_COLON;
	j->n = 0;
	return r->event(r->t, EVENT_KEY, p, n);
}

static int json_escape(struct json_reader *r, char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	r->j->state = JSON_STRING;
	if (c == 'u') {
		r->j->state = JSON_HEX;
		r->j->hex_left = 4;
		r->j->code = 0;
		return 0;
	}
	if (!at)
		return json_wrong(r, "no such escape");
	json_half_flush(r->j);
	json_token_add(r->j, &to[at - from], 1);
	return 0;
}

static int json_hex(struct json_reader *r, char c)
{
	struct json_in *j = r->j;
	char low = (char)(c | 0x20);

	if (!is_digit(c) && (low < 'a' || low > 'f'))
		return json_wrong(r, "no hexadecimal digit");
	j->code = j->code << 4 | (uint32_t)(is_digit(c) ? c - '0' : low - 'a' + 10);
	if (--j->hex_left == 0) {
		json_unicode(j);
		j->state = JSON_STRING;
	}
	return 0;
}

/* 0; -EBADMSG with `why` for what is no JSON; or what `event` returned. */
static int json_feed(struct json_reader *r, const char *p, size_t n)
{
	const char *end = p + n, *begin = p;
	struct json_in *j = r->j;
	int status = 0;

	while (p < end && status == 0) {
		const char *q = p;

		switch (j->state) {
		case JSON_STRING:
			status = json_string(r, p, end, &p);
			break;
		case JSON_ESCAPE:
			status = json_escape(r, *p++);
			break;
		case JSON_HEX:
			status = json_hex(r, *p++);
			break;
		case JSON_WORD:
			while (q < end && is_word(*q))
				q++;
			if (q == end || j->n)
				json_token_add(j, p, (size_t)(q - p));
			if (q < end)
				status = j->n ? json_word(r, j->token, j->n)
					      : json_word(r, p, (size_t)(q - p));
			p = q;
			break;
		default:
			if (is_blank(*p))
				j->lines += *p == '\n';
			else
				status = json_between(r, *p);
			p += j->state != JSON_WORD;
			break;
		}
	}
	j->bytes += (size_t)(p - begin);
	return status;
}

static int json_end(struct json_reader *r)
{
	int status = r->j->state == JSON_WORD ? json_word(r, r->j->token, r->j->n) : 0;

	if (status == 0 && r->j->state != JSON_DONE)
		return json_wrong(r, "it ends in the middle");
	return status;
}

/* ---- JSON Lines ---- */

static int line_scalar(struct table *t, enum json_event event, const char *p, size_t n)
{
	int kind;

	if (t->json.depth == 0)
		fault_set(&t->fault, TABLE_BAD_JSON, NULL, p, n);
	if (t->json.depth != 1 || t->field == FIELD_OTHER)
		return 0;
	if (event == EVENT_WORD) {
		if (!span_is(p, n, "null"))
			fault_set(&t->fault, TABLE_BAD_TYPE, field_names[t->field], p, n);
		return 0;
	}
	trim(&p, &n);
	kind = row_set(t, &t->row, t->field, p, n);
	if (kind < 0)
		return err_set(t->err, kind, "no memory for another name");
	if (kind)
		fault_set(&t->fault, kind, field_names[t->field], p, n);
	t->has_time |= t->field == FIELD_TIME;
	t->has_bytes |= t->field == FIELD_BYTES;
	return 0;
}

static int line_event(struct table *t, enum json_event event, const char *p, size_t n)
{
	switch (event) {
	case EVENT_OBJECT:
	case EVENT_ARRAY:
		if (t->json.depth == 1 && event == EVENT_ARRAY)
			fault_set(&t->fault, TABLE_BAD_JSON, NULL, "[", 1);
		if (t->json.depth == 2 && t->field != FIELD_OTHER)
			fault_set(&t->fault, TABLE_BAD_TYPE, field_names[t->field],
				event == EVENT_ARRAY ? "[" : "{", 1);
		return 0;
	case EVENT_OBJECT_END:
	case EVENT_ARRAY_END:
		return 0;
	case EVENT_KEY:
		if (t->json.depth != 1)
			return 0;
		t->field = field_find(p, n);
		if (t->field == FIELD_OTHER)
			unknown_add(t, p, n);
		return 0;
	default:
		return line_scalar(t, event, p, n);
	}
}

static int line_row(struct table *t, const char *p, size_t n)
{
	struct json_reader reader = {t, &t->json, line_event, NULL};
	const struct fault *f = &t->fault;
	int r;

	row_init(&t->row);
	t->fault.kind = TABLE_BAD_NONE;
	t->field = FIELD_OTHER;
	t->has_time = t->has_bytes = false;
	json_start(&t->json);
	r = json_feed(&reader, p, n);
	if (r == 0)
		r = json_end(&reader);
	if (reader.why)
		return bad_row(t, TABLE_BAD_JSON, NULL, p, n);
	if (r < 0)
		return r;
	if (f->kind)
		return bad_row(t, f->kind, f->column, f->value, f->n);
	if (!t->has_time || !t->has_bytes)
		return bad_row(t, TABLE_BAD_MISSING, t->has_time ? "bytes" : "time", NULL, 0);
	return row_emit(t, &t->row);
}

/* ---- lines ---- */

static int record(struct table *t, const char *p, size_t n, bool quoted)
{
	while (n && is_blank(p[n - 1]))
		n--;
	if (!n)
		return 0;
	if (t->format == TABLE_JSON_LINES)
		return line_row(t, p, n);
	return t->n_fields ? csv_row(t, p, n, quoted) : csv_header(t, p, n, quoted);
}

static int bad_line(struct table *t, enum table_bad_kind kind, const char *p, size_t n)
{
	if (t->format != TABLE_JSON_LINES && !t->n_fields)
		return err_set(t->err, -EBADMSG, "the header, line %" PRIu64 ", %s",
			t->counts.lines + 1, kinds[kind].text);
	return bad_row(t, kind, NULL, p, n);
}

/*
 * Takes what is complete out of `pending`, of which the first `complete` bytes are whole lines. A
 * broken quote costs the first line of its record, and reading goes on with the second one. So does
 * one that nothing closes: at the end, or (drop) when the record has outgrown TABLE_LINE_BYTES.
 *
 * That stays linear: a line that opens a quote has an odd number of them, and those inside of one
 * that stays open an even number, so no two records that fail share more than one line.
 */
static int pending_scan(struct table *t, size_t complete, bool drop, bool end)
{
	char *base = t->pending.data;
	size_t begin = 0, at = t->scanned;
	int r = 0;

	while (r == 0) {
		const char *from, *nl;
		size_t stop;
		enum quote q;

		drop |= end && at >= complete && begin < complete;
		if (!drop && at >= complete)
			break;
		from = base + (drop ? begin : at);
		nl = memchr(from, '\n', complete - (size_t)(from - base));
		stop = nl ? (size_t)(nl - base) : complete;
		q = QUOTE_BROKEN;
		if (!drop)
			q = t->format == TABLE_JSON_LINES ? QUOTE_OUT
							  : quote_scan(t->quote, from, base + stop);
		if (q == QUOTE_BROKEN && !drop && at > begin) {
			drop = true;
			continue;
		}
		drop = false;
		at = nl ? stop + 1 : stop;
		t->quote = q == QUOTE_IN ? QUOTE_IN : QUOTE_OUT;
		if (q == QUOTE_IN)
			continue;
		if (q == QUOTE_BROKEN)
			r = bad_line(t, TABLE_BAD_QUOTES, base + begin, stop - begin);
		else
			r = record(t, base + begin, stop - begin, true);
		for (; begin < at; begin++)
			t->counts.lines += base[begin] == '\n';
	}
	buf_consume(&t->pending, begin);
	t->scanned = at - begin;
	return r;
}

/* A line, or a part of one. */
static int pending_add(struct table *t, const char *p, size_t n, bool whole)
{
	int r;

	while (t->pending.len + n - whole > TABLE_LINE_BYTES) {
		size_t room = TABLE_LINE_BYTES - t->pending.len;

		if (t->scanned) {
			r = pending_scan(t, t->scanned, true, false);
			if (r < 0)
				return r;
			continue;
		}
		r = buf_add(
			&t->pending, p, room < EXCERPT_SOURCE_BYTES ? room : EXCERPT_SOURCE_BYTES);
		if (r == 0)
			r = bad_line(t, TABLE_BAD_LINE_LONG, t->pending.data, t->pending.len);
		buf_clear(&t->pending);
		t->skipping = !whole;
		t->counts.lines += whole;
		return r;
	}
	r = buf_add(&t->pending, p, n);
	if (r < 0)
		return err_set(t->err, r, "no memory for a line");
	return whole ? pending_scan(t, t->pending.len, false, false) : 0;
}

static int lines_feed(struct table *t, const char *p, size_t n)
{
	int r = 0;

	while (n && r == 0) {
		const char *nl = memchr(p, '\n', n);
		size_t size = nl ? (size_t)(nl - p) + 1 : n;

		if (t->skipping) {
			t->skipping = !nl;
			t->counts.lines += nl != NULL;
		} else if (nl && !t->pending.len && size <= TABLE_LINE_BYTES + 1 &&
			(t->format == TABLE_JSON_LINES || !memchr(p, '"', size))) {
			r = record(t, p, size - 1, false);
			t->counts.lines++;
		} else {
			r = pending_add(t, p, size, nl != NULL);
		}
		p += size;
		n -= size;
	}
	return r;
}

/* ---- Prometheus ---- */

static const char *const *labels_of(const struct table *t, enum table_label which)
{
	static const char *const *const defaults[TABLE_LABELS] = {
		[TABLE_LABEL_HOST] = host_labels,
		[TABLE_LABEL_COMPONENT] = component_labels,
		[TABLE_LABEL_PROCESS] = process_labels,
		[TABLE_LABEL_VERSION] = version_labels,
	};

	return t->opts.labels[which] ? t->opts.labels[which] : defaults[which];
}

static enum place prom_place(const struct table *t, enum place in, bool object)
{
	static const struct {
		enum place in;
		enum key key;
		bool object;
		enum place is;
	} places[] = {
		{PLACE_NONE, KEY_OTHER, true, PLACE_TOP},
		{PLACE_TOP, KEY_DATA, true, PLACE_DATA},
		{PLACE_DATA, KEY_RESULT, false, PLACE_RESULT},
		{PLACE_RESULT, KEY_OTHER, true, PLACE_SERIES},
		{PLACE_SERIES, KEY_METRIC, true, PLACE_METRIC},
		{PLACE_SERIES, KEY_VALUES, false, PLACE_VALUES},
		{PLACE_VALUES, KEY_OTHER, false, PLACE_SAMPLE},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (places[i].in == in && places[i].key == t->prom.key &&
			places[i].object == object)
			return places[i].is;
	return PLACE_OTHER;
}

static int prom_open(struct table *t, bool object)
{
	struct prometheus *m = &t->prom;
	enum place in = m->places[t->json.depth - 1];
	enum place is = prom_place(t, in, object);

	m->places[t->json.depth] = is;
	m->key = KEY_OTHER;
	switch (is) {
	case PLACE_RESULT:
		m->result = true;
		break;
	case PLACE_SERIES:
		t->counts.series++;
		m->metric = false;
		break;
	case PLACE_METRIC:
		for (unsigned i = 0; i < TABLE_LABELS; i++)
			m->labels[i].name = NULL;
		break;
	case PLACE_VALUES:
		if (!m->metric)
			return err_set(t->err, -EBADMSG,
				"series %" PRIu64 " has its values before its metric",
				t->counts.series);
		break;
	case PLACE_SAMPLE:
		m->n_sample = 0;
		t->fault.kind = TABLE_BAD_NONE;
		break;
	case PLACE_OTHER:
		if (in == PLACE_NONE)
			return err_set(
				t->err, -EBADMSG, "no answer of Prometheus: not a JSON object");
		if (in == PLACE_SAMPLE)
			fault_set(&t->fault, TABLE_BAD_TYPE, "values", object ? "{" : "[", 1);
		m->n_sample += in == PLACE_SAMPLE;
		break;
	default:
		break;
	}
	return 0;
}

static int prom_metric(struct table *t)
{
	struct prometheus *m = &t->prom;

	m->metric = true;
	t->series_fault.kind = TABLE_BAD_NONE;
	for (unsigned i = 0; i < TABLE_LABELS; i++) {
		struct label *l = &m->labels[i];
		int kind;

		m->ids[i] = i == TABLE_LABEL_HOST || i == TABLE_LABEL_COMPONENT
			? TABLE_STRING_DASH
			: TABLE_STRING_EMPTY;
		if (!l->name)
			continue;
		kind = intern(t, l->text, l->n, &m->ids[i]);
		if (kind < 0)
			return err_set(t->err, kind, "no memory for another name");
		if (kind)
			fault_set(&t->series_fault, kind, l->name, l->text, l->n);
	}
	return 0;
}

static int prom_sample(struct table *t)
{
	const struct fault *f = t->series_fault.kind ? &t->series_fault : &t->fault;
	const struct prometheus *m = &t->prom;

	if (m->n_sample != 2)
		fault_set(&t->fault, TABLE_BAD_TYPE, "values", NULL, 0);
	if (f->kind)
		return bad_row(t, f->kind, f->column, f->value, f->n);
	t->row.host = m->ids[TABLE_LABEL_HOST];
	t->row.component = m->ids[TABLE_LABEL_COMPONENT];
	t->row.process = m->ids[TABLE_LABEL_PROCESS];
	t->row.version = m->ids[TABLE_LABEL_VERSION];
	return row_emit(t, &t->row);
}

static int prom_close(struct table *t)
{
	struct prometheus *m = &t->prom;

	m->key = KEY_OTHER;
	switch (m->places[t->json.depth + 1]) {
	case PLACE_METRIC:
		return prom_metric(t);
	case PLACE_SAMPLE:
		return prom_sample(t);
	case PLACE_TOP:
		if (m->failed)
			return err_set(t->err, -EREMOTEIO,
				"this is Prometheus' answer that the query failed: %s%s%s",
				m->error_type, m->error_type[0] && m->error[0] ? ": " : "",
				m->error);
		if (!m->result)
			return err_set(t->err, -EBADMSG,
				"no answer of Prometheus to a range query: no array data.result");
		return 0;
	default:
		return 0;
	}
}

static void prom_key(struct table *t, const char *p, size_t n)
{
	static const struct {
		enum place in;
		const char *name;
		enum key key;
	} keys[] = {
		{PLACE_TOP, "status", KEY_STATUS},
		{PLACE_TOP, "data", KEY_DATA},
		{PLACE_TOP, "error", KEY_ERROR},
		{PLACE_TOP, "errorType", KEY_ERROR_TYPE},
		{PLACE_DATA, "result", KEY_RESULT},
		{PLACE_DATA, "resultType", KEY_RESULT_TYPE},
		{PLACE_SERIES, "metric", KEY_METRIC},
		{PLACE_SERIES, "values", KEY_VALUES},
	};
	enum place in = t->prom.places[t->json.depth];

	t->prom.key = KEY_OTHER;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].in == in && span_is(p, n, keys[i].name))
			t->prom.key = keys[i].key;
	for (unsigned i = 0; i < TABLE_LABELS && in == PLACE_METRIC; i++) {
		const char *const *list = labels_of(t, i);
		size_t rank = 0;

		while (list[rank] && !span_is(p, n, list[rank]))
			rank++;
		t->prom.labels[i].next_rank = list[rank] ? rank : SIZE_MAX;
	}
}

static void prom_label(struct table *t, const char *p, size_t n)
{
	trim(&p, &n);
	for (unsigned i = 0; i < TABLE_LABELS && n; i++) {
		struct label *l = &t->prom.labels[i];

		if (l->next_rank == SIZE_MAX || (l->name && l->rank <= l->next_rank))
			continue;
		l->name = labels_of(t, i)[l->next_rank];
		l->rank = l->next_rank;
		l->n = n < sizeof(l->text) ? n : sizeof(l->text);
		memcpy(l->text, p, l->n);
	}
}

static int prom_top(struct table *t, const char *p, size_t n)
{
	struct prometheus *m = &t->prom;
	char type[TABLE_EXCERPT_BYTES];

	switch (m->key) {
	case KEY_STATUS:
		m->failed = span_is(p, n, "error");
		return 0;
	case KEY_ERROR:
		excerpt(m->error, sizeof(m->error), p, n);
		return 0;
	case KEY_ERROR_TYPE:
		excerpt(m->error_type, sizeof(m->error_type), p, n);
		return 0;
	case KEY_RESULT_TYPE:
		if (span_is(p, n, "matrix"))
			return 0;
		excerpt(type, sizeof(type), p, n);
		return err_set(t->err, -EBADMSG,
			"Prometheus answered with a %s, not with a matrix; ask for a range (query_range)",
			type);
	default:
		return 0;
	}
}

static int prom_scalar(struct table *t, enum json_event event, const char *p, size_t n)
{
	struct prometheus *m = &t->prom;
	enum place in = m->places[t->json.depth];
	int kind = 0;

	switch (in) {
	case PLACE_NONE:
		return err_set(t->err, -EBADMSG, "no answer of Prometheus: not a JSON object");
	case PLACE_TOP:
	case PLACE_DATA:
		return event == EVENT_STRING ? prom_top(t, p, n) : 0;
	case PLACE_METRIC:
		if (event == EVENT_STRING)
			prom_label(t, p, n);
		return 0;
	case PLACE_SAMPLE:
		if (event == EVENT_WORD)
			kind = TABLE_BAD_TYPE;
		else if (m->n_sample == 0)
			kind = parse_time(p, n, &t->row.unix_ns);
		else if (m->n_sample == 1)
			kind = parse_bytes(p, n, &t->row.bytes);
		if (kind)
			fault_set(&t->fault, kind, m->n_sample ? "bytes" : "time", p, n);
		m->n_sample++;
		return 0;
	case PLACE_VALUES:
		return bad_row(t, TABLE_BAD_TYPE, "values", p, n);
	default:
		return 0;
	}
}

static int prom_event(struct table *t, enum json_event event, const char *p, size_t n)
{
	switch (event) {
	case EVENT_OBJECT:
	case EVENT_ARRAY:
		return prom_open(t, event == EVENT_OBJECT);
	case EVENT_OBJECT_END:
	case EVENT_ARRAY_END:
		return prom_close(t);
	case EVENT_KEY:
		prom_key(t, p, n);
		return 0;
	default:
		return prom_scalar(t, event, p, n);
	}
}

static int prom_feed(struct table *t, const char *p, size_t n, bool end)
{
	struct json_reader reader = {t, &t->json, prom_event, NULL};
	int r = end ? json_end(&reader) : json_feed(&reader, p, n);

	t->counts.lines += t->json.lines;
	t->json.lines = 0;
	if (reader.why)
		return err_set(t->err, -EBADMSG,
			"no answer of Prometheus: not JSON after %" PRIu64
			" bytes, in line %" PRIu64 ": %s",
			t->json.bytes, t->counts.lines + 1, reader.why);
	return r;
}

/* ---- the start ---- */

/* TABLE_AUTO: more bytes are needed. */
static enum table_format detect(const struct table *t, bool end)
{
	static const char *const tops[] = {
		"status", "data", "error", "errorType", "isPartial", "warnings", "infos", "stats"};
	const char *p = t->pending.data, *stop = p + t->pending.len, *quote;

	if (t->opts.format != TABLE_AUTO)
		return t->opts.format;
	if (*p != '{')
		return t->opts.values ? TABLE_WIDE : TABLE_CSV;
	end |= t->pending.len == START_BYTES;
	for (p++; p < stop && is_blank(*p); p++)
		;
	if (p == stop)
		return end ? TABLE_JSON_LINES : TABLE_AUTO;
	if (*p++ != '"')
		return TABLE_JSON_LINES;
	quote = memchr(p, '"', (size_t)(stop - p));
	if (!quote)
		return end ? TABLE_JSON_LINES : TABLE_AUTO;
	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++)
		if (span_is(p, (size_t)(quote - p), tops[i]))
			return TABLE_PROMETHEUS;
	return TABLE_JSON_LINES;
}

static int route(struct table *t, const char *p, size_t n)
{
	return t->format == TABLE_PROMETHEUS ? prom_feed(t, p, n, false) : lines_feed(t, p, n);
}

static int start_end(struct table *t, bool end)
{
	char head[START_BYTES];
	size_t n = t->pending.len;

	t->format = detect(t, end);
	if (t->format == TABLE_AUTO)
		return 0;
	if (t->opts.format == TABLE_AUTO && t->pending.data[0] == '[')
		return err_set(t->err, -EBADMSG,
			"an array of JSON: neither CSV, nor JSON Lines (one object a line), nor an "
			"answer of Prometheus");
	memcpy(head, t->pending.data, n);
	buf_clear(&t->pending);
	return route(t, head, n);
}

/* Byte by byte until the format is known: no byte order mark, no blanks, then what detect() needs.
 */
static int start_feed(struct table *t, const char *p, size_t n, size_t *ret_used)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t i = 0;
	int r = 0;

	while (i < n && r == 0 && t->format == TABLE_AUTO) {
		char c = p[i++];

		if (!t->pending.len && is_blank(c)) {
			t->counts.lines += c == '\n';
			t->json.bytes++;
			t->at_start = false;
			continue;
		}
		r = buf_add(&t->pending, &c, 1);
		if (r < 0)
			return err_set(t->err, r, "no memory for the first line");
		if (t->at_start && memcmp(t->pending.data, mark, t->pending.len) == 0) {
			if (t->pending.len < 3)
				continue;
			buf_clear(&t->pending);
			t->json.bytes += 3;
			t->at_start = false;
			continue;
		}
		t->at_start = false;
		r = start_end(t, false);
	}
	*ret_used = i;
	return r;
}

/* ---- the table ---- */

static int strings_init(struct table *t)
{
	uint32_t id;
	int r = intern(t, "", 0, &id);

	return r == 0 ? intern(t, "-", 1, &id) : r;
}

int table_new(const struct table_opts *opts, struct table **ret, struct err *err)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(err, -ENOMEM, "no memory to read a table");
	t->opts = *opts;
	t->at_start = true;
	t->pending = BUF_INIT(TABLE_LINE_BYTES + 1);
	t->arena = ARENA_INIT(TABLE_STRINGS_BYTES);
	t->index = MAP_INIT(TABLE_STRINGS);
	json_start(&t->json);
	row_init(&t->row);
	if (strings_init(t) < 0) {
		table_free(t);
		return err_set(err, -ENOMEM, "no memory to read a table");
	}
	*ret = t;
	return 0;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	buf_done(&t->pending);
	arena_done(&t->arena);
	map_done(&t->index);
	free(t->strings);
	free(t->columns);
	free(t->fields);
	free(t);
}

static int table_finish(struct table *t)
{
	int r = 0;

	if (t->format == TABLE_AUTO && t->pending.len)
		r = start_end(t, true);
	if (r < 0 || t->format == TABLE_AUTO)
		return r;
	if (t->format == TABLE_PROMETHEUS)
		return prom_feed(t, NULL, 0, true);
	return t->pending.len ? pending_scan(t, t->pending.len, false, true) : 0;
}

int table_feed(struct table *t, const void *data, size_t n, struct err *err)
{
	const char *p = data;
	size_t used = 0;
	int r = 0;

	if (t->failed)
		return err_set(err, t->failed, "reading has failed before");
	t->err = err;
	t->counts.bytes += n;
	if (t->format == TABLE_AUTO)
		r = start_feed(t, p, n, &used);
	if (r == 0 && used < n)
		r = route(t, p + used, n - used);
	t->err = NULL;
	t->failed = r < 0 ? r : 0;
	return t->failed;
}

int table_end(struct table *t, struct err *err)
{
	int r;

	if (t->failed)
		return err_set(err, t->failed, "reading has failed before");
	t->err = err;
	r = table_finish(t);
	t->err = NULL;
	t->failed = r < 0 ? r : 0;
	if (r < 0)
		return r;
	return t->counts.rows + t->counts.skipped ? 0 : TABLE_EMPTY;
}

enum table_format table_format(const struct table *t)
{
	return t->format;
}

const struct table_counts *table_counts(const struct table *t)
{
	return &t->counts;
}

const char *table_string(const struct table *t, uint32_t id)
{
	return id < t->n_strings ? t->strings[id].s : NULL;
}

uint32_t table_strings(const struct table *t)
{
	return (uint32_t)t->n_strings;
}

const struct table_bad *table_bad(const struct table *t, size_t i)
{
	return i < t->n_bad ? &t->bad[i] : NULL;
}

const char *table_unknown(const struct table *t, size_t i)
{
	return i < t->counts.unknown ? t->unknown[i] : NULL;
}

const char *table_bad_name(enum table_bad_kind kind)
{
	return kinds[kind < TABLE_BAD_MAX_ ? kind : TABLE_BAD_NONE].name;
}

const char *table_format_name(enum table_format format)
{
	static const char *const names[TABLE_FORMAT_MAX_] = {
		"auto", "csv", "wide", "json-lines", "prometheus"};

	return names[format < TABLE_FORMAT_MAX_ ? format : TABLE_AUTO];
}

const char *table_bad_text(const struct table_bad *b, char out[static TABLE_BAD_TEXT_MAX])
{
	char column[TABLE_EXCERPT_BYTES] = "it", series[32] = "";

	if (b->column)
		excerpt(column, sizeof(column), b->column, strlen(b->column));
	if (b->series)
		snprintf(series, sizeof(series), ", series %" PRIu64, b->series);
	snprintf(out, TABLE_BAD_TEXT_MAX, "line %" PRIu64 "%s: %s %s%s%s%s", b->line, series,
		column, kinds[b->kind].text, b->excerpt[0] ? " (" : "", b->excerpt,
		b->excerpt[0] ? ")" : "");
	return out;
}
