#include "cmd/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *arg_program = "resin";

void say_name(const char *program)
{
	arg_program = program;
}

static void line(int priority, const char *prefix, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets the environment */
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s%s\n", priority, prefix, text);
	else
		fprintf(stderr, "%s: %s%s\n", arg_program, prefix, text);
}

void say_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(3, "", fmt, ap);
	va_end(ap);
}

void say_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(4, "warning: ", fmt, ap);
	va_end(ap);
}

void say_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(6, "", fmt, ap);
	va_end(ap);
}
