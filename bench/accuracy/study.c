#include "study.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ours.h"

/* Most components are small; one fleet of ten is large enough for rules that count hosts. */
#define HOSTS 10u
#define HOSTS_LARGE 60u
#define LARGE_EVERY 10u

const struct peer *study_detector(size_t d)
{
	return d ? &peers[d - 1] : &ours;
}

static struct outcome *outcome_at(const struct study *s, size_t subject, size_t d, enum setting t)
{
	return &s->outcome[(subject * s->detectors + d) * SETTINGS + t];
}

const struct outcome *study_outcome(const struct study *s, size_t subject, size_t d, enum setting t)
{
	return outcome_at(s, subject, d, t);
}

const char *const oracle_names[ORACLES] = {
	"told from one step",
	"against a constant",
};

const struct plan *study_plan_of(const struct study *s, size_t subject)
{
	return &s->fleet[s->subject[subject].fleet].plan;
}

double study_delay_ratio(
	const struct study *s, size_t subject, size_t d, enum setting t, enum oracle o)
{
	const struct outcome *r = study_outcome(s, subject, d, t);

	return r->delay ? (double)r->delay / s->subject[subject].oracle[o] : INFINITY;
}

bool study_has(const struct study *s, int behaviour, int leak)
{
	for (size_t i = 0; i < s->fleets; i++)
		if ((int)s->fleet[i].plan.behaviour == behaviour ||
			(int)s->fleet[i].plan.leak == leak)
			return true;
	return false;
}

/* --- one fleet ------------------------------------------------------------------------------ */

static uint16_t oracle_delay(size_t hour, size_t leak_start)
{
	return hour == SIZE_MAX ? 0 : (uint16_t)(hour + 1 - leak_start);
}

static void run_fleet(struct study *s, const struct fleet_plan *f, uint32_t number,
	enum setting setting, struct ladder *ladders)
{
	size_t strict[HOSTS_LARGE], mild[HOSTS_LARGE], hours = f->plan.hours;
	float *score = malloc(f->plan.hosts * hours * sizeof(*score));
	struct group g;

	if (!score)
		abort();
	generate(&f->plan, STUDY_Z, &g, strict, mild);
	for (size_t e = 0; e < g.n_entities; e++) {
		size_t start = g.entity[e].leak_start;

		s->subject[f->first + e] = (struct subject){
			.fleet = number,
			.leaks = g.entity[e].leaks,
			.clean_weeks = (float)start / 168,
			.left = (uint16_t)(hours - start),
			.oracle = {oracle_delay(strict[e], start), oracle_delay(mild[e], start)},
		};
	}
	for (size_t d = setting == SETTING_MATCHED; d < s->detectors; d++) {
		const struct peer *p = study_detector(d);

		p->run(&g, hours, score);
		for (size_t e = 0; e < g.n_entities; e++) {
			size_t start = g.entity[e].leak_start;

			*outcome_at(s, f->first + e, d, setting) = alarms_judge(score + e * hours,
				hours, p->train_hours, start, s->threshold[d][setting]);
			if (setting == SETTING_PUBLISHED)
				ladder_count(&ladders[d], score + e * hours, p->train_hours, start);
		}
	}
	free(score);
	group_done(&g);
}

/* --- the whole ------------------------------------------------------------------------------ */

/* Every fleet's seed is drawn: the generator's streams of neighbouring seeds overlap. */
static uint64_t seed_of(const struct study_options *o, unsigned b, unsigned l, size_t fleet)
{
	uint64_t s = o->seed, k = ((uint64_t)o->tuning << 16 | b << 8 | l) << 32 | fleet;

	s = draw(&s) ^ k;
	return draw(&s);
}

static void plan_fleets(const struct study_options *o, struct study *s)
{
	size_t room = (size_t)BEHAVIOUR_MAX_ * LEAK_MAX_ * o->fleets;

	s->fleet = calloc(room, sizeof(*s->fleet));
	if (!s->fleet)
		abort();
	for (unsigned b = 0; b < BEHAVIOUR_MAX_; b++) {
		for (unsigned l = 0; l < LEAK_MAX_; l++) {
			if (behaviour_held[b] == o->tuning || leak_held[l] == o->tuning)
				continue;
			for (size_t i = 0; i < o->fleets; i++) {
				bool large = i % LARGE_EVERY == LARGE_EVERY - 1;
				/* Half of the large ones leak, too. */
				bool leaks = (i + i / LARGE_EVERY) % 2;
				struct fleet_plan *f = &s->fleet[s->fleets++];

				f->plan = plan_draw(seed_of(o, b, l, i), b, l, leaks,
					large ? HOSTS_LARGE : HOSTS);
				f->first = s->subjects;
				s->subjects += f->plan.hosts;
			}
		}
	}
}

static void *map(size_t n, size_t size)
{
	void *p = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("accuracy: mmap");
		abort();
	}
	return p;
}

static int run_pass(struct study *s, const struct study_options *o, enum setting setting,
	struct ladder *ladders)
{
	/* Who is free takes the next fleet: they differ in size. */
	_Atomic size_t *next = map(1, sizeof(*next));
	size_t running = 0;
	int rc = 0, status;

	fflush(NULL);
	for (size_t j = 0; j < o->jobs; j++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("accuracy: fork");
			rc = -1;
			break;
		}
		if (!pid) {
			for (size_t i; (i = atomic_fetch_add(next, 1)) < s->fleets;)
				run_fleet(s, &s->fleet[i], (uint32_t)i, setting,
					ladders + j * s->detectors);
			_exit(0);
		}
		running++;
	}
	for (; running > 0; running--)
		if (wait(&status) < 0 || status != 0)
			rc = -1;
	munmap((void *)next, sizeof(*next));
	if (rc < 0)
		fprintf(stderr, "accuracy: a part of the study failed\n");
	return rc;
}

int study_run(const struct study_options *o, struct study *ret)
{
	struct study s = {.detectors = n_peers + 1};
	struct ladder *ladders;
	long alarms = 0;
	int rc;

	assert(s.detectors <= STUDY_DETECTORS && o->jobs > 0);
	plan_fleets(o, &s);
	s.subject = map(s.subjects, sizeof(*s.subject));
	s.outcome = map(s.subjects * s.detectors * SETTINGS, sizeof(*s.outcome));
	ladders = map(o->jobs * s.detectors, sizeof(*ladders));
	for (size_t d = 0; d < s.detectors; d++)
		for (size_t t = 0; t < SETTINGS; t++)
			s.threshold[d][t] = (float)study_detector(d)->published;
	rc = run_pass(&s, o, SETTING_PUBLISHED, ladders);
	for (size_t i = 0; i < s.subjects; i++) {
		*outcome_at(&s, i, 0, SETTING_MATCHED) = *outcome_at(&s, i, 0, SETTING_PUBLISHED);
		alarms += outcome_at(&s, i, 0, SETTING_PUBLISHED)->alarms;
	}
	for (size_t d = 1; d < s.detectors; d++)
		s.threshold[d][SETTING_MATCHED] =
			ladder_match(&ladders[d], o->jobs, s.detectors, alarms);
	if (!rc)
		rc = run_pass(&s, o, SETTING_MATCHED, ladders);
	munmap(ladders, o->jobs * s.detectors * sizeof(*ladders));
	if (rc < 0)
		study_done(&s);
	else
		*ret = s;
	return rc;
}

void study_done(struct study *s)
{
	free(s->fleet);
	munmap(s->subject, s->subjects * sizeof(*s->subject));
	munmap(s->outcome, s->subjects * s->detectors * SETTINGS * sizeof(*s->outcome));
	*s = (struct study){0};
}
