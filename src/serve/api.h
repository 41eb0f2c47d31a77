/*
 * The HTTP API without HTTP: a request in, a response out. docs/formats/api.md lists the paths.
 * What changes something must be signed (wire/auth.h); answers to it are signed, too.
 */
#ifndef RESIN_SERVE_API_H
#define RESIN_SERVE_API_H

#include "serve/pipeline.h"
#include "wire/auth.h"

struct api {
	struct pipeline *pipeline;
	struct auth_key key;
	const char *version;
};

struct api_request {
	const char *method, *path;
	const char *nonce, *signature;			   /* NULL when absent */
	const char *(*query)(void *arg, const char *name); /* a parameter, or NULL */
	void *arg;
	const void *body;
	size_t body_bytes;
};

struct api_response {
	unsigned status;
	const char *content_type;
	struct buf body;
	char signature[AUTH_SIGNATURE_HEX]; /* "" when the answer is not signed */
	struct err internal;		    /* filled when the server itself failed: for its log */
};

/* Always fills `ret`; the caller frees the body. */
void api_handle(struct api *a, const struct api_request *q, struct api_response *ret);

#endif
