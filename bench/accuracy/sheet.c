#include "sheet.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

static char *next_cell(struct sheet *s)
{
	if (s->at == s->columns) {
		s->rows++;
		s->at = 0;
	}
	assert(s->rows < SHEET_ROWS);
	return s->cell[s->rows][s->at++];
}

void sheet_init(struct sheet *s, const char *head)
{
	memset(s, 0, sizeof(*s));
	for (;;) {
		size_t n = strcspn(head, "|");

		assert(s->columns < SHEET_COLUMNS && n < SHEET_CELL);
		memcpy(s->cell[0][s->columns++], head, n);
		if (!head[n])
			break;
		head += n + 1;
	}
	s->at = s->columns;
}

void sheet_add(struct sheet *s, const char *format, ...)
{
	char *to = next_cell(s);
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(to, SHEET_CELL, format, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < SHEET_CELL);
	(void)n;
}

void sheet_number(struct sheet *s, double v, int decimals)
{
	if (isnan(v))
		sheet_add(s, "-");
	else if (isinf(v))
		sheet_add(s, v > 0 ? "inf" : "-inf");
	else
		sheet_add(s, "%.*f", decimals, v);
}

void sheet_print(const struct sheet *s, FILE *f)
{
	size_t width[SHEET_COLUMNS] = {0};

	assert(s->at == s->columns);
	for (size_t r = 0; r <= s->rows; r++) {
		for (size_t c = 0; c < s->columns; c++) {
			size_t n = strlen(s->cell[r][c]);

			width[c] = n > width[c] ? n : width[c];
		}
	}
	for (size_t r = 0; r <= s->rows; r++) {
		for (size_t c = 0; c < s->columns; c++)
			fprintf(f, c ? "| %*s " : "| %-*s ", (int)width[c], s->cell[r][c]);
		fputs("|\n", f);
		for (size_t c = 0; !r && c < s->columns; c++) {
			fputs(c ? "|" : "|-", f);
			for (size_t i = 0; i < width[c]; i++)
				fputc('-', f);
			fputs(c ? "-:" : "-", f);
		}
		if (!r)
			fputs("|\n", f);
	}
	fputc('\n', f);
}
