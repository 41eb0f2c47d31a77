/* Files of other programs. The first byte has the format and the size of the pieces. */
#include "ingest/table.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rows {
	struct table *t;
	uint64_t n, hash;
};

static int on_row(void *arg, const struct table_row *row, struct err *err)
{
	const uint32_t ids[] = {row->host, row->component, row->process, row->version};
	struct rows *rows = arg;

	(void)err;
	if (row->bytes > UINT64_C(1) << 63 || row->limit_bytes > UINT64_C(1) << 63 ||
		row->unix_ns > TABLE_TIME_MAX_NS)
		abort();
	for (size_t i = 0; i < 4; i++) {
		const char *s = table_string(rows->t, ids[i]);

		if (!s || strlen(s) > TABLE_NAME_BYTES)
			abort();
		for (; *s; s++)
			if ((unsigned char)*s < 0x20 || *s == 0x7f)
				abort();
		rows->hash = hash_u64(ids[i], rows->hash);
	}
	for (size_t i = 0; i < TABLE_LOADS; i++)
		if (!isnan(row->load[i]) && !(row->load[i] >= 0 && isfinite(row->load[i])))
			abort();
	rows->hash = hash_u64(row->unix_ns, hash_u64(row->bytes, rows->hash));
	rows->n++;
	return 0;
}

static int read_pieces(struct rows *rows, unsigned format, const uint8_t *data, size_t size,
	size_t piece, struct err *err)
{
	static const char *const values[] = {"a*", "?", NULL};
	struct table_opts o = {.format = format % TABLE_FORMAT_MAX_,
		.values = format >= TABLE_FORMAT_MAX_ ? values : NULL,
		.row = on_row,
		.arg = rows};
	int r = table_new(&o, &rows->t, err);

	for (size_t i = 0; i < size && r == 0; i += piece) {
		/* A block of its own, so that a read past its end is seen. */
		size_t n = size - i < piece ? size - i : piece;
		char *copy = malloc(n);

		if (!copy)
			abort();
		memcpy(copy, data + i, n);
		r = table_feed(rows->t, copy, n, err);
		free(copy);
	}
	return r < 0 ? r : table_end(rows->t, err);
}

/* One reading in pieces, one as a whole: they must be the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rows a = {0}, b = {0};
	struct err err_a = ERR_INIT, err_b = ERR_INIT;
	char text[TABLE_BAD_TEXT_MAX];
	int r, s;

	if (!size)
		return 0;
	r = read_pieces(&a, data[0] & 7, data + 1, size - 1, size, &err_a);
	s = read_pieces(&b, data[0] & 7, data + 1, size - 1, (size_t)(data[0] >> 3) + 1, &err_b);
	if (r != s || a.n != b.n || a.hash != b.hash || strcmp(err_a.msg, err_b.msg) != 0)
		abort();
	if (a.n != table_counts(a.t)->rows || table_strings(a.t) != table_strings(b.t))
		abort();
	for (size_t i = 0; table_bad(a.t, i) || table_bad(b.t, i); i++) {
		const struct table_bad *x = table_bad(a.t, i), *y = table_bad(b.t, i);

		if (!x || !y || x->kind != y->kind || x->line != y->line ||
			strcmp(x->excerpt, y->excerpt) != 0 ||
			strlen(table_bad_text(x, text)) >= sizeof(text))
			abort();
	}
	for (size_t i = 0; table_unknown(a.t, i) || table_unknown(b.t, i); i++)
		if (!table_unknown(a.t, i) || !table_unknown(b.t, i) ||
			strcmp(table_unknown(a.t, i), table_unknown(b.t, i)) != 0)
			abort();
	table_free(a.t);
	table_free(b.t);
	return 0;
}
