#include "localize/track.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOISE_MEMORY 96.f	/* samples that the noise remembers */
#define NOISE_CLIP 4.f		/* squared differences count up to so many variances, */
#define NOISE_BIAS 1.08f	/* which takes this from independent normal noise */
#define LEAST_NOISE 1e-4f	/* of the size, standard deviation of a block */
#define NOISE_LAG 2u		/* blocks: what has only just happened is not noise yet */
#define NOISE_AGE 24u		/* hours of life: what starts is not noise */
#define SLOW_NOISE 12u		/* coarser levels count up to so many times the block */
#define SETTLED_AGE 24u		/* hours of a life, before it can have a level */
#define KNOWN_DAYS 3u		/* after which a day's shape is known, or there is none */
#define LEAST_BLOCKS 6u		/* of a rise */
#define LONG_AGO_WEIGHT 64.f	/* blocks that left the ring, remembered */
#define LIFE_MEMORY 0.95f	/* of the evidence of a life, each life */
#define BIAS_OF_LIVES 1.5f	/* what is usual by age is known so well, over many lives */
#define TWO_STEPS_BY_CHANCE 7.f /* noise variances: two steps have two more places to choose */

const struct track_rules track_rules_default = {
	.z = 7,
	.z_birth = 12,
	.z_visible = 5,
	.z_concave = 1,
	.late_early = 0.8f,
	.step_gain = 4,
	.least_rise_hours = 16,
	.warm_up = 2,
	.least_birth_hours = 36,
	.filling_hours = 168,
	.least_bytes = 1 << 20,
	.least_share = 0.005f,
	.prior_noise = 0.02f,
	.prior_weight = 6,
};

/* What a judgement needs at hand. */
struct moment {
	struct track *t;
	const struct track_rules *rules;
	struct norm *norm;
	float *var; /* noise: variance of a block's mean, by level */
};

static void begin_life(struct track *t)
{
	for (unsigned l = 0; l < TRACK_LEVELS; l++) {
		struct track_level *v = &t->at[l];

		v->sum = v->mean = v->var = v->peak = v->left = 0;
		v->hours = v->seen = 0;
		v->n = v->head = 0;
		t->looks[l] = (struct track_look){.state = TRACK_YOUNG, .level = (uint8_t)l};
	}
	for (unsigned i = 0; i < 6; i++)
		t->recent[i] = NAN;
	life_init(&t->life);
	season_begin(&t->season);
	if (t->load) {
		memset(t->load->sum, 0, sizeof(t->load->sum));
		memset(t->load->seen, 0, sizeof(t->load->seen));
		season_begin(&t->load->season);
	}
	t->age = 0;
	t->base = NAN;
	t->level = t->smooth = t->birth = 0;
}

void track_init(struct track *t)
{
	*t = (struct track){.first_alarm = TRACK_NEVER, .last_alarm = TRACK_NEVER, .before = NAN};
	begin_life(t);
}

void track_done(struct track *t)
{
	if (!t)
		return;
	free(t->load);
	free(t->minima);
	t->load = NULL;
	t->minima = NULL;
	t->cap = 0;
}

/* As fmaxf() and fminf(), also where v is NAN; those are calls that take longer than the rest of an
 * hour. */
static inline float at_least(float v, float least)
{
	return v > least ? v : least;
}

static inline float at_most(float v, float most)
{
	return v < most ? v : most;
}

static float size_of(const struct track *t)
{
	return at_least((float)t->base + t->level, 1);
}

/* The block `ago` before the latest one. */
static float block(const struct track_level *v, unsigned ago)
{
	return v->block[(v->head + 2 * TRACK_BLOCKS - 1 - ago) % TRACK_BLOCKS];
}

/* -- noise --------------------------------------------------------------------------------- */

/* Variance of a block's mean at every level: what was learnt, shrunk towards the component's or,
 * where that is not known, towards what the finer levels make likely. */
