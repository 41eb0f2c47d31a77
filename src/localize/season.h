/*
 * Season: what the hour of the day adds to a series of hourly values.
 *
 * Learnt as the running median of three days' shapes, each without its mean and slope, so that one
 * unusual day leaves no trace; used only where it has proved itself. 400 bytes, O(1) an hour and
 * O(24) at the end of a day. A weekly shape is not learnt: it is noise to the levels above a day.
 */
#ifndef RESIN_LOCALIZE_SEASON_H
#define RESIN_LOCALIZE_SEASON_H

#include <stdint.h>

struct season {
	float adds[24];	     /* its mean is 0 */
	float day[3][24];    /* the day that is going on, and the shapes of the last two */
	float mean;	     /* of the day before; NAN: none */
	float with, without; /* squares that days left with it and without it, fading */
	uint8_t days, learnt;
};

/* A series begins, or begins again: the shape stays, the day that is going on is forgotten. */
void season_begin(struct season *s);

/* The value of hour `h` (0 to 23) without what that hour usually adds; NAN stays NAN. From one day
 * to the next the mean may change by `unusual` (looked at in hour 23); a day on which it changes
 * more is not learnt from.
 */
float season_remove(struct season *s, unsigned h, float value, float unusual);

#endif
