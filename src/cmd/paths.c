#include "cmd/paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build-config.h"

int path_of_part(const char *name, char *ret, size_t size)
{
	static const char *const folders[] = {RESIN_LIBEXEC_DIR, RESIN_LIB_DIR, RESIN_BIN_DIR};
	char exe[4096], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n > 0) {
		exe[n] = 0;
		slash = strrchr(exe, '/');
		if (slash) {
			snprintf(ret, size, "%.*s/%s", (int)(slash - exe), exe, name);
			if (access(ret, R_OK) == 0)
				return 0;
		}
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(ret, size, "%s/%s", folders[i], name);
		if (access(ret, R_OK) == 0)
			return 0;
	}
	return -ENOENT;
}
