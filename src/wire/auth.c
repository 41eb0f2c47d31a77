#include "wire/auth.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int auth_key_parse(const char *text, struct auth_key *ret)
{
	struct auth_key k;

	text += strspn(text, " \t\r\n");
	for (size_t i = 0; i < AUTH_SECRET_BYTES; i++, text += 2) {
		int hi = digit(text[0]), lo = hi < 0 ? -1 : digit(text[1]);

		if (lo < 0)
			return -EINVAL;
		k.secret[i] = (uint8_t)(hi << 4 | lo);
	}
	if (text[strspn(text, " \t\r\n")])
		return -EINVAL;
	*ret = k;
	return 0;
}

int auth_random(void *p, size_t n, struct err *err)
{
	int r = gnutls_rnd(GNUTLS_RND_RANDOM, p, n);

	return r < 0 ? err_set(err, -EIO, "no randomness: %s", gnutls_strerror(r)) : 0;
}

void auth_hex(const uint8_t *p, size_t n, char *ret)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = hex[p[i] >> 4];
		ret[2 * i + 1] = hex[p[i] & 15];
	}
	ret[2 * n] = 0;
}

int auth_sign(const struct auth_key *k, const char *verb, const char *path, const char *nonce,
	const void *body, size_t n, char ret[static AUTH_SIGNATURE_HEX], struct err *err)
{
	const char *parts[] = {"resin1", verb, path, nonce};
	gnutls_hmac_hd_t h;
	uint8_t mac[32];
	int r = gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, k->secret, sizeof(k->secret));

	if (r < 0)
		return err_set(err, -EIO, "cannot sign: %s", gnutls_strerror(r));
	for (size_t i = 0; i < 4 && r >= 0; i++) {
		r = gnutls_hmac(h, parts[i], strlen(parts[i]));
		if (r >= 0)
			r = gnutls_hmac(h, "\n", 1);
	}
	if (r >= 0 && n)
		r = gnutls_hmac(h, body, n);
	gnutls_hmac_deinit(h, mac);
	if (r < 0)
		return err_set(err, -EIO, "cannot sign: %s", gnutls_strerror(r));
	auth_hex(mac, sizeof(mac), ret);
	return 0;
}

bool auth_verify(const struct auth_key *k, const char *verb, const char *path, const char *nonce,
	const void *body, size_t n, const char *signature)
{
	char want[AUTH_SIGNATURE_HEX];

	if (!nonce || !signature || strlen(nonce) != AUTH_NONCE_HEX - 1 ||
		strlen(signature) != AUTH_SIGNATURE_HEX - 1 ||
		auth_sign(k, verb, path, nonce, body, n, want, NULL) < 0)
		return false;
	return gnutls_memcmp(want, signature, AUTH_SIGNATURE_HEX - 1) == 0;
}
