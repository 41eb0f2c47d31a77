/*
 * Results for people: tables that fit a terminal. JSON comes from ticket/evidence.h.
 */
#ifndef RESIN_CMD_RENDER_H
#define RESIN_CMD_RENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/finding.h"

must_check int render_diagnosis(
	const struct profile *p, const struct diagnosis *d, bool as_json, size_t top);

/* Columns of the terminal, 80 when stdout is none. */
size_t render_width(void);
/* "1.2 MiB/h" */
const char *render_rate(double bytes_per_hour, char *out, size_t size);

#endif
