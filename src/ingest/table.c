#include "ingest/table.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ingest/table-private.h"

/* Bytes that tell JSON Lines from Prometheus: up to the end of the first key. */
#define START_BYTES 256u

/* Names with the same hash: nobody has them by chance. */
#define SAME_HASH 16u

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

void table_excerpt(char *out, size_t size, const char *p, size_t n)
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

int table_intern(struct table *t, const char *p, size_t n, uint32_t *ret)
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

void table_row_init(struct table_row *row)
{
	*row = (struct table_row){.host = TABLE_STRING_DASH,
		.component = TABLE_STRING_DASH,
		.load = {NAN, NAN, NAN, NAN}};
}

int table_row_emit(struct table *t, const struct table_row *row)
{
	int r = t->opts.row(t->opts.arg, row, t->err);

	if (r < 0)
		return r;
	t->counts.rows++;
	return 0;
}

int table_row_bad(
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
	table_excerpt(b->excerpt, sizeof(b->excerpt), p, n);
	t->n_bad++;
	return 0;
}

void table_fault_set(
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
	r = table_intern(t, p, n, ret);
	if (r == 0)
		t->last[field] = *ret;
	return r;
}

int table_row_set(struct table *t, struct table_row *row, enum field field, const char *p, size_t n)
{
	int kind = 0;

	switch (field) {
	case FIELD_TIME:
		return table_parse_time(p, n, &row->unix_ns);
	case FIELD_BYTES:
		return table_parse_bytes(p, n, &row->bytes);
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
			kind = table_parse_bytes(p, n, &row->limit_bytes);
		break;
	default:
		row->load[field - FIELD_LOAD] = NAN;
		if (n)
			kind = table_parse_float(p, n, &row->load[field - FIELD_LOAD]);
		break;
	}
	/* "None" is a fair value of what need not be there. */
	return kind == TABLE_BAD_NAN ? 0 : kind;
}

const char *table_field_name(enum field field)
{
	return field_names[field];
}

enum field table_field_find(const char *p, size_t n)
{
	for (unsigned i = 0; i < FIELDS; i++)
		if (table_span_is(p, n, table_field_name(i)))
			return i;
	return FIELD_OTHER;
}

void table_unknown_add(struct table *t, const char *p, size_t n)
{
	char name[TABLE_EXCERPT_BYTES];

	if (t->counts.unknown == TABLE_UNKNOWN_KEPT)
		return;
	table_excerpt(name, sizeof(name), p, n);
	for (size_t i = 0; i < t->counts.unknown; i++)
		if (strcmp(t->unknown[i], name) == 0)
			return;
	memcpy(t->unknown[t->counts.unknown++], name, sizeof(name));
}

/* ---- lines ---- */

static int record(struct table *t, const char *p, size_t n, bool quoted)
{
	while (n && table_is_blank(p[n - 1]))
		n--;
	if (!n)
		return 0;
	if (t->format == TABLE_JSON_LINES)
		return table_json_line(t, p, n);
	return table_csv_record(t, p, n, quoted);
}

static int bad_line(struct table *t, enum table_bad_kind kind, const char *p, size_t n)
{
	if (t->format != TABLE_JSON_LINES && !t->n_fields)
		return err_set(t->err, -EBADMSG, "the header, line %" PRIu64 ", %s",
			t->counts.lines + 1, kinds[kind].text);
	return table_row_bad(t, kind, NULL, p, n);
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
			q = t->format == TABLE_JSON_LINES
				? QUOTE_OUT
				: table_quote_scan(t->quote, from, base + stop);
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
	for (p++; p < stop && table_is_blank(*p); p++)
		;
	if (p == stop)
		return end ? TABLE_JSON_LINES : TABLE_AUTO;
	if (*p++ != '"')
		return TABLE_JSON_LINES;
	quote = memchr(p, '"', (size_t)(stop - p));
	if (!quote)
		return end ? TABLE_JSON_LINES : TABLE_AUTO;
	for (size_t i = 0; i < sizeof(tops) / sizeof(*tops); i++)
		if (table_span_is(p, (size_t)(quote - p), tops[i]))
			return TABLE_PROMETHEUS;
	return TABLE_JSON_LINES;
}

static int route(struct table *t, const char *p, size_t n)
{
	return t->format == TABLE_PROMETHEUS ? table_prometheus_feed(t, p, n, false)
					     : lines_feed(t, p, n);
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

		if (!t->pending.len && table_is_blank(c)) {
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
	int r = table_intern(t, "", 0, &id);

	return r == 0 ? table_intern(t, "-", 1, &id) : r;
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
	table_json_start(&t->json);
	table_row_init(&t->row);
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
		return table_prometheus_feed(t, NULL, 0, true);
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

const char *table_bad_sentence(enum table_bad_kind kind)
{
	return kinds[kind].text;
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
		table_excerpt(column, sizeof(column), b->column, strlen(b->column));
	if (b->series)
		snprintf(series, sizeof(series), ", series %" PRIu64, b->series);
	snprintf(out, TABLE_BAD_TEXT_MAX, "line %" PRIu64 "%s: %s %s%s%s%s", b->line, series,
		column, kinds[b->kind].text, b->excerpt[0] ? " (" : "", b->excerpt,
		b->excerpt[0] ? ")" : "");
	return out;
}
