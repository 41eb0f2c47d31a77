/* CSV (RFC 4180), with a row or with one series a column. */
#include "ingest/table-private.h"

#include <errno.h>
#include <string.h>

static const char *const any_column[] = {"*", NULL};

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

/* What is not by the book is broken at once, rather than taken as it may have been meant: one quote
 * too many shall cost its own line. */
enum quote table_quote_scan(enum quote q, const char *p, const char *end)
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
			while (p < end && table_is_blank(*p))
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

/* The same where table_quote_scan() has found quotes, all in place. */
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
	table_trim(&s->p, &s->n);
}

/* "time, host, ..." */
static const char *csv_names(const struct table *t, char *out, size_t size)
{
	size_t len = 0;

	out[0] = 0;
	for (size_t i = 0; i < t->n_fields; i++) {
		char name[TABLE_EXCERPT_BYTES];

		table_excerpt(name, sizeof(name), t->fields[i].p, t->fields[i].n);
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
		enum field f = table_field_find(s->p, s->n);

		if (f == FIELD_OTHER)
			table_unknown_add(t, s->p, s->n);
		else if (at[f])
			return err_set(t->err, -EBADMSG, "the header has column '%s' twice",
				table_field_name(f));
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
	return s->n && !table_span_is(s->p, s->n, wide_time(t)) &&
		glob_matches(pattern, s->p, s->n);
}

static int wide_series_add(struct table *t, size_t index)
{
	const struct span *s = &t->fields[index];
	char name[TABLE_EXCERPT_BYTES];
	size_t before = t->n_strings;
	uint32_t id;
	int r;

	table_excerpt(name, sizeof(name), s->p, s->n);
	r = table_intern(t, s->p, s->n, &id);
	if (r < 0)
		return err_set(t->err, r, "no memory for the columns of the header");
	if (r > 0)
		return err_set(t->err, -EBADMSG, "the header's column %zu (%s) %s", index + 1, name,
			table_bad_sentence(r));
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

		if (!table_span_is(s->p, s->n, wide_time(t)))
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
			table_unknown_add(t, s->p, s->n);
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

	table_row_init(&row);
	csv_value(s);
	r = table_parse_time(s->p, s->n, &row.unix_ns);
	if (r)
		return table_row_bad(t, r, wide_time(t), s->p, s->n);
	for (size_t i = 1; i < t->n_columns; i++) {
		const struct column *c = &t->columns[i];

		s = &t->fields[c->index];
		csv_value(s);
		if (!s->n)
			continue; /* a gap */
		row.component = c->component;
		r = table_parse_bytes(s->p, s->n, &row.bytes);
		r = r ? table_row_bad(t, r, t->strings[c->component].s, s->p, s->n)
		      : table_row_emit(t, &row);
		if (r < 0)
			return r;
	}
	return 0;
}

static int csv_row(struct table *t, const char *p, size_t n, bool quoted)
{
	struct table_row row;

	if (csv_fields(t, p, n, quoted, t->n_fields) != t->n_fields)
		return table_row_bad(t, TABLE_BAD_COLUMNS, NULL, p, n);
	if (t->format == TABLE_WIDE)
		return wide_row(t);
	table_row_init(&row);
	for (size_t i = 0; i < t->n_columns; i++) {
		const struct column *c = &t->columns[i];
		struct span *s = &t->fields[c->index];
		int kind;

		csv_value(s);
		kind = table_row_set(t, &row, c->field, s->p, s->n);
		if (kind < 0)
			return err_set(t->err, kind, "no memory for another name");
		if (kind)
			return table_row_bad(t, kind, table_field_name(c->field), s->p, s->n);
	}
	return table_row_emit(t, &row);
}

int table_csv_record(struct table *t, const char *p, size_t n, bool quoted)
{
	return t->n_fields ? csv_row(t, p, n, quoted) : csv_header(t, p, n, quoted);
}
