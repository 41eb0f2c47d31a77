#include <errno.h>
#include <string.h>

#include "base/config.h"
#include "base/limits.h"
#include "base/units.h"
#include "cmd/agent.h"
#include "cmd/say.h"

#define REPLY_BYTES (256u << 10)
#define FIRST_BACKOFF_NS (500 * NSEC_PER_MSEC)
#define MAX_BACKOFF_NS (15 * NSEC_PER_SEC)
#define CONTROL_BYTES (2u * LIMIT_MESSAGE_BYTES)

static int read_token(const char *path, struct auth_key *ret, struct err *err)
{
	autobuf struct buf text = BUF_INIT(4096);
	int r = config_read_file(path, &text, err);

	if (r < 0)
		return r;
	if (r > 0 || !text.data || auth_key_parse(text.data, ret) < 0)
		return err_set(err, -EINVAL,
			"%s does not hold a token (64 hex digits); copy that of the server, which makes "
			"one at its first start",
			path);
	return 0;
}

/* Loopback only, as the server: the token does not replace encryption. */
static bool is_loopback(const char *url)
{
	static const char *const ok[] = {"http://127.", "http://localhost:", "http://[::1]:"};

	for (size_t i = 0; i < 3; i++)
		if (strncmp(url, ok[i], strlen(ok[i])) == 0)
			return true;
	return false;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct link *l = arg;

	return buf_add(&l->reply, data, size * n) == 0 ? size * n : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	static const char name[] = "X-Resin-Signature: ";
	const size_t len = sizeof(name) - 1;
	struct link *l = arg;

	if (size * n >= len + AUTH_SIGNATURE_HEX - 1 && strncasecmp(data, name, len) == 0) {
		memcpy(l->reply_signature, data + len, AUTH_SIGNATURE_HEX - 1);
		l->reply_signature[AUTH_SIGNATURE_HEX - 1] = 0;
	}
	return size * n;
}

int link_open(struct agent *a, struct err *err)
{
	struct link *l = &a->link;
	size_t n = strlen(a->set.server_url);
	int r;

	l->samples = QUEUE_INIT(LIMIT_QUEUE_BYTES);
	l->control = QUEUE_INIT(CONTROL_BYTES);
	l->reply = BUF_INIT(REPLY_BYTES);
	if (!is_loopback(a->set.server_url))
		return err_set(err, -EINVAL,
			"[agent] server = %s: only loopback for now, such as http://127.0.0.1:7411",
			a->set.server_url);
	while (n && a->set.server_url[n - 1] == '/')
		n--;
	snprintf(l->url, sizeof(l->url), "%.*s", (int)n, a->set.server_url);
	r = read_token(a->set.agent_token, &l->key, err);
	if (r < 0)
		return r;
	l->multi = curl_multi_init();
	l->easy = curl_easy_init();
	return l->multi && l->easy ? 0 : err_set(err, -ENOMEM, "cannot start libcurl");
}

void link_close(struct link *l)
{
	if (l->busy)
		curl_multi_remove_handle(l->multi, l->easy);
	curl_easy_cleanup(l->easy);
	curl_multi_cleanup(l->multi);
	curl_slist_free_all(l->headers);
	queue_done(&l->samples);
	queue_done(&l->control);
	buf_done(&l->reply);
}

static int add_header(struct link *l, const char *name, const char *value)
{
	char line[256];
	struct curl_slist *s;

	snprintf(line, sizeof(line), "%s: %s", name, value);
	s = curl_slist_append(l->headers, line);
	if (!s)
		return -ENOMEM;
	l->headers = s;
	return 0;
}

