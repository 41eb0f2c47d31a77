/* /proc of processes that call themselves anything. */
#include "os/proc.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc_status status;
	struct proc_stat st;
	struct maps maps;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	if (proc_stat_parse(text, 100, &st) == 0 && strlen(st.comm) >= sizeof(st.comm))
		abort();
	(void)!proc_status_parse(text, &status);
	if (maps_parse(&maps, text, NULL) == 0) {
		for (size_t i = 0; i < maps.n; i++)
			(void)maps_find(&maps, maps.v[i].start);
		maps_done(&maps);
	}
	free(text);
	return 0;
}
