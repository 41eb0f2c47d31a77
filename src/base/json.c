#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/units.h"

void json_init(struct json *j, struct buf *out)
{
	*j = (struct json){.out = out};
}

static void put(struct json *j, const char *s, size_t n)
{
	if (j->status == 0)
		j->status = buf_add(j->out, s, n);
}

static void value_begin(struct json *j)
{
	if (j->depth && j->stack[j->depth - 1] == '{' && !j->after_key)
		j->status = j->status ? j->status : -EINVAL;
	if (j->need_comma && !j->after_key)
		put(j, ",", 1);
	j->after_key = false;
	j->need_comma = true;
}

static void open_bracket(struct json *j, char c)
{
	value_begin(j);
	if (j->depth >= (int)sizeof(j->stack)) {
		j->status = j->status ? j->status : -EINVAL;
		return;
	}
	j->stack[j->depth++] = c;
	put(j, &c, 1);
	j->need_comma = false;
}

static void close_bracket(struct json *j, char opener, char c)
{
	if (j->depth == 0 || j->stack[j->depth - 1] != opener || j->after_key) {
		j->status = j->status ? j->status : -EINVAL;
		return;
	}
	j->depth--;
	put(j, &c, 1);
	j->need_comma = true;
}

void json_object(struct json *j)
{
	open_bracket(j, '{');
}

void json_object_end(struct json *j)
{
	close_bracket(j, '{', '}');
}

void json_array(struct json *j)
{
	open_bracket(j, '[');
}

void json_array_end(struct json *j)
{
	close_bracket(j, '[', ']');
}

/* Length of the well-formed UTF-8 sequence at s, 0 when there is none (RFC 3629, table in 4). */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		unsigned char lo = s[0] == 0xe0 ? 0xa0 : 0x80, hi = s[0] == 0xed ? 0x9f : 0xbf;

		return s[1] >= lo && s[1] <= hi && (s[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		unsigned char lo = s[0] == 0xf0 ? 0x90 : 0x80, hi = s[0] == 0xf4 ? 0x8f : 0xbf;

		return s[1] >= lo && s[1] <= hi && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80
			? 4
			: 0;
	}
	return 0;
}

static void quoted(struct json *j, const char *str)
{
	const unsigned char *s = (const unsigned char *)str;

	put(j, "\"", 1);
	while (*s) {
		size_t n = utf8_len(s);
		char esc[8];

		if (n == 0) {
			put(j, "\xef\xbf\xbd", 3);
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\') {
			snprintf(esc, sizeof(esc), "\\%c", *s);
			put(j, esc, 2);
		} else if (*s < 0x20) {
			snprintf(esc, sizeof(esc), "\\u%04x", *s);
			put(j, esc, 6);
		} else {
			put(j, (const char *)s, n);
		}
		s += n;
	}
	put(j, "\"", 1);
}

void json_key(struct json *j, const char *key)
{
	if (j->depth == 0 || j->stack[j->depth - 1] != '{' || j->after_key) {
		j->status = j->status ? j->status : -EINVAL;
		return;
	}
	if (j->need_comma)
		put(j, ",", 1);
	quoted(j, key);
	put(j, ":", 1);
	j->need_comma = true;
	j->after_key = true;
}

void json_string(struct json *j, const char *s)
{
	if (!s) {
		json_null(j);
		return;
	}
	value_begin(j);
	quoted(j, s);
}

void json_u64(struct json *j, uint64_t v)
{
	char t[24];
	int n = snprintf(t, sizeof(t), "%" PRIu64, v);

	value_begin(j);
	put(j, t, (size_t)n);
}

void json_i64(struct json *j, int64_t v)
{
	char t[24];
	int n = snprintf(t, sizeof(t), "%" PRId64, v);

	value_begin(j);
	put(j, t, (size_t)n);
}

void json_double(struct json *j, double v)
{
	char t[40];
	int n;

	if (!isfinite(v)) {
		json_null(j);
		return;
	}
	n = snprintf(t, sizeof(t), "%.6g", v);
	value_begin(j);
	put(j, t, (size_t)n);
}

void json_bool(struct json *j, bool v)
{
	value_begin(j);
	put(j, v ? "true" : "false", v ? 4 : 5);
}

void json_null(struct json *j)
{
	value_begin(j);
	put(j, "null", 4);
}

void json_time(struct json *j, uint64_t unix_ns)
{
	char t[UNITS_TIME_MAX];

	if (unix_ns == 0)
		json_null(j);
	else
		json_string(j, units_time(unix_ns, t));
}

int json_finish(struct json *j)
{
	if (j->status == 0 && (j->depth != 0 || j->after_key))
		j->status = -EINVAL;
	return j->status;
}
