#include "os/remote.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"

int remote_read(pid_t pid, struct raddr from, void *to, size_t n)
{
	struct iovec local = {to, n};
	struct iovec remote = {(void *)(uintptr_t)from.v, n};
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : -EFAULT;
}

int remote_write(pid_t pid, struct raddr to, const void *from, size_t n)
{
	struct iovec local = {(void *)(uintptr_t)from, n};
	struct iovec remote = {(void *)(uintptr_t)to.v, n};
	ssize_t put = process_vm_writev(pid, &local, 1, &remote, 1, 0);

	if (put < 0)
		return -errno;
	return (size_t)put == n ? 0 : -EFAULT;
}

ssize_t remote_read_some(pid_t pid, struct raddr from, void *to, size_t n)
{
	struct iovec local = {to, n};
	struct iovec remote[64];
	size_t count = 0, done = 0;

	/* One element per page: the kernel then returns what lies before the first hole. */
	while (done < n && count < 64) {
		size_t step = 4096 - ((from.v + done) & 4095);

		if (count == 63 || step > n - done)
			step = n - done;
		remote[count++] = (struct iovec){(void *)(uintptr_t)(from.v + done), step};
		done += step;
	}
	ssize_t got = process_vm_readv(pid, &local, 1, remote, count, 0);

	return got < 0 ? -errno : got;
}

void remote_events_begin(sigset_t *ret_old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &set, ret_old);
}

void remote_wait_event(uint64_t deadline_mono_ns)
{
	uint64_t now = clock_mono_ns(&clock_system);
	uint64_t left = deadline_mono_ns > now ? deadline_mono_ns - now : 0;
	const struct timespec t = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigtimedwait(&set, NULL, &t);
}

void remote_events_end(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

int remote_stop(pid_t tid, uint64_t timeout_ns, struct err *err)
{
	uint64_t deadline = clock_mono_ns(&clock_system) + timeout_ns;

	if (ptrace(PTRACE_SEIZE, tid, NULL, 0) < 0) {
		if (errno == ESRCH)
			return REMOTE_GONE;
		if (errno == EPERM)
			return REMOTE_DENIED;
		return err_set(err, -errno, "cannot trace thread %d: %m", tid);
	}
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, 0) < 0)
		return errno == ESRCH ? REMOTE_GONE
				      : err_set(err, -errno, "cannot interrupt thread %d: %m", tid);
	for (;;) {
		int status;
		pid_t r = waitpid(tid, &status, __WALL | WNOHANG);

		if (r == tid && (WIFEXITED(status) || WIFSIGNALED(status)))
			return REMOTE_GONE;
		if (r == tid && WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP &&
			WSTOPSIG(status) == SIGTRAP)
			return REMOTE_OK;
		if (r == tid && WIFSTOPPED(status)) {
			/* A signal was on its way: hand it on. Its stop has used up our interrupt,
			 * so ask again first; then we get the thread before the handler's first
			 * instruction. */
			int sig = status >> 16 ? 0 : WSTOPSIG(status);

			(void)ptrace(PTRACE_INTERRUPT, tid, NULL, 0);
			if (ptrace(PTRACE_CONT, tid, NULL, (void *)(uintptr_t)sig) < 0)
				return REMOTE_GONE;
		} else if (r < 0 && errno == ECHILD) {
			return REMOTE_GONE;
		}
		if (clock_mono_ns(&clock_system) > deadline)
			return REMOTE_BUSY;
		if (r == 0)
			remote_wait_event(deadline);
	}
}

void remote_detach(pid_t tid)
{
	(void)ptrace(PTRACE_DETACH, tid, NULL, NULL);
}
