#include "pivot/anomaly.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define VERSION 1u
#define QUANTILES 20u
#define WEEK_H 168u
#define BETTER .9      /* a shape is used when its mean square error is below that of the rest */
#define ENOUGH 15.     /* host-hours from which an edge has a persistence of its own */
#define HALF_A_HOST .5 /* prior: Jeffreys' */
#define MAX_WIDEN 6.
#define HEADROOM (3 * PIVOT_FINE_PER_DOUBLING)

void anomaly_init(struct anomaly *a)
{
	memset(a, 0, sizeof(*a));
	a->version = VERSION;
}

void anomaly_relearn(struct anomaly *a)
{
	uint64_t hour = a->hour;

	anomaly_init(a);
	a->hour = hour;
}

static void add_edge(struct anomaly *a, unsigned fine)
{
	if (a->n_edges == ANOMALY_EDGES || fine == 0 || fine >= PIVOT_FINE ||
		(a->n_edges && a->edge[a->n_edges - 1].fine >= fine))
		return;
	a->edge[a->n_edges++] = (struct anomaly_edge){.fine = (uint16_t)fine};
}

/*
 * Edges where the hosts are: above each 20th part of the host-hours; all the others above the
 * highest host, every fine edge at first, then wider and wider, for three doublings.
 */
static void choose_edges(struct anomaly *a)
{
	double total = 0, below = 0;
	unsigned top = 0, next = 1, left, wide;

	for (unsigned f = 0; f < PIVOT_FINE; f++) {
		total += a->chosen[f];
		if (a->chosen[f] > 0)
			top = f;
	}
	for (unsigned f = 0; f < top; f++) {
		below += a->chosen[f];
		if (below * QUANTILES < total * next)
			continue;
		while (next < QUANTILES && below * QUANTILES >= total * next)
			next++;
		add_edge(a, f + 1);
	}
	add_edge(a, top);
	a->n_inner = a->n_edges;
	left = ANOMALY_EDGES - a->n_edges;
	wide = left < HEADROOM ? HEADROOM - left : 0;
	for (unsigned i = 1; i <= left; i++)
		add_edge(a, top + i + (unsigned)(wide * pow((double)i / left, 3)));
	if (!a->n_edges)
		add_edge(a, 1);
	/* What was counted so far is known for every edge. */
	for (unsigned e = 0; e < a->n_edges; e++) {
		struct anomaly_edge *x = &a->edge[e];

		for (unsigned f = x->fine; f < PIVOT_FINE; f++)
			x->level += a->chosen[f];
		x->level = total > 0 ? x->level / total : 0;
		x->slow = x->level;
	}
}

/* What the shapes add to a share at this hour. Of a rise they would learn how far `slow` lags
 * behind it, the same for every hour: their means are taken off. */
static double shape_of(const struct anomaly_edge *x, unsigned shape, unsigned hour, unsigned day)
{
	return (shape >= 1 ? x->day[hour] - x->day_sum / 24 : 0) +
		(shape >= 2 ? x->week[day] - x->week_sum / 7 : 0);
}

/* Hours in which a host's being above the edge is remembered. */
static double tau_of(const struct anomaly_edge *x)
{
	double one, twelve;

	if (!(x->var > 0))
		return 0;
	one = fmin(x->cov1 / x->var, .98);
	twelve = fmin(x->cov12 / x->var, .98);
	one = one > .05 ? -1 / log(one) : 0;
	twelve = twelve > .15 ? -(double)ANOMALY_LAG / log(twelve) : 0;
	return fmax(one, twelve);
}

static double deviance(double x, double p)
{
	return (x > 0 ? x * log(x / p) : 0) + (x < 1 ? (1 - x) * log((1 - x) / (1 - p)) : 0);
}

struct look {
	double share, expected, draws, z;
};

/* n hosts, of which `share` are above the edge where `p` are expected to be. */
static struct look judge(const struct anomaly *a, const struct anomaly_edge *x, double n,
	double share, double p, double tau)
{
	struct look l = {.share = share, .expected = p * n};
	double known, phi;

	l.draws = fmax(fmin(a->hours, ANOMALY_LEARN_HOURS) / (1 + 2 * tau), 1);
	/* A host that came later was looked at never before, however often the others were. */
	l.draws = 1 + (l.draws - 1) * fmin(1, a->hosts / n);
	known = l.draws * a->hosts;
	p = (p * known + HALF_A_HOST) / (known + 2 * HALF_A_HOST);
	if (share <= p)
		return l;
	phi = x->var * n / (p * (1 - p)) * fmin((l.draws + 1) / fmax(l.draws - 1, .1), MAX_WIDEN);
	phi = fmax(phi, 1 + n / known);
	l.z = sqrt(2 * n * deviance(share, p) / phi);
	return l;
}

