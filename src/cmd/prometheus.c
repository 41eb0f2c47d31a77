#include "cmd/prometheus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include <curl/curl.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/units.h"

#define PATH "/api/v1/query_range"

/* An answer that is an error; Prometheus' own are far below. */
#define ERROR_BODY_BYTES (64u << 10)

#define TOKEN_BYTES 8192u
#define SHOWN_URL 100

/* What comes from elsewhere, as it may be shown. */
struct shown {
	char text[PROMETHEUS_ERROR_BYTES + 1];
};

struct fetch {
	const struct prometheus_query *q;
	CURL *curl;
	char *url;		   /* of the requests, without user and password */
	char shown_url[SHOWN_URL]; /* what the caller gave, without them */
	char said[CURL_ERROR_SIZE];
	struct buf token, form, error_body;
	curl_off_t arrived; /* bytes both ways, packed, and when the last ones came */
	uint64_t arrived_ns;
	uint64_t got; /* bytes of this answer */
	bool silent;  /* given up */
	bool is_json; /* its first character was seen */
	int code;     /* of feed, or ours */
	struct err *err;
};

/* Bytes that a terminal can be given: control characters (C0, DEL and C1) become blanks. `s` is
 * UTF-8 where `utf8` is set; a character is not cut. */
static const char *show(struct shown *out, const char *s, bool utf8)
{
	size_t n = 0;

	while (s && *s && n < PROMETHEUS_ERROR_BYTES) {
		unsigned char c = (unsigned char)*s++;

		if (c == 0xc2 && utf8 && (unsigned char)*s < 0xa0) {
			s++;
			c = ' ';
		}
		out->text[n++] = c < 0x20 || c == 0x7f ? ' ' : c >= 0x80 && !utf8 ? '?' : (char)c;
	}
	/* Cut in a character: back to its start. */
	if (utf8 && s && ((unsigned char)*s & 0xc0) == 0x80) {
		while (n && ((unsigned char)out->text[n - 1] & 0xc0) == 0x80)
			n--;
		n -= n > 0;
	}
	out->text[n] = 0;
	return out->text;
}

static int not_prometheus(struct fetch *f, long status)
{
	struct shown type;
	char *content = NULL;

	curl_easy_getinfo(f->curl, CURLINFO_CONTENT_TYPE, &content);
	show(&type, content ? content : "of no type", false);
	return err_set(f->err, -EBADMSG,
		"%s does not answer like Prometheus (HTTP %ld, %.60s); give the address in front of "
		"/api/v1",
		f->shown_url, status, type.text);
}

/* An answer that is not 200: in Prometheus' own words where it has some. */
static int complain(struct fetch *f, long status)
{
	json_t *o = f->error_body.len ? json_loadb(f->error_body.data, f->error_body.len, 0, NULL)
				      : NULL;
	const char *text = json_string_value(json_object_get(o, "error"));
	struct shown shown;
	char *to = NULL;
	int r;

	curl_easy_getinfo(f->curl, CURLINFO_REDIRECT_URL, &to);
	show(&shown, text ? text : to, text);
	if (status == 401 || status == 403)
		r = err_set(f->err, -EACCES,
			"%s refuses us (HTTP %ld); user:password@ in the address, or the file "
			"with a token, is missing or wrong",
			f->shown_url, status);
	else if (text)
		r = err_set(f->err, -EREMOTEIO, "Prometheus at %.80s says: %s", f->shown_url,
			shown.text);
	else if (to)
		r = err_set(f->err, -EBADMSG,
			"%.80s sends us on to %.140s, which we do not follow; give the right address",
			f->shown_url, shown.text);
	else
		r = not_prometheus(f, status);
	json_decref(o);
	return r;
}

static bool starts_like_json(struct fetch *f, const char *data, size_t n)
{
	size_t i = 0;

	while (i < n && strchr(" \t\r\n", data[i]) && data[i])
		i++;
	if (i == n)
		return true; /* not known yet */
	f->is_json = data[i] == '{';
	return f->is_json;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	const struct prometheus_query *q = f->q;
	uint64_t most = q->answer_bytes ? q->answer_bytes : PROMETHEUS_ANSWER_BYTES;
	size_t n = size * count;
	long status = 0;

	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		int r = buf_add(&f->error_body, data, n);

		if (r == -ENOMEM)
			f->code = err_set(f->err, r, "out of memory");
		return r < 0 ? n + 1 : n;
	}
	f->got += n;
	if (f->got > most)
		f->code = err_set(f->err, -EMSGSIZE,
			"the answer of %s has more than %" PRIu64
			" bytes; ask for fewer series or a longer step",
			f->shown_url, most);
	else if (!f->is_json && !starts_like_json(f, data, n))
		f->code = not_prometheus(f, status);
	else
		f->code = q->feed(q->arg, data, n, f->err);
	if (f->code > 0)
		f->code = 0;
	/* Any other number than n ends the transfer. */
	return f->code < 0 ? n + 1 : n;
}

static uint64_t silence_s(const struct prometheus_query *q)
{
	return q->silence_s ? q->silence_s : PROMETHEUS_SILENCE_S;
}

