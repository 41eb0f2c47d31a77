#include "generate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const behaviour_names[] = {
#define X(id, name, held, help) name,
	BEHAVIOURS(X)
#undef X
};
const bool behaviour_held[] = {
#define X(id, name, held, help) held,
	BEHAVIOURS(X)
#undef X
};
const char *const leak_names[] = {
#define X(id, name, held, help) name,
	LEAKS(X)
#undef X
};
const bool leak_held[] = {
#define X(id, name, held, help) held,
	LEAKS(X)
#undef X
};

/* splitmix64 (Steele, Lea, Flood 2014): every seed is a good one. */
uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

double draw_uniform(uint64_t *state)
{
	return ((double)(draw(state) >> 11) + 0.5) * 0x1p-53;
}

double draw_normal(uint64_t *state)
{
	double u = draw_uniform(state);

	return sqrt(-2 * log(u)) * cos(6.283185307179586 * draw_uniform(state));
}

static double between(uint64_t *s, double lo, double hi)
{
	return lo + (hi - lo) * draw_uniform(s);
}

static double log_between(uint64_t *s, double lo, double hi)
{
	return lo * exp(log(hi / lo) * draw_uniform(s));
}

static void *get(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p) {
		fprintf(stderr, "accuracy: out of memory\n");
		abort();
	}
	return p;
}

void group_done(struct group *g)
{
	for (size_t e = 0; e < g->n_entities; e++) {
		free(g->entity[e].bytes);
		free(g->entity[e].load);
		free(g->entity[e].generation);
	}
	free(g->entity);
	*g = (struct group){0};
}

struct plan plan_draw(uint64_t seed, enum behaviour b, enum leak l, bool leaks, size_t hosts)
{
	static const double rates[] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
	static const double shares[] = {0.01, 0.05, 0.2, 1};
	uint64_t s = seed * 0x2545f4914f6cdd1dull + b * 977 + l;
	struct plan p = {.seed = seed, .behaviour = b, .leak = l, .hosts = hosts, .hours = 28 * 24};

	p.noise = log_between(&s, 0.002, 0.05);
	p.memory = b == BEHAVIOUR_SLOW_NOISE || b == BEHAVIOUR_MIXED ? between(&s, 0.7, 0.95)
								     : between(&s, 0, 0.6);
	p.rate = rates[draw(&s) % 9];
	p.share = shares[draw(&s) % 4];
	if (!leaks)
		p.rate = p.share = 0;
	return p;
}

/* What a component's hosts have in common. */
struct kind {
	double base, amplitude, tau, period, level2, start_phase;
};

struct maker {
	const struct plan *p;
	struct kind k;
	uint64_t s;
	size_t n;
	double *healthy, *leaked, *noise;
	uint32_t *generation;
	double *load;
};

static void shape_saturating(struct maker *m, double tau, double part, size_t from)
{
	for (size_t i = from; i < m->n; i++)
		m->healthy[i] += part * (1 - exp(-(double)(i - from) / tau));
}

static void shape_teeth(struct maker *m, double period, double height)
{
	double phase = between(&m->s, 0, period), length = period;

	for (size_t i = 0; i < m->n; i++) {
		m->healthy[i] += height * phase / period;
		phase += 1;
		if (phase >= length) {
			phase = 0;
			length = period * between(&m->s, 0.8, 1.2);
		}
	}
}

static void shape_retention(struct maker *m)
{
	double kept = 0, burst;

	for (size_t i = 0; i < m->n; i++) {
		if (draw_uniform(&m->s) < 1 / 18.) {
			/* Most bursts are alike; the largest one so far sets the level. */
			burst = 0.1 * -log(draw_uniform(&m->s)) * m->k.amplitude * 4;
			kept = burst > kept ? burst : kept;
		}
		m->healthy[i] += kept;
	}
}

