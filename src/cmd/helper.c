/*
 * resin-helper: the only program of resin that touches other processes.
 *
 * Runs as root under socket activation (one connection, one request, then it ends), or by
 * --listen for hosts without systemd, where it forks one child per request. It has no network,
 * reads the host's policy itself, and believes nothing that the agent says about a process.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/config.h"
#include "base/limits.h"
#include "base/units.h"
#include "build-config.h"
#include "cmd/frame.h"
#include "cmd/paths.h"
#include "cmd/profiling.h"
#include "cmd/say.h"
#include "os/elf.h"
#include "os/proc.h"

#define MAX_CHILDREN 4
#define REQUEST_TIMEOUT_MS 5000

static const char *arg_policy = RESIN_CONFIG_DIR "/policy.conf";
static const char *arg_stage_dir = RESIN_RUN_DIR;
static char arg_probe[4096];
static bool arg_local; /* started by a person: no policy, and no rights but that person's */
static uid_t arg_uid = (uid_t)-1; /* who may ask, besides root */
static volatile sig_atomic_t stopping;

static void on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

/* The policy must not be writable by anybody whom it is to restrain. */
static int load_policy(struct policy *p, struct err *err)
{
	autobuf struct buf text = BUF_INIT(LIMIT_CONFIG_BYTES);
	struct stat st;
	int r;

	policy_init(p);
	if (stat(arg_policy, &st) == 0 &&
		((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022)))
		return err_set(err, -EPERM,
			"%s must belong to root and be writable by nobody else; it is ignored",
			arg_policy);
	r = config_read_file(arg_policy, &text, err);
	if (r != 0)
		return r < 0 ? r : 0;
	return text.data ? policy_parse(p, text.data, arg_policy, err) : 0;
}

/* -- requests ---------------------------------------------------------------------------- */

static bool send_progress(void *arg, const char *stage, const char *text)
{
	const int *fd = arg;
	struct helper_msg m = {.kind = HELPER_PROGRESS, .name = stage, .text = text};
	struct pollfd p = {.fd = *fd, .events = POLLRDHUP};

	if (stopping || (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR))))
		return false;
	return frame_send(*fd, &m, NULL) == 0;
}

static void answer(int fd, enum helper_kind kind, const char *name, const char *text)
{
	struct helper_msg m = {.kind = kind, .name = name, .text = text};

	(void)!frame_send(fd, &m, NULL);
}

static void do_profile(int fd, const struct helper_msg *request)
{
	autobuf struct buf profile = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	struct policy policy;
	struct profiling p = {
		.order = &request->order,
		.probe_path = arg_probe,
		.stage_dir = geteuid() == 0 ? arg_stage_dir : NULL,
		.progress = send_progress,
		.arg = &fd,
	};
	int r;

	if (!arg_local) {
		if (load_policy(&policy, &err) < 0) {
			answer(fd, HELPER_REFUSED, "policy", err.msg);
			return;
		}
		p.policy = &policy;
	}
	r = profiling_run(&p, &profile, &err);
	if (!arg_local)
		policy_done(&policy);
	if (r == PROFILING_OK) {
		struct helper_msg m = {.kind = HELPER_RESULT,
			.payload = profile.data,
			.payload_bytes = profile.len};

		if (frame_send(fd, &m, &err) == 0)
			answer(fd, HELPER_DONE, "done", "");
		return;
	}
	answer(fd, r == PROFILING_REFUSED ? HELPER_REFUSED : HELPER_FAILED, p.name, err.msg);
}

static int identify_one(struct os *os, uint32_t pid, uint64_t start, char *exe, size_t size,
	char *build_id, struct err *err)
{
	struct proc_stat before, after;
	autoclose int fd = -1;
	char path[64];

	if (os_proc_stat(os, pid, &before, err) != OS_OK || before.start_ticks != start)
		return -1;
	if (os_proc_link(os, pid, "exe", exe, size, err) != OS_OK)
		exe[0] = 0;
	snprintf(path, sizeof(path), "%u/exe", pid);
	fd = openat(os->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_file_build_id(fd, build_id, err) != ELF_OK)
		build_id[0] = 0;
	/* The pid may have been given away while we looked. */
	if (os_proc_stat(os, pid, &after, err) != OS_OK || after.start_ticks != start)
		return -1;
	return 0;
}

