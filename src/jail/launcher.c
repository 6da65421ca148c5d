/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/launcher.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/build.h"
#include "jail/request.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/log.h"
#include "shared/base/macro.h"

/* Building processes at once; who comes then waits in the socket's queue. */
#define BUILDERS_MAX 64
/* A client that connects and says nothing keeps a process, but not for ever. */
#define SILENCE_S 10

/* In a process of its own: one request, one answer. */
static void
serve_request(int connection)
{
	struct timeval silence = { .tv_sec = SILENCE_S };
	Jail jail = { .listener = -1, .exit_file = -1, .status = -1 };
	int fds[_BN_JAIL_REPLY_MAX] = { -1, -1 };
	BnJailReply reply = {};
	const char *what = "";
	int r;

	memset(jail.fds, -1, sizeof(jail.fds));
	(void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	reply.error = request_receive(connection, &jail, &what);
	if (reply.error < 0)
		(void)snprintf(reply.text, sizeof(reply.text), "request: %s", what);
	else
		build_jail(&jail, &reply, fds);
	if (reply.error < 0)
		bn_log_error("%s: %s", reply.text, strerror(-reply.error));
	r = bn_fd_send(connection, &reply, sizeof(reply), fds,
		       fds[BN_JAIL_REPLY_PIDFD] >= 0 ? _BN_JAIL_REPLY_MAX : 0);
	/* A jail that nobody was told about must not stay. */
	if (r < 0 && fds[BN_JAIL_REPLY_PIDFD] >= 0)
		build_undo(&jail, fds);
}

/* True where a builder was started. */
static bool
accept_request(int listener, int signals)
{
	_cleanup_close_ int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	uid_t uid = (uid_t)-1;
	pid_t pid;

	if (connection < 0)
		return false;
	if (bn_fd_peer(connection, NULL, &uid, NULL) < 0 || uid != 0) {
		bn_log_warning("refused a connection of uid %u", uid);
		return false;
	}
	pid = fork();
	/* The client sees us hang up, as it would if we had died. */
	if (pid < 0)
		bn_log_error("fork: %s", strerror(errno));
	if (pid != 0)
		return pid > 0;
	(void)close(listener);
	(void)close(signals);
	/* The signals stay blocked: what asks the launcher to go lets a jail that is half built
	 * be finished. */
	serve_request(connection);
	_exit(0);
}

/* Returns how many builders have ended; true in *ret_stop where somebody wants us to end, too. */
static int
read_signals(int signals, bool *ret_stop)
{
	struct signalfd_siginfo info;
	int n = 0;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo != SIGCHLD)
		*ret_stop = true;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		n++;
	return n;
}

int
launcher_run(int listener, int idle_ms)
{
	_cleanup_close_ int signals = -1;
	sigset_t set;
	int builders = 0;
	bool stop = false;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return bn_errno();
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		return bn_errno();
	while (!stop) {
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = builders < BUILDERS_MAX ? listener : -1, .events = POLLIN },
		};
		int r = poll(fds, BN_ELEMENTSOF(fds), builders > 0 ? -1 : idle_ms);

		/* The socket is systemd's: who connects at this very moment starts us again. */
		if (r == 0)
			break;
		if (r < 0 && errno != EINTR)
			return bn_errno();
		if (r > 0 && fds[0].revents)
			builders -= read_signals(signals, &stop);
		if (r > 0 && fds[1].revents && accept_request(listener, signals))
			builders++;
	}
	return 0;
}
