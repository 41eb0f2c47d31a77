/* The JSON of Prometheus' answer to a range query. */
#include "ingest/table-private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const host_labels[] = {TABLE_HOST_LABELS, NULL};
static const char *const component_labels[] = {TABLE_COMPONENT_LABELS, NULL};
static const char *const process_labels[] = {TABLE_PROCESS_LABELS, NULL};
static const char *const version_labels[] = {TABLE_VERSION_LABELS, NULL};

static const char *const *labels_of(const struct table *t, enum table_label which)
{
	static const char *const *const defaults[TABLE_LABELS] = {
		[TABLE_LABEL_HOST] = host_labels,
		[TABLE_LABEL_COMPONENT] = component_labels,
		[TABLE_LABEL_PROCESS] = process_labels,
		[TABLE_LABEL_VERSION] = version_labels,
	};

	return t->opts.labels[which] ? t->opts.labels[which] : defaults[which];
}

static enum place prom_place(const struct table *t, enum place in, bool object)
{
	static const struct {
		enum place in;
		enum key key;
		bool object;
		enum place is;
	} places[] = {
		{PLACE_NONE, KEY_OTHER, true, PLACE_TOP},
		{PLACE_TOP, KEY_DATA, true, PLACE_DATA},
		{PLACE_DATA, KEY_RESULT, false, PLACE_RESULT},
		{PLACE_RESULT, KEY_OTHER, true, PLACE_SERIES},
		{PLACE_SERIES, KEY_METRIC, true, PLACE_METRIC},
		{PLACE_SERIES, KEY_VALUES, false, PLACE_VALUES},
		{PLACE_VALUES, KEY_OTHER, false, PLACE_SAMPLE},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (places[i].in == in && places[i].key == t->prom.key &&
			places[i].object == object)
			return places[i].is;
	return PLACE_OTHER;
}

static int prom_open(struct table *t, bool object)
{
	struct prometheus *m = &t->prom;
	enum place in = m->places[t->json.depth - 1];
	enum place is = prom_place(t, in, object);

	m->places[t->json.depth] = is;
	m->key = KEY_OTHER;
	switch (is) {
	case PLACE_RESULT:
		m->result = true;
		break;
	case PLACE_SERIES:
		t->counts.series++;
		m->metric = false;
		break;
	case PLACE_METRIC:
		for (unsigned i = 0; i < TABLE_LABELS; i++)
			m->labels[i].name = NULL;
		break;
	case PLACE_VALUES:
		if (!m->metric)
			return err_set(t->err, -EBADMSG,
				"series %" PRIu64 " has its values before its metric",
				t->counts.series);
		break;
	case PLACE_SAMPLE:
		m->n_sample = 0;
		t->fault.kind = TABLE_BAD_NONE;
		break;
	case PLACE_OTHER:
		if (in == PLACE_NONE)
			return err_set(
				t->err, -EBADMSG, "no answer of Prometheus: not a JSON object");
		if (in == PLACE_SAMPLE)
			table_fault_set(&t->fault, TABLE_BAD_TYPE, "values", object ? "{" : "[", 1);
		m->n_sample += in == PLACE_SAMPLE;
		break;
	default:
		break;
	}
	return 0;
}

static int prom_metric(struct table *t)
{
	struct prometheus *m = &t->prom;

	m->metric = true;
	t->series_fault.kind = TABLE_BAD_NONE;
	for (unsigned i = 0; i < TABLE_LABELS; i++) {
		struct label *l = &m->labels[i];
		int kind;

		m->ids[i] = i == TABLE_LABEL_HOST || i == TABLE_LABEL_COMPONENT
			? TABLE_STRING_DASH
			: TABLE_STRING_EMPTY;
		if (!l->name)
			continue;
		kind = table_intern(t, l->text, l->n, &m->ids[i]);
		if (kind < 0)
			return err_set(t->err, kind, "no memory for another name");
		if (kind)
			table_fault_set(&t->series_fault, kind, l->name, l->text, l->n);
	}
	return 0;
}

static int prom_sample(struct table *t)
{
	const struct fault *f = t->series_fault.kind ? &t->series_fault : &t->fault;
	const struct prometheus *m = &t->prom;

	if (m->n_sample != 2)
		table_fault_set(&t->fault, TABLE_BAD_TYPE, "values", NULL, 0);
	if (f->kind)
		return table_row_bad(t, f->kind, f->column, f->value, f->n);
	t->row.host = m->ids[TABLE_LABEL_HOST];
	t->row.component = m->ids[TABLE_LABEL_COMPONENT];
	t->row.process = m->ids[TABLE_LABEL_PROCESS];
	t->row.version = m->ids[TABLE_LABEL_VERSION];
	return table_row_emit(t, &t->row);
}

static int prom_close(struct table *t)
{
	struct prometheus *m = &t->prom;

	m->key = KEY_OTHER;
	switch (m->places[t->json.depth + 1]) {
	case PLACE_METRIC:
		return prom_metric(t);
	case PLACE_SAMPLE:
		return prom_sample(t);
	case PLACE_TOP:
		if (m->failed)
			return err_set(t->err, -EREMOTEIO,
				"this is Prometheus' answer that the query failed: %s%s%s",
				m->error_type, m->error_type[0] && m->error[0] ? ": " : "",
				m->error);
		if (!m->result)
			return err_set(t->err, -EBADMSG,
				"no answer of Prometheus to a range query: no array data.result");
		return 0;
	default:
		return 0;
	}
}

static void prom_key(struct table *t, const char *p, size_t n)
{
	static const struct {
		enum place in;
		const char *name;
		enum key key;
	} keys[] = {
		{PLACE_TOP, "status", KEY_STATUS},
		{PLACE_TOP, "data", KEY_DATA},
		{PLACE_TOP, "error", KEY_ERROR},
		{PLACE_TOP, "errorType", KEY_ERROR_TYPE},
		{PLACE_DATA, "result", KEY_RESULT},
		{PLACE_DATA, "resultType", KEY_RESULT_TYPE},
		{PLACE_SERIES, "metric", KEY_METRIC},
		{PLACE_SERIES, "values", KEY_VALUES},
	};
	enum place in = t->prom.places[t->json.depth];

	t->prom.key = KEY_OTHER;
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].in == in && table_span_is(p, n, keys[i].name))
			t->prom.key = keys[i].key;
	for (unsigned i = 0; i < TABLE_LABELS && in == PLACE_METRIC; i++) {
		const char *const *list = labels_of(t, i);
		size_t rank = 0;

		while (list[rank] && !table_span_is(p, n, list[rank]))
			rank++;
		t->prom.labels[i].next_rank = list[rank] ? rank : SIZE_MAX;
	}
}