/* Signs and starts one POST. */
static int post(struct link *l, const char *path, const void *body, size_t n)
{
	uint8_t random[16];
	char url[640], signature[AUTH_SIGNATURE_HEX];

	if (auth_random(random, sizeof(random), NULL) < 0)
		return -EIO;
	auth_hex(random, sizeof(random), l->nonce);
	snprintf(l->path, sizeof(l->path), "%s", path);
	if (auth_sign(&l->key, "POST", path, l->nonce, body, n, signature, NULL) < 0)
		return -EIO;
	curl_slist_free_all(l->headers);
	l->headers = NULL;
	if (add_header(l, "X-Resin-Nonce", l->nonce) < 0 ||
		add_header(l, "X-Resin-Signature", signature) < 0 ||
		add_header(l, "Content-Type", "application/x-protobuf") < 0 ||
		add_header(l, "Expect", "") < 0)
		return -ENOMEM;
	buf_clear(&l->reply);
	l->reply_signature[0] = 0;
	snprintf(url, sizeof(url), "%s%s", l->url, path);
	curl_easy_reset(l->easy);
	curl_easy_setopt(l->easy, CURLOPT_URL, url);
	curl_easy_setopt(l->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(l->easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(l->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(l->easy, CURLOPT_CONNECTTIMEOUT_MS, 2000L);
	curl_easy_setopt(l->easy, CURLOPT_TIMEOUT_MS, 15000L);
	curl_easy_setopt(l->easy, CURLOPT_HTTPHEADER, l->headers);
	/* A copy: a full queue may drop the oldest batch while it is being sent. Size first. */
	curl_easy_setopt(l->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
	if (curl_easy_setopt(l->easy, CURLOPT_COPYPOSTFIELDS, body) != CURLE_OK)
		return -ENOMEM;
	curl_easy_setopt(l->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(l->easy, CURLOPT_WRITEDATA, l);
	curl_easy_setopt(l->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(l->easy, CURLOPT_HEADERDATA, l);
	return curl_multi_add_handle(l->multi, l->easy) == CURLM_OK ? 0 : -EIO;
}

/* Control messages carry their path in front of the body. */
#define PATH_BYTES 16u

static void put_control(struct agent *a, const char *path, const void *p, size_t n)
{
	autobuf struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES + PATH_BYTES);
	char head[PATH_BYTES] = "";

	snprintf(head, sizeof(head), "%s", path);
	if (buf_add(&b, head, sizeof(head)) < 0 || buf_add(&b, p, n) < 0 ||
		queue_put(&a->link.control, ++a->link.control_seq, b.data, b.len) < 0)
		say_warning("a message for the server was too large and is lost");
}

void link_send_report(
	struct agent *a, const struct order *o, enum order_state state, const char *reason)
{
	autobuf struct buf b = BUF_INIT(4096);
	struct report r = {.order_id = o->id, .state = state};

	memcpy(r.nonce, o->nonce, sizeof(r.nonce));
	snprintf(r.reason, sizeof(r.reason), "%s", reason);
	if (wire_encode_report(&r, &b, NULL) == 0)
		put_control(a, "/v1/reports", b.data, b.len);
}

void link_send_profile(struct agent *a, const void *p, size_t n)
{
	put_control(a, "/v1/profiles", p, n);
}

void link_pump(struct agent *a, uint64_t now_ns)
{
	struct link *l = &a->link;
	const struct queue_item *i;
	int r;

	if (l->busy || now_ns < l->retry_at_ns)
		return;
	i = queue_peek(&l->control);
	l->busy_control = i != NULL;
	if (i) {
		r = post(l, i->data, i->data + PATH_BYTES, i->bytes - PATH_BYTES);
	} else {
		i = queue_peek(&l->samples);
		if (!i)
			return;
		r = post(l, "/v1/samples", i->data, i->bytes);
	}
	if (r < 0) {
		l->retry_at_ns = now_ns + MAX_BACKOFF_NS;
		return;
	}
	l->busy_seq = i->seq;
	l->busy = true;
}

static void failed(struct agent *a, uint64_t now_ns, const char *why)
{
	struct link *l = &a->link;

	if (!l->complained)
		say_warning("%s: %s; keeping up to %u MiB of samples until it answers", l->url, why,
			LIMIT_QUEUE_BYTES >> 20);
	l->complained = true;
	l->backoff_ns = l->backoff_ns ? l->backoff_ns * 2 : FIRST_BACKOFF_NS;
	if (l->backoff_ns > MAX_BACKOFF_NS)
		l->backoff_ns = MAX_BACKOFF_NS;
	l->retry_at_ns = now_ns + l->backoff_ns;
}

static void acknowledge(struct link *l)
{
	queue_ack(l->busy_control ? &l->control : &l->samples, l->busy_seq);
}

static void on_reply(struct agent *a, long status, uint64_t now_ns)
{
	autoarena struct arena arena = ARENA_INIT(1u << 20);
	struct link *l = &a->link;
	struct err err = ERR_INIT;
	struct reply reply;
	char text[160];

	/* Only who knows the secret may acknowledge, or order anything. */
	if (status == 401) {
		failed(a, now_ns, "it does not accept this agent's token");
		return;
	}
	if (!auth_verify(&l->key, "REPLY", l->path, l->nonce, l->reply.data, l->reply.len,
		    l->reply_signature)) {
		failed(a, now_ns, "the answer is not signed with our token; is that our server?");
		return;
	}
	if (status == 200 &&
		wire_decode_reply(l->reply.data, l->reply.len, &arena, &reply, &err) == 0) {
		if (l->complained)
			say_info("%s answers again; %llu batches were lost meanwhile", l->url,
				(unsigned long long)l->samples.dropped);
		l->complained = false;
		l->backoff_ns = 0;
		acknowledge(l);
		if (reply.pace != a->pace) {
			a->pace = reply.pace;
			a->next_tick_ns = now_ns;
		}
		for (size_t i = 0; i < reply.n_orders; i++)
			helper_on_order(a, &reply.orders[i]);
		return;
	}
	if (status >= 400 && status < 500) {
		/* It will never take this one; the next may be fine. */
		say_warning("the server refuses a message for %s (status %ld): %.200s", l->path,
			status, l->reply.data ? l->reply.data : "");
		acknowledge(l);
		return;
	}
	snprintf(text, sizeof(text), "status %ld %s", status, err.msg);
	failed(a, now_ns, text);
}

void link_finished(struct agent *a, uint64_t now_ns)
{
	struct link *l = &a->link;
	int running, left;
	CURLMsg *m;

	curl_multi_perform(l->multi, &running);
	while ((m = curl_multi_info_read(l->multi, &left))) {
		CURLcode code = m->data.result;
		long status = 0;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &status);
		curl_multi_remove_handle(l->multi, l->easy);
		l->busy = false;
		if (code != CURLE_OK)
			failed(a, now_ns, curl_easy_strerror(code));
		else
			on_reply(a, status, now_ns);
	}
}
