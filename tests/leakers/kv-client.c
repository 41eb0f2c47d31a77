/*
 * Drives kv-server and checks every answer.
 *
 * Usage: kv-client PORT SECONDS RATE MIX [KEYS [BYTES]]
 *
 * MIX: "kv" uses SET, GET, DEL and STAT in turn; "fill" asks the cache for random keys out of KEYS,
 * BYTES each; "batch" sends BATCH of BYTES. RATE requests a second over 4 connections. Ends after
 * SECONDS (0: at SIGTERM) with a line "REQUESTS n ERRORS n SLOWEST_MS n"; exit status 1 when an
 * answer was wrong, missing, or a connection broke.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4

static struct {
	int port;
	double rate;
	const char *mix;
	unsigned long keys, bytes;
	double seconds;
} arg;

static volatile sig_atomic_t stopping;
static unsigned long requests, errors, slowest_us;

static void on_signal(int sig)
{
	(void)sig;
	stopping = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)arg.port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("kv-client: connect");
		exit(1);
	}
	return fd;
}

/* One request and what the answer has to be; "" where only its first word is known. */
static void make_request(
	unsigned n, unsigned *seed, int who, char *line, size_t size, char *want, size_t want_size)
{
	unsigned long key = (unsigned long)rand_r(seed);

	if (strcmp(arg.mix, "fill") == 0) {
		snprintf(line, size, "FILL k%lu %lu\n", key % arg.keys, arg.bytes);
		snprintf(want, want_size, "FILLED %lu\n", arg.bytes);
		return;
	}
	if (strcmp(arg.mix, "batch") == 0) {
		snprintf(line, size, "BATCH %lu\n", arg.bytes);
		snprintf(want, want_size, "BATCHED");
		return;
	}
	/* Keys of its own for each connection, so that the answer is known. */
	switch (n % 4) {
	case 0:
		snprintf(line, size, "SET c%d-%u value-%u\n", who, n / 4 % 100, n / 4);
		snprintf(want, want_size, "OK\n");
		break;
	case 1:
		snprintf(line, size, "GET c%d-%u\n", who, n / 4 % 100);
		snprintf(want, want_size, "VALUE value-%u\n", n / 4);
		break;
	case 2:
		snprintf(line, size, "DEL c%d-%u\n", who, n / 4 % 100);
		snprintf(want, want_size, "OK\n");
		break;
	default:
		snprintf(line, size, "STAT\n");
		snprintf(want, want_size, "STAT");
		break;
	}
}

static void *run(void *p)
{
	int who = (int)(intptr_t)p, fd = dial();
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
	unsigned seed = (unsigned)who * 7919 + 1;
	double start = now();

	for (unsigned n = 0; !stopping && (arg.seconds == 0 || now() < start + arg.seconds); n++) {
		char line[256], want[256], got[1024];
		double due = start + n * CONNECTIONS / arg.rate, sent = now(), took;
		unsigned long us, seen;

		if (due > sent) {
			struct timespec t = {.tv_sec = (time_t)(due - sent),
				.tv_nsec =
					(long)((due - sent - (double)(time_t)(due - sent)) * 1e9)};

			nanosleep(&t, NULL);
			sent = now();
		}
		make_request(n, &seed, who, line, sizeof(line), want, sizeof(want));
		if (fputs(line, out) < 0 || fflush(out) != 0 || !fgets(got, sizeof(got), in)) {
			if (!stopping)
				__atomic_add_fetch(&errors, 1, __ATOMIC_RELAXED);
			break;
		}
		took = now() - sent;
		us = (unsigned long)(took * 1e6);
		seen = __atomic_load_n(&slowest_us, __ATOMIC_RELAXED);
		while (us > seen &&
			!__atomic_compare_exchange_n(
				&slowest_us, &seen, us, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		}
		__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
		if (strncmp(got, want, strlen(want)) != 0) {
			fprintf(stderr, "kv-client: sent %.60s wanted %.60s got %.60s", line, want,
				got);
			__atomic_add_fetch(&errors, 1, __ATOMIC_RELAXED);
		}
	}
	fclose(in);
	fclose(out);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t threads[CONNECTIONS];

	if (argc < 5) {
		fputs("Usage: kv-client PORT SECONDS RATE kv|fill|batch [KEYS [BYTES]]\n", stderr);
		return 2;
	}
	arg.port = atoi(argv[1]);
	arg.seconds = atof(argv[2]);
	arg.rate = atof(argv[3]);
	arg.mix = argv[4];
	arg.keys = argc > 5 ? strtoul(argv[5], NULL, 10) : 1000;
	arg.bytes = argc > 6 ? strtoul(argv[6], NULL, 10) : 1024;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	for (intptr_t i = 0; i < CONNECTIONS; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)i) != 0)
			return 1;
	for (int i = 0; i < CONNECTIONS; i++)
		pthread_join(threads[i], NULL);
	printf("REQUESTS %lu ERRORS %lu SLOWEST_MS %lu\n", requests, errors, slowest_us / 1000);
	return errors ? 1 : 0;
}
