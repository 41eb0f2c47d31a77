/*
 * The commands of `resin`: each parses its own options, wires stages together and prints.
 * Returns an exit code of cmd/say.h.
 */
#ifndef RESIN_CMD_CMD_H
#define RESIN_CMD_CMD_H

#include <getopt.h>
#include <stdbool.h>

#define COMMAND(name, function, group, summary) int function(int argc, char **argv);
#include "cmd/commands.def"
#undef COMMAND

/* Prints a wrong use: what, and where to read on. Returns EXIT_USAGE. */
int usage_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The long help of a command, or NULL when there is none of that name. */
const char *command_help(const char *name);

/* getopt_long for a command: prints its help on -h and complains well. Returns the option, -1 at
 * the end, -2 after --help, -3 after a wrong option. */
int next_option(const char *command, int argc, char **argv, const struct option *options);

/* A pid from the command line; 0 after a complaint. */
unsigned parse_pid(const char *command, const char *text);

#endif
