/*
 * Foreign time series: bytes of a file that somebody else wrote in, rows out.
 *
 * CSV, wide CSV (one series a column), JSON Lines and the JSON of a Prometheus range query; the
 * columns and labels are in docs/formats/detect-input.md. The caller feeds chunks of any size, and
 * the result does not depend on where they were cut. Rows come in the order of the input, which may
 * be any: nothing is sorted, joined or thrown away for being there twice. A row that makes no sense
 * is counted by its kind and skipped; an input that makes none is an error. Opens nothing, logs
 * nothing, does not depend on the locale.
 *
 * The input may be of any length, none of it is kept but the names and one line; at the most about
 * 200 MB, with every ceiling below hit. The table owns all that it returns. One thread.
 */
#ifndef RESIN_INGEST_TABLE_H
#define RESIN_INGEST_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A line, or a record of CSV with line ends in its quotes. 10,000 columns of 20 digits are 200 KB.
 */
#define TABLE_LINE_BYTES (1u << 20)

/* Columns of a header: a wide file of a large fleet. */
#define TABLE_COLUMNS 16384u

/* A name (host, component, process, version). Those of images, with their digest, are below 400. */
#define TABLE_NAME_BYTES 1024u

/* Distinct names and their bytes: the pods that a fleet had in a month. */
#define TABLE_STRINGS (1u << 20)
#define TABLE_STRINGS_BYTES (96u << 20)

/* Characters of a number: a double never needs as many. */
#define TABLE_NUMBER_BYTES 128u

/* Bad rows that are kept, columns or keys without a meaning that are named, and what is shown of a
 * value or of a line. */
#define TABLE_BAD_KEPT 20u
#define TABLE_UNKNOWN_KEPT 20u
#define TABLE_EXCERPT_BYTES 64u

/* Times from 1970-01-01 to 2100-01-01, both included. */
#define TABLE_TIME_MAX_NS UINT64_C(4102444800000000000)

enum table_format {
	TABLE_AUTO, /* from the first bytes; wide only where `values` are given */
	TABLE_CSV,
	TABLE_WIDE,
	TABLE_JSON_LINES,
	TABLE_PROMETHEUS,
	TABLE_FORMAT_MAX_
};

enum table_load {
	TABLE_CPU_SECONDS,
	TABLE_THREADS,
	TABLE_DESCRIPTORS,
	TABLE_REQUESTS,
	TABLE_LOADS
};

/* What a Prometheus label may tell. */
enum table_label {
	TABLE_LABEL_HOST,
	TABLE_LABEL_COMPONENT,
	TABLE_LABEL_PROCESS,
	TABLE_LABEL_VERSION,
	TABLE_LABELS
};

/* The labels that tell it: the first one that is there and not empty. */
#define TABLE_HOST_LABELS "instance", "node", "host", "hostname", "nodename"
#define TABLE_COMPONENT_LABELS                                                                 \
	"groupname", "container_label_com_docker_swarm_service_name", "container", "workload", \
		"deployment", "job", "service", "name", "__name__"
#define TABLE_PROCESS_LABELS "pod", "pid", "container_id", "id"
#define TABLE_VERSION_LABELS "version", "image"

/* Ids of strings that are always there. */
#define TABLE_STRING_EMPTY 0u /* no process, no version */
#define TABLE_STRING_DASH 1u  /* no host, no component: "-" */

struct table_row {
	uint64_t unix_ns;
	uint32_t host, component, process, version; /* for table_string() */
	uint64_t bytes;				    /* at most 2^63 */
	uint64_t limit_bytes;			    /* 0: unknown */
	float load[TABLE_LOADS];		    /* as in the input; NAN: unknown */
};

