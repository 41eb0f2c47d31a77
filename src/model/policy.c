#include "model/policy.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/config.h"
#include "base/units.h"

#define DEFAULT_MAX_DURATION (3600 * NSEC_PER_SEC)

void policy_init(struct policy *p)
{
	*p = (struct policy){.max_duration_ns = DEFAULT_MAX_DURATION};
}

void policy_done(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_rules; i++)
		free(p->rules[i].glob);
	p->n_rules = 0;
}

struct parse_arg {
	struct policy *p;
	const char *origin;
};

static int on_key(void *arg, const char *section, const char *key, const char *value, int line,
	struct err *err)
{
	struct parse_arg *a = arg;
	struct policy *p = a->p;
	bool allow = strcmp(key, "allow") == 0;
	char *glob;

	if (strcmp(section, "profile") != 0)
		return err_set(err, -EINVAL,
			"%s:%d: unknown section [%.40s]; a policy has only [profile]", a->origin,
			line, section);
	if (strcmp(key, "max_duration") == 0) {
		if (parse_duration(value, &p->max_duration_ns) < 0)
			return err_set(err, -EINVAL, "%s:%d: '%.40s' is not a duration such as 60s",
				a->origin, line, value);
		return 0;
	}
	if (!allow && strcmp(key, "deny") != 0)
		return err_set(err, -EINVAL,
			"%s:%d: unknown key '%.40s'; a policy knows allow, deny and max_duration",
			a->origin, line, key);
	if (value[0] != '/' && value[0] != '*')
		return err_set(err, -EINVAL,
			"%s:%d: '%.60s' is not an absolute path or a glob of one", a->origin, line,
			value);
	if (p->n_rules == POLICY_MAX_RULES)
		return err_set(err, -EMSGSIZE, "%s:%d: more than %d rules", a->origin, line,
			POLICY_MAX_RULES);
	glob = strdup(value);
	if (!glob)
		return err_set(err, -ENOMEM, "out of memory");
	p->rules[p->n_rules++] = (struct policy_rule){allow, glob};
	return 0;
}

int policy_parse(struct policy *p, const char *text, const char *origin, struct err *err)
{
	struct parse_arg a = {p, origin};
	int r = ini_parse(text, origin, on_key, &a, err);

	if (r < 0)
		policy_done(p);
	return r;
}

bool policy_allows_profile(
	const struct policy *p, const char *exe, uint64_t duration_ns, char *why, size_t why_size)
{
	bool allowed = false;
	char limit[UNITS_DURATION_MAX];

	for (size_t i = 0; i < p->n_rules; i++) {
		if (fnmatch(p->rules[i].glob, exe, 0) != 0)
			continue;
		if (!p->rules[i].allow) {
			snprintf(why, why_size, "the policy denies %.100s by '%.60s'", exe,
				p->rules[i].glob);
			return false;
		}
		allowed = true;
	}
	if (!allowed) {
		snprintf(why, why_size,
			"no rule of the policy allows %.100s; add 'allow = %.60s' under [profile]",
			exe, exe);
		return false;
	}
	if (duration_ns > p->max_duration_ns) {
		snprintf(why, why_size, "the policy allows at most %s of sampling",
			units_duration(p->max_duration_ns, limit));
		return false;
	}
	return true;
}
