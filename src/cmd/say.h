/*
 * What programs tell people: one line to stderr, never to stdout. Only cmd/ talks.
 */
#ifndef RESIN_CMD_SAY_H
#define RESIN_CMD_SAY_H

enum {
	EXIT_DONE = 0,
	EXIT_FINDINGS = 1,
	EXIT_USAGE = 2,
	EXIT_FAILED = 3,
	EXIT_PARTIAL = 4,
	EXIT_NOT_PERMITTED = 5,
	EXIT_GONE = 6
};

/* "PROGRAM: text"; under systemd with the priority that journald understands. */
void say_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The name before each line; call once, early, with a string that stays. */
void say_name(const char *program);

#endif
