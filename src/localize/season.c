#include "localize/season.h"

#include <math.h>

#define LEAST_HOURS 18	 /* seen of a day that is learnt from */
#define PROVED 0.6f	 /* days leave at most this share of the squares with it */
#define FORGET 0.75f	 /* of the squares, a day */
#define DAYS_COUNTED 250 /* fits the type; nobody asks for more */

static float median3(float a, float b, float c)
{
	return fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
}

static float mean_of_day(const float day[24])
{
	float sum = 0, n = 0;

	for (unsigned h = 0; h < 24; h++) {
		if (!isnan(day[h])) {
			sum += day[h];
			n++;
		}
	}
	return n >= LEAST_HOURS ? sum / n : NAN;
}

static void end_day(struct season *s, float unusual)
{
	float mean = mean_of_day(s->day[0]), change = mean - s->mean;

	s->mean = mean;
	if (s->days < DAYS_COUNTED)
		s->days++;
	if (!(fabsf(change) <= unusual)) /* also where a day is missing */
		return;
	s->with *= FORGET;
	s->without *= FORGET;
	for (unsigned h = 0; h < 24; h++) {
		float d = s->day[0][h] - mean - change / 24 * ((float)h - 11.5f), shape;

		if (isnan(d))
			d = s->adds[h];
		s->without += d * d;
		s->with += (d - s->adds[h]) * (d - s->adds[h]);
		shape = s->learnt == 0	 ? d
			: s->learnt == 1 ? (d + s->day[1][h]) / 2
					 : median3(d, s->day[1][h], s->day[2][h]);
		s->day[2][h] = s->day[1][h];
		s->day[1][h] = d;
		s->adds[h] += (shape - s->adds[h]) / (s->learnt < 3 ? 1 : 4);
	}
	if (s->learnt < DAYS_COUNTED)
		s->learnt++;
}

void season_begin(struct season *s)
{
	s->mean = NAN;
	for (unsigned h = 0; h < 24; h++)
		s->day[0][h] = NAN;
}

float season_remove(struct season *s, unsigned h, float value, float unusual)
{
	float adds = s->learnt >= 2 && s->with < PROVED * s->without ? s->adds[h] : 0;

	s->day[0][h] = value;
	if (h == 23)
		end_day(s, unusual);
	return value - adds;
}