/* Called once a second at least. CURLOPT_LOW_SPEED_TIME looks at means, which takes longer. */
static int on_progress(
	void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
	struct fetch *f = arg;
	uint64_t ns = clock_mono_ns(&clock_system);

	if (now + up != f->arrived) {
		f->arrived = now + up;
		f->arrived_ns = ns;
	}
	if (ns - f->arrived_ns < silence_s(f->q) * NSEC_PER_SEC)
		return 0;
	f->silent = true;
	return 1;
}

static int transfer_failed(struct fetch *f, CURLcode code)
{
	const char *said = *f->said ? f->said : curl_easy_strerror(code);
	char silence[64];
	struct shown shown;
	int r = -EIO;

	if (code == CURLE_OUT_OF_MEMORY)
		return err_set(f->err, -ENOMEM, "out of memory");
	if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
		r = -EBADMSG;
	else if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
		r = -ECONNREFUSED;
	else if (code == CURLE_OPERATION_TIMEDOUT || f->silent)
		r = -ETIMEDOUT;
	if (f->silent) {
		snprintf(silence, sizeof(silence), "nothing came for %" PRIu64 " s",
			silence_s(f->q));
		said = silence;
	}
	return err_set(f->err, r, "%s from Prometheus at %s: %s",
		f->got ? "the answer broke off" : "no answer", f->shown_url,
		show(&shown, said, false));
}

/* Its address */

static char *url_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *s = NULL;

	return curl_url_get(u, part, &s, flags) == CURLUE_OK ? s : NULL;
}

static void curl_text_done(char **s)
{
	curl_free(*s);
}

/* Moves user and password from the address to the handle. */
static int take_user(struct fetch *f, CURLU *u)
{
	cleanup(curl_text_done) char *user = url_part(u, CURLUPART_USER, CURLU_URLDECODE);
	cleanup(curl_text_done) char *password = url_part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
	bool ok = true;

	if ((user || password) && f->token.len)
		return err_set(f->err, -EINVAL,
			"a user in Prometheus' address and a token are one too many");
	if (user)
		ok = curl_easy_setopt(f->curl, CURLOPT_USERNAME, user) == CURLE_OK;
	if (password) {
		ok = ok && curl_easy_setopt(f->curl, CURLOPT_PASSWORD, password) == CURLE_OK;
		explicit_bzero(password, strlen(password));
	}
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	return ok ? 0 : err_set(f->err, -ENOMEM, "out of memory");
}

/* Puts the API's path behind the address. */
static int complete_url(struct fetch *f, CURLU *u)
{
	cleanup(curl_text_done) char *plain = url_part(u, CURLUPART_URL, 0);
	cleanup(curl_text_done) char *path = url_part(u, CURLUPART_PATH, 0);
	autobuf struct buf whole = BUF_INIT(8192);
	struct shown shown;
	size_t n;
	int r;

	if (!plain || !path)
		return err_set(f->err, -ENOMEM, "out of memory");
	snprintf(f->shown_url, sizeof(f->shown_url), "%s", show(&shown, plain, false));
	if (strpbrk(plain, "?#"))
		return err_set(f->err, -EINVAL,
			"Prometheus' address has a query or a fragment; give the address in front of "
			"/api/v1");
	for (n = strlen(path); n && path[n - 1] == '/';)
		n--;
	r = buf_printf(&whole, "%.*s%s", (int)n, path, PATH);
	if (r < 0)
		return err_set(f->err, r, "Prometheus' address is too long");
	if (curl_url_set(u, CURLUPART_PATH, whole.data, 0) == CURLUE_OK)
		f->url = url_part(u, CURLUPART_URL, 0);
	return f->url ? 0 : err_set(f->err, -ENOMEM, "out of memory");
}

static int set_address(struct fetch *f, CURLU *u)
{
	const char *given = f->q->url;
	int r;

	/* What is no address is not shown: it may have a password in it. */
	if (strncasecmp(given, "http://", 7) != 0 && strncasecmp(given, "https://", 8) != 0)
		return err_set(f->err, -EINVAL,
			"Prometheus' address does not begin with http:// or https://");
	if (curl_url_set(u, CURLUPART_URL, given, 0) != CURLUE_OK)
		return err_set(f->err, -EINVAL, "Prometheus' address is not a valid URL");
	r = take_user(f, u);
	return r < 0 ? r : complete_url(f, u);
}

static int read_token(struct fetch *f)
{
	const char *path = f->q->token_path;
	int r;

	if (!path)
		return 0;
	r = config_read_file(path, &f->token, f->err);
	if (r < 0)
		return r;
	if (r > 0)
		return err_set(f->err, -EINVAL, "there is no file %s with a token", path);
	while (f->token.len && strchr(" \t\r\n", f->token.data[f->token.len - 1]))
		f->token.data[--f->token.len] = 0;
	/* Also keeps line ends, and with them other headers, out. */
	for (size_t i = 0; i < f->token.len; i++)
		if (f->token.data[i] <= ' ' || f->token.data[i] > '~')
			return err_set(f->err, -EINVAL, "%s does not hold a token: one word", path);
	if (!f->token.len)
		return err_set(f->err, -EINVAL, "%s is empty; it should hold a token", path);
	return 0;
}

