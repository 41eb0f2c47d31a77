/*
 * Every key of resin.conf in one table, for all programs; resin.conf(5) is made from it.
 */
#ifndef RESIN_CMD_SETTINGS_H
#define RESIN_CMD_SETTINGS_H

#include "base/config.h"

struct settings {
	/* [agent] */
	const char *server_url, *agent_token, *helper_socket, *policy, *state_dir, *proc_root,
		*host;
	uint64_t period_ns;
	/* [server] */
	const char *data_dir, *listen, *server_token;
	uint64_t retention_ns;
	/* [detect] */
	uint64_t hour_ns, step_ns, min_steps, warm_up_steps, min_growth_bytes, min_growth_percent;
	/* [campaign] */
	uint64_t campaign_duration_ns, campaign_period_bytes, campaign_attempts, campaign_expiry_ns,
		campaign_per_hour;
};

extern const struct config_key settings_keys[];

/* Defaults, then `path` (or the default file, which may be missing) and its drop-ins. */
must_check int settings_load(
	struct config *c, struct settings *s, const char *path, struct err *err);

/* The table, for people. */
void settings_print(void);
/* The same as man(7) source: one .TP per key. */
void settings_print_man(void);

#endif