static void learn_slot(float *slot, float *sum, double value, double n)
{
	float by = (float)((value - *slot) / n);

	*slot += by;
	*sum += by;
}

static void learn_shape(
	const struct anomaly *a, struct anomaly_edge *x, double share, unsigned hour, unsigned day)
{
	double off = share - x->slow;
	double n = fmin(fmax(a->hours + 1. - 2 * ANOMALY_CHOOSE_HOURS, 1), WEEK_H);
	double e1 = off - shape_of(x, 1, hour, day), e2 = off - shape_of(x, 2, hour, day);

	if (a->seen_day[hour]) {
		x->error[0] += (float)((off * off - x->error[0]) / n);
		x->error[1] += (float)((e1 * e1 - x->error[1]) / n);
	}
	if (a->hours > 2 * WEEK_H)
		x->error[2] +=
			(float)((e2 * e2 - x->error[2]) / fmin(a->hours - 2. * WEEK_H, WEEK_H));
	x->shape = x->error[1] < BETTER * x->error[0];
	if (x->shape && a->hours > 3 * WEEK_H && x->error[2] < BETTER * x->error[1])
		x->shape = 2;
	learn_slot(&x->day[hour], &x->day_sum, off, fmin(a->seen_day[hour] + 1, 14));
	learn_slot(&x->week[day], &x->week_sum, e1, 24 * fmin(a->seen_week[day] + 1, 4));
}

static void learn_errors(const struct anomaly *a, struct anomaly_edge *x, double off)
{
	double n = a->hours + 1. - ANOMALY_CHOOSE_HOURS;
	unsigned at = a->hours % ANOMALY_LAG;

	x->var += (off * off - x->var) / n;
	x->cov1 += (off * x->last[(at + ANOMALY_LAG - 1) % ANOMALY_LAG] - x->cov1) / n;
	x->cov12 += (off * x->last[at] - x->cov12) / n;
	x->last[at] = (float)off;
}

/* Hours that nobody reported are not hot. */
static void pass_hours(struct anomaly *a, uint64_t n)
{
	for (unsigned e = 0; e < a->n_edges; e++)
		a->edge[e].hot = n < 8 ? (uint8_t)(a->edge[e].hot << n) : 0;
}

static void report(const struct anomaly *a, const struct anomaly_edge *x, const struct look *l,
	struct anomaly_verdict *ret)
{
	unsigned recent = x->hot & ((1u << ANOMALY_RECENT_HOURS) - 1);
	bool abnormal = (unsigned)__builtin_popcount(recent) >= ANOMALY_HOT_HOURS;

	if (!abnormal && ret->outcome == ANOMALY_ABNORMAL)
		return;
	ret->outcome = abnormal ? ANOMALY_ABNORMAL : ANOMALY_HOT;
	ret->n_edges += abnormal;
	ret->edge_bytes = pivot_fine_edge(x->fine);
	ret->count = (uint32_t)llround(l->share * ret->hosts);
	ret->expected = l->expected;
	ret->excess = l->share * ret->hosts - l->expected;
	ret->z = l->z;
	ret->draws = l->draws;
	ret->since_hour = a->hour - (unsigned)(31 - __builtin_clz(recent));
}

/* By how many fine edges the fleet as a whole is above its baseline. */
static double shift_of(const struct anomaly *a, const double *share)
{
	double up = 0, inside;

	if (!a->n_inner)
		return 0;
	for (unsigned e = 1; e < a->n_inner; e++) {
		const struct anomaly_edge *x = &a->edge[e], *y = x - 1;

		up += (share[e] - x->level + share[e - 1] - y->level) / 2 * (x->fine - y->fine);
	}
	inside = a->edge[0].level - a->edge[a->n_inner - 1].level;
	return up / fmax(inside, .25);
}

struct hour {
	unsigned hour, day;
	double n, shift;
	double share[ANOMALY_EDGES], shape[ANOMALY_EDGES], p[ANOMALY_EDGES];
};

static void read_hour(const struct anomaly *a, const struct pivot_row *row, struct hour *h)
{
	unsigned f = PIVOT_FINE;
	uint64_t above = 0;

	h->hour = (unsigned)(a->hour % 24);
	h->day = (unsigned)(a->hour / 24 % 7);
	for (unsigned e = a->n_edges; e-- > 0;) {
		const struct anomaly_edge *x = &a->edge[e];

		while (row && f > x->fine)
			above += row->hosts[--f];
		h->share[e] = fmin((double)above / h->n, 1);
		h->shape[e] = shape_of(x, x->shape, h->hour, h->day);
		h->p[e] = fmin(fmax(x->level + h->shape[e], 0), 1);
	}
	h->shift = shift_of(a, h->share);
}

