/*
 * Processes that notice when somebody disturbs them: victim MODE, until SIGTERM.
 *
 * Each prints "ready", and at the end "fine N" (N rounds of work) with exit status 0, or says what
 * happened to it and exits with 1. They are what attaching must not break.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;
static unsigned long rounds;

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

static void disturbed(const char *what)
{
	printf("disturbed: %s\n", what);
	fflush(stdout);
	_exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Something for the probe to see. */
static void churn(void)
{
	void *p[8];

	for (int i = 0; i < 8; i++) {
		p[i] = malloc(1000 + (size_t)i * 500);
		if (!p[i])
			disturbed("malloc failed");
		memset(p[i], i, 1000);
	}
	for (int i = 0; i < 8; i++)
		free(p[i]);
	__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
}

/* Vector registers must survive a call that is injected at any instruction. */
#if defined(__x86_64__)
__attribute__((target("avx"))) static void mode_vector(void)
{
	typedef double v4 __attribute__((vector_size(32)));
	const v4 want[4] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}, {13, 14, 15, 16}};

	while (!stopping) {
		v4 a = want[0], b = want[1], c = want[2], d = want[3];

		for (long i = 0; i < 20000000 && !stopping; i++)
			__asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d));
		if (memcmp(&a, &want[0], 32) || memcmp(&b, &want[1], 32) ||
			memcmp(&c, &want[2], 32) || memcmp(&d, &want[3], 32))
			disturbed("a vector register changed");
		churn();
	}
}
#else
static void mode_vector(void)
{
	while (!stopping)
		churn();
}
#endif

/* General registers and flags, in a loop without a system call. */
static void mode_spin(void)
{
	while (!stopping) {
		uint64_t h = 1, g = 1;

		for (long i = 0; i < 3000000; i++) {
			h = h * 6364136223846793005ull + 1442695040888963407ull;
			g = g * 6364136223846793005ull + 1442695040888963407ull;
			__asm__ volatile("" : "+r"(h), "+r"(g));
		}
		if (h != g)
			disturbed("a register changed");
		churn();
	}
}

/* Waits without a time limit, where a naive program takes EINTR for the end. */
static void mode_epoll(void)
{
	int e = epoll_create1(0), p[2];
	struct epoll_event ev = {.events = EPOLLIN};

	if (pipe(p) < 0 || epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev) < 0)
		disturbed("setup");
	/* A second process wakes it ten times a second, so that it also allocates. */
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			usleep(100000);
			if (write(p[1], "x", 1) != 1)
				_exit(0);
		}
	}
	while (!stopping) {
		char c;
		int n = epoll_wait(e, &ev, 1, -1);

		if (stopping)
			break;
		if (n < 0)
			disturbed(strerror(errno));
		if (read(p[0], &c, 1) != 1)
			disturbed("read");
		churn();
	}
}

static void mode_read(void)
{
	int p[2];

	if (pipe(p) < 0)
		disturbed("setup");
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			usleep(150000);
			if (write(p[1], "x", 1) != 1)
				_exit(0);
		}
	}
	while (!stopping) {
		char c;
		ssize_t n = read(p[0], &c, 1);

		if (stopping)
			break;
		if (n != 1)
			disturbed(n < 0 ? strerror(errno) : "read returned 0");
		churn();
	}
}

/* Sleeps with a timeout: must not end early, must not report an interruption. */
static void mode_sleep(void)
{
	while (!stopping) {
		struct timespec t = {.tv_nsec = 200000000};
		double start = now();

		if (nanosleep(&t, NULL) < 0 && !stopping)
			disturbed(strerror(errno));
		if (!stopping && now() - start < 0.199)
			disturbed("woke early");
		churn();
	}
}

