/*
 * Configuration: INI files with drop-ins, checked against a table of keys.
 *
 * One row of the table is the whole truth about a key: section, name, type, default, bounds, help.
 * The manual page resin.conf(5) and `resin help config` print that table. An unknown section or
 * key, a value of the wrong type or out of bounds is an error that names file, line, key and what
 * would be right. Later files override earlier ones key by key.
 *
 * The values live in the caller's struct; strings point into the config's own storage and live
 * until config_done().
 */
#ifndef RESIN_BASE_CONFIG_H
#define RESIN_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum config_type {
	CONFIG_STRING,	 /* const char * */
	CONFIG_SIZE,	 /* uint64_t bytes */
	CONFIG_DURATION, /* uint64_t ns */
	CONFIG_NUMBER,	 /* uint64_t */
	CONFIG_BOOL,	 /* bool: yes/no/true/false/on/off */
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	size_t offset;	       /* of the field in the caller's struct */
	const char *fallback;  /* default, in the syntax of the file */
	const char *min, *max; /* bounds in the syntax of the file, or NULL */
	const char *help;
};

struct config {
	const struct config_key *keys; /* ends with section == NULL */
	void *target;
	char **strings;
	size_t n_strings, cap_strings;
};

/* Fills every field with its default. */
must_check int config_init(
	struct config *c, const struct config_key *keys, void *target, struct err *err);
void config_done(struct config *c);

/* Parses text; `origin` is the name that errors carry. */
must_check int config_parse(
	struct config *c, const char *text, const char *origin, struct err *err);

/* Reads `path` and then every PATH.d/NAME.conf in order of name. A missing file is no error unless
 * `required`. */
must_check int config_read(struct config *c, const char *path, bool required, struct err *err);

/* Sets one key as if "name = value" stood in [section]. */
must_check int config_set(struct config *c, const char *section, const char *name,
	const char *value, const char *origin, int line, struct err *err);

/* The generic layer below, also used by the policy file: calls `fn` for each "key = value". A line
 * is at most 4,096 bytes; comments start with # or ;. Stops at the first non-zero return. */
typedef int (*ini_fn)(void *arg, const char *section, const char *key, const char *value, int line,
	struct err *err);
must_check int ini_parse(
	const char *text, const char *origin, ini_fn fn, void *arg, struct err *err);

/* Reads a whole file of at most LIMIT_CONFIG_BYTES. Returns 1 when it does not exist. */
struct buf;
must_check int config_read_file(const char *path, struct buf *ret, struct err *err);

#endif
