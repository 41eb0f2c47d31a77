#include "torture.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cmd/prometheus.h"

#define MATRIX "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}"

/* What the stub server has seen; shared with its process. */
struct seen {
	unsigned requests;
	char last[16384]; /* the request, head and body */
};

static struct {
	pid_t pid;
	int port;
	struct seen *seen;
	struct folder folder;
} stub;

static void stub_send(int fd, const char *s)
{
	size_t n = strlen(s);

	while (n) {
		ssize_t k = send(fd, s, n, MSG_NOSIGNAL);

		if (k <= 0)
			return;
		s += k;
		n -= (size_t)k;
	}
}

static void stub_answer(int fd, const char *status, const char *type, const char *body)
{
	char head[512];

	snprintf(head, sizeof(head),
		"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		status, type, strlen(body));
	stub_send(fd, head);
	stub_send(fd, body);
}

/* Whole, or as far as it came. */
static void stub_read(int fd, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	while (n < size - 1) {
		char *body = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "content-length:");
		ssize_t k;

		if (body && (!length || strlen(body + 4) >= strtoul(length + 15, NULL, 10)))
			return;
		k = read(fd, out + n, size - 1 - n);
		if (k <= 0)
			return;
		n += (size_t)k;
		out[n] = 0;
	}
}

/* Until the client has had enough. */
static void stub_hang(int fd)
{
	char c;

	while (read(fd, &c, 1) > 0)
		;
}

/* What is done is in the path: /NAME/api/v1/query_range. */
static void stub_serve(int fd)
{
	static char text[70000];
	char *request = stub.seen->last, name[32] = "";
	const char *json = "application/json";

	stub_read(fd, request, sizeof(stub.seen->last));
	stub.seen->requests++;
	if (!strncmp(request, "POST /", 6))
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(request + 6, "/ "), request + 6);

	if (!strcmp(name, "good") || !strcmp(name, "api"))
		stub_answer(fd, "200 OK", json, MATRIX);
	else if (!strcmp(name, "blanks"))
		stub_answer(fd, "200 OK", json, " \r\n\t" MATRIX);
	else if (!strcmp(name, "wrong"))
		stub_answer(fd, "400 Bad Request", json,
			"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"1:5: parse "
			"error: unexpected \\\"}\\\"\\u001b[31m\\u0085\"}");
	else if (!strcmp(name, "wordy")) {
		int n = snprintf(text, sizeof(text), "{\"status\":\"error\",\"error\":\"");

		for (int i = 0; i < 400; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "\xe2\x82\xac");
		snprintf(text + n, sizeof(text) - (size_t)n, "\"}");
		stub_answer(fd, "422 Unprocessable Entity", json, text);
	} else if (!strcmp(name, "html"))
		stub_answer(fd, "200 OK", "text/html", "<!doctype html><title>Hello</title>");
	else if (!strcmp(name, "empty"))
		stub_answer(fd, "200 OK", json, "");
	else if (!strcmp(name, "lost"))
		stub_answer(fd, "404 Not Found", "text/plain\x1b[31m", "404 page not found\n");
	else if (!strcmp(name, "login"))
		stub_answer(fd, "401 Unauthorized", "text/plain", "who are you?");
	else if (!strcmp(name, "large-error")) {
		memset(text, 'x', sizeof(text) - 1);
		stub_answer(fd, "500 Internal Server Error", "text/plain", text);
	} else if (!strcmp(name, "moved"))
		stub_send(fd,
			"HTTP/1.1 307 Temporary Redirect\r\nLocation: "
			"http://elsewhere.invalid/api\r\nContent-Length: 0\r\nConnection: "
			"close\r\n\r\n");
	else if (!strcmp(name, "cut"))
		stub_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":");
	else if (!strcmp(name, "silent"))
		stub_hang(fd);
	else if (!strcmp(name, "stops")) {
		stub_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":");
		stub_hang(fd);
	} else if (!strcmp(name, "garbage"))
		stub_send(fd, "\x16\x03\x01 this is not HTTP\n\n");
	else if (!strcmp(name, "endless")) {
		stub_send(fd, "HTTP/1.1 200 OK\r\n\r\n{");
		memset(text, ' ', sizeof(text) - 1);
		for (int i = 0; i < 100; i++)
			stub_send(fd, text);
	}
}

