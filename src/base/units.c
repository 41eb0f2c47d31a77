#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

int parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10u, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

struct unit {
	const char *name;
	double scale;
};

/* Digits with at most one point, then one of the units. */
static int parse_scaled(const char *s, const struct unit *units, uint64_t *ret)
{
	double v = 0, place = 1;
	bool point = false;
	const char *p = s;

	for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
		if (*p == '.') {
			point = true;
		} else if (point) {
			place /= 10;
			v += (*p - '0') * place;
		} else {
			v = v * 10 + (*p - '0');
		}
	}
	if (p == s || (p == s + 1 && *s == '.'))
		return -EINVAL;
	for (; units->name; units++) {
		if (strcmp(p, units->name) != 0)
			continue;
		v *= units->scale;
		if (v >= 1.8e19)
			return -ERANGE;
		*ret = (uint64_t)(v + 0.5); /* above 2^63, too, where llround() ends */
		return 0;
	}
	return -EINVAL;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"K", 1024.},
		{"KiB", 1024.},
		{"M", 1048576.},
		{"MiB", 1048576.},
		{"G", 1073741824.},
		{"GiB", 1073741824.},
		{"T", 1099511627776.},
		{"TiB", 1099511627776.},
		{NULL, 0},
	};

	return parse_scaled(s, units, ret_bytes);
}

int parse_duration(const char *s, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{"ms", 1e6},
		{"s", 1e9},
		{"m", 60e9},
		{"min", 60e9},
		{"h", 3600e9},
		{"d", 86400e9},
		{NULL, 0},
	};

	return parse_scaled(s, units, ret_ns);
}

const char *units_bytes(uint64_t bytes, char out[static UNITS_BYTES_MAX])
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1023.95 && i < 6) {
		v /= 1024;
		i++;
	}
	if (i == 0)
		snprintf(out, UNITS_BYTES_MAX, "%" PRIu64 " B", bytes);
	else
		snprintf(out, UNITS_BYTES_MAX, "%.*f %s", v < 99.95 ? 1 : 0, v, names[i]);
	return out;
}

const char *units_duration(uint64_t ns, char out[static UNITS_DURATION_MAX])
{
	uint64_t s = ns / NSEC_PER_SEC;

	if (ns < NSEC_PER_SEC)
		snprintf(out, UNITS_DURATION_MAX, "%" PRIu64 "ms", ns / NSEC_PER_MSEC);
	else if (s < 60)
		snprintf(out, UNITS_DURATION_MAX, "%.3gs", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(out, UNITS_DURATION_MAX, "%" PRIu64 "m %" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, UNITS_DURATION_MAX, "%" PRIu64 "h %" PRIu64 "m", s / 3600,
			s / 60 % 60);
	else
		snprintf(out, UNITS_DURATION_MAX, "%" PRIu64 "d %" PRIu64 "h", s / 86400,
			s / 3600 % 24);
	return out;
}

const char *units_time(uint64_t unix_ns, char out[static UNITS_TIME_MAX])
{
	time_t t = (time_t)(unix_ns / NSEC_PER_SEC);
	struct tm tm;
	size_t n;

	if (!gmtime_r(&t, &tm)) {
		snprintf(out, UNITS_TIME_MAX, "1970-01-01T00:00:00.000Z");
		return out;
	}
	n = strftime(out, UNITS_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, UNITS_TIME_MAX - n, ".%03uZ", (unsigned)(unix_ns / NSEC_PER_MSEC % 1000));
	return out;
}
