/*
 * resin-agent: looks at this host, tells the server, obeys its orders as far as the policy allows.
 * Needs no privilege.
 */
#include "cmd/agent.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/units.h"
#include "build-config.h"
#include "cmd/say.h"

#define MIN_PERIOD_NS (10 * NSEC_PER_MSEC)
#define MAX_WAIT_MS 1000

static volatile sig_atomic_t stopping;

static void on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

uint64_t agent_period_ns(const struct agent *a)
{
	uint64_t p = a->set.period_ns / a->pace;

	return p < MIN_PERIOD_NS ? MIN_PERIOD_NS : p;
}

static void tick(struct agent *a)
{
	autobuf struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	struct batch batch;

	if (sampler_tick(&a->sampler, &batch, &err) < 0) {
		say_warning("a look at this host failed: %s", err.msg);
		return;
	}
	batch.pace = a->pace;
	batch.period_ns = agent_period_ns(a);
	batch.dropped = a->link.samples.dropped;
	if (wire_encode_batch(&batch, &b, &err) < 0 ||
		queue_put(&a->link.samples, batch.seq, b.data, b.len) < 0)
		say_warning("a batch was lost: %s", err.msg[0] ? err.msg : "it is too large");
	helper_ask_identities(a);
}

static int wait_for_something(struct agent *a, uint64_t now)
{
	struct curl_waitfd fds[2];
	struct helper_job *jobs[2] = {&a->identify, &a->profile};
	uint64_t wait_ms = a->next_tick_ns > now ? (a->next_tick_ns - now) / NSEC_PER_MSEC + 1 : 0;
	unsigned n = 0;

	for (int i = 0; i < 2; i++)
		if (jobs[i]->fd >= 0)
			fds[n++] =
				(struct curl_waitfd){.fd = jobs[i]->fd, .events = CURL_WAIT_POLLIN};
	return curl_multi_poll(a->link.multi, fds, n,
		       wait_ms < MAX_WAIT_MS ? (int)wait_ms : MAX_WAIT_MS, NULL) == CURLM_OK
		? 0
		: -EIO;
}

static void loop(struct agent *a)
{
	while (!stopping) {
		uint64_t now = clock_mono_ns(&clock_system);

		if (now >= a->next_tick_ns) {
			tick(a);
			a->next_tick_ns += agent_period_ns(a);
			if (a->next_tick_ns < now)
				a->next_tick_ns = now + agent_period_ns(a); /* we were late: skip */
		}
		if (a->ask_again_at_ns && now > a->ask_again_at_ns) {
			a->ask_again_at_ns = 0;
			sampler_ask_again(&a->sampler);
		}
		link_pump(a, now);
		if (wait_for_something(a, now) < 0)
			return;
		now = clock_mono_ns(&clock_system);
		link_finished(a, now);
		helper_on_ready(a, &a->identify, now);
		helper_on_ready(a, &a->profile, now);
	}
}

static int prepare(struct agent *a, const char *config_path, char **overrides, int n_overrides,
	struct err *err)
{
	int r = settings_load(&a->config, &a->set, config_path, err);

	for (int i = 0; i < n_overrides && r == 0; i++) {
		char *eq = strchr(overrides[i], '=');

		if (!eq)
			return err_set(err, -EINVAL, "--set %s: expected KEY=VALUE", overrides[i]);
		*eq = 0;
		r = config_set(&a->config, "agent", overrides[i], eq + 1, "--set", 0, err);
	}
	if (r < 0)
		return r;
	if (mkdir(a->set.state_dir, 0700) < 0 && errno != EEXIST)
		return err_set(
			err, -errno, "cannot make the state folder %s: %m", a->set.state_dir);
	if (access(a->set.state_dir, W_OK) < 0)
		return err_set(
			err, -errno, "cannot write to the state folder %s: %m", a->set.state_dir);
	r = helper_prune_nonces(a, err);
	if (r == 0)
		r = link_open(a, err);
	return r < 0 ? r
		     : sampler_open(&a->sampler, a->set.proc_root, a->set.host, &clock_system, err);
}

static void usage(void)
{
	puts("Usage: resin-agent [--config=FILE] [--set KEY=VALUE]...\n"
	     "Samples this host's processes and reports to the server. See resin-agent(8).\n\n"
	     "  --config=FILE     default " RESIN_CONFIG_DIR "/resin.conf\n"
	     "  --set KEY=VALUE   a key of [agent], as in resin.conf(5)\n"
	     "  --help, --version");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"set", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	static struct agent agent = {.pace = 1, .identify.fd = -1, .profile.fd = -1};
	struct sigaction sa = {.sa_handler = on_signal};
	const char *config_path = NULL;
	struct err err = ERR_INIT;
	char *overrides[16];
	int n = 0, c, r;

	say_name("resin-agent");
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'c') {
			config_path = optarg;
		} else if (c == 's' && n < 16) {
			overrides[n++] = optarg;
		} else if (c == 'h') {
			usage();
			return EXIT_DONE;
		} else if (c == 'V') {
			puts("resin-agent " RESIN_VERSION);
			return EXIT_DONE;
		} else {
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		say_error("unexpected argument '%s'", argv[optind]);
		return EXIT_USAGE;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = prepare(&agent, config_path, overrides, n, &err);
	if (r == 0) {
		agent.next_tick_ns = clock_mono_ns(&clock_system);
		say_info("host %s, every %llu ms, to %s", agent.sampler.host,
			(unsigned long long)(agent_period_ns(&agent) / NSEC_PER_MSEC),
			agent.link.url);
		loop(&agent);
	} else {
		say_error("%s", err.msg);
	}
	if (agent.identify.fd >= 0)
		helper_job_end(&agent.identify);
	if (agent.profile.fd >= 0)
		helper_job_end(&agent.profile);
	if (agent.link.multi)
		link_close(&agent.link);
	sampler_close(&agent.sampler);
	config_done(&agent.config);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
