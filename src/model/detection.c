#include "model/detection.h"

const char *detection_verdict_name(enum detection_verdict v)
{
	static const char *const names[DETECTION_MAX_] = {
#define X(id, name, help) name,
		DETECTION_VERDICTS(X)
#undef X
	};

	return names[v];
}

const char *behaviour_kind_name(enum behaviour_kind b)
{
	static const char *const names[BEHAVIOUR_KIND_MAX_] = {
#define X(id, name, help) name,
		BEHAVIOUR_KINDS(X)
#undef X
	};

	return names[b];
}

const char *behaviour_kind_help(enum behaviour_kind b)
{
	static const char *const helps[BEHAVIOUR_KIND_MAX_] = {
#define X(id, name, help) help,
		BEHAVIOUR_KINDS(X)
#undef X
	};

	return helps[b];
}
