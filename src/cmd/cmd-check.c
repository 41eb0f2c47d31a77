#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/units.h"
#include "build-config.h"
#include "cmd/cmd.h"
#include "cmd/paths.h"
#include "cmd/say.h"
#include "os/arch.h"
#include "os/proc.h"
#include "snapshot/preflight.h"

struct report {
	bool as_json;
	struct json *json;
	int worst; /* exit code */
};

static void item(struct report *r, const char *name, int ok, const char *text)
{
	if (r->as_json) {
		json_object(r->json);
		json_kv(r->json, string, "name", name);
		json_kv(r->json, bool, "ok", ok != 0);
		json_kv(r->json, string, "text", text);
		json_object_end(r->json);
	} else {
		printf("%-4s %-16s %s\n", ok ? "ok" : "NO", name, text);
	}
	if (!ok && r->worst == EXIT_DONE)
		r->worst = EXIT_NOT_PERMITTED;
}

static bool has_capability(int bit)
{
	char line[256];
	autofclose FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "CapEff:", 7) == 0)
			return strtoull(line + 7, NULL, 16) >> bit & 1;
	return false;
}

static void check_ptrace(struct report *r)
{
	autoclose int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	char c = '0';
	bool privileged = has_capability(19); /* CAP_SYS_PTRACE */

	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = '0';
	if (c == '3')
		item(r, "ptrace", 0,
			"kernel.yama.ptrace_scope is 3: nobody may trace until the next boot");
	else if (privileged)
		item(r, "ptrace", 1, "any process (CAP_SYS_PTRACE)");
	else if (c == '0')
		item(r, "ptrace", 1, "processes of this user; run as root for others");
	else
		item(r, "ptrace", 0,
			"kernel.yama.ptrace_scope forbids it to this user; run as root");
}

static void check_host(struct report *r)
{
	char path[4096], text[4200];
	struct err err = ERR_INIT;
	struct os os;

	item(r, "architecture", 1, arch_name);
	if (os_open(&os, "/proc", &err) < 0) {
		item(r, "/proc", 0, err.msg);
	} else {
		char boot_id[BOOT_ID_MAX];

		item(r, "/proc", os_boot_id(&os, boot_id, &err) == 0,
			err.msg[0] ? err.msg : "readable");
		os_close(&os);
	}
	check_ptrace(r);
	if (path_of_part("resin-helper", path, sizeof(path)) == 0)
		snprintf(text, sizeof(text), "%s", path);
	else
		snprintf(text, sizeof(text), "not found beside this program nor in %s",
			RESIN_LIBEXEC_DIR);
	item(r, "helper", path[0] && access(path, X_OK) == 0, text);
	if (path_of_part("libresin-probe.so", path, sizeof(path)) == 0)
		item(r, "probe", 1, path);
	else
		item(r, "probe", 0, "libresin-probe.so is not installed");
}

static void check_process(struct report *r, unsigned pid)
{
	struct err err = ERR_INIT;
	struct preflight p;
	char text[512];
	struct os os;

	if (os_open(&os, "/proc", &err) < 0)
		return;
	if (preflight(&os, (pid_t)pid, &p, &err) < 0) {
		item(r, "process", 0, err.msg);
	} else {
		snprintf(text, sizeof(text), "%s%s%s", refusal_text(p.refusal),
			p.detail[0] ? ": " : "", p.detail);
		item(r, "process", p.refusal == REFUSAL_NONE, text);
		if (p.refusal == REFUSAL_GONE)
			r->worst = EXIT_GONE;
		else if (p.exe[0])
			item(r, "executable", 1, p.exe);
	}
	os_close(&os);
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	autobuf struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct json j;
	struct report r = {.json = &j};
	unsigned pid = 0;
	int o;

	while ((o = next_option("check", argc, argv, options)) != -1) {
		if (o == -2)
			return EXIT_DONE;
		if (o == -3)
			return EXIT_USAGE;
		r.as_json = true;
	}
	if (optind + 1 < argc)
		return usage_error("check", "at most one PID");
	if (optind < argc) {
		pid = parse_pid("check", argv[optind]);
		if (!pid)
			return EXIT_USAGE;
	}
	json_init(&j, &out);
	json_object(&j);
	json_kv(&j, string, "schema", "resin.check/1");
	json_key(&j, "items");
	json_array(&j);
	check_host(&r);
	if (pid)
		check_process(&r, pid);
	json_array_end(&j);
	json_kv(&j, bool, "ok", r.worst == EXIT_DONE);
	json_object_end(&j);
	if (r.as_json) {
		if (json_finish(&j) < 0)
			return EXIT_FAILED;
		puts(out.data);
	}
	return r.worst;
}
