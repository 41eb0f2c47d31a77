/*
 * The command line's view of the server: GET JSON, signed POST, and how to print it.
 */
#ifndef RESIN_CMD_CLIENT_H
#define RESIN_CMD_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/auth.h"

/* --server, else RESIN_SERVER, else the default. */
const char *client_url(const char *option);

/* The raw text goes to `ret_text` when it is not NULL. -ENOENT: the server says there is no such
 * thing; -ECONNREFUSED: it does not answer. */
must_check int client_get(
	const char *url, const char *path, json_t **ret, struct buf *ret_text, struct err *err);

must_check int client_read_token(const char *path, struct auth_key *ret, struct err *err);
must_check int client_post(const char *url, const struct auth_key *key, const char *path,
	const char *body, struct err *err);

/* Values of an object, with a fallback for what is missing. */
const char *json_text(const json_t *o, const char *key);
double json_num(const json_t *o, const char *key);

/* "2h 5m" before `now` for an RFC 3339 time; "-" when it is none. */
const char *client_age(const char *time, char *out, size_t size);

/* Options that all of these commands have. */
struct client_options {
	const char *server;
	bool as_json;
};

/* Fetches and prints as it is; the exit code. */
int client_print_json(const struct client_options *o, const char *path);
int client_complain(const struct err *err);

#endif
