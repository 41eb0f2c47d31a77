/*
 * What the end of an hour costs the server: hours HOSTS PROCESSES HOURS DIR.
 *
 * Drives the pipeline without a socket and with a clock of its own: two batches an hour of each
 * host, all processes with another size every time. Prints, for each hour, how long the batches
 * took that ended the hour before, how long the others, and the slowest; then a clean stop and a
 * start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/units.h"
#include "serve/pipeline.h"

#define HOUR_NS (3600 * NSEC_PER_SEC)
#define MIB (1u << 20)

static uint64_t now_ns = 472222 * HOUR_NS;

static uint64_t fake_now(void *arg)
{
	(void)arg;
	return now_ns;
}

static const struct clock fake_clock = {fake_now, fake_now, NULL};

static const struct pipeline_settings settings = {
	.localize = {.min_steps = 48,
		.warm_up_steps = 8,
		.min_growth_bytes = 8 * MIB,
		.min_growth_share = 0.02},
	.step_ns = 120 * NSEC_PER_SEC,
	.retention_ns = 720 * HOUR_NS,
	.hour_ns = HOUR_NS,
	.campaign_duration_ns = 1200 * NSEC_PER_SEC,
	.campaign_period_bytes = 512u << 10,
	.campaign_attempts = 2,
	.campaign_expiry_ns = 120 * NSEC_PER_SEC,
	.campaign_per_hour = 5,
};

static struct pipeline pipeline;
static struct store *store;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int r, const struct err *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "hours: %s\n", err->msg);
	exit(1);
}

static void open_server(const char *dir)
{
	struct err err = ERR_INIT;

	check(store_open(&store, dir, &err), &err);
	check(pipeline_init(&pipeline, store, &fake_clock, &settings, &err), &err);
}

/* One batch of each host; the slowest in ret_worst. */
static double all_hosts(unsigned hosts, struct sample *samples, size_t n, double *ret_worst)
{
	static struct order orders[WIRE_MAX_ORDERS];
	static uint64_t seq;
	double start = seconds();

	for (unsigned k = 0; k < hosts; k++) {
		struct batch b = {.boot_id = "boot",
			.seq = ++seq,
			.unix_ns = now_ns,
			.period_ns = HOUR_NS / 2,
			.pace = 1,
			.samples = samples,
			.n_samples = n};
		struct err err = ERR_INIT;
		struct reply reply;
		double before = seconds(), took;

		snprintf(b.host, sizeof(b.host), "host%u", k);
		for (size_t i = 0; i < n; i++)
			samples[i].values[METRIC_ANON] = 100 * MIB + (uint64_t)rand() % MIB;
		check(pipeline_samples(&pipeline, &b, &reply, orders, &err), &err);
		took = seconds() - before;
		*ret_worst = took > *ret_worst ? took : *ret_worst;
	}
	return seconds() - start;
}

int main(int argc, char **argv)
{
	unsigned hosts = argc > 4 ? (unsigned)atoi(argv[1]) : 0;
	size_t n = argc > 4 ? (size_t)atoi(argv[2]) : 0;
	struct sample *samples = calloc(n + 1, sizeof(*samples));
	char(*names)[32] = calloc(n + 1, sizeof(*names));
	struct err err = ERR_INIT;
	struct rusage use;
	double start;

	if (!hosts || !n || !samples || !names)
		return 2;
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "program%zu", i);
		samples[i] = (struct sample){.kind = ENTITY_PROCESS,
			.pid = (uint32_t)i + 1,
			.start_ticks = 7,
			.component = names[i],
			.version = "v",
			.present = 1u << METRIC_ANON};
	}
	open_server(argv[4]);
	for (int h = 0; h < atoi(argv[3]); h++) {
		double ends, others, worst = 0;

		ends = all_hosts(hosts, samples, n, &worst);
		now_ns += HOUR_NS / 2;
		others = all_hosts(hosts, samples, n, &worst);
		now_ns += HOUR_NS / 2;
		check(pipeline_tick(&pipeline, &err), &err);
		getrusage(RUSAGE_SELF, &use);
		printf("hour %d: batches that end one %.2f s, others %.2f s, slowest %.0f ms; %zu "
		       "chains, %ld MB\n",
			h, ends, others, worst * 1e3, pipeline.watch.n_chains,
			use.ru_maxrss / 1024);
	}
	start = seconds();
	check(pipeline_save(&pipeline, &err), &err);
	printf("clean stop %.2f s\n", seconds() - start);
	pipeline_done(&pipeline);
	store_close(store);
	start = seconds();
	open_server(argv[4]);
	printf("start %.2f s, %zu chains\n", seconds() - start, pipeline.watch.n_chains);
	pipeline_done(&pipeline);
	store_close(store);
	free(samples);
	free(names);
	return 0;
}
