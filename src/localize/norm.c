#include "localize/norm.h"

#include <math.h>

#define NOISE_MEMORY 256.f /* samples */
#define NOISE_LEAST 8.f
#define LIVES_MEMORY 64.f
#define LIVES_LEAST 2.f
#define SETTLED_SHARE 0.03f /* growth that counts as none */
#define FIRST_TAUGHT 3u	    /* index of the least age at which a life can have settled */

const uint16_t norm_block_hours[NORM_LEVELS] = {1, 2, 4, 8, 24, 48, 96};
const uint16_t norm_ages[NORM_AGES] = {
	3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 72, 96, 144, 192, 288, 384};

void norm_init(struct norm *n)
{
	*n = (struct norm){0};
}

void life_init(struct life *l)
{
	for (unsigned a = 0; a < NORM_AGES; a++)
		l->at[a] = NAN;
	l->taught = 0;
	l->next = norm_ages[0];
}

void norm_learn_noise(struct norm *n, unsigned level, float variance_share)
{
	if (n->weight[level] < NOISE_MEMORY)
		n->weight[level]++;
	n->noise[level] += (variance_share - n->noise[level]) / n->weight[level];
}

bool norm_knows_noise(const struct norm *n, unsigned level)
{
	return n && n->weight[level] >= NOISE_LEAST;
}

/* The last noted age that is at most half of another; itself where there is none. */
static unsigned half_of(unsigned a)
{
	unsigned half = a;

	while (half > 0 && 2u * norm_ages[half] > norm_ages[a])
		half--;
	return half;
}

/* A life has settled at an age if as long again has added at most half as much, or nothing to speak
 * of. Growth by age is fast at first: what came later came from something else. */
static bool settled(
	const struct life *l, unsigned upto, float size, float nothing, float noise_bytes)
{
	float before = l->at[upto] - l->at[0], after = size - l->at[upto];

	if (isnan(before) || isnan(after) || after + 2 * noise_bytes > fmaxf(before / 2, nothing))
		return false;
	return l->at[half_of(upto)] - l->at[0] + 2 * noise_bytes >= before / 2;
}

static void learn(struct norm *n, unsigned a, float growth)
{
	float d = growth - n->growth[a];

	if (n->lives[a] < LIVES_MEMORY)
		n->lives[a]++;
	n->growth[a] += d / n->lives[a];
	n->spread[a] += (d * (growth - n->growth[a]) - n->spread[a]) / n->lives[a];
}

void life_goes_on(
	struct life *l, struct norm *n, uint32_t age, float size, float birth, float noise_bytes)
{
	float scale = birth > 1 ? birth : 1, nothing = SETTLED_SHARE * scale;
	uint32_t next = UINT16_MAX;

	if (age < l->next)
		return;
	for (unsigned upto = 0; upto < NORM_AGES; upto++) {
		bool grew;

		if (norm_ages[upto] > age && norm_ages[upto] < next)
			next = norm_ages[upto];
		if (2u * norm_ages[upto] > age && 2u * norm_ages[upto] < next)
			next = 2u * norm_ages[upto];
		if (norm_ages[upto] == age)
			l->at[upto] = size;
		if (!n || upto < FIRST_TAUGHT || 2u * norm_ages[upto] != age ||
			!settled(l, upto, size, nothing, noise_bytes))
			continue;
		/* A life that grew by next to nothing teaches that: a slow leak must not become the
		 * rule. */
		grew = l->at[upto] - l->at[0] > nothing + 2 * noise_bytes;
		for (unsigned a = 0; a <= upto; a++) {
			if (l->taught & (1u << a) || isnan(l->at[a]))
				continue;
			l->taught |= (uint16_t)(1u << a);
			learn(n, a, grew ? (l->at[a] - l->at[0]) / scale : 0);
		}
	}
	l->next = (uint16_t)next;
}

/* What an exponential approach through the last three doublings of age would still add. With
 * u = exp(-a / 2 tau), the growths from a/4 to a/2 and from there to a are sqrt(u) - u and u - u^2,
 * for A = 1. */
static float still_to_come(const struct norm *n, unsigned last, float age)
{
	unsigned half = half_of(last), quarter = half_of(half);
	float late = n->growth[last] - n->growth[half];
	float early = n->growth[half] - n->growth[quarter], root, u, tau;

	if (late <= 0)
		return 0;
	root = early > 0 ? (sqrtf(1 + 4 * late / early) - 1) / 2 : 1;
	u = fminf(root * root, 0.7f); /* it had settled, or we would not know it */
	tau = -(float)norm_ages[last] / (2 * logf(u));
	return late / (u - u * u) * u * u * (1 - expf(-(age - (float)norm_ages[last]) / tau));
}

static void usual_until(const struct norm *n, float age, float *ret_growth, float *ret_spread)
{
	unsigned a = 0;

	while (a + 1 < NORM_AGES && n->lives[a + 1] >= 1 && (float)norm_ages[a + 1] <= age)
		a++;
	*ret_growth = n->growth[a];
	*ret_spread = n->spread[a];
	if (age <= (float)norm_ages[a])
		return;
	if (a + 1 < NORM_AGES && n->lives[a + 1] >= 1) {
		float f = (age - (float)norm_ages[a]) / (float)(norm_ages[a + 1] - norm_ages[a]);

		*ret_growth += f * (n->growth[a + 1] - n->growth[a]);
		*ret_spread += f * (n->spread[a + 1] - n->spread[a]);
	} else {
		*ret_growth += still_to_come(n, a, age);
	}
}

bool norm_usual(const struct norm *n, float from_age, float to_age, float *ret_share)
{
	float g0, g1, s0, s1;

	if (!n || n->lives[FIRST_TAUGHT] < LIVES_LEAST)
		return false;
	usual_until(n, fmaxf(from_age, (float)norm_ages[0]), &g0, &s0);
	usual_until(n, to_age, &g1, &s1);
	*ret_share = fmaxf(0, g1 - g0) * (1 + 1 / sqrtf(1 + n->lives[FIRST_TAUGHT]));
	if (g1 - g0 > 0.01f && s1 > s0)
		*ret_share += 2 * sqrtf(s1 - s0);
	return true;
}
