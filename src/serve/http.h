/*
 * HTTP around the API: libmicrohttpd, one thread, loopback only for now.
 */
#ifndef RESIN_SERVE_HTTP_H
#define RESIN_SERVE_HTTP_H

#include "serve/api.h"

struct http;

/* Told about every failure of the server itself. */
typedef void (*http_log_fn)(const char *text);

/* `address` is "127.0.0.1:7411" or "[::1]:7411"; port 0 takes any free one. */
must_check int http_open(
	struct http **ret, struct api *api, const char *address, http_log_fn log, struct err *err);
struct http *http_close(struct http *h);
unsigned http_port(const struct http *h);

/* Serves what is there, waiting at most that long. */
must_check int http_run(struct http *h, int timeout_ms, struct err *err);

#endif
