#include "base/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/units.h"

static char *trim(char *s)
{
	char *end;

	while (*s == ' ' || *s == '\t')
		s++;
	end = s + strlen(s);
	while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		*--end = 0;
	return s;
}

int ini_parse(const char *text, const char *origin, ini_fn fn, void *arg, struct err *err)
{
	char line[4096 + 1], section[64] = "";
	int number = 0;

	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\n");
		char *s, *eq, *value;
		int r;

		number++;
		if (n >= sizeof(line))
			return err_set(err, -EINVAL, "%s:%d: line is longer than %zu bytes", origin,
				number, sizeof(line) - 1);
		memcpy(line, p, n);
		line[n] = 0;
		p += n + (p[n] == '\n');
		s = trim(line);
		if (!*s || *s == '#' || *s == ';')
			continue;
		if (*s == '[') {
			size_t len = strlen(s);

			if (len < 3 || s[len - 1] != ']' || len - 2 >= sizeof(section))
				return err_set(err, -EINVAL, "%s:%d: '%.40s' is not a [section]",
					origin, number, s);
			memcpy(section, s + 1, len - 2);
			section[len - 2] = 0;
			continue;
		}
		eq = strchr(s, '=');
		if (!eq)
			return err_set(err, -EINVAL, "%s:%d: expected 'key = value', found '%.40s'",
				origin, number, s);
		*eq = 0;
		value = trim(eq + 1);
		r = fn(arg, section, trim(s), value, number, err);
		if (r != 0)
			return r;
	}
	return 0;
}