static void do_identify(int fd, const struct helper_msg *request)
{
	struct err err = ERR_INIT;
	struct os os;

	if (os_open(&os, "/proc", &err) < 0) {
		answer(fd, HELPER_FAILED, "error", err.msg);
		return;
	}
	for (size_t i = 0; i < request->n_pids; i++) {
		char exe[LIMIT_STRING_BYTES], build_id[ELF_BUILD_ID_MAX] = "";
		struct helper_msg m = {.kind = HELPER_IDENTITY,
			.pid = request->pids[i],
			.start_ticks = request->starts[i],
			.name = exe,
			.text = build_id};

		if (request->pids[i] > INT32_MAX ||
			identify_one(&os, (uint32_t)m.pid, m.start_ticks, exe, sizeof(exe),
				build_id, NULL) < 0)
			continue;
		if (frame_send(fd, &m, &err) < 0)
			break;
	}
	answer(fd, HELPER_DONE, "done", "");
	os_close(&os);
}

static bool peer_may_ask(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (arg_local)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid() || peer.uid == arg_uid;
}

static void serve(int fd)
{
	struct frame_reader reader;
	struct err err = ERR_INIT;
	struct helper_msg m;
	int r = 0;

	frame_reader_init(&reader);
	if (!peer_may_ask(fd)) {
		answer(fd, HELPER_REFUSED, "denied", "this user may not ask the helper");
		goto out;
	}
	while (r == 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, REQUEST_TIMEOUT_MS) <= 0)
			goto out;
		r = frame_receive(&reader, fd, &m, &err);
	}
	if (r < 0)
		answer(fd, HELPER_FAILED, "malformed", err.msg);
	else if (m.kind == HELPER_PROFILE)
		do_profile(fd, &m);
	else if (m.kind == HELPER_IDENTIFY)
		do_identify(fd, &m);
	else
		answer(fd, HELPER_FAILED, "malformed", "that is not a request");
out:
	frame_reader_done(&reader);
}

/* -- sockets ----------------------------------------------------------------------------- */

static int listen_on(const char *path, struct err *err)
{
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;

	if (fd < 0)
		return err_set(err, -errno, "cannot make a socket: %m");
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, -ENAMETOOLONG, "the socket path %s is longer than %zu bytes",
			path, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return err_set(err, -EEXIST, "%s exists and is not a socket", path);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return err_set(
				err, -EADDRINUSE, "another resin-helper listens on %s", path);
		(void)unlink(path);
	}
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
		return err_set(err, -errno, "cannot listen on %s: %m", path);
	if (arg_uid != (uid_t)-1 && chown(path, arg_uid, (gid_t)-1) < 0)
		return err_set(err, -errno, "cannot hand %s to user %u: %m", path, arg_uid);
	if (chmod(path, 0600) < 0)
		return err_set(err, -errno, "cannot protect %s: %m", path);
	return steal_fd(&fd);
}

static int listen_loop(const char *path)
{
	struct err err = ERR_INIT;
	autoclose int fd = listen_on(path, &err);
	int children = 0;

	if (fd < 0) {
		say_error("%s", err.msg);
		return err.code == -EACCES ? EXIT_NOT_PERMITTED : EXIT_FAILED;
	}
	while (!stopping) {
		struct pollfd p = {.fd = fd, .events = children < MAX_CHILDREN ? POLLIN : 0};
		int client;
		pid_t pid;

		(void)poll(&p, 1, 200);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			children--;
		if (!(p.revents & POLLIN))
			continue;
		client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0)
			continue;
		pid = fork();
		if (pid == 0) {
			close(fd);
			serve(client);
			_exit(0);
		}
		close(client);
		children += pid > 0;
	}
	/* Children see the signal themselves: the whole group was asked to stop. */
	while (waitpid(-1, NULL, 0) > 0) {
	}
	(void)unlink(path);
	return EXIT_DONE;
}

