/* Programs and libraries of targets, as files and as memory. */
#include "os/elf.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *data;
	size_t size;
};

static int read_bytes(void *arg, uint64_t addr, void *p, size_t n)
{
	const struct bytes *b = arg;

	if (addr > b->size || n > b->size - addr)
		return -EFAULT;
	memcpy(p, b->data + addr, n);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = {data, size};
	char id[ELF_BUILD_ID_MAX];
	uint64_t addr, bytes;
	struct elf e;

	for (int in_memory = 0; in_memory < 2; in_memory++) {
		if (elf_open(&e, read_bytes, &b, in_memory, 0, NULL) != ELF_OK)
			continue;
		if (elf_build_id(&e, id, NULL) == ELF_OK && strlen(id) >= sizeof(id))
			abort();
		if (in_memory)
			(void)!elf_symbol(&e, "malloc", &addr, &bytes, NULL);
	}
	return 0;
}
