#include "diagnose/diagnose.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Fewer samples than this say nothing about a trend: 5 samples have a relative error of 45 %. */
#define MIN_SAMPLES 5u
#define LEAK_SURVIVAL 0.80

struct trend {
	double bytes_per_ns, r2;
	double late_to_early;
};

/* Least squares over the checkpoints. Counting noise is what blurs them, and that is nearly
 * Gaussian; there are no outliers as in a series of resident sizes. */
static struct trend trend_of(const struct profile *p, const struct site *s)
{
	double n = p->n_checkpoints, st = 0, sy = 0, stt = 0, sty = 0, syy = 0;
	double early, late, var_t, var_y;
	uint32_t last = p->n_checkpoints - 1, mid = p->n_checkpoints / 2;
	struct trend r = {0};

	if (p->n_checkpoints < 3)
		return r;
	for (uint32_t i = 0; i < p->n_checkpoints; i++) {
		double t = (double)p->checkpoint_ns[i], y = (double)s->live_bytes[i];

		st += t;
		sy += y;
		stt += t * t;
		sty += t * y;
		syy += y * y;
	}
	var_t = stt - st * st / n;
	var_y = syy - sy * sy / n;
	if (var_t <= 0)
		return r;
	r.bytes_per_ns = (sty - st * sy / n) / var_t;
	r.r2 = var_y > 0 ? fmin(1, r.bytes_per_ns * r.bytes_per_ns * var_t / var_y) : 0;
	early = (double)s->live_bytes[mid] - (double)s->live_bytes[0];
	late = (double)s->live_bytes[last] - (double)s->live_bytes[mid];
	r.late_to_early = early > 0 ? late / early : late > 0 ? 10 : 0;
	return r;
}

/* Lower end of Wilson's 95 % interval for k successes of n (Wilson 1927). */
static double wilson_low(double k, double n)
{
	const double z = 1.96;
	double p;

	if (n <= 0)
		return 0;
	p = k < n ? k / n : 1;
	return fmax(0, p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) /
		(1 + z * z / n);
}

static struct finding assess(const struct profile *p, const struct site *s)
{
	struct trend t = trend_of(p, s);
	double survival = s->first_half ? fmin(1, (double)s->survivors / (double)s->first_half) : 0;
	struct finding f = {
		.kind = FINDING_STABLE,
		.site = s,
		.live_bytes = p->n_checkpoints ? s->live_bytes[p->n_checkpoints - 1] : 0,
		.growth_bytes_per_hour = t.bytes_per_ns * 3600e9,
		.survival = survival,
	};

	if (s->samples < MIN_SAMPLES || t.bytes_per_ns <= 0 || t.r2 < 0.5) {
		f.confidence = wilson_low((double)s->samples, (double)s->samples + 4) * (1 - t.r2);
		snprintf(f.refute, sizeof(f.refute),
			"a longer sampling that shows it growing (%llu samples so far)",
			(unsigned long long)s->samples);
		return f;
	}
	f.confidence = t.r2 * wilson_low((double)s->survivors, (double)s->first_half);
	if (survival >= LEAK_SURVIVAL && t.late_to_early >= 0.4) {
		f.kind = FINDING_LEAK;
		snprintf(f.refute, sizeof(f.refute),
			"a later look in which these blocks are freed or no longer grow, as a cache "
			"does once it is full");
	} else {
		f.kind = FINDING_GROWTH;
		snprintf(f.refute, sizeof(f.refute),
			"%.0f %% of the early samples are gone by now: it may be a queue or a cache",
			100 * (1 - survival));
	}
	return f;
}

static double weight(const struct finding *f)
{
	return f->growth_bytes_per_hour > 0 && f->kind != FINDING_STABLE
		? f->growth_bytes_per_hour * (0.05 + f->survival)
		: 0;
}

static int by_importance(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	double wx = weight(x), wy = weight(y);

	if (wx != wy)
		return wx < wy ? 1 : -1;
	return (x->live_bytes < y->live_bytes) - (x->live_bytes > y->live_bytes);
}

void diagnose(const struct profile *p, struct diagnosis *ret)
{
	struct finding *all;
	double grown;

	*ret = (struct diagnosis){0};
	all = p->n_sites ? calloc(p->n_sites, sizeof(*all)) : NULL;
	if (!all)
		return;
	for (uint32_t i = 0; i < p->n_sites; i++) {
		all[i] = assess(p, &p->sites[i]);
		if (all[i].growth_bytes_per_hour > 0 && all[i].kind != FINDING_STABLE)
			ret->growth_bytes_per_hour += all[i].growth_bytes_per_hour;
	}
	qsort(all, p->n_sites, sizeof(*all), by_importance);
	for (uint32_t i = 0; i < p->n_sites && ret->n < DIAGNOSIS_MAX_FINDINGS; i++) {
		struct finding *f = &ret->findings[ret->n++];

		*f = all[i];
		if (ret->growth_bytes_per_hour > 0 && f->kind != FINDING_STABLE)
			f->share = f->growth_bytes_per_hour / ret->growth_bytes_per_hour;
	}
	free(all);
	grown = (double)p->anon_end_bytes - (double)p->anon_start_bytes;
	if (grown > 0 && p->duration_ns)
		ret->explained =
			ret->growth_bytes_per_hour * (double)p->duration_ns / 3600e9 / grown;
}
