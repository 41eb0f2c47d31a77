/*
 * What diagnose concludes from a profile, most important first.
 */
#ifndef RESIN_MODEL_FINDING_H
#define RESIN_MODEL_FINDING_H

#include <stddef.h>
#include <stdint.h>

#include "model/profile.h"

#define FINDING_KINDS(X)                                                           \
	X(LEAK, "leak")	    /* grows steadily and nothing of it is freed */        \
	X(GROWTH, "growth") /* grows, but part of it is freed, or it slows down */ \
	X(STABLE, "stable") /* live memory that does not grow */

enum finding_kind {
#define X(id, name) FINDING_##id,
	FINDING_KINDS(X)
#undef X
		FINDING_KIND_MAX_
};

struct finding {
	enum finding_kind kind;
	const struct site *site; /* in the profile, which must outlive the finding */
	uint64_t live_bytes;
	double growth_bytes_per_hour;
	double share;	   /* of all growth that was seen, 0..1 */
	double confidence; /* 0..1 */
	double survival;   /* of early samples: how many still lived at the end */
	char refute[200];  /* what would show that this is wrong */
};

#define DIAGNOSIS_MAX_FINDINGS 20

struct diagnosis {
	struct finding findings[DIAGNOSIS_MAX_FINDINGS];
	size_t n;
	double growth_bytes_per_hour; /* of all sites together */
	double explained; /* sampled growth / growth of the process's anonymous memory; 0 = unknown
			   */
};

const char *finding_kind_name(enum finding_kind k);

#endif
