/*
 * Who speaks: for now one shared secret on one machine. Requests that change something and all
 * answers to them carry HMAC-SHA256 over what they say, so that a stranger who sits on the server's
 * port can neither learn the secret nor give orders.
 *
 *   X-Resin-Nonce: 32 hex digits, fresh for each request
 *   X-Resin-Signature: hex of HMAC(secret, "resin1\n" verb "\n" path "\n" nonce "\n" body)
 *
 * An answer is signed with verb "REPLY" and the request's path and nonce.
 */
#ifndef RESIN_WIRE_AUTH_H
#define RESIN_WIRE_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AUTH_SECRET_BYTES 32
#define AUTH_NONCE_HEX 33     /* with the NUL */
#define AUTH_SIGNATURE_HEX 65 /* with the NUL */

struct auth_key {
	uint8_t secret[AUTH_SECRET_BYTES];
};

/* 64 hex digits and white space around them. */
must_check int auth_key_parse(const char *text, struct auth_key *ret);
must_check int auth_random(void *p, size_t n, struct err *err);
void auth_hex(const uint8_t *p, size_t n, char *ret); /* 2n digits and a NUL */

must_check int auth_sign(const struct auth_key *k, const char *verb, const char *path,
	const char *nonce, const void *body, size_t n, char ret[static AUTH_SIGNATURE_HEX],
	struct err *err);
/* In constant time. */
bool auth_verify(const struct auth_key *k, const char *verb, const char *path, const char *nonce,
	const void *body, size_t n, const char *signature);

#endif