static void shape_restarts(struct maker *m)
{
	double age = 0, life = m->k.period * between(&m->s, 0.7, 1.3);
	uint32_t generation = 0;

	for (size_t i = 0; i < m->n; i++) {
		m->healthy[i] += 0.5 * (1 - exp(-age / (m->k.tau / 4))) - 0.5;
		m->generation[i] = generation;
		age += 1;
		if (age >= life) {
			age = 0;
			generation++;
			life = m->k.period * between(&m->s, 0.7, 1.3);
		}
	}
}

static void shape_steps(struct maker *m)
{
	size_t n = 1 + draw(&m->s) % 2;

	while (n-- > 0) {
		size_t at = (size_t)between(&m->s, 0.1 * (double)m->n, 0.95 * (double)m->n);
		double by = between(&m->s, -0.3, 0.6);

		for (size_t i = at; i < m->n; i++)
			m->healthy[i] += by;
	}
}

static void shape_load(struct maker *m)
{
	size_t from = (size_t)between(&m->s, 0.1 * (double)m->n, 0.5 * (double)m->n);
	double load = 1, by = between(&m->s, 0.3, 1.5);

	for (size_t i = 0; i < m->n; i++) {
		if (i >= from && i < from + 168)
			load += by / 168;
		m->load[i] = load * (1 + 0.2 * sin(6.2832 * (double)(i % 24) / 24)) *
			(1 + 0.03 * draw_normal(&m->s));
		m->healthy[i] += 0.5 * (load - 1) + 0.1 * sin(6.2832 * (double)(i % 24) / 24);
	}
}

static void shape_bursts(struct maker *m)
{
	double left = 0, height = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (left <= 0 && draw_uniform(&m->s) < 1 / 48.) {
			left = between(&m->s, 1, 8);
			height = between(&m->s, 0.3, 1);
		}
		if (left > 0)
			m->healthy[i] += height;
		m->load[i] = 1 + (left > 0 ? height * 2 : 0);
		left -= 1;
	}
}

static void shape_batch(struct maker *m)
{
	size_t start = (size_t)(m->k.start_phase * 24), lasts = 3 + (size_t)(m->k.tau / 10);

	for (size_t i = 0; i < m->n; i++) {
		size_t hour = (i + 24 - start) % 24;

		if (hour < lasts)
			m->healthy[i] += m->k.level2 / 2 * (double)(hour + 1) / (double)lasts *
				(1 + 0.1 * draw_normal(&m->s));
	}
}

static void shape_deploys(struct maker *m)
{
	double level = 0, age = 0, life = 96 + 72 * draw_uniform(&m->s);
	uint32_t generation = 0;

	for (size_t i = 0; i < m->n; i++) {
		m->healthy[i] += level - 0.3 * exp(-age / (m->k.tau / 12));
		m->generation[i] = generation;
		age += 1;
		if (age >= life) {
			age = 0;
			generation++;
			life = 96 + 72 * draw_uniform(&m->s);
			level = between(&m->s, -0.3, 0.3);
		}
	}
}

static void shape_connections(struct maker *m)
{
	double clients = 0;

	for (size_t i = 0; i < m->n; i++) {
		clients += 0.02 * draw_normal(&m->s) - clients / 30;
		m->healthy[i] += m->k.amplitude * 4 * clients;
	}
}