static int start(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid();

	stub.seen = mmap(NULL, sizeof(*stub.seen), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stub.seen != MAP_FAILED);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	stub.port = ntohs(a.sin_port);
	folder_make(&stub.folder);
	folder_write(&stub.folder, "token", "s3cret.token-\n");
	folder_write(&stub.folder, "lines", "one\r\nX-Other: two");
	folder_write(&stub.folder, "nothing", "\n");
	stub.pid = fork();
	assert_true(stub.pid >= 0);
	if (stub.pid == 0) {
		/* Gone with the test, also when that is killed. */
		while (getppid() == parent) {
			struct timeval wait = {.tv_sec = 1};
			fd_set set;
			int c;

			FD_ZERO(&set);
			FD_SET(fd, &set);
			if (select(fd + 1, &set, NULL, NULL, &wait) <= 0)
				continue;
			c = accept(fd, NULL, NULL);
			if (c < 0)
				continue;
			stub_serve(c);
			close(c);
		}
		_exit(0);
	}
	close(fd);
	return 0;
}

static int stop(void **state)
{
	kill(stub.pid, SIGKILL);
	waitpid(stub.pid, NULL, 0);
	folder_remove(&stub.folder);
	return 0;
}

struct got {
	char text[4096];
	size_t n, total;
	uint64_t from[16], to[16];
	unsigned begun, ended;
	int feed_code, begin_code;
};

static int on_begin(void *arg, uint64_t start_s, uint64_t end_s, struct err *err)
{
	struct got *g = arg;

	assert_true(g->begun < COUNT(g->from));
	g->from[g->begun] = start_s;
	g->to[g->begun++] = end_s;
	g->n = 0;
	return g->begin_code ? err_set(err, g->begin_code, "begin") : 0;
}

static int on_feed(void *arg, const void *data, size_t n, struct err *err)
{
	struct got *g = arg;

	g->total += n;
	if (g->n + n < sizeof(g->text)) {
		memcpy(g->text + g->n, data, n);
		g->n += n;
		g->text[g->n] = 0;
	}
	return g->feed_code ? err_set(err, g->feed_code, "feed") : 0;
}

static int on_end(void *arg, struct err *err)
{
	((struct got *)arg)->ended++;
	return 0;
}

static struct prometheus_query query(struct got *g, const char *path)
{
	static char url[256];

	*g = (struct got){0};
	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", stub.port, path);
	return (struct prometheus_query){
		.url = url,
		.query = "up",
		.start_s = 1000,
		.end_s = 2000,
		.step_s = 60,
		.feed = on_feed,
		.begin = on_begin,
		.end = on_end,
		.arg = g,
	};
}

/* Fails with this code, a sentence that has these words, and no document. */
static void assert_fails(const struct prometheus_query *q, int code, const char *words)
{
	struct err err = ERR_INIT;
	struct got *g = q->arg;
	int r = prometheus_query_range(q, &err);

	if (r != code || !strstr(err.msg, words))
		fail_msg("%s: %d, not %d: %s", q->url, r, code, err.msg);
	assert_int_equal(g->ended, 0);
	assert_null(strstr(err.msg, "hunter2"));
	assert_null(strstr(err.msg, "s3cret"));
	for (const char *s = err.msg; *s; s++)
		assert_true((unsigned char)*s >= ' ');
}

static void test_asks(void **state)
{
	struct err err = ERR_INIT;
	struct got g;
	struct prometheus_query q = query(&g, "/good/");

	q.query = "rate(a{b=\"c&d=+%\"}[5m])";
	assert_int_equal(prometheus_query_range(&q, &err), 0);
	assert_string_equal(g.text, MATRIX);
	assert_int_equal(g.begun, 1);
	assert_int_equal(g.ended, 1);
	assert_true(strstr(stub.seen->last, "POST /good/api/v1/query_range HTTP/1.1\r\n"));
	assert_true(strstr(stub.seen->last, "application/x-www-form-urlencoded"));
	assert_null(strcasestr(stub.seen->last, "Authorization"));
	/* The end is the last step that is within the range. */
	assert_true(strstr(stub.seen->last,
		"\r\n\r\nquery=rate%28a%7Bb%3D%22c%26d%3D%2B%25%22%7D"
		"%5B5m%5D%29&start=1000&end=1960&step=60"));
	q = query(&g, "");
	assert_int_equal(prometheus_query_range(&q, &err), 0);
	assert_true(strstr(stub.seen->last, "POST /api/v1/query_range HTTP/1.1\r\n"));
	q = query(&g, "/blanks");
	q.begin = NULL;
	q.end = NULL;
	assert_int_equal(prometheus_query_range(&q, &err), 0);
	assert_string_equal(g.text, " \r\n\t" MATRIX);
}

