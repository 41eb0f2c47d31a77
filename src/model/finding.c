#include "model/finding.h"

const char *finding_kind_name(enum finding_kind k)
{
	static const char *const names[FINDING_KIND_MAX_] = {
#define X(id, name) name,
		FINDING_KINDS(X)
#undef X
	};

	return names[k];
}