static void know_noise(struct moment *m)
{
	const struct track_rules *rules = m->rules;
	float size = size_of(m->t), colour = 0.7f;

	for (unsigned l = 0; l < TRACK_LEVELS; l++) {
		const struct track_level *v = &m->t->at[l];
		bool by_three = l > 0 && norm_block_hours[l] == 3 * norm_block_hours[l - 1];
		float prior, w = rules->prior_weight;

		if (norm_knows_noise(m->norm, l)) {
			prior = m->norm->noise[l] * size * size;
		} else if (l == 0) {
			prior = rules->prior_noise * rules->prior_noise * size * size;
			w = fmaxf(0.5f, w * (1 - v->weight / 24));
		} else {
			prior = m->var[l - 1] * (by_three ? powf(colour, 1.585f) : colour);
		}
		m->var[l] = (w * prior + v->weight * v->noise) / (w + v->weight);
		/* What never moved is not known to be without noise. */
		m->var[l] = at_least(m->var[l], LEAST_NOISE * LEAST_NOISE * size * size);
		if (l == 0)
			continue;
		/* By how much the variance changes when blocks double: 1/2 for independent noise, 1
		 * for flicker noise, 2 for a random walk. The next level is taken to be a little
		 * worse. */
		colour = m->var[l] / m->var[l - 1];
		if (by_three)
			colour = powf(colour, 0.631f);
		colour = at_most(at_least(1.15f * colour, 0.55f), v->weight > 8 ? 1.4f : 1.1f);
	}
}

/* For a fit that leaves `residual` (a sum of squares) with so much freedom: the past and the window
 * together, and at least what the coarser levels say about slow noise. */
static float noise_of(const struct moment *m, unsigned l, float residual, float freedom)
{
	float w = m->rules->prior_weight + at_most(m->t->at[l].weight, 32);
	float worst = (w * m->var[l] + residual) / (w + freedom);
	unsigned hours = norm_block_hours[l];

	for (unsigned c = l + 1; c < TRACK_LEVELS && norm_block_hours[c] <= SLOW_NOISE * hours; c++)
		worst = at_least(worst, m->var[c] * (float)norm_block_hours[c] / (float)hours);
	return worst;
}

/* The three-sample (Hadamard) form of adjacent blocks: an even rise leaves nothing in it. */
static void learn_noise(struct moment *m, unsigned l)
{
	struct track_level *v = &m->t->at[l];
	float size = size_of(m->t), d, square;

	if (v->n < NOISE_LAG + 2 || m->t->age <= NOISE_AGE + (NOISE_LAG + 2) * norm_block_hours[l])
		return;
	d = block(v, NOISE_LAG - 1) - 2 * block(v, NOISE_LAG) + block(v, NOISE_LAG + 1);
	if (isnan(d))
		return;
	square = at_most(NOISE_BIAS * d * d / 6, NOISE_CLIP * m->var[l]);
	if (v->weight < NOISE_MEMORY)
		v->weight++;
	v->noise += (square - v->noise) / v->weight;
	if (m->norm)
		norm_learn_noise(m->norm, l, square / (size * size));
}

/* -- jumps --------------------------------------------------------------------------------- */

/* Three hours on either side that lie apart by more than they spread. */
static void find_jump(struct track *t, float value)
{
	float *w = t->recent, lo[2], hi[2], gap, bytes;

	memmove(w, w + 1, 5 * sizeof(*w));
	w[5] = value;
	bytes = (w[3] + w[4] + w[5] - w[0] - w[1] - w[2]) / 3;
	/* Nearly always: the means are no further apart than a gap has to be. */
	if (isnan(bytes) || bytes * bytes <= 4 * t->at[0].noise)
		return;
	for (unsigned i = 0; i < 2; i++) {
		const float *three = w + (size_t)3 * i;

		lo[i] = fminf(fminf(three[0], three[1]), three[2]);
		hi[i] = fmaxf(fmaxf(three[0], three[1]), three[2]);
	}
	gap = fmaxf(lo[1] - hi[0], lo[0] - hi[1]);
	if (gap > 2 * (fmaxf(hi[0] - lo[0], hi[1] - lo[1]) + sqrtf(t->at[0].noise)))
		t->jumps[t->n_jumps++ % TRACK_JUMPS] = (struct jump){t->hours - 4, bytes};
}

