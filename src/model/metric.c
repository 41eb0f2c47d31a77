#include "model/metric.h"

#include <string.h>

static const struct {
	const char *name, *unit;
} table[METRIC_MAX_] = {
#define X(id, name, unit, help) {name, unit},
	METRICS(X)
#undef X
};

const char *metric_name(enum metric m)
{
	return table[m].name;
}

const char *metric_unit(enum metric m)
{
	return table[m].unit;
}

bool metric_from_name(const char *name, enum metric *ret)
{
	for (int i = 0; i < METRIC_MAX_; i++) {
		if (strcmp(table[i].name, name) == 0) {
			*ret = (enum metric)i;
			return true;
		}
	}
	return false;
}
