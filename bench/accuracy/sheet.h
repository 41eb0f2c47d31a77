/*
 * A table of short texts, printed as Markdown whose columns line up, so that the same bytes serve
 * a terminal and the documentation.
 *
 * Plain ASCII in cells. What does not fit (SHEET_ROWS, SHEET_COLUMNS, SHEET_CELL) is a programmer's
 * error and asserted. Caller's storage, nothing to free.
 */
#ifndef BENCH_ACCURACY_SHEET_H
#define BENCH_ACCURACY_SHEET_H

#include <stddef.h>
#include <stdio.h>

#define SHEET_ROWS 48u
#define SHEET_COLUMNS 16u
#define SHEET_CELL 48u

struct sheet {
	size_t rows, columns, at; /* at: cells of the row that is being filled */
	char cell[SHEET_ROWS][SHEET_COLUMNS][SHEET_CELL];
};

/* `head` names the columns, "|" between them; the first is aligned left. */
void sheet_init(struct sheet *s, const char *head);
void sheet_add(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number, or "-" where there is none, "inf" where it is infinite. */
void sheet_number(struct sheet *s, double v, int decimals);
void sheet_print(const struct sheet *s, FILE *f);

#endif