/* The i-th jump, counted back from the latest; NULL past the last kept. */
static const struct jump *jump_back(const struct track *t, uint32_t i)
{
	return i < t->n_jumps && i < TRACK_JUMPS ? &t->jumps[(t->n_jumps - 1 - i) % TRACK_JUMPS]
						 : NULL;
}

unsigned track_jumps(const struct track *t, uint32_t since, float *ret_sum, float *ret_largest)
{
	const struct jump *j;
	unsigned n = 0;

	*ret_sum = *ret_largest = 0;
	for (uint32_t i = 0; (j = jump_back(t, i)) && j->hour >= since; i++) {
		if (j->bytes <= 0)
			continue;
		n++;
		*ret_sum += j->bytes;
		*ret_largest = fmaxf(*ret_largest, j->bytes);
	}
	return n;
}

/* Did the last `hours` begin with a jump? What follows one at once is not an approach. */
static bool after_jump(const struct track *t, unsigned hours, unsigned block_hours)
{
	const struct jump *j;

	for (uint32_t i = 0; (j = jump_back(t, i)); i++) {
		uint32_t ago = t->hours - j->hour;

		if (ago >= hours)
			return ago <= hours + 3 * block_hours;
	}
	return false;
}

/* -- one level ----------------------------------------------------------------------------- */

/* What is fitted: the blocks of a level from one on, oldest first, their mean taken out. */
struct window {
	unsigned n, first, hours; /* blocks, those left out before, hours of one */
	float y[FIT_MAX], load[FIT_MAX];
	float zero;  /* mean that was taken out, above track.base */
	float total; /* sum of squares */
	struct hinge h;
	float noise;
};

/* False: too few blocks, or the first one is missing. */
static bool window_open(const struct moment *m, unsigned l, unsigned first, struct window *w)
{
	const struct track_level *v = &m->t->at[l];
	const struct track_load *load = m->t->load;
	float newest = 0, sum = 0;

	if (v->n < first + LEAST_BLOCKS)
		return false;
	w->n = v->n - first;
	w->first = first;
	w->hours = norm_block_hours[l];
	for (unsigned i = 0; i < w->n; i++) {
		unsigned at = (v->head + TRACK_BLOCKS - w->n + i) % TRACK_BLOCKS;

		w->y[i] = v->block[at];
		w->load[i] = load ? load->block[l][at] : 0;
		/* A gap takes its neighbour's value: it adds no evidence. */
		if (isnan(w->y[i])) {
			if (i == 0)
				return false;
			w->y[i] = w->y[i - 1];
			w->load[i] = w->load[i - 1];
		}
		newest = w->y[i];
	}
	fit_centre(w->y, w->n);
	fit_centre(w->load, w->n);
	w->zero = newest - w->y[w->n - 1];
	w->h = fit_hinge(w->y, w->n, LEAST_BLOCKS - 1);
	for (unsigned i = 0; i < w->n; i++)
		sum += w->y[i] * w->y[i];
	w->total = sum;
	w->noise = noise_of(m, l, at_least(sum - w->h.gain, 0), (float)w->n - 3);
	return true;
}

/* Where it has been before is no news; neither is where the life before has stood. */
static bool returning(const struct track *t, const struct track_level *v, const struct window *w,
	uint32_t filling_hours)
{
	float last = (w->y[w->n - 1] + w->y[w->n - 2]) / 2, before = -INFINITY;

	if (!isnan(t->before) && t->age <= filling_hours)
		before = (float)(t->before - t->base) - w->zero;

	if (v->left >= 8)
		before = fmaxf(before, fminf(v->mean + 3 * sqrtf(v->var), v->peak) - w->zero);
	for (unsigned i = 0; i <= w->h.from; i++)
		before = fmaxf(before, w->y[i]);
	for (unsigned i = 0; i < w->first; i++)
		before = fmaxf(before, block(v, v->n - 1 - i) - w->zero);
	return last < before;
}

