#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/units.h"
#include "build-config.h"
#include "cmd/cmd.h"
#include "cmd/say.h"
#include "cmd/settings.h"
#include "serve/http.h"

#define TICK_NS NSEC_PER_SEC

static volatile sig_atomic_t stopping;

static void on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

static void log_error(const char *text)
{
	say_error("%s", text);
}

/* Reads the secret, or makes one that only we (and root) can read. */
static int get_token(const char *path, struct auth_key *ret, struct err *err)
{
	autobuf struct buf text = BUF_INIT(4096);
	uint8_t secret[AUTH_SECRET_BYTES];
	char hex[2 * AUTH_SECRET_BYTES + 1], line[sizeof(hex) + 1];
	autoclose int fd = -1;
	int r = config_read_file(path, &text, err);

	if (r < 0)
		return r;
	if (r == 0) {
		if (!text.data || auth_key_parse(text.data, ret) < 0)
			return err_set(err, -EINVAL,
				"%s does not hold 64 hex digits; remove it to get a new token",
				path);
		return 0;
	}
	r = auth_random(secret, sizeof(secret), err);
	if (r < 0)
		return r;
	auth_hex(secret, sizeof(secret), hex);
	snprintf(line, sizeof(line), "%s\n", hex);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line) || fsync(fd) < 0)
		return err_set(err, -errno, "cannot write the token %s: %m", path);
	memcpy(ret->secret, secret, sizeof(secret));
	return 0;
}

static int make_data_dir(const char *dir, struct err *err)
{
	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		return err_set(err, -errno,
			"cannot make the data directory %s: %m; --data takes another", dir);
	if (access(dir, W_OK | X_OK) < 0)
		return err_set(err, -errno,
			"cannot write to the data directory %s: %m; --data takes another", dir);
	return 0;
}

static struct pipeline_settings pipeline_settings_of(const struct settings *s)
{
	return (struct pipeline_settings){
		.localize = {.min_steps = (uint32_t)s->min_steps,
			.warm_up_steps = (uint32_t)s->warm_up_steps,
			.min_growth_bytes = s->min_growth_bytes,
			.min_growth_share = (double)s->min_growth_percent / 100},
		.step_ns = s->step_ns,
		.hour_ns = s->hour_ns,
		.retention_ns = s->retention_ns,
		.campaign_duration_ns = s->campaign_duration_ns,
		.campaign_period_bytes = s->campaign_period_bytes,
		.campaign_attempts = s->campaign_attempts,
		.campaign_expiry_ns = s->campaign_expiry_ns,
		.campaign_per_hour = s->campaign_per_hour,
	};
}

static int loop(struct http *http, struct pipeline *p, struct err *err)
{
	uint64_t next = 0;
	int r = 0;

	while (!stopping && r == 0) {
		uint64_t now = clock_mono_ns(&clock_system);

		if (now >= next) {
			struct err tick = ERR_INIT;

			/* A disk that is full now may have room later. */
			if (pipeline_tick(p, &tick) < 0)
				say_error("%s", tick.msg);
			next = now + TICK_NS;
		}
		r = http_run(http, 200, err);
	}
	return r;
}

static int serve(const struct settings *s, struct err *err)
{
	struct pipeline_settings ps = pipeline_settings_of(s);
	struct pipeline pipeline = {0};
	struct api api = {.pipeline = &pipeline, .version = RESIN_VERSION};
	struct store *store = NULL;
	struct http *http = NULL;
	char token[4200];
	int r;

	if (*s->server_token)
		snprintf(token, sizeof(token), "%s", s->server_token);
	else
		snprintf(token, sizeof(token), "%s/token", s->data_dir);
	if (s->min_steps + s->warm_up_steps + 8 > HEAD_POINTS)
		return err_set(err, -ERANGE,
			"[detect] min_steps + warm_up_steps is more than the %u steps that are kept",
			HEAD_POINTS - 8);
	r = make_data_dir(s->data_dir, err);
	if (r == 0)
		r = get_token(token, &api.key, err);
	if (r == 0)
		r = store_open(&store, s->data_dir, err);
	if (r == 0)
		r = pipeline_init(&pipeline, store, &clock_system, &ps, err);
	if (r == 0)
		r = http_open(&http, &api, s->listen, log_error, err);
	if (r == 0) {
		say_info("data in %s, %zu entities and %zu tickets known", s->data_dir,
			pipeline.head.n, pipeline.n_tickets);
		/* Data, not talk: whoever started us wants to know where to look. */
		printf("http://%.*s:%u/\n", (int)(strrchr(s->listen, ':') - s->listen), s->listen,
			http_port(http));
		fflush(stdout);
		r = loop(http, &pipeline, err);
		if (r == 0)
			r = pipeline_save(&pipeline, err);
		say_info("stopped");
	}
	http_close(http);
	pipeline_done(&pipeline);
	store_close(store);
	return r;
}

int cmd_server(int argc, char **argv)
{
	static const struct option options[] = {{"data", required_argument, NULL, 'd'},
		{"listen", required_argument, NULL, 'l'}, {"token", required_argument, NULL, 't'},
		{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	const char *data = NULL, *listen = NULL, *token = NULL, *config_path = NULL;
	struct sigaction sa = {.sa_handler = on_signal};
	struct settings s;
	struct config config;
	struct err err = ERR_INIT;
	int c, r;

	while ((c = next_option("server", argc, argv, options)) != -1) {
		if (c == 'd')
			data = optarg;
		else if (c == 'l')
			listen = optarg;
		else if (c == 't')
			token = optarg;
		else if (c == 'c')
			config_path = optarg;
		else
			return c == -2 ? EXIT_DONE : EXIT_USAGE;
	}
	if (optind < argc)
		return usage_error("server", "unexpected argument '%s'", argv[optind]);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	say_name("resin server");
	r = settings_load(&config, &s, config_path, &err);
	if (r == 0) {
		s.data_dir = data ? data : s.data_dir;
		s.listen = listen ? listen : s.listen;
		s.server_token = token ? token : s.server_token;
		r = serve(&s, &err);
	}
	config_done(&config);
	if (r < 0)
		say_error("%s", err.msg);
	return r == 0 ? EXIT_DONE : err.code == -EACCES ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}