static void test_splits(void **state)
{
	static const struct {
		uint64_t end_s, step_s;
		uint32_t points;
		unsigned documents;
	} cases[] = {
		{1000, 60, 0, 1},
		{1000 + 10999, 1, 0, 1},
		{1000 + 11000, 1, 0, 2},
		{1000 + 21999, 1, 0, 2},
		{1000 + 22000 * 15 + 14, 15, 0, 3},
		{1000 + 22000, 1, UINT32_MAX, 3},
		{1000 + 9, 1, 5, 2},
		{1000 + 10, 1, 5, 3},
		{1000 + 6, 1, 1, 7},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		struct got g;
		struct prometheus_query q = query(&g, "/good");
		unsigned before = stub.seen->requests;

		q.end_s = cases[i].end_s;
		q.step_s = cases[i].step_s;
		q.points = cases[i].points;
		assert_int_equal(prometheus_query_range(&q, &err), 0);
		assert_int_equal(g.begun, cases[i].documents);
		assert_int_equal(g.ended, cases[i].documents);
		assert_int_equal(stub.seen->requests - before, cases[i].documents);
		/* No step is missing or there twice. */
		assert_int_equal(g.from[0], 1000);
		for (unsigned k = 0; k < g.begun; k++) {
			assert_true((g.to[k] - g.from[k]) / q.step_s < PROMETHEUS_MAX_POINTS);
			if (k)
				assert_int_equal(g.from[k], g.to[k - 1] + q.step_s);
		}
		assert_true(g.to[g.begun - 1] <= q.end_s);
		assert_true(g.to[g.begun - 1] + q.step_s > q.end_s);
	}
}

static void test_who_asks(void **state)
{
	struct err err = ERR_INIT;
	struct got g;
	struct prometheus_query q = query(&g, "/good");
	char url[256];

	q.token_path = folder_path(&stub.folder, "token");
	assert_int_equal(prometheus_query_range(&q, &err), 0);
	assert_true(strstr(stub.seen->last, "Authorization: Bearer s3cret.token-\r\n"));

	q = query(&g, "/good");
	snprintf(url, sizeof(url), "http://me:hunter2%%40@127.0.0.1:%d/good", stub.port);
	q.url = url;
	assert_int_equal(prometheus_query_range(&q, &err), 0);
	assert_true(strstr(stub.seen->last, "Authorization: Basic bWU6aHVudGVyMkA=\r\n"));

	g = (struct got){0};
	q.token_path = folder_path(&stub.folder, "token");
	assert_fails(&q, -EINVAL, "one too many");
	q.token_path = NULL;
	snprintf(url, sizeof(url), "http://me:hunter2@127.0.0.1:%d/login", stub.port);
	assert_fails(&q, -EACCES, "HTTP 401");
	snprintf(url, sizeof(url), "http://me:hunter2@127.0.0.1:%d/wrong", stub.port);
	assert_fails(&q, -EREMOTEIO, "Prometheus at http://127.0.0.1:");

	q = query(&g, "/good");
	q.token_path = folder_path(&stub.folder, "absent");
	assert_fails(&q, -EINVAL, "there is no file");
	q.token_path = folder_path(&stub.folder, "lines");
	assert_fails(&q, -EINVAL, "does not hold a token");
	q.token_path = folder_path(&stub.folder, "nothing");
	assert_fails(&q, -EINVAL, "is empty");
}