/* The load rises with it, and by enough: a share of the load's may bring one and a half times that
 * share of memory. */
static bool explained_by_load(const struct track *t, const struct window *w, float growth)
{
	float product = 0, rise, mean;

	if (!t->load || fit_correlation(w->y, w->load, w->n) < 0.8f)
		return false;
	for (unsigned i = w->h.from; i < w->n; i++)
		product += w->load[i] * (float)(i - w->h.from);
	rise = product / w->h.spread * (float)(w->n - 1 - w->h.from);
	mean = t->load->mean - rise / 2;
	return mean > 0 && growth / size_of(t) <= 1.5f * rise / mean;
}

/* In steps: they explain it as well, or its jumps are nearly all of it and too few for a stair. */
static bool stepped(
	const struct moment *m, const struct window *w, float growth, struct track_look *k)
{
	struct steps s = fit_two_steps(w->y, w->n);
	float more = fminf(w->h.gain - s.one, w->h.gain - s.two + TWO_STEPS_BY_CHANCE * w->noise);
	/* The block before the rise, too: a jump within it starts the rise. */
	uint32_t hours = (w->n - w->h.from + 1) * w->hours;
	float sum, largest;
	unsigned jumps =
		track_jumps(m->t, m->t->hours > hours ? m->t->hours - hours : 0, &sum, &largest);

	k->step_gain = more / w->noise;
	return k->step_gain < 0 || (sum > 0.6f * growth && (jumps < 3 || largest > 0.5f * sum));
}

/* Sets what a straight line would not show; returns the early slope over the standard error of the
 * slopes' difference. */
static float bend(const struct window *w, struct track_look *k)
{
	unsigned half = (w->n - w->h.from) / 2 + 1;
	float early_spread, late_spread, se;
	float early = fit_slope(w->y + w->h.from, half, &early_spread);
	float late = fit_slope(w->y + w->n - half, half, &late_spread);

	se = sqrtf(w->noise * (1 / early_spread + 1 / late_spread));
	k->late_early = early > 0 ? late / early : 9;
	k->concavity = (early - late) / se;
	return early / se;
}

/* The shortest rise that is fitted began, in truth, later than it is made to: its first interval
 * falls short. What it is shows when it is longer. */
static bool began_later(const struct window *w)
{
	unsigned from = w->h.from;
	float flat = 0;

	if (w->n - from > LEAST_BLOCKS)
		return false;
	for (unsigned i = 0; i <= from; i++)
		flat += w->y[i] / (float)(from + 1);
	return w->h.slope - (w->y[from + 1] - flat) > 2 * sqrtf(w->noise);
}

