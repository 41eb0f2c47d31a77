/*
 * One entity's memory over time as a picture for people: an SVG that stands alone.
 *
 * No scripts, no fonts or images from elsewhere, no ids that could clash when several are put into
 * one page; light or dark as the reader's browser says (prefers-color-scheme). 960 x 360, and still
 * readable at half that size. Whatever comes in, well-formed XML comes out: texts are made valid
 * UTF-8 and escaped, numbers that are not finite or not in the picture are left out.
 *
 * Pure: reads no clock, depends on neither locale nor time zone (all times are UTC). Everything in
 * struct plot is the caller's and is only read. Zero is a good default for each field. Ceiling of
 * the output: PLOT_SVG_BYTES, however many points there are.
 */
#ifndef RESIN_CMD_PLOT_H
#define RESIN_CMD_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* The longest output: two points of 14 bytes for each of at most 880 columns of pixels, and eight
 * texts with every character escaped. */
#define PLOT_SVG_BYTES (96u << 10)

/* Bytes of a text that are looked at; the rest is dropped. */
#define PLOT_TEXT_BYTES 1024u

/* Points later than the end of the year 9999 are left out, as are bytes beyond +-2^63. */
#define PLOT_TIME_MAX_S UINT64_C(253402300799)

struct plot {
	const char *host, *component, *process; /* the title; NULL or "": left out */
	const char *verdict;			/* the subtitle: a sentence, two lines at most */

	/* Two arrays of n each, in the order of time; a point that is earlier than the one before
	 * is left out. NAN or infinite bytes are a gap, which breaks the line. */
	const uint64_t *unix_s;
	const double *bytes;
	size_t n;

	double limit_bytes; /* <= 0 or NAN: none. Far above the data it is only mentioned. */

	/* The suspicious interval, shaded; none unless start < end. */
	uint64_t suspect_start_s, suspect_end_s;
	uint64_t alarm_s; /* the first alarm, 0: none */

	/* The fitted line over the interval: where it begins (at suspect_start_s), and its slope
	 * with an 80 % band; NAN: no line, no band. */
	double fit_start_bytes;
	double fit_bytes_per_h, fit_low_bytes_per_h, fit_high_bytes_per_h;

	/* Goes on with it behind suspect_end_s, to the limit when that is near, else by a third of
	 * the time that is shown. */
	bool forecast;
};

/* Appends to `out`. Returns 0, -ENOMEM or -EMSGSIZE, and then `out` is as it was. */
must_check int plot_svg(struct buf *out, const struct plot *p);

#endif
