#include "cmd/helper-client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cmd/paths.h"

int helper_connect(const char *socket_path, struct err *err)
{
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (fd < 0)
		return err_set(err, -errno, "cannot make a socket: %m");
	if (strlen(socket_path) >= sizeof(a.sun_path))
		return err_set(err, -ENAMETOOLONG, "the socket path %s is too long", socket_path);
	memcpy(a.sun_path, socket_path, strlen(socket_path) + 1);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_set(err, -errno, "cannot reach resin-helper at %s: %m", socket_path);
	return steal_fd(&fd);
}

int helper_spawn(pid_t *ret_pid, struct err *err)
{
	char path[4096];
	int pair[2];
	pid_t pid;

	if (path_of_part("resin-helper", path, sizeof(path)) < 0)
		return err_set(
			err, -ENOENT, "resin-helper is neither beside this program nor installed");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "cannot make a socket pair: %m");
	pid = fork();
	if (pid == 0) {
		/* dup2 also clears close-on-exec; 3 is where a socket unit would put it. */
		if (pair[1] == 3 || dup2(pair[1], 3) == 3)
			execl(path, "resin-helper", "--local", "--fd=3", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_set(err, -errno, "cannot fork: %m");
	}
	*ret_pid = pid;
	return pair[0];
}