static void classify(const struct moment *m, const struct window *w, struct track_look *k)
{
	const struct track_rules *rules = m->rules;
	const struct track *t = m->t;
	unsigned blocks = w->n - w->h.from, rise_hours = (blocks - 1) * w->hours;
	float growth = w->h.slope * (float)(blocks - 1), seen = bend(w, k), usual = 0, z, need;
	bool known, steps = stepped(m, w, growth, k), open_start = w->h.from < 3;

	known = t->born &&
		norm_usual(m->norm, (float)t->age - (float)rise_hours, (float)t->age, &usual);
	z = known ? k->z * fmaxf(0, 1 - usual * fmaxf(1, t->birth) / growth) : k->z;
	/* Where no level before the rise was seen and no other life is known, it may be the filling
	 * of something: only what would have shown a slowing down by now is told apart. */
	if (w->first == 0)
		k->from_birth =
			open_start && !known && t->age < blocks * w->hours + rules->filling_hours;
	else /* what was left out may be the beginning of an approach, unless it was a jump */
		k->from_birth = open_start &&
			!(t->age > w->n * w->hours + rules->filling_hours / 2 &&
				after_jump(t, w->n * w->hours, w->hours));
	need = k->from_birth ? rules->z_birth : rules->z;
	if (growth < (float)rules->least_bytes || growth < rules->least_share * size_of(t) ||
		k->z < need / 2)
		k->state = TRACK_FLAT;
	else if (returning(t, &t->at[k->level], w, rules->filling_hours))
		k->state = TRACK_RETURNING;
	else if (steps)
		k->state = TRACK_STEP;
	else if (k->late_early < rules->late_early && k->concavity > rules->z_concave)
		k->state = TRACK_SATURATING;
	else if (z < need && (k->z >= need || z < need / 2))
		k->state = TRACK_AGEING;
	else if (explained_by_load(t, w, growth))
		k->state = TRACK_LOADED;
	else if (k->z < need || k->step_gain < rules->step_gain || began_later(w) ||
		rise_hours < rules->least_rise_hours)
		k->state = TRACK_RISING;
	else if (k->from_birth &&
		(0.4f * seen < rules->z_visible || blocks * w->hours < rules->least_birth_hours))
		k->state = TRACK_RISING;
	else
		k->state = TRACK_LEAKING;
	k->z = z;
}

static bool look_from(
	const struct moment *m, unsigned first, struct track_look *k, struct window *w)
{
	float spread;

	if (!window_open(m, k->level, first, w))
		return false;
	k->state = TRACK_FLAT;
	k->blocks = (uint8_t)w->n;
	k->from = (uint8_t)w->h.from;
	if (w->h.slope <= 0)
		return true;
	k->z = sqrtf(w->h.gain / w->noise);
	/* Of the rise alone, without the block within which it began. */
	k->rate = fit_slope(w->y + w->h.from + 1, w->n - 1 - w->h.from, &spread) / (float)w->hours;
	k->rate_se = sqrtf(w->noise / spread) / (float)w->hours;
	if (k->z >= m->rules->z / 2)
		classify(m, w, k);
	return true;
}

/* A coarser level that sees the same rise slow down, or sees what explains it, is right: what looks
 * even for some hours is a part of that. */
static bool overruled(const struct track *t, const struct track_look *k)
{
	for (unsigned c = k->level + 1u; c < TRACK_LEVELS; c++) {
		const struct track_look *o = &t->looks[c];

		if ((o->state == TRACK_SATURATING || o->state == TRACK_AGEING ||
			    o->state == TRACK_LOADED) &&
			k->rate < 2 * o->rate)
			return true;
	}
	return false;
}

static float mean_of(const struct track_level *v, unsigned first_ago, unsigned n)
{
	float sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += block(v, first_ago + i);
	return sum / (float)n;
}

/* Nearly always: the latest blocks stand no higher than those before. No rise that counts for
 * anything hides there: where z is half of what is needed, it has lifted the last four of 16 by one
 * and a half standard deviations at least. It saves nine fits of ten. False where blocks are
 * missing. */
static bool plainly_flat(const struct moment *m, unsigned l)
{
	const struct track_level *v = &m->t->at[l];
	float sd = sqrtf(m->var[l]), last;

	if (v->n < TRACK_BLOCKS)
		return false;
	last = mean_of(v, 0, 4);
	return last - mean_of(v, 4, 12) < sd && last - mean_of(v, 4, 4) < sd;
}

static struct track_look look_at(const struct moment *m, unsigned l)
{
	const struct track *t = m->t;
	struct track_look k = {.state = TRACK_YOUNG, .level = (uint8_t)l, .hour = t->hours};
	struct window w;
	struct steps s;