static int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};

	for (size_t i = 0; i < 4; i++) {
		if (strcmp(s, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcmp(s, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_number(enum config_type type, const char *s, uint64_t *ret)
{
	switch (type) {
	case CONFIG_SIZE:
		return parse_size(s, ret);
	case CONFIG_DURATION:
		return parse_duration(s, ret);
	case CONFIG_NUMBER:
		return parse_u64(s, ret);
	case CONFIG_STRING:
	case CONFIG_BOOL:
		break;
	}
	return -EINVAL;
}

static const char *type_hint(enum config_type type)
{
	switch (type) {
	case CONFIG_SIZE:
		return "a size such as 64M or 2G";
	case CONFIG_DURATION:
		return "a duration with a unit such as 250ms, 90s, 5m or 7d";
	case CONFIG_NUMBER:
		return "a whole number";
	case CONFIG_BOOL:
		return "yes or no";
	case CONFIG_STRING:
		return "text";
	}
	return "a value";
}

static int keep_string(struct config *c, const char *value, const char **ret)
{
	char *copy;
	int r = array_reserve(
		&c->strings, &c->cap_strings, c->n_strings + 1, sizeof(*c->strings), 65536);

	if (r < 0)
		return r;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	c->strings[c->n_strings++] = copy;
	*ret = copy;
	return 0;
}

static int store_value(struct config *c, const struct config_key *k, const char *value,
	const char *where, struct err *err)
{
	char *field = (char *)c->target + k->offset;
	uint64_t v = 0, bound = 0;
	bool b;
	int r;

	switch (k->type) {
	case CONFIG_STRING:
		r = keep_string(c, value, (const char **)(void *)field);
		return r < 0 ? err_set(err, r, "%s: out of memory", where) : 0;
	case CONFIG_BOOL:
		if (parse_bool(value, &b) < 0)
			break;
		*(bool *)field = b;
		return 0;
	case CONFIG_SIZE:
	case CONFIG_DURATION:
	case CONFIG_NUMBER:
		if (parse_number(k->type, value, &v) < 0)
			break;
		if (k->min && parse_number(k->type, k->min, &bound) == 0 && v < bound)
			return err_set(err, -ERANGE, "%s: %s = %s is below the least allowed, %s",
				where, k->name, value, k->min);
		if (k->max && parse_number(k->type, k->max, &bound) == 0 && v > bound)
			return err_set(err, -ERANGE, "%s: %s = %s is above the most allowed, %s",
				where, k->name, value, k->max);
		*(uint64_t *)(void *)field = v;
		return 0;
	}
	return err_set(err, -EINVAL, "%s: %s = '%.60s' is not %s", where, k->name, value,
		type_hint(k->type));
}

/* Levenshtein distance, for "did you mean"; both at most 40 bytes, else "far". */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), row[42];

	if (n > 40 || m > 40)
		return 99;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[m];
}

int config_set(struct config *c, const char *section, const char *name, const char *value,
	const char *origin, int line, struct err *err)
{
	const struct config_key *best = NULL;
	size_t best_distance = 99;
	char where[256];

	snprintf(where, sizeof(where), "%s:%d", origin, line);
	for (const struct config_key *k = c->keys; k->section; k++) {
		size_t d;

		if (strcmp(k->section, section) == 0 && strcmp(k->name, name) == 0)
			return store_value(c, k, value, where, err);
		d = distance(k->name, name) + (strcmp(k->section, section) != 0);
		if (d < best_distance) {
			best_distance = d;
			best = k;
		}
	}
	if (best && best_distance <= 3)
		return err_set(err, -ENOENT,
			"%s: unknown key '%.40s' in [%.40s]; did you mean '%s' in [%s]?", where,
			name, section, best->name, best->section);
	return err_set(err, -ENOENT,
		"%s: unknown key '%.40s' in [%.40s]; resin.conf(5) lists the keys", where, name,
		section);
}

int config_init(struct config *c, const struct config_key *keys, void *target, struct err *err)
{
	*c = (struct config){.keys = keys, .target = target};
	for (const struct config_key *k = keys; k->section; k++) {
		int r = store_value(c, k, k->fallback, "built-in default", err);

		if (r < 0)
			return r;
	}
	return 0;
}

void config_done(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_strings; i++)
		free(c->strings[i]);
	free(c->strings);
	c->strings = NULL;
	c->n_strings = c->cap_strings = 0;
}

struct parse_arg {
	struct config *c;
	const char *origin;
};

static int on_key(void *arg, const char *section, const char *key, const char *value, int line,
	struct err *err)
{
	struct parse_arg *a = arg;

	return config_set(a->c, section, key, value, a->origin, line, err);
}

int config_parse(struct config *c, const char *text, const char *origin, struct err *err)
{
	struct parse_arg a = {c, origin};

	return ini_parse(text, origin, on_key, &a, err);
}

int config_read_file(const char *path, struct buf *ret, struct err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		return 1;
	if (fd < 0)
		return err_set(err, -errno, "cannot open %s: %m", path);
	r = buf_read_fd(ret, fd);
	if (r < 0)
		return err_set(err, r, "cannot read %s: %s", path, strerrordesc_np(-r));
	if (ret->len && memchr(ret->data, 0, ret->len))
		return err_set(err, -EINVAL, "%s holds a NUL byte; it is not a text file", path);
	return 0;
}

static int read_one(struct config *c, const char *path, bool required, struct err *err)
{
	autobuf struct buf text = BUF_INIT(LIMIT_CONFIG_BYTES);
	int r = config_read_file(path, &text, err);

	if (r < 0)
		return r;
	if (r > 0)
		return required ? err_set(err, -ENOENT, "%s does not exist", path) : 0;
	return text.data ? config_parse(c, text.data, path, err) : 0;
}

static int is_conf(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && d->d_name[0] != '.' && strcmp(d->d_name + n - 5, ".conf") == 0;
}

int config_read(struct config *c, const char *path, bool required, struct err *err)
{
	struct dirent **names = NULL;
	char dir[4096];
	int n, r;

	r = read_one(c, path, required, err);
	if (r < 0)
		return r;
	snprintf(dir, sizeof(dir), "%s.d", path);
	n = scandir(dir, &names, is_conf, alphasort);
	for (int i = 0; i < n; i++) {
		char file[8192];

		snprintf(file, sizeof(file), "%s/%s", dir, names[i]->d_name);
		if (r == 0)
			r = read_one(c, file, false, err);
		free(names[i]);
	}
	free(names);
	return r;
}
