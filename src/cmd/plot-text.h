/*
 * The words of plot.c's pictures: texts of others made valid and escaped, how wide they are, where
 * they are cut; and numbers as labels.
 *
 * Never lets a byte out that XML forbids, whatever came in. Widths are estimates on the wide side,
 * in pixels, as nobody knows the reader's font. Ceiling of a text: PLOT_TEXT_BYTES. Pure, and no
 * heap but that of the caller's buffer.
 */
#ifndef RESIN_CMD_PLOT_TEXT_H
#define RESIN_CMD_PLOT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/units.h"
#include "cmd/plot.h"

#define PLOT_TEXT_FONT 15 /* of all but the title, in pixels */

/* A text as code points, all of which XML allows. */
struct plot_text {
	uint32_t c[PLOT_TEXT_BYTES];
	size_t n;
};

/* `s` may be NULL. */
void plot_text_init(struct plot_text *t, const char *s);

/* Of the characters from `from` on and before `to`. */
double plot_text_width(const struct plot_text *t, size_t from, size_t to, double font);

/* Of a text of ours, in PLOT_TEXT_FONT. */
double plot_ascii_width(const char *s);

/* Where the line that begins at `from` ends: at a blank when there is one. */
size_t plot_text_wrap(const struct plot_text *t, size_t from, double width);

/* Append to `out`, escaped. Return 0, -ENOMEM or -EMSGSIZE. */
must_check int plot_text_put(struct buf *out, const struct plot_text *t, size_t from, size_t to);

/* At most so wide; what is too long loses its middle, as names differ at their ends. */
must_check int plot_text_put_shortened(
	struct buf *out, const struct plot_text *t, double width, double font);

const char *plot_bytes_label(double v, char out[static UNITS_BYTES_MAX]);

/* A tick in the axis' one unit: exact, as steps are powers of two and not below a quarter of it. */
#define PLOT_TICK_MAX 40
const char *plot_tick_label(double v, double step, char out[static PLOT_TICK_MAX]);

#endif