static void shape(struct maker *m)
{
	const struct kind *k = &m->k;

	for (size_t i = 0; i < m->n; i++)
		m->healthy[i] = 1;
	switch (m->p->behaviour) {
	case BEHAVIOUR_DIURNAL:
	case BEHAVIOUR_WEEKLY:
		for (size_t i = 0; i < m->n; i++) {
			double day = sin(6.283185307 * ((double)(i % 24) / 24 + k->start_phase));
			bool weekend = m->p->behaviour == BEHAVIOUR_WEEKLY && i / 24 % 7 >= 5;

			m->healthy[i] += k->amplitude * day * (weekend ? 0.4 : 1) -
				(weekend ? k->amplitude : 0);
		}
		break;
	case BEHAVIOUR_WARM_UP:
		shape_saturating(m, k->tau / 6, k->level2, 0);
		break;
	case BEHAVIOUR_CACHE:
		shape_saturating(m, k->tau * between(&m->s, 0.8, 1.25), k->level2 * 2, 0);
		break;
	case BEHAVIOUR_RING:
		for (size_t i = 0; i < m->n; i++)
			m->healthy[i] += k->level2 * fmin(1, (double)i / (k->tau / 3));
		break;
	case BEHAVIOUR_REFILL: {
		double filled = 0;

		for (size_t i = 0; i < m->n; i++) {
			filled += (1 - filled) / (k->tau / 3);
			if (draw_uniform(&m->s) < 1 / 150.)
				filled = between(&m->s, 0, 0.3);
			m->healthy[i] += k->level2 * filled;
		}
		break;
	}
	case BEHAVIOUR_TEETH:
		shape_teeth(m, k->period / 6, k->amplitude * 2);
		break;
	case BEHAVIOUR_LONG_TEETH:
		shape_teeth(m, k->period / 2, k->amplitude * 2);
		break;
	case BEHAVIOUR_STEP:
		shape_steps(m);
		break;
	case BEHAVIOUR_BATCH:
		shape_batch(m);
		break;
	case BEHAVIOUR_DEPLOYS:
		shape_deploys(m);
		break;
	case BEHAVIOUR_CONNECTIONS:
		shape_connections(m);
		break;
	case BEHAVIOUR_PLATEAU: {
		size_t at = (size_t)between(&m->s, 0.1 * (double)m->n, 0.9 * (double)m->n);

		shape_saturating(m, k->tau / 12, k->level2, at);
		break;
	}
	case BEHAVIOUR_LOAD:
		shape_load(m);
		break;
	case BEHAVIOUR_BURST:
		shape_bursts(m);
		break;
	case BEHAVIOUR_RETENTION:
		shape_retention(m);
		break;
	case BEHAVIOUR_RESTARTS:
		shape_restarts(m);
		break;
	case BEHAVIOUR_MIXED: {
		double dip = 0;

		for (size_t i = 0; i < m->n; i++) {
			if (draw_uniform(&m->s) < 1 / 40.)
				dip = between(&m->s, 0.1, 0.3);
			m->healthy[i] -= dip;
			dip *= 0.7;
		}
		break;
	}
	default:
		break;
	}
}

/* A new version starts: what a start does, it does again. */
static void begin_anew(struct maker *m, size_t start)
{
	double *first = get(m->n, sizeof(*first));

	memcpy(first, m->healthy, m->n * sizeof(*first));
	for (size_t i = start; i < m->n; i++) {
		m->generation[i] = 1000 + m->generation[i - start] % 1000;
		switch (m->p->behaviour) {
		case BEHAVIOUR_WARM_UP:
		case BEHAVIOUR_CACHE:
		case BEHAVIOUR_RING:
		case BEHAVIOUR_REFILL:
		case BEHAVIOUR_RESTARTS:
		case BEHAVIOUR_DEPLOYS:
			m->healthy[i] = first[i - start];
			break;
		default:
			break;
		}
	}
	free(first);
}

static double day_load(size_t i)
{
	return 1 + 0.8 * sin(6.283185307 * (double)(i % 24) / 24);
}

/* Bytes leaked so far as a share of the baseline; the mean rate is the plan's from the start on. */
static void leak(struct maker *m, size_t start)
{
	double rate = m->p->rate / 24, sum = 0, every = between(&m->s, 6, 24), next = every;
	double portion = rate * between(&m->s, 24, 48);

	for (size_t i = start; i < m->n; i++) {
		if (i > start && m->generation[i] != m->generation[i - 1])
			sum = 0;
		switch (m->p->leak) {
		case LEAK_STEADY:
		case LEAK_BIRTH:
			sum += rate;
			break;
		case LEAK_DAILY:
			sum += rate * day_load(i);
			break;
		case LEAK_STAIR:
			if ((double)(i - start) >= next) {
				sum += rate * every;
				next += every;
			}
			break;
		case LEAK_SPIKE:
			if (draw_uniform(&m->s) < rate / portion)
				sum += portion;
			break;
		case LEAK_RANDOM:
			sum += rate * -log(draw_uniform(&m->s));
			break;
		default:
			abort();
		}
		m->leaked[i] = sum;
	}
}

