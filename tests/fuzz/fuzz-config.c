/* Configuration and policy. */
#include "base/config.h"
#include "model/policy.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
	const char *text;
	uint64_t size, duration, number;
	bool flag;
};

static const struct config_key keys[] = {
	{"s", "text", CONFIG_STRING, offsetof(struct values, text), "", NULL, NULL, ""},
	{"s", "size", CONFIG_SIZE, offsetof(struct values, size), "1K", "1", "1G", ""},
	{"s", "duration", CONFIG_DURATION, offsetof(struct values, duration), "1s", "1ms", "1h",
		""},
	{"s", "number", CONFIG_NUMBER, offsetof(struct values, number), "1", "0", "9", ""},
	{"s", "flag", CONFIG_BOOL, offsetof(struct values, flag), "no", NULL, NULL, ""},
	{NULL, NULL, CONFIG_STRING, 0, NULL, NULL, NULL, NULL},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), why[200];
	struct values v = {0};
	struct config c;
	struct policy p;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	if (config_init(&c, keys, &v, NULL) == 0) {
		(void)!config_parse(&c, text, "fuzz", NULL);
		if (v.number > 9 || v.size > 1u << 30)
			abort();
	}
	config_done(&c);
	policy_init(&p);
	if (policy_parse(&p, text, "fuzz", NULL) < 0 &&
		policy_allows_profile(&p, "/bin/sh", 1, why, sizeof(why)))
		abort();
	policy_done(&p);
	free(text);
	return 0;
}
