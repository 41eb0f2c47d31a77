#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "build-config.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/paths.h"
#include "cmd/render.h"
#include "cmd/say.h"

/* Two minutes become one second. */
#define DEMO_PACE 120
#define PACE_SECONDS 240
#define GIVE_UP_NS (180 * NSEC_PER_SEC)
#define RATE "1600" /* requests a second; every fourth is a GET, every fourth GET leaks 4 KiB */

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

struct demo {
	const char *url;
	struct auth_key key;
	pid_t server, client;
	int client_out;
	uint64_t began_ns;
	uint64_t ticket; /* 0 while there is none */
	char last[256];	 /* the line that is being overwritten */
};

static double elapsed(const struct demo *d)
{
	return (double)(clock_mono_ns(&clock_system) - d->began_ns) / 1e9;
}

/* A line per stage; within a stage the line changes in place, on a terminal. */
static void stage(struct demo *d, bool done, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void stage(struct demo *d, bool done, const char *fmt, ...)
{
	bool tty = isatty(STDOUT_FILENO);
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!done && (!tty || strcmp(text, d->last) == 0))
		return;
	snprintf(d->last, sizeof(d->last), "%s", text);
	printf("%s[%5.1f s] %s%s", tty ? "\r\033[K" : "", elapsed(d), text, done ? "\n" : "");
	fflush(stdout);
}

/* Starts a part of the demo. Its standard output comes through *ret_out. */
static pid_t start(const char *part, const char *const args[], int *ret_out, struct err *err)
{
	char path[4096], *argv[8] = {(char *)(uintptr_t)part};
	int out[2];
	pid_t pid;

	if (path_of_part(part, path, sizeof(path)) < 0)
		return err_set(
			err, -ENOENT, "%s is neither beside this program nor installed", part);
	for (int i = 0; i < 6 && args[i]; i++)
		argv[i + 1] = (char *)(uintptr_t)args[i];
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_set(err, -errno, "cannot make a pipe: %m");
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
		if (dup2(out[1], STDOUT_FILENO) == STDOUT_FILENO)
			execv(path, argv);
		_exit(127);
	}
	close(out[1]);
	*ret_out = out[0];
	return pid < 0 ? err_set(err, -errno, "cannot fork: %m") : pid;
}

static int read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
	return n ? 0 : -EPIPE;
}

static int start_programs(struct demo *d, struct err *err)
{
	const char *server_args[] = {NULL}, *client_args[] = {NULL, "0", RATE, "kv", NULL};
	char port[32];
	int out, r;

	d->server = start("resin-demo-server", server_args, &out, err);
	if (d->server < 0)
		return d->server;
	r = read_line(out, port, sizeof(port));
	close(out);
	if (r < 0)
		return err_set(err, r, "the demo's server did not start");
	client_args[0] = port;
	d->client = start("resin-demo-client", client_args, &d->client_out, err);
	return d->client < 0 ? d->client : 0;
}

/* The process in the list of a path, or NULL; borrowed from *ret_doc, which the caller releases. */
static const json_t *find_by_pid(
	const struct demo *d, const char *path, const char *list, json_t **ret_doc)
{
	const json_t *v;
	size_t i;

	*ret_doc = NULL;
	if (client_get(d->url, path, ret_doc, NULL, NULL) < 0)
		return NULL;
	json_array_foreach(json_object_get(*ret_doc, list), i,
		v) if ((pid_t)json_num(v, "pid") == d->server) return v;
	return NULL;
}

static void watch_series(struct demo *d, bool *seen)
{
	json_t *doc;
	const json_t *p = find_by_pid(d, "/v1/top?limit=1000", "processes", &doc);
	char size[UNITS_BYTES_MAX];

	if (p) {
		units_bytes((uint64_t)json_num(p, "anon_bytes"), size);
		if (!*seen)
			stage(d, true, "the agent samples it, the server stores it (%s so far)",
				size);
		*seen = true;
		stage(d, false, "judging: %s, %s: %s", size, json_text(p, "verdict"),
			json_text(p, "reason"));
	}
	json_decref(doc);
}

static void watch_tickets(struct demo *d)
{
	json_t *doc;
	const json_t *t = find_by_pid(d, "/v1/tickets", "tickets", &doc);

	if (t) {
		d->ticket = (uint64_t)json_num(t, "id");
		stage(d, true, "ticket %llu: %s %s", (unsigned long long)d->ticket,
			json_text(t, "component"),
			json_text(json_object_get(t, "suspect"), "reason"));
	}
	json_decref(doc);
}

static void print_cause(const struct demo *d, const json_t *t)
{
	const json_t *f =
		json_array_get(json_object_get(json_object_get(t, "diagnosis"), "findings"), 0);
	const json_t *frame;
	char rate[40];
	size_t i;

	printf("\n  %.0f %% of the growth (%s) comes from\n", 100 * json_num(f, "share"),
		render_rate(json_num(f, "growth_bytes_per_hour"), rate, sizeof(rate)));
	json_array_foreach(json_object_get(f, "frames"), i, frame)
		printf("    %s %s  %s:%.0f\n", i == 0 ? "->" : "  ", json_text(frame, "function"),
			json_text(frame, "file"), json_num(frame, "line"));
	printf("\n  resin ticket show %llu, or %s#/ticket/%llu, has the evidence.\n",
		(unsigned long long)d->ticket, d->url, (unsigned long long)d->ticket);
}

