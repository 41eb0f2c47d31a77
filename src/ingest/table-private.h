/*
 * What the files of table.h share: table.c (life, lines, names, rows), table-number.c, table-csv.c,
 * table-json.c and table-prometheus.c. Nobody else includes it.
 *
 * Functions return 0, or <0 with the caller's err filled, unless they say that they return a kind
 * of bad row (>0), for their caller to count. Those fill no err, even with -ENOMEM. The table owns
 * all; spans point into the caller's chunk or into `pending`. Ceilings and threads as in table.h.
 */
#ifndef RESIN_INGEST_TABLE_PRIVATE_H
#define RESIN_INGEST_TABLE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "ingest/table.h"

/* Above that, a JSON document is none of ours; Prometheus' has 5. */
#define JSON_DEPTH 64u

/* More than a name and more than a number may have, so that a cut token is never taken for good. */
#define JSON_TOKEN_BYTES 2048u

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

typedef int json_event_fn(struct table *t, enum json_event event, const char *p, size_t n);

struct json_reader {
	struct table *t;
	struct json_in *j;
	json_event_fn *event;
	const char *why; /* set where it returns -EBADMSG for the text itself */
};

/* ---- text ---- */

static inline bool table_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool table_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool table_is_space(char c)
{
	return c == ' ' || c == '\t';
}

static inline void table_trim(const char **p, size_t *n)
{
	while (*n && table_is_space((*p)[*n - 1]))
		--*n;
	while (*n && table_is_space(**p)) {
		++*p;
		--*n;
	}
}

static inline bool table_span_is(const char *p, size_t n, const char *s)
{
	return strlen(s) == n && memcmp(p, s, n) == 0;
}

/* ---- table.c: names and rows ---- */

/* What a terminal may show of foreign bytes: '?' for each that is not printable. */
void table_excerpt(char *out, size_t size, const char *p, size_t n);

/* The id of a name: 0, a kind of bad row, or -ENOMEM. */
must_check int table_intern(struct table *t, const char *p, size_t n, uint32_t *ret);

void table_row_init(struct table_row *row);
must_check int table_row_emit(struct table *t, const struct table_row *row);

/* 0, a kind of bad row, or -ENOMEM. */
must_check int table_row_set(
	struct table *t, struct table_row *row, enum field field, const char *p, size_t n);

/* Counts a row that is skipped, and keeps the first ones. Always 0, for the caller to return. */
int table_row_bad(
	struct table *t, enum table_bad_kind kind, const char *column, const char *p, size_t n);

/* Only the first fault of a row stays; that of the row before is cleared by the caller. */
void table_fault_set(
	struct fault *f, enum table_bad_kind kind, const char *column, const char *value, size_t n);

const char *table_field_name(enum field field);
enum field table_field_find(const char *p, size_t n);
void table_unknown_add(struct table *t, const char *p, size_t n);

/* "is negative", to go behind the name of a column. */
const char *table_bad_sentence(enum table_bad_kind kind);

/* ---- table-number.c: 0 or a kind of bad row ---- */

must_check int table_parse_bytes(const char *p, size_t n, uint64_t *ret);
must_check int table_parse_float(const char *p, size_t n, float *ret);
must_check int table_parse_time(const char *p, size_t n, uint64_t *ret_ns);
bool table_is_number(const char *p, size_t n); /* NaN and Infinity are, too */

/* ---- table-csv.c ---- */

/* How a line that began inside or outside of quotes ends. */
enum quote table_quote_scan(enum quote q, const char *p, const char *end);

/* The header or a row, without its end of line; `quoted` where quotes may be in it. */
must_check int table_csv_record(struct table *t, const char *p, size_t n, bool quoted);

/* ---- table-json.c ---- */

void table_json_start(struct json_in *j);

/* 0; -EBADMSG with `why` for what is no JSON; or what `event` returned. */
must_check int table_json_feed(struct json_reader *r, const char *p, size_t n);
must_check int table_json_end(struct json_reader *r);

/* A line of JSON Lines, without its end. */
must_check int table_json_line(struct table *t, const char *p, size_t n);

/* ---- table-prometheus.c ---- */

/* With `end` there are no more bytes. */
must_check int table_prometheus_feed(struct table *t, const char *p, size_t n, bool end);

#endif
