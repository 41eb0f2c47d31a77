/*
 * What a process is to us: a pid means nothing without the boot and the start time around it.
 */
#ifndef RESIN_MODEL_PROC_ID_H
#define RESIN_MODEL_PROC_ID_H

#include <stdbool.h>
#include <stdint.h>

#define BOOT_ID_MAX 40 /* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and its NUL */
#define HOST_NAME_MAX_BYTES 256

struct proc_id {
	char boot_id[BOOT_ID_MAX];
	uint32_t pid;
	uint64_t start_ticks; /* field 22 of /proc/PID/stat: clock ticks after boot */
};

#endif