static int find_user(const char *text, uid_t *ret)
{
	const struct passwd *pw;
	uint64_t v;

	if (parse_u64(text, &v) == 0 && v < UINT32_MAX) {
		*ret = (uid_t)v;
		return 0;
	}
	pw = getpwnam(text); /* NOLINT(concurrency-mt-unsafe): one thread */
	if (!pw)
		return -ENOENT;
	*ret = pw->pw_uid;
	return 0;
}

/* The connection that a socket unit with Accept=yes hands over (sd_listen_fds(3)), or -1. */
static int inherited_fd(void)
{
	const char *pid = getenv("LISTEN_PID"); /* NOLINT(concurrency-mt-unsafe) */
	const char *fds = getenv("LISTEN_FDS"); /* NOLINT(concurrency-mt-unsafe) */
	uint64_t v;

	if (!pid || !fds || strcmp(fds, "1") != 0 || parse_u64(pid, &v) < 0 ||
		v != (uint64_t)getpid())
		return -1;
	return 3;
}

static void usage(void)
{
	puts("Usage: resin-helper [--listen=PATH | --fd=N] [OPTION...]\n"
	     "The only part of resin that touches other processes. Normally started by systemd\n"
	     "for one request (LISTEN_FDS); see resin-helper(8).\n\n"
	     "  --listen=PATH   listen on a socket; one child per request\n"
	     "  --fd=N          serve one request on this descriptor\n"
	     "  --uid=USER      this user (name or number) may ask, besides root\n"
	     "  --policy=PATH   the host's policy (default " RESIN_CONFIG_DIR "/policy.conf)\n"
	     "  --probe=PATH    the probe library\n"
	     "  --stage=DIR     where targets find a copy of it (default " RESIN_RUN_DIR ")\n"
	     "  --local         started by a person: no policy, only that person's rights\n"
	     "  --help, --version");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
		{"fd", required_argument, NULL, 'f'}, {"uid", required_argument, NULL, 'u'},
		{"policy", required_argument, NULL, 'p'}, {"probe", required_argument, NULL, 'b'},
		{"stage", required_argument, NULL, 's'}, {"local", no_argument, NULL, 'L'},
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0}};
	const char *listen_path = NULL;
	struct sigaction stop = {.sa_handler = on_signal};
	int fd = inherited_fd(), c;
	uint64_t v;

	say_name("resin-helper");
	(void)!path_of_part("libresin-probe.so", arg_probe, sizeof(arg_probe));
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'l':
			listen_path = optarg;
			break;
		case 'f':
			if (parse_u64(optarg, &v) < 0 || v > INT32_MAX) {
				say_error("'%s' is not a number", optarg);
				return EXIT_USAGE;
			}
			fd = (int)v;
			break;
		case 'u':
			if (find_user(optarg, &arg_uid) < 0) {
				say_error("there is no user '%s'", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'p':
			arg_policy = optarg;
			break;
		case 'b':
			snprintf(arg_probe, sizeof(arg_probe), "%s", optarg);
			break;
		case 's':
			arg_stage_dir = optarg;
			break;
		case 'L':
			arg_local = true;
			break;
		case 'h':
			usage();
			return EXIT_DONE;
		case 'V':
			puts("resin-helper " RESIN_VERSION);
			return EXIT_DONE;
		default:
			return EXIT_USAGE;
		}
	}
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (listen_path)
		return listen_loop(listen_path);
	if (fd < 0) {
		say_error(
			"nothing to serve: give --listen or --fd, or start it by its socket unit");
		return EXIT_USAGE;
	}
	serve(fd);
	return EXIT_DONE;
}
