#include "model/suspect.h"

const char *verdict_name(enum verdict v)
{
	static const char *const names[VERDICT_MAX_] = {
#define X(id, name, help) name,
		VERDICTS(X)
#undef X
	};

	return names[v];
}

const char *pattern_name(enum pattern p)
{
	static const char *const names[PATTERN_MAX_] = {"none", "steady", "stair", "spike"};

	return names[p];
}
