/* Steps as they lie in a store that somebody else may have written. */
#include "store/record.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autobuf struct buf out = BUF_INIT(8192);
	struct store_step s = {0};

	if (record_get_step(data, size, &s) == 0 && record_put_step(&s, &out) < 0)
		abort();
	return 0;
}
