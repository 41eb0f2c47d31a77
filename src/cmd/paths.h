/*
 * Where the parts of resin lie: as installed, or beside the program in a build folder.
 */
#ifndef RESIN_CMD_PATHS_H
#define RESIN_CMD_PATHS_H

#include <stddef.h>

/* Finds `name` ("resin-helper", "libresin-probe.so", ...): first in the folder of the running
 * program, then where `meson install` put it. Returns 0 or -ENOENT. */
int path_of_part(const char *name, char *ret, size_t size);

#endif
