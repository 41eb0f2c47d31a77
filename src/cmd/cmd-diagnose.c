#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/frame.h"
#include "cmd/helper-client.h"
#include "cmd/render.h"
#include "cmd/say.h"
#include "diagnose/diagnose.h"
#include "os/proc.h"
#include "wire/messages.h"

#define DEFAULT_PERIOD (256u << 10)
#define DEFAULT_DURATION (30 * NSEC_PER_SEC)

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

struct request {
	struct order order;
	uint64_t top;
	bool as_json, exit_code;
};

/* Fills in who exactly the pid is now. */
static int bind_order(struct order *o, unsigned pid, struct err *err)
{
	struct proc_stat st;
	struct os os;
	int r = os_open(&os, "/proc", err);

	if (r < 0)
		return r;
	o->kind = ORDER_KIND_PROFILE;
	o->target.pid = pid;
	r = os_boot_id(&os, o->target.boot_id, err);
	if (r == 0)
		r = os_proc_stat(&os, pid, &st, err);
	if (r == 0)
		o->target.start_ticks = st.start_ticks;
	os_close(&os);
	return r;
}

static int print_profile(const struct request *q, const struct helper_msg *m)
{
	struct err err = ERR_INIT;
	struct diagnosis d;
	struct profile p;
	int code = EXIT_DONE;

	if (wire_decode_profile(m->payload, m->payload_bytes, &p, &err) < 0) {
		say_error("%s", err.msg);
		profile_done(&p);
		return EXIT_FAILED;
	}
	diagnose(&p, &d);
	if (render_diagnosis(&p, &d, q->as_json, (size_t)q->top) < 0)
		code = EXIT_FAILED;
	else if (q->exit_code && d.n && d.findings[0].kind == FINDING_LEAK)
		code = EXIT_FINDINGS;
	profile_done(&p);
	return code;
}

static int refusal_code(const struct helper_msg *m)
{
	if (strcmp(m->name, "gone") == 0)
		return EXIT_GONE;
	return m->kind == HELPER_REFUSED ? EXIT_NOT_PERMITTED : EXIT_FAILED;
}

/* Reads answers until the end; the exit code. */
static int follow(int fd, const struct request *q, struct frame_reader *reader)
{
	struct err err = ERR_INIT;
	struct helper_msg m;
	int code = EXIT_FAILED, r;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (interrupted) {
			say_info("stopping; the process is being released");
			return 128 + interrupted; /* closing the socket makes the helper detach */
		}
		if (poll(&p, 1, 500) <= 0)
			continue;
		r = frame_receive(reader, fd, &m, &err);
		if (r == 0)
			continue;
		if (r < 0) {
			say_error("the helper ended early: %s", err.msg);
			return EXIT_FAILED;
		}
		switch (m.kind) {
		case HELPER_PROGRESS:
			if (isatty(STDERR_FILENO))
				fprintf(stderr, "\r\033[K%s: %s", m.name, m.text);
			else if (strcmp(m.name, "sampling") != 0)
				fprintf(stderr, "%s: %s\n", m.name, m.text);
			break;
		case HELPER_RESULT:
			if (isatty(STDERR_FILENO))
				fputs("\r\033[K", stderr);
			code = print_profile(q, &m);
			break;
		case HELPER_DONE:
			return code;
		case HELPER_REFUSED:
		case HELPER_FAILED:
			if (isatty(STDERR_FILENO))
				fputs("\r\033[K", stderr);
			say_error("%s", m.text);
			return refusal_code(&m);
		case HELPER_IDENTIFY:
		case HELPER_PROFILE:
		case HELPER_IDENTITY:
			break;
		}
	}
}

static int parse_options(int argc, char **argv, struct request *q)
{
	static const struct option options[] = {{"duration", required_argument, NULL, 'd'},
		{"period", required_argument, NULL, 'p'}, {"top", required_argument, NULL, 't'},
		{"exit-code", no_argument, NULL, 'e'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct order *o = &q->order;
	int c;

	while ((c = next_option("diagnose", argc, argv, options)) != -1) {
		switch (c) {
		case 'd':
			if (parse_duration(optarg, &o->duration_ns) < 0 ||
				o->duration_ns < NSEC_PER_SEC ||
				o->duration_ns > 3600 * NSEC_PER_SEC)
				return usage_error("diagnose",
					"--duration=%s is not between 1s and 1h", optarg);
			break;
		case 'p':
			if (parse_size(optarg, &o->sample_period_bytes) < 0 ||
				o->sample_period_bytes < 4096 || o->sample_period_bytes > 64u << 20)
				return usage_error("diagnose",
					"--period=%s is not between 4K and 64M", optarg);
			break;
		case 't':
			if (parse_u64(optarg, &q->top) < 0 || q->top == 0 ||
				q->top > DIAGNOSIS_MAX_FINDINGS)
				return usage_error("diagnose", "--top=%s is not between 1 and %d",
					optarg, DIAGNOSIS_MAX_FINDINGS);
			break;
		case 'e':
			q->exit_code = true;
			break;
		case 'j':
			q->as_json = true;
			break;
		default:
			return c == -2 ? -1 : EXIT_USAGE;
		}
	}
	return EXIT_DONE;
}

int cmd_diagnose(int argc, char **argv)
{
	struct request q = {
		.order = {.duration_ns = DEFAULT_DURATION, .sample_period_bytes = DEFAULT_PERIOD},
		.top = 5,
	};
	struct sigaction sa = {.sa_handler = on_signal};
	struct helper_msg m = {.kind = HELPER_PROFILE};
	struct frame_reader reader;
	struct err err = ERR_INIT;
	unsigned pid;
	pid_t helper;
	int fd, r, code = parse_options(argc, argv, &q);

	if (code != EXIT_DONE)
		return code < 0 ? EXIT_DONE : code;
	if (optind + 1 != argc)
		return usage_error("diagnose", "give exactly one PID");
	pid = parse_pid("diagnose", argv[optind]);
	if (!pid)
		return EXIT_USAGE;
	r = bind_order(&q.order, pid, &err);
	if (r != 0) {
		say_error("%s", r < 0 ? err.msg : "there is no process of that number");
		return r < 0 ? EXIT_FAILED : EXIT_GONE;
	}
	fd = helper_spawn(&helper, &err);
	if (fd < 0) {
		say_error("%s", err.msg);
		return EXIT_FAILED;
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	m.order = q.order;
	frame_reader_init(&reader);
	if (frame_send(fd, &m, &err) < 0) {
		say_error("%s", err.msg);
		code = EXIT_FAILED;
	} else {
		code = follow(fd, &q, &reader);
	}
	frame_reader_done(&reader);
	close(fd);
	(void)waitpid(helper, NULL, 0);
	return code;
}