/* Requests */

static int fetch_open(struct fetch *f)
{
	CURL *c = f->curl = curl_easy_init();
	CURLU *u = curl_url();
	bool ok;
	int r;

	if (!c || !u) {
		curl_url_cleanup(u);
		return err_set(f->err, -ENOMEM, "cannot start libcurl");
	}
	r = read_token(f);
	if (r == 0)
		r = set_address(f, u);
	curl_url_cleanup(u);
	if (r < 0)
		return r;
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->said);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)PROMETHEUS_CONNECT_S);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)PROMETHEUS_ANSWER_S);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, f);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, f);
	ok = curl_easy_setopt(c, CURLOPT_URL, f->url) == CURLE_OK &&
		curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
		curl_easy_setopt(c, CURLOPT_USERAGENT, "resin") == CURLE_OK &&
		/* All that this libcurl can unpack; answers shrink to a tenth. */
		curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK;
	if (ok && f->token.len)
		ok = curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) == CURLE_OK &&
			curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, f->token.data) == CURLE_OK;
	return ok ? 0 : err_set(f->err, -ENOMEM, "out of memory");
}

static void fetch_close(struct fetch *f)
{
	curl_easy_cleanup(f->curl);
	curl_free(f->url);
	if (f->token.data)
		explicit_bzero(f->token.data, f->token.cap);
	buf_done(&f->token);
	buf_done(&f->form);
	buf_done(&f->error_body);
}

static int fill_form(struct fetch *f, uint64_t start_s, uint64_t end_s)
{
	char *query = curl_easy_escape(f->curl, f->q->query, (int)strlen(f->q->query));
	int r;

	buf_clear(&f->form);
	r = query ? buf_printf(&f->form, "query=%s&start=%" PRIu64 "&end=%" PRIu64 "&step=%" PRIu64,
			    query, start_s, end_s, f->q->step_s)
		  : -ENOMEM;
	curl_free(query);
	return r < 0 ? err_set(f->err, r, "out of memory") : 0;
}

static int fetch_one(struct fetch *f, uint64_t start_s, uint64_t end_s)
{
	const struct prometheus_query *q = f->q;
	long status = 0;
	CURLcode code;
	int r = fill_form(f, start_s, end_s);

	if (r == 0 && q->begin)
		r = q->begin(q->arg, start_s, end_s, f->err);
	if (r < 0)
		return r;
	buf_clear(&f->error_body);
	f->got = 0;
	f->is_json = f->silent = false;
	f->said[0] = 0;
	f->arrived = 0;
	f->arrived_ns = clock_mono_ns(&clock_system);
	curl_easy_setopt(f->curl, CURLOPT_POSTFIELDS, f->form.data);
	curl_easy_setopt(f->curl, CURLOPT_POSTFIELDSIZE, (long)f->form.len);
	code = curl_easy_perform(f->curl);
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (f->code < 0)
		return f->code;
	/* An error's body that broke off, or is longer than we want, still has its status. */
	if (status && status != 200)
		return complain(f, status);
	if (code != CURLE_OK)
		return transfer_failed(f, code);
	if (!f->is_json)
		return not_prometheus(f, status);
	r = q->end ? q->end(q->arg, f->err) : 0;
	return r < 0 ? r : 0;
}

int prometheus_query_range(const struct prometheus_query *q, struct err *err)
{
	struct err own = ERR_INIT;
	struct fetch f = {.q = q,
		.err = err ? err : &own,
		.token = BUF_INIT(TOKEN_BYTES),
		.form = BUF_INIT(3 * PROMETHEUS_QUERY_BYTES + 256),
		.error_body = BUF_INIT(ERROR_BODY_BYTES)};
	uint32_t points =
		q->points && q->points < PROMETHEUS_MAX_POINTS ? q->points : PROMETHEUS_MAX_POINTS;
	uint64_t steps, from = 0;
	int r;

	if (!q->step_s || q->end_s < q->start_s)
		return err_set(err, -EINVAL, "the range to ask for has %s",
			q->step_s ? "its end before its start" : "steps of no length");
	if (strlen(q->query) > PROMETHEUS_QUERY_BYTES)
		return err_set(
			err, -EINVAL, "the query is longer than %u bytes", PROMETHEUS_QUERY_BYTES);
	steps = (q->end_s - q->start_s) / q->step_s;
	if (steps / points >= PROMETHEUS_MAX_REQUESTS)
		return err_set(err, -EINVAL,
			"the range has more than %" PRIu64 " steps; take a longer one",
			(uint64_t)points * PROMETHEUS_MAX_REQUESTS);
	r = fetch_open(&f);
	while (r == 0 && from <= steps) {
		uint64_t last = steps - from < points ? steps : from + points - 1;

		r = fetch_one(&f, q->start_s + from * q->step_s, q->start_s + last * q->step_s);
		from = last + 1;
	}
	fetch_close(&f);
	return r;
}
