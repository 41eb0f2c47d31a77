#include "cmd/settings.h"

#include <stdio.h>
#include <string.h>

#include "build-config.h"

#define KEY(section, name, type, field, fallback, min, max, help)                              \
	{                                                                                      \
		section, name, CONFIG_##type, offsetof(struct settings, field), fallback, min, \
			max, help                                                              \
	}

/* clang-format off */
const struct config_key settings_keys[] = {
	KEY("agent", "server", STRING, server_url, "http://127.0.0.1:7411", NULL, NULL,
		"Where the server is. Loopback only, for now."),
	KEY("agent", "token", STRING, agent_token, RESIN_STATE_DIR "/token", NULL, NULL,
		"File with the secret that is shared with the server."),
	KEY("agent", "period", DURATION, period_ns, "10s", "10ms", "1h",
		"Time between two looks at /proc."),
	KEY("agent", "helper", STRING, helper_socket, RESIN_RUN_DIR "/helper.sock", NULL, NULL,
		"Socket of resin-helper. Without a helper there are samples, but no versions of other users' processes and no profiles."),
	KEY("agent", "policy", STRING, policy, RESIN_CONFIG_DIR "/policy.conf", NULL, NULL,
		"What may be done to this host's processes; see resin-policy(5). Nothing, when the file is missing."),
	KEY("agent", "state", STRING, state_dir, RESIN_STATE_DIR "/agent", NULL, NULL,
		"Folder for the nonces of orders that were carried out."),
	KEY("agent", "proc", STRING, proc_root, "/proc", NULL, NULL,
		"Root of the process file system; a recorded tree for tests."),
	KEY("agent", "host", STRING, host, "", NULL, NULL,
		"Name of this host; empty means that of the kernel."),
	KEY("server", "data", STRING, data_dir, RESIN_STATE_DIR, NULL, NULL,
		"Where the server keeps everything."),
	KEY("server", "listen", STRING, listen, "127.0.0.1:7411", NULL, NULL,
		"Address and port of the API and the web page. Loopback only, for now."),
	KEY("server", "token", STRING, server_token, "", NULL, NULL,
		"File with the secret; empty means the file token in the data directory. Made when it is missing."),
	KEY("server", "retention", DURATION, retention_ns, "30d", "1h", "3650d",
		"How long series are kept."),
	KEY("detect", "step", DURATION, step_ns, "2m", "100ms", "1d",
		"Length of one step of a series; the least value of each step is judged."),
	KEY("detect", "min_steps", NUMBER, min_steps, "48", "24", "720",
		"Shortest suspicious interval, in steps. A cache that fills with a time constant of more than 1.5 times this looks like a leak."),
	KEY("detect", "warm_up_steps", NUMBER, warm_up_steps, "8", "0", "720",
		"Steps at the start of a process that are not judged."),
	KEY("detect", "min_growth", SIZE, min_growth_bytes, "8M", "256K", "1T",
		"Smaller growth over the interval is never suspicious."),
	KEY("detect", "min_growth_percent", NUMBER, min_growth_percent, "2", "0", "100",
		"The same, as a share of the size at the interval's start."),
	KEY("detect", "hour", DURATION, hour_ns, "1h", "100ms", "1h",
		"How long the hours are that are watched for weeks; shorter for tests."),
	KEY("campaign", "duration", DURATION, campaign_duration_ns, "20m", "1s", "1h",
		"How long a suspect is sampled. Divided by the pace like all periods, but never less than 10 s."),
	KEY("campaign", "period", SIZE, campaign_period_bytes, "512K", "4K", "64M",
		"Largest mean distance of samples; smaller for suspects that grow slowly."),
	KEY("campaign", "attempts", NUMBER, campaign_attempts, "3", "1", "20",
		"Campaigns for one ticket before it is given up."),
	KEY("campaign", "expiry", DURATION, campaign_expiry_ns, "2m", "10s", "1h",
		"An order that no agent has taken by then is void."),
	KEY("campaign", "per_hour", NUMBER, campaign_per_hour, "5", "0", "1000",
		"Campaigns that may start within an hour (at pace 1), over all hosts."),
	{NULL, NULL, CONFIG_STRING, 0, NULL, NULL, NULL, NULL},
};
/* clang-format on */

int settings_load(struct config *c, struct settings *s, const char *path, struct err *err)
{
	int r = config_init(c, settings_keys, s, err);

	return r < 0
		? r
		: config_read(c, path ? path : RESIN_CONFIG_DIR "/resin.conf", path != NULL, err);
}

void settings_print(void)
{
	const char *section = "";

	for (const struct config_key *k = settings_keys; k->section; k++) {
		if (strcmp(section, k->section) != 0)
			printf("%s[%s]\n", *section ? "\n" : "", k->section);
		section = k->section;
		printf("# %s", k->help);
		if (k->min)
			printf(" (%s to %s)", k->min, k->max);
		printf("\n%s = %s\n", k->name, k->fallback);
	}
}

void settings_print_man(void)
{
	const char *section = "";

	for (const struct config_key *k = settings_keys; k->section; k++) {
		if (strcmp(section, k->section) != 0)
			printf(".SS [%s]\n", k->section);
		section = k->section;
		printf(".TP\n.BI %s \" = %s\"\n%s\n", k->name,
			*k->fallback ? k->fallback : "(empty)", k->help);
		if (k->min)
			printf("From %s to %s.\n", k->min, k->max);
	}
}