static void judge_edges(struct anomaly *a, const struct pivot_row *row, struct anomaly_verdict *ret)
{
	struct hour h = {.n = ret->hosts};
	bool armed = a->hours >= ANOMALY_LEARN_HOURS;
	double tau = 0, need, strongest = 0;

	read_hour(a, row, &h);
	need = h.shift <= a->most_shift ? ANOMALY_INSIDE_Z : ANOMALY_Z;
	for (unsigned e = 0; e < a->n_edges; e++) {
		struct anomaly_edge *x = &a->edge[e];
		struct look l;

		/* An edge that nearly nobody reaches remembers as long as the ones below it. */
		if (x->level * a->hosts * fmin(a->hours, ANOMALY_LEARN_HOURS) >= ENOUGH)
			tau = (tau + tau_of(x)) / (tau > 0 ? 2 : 1);
		l = judge(a, x, h.n, h.share[e], h.p[e], tau);
		strongest = fmax(strongest, l.z);
		if (armed && l.z >= need && h.n * l.share - l.expected >= ANOMALY_MIN_EXCESS) {
			x->hot |= 1;
			report(a, x, &l, ret);
		}
		if (!armed) {
			x->level += (l.share - h.shape[e] - x->level) / (a->hours + 1.);
			learn_errors(a, x, l.share - x->slow - h.shape[e]);
		}
		learn_shape(a, x, l.share, h.hour, h.day);
		x->slow += (l.share - x->slow) / fmin(a->hours + 1., WEEK_H);
	}
	ret->strongest_z = strongest;
	a->shift = h.shift;
	if (!armed)
		a->most_shift = fmax(a->most_shift, h.shift);
	if (a->seen_day[h.hour] < 255)
		a->seen_day[h.hour]++;
	if (a->seen_week[h.day] < 255 && h.hour == 23)
		a->seen_week[h.day]++;
}

int anomaly_add(struct anomaly *a, uint64_t hour, const struct pivot_row *row, uint32_t hosts,
	struct anomaly_verdict *ret)
{
	uint64_t in_row = 0;

	*ret = (struct anomaly_verdict){.outcome = ANOMALY_LEARNING};
	if (a->hour && hour <= a->hour)
		return -ESTALE;
	pass_hours(a, hour - a->hour);
	a->hour = hour;
	for (unsigned f = 0; row && f < PIVOT_FINE; f++)
		in_row += row->hosts[f];
	in_row = in_row < UINT32_MAX ? in_row : UINT32_MAX;
	ret->hosts = in_row > hosts ? (uint32_t)in_row : hosts;
	if (ret->hosts < ANOMALY_MIN_HOSTS) {
		ret->outcome = ANOMALY_FEW_HOSTS;
		return 0;
	}
	if (a->hours < ANOMALY_LEARN_HOURS)
		a->hosts += (ret->hosts - a->hosts) / (a->hours + 1.);
	if (!a->n_edges) {
		for (unsigned f = 0; row && f < PIVOT_FINE; f++)
			a->chosen[f] += (float)row->hosts[f];
		a->chosen[0] += (float)(ret->hosts - in_row);
	} else {
		if (a->hours >= ANOMALY_LEARN_HOURS)
			ret->outcome = ANOMALY_NORMAL;
		judge_edges(a, row, ret);
	}
	a->hours++;
	if (!a->n_edges && a->hours == ANOMALY_CHOOSE_HOURS)
		choose_edges(a);
	return 0;
}

bool anomaly_valid(const struct anomaly *a)
{
	if (a->version != VERSION || a->n_edges > ANOMALY_EDGES || a->n_inner > a->n_edges ||

		!(a->hosts >= 0 && a->hosts <= UINT32_MAX) || !isfinite(a->shift + a->most_shift) ||
		(a->n_edges > 0) != (a->hours >= ANOMALY_CHOOSE_HOURS))
		return false;
	for (unsigned f = 0; f < PIVOT_FINE; f++)
		if (!(a->chosen[f] >= 0) || !isfinite(a->chosen[f]))
			return false;
	for (unsigned e = 0; e < a->n_edges; e++) {
		const struct anomaly_edge *x = &a->edge[e];
		double sum = x->cov1 + x->cov12;

		if (x->fine == 0 || x->fine >= PIVOT_FINE || x->shape > 2 ||
			(e && x->fine <= a->edge[e - 1].fine) ||
			!(x->level >= -1 && x->level <= 2) || !(x->slow >= -1 && x->slow <= 2) ||
			!(x->var >= 0 && x->var <= 4) || !isfinite(sum))
			return false;
		for (unsigned i = 0; i < ANOMALY_LAG; i++)
			sum += x->last[i];
		for (unsigned i = 0; i < 24; i++)
			sum += x->day[i];
		for (unsigned i = 0; i < 7; i++)
			sum += x->week[i];
		if (!isfinite(sum + x->error[0] + x->error[1] + x->error[2] + x->day_sum +
			    x->week_sum))
			return false;
	}
	return true;
}