/* 1: named, 0: not yet, <0: it will not be. */
static int watch_campaign(struct demo *d, struct err *err)
{
	char path[64];
	json_t *t;
	const json_t *orders, *last;
	const char *state;
	int r = 0;

	snprintf(path, sizeof(path), "/v1/tickets/%llu", (unsigned long long)d->ticket);
	if (client_get(d->url, path, &t, NULL, NULL) < 0)
		return 0;
	state = json_text(t, "state");
	orders = json_object_get(t, "orders");
	last = json_array_get(orders, json_array_size(orders) - 1);
	if (strcmp(state, "diagnosed") == 0) {
		stage(d, true, "diagnosed: %s", json_text(t, "headline"));
		print_cause(d, t);
		r = 1;
	} else if (strcmp(state, "undiagnosed") == 0) {
		r = err_set(err, -EPERM, "the ticket stays without a diagnosis: %s",
			json_text(t, "note"));
	} else if (last) {
		char line[sizeof(d->last)];

		snprintf(line, sizeof(line), "order %.0f %s: %.150s", json_num(last, "id"),
			json_text(last, "state"), json_text(last, "reason"));
		if (strcmp(line, d->last) != 0)
			stage(d, true, "%s", line);
	}
	json_decref(t);
	return r;
}

static int watch(struct demo *d, struct err *err)
{
	bool seen = false;

	while (!interrupted) {
		int r;

		if (waitpid(d->server, NULL, WNOHANG) == d->server) {
			d->server = -1;
			return err_set(err, -ESRCH, "the demo's server died");
		}
		if (clock_mono_ns(&clock_system) - d->began_ns > GIVE_UP_NS)
			return err_set(err, -ETIMEDOUT,
				"nothing was named within %llu s; `resin top` and the server's log may "
				"tell why",
				(unsigned long long)(GIVE_UP_NS / NSEC_PER_SEC));
		if (!d->ticket) {
			watch_series(d, &seen);
			watch_tickets(d);
		} else {
			r = watch_campaign(d, err);
			if (r != 0)
				return r;
		}
		nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
	}
	return err_set(err, -EINTR, "interrupted");
}

static void stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	(void)waitpid(pid, NULL, 0);
}

/* The client has checked every answer: that is the proof that the look did not hurt. */
static void stop_programs(struct demo *d)
{
	char line[128] = "";

	if (d->client > 0) {
		kill(d->client, SIGTERM);
		if (read_line(d->client_out, line, sizeof(line)) == 0)
			printf("\n  The demo's client, which checks every answer: %s\n", line);
		close(d->client_out);
		(void)waitpid(d->client, NULL, 0);
	}
	stop(d->server);
}

static int hosts_reporting(const struct demo *d, struct err *err)
{
	json_t *s;
	size_t n;
	int r = client_get(d->url, "/v1/status", &s, NULL, err);

	if (r < 0)
		return r;
	n = json_array_size(json_object_get(s, "hosts"));
	json_decref(s);
	return n ? 0
		 : err_set(err, -ENOENT,
			   "the server is there, but no agent reports to it; start resin-agent");
}

static int find_token(struct demo *d, const char *option, struct err *err)
{
	char beside[4096];

	if (option)
		return client_read_token(option, &d->key, err);
	/* `make run` keeps its data beside the programs when it is not root. */
	if (path_of_part("run/token", beside, sizeof(beside)) == 0 &&
		client_read_token(beside, &d->key, err) == 0)
		return 0;
	return client_read_token(RESIN_STATE_DIR "/token", &d->key, err);
}

int cmd_demo(int argc, char **argv)
{
	static const struct option options[] = {{"server", required_argument, NULL, 's'},
		{"token", required_argument, NULL, 't'}, {"keep", no_argument, NULL, 'k'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct demo d = {.server = -1, .client = -1, .client_out = -1};
	struct sigaction sa = {.sa_handler = on_signal};
	const char *server = NULL, *token = NULL;
	struct err err = ERR_INIT;
	char pace[32];
	bool keep = false;
	int c, r;

	while ((c = next_option("demo", argc, argv, options)) != -1) {
		if (c == 's')
			server = optarg;
		else if (c == 't')
			token = optarg;
		else if (c == 'k')
			keep = true;
		else
			return c == -2 ? EXIT_DONE : EXIT_USAGE;
	}
	if (optind < argc)
		return usage_error("demo", "unexpected argument '%s'", argv[optind]);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	d.url = client_url(server);
	d.began_ns = clock_mono_ns(&clock_system);
	r = hosts_reporting(&d, &err);
	if (r == 0)
		r = find_token(&d, token, &err);
	snprintf(pace, sizeof(pace), "%d %d", DEMO_PACE, PACE_SECONDS);
	if (r == 0)
		r = client_post(d.url, &d.key, "/v1/pace", pace, &err);
	if (r < 0) {
		say_error("%s", err.msg);
		return EXIT_FAILED;
	}
	stage(&d, true, "all periods are %d times shorter now: a step of 2 minutes takes a second",
		DEMO_PACE);
	r = start_programs(&d, &err);
	if (r == 0) {
		stage(&d, true,
			"pid %d is a key-value server that forgets 4 KiB on some of its GETs (%s "
			"requests/s)",
			d.server, RATE);
		r = watch(&d, &err);
	}
	if (keep && r == 1) {
		puts("\n  Still running; Ctrl-C stops it.");
		while (!interrupted)
			pause();
	}
	stop_programs(&d);
	(void)!client_post(d.url, &d.key, "/v1/pace", "1 0", NULL);
	if (r < 0) {
		putchar('\n');
		say_error("%s", err.msg);
		return interrupted ? 128 + interrupted : EXIT_FAILED;
	}
	return EXIT_DONE;
}
