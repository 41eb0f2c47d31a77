/* The detector on any numbers, restarts and gaps: every hour is a tag and a double or two. */
#include "localize/judge.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct detection d;
	struct norm norm;
	struct track t;
	double bytes = 1e8, load = NAN;

	norm_init(&norm);
	track_init(&t);
	while (size > 0) {
		uint8_t tag = *data++;

		size--;
		if (tag & 1 && size >= 8) {
			memcpy(&bytes, data, 8);
			data += 8;
			size -= 8;
			/* What ingest lets through. */
			if (!(bytes >= 0 && bytes <= 0x1p63))
				bytes = NAN;
		} else if (tag & 2 && size >= 4) {
			float f;

			memcpy(&f, data, 4);
			data += 4;
			size -= 4;
			load = isinf(f) ? NAN : (double)f;
		} else if (tag & 4) {
			bytes += tag * 1e5;
		}
		if (tag == 0xf0)
			track_restart(&t, &track_rules_default, &norm);
		/* Many hours of the same make the coarse levels speak. */
		for (unsigned i = 0; i <= (tag >> 4) * 4u; i++)
			if (track_add(&t, &track_rules_default, tag & 8 ? &norm : NULL, bytes,
				    load) < 0)
				abort();
		if (isnan(t.score))
			abort();
	}
	judge_track(&t, &track_rules_default, (uint64_t)t.hours * 3600000000000, 3600000000000,
		1e12, &d);
	if (d.n_reasons > DETECTION_REASONS || (d.verdict != DETECTION_UNKNOWN && d.n_reasons == 0))
		abort();
	track_done(&t);
	return 0;
}
