#include "cmd/client.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "base/config.h"
#include "base/limits.h"
#include "base/units.h"
#include "cmd/say.h"

#define DEFAULT_URL "http://127.0.0.1:7411"

const char *client_url(const char *option)
{
	const char *env = getenv("RESIN_SERVER"); /* NOLINT(concurrency-mt-unsafe) */

	return option ? option : env && *env ? env : DEFAULT_URL;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	return buf_add(arg, data, size * n) == 0 ? size * n : 0;
}

/* One transfer; the HTTP status, or <0. */
static int transfer(const char *base, const char *path, struct curl_slist *headers,
	const char *body, struct buf *out, struct err *err)
{
	CURL *c = curl_easy_init();
	char url[1024];
	long status = 0;
	CURLcode code;

	if (!c)
		return err_set(err, -ENOMEM, "cannot start libcurl");
	snprintf(url, sizeof(url), "%.*s%s", (int)(strlen(base) - (base[strlen(base) - 1] == '/')),
		base, path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 3000L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 15000L);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
	if (body)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	if (code != CURLE_OK)
		return err_set(err, -ECONNREFUSED,
			"no answer from %s: %s; is `resin server` running? (--server or RESIN_SERVER "
			"take another address)",
			base, curl_easy_strerror(code));
	return (int)status;
}

static int complain(int status, const struct buf *out, struct err *err)
{
	json_t *o = out->data ? json_loads(out->data, 0, NULL) : NULL;
	const char *text = o ? json_text(o, "error") : "";

	err_set(err, status == 404 ? -ENOENT : -EIO, "%s", *text ? text : "the server refused");
	json_decref(o);
	return err->code;
}

int client_get(
	const char *url, const char *path, json_t **ret, struct buf *ret_text, struct err *err)
{
	autobuf struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	json_error_t e;
	json_t *o;
	int r = transfer(url, path, NULL, NULL, &out, err);

	if (r < 0)
		return r;
	if (r != 200)
		return complain(r, &out, err);
	o = json_loads(out.data ? out.data : "", 0, &e);
	if (!o)
		return err_set(
			err, -EBADMSG, "%s does not answer like a resin server: %s", url, e.text);
	if (ret_text && buf_add(ret_text, out.data, out.len) < 0) {
		json_decref(o);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*ret = o;
	return 0;
}

int client_read_token(const char *path, struct auth_key *ret, struct err *err)
{
	autobuf struct buf text = BUF_INIT(4096);
	int r = config_read_file(path, &text, err);

	if (r < 0)
		return r;
	if (r > 0 || !text.data || auth_key_parse(text.data, ret) < 0)
		return err_set(
			err, -EINVAL, "%s does not hold the server's token; give --token", path);
	return 0;
}

int client_post(const char *url, const struct auth_key *key, const char *path, const char *body,
	struct err *err)
{
	autobuf struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	char nonce[AUTH_NONCE_HEX], signature[AUTH_SIGNATURE_HEX], line[160];
	struct curl_slist *headers;
	uint8_t random[16];
	int r = auth_random(random, sizeof(random), err);

	if (r < 0)
		return r;
	auth_hex(random, sizeof(random), nonce);
	r = auth_sign(key, "POST", path, nonce, body, strlen(body), signature, err);
	if (r < 0)
		return r;
	snprintf(line, sizeof(line), "X-Resin-Nonce: %s", nonce);
	headers = curl_slist_append(NULL, line);
	snprintf(line, sizeof(line), "X-Resin-Signature: %s", signature);
	headers = curl_slist_append(headers, line);
	r = transfer(url, path, headers, body, &out, err);
	curl_slist_free_all(headers);
	if (r < 0)
		return r;
	return r == 200 ? 0 : complain(r, &out, err);
}

const char *json_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

double json_num(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

const char *client_age(const char *time_text, char *out, size_t size)
{
	char age[UNITS_DURATION_MAX];
	struct tm tm = {0};
	time_t t, now = time(NULL);

	if (!strptime(time_text, "%Y-%m-%dT%H:%M:%S", &tm)) {
		snprintf(out, size, "-");
		return out;
	}
	t = timegm(&tm);
	snprintf(out, size, "%s",
		units_duration(now > t ? (uint64_t)(now - t) * NSEC_PER_SEC : 0, age));
	return out;
}

int client_complain(const struct err *err)
{
	say_error("%s", err->msg);
	return EXIT_FAILED;
}

int client_print_json(const struct client_options *o, const char *path)
{
	autobuf struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = ERR_INIT;
	json_t *j = NULL;

	if (client_get(client_url(o->server), path, &j, &text, &err) < 0)
		return client_complain(&err);
	json_decref(j);
	puts(text.data);
	return EXIT_DONE;
}