enum table_bad_kind {
	TABLE_BAD_NONE,
	TABLE_BAD_COLUMNS, /* more or fewer than the header has */
	TABLE_BAD_QUOTES,  /* a quote inside of a field, or none at its end */
	TABLE_BAD_JSON,	   /* a line that is no JSON object */
	TABLE_BAD_TYPE,	   /* a value that is neither number nor string; a sample that is no pair */
	TABLE_BAD_LINE_LONG,  /* longer than TABLE_LINE_BYTES */
	TABLE_BAD_MISSING,    /* no time, no bytes */
	TABLE_BAD_TIME,	      /* neither seconds nor RFC 3339 */
	TABLE_BAD_TIME_RANGE, /* before 1970 or after 2100 */
	TABLE_BAD_NAN,	      /* NaN or Inf: Prometheus marks with it that a series ends */
	TABLE_BAD_NUMBER,     /* no number at all */
	TABLE_BAD_NEGATIVE,
	TABLE_BAD_OVERFLOW,   /* above 2^63, or beyond a float */
	TABLE_BAD_NAME,	      /* not UTF-8, or control characters */
	TABLE_BAD_NAME_LONG,  /* longer than TABLE_NAME_BYTES */
	TABLE_BAD_NAMES_FULL, /* TABLE_STRINGS or TABLE_STRINGS_BYTES are used up */
	TABLE_BAD_MAX_
};

struct table_bad {
	enum table_bad_kind kind;
	uint64_t line;			   /* from 1; where the record begins */
	uint64_t series;		   /* from 1; 0 outside of Prometheus */
	const char *column;		   /* the column, key or label; NULL: the line as a whole */
	char excerpt[TABLE_EXCERPT_BYTES]; /* of the value or the line, printable UTF-8 */
};

struct table_counts {
	uint64_t bytes, lines; /* that were fed, and the ends of line in them */
	uint64_t series;       /* of Prometheus, or columns of a wide file */
	uint64_t rows;	       /* that were handed over */
	uint64_t skipped;      /* the sum of `bad` */
	uint64_t unknown; /* distinct columns or keys without a meaning, as far as they are kept */
	uint64_t bad[TABLE_BAD_MAX_];
};

/* All are the caller's, and are needed until table_free(). Zero is a good default but for `row`. */
struct table_opts {
	enum table_format format;

	/* Wide: the name of the time's column (NULL: "time"), and the columns that are series: a
	 * list of names or globs (* and ?) that ends with NULL, or NULL for "*". */
	const char *time_column;
	const char *const *values;

	/* Prometheus: lists of labels that end with NULL; NULL: as above. */
	const char *const *labels[TABLE_LABELS];

	/* Gets every good row; <0 (err filled) ends the reading and is forwarded. The row is valid
	 * during the call. */
	int (*row)(void *arg, const struct table_row *row, struct err *err);
	void *arg;
};

/* Outcome of table_end(). */
#define TABLE_EMPTY 1 /* nothing but blanks, a header alone, or an answer without series */

struct table;

must_check int table_new(const struct table_opts *opts, struct table **ret, struct err *err);
void table_free(struct table *t);

/*
 * Returns 0, or <0: -EBADMSG (this is no such file: a header without time or bytes, not JSON, ...),
 * -EREMOTEIO (the file is Prometheus' answer that the query failed), -EMSGSIZE (a ceiling that
 * cannot be skipped: columns of the header), -ENOMEM, or what `row` returned. After an error every
 * later call returns it again.
 */
must_check int table_feed(struct table *t, const void *data, size_t n, struct err *err);

/* The input is complete. 0, TABLE_EMPTY, or <0 as above; an answer of Prometheus that ends in the
 * middle is an error, and its rows so far were handed over. */
must_check int table_end(struct table *t, struct err *err);

/* What it turned out to be; TABLE_AUTO while nobody knows. */
enum table_format table_format(const struct table *t);
const struct table_counts *table_counts(const struct table *t);

/* NULL where there is none. Ids are dense, from 0; strings stay where they are until table_free. */
const char *table_string(const struct table *t, uint32_t id);
uint32_t table_strings(const struct table *t);

/* The first ones, from 0 on; NULL past the last one that is kept. */
const struct table_bad *table_bad(const struct table *t, size_t i);
const char *table_unknown(const struct table *t, size_t i);

/* "negative", "not-a-number", ...: short names for counts and JSON. */
const char *table_bad_name(enum table_bad_kind kind);
const char *table_format_name(enum table_format format);

/* "line 17: bytes is negative (-3)". Writes into the caller's array and returns it. */
#define TABLE_BAD_TEXT_MAX 320
const char *table_bad_text(const struct table_bad *b, char out[static TABLE_BAD_TEXT_MAX]);

#endif
