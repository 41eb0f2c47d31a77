/*
 * A small threaded key-value server over TCP that forgets a buffer on one of its request paths.
 *
 * The subject of `resin demo` and of the end-to-end tests, which build it afresh with other values
 * of the macros below: the truth that resin has to find. Requests are lines, answers are lines:
 *
 *   SET key value   -> OK            GET key -> VALUE value | NONE     DEL key -> OK | NONE
 *   FILL key bytes  -> FILLED bytes  a cache: computes what it does not have yet, and keeps it
 *   BATCH bytes     -> BATCHED n     collects buffers and drops them all when it has enough
 *   STAT            -> STAT n        requests so far
 *
 * The client checks every answer, so that a look from outside which disturbs the server shows.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef LEAK_FUNCTION
#define LEAK_FUNCTION remember_request
#endif
#ifndef LEAK_PATH
#define LEAK_PATH "GET" /* the verb whose handler leaks */
#endif
#ifndef LEAK_BYTES
#define LEAK_BYTES 4096
#endif
#ifndef LEAK_EVERY
#define LEAK_EVERY 4 /* every n-th request on that path; 0: never */
#endif
#ifndef BATCH_LIMIT_BYTES
#define BATCH_LIMIT_BYTES (48u << 20)
#endif

#define BUCKETS 4096u
#define LINE_BYTES 4096u

struct entry {
	struct entry *next;
	char *value;
	size_t bytes;
	char key[64];
};

static struct {
	pthread_mutex_t lock;
	struct entry *buckets[BUCKETS];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct batch_item {
	struct batch_item *next;
	char data[];
};

static struct {
	pthread_mutex_t lock;
	struct batch_item *items;
	size_t bytes, count;
} batch = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned long requests, on_leak_path;

static unsigned hash(const char *s)
{
	unsigned h = 5381;

	while (*s)
		h = h * 33 + (unsigned char)*s++;
	return h % BUCKETS;
}

/* Meant to keep the last request for an audit; whoever wrote it forgot to free the one before. */
__attribute__((noinline)) void *LEAK_FUNCTION(const char *line);
__attribute__((noinline)) void *LEAK_FUNCTION(const char *line)
{
	static char *last;
	char *copy = malloc(LEAK_BYTES);

	if (!copy)
		return NULL;
	memset(copy, 'a', LEAK_BYTES);
	snprintf(copy, LEAK_BYTES, "%s", line);
	__atomic_store_n(&last, copy, __ATOMIC_RELAXED); /* the one before is lost */
	return copy;
}

static __attribute__((noinline)) void audit(const char *verb, const char *line)
{
	unsigned long n;

	if (LEAK_EVERY == 0 || strcmp(verb, LEAK_PATH) != 0)
		return;
	n = __atomic_add_fetch(&on_leak_path, 1, __ATOMIC_RELAXED);
	if (n % (LEAK_EVERY ? LEAK_EVERY : 1) == 0)
		(void)LEAK_FUNCTION(line);
}

static struct entry **find(const char *key)
{
	struct entry **e = &table.buckets[hash(key)];

