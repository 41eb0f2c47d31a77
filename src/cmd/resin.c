/*
 * resin: one program, one table of commands.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <elfutils/version.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <sqlite3.h>

#include "base/json.h"
#include "base/units.h"
#include "build-config.h"
#include "cmd/cmd.h"
#include "cmd/help-text.h"
#include "cmd/say.h"
#include "cmd/settings.h"
#include "os/arch.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *group, *summary, *help;
} commands[] = {
#define COMMAND(name, function, group, summary) {#name, function, group, summary, HELP_##name},
#include "cmd/commands.def"
#undef COMMAND
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

const char *command_help(const char *name)
{
	const struct command *c = find_command(name);

	return c ? c->help : NULL;
}

int usage_error(const char *command, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say_error("%s: %s (resin %s --help)", command, text, command);
	return EXIT_USAGE;
}

int next_option(const char *command, int argc, char **argv, const struct option *options)
{
	int c;

	opterr = 0;
	c = getopt_long(argc, argv, ":h", options, NULL); /* NOLINT(concurrency-mt-unsafe) */
	if (c == 'h') {
		const char *text = command_help(command);

		if (text)
			fputs(text, stdout);
		return -2;
	}
	if (c == ':') {
		usage_error(command, "option '%s' needs a value", argv[optind - 1]);
		return -3;
	}
	if (c == '?') {
		usage_error(command, "unknown option '%s'", argv[optind - 1]);
		return -3;
	}
	return c;
}

unsigned parse_pid(const char *command, const char *text)
{
	uint64_t v;

	if (parse_u64(text, &v) < 0 || v == 0 || v > INT32_MAX) {
		usage_error(command, "'%s' is not a process id", text);
		return 0;
	}
	return (unsigned)v;
}

static void list_commands(void)
{
	static const char *const groups[][2] = {{"look", "Look at one machine, no server needed"},
		{"fleet", "Ask the server"}, {"run", "Run"}, {"help", "Help"}};

	puts("Usage: resin COMMAND [OPTION...]\n"
	     "Finds, localizes and diagnoses memory leaks in live processes.\n");
	for (size_t g = 0; g < 4; g++) {
		printf("%s\n", groups[g][1]);
		for (size_t i = 0; i < N_COMMANDS; i++)
			if (strcmp(commands[i].group, groups[g][0]) == 0)
				printf("  %-10s %s\n", commands[i].name, commands[i].summary);
		putchar('\n');
	}
	puts("resin help COMMAND, or man resin-COMMAND, says more; resin(7) explains the ideas.");
}

int cmd_help(int argc, char **argv)
{
	static const struct option options[] = {{"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const struct command *c;
	int o;

	while ((o = next_option("help", argc, argv, options)) != -1) {
		if (o == -2)
			return EXIT_DONE;
		if (o == -3)
			return EXIT_USAGE;
		for (size_t i = 0; i < N_COMMANDS; i++)
			puts(commands[i].name);
		return EXIT_DONE;
	}
	if (optind >= argc) {
		list_commands();
		return EXIT_DONE;
	}
	if (strcmp(argv[optind], "config") == 0) {
		settings_print();
		return EXIT_DONE;
	}
	c = find_command(argv[optind]);
	if (!c)
		return usage_error("help", "there is no command '%s'", argv[optind]);
	fputs(c->help, stdout);
	return EXIT_DONE;
}

int cmd_version(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	autobuf struct buf out = BUF_INIT(4096);
	bool as_json = false;
	struct json j;
	int o;

	while ((o = next_option("version", argc, argv, options)) != -1) {
		if (o == -2)
			return EXIT_DONE;
		if (o == -3)
			return EXIT_USAGE;
		as_json = true;
	}
	if (!as_json) {
		printf("resin %s (%s; libcurl %s, elfutils %d.%d, GnuTLS %s, libmicrohttpd %s, "
		       "SQLite %s)\n",
			RESIN_VERSION, arch_name, LIBCURL_VERSION, _ELFUTILS_VERSION / 1000,
			_ELFUTILS_VERSION % 1000, gnutls_check_version(NULL), MHD_get_version(),
			sqlite3_libversion());
		return EXIT_DONE;
	}
	json_init(&j, &out);
	json_object(&j);
	json_kv(&j, string, "schema", "resin.version/1");
	json_kv(&j, string, "version", RESIN_VERSION);
	json_kv(&j, string, "architecture", arch_name);
	json_object_end(&j);
	if (json_finish(&j) < 0)
		return EXIT_FAILED;
	puts(out.data);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	const struct command *c;

	say_name("resin");
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		list_commands();
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		list_commands();
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(1, argv);
	c = find_command(argv[1]);
	if (!c) {
		say_error("there is no command '%s'; `resin help` lists them", argv[1]);
		return EXIT_USAGE;
	}
	return c->run(argc - 1, argv + 1);
}
