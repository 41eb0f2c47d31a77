/* A tokenizer of JSON (RFC 8259, and NaN and Infinity), and JSON Lines. */
#include "ingest/table-private.h"

#include <errno.h>
#include <string.h>

/* ---- the tokenizer ---- */

void table_json_start(struct json_in *j)
{
	j->state = JSON_VALUE;
	j->depth = j->hex_left = 0;
	j->objects = j->lines = j->bytes = 0;
	j->high = 0;
	j->n = 0;
	j->key = false;
}

/* What does not fit is cut off: see JSON_TOKEN_BYTES. */
static void json_token_add(struct json_in *j, const char *p, size_t n)
{
	size_t room = sizeof(j->token) - j->n;

	if (n > room)
		n = room;
	if (n)
		memcpy(j->token + j->n, p, n);
	j->n += n;
}

static void json_token_code(struct json_in *j, uint32_t c)
{
	char s[4];
	size_t n;

	if (c < 0x80) {
		s[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		s[0] = (char)(0xc0 | c >> 6);
		s[1] = (char)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		s[0] = (char)(0xe0 | c >> 12);
		s[1] = (char)(0x80 | (c >> 6 & 0x3f));
		s[2] = (char)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		s[0] = (char)(0xf0 | c >> 18);
		s[1] = (char)(0x80 | (c >> 12 & 0x3f));
		s[2] = (char)(0x80 | (c >> 6 & 0x3f));
		s[3] = (char)(0x80 | (c & 0x3f));
		n = 4;
	}
	json_token_add(j, s, n);
}

/* Half a pair becomes three bytes that are no UTF-8, so that no such name is good. */
static void json_half_flush(struct json_in *j)
{
	if (j->high)
		json_token_code(j, j->high);
	j->high = 0;
}

static void json_unicode(struct json_in *j)
{
	if (j->high && j->code >= 0xdc00 && j->code <= 0xdfff) {
		uint32_t c = 0x10000 + ((j->high - 0xd800) << 10) + (j->code - 0xdc00);

		j->high = 0;
		json_token_code(j, c);
		return;
	}
	json_half_flush(j);
	if (j->code >= 0xd800 && j->code <= 0xdbff)
		j->high = j->code;
	else
		json_token_code(j, j->code);
}

static int json_wrong(struct json_reader *r, const char *why)
{
	r->why = why;
	return -EBADMSG;
}

static int json_value_done(struct json_reader *r, enum json_event event, const char *p, size_t n)
{
	r->j->state = r->j->depth ? JSON_COMMA : JSON_DONE;
	r->j->n = 0;
	return r->event(r->t, event, p, n);
}

static int json_word(struct json_reader *r, const char *p, size_t n)
{
	if (table_span_is(p, n, "true") || table_span_is(p, n, "false") ||
		table_span_is(p, n, "null"))
		return json_value_done(r, EVENT_WORD, p, n);
	if (!table_is_number(p, n))
		return json_wrong(r, "no value");
	return json_value_done(r, EVENT_NUMBER, p, n);
}

static int json_open(struct json_reader *r, bool object)
{
	struct json_in *j = r->j;

	if (j->depth == JSON_DEPTH)
		return json_wrong(r, "nested too deeply");
	j->objects = (j->objects & ~(UINT64_C(1) << j->depth)) | (uint64_t)object << j->depth;
	j->depth++;
	j->state = object ? JSON_FIRST_KEY : JSON_FIRST_VALUE;
	return r->event(r->t, object ? EVENT_OBJECT : EVENT_ARRAY, NULL, 0);
}

static bool json_in_object(const struct json_in *j)
{
	return j->depth && (j->objects >> (j->depth - 1) & 1);
}

static int json_close(struct json_reader *r, char c)
{
	if (json_in_object(r->j) != (c == '}'))
		return json_wrong(r, "a bracket that closes another one");
	r->j->depth--;
	return json_value_done(r, c == '}' ? EVENT_OBJECT_END : EVENT_ARRAY_END, NULL, 0);
}

static bool is_word(char c)
{
	return table_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
		c == '+' || c == '.';
}

/* One character between tokens, or the first of a token; that of a word is left where it is. */
static int json_between(struct json_reader *r, char c)
{
	struct json_in *j = r->j;

	switch (j->state) {
	case JSON_FIRST_VALUE:
		if (c == ']')
			return json_close(r, c);
		/* fall through */
	case JSON_VALUE:
		if (c == '{' || c == '[')
			return json_open(r, c == '{');
		j->key = false;
		j->state = c == '"' ? JSON_STRING : JSON_WORD;
		return c == '"' || is_word(c) ? 0 : json_wrong(r, "no value");
	case JSON_FIRST_KEY:
		if (c == '}')
			return json_close(r, c);
		/* fall through */
	case JSON_KEY:
		j->key = true;
		j->state = JSON_STRING;
		return c == '"' ? 0 : json_wrong(r, "no key");
	case JSON_COLON:
		j->state = JSON_VALUE;
		return c == ':' ? 0 : json_wrong(r, "no colon");
	case JSON_COMMA:
		if (c == '}' || c == ']')
			return json_close(r, c);
		j->state = json_in_object(j) ? JSON_KEY : JSON_VALUE;
		return c == ',' ? 0 : json_wrong(r, "no comma");
	default:
		return json_wrong(r, "something behind the end");
	}
}

static int json_string(struct json_reader *r, const char *p, const char *end, const char **ret_next)
{
	struct json_in *j = r->j;
	const char *q = p;
	size_t n;

	while (q < end && *q != '"' && *q != '\\')
		q++;
	n = (size_t)(q - p);
	if (n)
		json_half_flush(j);
	*ret_next = q < end ? q + 1 : q;
	if (q == end || *q == '\\') {
		json_token_add(j, p, n);
		j->state = q == end ? JSON_STRING : JSON_ESCAPE;
		return 0;
	}
	json_half_flush(j);
	if (j->n) {
		json_token_add(j, p, n);
		p = j->token;
		n = j->n;
	}
	if (!j->key)
		return json_value_done(r, EVENT_STRING, p, n);
	j->state = JSON_COLON;
	j->n = 0;
	return r->event(r->t, EVENT_KEY, p, n);
}

static int json_escape(struct json_reader *r, char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	r->j->state = JSON_STRING;
	if (c == 'u') {
		r->j->state = JSON_HEX;
		r->j->hex_left = 4;
		r->j->code = 0;
		return 0;
	}
	if (!at)
		return json_wrong(r, "no such escape");
	json_half_flush(r->j);
	json_token_add(r->j, &to[at - from], 1);
	return 0;
}

static int json_hex(struct json_reader *r, char c)
{
	struct json_in *j = r->j;
	char low = (char)(c | 0x20);

	if (!table_is_digit(c) && (low < 'a' || low > 'f'))
		return json_wrong(r, "no hexadecimal digit");
	j->code = j->code << 4 | (uint32_t)(table_is_digit(c) ? c - '0' : low - 'a' + 10);
	if (--j->hex_left == 0) {
		json_unicode(j);
		j->state = JSON_STRING;
	}
	return 0;
}

int table_json_feed(struct json_reader *r, const char *p, size_t n)
{
	const char *end = p + n, *begin = p;
	struct json_in *j = r->j;
	int status = 0;

	while (p < end && status == 0) {
		const char *q = p;

		switch (j->state) {
		case JSON_STRING:
			status = json_string(r, p, end, &p);
			break;
		case JSON_ESCAPE:
			status = json_escape(r, *p++);
			break;
		case JSON_HEX:
			status = json_hex(r, *p++);
			break;
		case JSON_WORD:
			while (q < end && is_word(*q))
				q++;
			if (q == end || j->n)
				json_token_add(j, p, (size_t)(q - p));
			if (q < end)
				status = j->n ? json_word(r, j->token, j->n)
					      : json_word(r, p, (size_t)(q - p));
			p = q;
			break;
		default:
			if (table_is_blank(*p))
				j->lines += *p == '\n';
			else
				status = json_between(r, *p);
			p += j->state != JSON_WORD;
			break;
		}
	}
	j->bytes += (size_t)(p - begin);
	return status;
}

int table_json_end(struct json_reader *r)
{
	int status = r->j->state == JSON_WORD ? json_word(r, r->j->token, r->j->n) : 0;

	if (status == 0 && r->j->state != JSON_DONE)
		return json_wrong(r, "it ends in the middle");
	return status;
}

/* ---- JSON Lines ---- */

static int line_scalar(struct table *t, enum json_event event, const char *p, size_t n)
{
	int kind;

	if (t->json.depth == 0)
		table_fault_set(&t->fault, TABLE_BAD_JSON, NULL, p, n);
	if (t->json.depth != 1 || t->field == FIELD_OTHER)
		return 0;
	if (event == EVENT_WORD) {
		if (!table_span_is(p, n, "null"))
			table_fault_set(
				&t->fault, TABLE_BAD_TYPE, table_field_name(t->field), p, n);
		return 0;
	}
	table_trim(&p, &n);
	kind = table_row_set(t, &t->row, t->field, p, n);
	if (kind < 0)
		return err_set(t->err, kind, "no memory for another name");
	if (kind)
		table_fault_set(&t->fault, kind, table_field_name(t->field), p, n);
	t->has_time |= t->field == FIELD_TIME;
	t->has_bytes |= t->field == FIELD_BYTES;
	return 0;
}

static int line_event(struct table *t, enum json_event event, const char *p, size_t n)
{
	switch (event) {
	case EVENT_OBJECT:
	case EVENT_ARRAY:
		if (t->json.depth == 1 && event == EVENT_ARRAY)
			table_fault_set(&t->fault, TABLE_BAD_JSON, NULL, "[", 1);
		if (t->json.depth == 2 && t->field != FIELD_OTHER)
			table_fault_set(&t->fault, TABLE_BAD_TYPE, table_field_name(t->field),
				event == EVENT_ARRAY ? "[" : "{", 1);
		return 0;
	case EVENT_OBJECT_END:
	case EVENT_ARRAY_END:
		return 0;
	case EVENT_KEY:
		if (t->json.depth != 1)
			return 0;
		t->field = table_field_find(p, n);
		if (t->field == FIELD_OTHER)
			table_unknown_add(t, p, n);
		return 0;
	default:
		return line_scalar(t, event, p, n);
	}
}

int table_json_line(struct table *t, const char *p, size_t n)
{
	struct json_reader reader = {t, &t->json, line_event, NULL};
	const struct fault *f = &t->fault;
	int r;

	table_row_init(&t->row);
	t->fault.kind = TABLE_BAD_NONE;
	t->field = FIELD_OTHER;
	t->has_time = t->has_bytes = false;
	table_json_start(&t->json);
	r = table_json_feed(&reader, p, n);
	if (r == 0)
		r = table_json_end(&reader);
	if (reader.why)
		return table_row_bad(t, TABLE_BAD_JSON, NULL, p, n);
	if (r < 0)
		return r;
	if (f->kind)
		return table_row_bad(t, f->kind, f->column, f->value, f->n);
	if (!t->has_time || !t->has_bytes)
		return table_row_bad(t, TABLE_BAD_MISSING, t->has_time ? "bytes" : "time", NULL, 0);
	return table_row_emit(t, &t->row);
}