static void prom_label(struct table *t, const char *p, size_t n)
{
	table_trim(&p, &n);
	for (unsigned i = 0; i < TABLE_LABELS && n; i++) {
		struct label *l = &t->prom.labels[i];

		if (l->next_rank == SIZE_MAX || (l->name && l->rank <= l->next_rank))
			continue;
		l->name = labels_of(t, i)[l->next_rank];
		l->rank = l->next_rank;
		l->n = n < sizeof(l->text) ? n : sizeof(l->text);
		memcpy(l->text, p, l->n);
	}
}

static int prom_top(struct table *t, const char *p, size_t n)
{
	struct prometheus *m = &t->prom;
	char type[TABLE_EXCERPT_BYTES];

	switch (m->key) {
	case KEY_STATUS:
		m->failed = table_span_is(p, n, "error");
		return 0;
	case KEY_ERROR:
		table_excerpt(m->error, sizeof(m->error), p, n);
		return 0;
	case KEY_ERROR_TYPE:
		table_excerpt(m->error_type, sizeof(m->error_type), p, n);
		return 0;
	case KEY_RESULT_TYPE:
		if (table_span_is(p, n, "matrix"))
			return 0;
		table_excerpt(type, sizeof(type), p, n);
		return err_set(t->err, -EBADMSG,
			"Prometheus answered with a %s, not with a matrix; ask for a range (query_range)",
			type);
	default:
		return 0;
	}
}

static int prom_scalar(struct table *t, enum json_event event, const char *p, size_t n)
{
	struct prometheus *m = &t->prom;
	enum place in = m->places[t->json.depth];
	int kind = 0;

	switch (in) {
	case PLACE_NONE:
		return err_set(t->err, -EBADMSG, "no answer of Prometheus: not a JSON object");
	case PLACE_TOP:
	case PLACE_DATA:
		return event == EVENT_STRING ? prom_top(t, p, n) : 0;
	case PLACE_METRIC:
		if (event == EVENT_STRING)
			prom_label(t, p, n);
		return 0;
	case PLACE_SAMPLE:
		if (event == EVENT_WORD)
			kind = TABLE_BAD_TYPE;
		else if (m->n_sample == 0)
			kind = table_parse_time(p, n, &t->row.unix_ns);
		else if (m->n_sample == 1)
			kind = table_parse_bytes(p, n, &t->row.bytes);
		if (kind)
			table_fault_set(&t->fault, kind, m->n_sample ? "bytes" : "time", p, n);
		m->n_sample++;
		return 0;
	case PLACE_VALUES:
		return table_row_bad(t, TABLE_BAD_TYPE, "values", p, n);
	default:
		return 0;
	}
}

static int prom_event(struct table *t, enum json_event event, const char *p, size_t n)
{
	switch (event) {
	case EVENT_OBJECT:
	case EVENT_ARRAY:
		return prom_open(t, event == EVENT_OBJECT);
	case EVENT_OBJECT_END:
	case EVENT_ARRAY_END:
		return prom_close(t);
	case EVENT_KEY:
		prom_key(t, p, n);
		return 0;
	default:
		return prom_scalar(t, event, p, n);
	}
}

int table_prometheus_feed(struct table *t, const char *p, size_t n, bool end)
{
	struct json_reader reader = {t, &t->json, prom_event, NULL};
	int r = end ? table_json_end(&reader) : table_json_feed(&reader, p, n);

	t->counts.lines += t->json.lines;
	t->json.lines = 0;
	if (reader.why)
		return err_set(t->err, -EBADMSG,
			"no answer of Prometheus: not JSON after %" PRIu64
			" bytes, in line %" PRIu64 ": %s",
			t->json.bytes, t->counts.lines + 1, reader.why);
	return r;
}
