#include "model/profile.h"

void profile_init(struct profile *p)
{
	*p = (struct profile){.arena = ARENA_INIT(PROFILE_ARENA_BYTES), .component = "", .exe = ""};
}

void profile_done(struct profile *p)
{
	if (!p)
		return;
	arena_done(&p->arena);
	p->n_sites = p->n_checkpoints = 0;
}

const char *site_kind_name(enum site_kind k)
{
	static const char *const names[SITE_KIND_MAX_] = {
#define X(id, name) name,
		SITE_KINDS(X)
#undef X
	};

	return names[k];
}