	/* Until it is known what a day does, a rise within a day may be just that. */
	if (t->season.learnt < 2 && t->season.days < KNOWN_DAYS &&
		t->at[l].n * norm_block_hours[l] < 48)
		return k;
	if (plainly_flat(m, l)) {
		k.state = TRACK_FLAT;
		k.blocks = TRACK_BLOCKS;
		return k;
	}
	if (!look_from(m, 0, &k, &w))
		return k;
	/* What came before may hide a rise: look again at what came after the largest step, and at
	 * the second half. */
	if (k.state != TRACK_LEAKING && w.total > 36 * w.noise &&
		(s = fit_step(w.y, w.n)).one > 36 * w.noise) {
		unsigned starts[2] = {s.at + 1, w.n / 2};

		for (unsigned i = 0; i < 2; i++) {
			struct track_look later = {.level = (uint8_t)l, .hour = t->hours};

			if (look_from(m, starts[i], &later, &w) && later.state == TRACK_LEAKING) {
				k = later;
				break;
			}
		}
	}
	if (k.state == TRACK_LEAKING && overruled(t, &k))
		k.state = TRACK_SATURATING;
	return k;
}

/* Between 0 and 1 where an alarm would need more; what is explained counts nothing. */
static float evidence(const struct track_rules *rules, const struct track_look *k)
{
	float s = k->z / (k->from_birth ? rules->z_birth : rules->z);

	if (k->state == TRACK_LEAKING)
		return s;
	if (k->state != TRACK_RISING)
		return 0;
	if (k->step_gain < rules->step_gain)
		s *= 0.6f + 0.4f * k->step_gain / rules->step_gain;
	return fminf(s, 0.99f);
}

/* -- lives --------------------------------------------------------------------------------- */

/* The growth of this life's second half, beyond what its age explains: bytes per hour, and its
 * precision. By then what a start adds is over, or nearly. */
static bool growth_of_life(const struct moment *m, float *ret_rate, float *ret_precision)
{
	const struct track *t = m->t;
	struct window w;
	float spread, slope, usual;
	unsigned l = 0, n;

	while (l + 1 < TRACK_LEVELS && t->at[l].n == TRACK_BLOCKS && t->at[l + 1].n >= LEAST_BLOCKS)
		l++;
	if (!window_open(m, l, 0, &w))
		return false;
	n = w.n - w.n / 2;
	slope = fit_slope(w.y + w.n - n, n, &spread);
	if (t->born &&
		norm_usual(
			m->norm, (float)t->age - (float)((n - 1) * w.hours), (float)t->age, &usual))
		slope -= BIAS_OF_LIVES * usual * fmaxf(1, t->birth) / (float)(n - 1);
	*ret_rate = slope / (float)w.hours;
	*ret_precision = spread * (float)w.hours * (float)w.hours / noise_of(m, l, 0, 0);
	return true;
}

static bool rises(const struct track *t)
{
	for (unsigned l = 0; l < TRACK_LEVELS; l++)
		if (t->looks[l].state == TRACK_RISING || t->looks[l].state == TRACK_LEAKING)
			return true;
	return false;
}

void track_restart(struct track *t, const struct track_rules *rules, const struct norm *norm)
{
	struct norm copy;
	struct moment m = {.t = t, .rules = rules, .var = t->var};
	float rate, precision, share;

	/* As long as nobody knows what a life adds, a warm-up in every life looks like a leak. */
	if (norm_usual(norm, 0, 24, &share)) {
		copy = *norm;
		m.norm = &copy;
		know_noise(&m);
		if (growth_of_life(&m, &rate, &precision)) {
			t->lives = t->lives * LIFE_MEMORY + 1;
			t->rising_lives = t->rising_lives * LIFE_MEMORY + (rate > 0);
			t->life_precision = t->life_precision * LIFE_MEMORY + precision;
			t->life_rate = t->life_rate * LIFE_MEMORY + precision * rate;
		}
	}
	/* Where it stood still; a life that rose to its end has no level. */
	t->before = t->age < SETTLED_AGE || rises(t) ? (double)NAN : t->base + (double)t->level;
	begin_life(t);
	t->born = true;
}

