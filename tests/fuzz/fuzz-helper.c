/* What the helper, which is root, reads from its socket. */
#include "wire/helper-msg.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT(1u << 20);
	struct helper_msg m;

	if (size >= HELPER_HEAD_BYTES)
		(void)!helper_head(data);
	if (helper_decode(data, size, &a, &m, NULL) == 0 && m.n_pids > HELPER_MAX_PIDS)
		abort();
	return 0;
}
