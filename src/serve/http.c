#include "serve/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "base/limits.h"
#include "base/units.h"

#define CONNECTION_LIMIT 256u
#define CONNECTION_TIMEOUT_SECONDS 20u

struct http {
	struct MHD_Daemon *daemon;
	struct api *api;
	http_log_fn log;
	unsigned port;
};

/* One request while its body arrives. */
struct upload {
	struct buf body;
	bool too_large;
};

static const char *query(void *arg, const char *name)
{
	return MHD_lookup_connection_value(arg, MHD_GET_ARGUMENT_KIND, name);
}

static void add_header(struct MHD_Response *r, const char *name, const char *value)
{
	(void)MHD_add_response_header(r, name, value);
}

static enum MHD_Result respond(struct MHD_Connection *c, struct api_response *a)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(a->body.len, a->body.data, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!r) {
		buf_done(&a->body);
		return MHD_NO;
	}
	add_header(r, "Content-Type", a->content_type);
	add_header(r, "Cache-Control", "no-store");
	add_header(r, "X-Content-Type-Options", "nosniff");
	add_header(r, "Referrer-Policy", "no-referrer");
	add_header(r, "Content-Security-Policy",
		"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
		"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'");
	if (a->signature[0])
		add_header(r, "X-Resin-Signature", a->signature);
	result = MHD_queue_response(c, a->status, r);
	MHD_destroy_response(r);
	return result;
}

/* A page of another site must not read us through a name that it points at loopback (DNS
 * rebinding): the Host header has to name this machine. */
static bool host_is_ours(struct MHD_Connection *c)
{
	const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
	static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};

	for (size_t i = 0; host && i < 3; i++) {
		size_t n = strlen(names[i]);

		if (strncmp(host, names[i], n) == 0 && (host[n] == 0 || host[n] == ':'))
			return true;
	}
	return false;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *text)
{
	struct api_response a = {
		.status = status, .content_type = "text/plain", .body = BUF_INIT(1024)};

	if (buf_printf(&a.body, "%s\n", text) < 0) {
		buf_done(&a.body);
		return MHD_NO;
	}
	return respond(c, &a);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct http *h = cls;
	struct upload *u = *state;
	struct api_response a;
	struct api_request q = {.method = method, .path = url, .query = query, .arg = c};

	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u)
			return MHD_NO;
		u->body = BUF_INIT(LIMIT_MESSAGE_BYTES);
		*state = u;
		return MHD_YES;
	}
	if (*size) {
		if (!u->too_large && buf_add(&u->body, data, *size) < 0) {
			u->too_large = true;
			buf_done(&u->body);
		}
		*size = 0;
		return MHD_YES;
	}
	if (u->too_large)
		return refuse(c, 413, "the body is larger than a message may be");
	if (!host_is_ours(c))
		return refuse(c, 421, "this server answers for loopback names only");
	q.body = u->body.data ? u->body.data : "";
	q.body_bytes = u->body.len;
	q.nonce = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Resin-Nonce");
	q.signature = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Resin-Signature");
	api_handle(h->api, &q, &a);
	if (a.internal.code)
		h->log(a.internal.msg);
	return respond(c, &a);
}

static void on_completed(
	void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
	struct upload *u = *state;

	if (u)
		buf_done(&u->body);
	free(u);
	*state = NULL;
}

static int parse_address(const char *text, struct sockaddr_storage *ret, struct err *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	const char *colon = strrchr(text, ':');
	char host[64];
	uint64_t port;
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!colon || n >= sizeof(host) || parse_u64(colon + 1, &port) < 0 || port > 65535)
		return err_set(err, -EINVAL, "'%.80s' is not ADDRESS:PORT", text);
	memcpy(host, text, n);
	host[n] = 0;
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		if (ntohl(v4->sin_addr.s_addr) >> 24 == 127)
			return 0;
	} else if (strcmp(host, "[::1]") == 0) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		v6->sin6_addr = in6addr_loopback;
		return 0;
	}
	return err_set(err, -EINVAL,
		"'%.80s' is not a loopback address; this version serves only its own host", text);
}

static int open_socket(const char *address, unsigned *ret_port, struct err *err)
{
	struct sockaddr_storage a = {0};
	struct sockaddr_in bound = {0};
	socklen_t len = sizeof(bound);
	int r = parse_address(address, &a, err), one = 1;
	autoclose int fd = -1;

	if (r < 0)
		return r;
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "cannot make a socket: %m");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a,
		    a.ss_family == AF_INET ? sizeof(struct sockaddr_in)
					   : sizeof(struct sockaddr_in6)) < 0 ||
		listen(fd, 256) < 0)
		return err_set(err, -errno,
			errno == EADDRINUSE
				? "%s is taken; is another resin server running? --listen takes "
				  "another port"
				: "cannot listen on %s",
			address);
	/* The port is at the same place in both kinds of address. */
	if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0)
		*ret_port = ntohs(bound.sin_port);
	return steal_fd(&fd);
}

int http_open(
	struct http **ret, struct api *api, const char *address, http_log_fn log, struct err *err)
{
	struct http *h = calloc(1, sizeof(*h));
	int fd;

	if (!h)
		return err_set(err, -ENOMEM, "out of memory");
	h->api = api;
	h->log = log;
	fd = open_socket(address, &h->port, err);
	if (fd < 0) {
		free(h);
		return fd;
	}
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTION_LIMIT, MHD_OPTION_CONNECTION_TIMEOUT,
		CONNECTION_TIMEOUT_SECONDS, MHD_OPTION_END);
	if (!h->daemon) {
		close(fd);
		free(h);
		return err_set(err, -EIO, "cannot start the HTTP server");
	}
	*ret = h;
	return 0;
}

struct http *http_close(struct http *h)
{
	if (!h)
		return NULL;
	MHD_stop_daemon(h->daemon);
	free(h);
	return NULL;
}

unsigned http_port(const struct http *h)
{
	return h->port;
}

int http_run(struct http *h, int timeout_ms, struct err *err)
{
	if (MHD_run_wait(h->daemon, timeout_ms) != MHD_YES)
		return err_set(err, -EIO, "the HTTP server failed");
	return 0;
}
