#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/limits.h"
#include "base/units.h"
#include "cmd/agent.h"
#include "cmd/helper-client.h"
#include "cmd/say.h"

#define IDENTIFY_TIMEOUT_NS (5 * NSEC_PER_SEC)
#define PROFILE_GRACE_NS (90 * NSEC_PER_SEC)
#define ASK_AGAIN_NS (60 * NSEC_PER_SEC)

static uint64_t now_ns(void)
{
	return clock_mono_ns(&clock_system);
}

void helper_job_end(struct helper_job *j)
{
	if (j->fd >= 0)
		close(j->fd);
	j->fd = -1;
	frame_reader_done(&j->reader);
}

static int begin(struct agent *a, struct helper_job *j, const struct helper_msg *m,
	uint64_t timeout_ns, struct err *err)
{
	int r;

	j->fd = helper_connect(a->set.helper_socket, err);
	if (j->fd < 0)
		return j->fd;
	frame_reader_init(&j->reader);
	r = frame_send(j->fd, m, err);
	if (r == 0 && fcntl(j->fd, F_SETFL, O_NONBLOCK) < 0)
		r = err_set(err, -errno, "fcntl: %m");
	if (r < 0) {
		helper_job_end(j);
		return r;
	}
	j->deadline_ns = now_ns() + timeout_ns;
	return 0;
}

void helper_ask_identities(struct agent *a)
{
	static uint64_t pids[HELPER_MAX_PIDS], starts[HELPER_MAX_PIDS];
	struct helper_msg m = {.kind = HELPER_IDENTIFY, .pids = pids, .starts = starts};
	struct err err = ERR_INIT;

	if (a->identify.fd >= 0)
		return;
	m.n_pids = sampler_unknown(&a->sampler, pids, starts, HELPER_MAX_PIDS);
	if (!m.n_pids)
		return;
	if (begin(a, &a->identify, &m, IDENTIFY_TIMEOUT_NS, &err) < 0) {
		if (!a->helper_complained)
			say_warning(
				"%s; versions of other users' processes stay unknown, and nothing "
				"can be profiled",
				err.msg);
		a->helper_complained = true;
		if (!a->ask_again_at_ns)
			a->ask_again_at_ns = now_ns() + ASK_AGAIN_NS;
	}
}

/* -- orders ------------------------------------------------------------------------------ */

/* Nonces of orders that were taken, on disk before anything is done: "HEX EXPIRY_NS" a line. A
 * line may be missing its end after a power cut; then it does not match, and the order's expiry
 * protects us. */
static int nonce_path(const struct agent *a, char *ret, size_t size)
{
	return snprintf(ret, size, "%s/nonces", a->set.state_dir) < (int)size ? 0 : -ENAMETOOLONG;
}

static bool nonce_is_used(const char *path, const char *hex)
{
	autofclose FILE *f = fopen(path, "re");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, hex, 2 * ORDER_NONCE_BYTES) == 0)
			return true;
	return false;
}

/* False when it was used before, or cannot be written down. */
static bool take_nonce(const struct agent *a, const struct order *o, char *why, size_t size)
{
	char path[4200], hex[2 * ORDER_NONCE_BYTES + 1];
	autofclose FILE *f = NULL;

	auth_hex(o->nonce, sizeof(o->nonce), hex);
	if (nonce_path(a, path, sizeof(path)) < 0 || nonce_is_used(path, hex)) {
		snprintf(why, size, "the order was carried out before");
		return false;
	}
	f = fopen(path, "ae");
	if (!f || fprintf(f, "%s %llu\n", hex, (unsigned long long)o->expires_unix_ns) < 0 ||
		fflush(f) != 0 || fsync(fileno(f)) < 0) {
		snprintf(why, size, "cannot write %s", path);
		return false;
	}
	return true;
}

int helper_prune_nonces(const struct agent *a, struct err *err)
{
	autobuf struct buf text = BUF_INIT(LIMIT_CONFIG_BYTES), kept = BUF_INIT(LIMIT_CONFIG_BYTES);
	uint64_t now = clock_unix_ns(&clock_system);
	char path[4200], tmp[4210], *save = NULL;
	autoclose int fd = -1;
	int r;

	if (nonce_path(a, path, sizeof(path)) < 0)
		return err_set(err, -ENAMETOOLONG, "the path of the state folder is too long");
	r = config_read_file(path, &text, err);
	if (r != 0 || !text.data)
		return r < 0 ? r : 0;
	for (char *line = strtok_r(text.data, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		const char *space = strchr(line, ' ');
		uint64_t expires;

		if (space && parse_u64(space + 1, &expires) == 0 && expires > now &&
			buf_printf(&kept, "%s\n", line) < 0)
			return err_set(err, -ENOMEM, "out of memory");
	}
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || (kept.len && write(fd, kept.data, kept.len) != (ssize_t)kept.len) ||
		fsync(fd) < 0 || rename(tmp, path) < 0)
		return err_set(err, -errno, "cannot write %s: %m", path);
	return 0;
}