static void test_bad_answers(void **state)
{
	static const struct {
		const char *path;
		int code;
		const char *words;
	} cases[] = {
		{"/wrong", -EREMOTEIO, "says: 1:5: parse error: unexpected \"}\" [31m "},
		{"/wordy", -EREMOTEIO, "\xe2\x82\xac\xe2\x82\xac"},
		{"/html", -EBADMSG, "does not answer like Prometheus (HTTP 200, text/html)"},
		{"/empty", -EBADMSG, "does not answer like Prometheus (HTTP 200"},
		{"/lost", -EBADMSG, "(HTTP 404, text/plain [31m)"},
		{"/login", -EACCES, "HTTP 401"},
		{"/large-error", -EBADMSG, "HTTP 500"},
		{"/moved", -EBADMSG, "sends us on to http://elsewhere.invalid/api"},
		{"/cut", -EIO, "broke off"},
		{"/garbage", -EBADMSG, "no answer"},
		{"/unknown", -EIO, "no answer"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct got g;
		struct prometheus_query q = query(&g, cases[i].path);

		assert_fails(&q, cases[i].code, cases[i].words);
	}
}

/* A text is cut between characters. */
static void test_words_stay_whole(void **state)
{
	struct err err = ERR_INIT;
	struct got g;
	struct prometheus_query q = query(&g, "/wordy");
	const char *text;

	assert_int_equal(prometheus_query_range(&q, &err), -EREMOTEIO);
	text = strstr(err.msg, "\xe2\x82\xac");
	assert_non_null(text);
	assert_int_equal(strlen(text), PROMETHEUS_ERROR_BYTES / 3 * 3);
}

static void test_silence(void **state)
{
	struct got g;
	struct prometheus_query q = query(&g, "/silent");

	q.silence_s = 1;
	assert_fails(&q, -ETIMEDOUT, "nothing came for 1 s");
	q = query(&g, "/stops");
	q.silence_s = 1;
	assert_fails(&q, -ETIMEDOUT, "broke off");
}

static void test_ceiling(void **state)
{
	struct got g;
	struct prometheus_query q = query(&g, "/endless");

	q.answer_bytes = 100000;
	assert_fails(&q, -EMSGSIZE, "more than 100000 bytes");
	assert_true(g.total <= 100000);
}

static void test_callers_errors(void **state)
{
	struct got g;
	struct prometheus_query q = query(&g, "/good");
	unsigned before = stub.seen->requests;

	g.begin_code = -ECANCELED;
	assert_fails(&q, -ECANCELED, "begin");
	assert_int_equal(stub.seen->requests, before);
	g = (struct got){.feed_code = -EILSEQ};
	assert_fails(&q, -EILSEQ, "feed");
	assert_int_equal(prometheus_query_range(&q, NULL), -EILSEQ);
}

static void test_nobody_there(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct got g;
	struct prometheus_query q = query(&g, "");
	char url[64];

	/* Bound but not listening: nobody else can have the port. */
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(a.sin_port));
	q.url = url;
	assert_fails(&q, -ECONNREFUSED, "no answer from Prometheus at http://127.0.0.1:");
	close(fd);
}

static void test_bad_questions(void **state)
{
	static const char *const urls[] = {"", "localhost:9090", "ftp://hunter2@localhost",
		"file:///etc/passwd", "http://", "http://me:hunter2@", "http://a b:hunter2@c/",
		"http://me:hunter2@127.0.0.1:99999/", "http://127.0.0.1:1/?hunter2",
		"http://127.0.0.1:1/#hunter2x", "http://127.0.0.1:1/\r\nX: y"};
	struct got g;
	struct prometheus_query q = query(&g, "/good");
	char *text = malloc(PROMETHEUS_QUERY_BYTES + 2);
	struct err err = ERR_INIT;

	q.step_s = 0;
	assert_fails(&q, -EINVAL, "no length");
	q = query(&g, "/good");
	q.end_s = 999;
	assert_fails(&q, -EINVAL, "end before its start");
	q = query(&g, "/good");
	q.step_s = 1;
	q.end_s = UINT64_MAX;
	assert_fails(&q, -EINVAL, "11000000 steps");
	q.end_s = 1000 + UINT64_C(11000) * 1000;
	assert_fails(&q, -EINVAL, "steps");

	q = query(&g, "/good");
	assert_non_null(text);
	memset(text, '"', PROMETHEUS_QUERY_BYTES + 1);
	text[PROMETHEUS_QUERY_BYTES + 1] = 0;
	q.query = text;
	assert_fails(&q, -EINVAL, "longer than 65536 bytes");
	text[PROMETHEUS_QUERY_BYTES] = 0;
	/* The stub looks at 16 KiB only, and hangs up. */
	assert_true(prometheus_query_range(&q, &err) <= 0);
	free(text);

	for (size_t i = 0; i < COUNT(urls); i++) {
		q = query(&g, "/good");
		q.url = urls[i];
		if (strstr(urls[i], "hunter2x") || strstr(urls[i], "?hunter2")) {
			err = ERR_INIT;
			assert_int_equal(prometheus_query_range(&q, &err), -EINVAL);
			continue;
		}
		assert_fails(&q, -EINVAL, "Prometheus' address");
	}
}

static int work(void)
{
	static char token[512];
	struct got g;
	struct prometheus_query q = query(&g, "/good");

	if (!*token)
		strcpy(token, folder_path(&stub.folder, "token"));
	q.token_path = token;
	return prometheus_query_range(&q, NULL);
}

static void test_torture(void **state)
{
	assert_true(torture_run(work) >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_who_asks),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_words_stay_whole),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_callers_errors),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_bad_questions),
		cmocka_unit_test(test_torture),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
