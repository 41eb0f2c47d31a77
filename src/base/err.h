/*
 * Errors: a negative code and a sentence for a person.
 *
 * `struct err` lives on the caller's stack and allocates nothing, so it works while the host is out
 * of memory. It is filled once, where the error arose; callers on the way up may prefix it. A
 * function that takes a `struct err *` returns <0 for an error (err is filled), 0 for done, and >0
 * for one of its documented outcomes ("process vanished", "denied", ...), which are no errors.
 */
#ifndef RESIN_BASE_ERR_H
#define RESIN_BASE_ERR_H

#include "base/cleanup.h"

struct err {
	int code;	  /* negative errno, or 0 */
	const char *file; /* where it arose */
	int line;
	char msg[320]; /* one sentence, no newline: what is wrong, and the fix where we know one */
};

#define ERR_INIT ((struct err){0})

/* Fills `err` (may be NULL) and returns `code`, so that `return err_set(...)` reads well. */
#define err_set(err, code, ...) err_set_((err), (code), __FILE__, __LINE__, __VA_ARGS__)

int err_set_(struct err *err, int code, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Puts "prefix: " before the sentence that is already there. Returns err's code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