static void make_noise(struct maker *m)
{
	double rho = m->p->memory, v = draw_normal(&m->s);

	for (size_t i = 0; i < m->n; i++) {
		m->noise[i] = m->p->noise * v;
		v = rho * v + sqrt(1 - rho * rho) * draw_normal(&m->s);
	}
}

/* What is random in the healthy behaviour is noise to the oracle, too: variance and memory of both
 * together, from the sample. What a component does by rule (day, week, filling) it knows. */
static void random_part(const struct maker *m, double *ret_sigma, double *ret_rho)
{
	double mean = 0, c0 = 0, c1 = 0;

	*ret_sigma = m->p->noise;
	*ret_rho = m->p->memory;
	switch (m->p->behaviour) {
	case BEHAVIOUR_TEETH:
	case BEHAVIOUR_LONG_TEETH:
	case BEHAVIOUR_BURST:
	case BEHAVIOUR_MIXED:
	case BEHAVIOUR_RETENTION:
	case BEHAVIOUR_REFILL:
	case BEHAVIOUR_BATCH:
	case BEHAVIOUR_CONNECTIONS:
		break;
	default:
		return;
	}
	for (size_t i = 0; i < m->n; i++)
		mean += (m->healthy[i] + m->noise[i]) / (double)m->n;
	for (size_t i = 0; i < m->n; i++) {
		double d = m->healthy[i] + m->noise[i] - mean;

		c0 += d * d;
		if (i > 0)
			c1 += d * (m->healthy[i - 1] + m->noise[i - 1] - mean);
	}
	*ret_sigma = sqrt(c0 / (double)m->n);
	*ret_rho = c1 / c0;
}

/* What the whitened leak up to hour `end` stands out by when its level is unknown and, unless the
 * reading is `mild`, one step anywhere may explain what it can. In noise variances. */
static double told_apart(const double *sum, const double *squares, size_t end, bool mild)
{
	double n = (double)end, total = squares[end], mean = sum[end] / n, left;
	double best = 0;

	left = total - sum[end] * mean;
	if (mild)
		return left;
	for (size_t s = 1; s < end; s++) {
		double a = sum[s] / (double)s, b = (sum[end] - sum[s]) / (n - (double)s);
		double gain = (double)s * (a - mean) * (a - mean) +
			(n - (double)s) * (b - mean) * (b - mean);

		best = gain > best ? gain : best;
	}
	return left - best;
}

/* The hour from which the expected score of the matched filter is at least z: what nobody who sees
 * only the series can beat. The level is unknown, and a trend is one only if it is not a step; the
 * mild reading asks only that it is not a constant. */
static size_t oracle_hour(const struct maker *m, size_t start, double z, bool mild)
{
	double rho, sigma, need, *sum = get(m->n + 1, sizeof(*sum)),
				 *squares = get(m->n + 1, sizeof(*squares));
	size_t lo = start, hi = m->n;

	random_part(m, &sigma, &rho);
	need = z * z * sigma * sigma * (1 - rho * rho);
	for (size_t i = 0; i < m->n; i++) {
		double w = m->leaked[i] - (i > 0 ? rho * m->leaked[i - 1] : 0);

		sum[i + 1] = sum[i] + w;
		squares[i + 1] = squares[i] + w * w;
	}
	/* Nearly monotone: more of a leak is more evidence. */
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (told_apart(sum, squares, mid + 1, mild) >= need)
			hi = mid;
		else
			lo = mid + 1;
	}
	free(sum);
	free(squares);
	return lo < m->n ? lo : SIZE_MAX;
}