static void mode_poll(void)
{
	int p[2];

	if (pipe(p) < 0)
		disturbed("setup");
	while (!stopping) {
		struct pollfd f = {.fd = p[0], .events = POLLIN};
		int n = poll(&f, 1, 250);

		if (n != 0 && !stopping)
			disturbed(n < 0 ? strerror(errno) : "poll");
		churn();
	}
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void *signaller(void *arg)
{
	while (!stopping) {
		usleep(20000);
		pthread_mutex_lock(&lock);
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void mode_cond(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, signaller, NULL) != 0)
		disturbed("setup");
	while (!stopping) {
		pthread_mutex_lock(&lock);
		if (pthread_cond_wait(&cond, &lock) != 0)
			disturbed("cond");
		pthread_mutex_unlock(&lock);
		churn();
	}
}

/* Forks children that allocate and check themselves; they inherit whatever was redirected. */
static void mode_fork(void)
{
	while (!stopping) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			for (int i = 0; i < 200; i++)
				churn();
			_exit(0);
		}
		while (waitpid(pid, &status, 0) < 0)
			if (errno != EINTR || !stopping)
				disturbed("waitpid");
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			disturbed("a child died");
		for (int i = 0; i < 20; i++)
			churn();
	}
}

static void *malloc_thread(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	void *slots[256] = {0};

	while (!stopping) {
		unsigned i = (unsigned)rand_r(&seed) % 256;
		size_t n = 16 + (unsigned)rand_r(&seed) % 4000;
		unsigned char *p = slots[i];

		if (p && *p != (unsigned char)i)
			disturbed("a block changed");
		if (rand_r(&seed) % 3 == 0) {
			slots[i] = realloc(p, n);
		} else {
			free(p);
			slots[i] = malloc(n);
		}
		if (!slots[i])
			disturbed("malloc failed");
		*(unsigned char *)slots[i] = (unsigned char)i;
		__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	}
	for (int i = 0; i < 256; i++)
		free(slots[i]);
	return NULL;
}

/* Nothing but the allocator, in three threads. */
static void mode_malloc(void)
{
	pthread_t t[3];

	for (uintptr_t i = 0; i < 3; i++)
		if (pthread_create(&t[i], NULL, malloc_thread, (void *)(i + 1)) != 0)
			disturbed("setup");
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

/* Signals all the time, whose handlers run on a small alternate stack. */
static void on_alarm(int sig)
{
	(void)sig;
	__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
}

static void mode_signals(void)
{
	static char small[16384];
	stack_t ss = {.ss_sp = small, .ss_size = sizeof(small)}, after;
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART};
	timer_t timer;
	struct itimerspec it = {{0, 500000}, {0, 500000}};

	sigaltstack(&ss, NULL);
	sigaction(SIGALRM, &sa, NULL);
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	timer_settime(timer, 0, &it, NULL);
	while (!stopping) {
		churn();
		sigaltstack(NULL, &after);
		if (after.ss_sp != ss.ss_sp || after.ss_size != ss.ss_size)
			disturbed("the alternate stack changed");
	}
}

/* A filter that kills the process for opening a file. */
static void mode_seccomp(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 257 /* openat */, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		disturbed("setup");
	while (!stopping) {
		usleep(1000);
		churn();
	}
}

/* Lives for half a second after it was asked to begin, and is gone. */
static void mode_short(void)
{
	double end = now() + 2.5;

	while (!stopping && now() < end) {
		usleep(1000);
		churn();
	}
	stopping = 1;
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	{"vector", mode_vector},
	{"spin", mode_spin},
	{"epoll", mode_epoll},
	{"read", mode_read},
	{"sleep", mode_sleep},
	{"poll", mode_poll},
	{"cond", mode_cond},
	{"fork", mode_fork},
	{"malloc", mode_malloc},
	{"signals", mode_signals},
	{"seccomp", mode_seccomp},
	{"short", mode_short},
};

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};

	sigaction(SIGTERM, &sa, NULL);
	for (size_t i = 0; argc == 2 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[1]) != 0)
			continue;
		printf("ready\n");
		fflush(stdout);
		modes[i].run();
		printf("fine %lu\n", rounds);
		return 0;
	}
	fputs("Usage: victim MODE\n", stderr);
	return 2;
}