	while (*e && strcmp((*e)->key, key) != 0)
		e = &(*e)->next;
	return e;
}

static __attribute__((noinline)) void table_put(const char *key, char *value, size_t bytes)
{
	struct entry **e = find(key);

	if (!*e) {
		*e = calloc(1, sizeof(**e));
		if (!*e) {
			free(value);
			return;
		}
		snprintf((*e)->key, sizeof((*e)->key), "%s", key);
	}
	free((*e)->value);
	(*e)->value = value;
	(*e)->bytes = bytes;
}

static void handle_set(FILE *out, const char *key, const char *value)
{
	pthread_mutex_lock(&table.lock);
	table_put(key, strdup(value), strlen(value) + 1);
	pthread_mutex_unlock(&table.lock);
	fputs("OK\n", out);
}

static void handle_get(FILE *out, const char *key)
{
	struct entry *e;

	pthread_mutex_lock(&table.lock);
	e = *find(key);
	if (e && e->value)
		fprintf(out, "VALUE %s\n", e->value);
	else
		fputs("NONE\n", out);
	pthread_mutex_unlock(&table.lock);
}

static void handle_del(FILE *out, const char *key)
{
	struct entry **e, *gone;

	pthread_mutex_lock(&table.lock);
	e = find(key);
	gone = *e;
	if (gone)
		*e = gone->next;
	pthread_mutex_unlock(&table.lock);
	fputs(gone ? "OK\n" : "NONE\n", out);
	if (gone)
		free(gone->value);
	free(gone);
}

/* The cache: what is asked for once stays. */
static __attribute__((noinline)) char *compute(size_t bytes)
{
	char *v = malloc(bytes);

	if (v)
		memset(v, 'c', bytes);
	return v;
}

static void handle_fill(FILE *out, const char *key, size_t bytes)
{
	struct entry *e;

	pthread_mutex_lock(&table.lock);
	e = *find(key);
	if (!e || e->bytes != bytes)
		table_put(key, compute(bytes), bytes);
	pthread_mutex_unlock(&table.lock);
	fprintf(out, "FILLED %zu\n", bytes);
}

/* The sawtooth. */
static void handle_batch(FILE *out, size_t bytes)
{
	struct batch_item *item = malloc(sizeof(*item) + bytes), *drop = NULL;
	size_t n;

	if (item)
		memset(item->data, 'b', bytes);
	pthread_mutex_lock(&batch.lock);
	if (item) {
		item->next = batch.items;
		batch.items = item;
		batch.bytes += bytes;
		batch.count++;
	}
	n = batch.count;
	if (batch.bytes > BATCH_LIMIT_BYTES) {
		drop = batch.items;
		batch.items = NULL;
		batch.bytes = batch.count = 0;
	}
	pthread_mutex_unlock(&batch.lock);
	while (drop) {
		struct batch_item *next = drop->next;

		free(drop);
		drop = next;
	}
	fprintf(out, "BATCHED %zu\n", n);
}

static void handle(FILE *out, char *line)
{
	char copy[LINE_BYTES], *save = NULL, *verb, *key, *rest;

	snprintf(copy, sizeof(copy), "%s", line);
	verb = strtok_r(line, " ", &save);
	key = strtok_r(NULL, " ", &save);
	rest = strtok_r(NULL, "", &save);
	if (!verb) {
		fputs("ERROR empty\n", out);
		return;
	}
	__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
	audit(verb, copy);
	if (strcmp(verb, "SET") == 0 && key && rest)
		handle_set(out, key, rest);
	else if (strcmp(verb, "GET") == 0 && key)
		handle_get(out, key);
	else if (strcmp(verb, "DEL") == 0 && key)
		handle_del(out, key);
	else if (strcmp(verb, "FILL") == 0 && key && rest)
		handle_fill(out, key, strtoul(rest, NULL, 10) % (1u << 20));
	else if (strcmp(verb, "BATCH") == 0 && key)
		handle_batch(out, strtoul(key, NULL, 10) % (1u << 20));
	else if (strcmp(verb, "STAT") == 0)
		fprintf(out, "STAT %lu\n", __atomic_load_n(&requests, __ATOMIC_RELAXED));
	else
		fputs("ERROR what?\n", out);
}

static void *connection(void *arg)
{
	int fd = (int)(intptr_t)arg;
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
	char line[LINE_BYTES];

	while (in && out && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\r\n")] = 0;
		handle(out, line);
		fflush(out);
	}
	if (in)
		fclose(in);
	if (out)
		fclose(out);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (argc > 1)
		a.sin_port = htons((uint16_t)atoi(argv[1]));
	signal(SIGPIPE, SIG_IGN);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0) {
		perror("kv-server: listen");
		return 1;
	}
	getsockname(fd, (struct sockaddr *)&a, &n);
	printf("%d\n", ntohs(a.sin_port)); /* whoever started us reads the port */
	fflush(stdout);
	for (;;) {
		int client = accept(fd, NULL, NULL);
		pthread_t t;

		if (client < 0)
			continue;
		if (pthread_create(&t, NULL, connection, (void *)(intptr_t)client) == 0)
			pthread_detach(t);
		else
			close(client);
	}
}