/* Standard errors of the growth of all lives together, this one included; four in five have to
 * show it. */
static float evidence_of_lives(const struct moment *m)
{
	const struct track *t = m->t;
	float lives = t->lives, rising = t->rising_lives, rates = t->life_rate,
	      precisions = t->life_precision, rate, precision;

	if (t->age >= 12 && growth_of_life(m, &rate, &precision)) {
		lives++;
		rising += rate > 0;
		rates += precision * rate;
		precisions += precision;
	}
	if (lives < 2.5f || rising < 0.8f * lives || precisions <= 0)
		return 0;
	return rates / sqrtf(precisions);
}

/* -- time goes on -------------------------------------------------------------------------- */

static int keep_minimum(struct track *t, double bytes)
{
	if (t->hours >= t->cap && t->cap < TRACK_MINIMA) {
		uint32_t cap = t->cap ? t->cap * 2 : 24;
		float *p;

		if (cap > TRACK_MINIMA)
			cap = TRACK_MINIMA;
		p = realloc(t->minima, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		for (uint32_t i = t->cap; i < cap; i++)
			p[i] = NAN;
		t->minima = p;
		t->cap = cap;
	}
	t->minima[t->hours % t->cap] = (float)bytes;
	return 0;
}

double track_minimum(const struct track *t, uint32_t hours_ago)
{
	if (hours_ago >= t->hours || hours_ago >= t->cap)
		return NAN;
	return (double)t->minima[(t->hours - 1 - hours_ago) % t->cap];
}

uint32_t track_rise_begins(const struct track_look *k)
{
	uint32_t hours = (uint32_t)(k->blocks - k->from) * norm_block_hours[k->level];

	return k->hour > hours ? k->hour - hours : 0;
}

static void leave_ring(struct track_level *v, float value)
{
	float d = value - v->mean;

	if (isnan(value))
		return;
	if (v->left < LONG_AGO_WEIGHT)
		v->left++;
	v->mean += d / v->left;
	v->peak = v->left > 1 ? fmaxf(v->peak, value) : value;
	v->var += (d * (value - v->mean) - v->var) / v->left;
}

/* What goes from one level to the next: an hour, or the block that has just been completed. */
struct part {
	float sum, load_sum;
	uint16_t hours, seen, load_seen;
};

/* Adds the part to the block that is being filled. True when that completes it; then the part
 * becomes what this block holds, for the next level. */
static bool fill(struct moment *m, unsigned l, struct part *p)
{
	struct track_level *v = &m->t->at[l];
	struct track_load *loads = m->t->load;

	v->sum += p->sum;
	v->seen = (uint16_t)(v->seen + p->seen);
	v->hours = (uint16_t)(v->hours + p->hours);
	if (loads) {
		loads->sum[l] += p->load_sum;
		loads->seen[l] = (uint16_t)(loads->seen[l] + p->load_seen);
	}
	if (v->hours < norm_block_hours[l])
		return false;
	*p = (struct part){.sum = v->sum, .hours = v->hours, .seen = v->seen};
	if (v->n == TRACK_BLOCKS)
		leave_ring(v, v->block[v->head]);
	v->block[v->head] = v->seen ? v->sum / (float)v->seen : NAN;
	if (loads) {
		p->load_sum = loads->sum[l];
		p->load_seen = loads->seen[l];
		/* Without one it goes on as it was: that explains nothing. */
		loads->block[l][v->head] =
			loads->seen[l] ? loads->sum[l] / (float)loads->seen[l] : loads->mean;
		loads->sum[l] = 0;
		loads->seen[l] = 0;
	}
	v->sum = 0;
	v->hours = v->seen = 0;
	v->head = (uint8_t)((v->head + 1) % TRACK_BLOCKS);
	if (v->n < TRACK_BLOCKS)
		v->n++;
	learn_noise(m, l);
	return true;
}

/* The load without what the hour of the day adds; NAN: none. Its memory begins with the first one,
 * and what was before is taken to have been like that. */
static float take_load(struct track *t, double load, int *ret)
{
	float value = (float)load;

	if (!t->load && !isnan(value)) {
		t->load = calloc(1, sizeof(*t->load));
		if (!t->load) {
			*ret = -ENOMEM;
			return NAN;
		}
		season_begin(&t->load->season);
		t->load->mean = value;
		for (unsigned l = 0; l < TRACK_LEVELS; l++)
			for (unsigned i = 0; i < TRACK_BLOCKS; i++)
				t->load->block[l][i] = value;
	}
	if (!t->load)
		return NAN;
	if (!isnan(value))
		t->load->mean += (value - t->load->mean) / 24;
	return season_remove(&t->load->season, (t->hours - 1) % 24, value, 0.1f * t->load->mean);
}

static float take_value(struct moment *m, double bytes)
{
	struct track *t = m->t;
	unsigned h = (t->hours - 1) % 24;
	/* Asked for at the end of a day only. */
	float unusual = h < 23 ? 0 : at_least(4 * sqrtf(t->at[0].noise), 0.01f * size_of(t));
	float value = season_remove(&t->season, h, (float)(bytes - t->base), unusual);

	if (!isnan(value)) {
		float n = (float)(t->age - m->rules->warm_up);

		t->level += (value - t->level) / at_most(n, 24);
		t->smooth += (value - t->smooth) / at_most(at_least(n / 6, 1), 24);
	}
	/* It changes slowly, except while everything is new; in these hours coarse blocks end. */
	if (t->age < 24 || (t->age - m->rules->warm_up) % 4 == 0)
		know_noise(m);
	if (t->age >= t->life.next)
		life_goes_on(&t->life, t->born ? m->norm : NULL, t->age, t->smooth, t->birth,
			sqrtf(m->var[t->age >= 48      ? 2
					: t->age >= 24 ? 1
						       : 0]));
	find_jump(t, value);
	return value;
}

static void judge(struct moment *m, float value, float load)
{
	struct track *t = m->t;
	struct part p = {.hours = 1};
	unsigned complete = 0;

	if (!isnan(value)) {
		p.sum = value;
		p.seen = 1;
	}
	if (!isnan(load)) {
		p.load_sum = load;
		p.load_seen = 1;
	}
	/* Each block holds whole ones of the level before: past an incomplete one nothing ends. */
	while (complete < TRACK_LEVELS && fill(m, complete, &p))
		complete++;
	t->score = 0;
	/* Coarse levels first: they may overrule finer ones. */
	for (unsigned l = complete; l-- > 0;) {
		float s;

		t->looks[l] = look_at(m, l);
		s = evidence(m->rules, &t->looks[l]);
		if (s > t->score) {
			t->score = s;
			t->loudest = (uint8_t)l;
		}
	}
	if (t->lives >= 2 && t->age % 4 == 0)
		t->score = fmaxf(t->score, evidence_of_lives(m) / m->rules->z);
	if (t->score >= 1) {
		t->last_alarm = t->hours - 1;
		t->alarm_block = norm_block_hours[t->loudest];
		if (t->first_alarm == TRACK_NEVER)
			t->first_alarm = t->last_alarm;
	}
}

int track_add(struct track *t, const struct track_rules *rules, struct norm *norm, double bytes,
	double load)
{
	struct moment m = {.t = t, .rules = rules, .norm = norm, .var = t->var};
	int r = keep_minimum(t, bytes);
	float value;

	t->hours++;
	t->score = 0;
	if (isnan(t->base)) {
		if (isnan(bytes))
			return r;
		t->base = bytes;
		t->birth = (float)bytes;
	}
	if (t->age++ < rules->warm_up)
		return r;
	value = take_value(&m, bytes);
	judge(&m, value, take_load(t, load, &r));
	return r;
}