static bool policy_agrees(const struct agent *a, const struct order *o, char *why, size_t size)
{
	const struct known *k = sampler_find(&a->sampler, o->target.pid, o->target.start_ticks);
	autobuf struct buf text = BUF_INIT(LIMIT_CONFIG_BYTES);
	struct err err = ERR_INIT;
	struct policy p;
	bool ok;

	if (!k) {
		snprintf(why, size, "there is no such process any more");
		return false;
	}
	/* Read anew for each order: orders are rare, and a changed policy counts at once. */
	policy_init(&p);
	if (config_read_file(a->set.policy, &text, &err) < 0 ||
		(text.data && policy_parse(&p, text.data, a->set.policy, &err) < 0)) {
		snprintf(why, size, "%s", err.msg);
		policy_done(&p);
		return false;
	}
	ok = policy_allows_profile(&p, k->exe ? k->exe : "(unknown)", o->duration_ns, why, size);
	policy_done(&p);
	return ok;
}

static bool acceptable(const struct agent *a, const struct order *o, char *why, size_t size)
{
	if (strcmp(o->host, a->sampler.host) != 0 ||
		strcmp(o->target.boot_id, a->sampler.boot_id) != 0)
		snprintf(why, size, "the order is for another host or an earlier boot");
	else if (o->kind != ORDER_KIND_PROFILE)
		snprintf(why, size, "this agent does not know that kind of order");
	else if (clock_unix_ns(&clock_system) > o->expires_unix_ns)
		snprintf(why, size, "the order has expired");
	else if (!policy_agrees(a, o, why, size))
		return false;
	else
		return true;
	return false;
}

void helper_on_order(struct agent *a, const struct order *o)
{
	struct helper_msg m = {.kind = HELPER_PROFILE, .order = *o};
	struct err err = ERR_INIT;
	char why[320];

	if (a->profile.fd >= 0) {
		/* The same one, sent again because our report is still on its way; or another one,
		 * which the server will offer again. */
		return;
	}
	if (!acceptable(a, o, why, sizeof(why))) {
		say_info("order %llu refused: %s", (unsigned long long)o->id, why);
		link_send_report(a, o, ORDER_REFUSED, why);
		return;
	}
	if (!take_nonce(a, o, why, sizeof(why))) {
		say_warning("order %llu not taken: %s", (unsigned long long)o->id, why);
		return;
	}
	if (begin(a, &a->profile, &m, o->duration_ns + PROFILE_GRACE_NS, &err) < 0) {
		link_send_report(a, o, ORDER_FAILED, err.msg);
		return;
	}
	a->profile.order = *o;
	say_info("order %llu: profiling process %u", (unsigned long long)o->id, o->target.pid);
	link_send_report(a, o, ORDER_ACCEPTED, "handed to the helper");
}

/* -- answers ----------------------------------------------------------------------------- */

/* True when the conversation is over. */
static bool on_message(struct agent *a, struct helper_job *j, const struct helper_msg *m)
{
	char reason[320];

	switch (m->kind) {
	case HELPER_IDENTITY:
		if (m->pid <= UINT32_MAX)
			sampler_learn(
				&a->sampler, (uint32_t)m->pid, m->start_ticks, m->name, m->text);
		return false;
	case HELPER_PROGRESS:
		snprintf(reason, sizeof(reason), "%s: %s", m->name, m->text);
		if (strcmp(m->name, "sampling") != 0)
			link_send_report(a, &j->order, ORDER_RUNNING, reason);
		return false;
	case HELPER_RESULT:
		link_send_profile(a, m->payload, m->payload_bytes);
		return false;
	case HELPER_REFUSED:
	case HELPER_FAILED:
		if (j == &a->profile) {
			say_info("order %llu: %s", (unsigned long long)j->order.id, m->text);
			link_send_report(a, &j->order,
				m->kind == HELPER_REFUSED ? ORDER_REFUSED : ORDER_FAILED, m->text);
		}
		return true;
	case HELPER_DONE:
		return true;
	case HELPER_IDENTIFY:
	case HELPER_PROFILE:
		break;
	}
	return true;
}

void helper_on_ready(struct agent *a, struct helper_job *j, uint64_t now)
{
	struct err err = ERR_INIT;
	struct helper_msg m;
	int r = 0;

	if (j->fd < 0)
		return;
	do {
		r = frame_receive(&j->reader, j->fd, &m, &err);
		if (r == 1 && on_message(a, j, &m)) {
			helper_job_end(j);
			return;
		}
	} while (r == 1);
	if (r == 0 && now > j->deadline_ns)
		r = err_set(&err, -ETIMEDOUT, "the helper did not finish in time");
	if (r < 0) {
		if (j == &a->profile)
			link_send_report(a, &j->order, ORDER_FAILED, err.msg);
		helper_job_end(j);
	}
}