static void lose(struct maker *m, struct entity_series *e)
{
	if (m->p->behaviour == BEHAVIOUR_GLITCH) {
		for (size_t i = 0; i < m->n; i++) {
			double u = draw_uniform(&m->s);

			if (u < 0.004)
				e->bytes[i] = 0;
			else if (u < 0.008)
				e->bytes[i] *= between(&m->s, 1.5, 20);
		}
	}
	if (m->p->behaviour == BEHAVIOUR_GAPS) {
		size_t away = 0;

		for (size_t i = 0; i < m->n; i++) {
			if (away == 0 && draw_uniform(&m->s) < 0.05)
				away = 1 + (size_t)log_between(&m->s, 1, 30);
			if (away > 0) {
				e->bytes[i] = NAN;
				away--;
			}
		}
	}
	if (m->p->behaviour == BEHAVIOUR_COARSE) {
		double quantum = 0.01 * m->k.base * 2;

		for (size_t i = 0; i < m->n; i++)
			e->bytes[i] = floor(e->bytes[i] / quantum) * quantum;
	}
}

void generate(
	const struct plan *p, double oracle_z, struct group *ret, size_t *oracle, size_t *mild)
{
	/* Through the generator once: seeds that differ by one must not give neighbouring states.
	 */
	uint64_t s = p->seed ^ (uint64_t)p->behaviour << 40 ^ (uint64_t)p->leak << 50;
	struct maker m = {.p = p, .n = p->hours};
	size_t leaking = p->rate > 0 ? (size_t)ceil(p->share * (double)p->hosts) : 0;
	double onset = between(&s, 0.15, 0.6);

	m.k = (struct kind){
		.base = log_between(&s, 20e6, 20e9),
		.amplitude = log_between(&s, 0.03, 0.25),
		.tau = log_between(&s, 6, 60),
		.period = between(&s, 24, 60),
		.level2 = log_between(&s, 0.2, 2),
		.start_phase = draw_uniform(&s),
	};
	*ret = (struct group){.step_s = 3600, .n = p->hours, .n_entities = p->hosts};
	ret->entity = get(p->hosts, sizeof(*ret->entity));
	for (size_t e = 0; e < p->hosts; e++) {
		struct entity_series *v = &ret->entity[e];
		double base = m.k.base * exp(0.2 * draw_normal(&s));

		m.s = draw(&s);
		m.healthy = get(m.n, sizeof(double));
		m.leaked = get(m.n, sizeof(double));
		m.noise = get(m.n, sizeof(double));
		m.load = get(m.n, sizeof(double));
		m.generation = get(m.n, sizeof(uint32_t));
		v->bytes = get(m.n, sizeof(double));
		snprintf(v->host, sizeof(v->host), "h%zu", e);
		v->behaviour = p->behaviour;
		v->leaks = e < leaking;
		v->leak_start = m.n;
		for (size_t i = 0; i < m.n; i++)
			m.load[i] = 1;
		shape(&m);
		make_noise(&m);
		if (v->leaks) {
			/* A release comes to all hosts within a day. */
			v->leak_start = (size_t)(onset * (double)m.n) + draw(&m.s) % 24;
			v->rate = p->rate;
			if (p->leak == LEAK_BIRTH)
				begin_anew(&m, v->leak_start);
			leak(&m, v->leak_start);
		}
		oracle[e] = v->leaks ? oracle_hour(&m, v->leak_start, oracle_z, false) : SIZE_MAX;
		if (mild)
			mild[e] = v->leaks ? oracle_hour(&m, v->leak_start, oracle_z, true)
					   : SIZE_MAX;
		for (size_t i = 0; i < m.n; i++) {
			double x = m.healthy[i] + m.leaked[i] + m.noise[i];

			v->bytes[i] = base * (x > 0.01 ? x : 0.01);
		}
		lose(&m, v);
		v->load = m.load;
		v->generation = m.generation;
		free(m.healthy);
		free(m.leaked);
		free(m.noise);
	}
}
