/*
 * Talking to resin-helper: through its socket, or by starting one of our own with our own rights.
 */
#ifndef RESIN_CMD_HELPER_CLIENT_H
#define RESIN_CMD_HELPER_CLIENT_H

#include <sys/types.h>

#include "base/err.h"

/* Connects; the descriptor, or <0. */
must_check int helper_connect(const char *socket_path, struct err *err);

/* Starts `resin-helper --local` as a child; the descriptor, or <0. Reap *ret_pid afterwards. */
must_check int helper_spawn(pid_t *ret_pid, struct err *err);

#endif
