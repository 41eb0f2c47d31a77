/* Everything that the server and the agent decode; the first byte chooses. What decodes must encode
 * again. */
#include "wire/messages.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void roundtrip_profile(const uint8_t *data, size_t size)
{
	autobuf struct buf out = BUF_INIT(16u << 20);
	struct profile p;

	if (wire_decode_profile(data, size, &p, NULL) == 0 &&
		wire_encode_profile(&p, &out, NULL) == -EINVAL)
		abort();
	profile_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena a = ARENA_INIT(64u << 20);
	autobuf struct buf out = BUF_INIT(16u << 20);
	struct batch b;
	struct reply reply;
	struct report report;

	if (size < 1)
		return 0;
	switch (data[0] & 3) {
	case 0:
		if (wire_decode_batch(data + 1, size - 1, &a, &b, NULL) == 0 &&
			wire_encode_batch(&b, &out, NULL) < 0)
			abort();
		break;
	case 1:
		if (wire_decode_reply(data + 1, size - 1, &a, &reply, NULL) == 0 &&
			wire_encode_reply(&reply, &out, NULL) < 0)
			abort();
		break;
	case 2:
		if (wire_decode_report(data + 1, size - 1, &report, NULL) == 0 &&
			wire_encode_report(&report, &out, NULL) < 0)
			abort();
		break;
	default:
		roundtrip_profile(data + 1, size - 1);
	}
	return 0;
}
