/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/warden.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail/console.h"
#include "jail/filter.h"
#include "jail/vmm.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"

/* Connections at once: the helper's, that of a successor, and room for a helper being
 * restarted. */
#define CLIENTS_MAX 8
/* The exit file is the only file this process can still write: "signal 64\n" fits. */
#define EXIT_SIZE 32

enum { POLL_SIGNALS, POLL_LISTENER, POLL_CLIENTS, POLL_CONSOLE = POLL_CLIENTS + CLIENTS_MAX };
#define POLL_MAX (POLL_CONSOLE + _CONSOLE_POLL_MAX)

typedef struct Warden {
	const Jail *jail;
	int signals;
	/* The first is the launching one: with it goes the jail, until GO. */
	int clients[CLIENTS_MAX];
	bool waits_for_end[CLIENTS_MAX];
	int handed[_BN_JAIL_OUT_MAX]; /* copies, to end them by; the console has its own */
	bool started, over;
	Vmm vmm;
	Console console;
} Warden;

/* Not on the stack: it holds the console's ring. */
static Warden warden;

/* What can be asked of a VMM. Of these SIGKILL alone never comes to us from outside. */
static const int vmm_signals[] = { SIGTERM, SIGKILL, SIGINT,  SIGHUP,
				   SIGQUIT, SIGUSR1, SIGUSR2, SIGABRT };

static bool
is_vmm_signal(int signo)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(vmm_signals); i++)
		if (vmm_signals[i] == signo)
			return true;
	return false;
}

static void
drop_client(Warden *w, size_t i)
{
	bn_closep(&w->clients[i]);
	w->waits_for_end[i] = false;
	if (i == 0 && !w->started)
		w->over = true;
}

/* Never waits for a client: one that does not read its answers is dropped. */
static void
answer(Warden *w, size_t i, int error, const char *text, const int *fds)
{
	BnJailAnswer a = { .error = error };

	(void)snprintf(a.text, sizeof(a.text), "%s", text);
	if (bn_fd_send(w->clients[i], &a, sizeof(a), fds, fds ? _BN_JAIL_OUT_MAX : 0) < 0)
		drop_client(w, i);
}

static void
end_handed(Warden *w)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(w->handed); i++) {
		if (w->handed[i] >= 0)
			(void)shutdown(w->handed[i], SHUT_RDWR);
		bn_closep(&w->handed[i]);
	}
}

/* Ends the set before, makes a new one and hands it out. */
static int
open_set(Warden *w, int ret[static _BN_JAIL_OUT_MAX])
{
	static const int connected[] = { BN_JAIL_OUT_CONTROL, BN_JAIL_OUT_AGENT };

	end_handed(w);
	for (size_t i = 0; i < BN_ELEMENTSOF(connected); i++) {
		int fd = vmm_connect(&w->vmm, (unsigned)connected[i]);

		if (fd < 0)
			return fd;
		w->handed[connected[i]] = ret[connected[i]] = fd;
	}
	ret[BN_JAIL_OUT_CONSOLE] = console_open(&w->console);
	return BN_MIN(ret[BN_JAIL_OUT_CONSOLE], 0);
}

static int
hand_out(Warden *w, size_t i)
{
	int fds[_BN_JAIL_OUT_MAX];
	int r = open_set(w, fds);

	if (r < 0) {
		end_handed(w);
		answer(w, i, r, "open sockets", NULL);
		return r;
	}
	answer(w, i, 0, "", fds);
	bn_closep(&fds[BN_JAIL_OUT_CONSOLE]);
	return 0;
}

/* Kept in *fd only where it will never make this process wait. */
static int
keep_nonblocking(int *fd, int from)
{
	int r = from < 0 ? from : bn_fd_set_nonblock(from, true);

	if (r >= 0)
		*fd = from;
	else
		bn_closep(&from);
	return r;
}

/* The connection that stays ours; made before the VMM listens to it, it is the first one it
 * takes. */
static int
connect_console(Warden *w, int *ret_output)
{
	int ends[2], r;

	r = keep_nonblocking(&w->console.serial, vmm_connect(&w->vmm, BN_JAIL_OUT_CONSOLE));
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return bn_errno();
	*ret_output = ends[1];
	return keep_nonblocking(&w->console.error, ends[0]);
}

/* From here on bytes from the guest pass through this process, and it needs next to nothing. */
static int
shrink(Warden *w)
{
	struct rlimit limit = { EXIT_SIZE, EXIT_SIZE };
	int fds[BN_FD_MESSAGE_MAX];

	memcpy(fds, w->jail->fds, sizeof(fds));
	bn_fd_close_many(fds, w->jail->n_fds);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return bn_errno();
	return filter_install_warden();
}

static int
start(Warden *w, char reterr_step[static 32])
{
	_cleanup_close_ int output = -1;
	int r;

	(void)snprintf(reterr_step, 32, "make sockets");
	r = vmm_listen(&w->vmm);
	if (r >= 0)
		r = connect_console(w, &output);
	if (r >= 0)
		r = vmm_start(&w->vmm, w->jail, output, reterr_step);
	if (r < 0)
		return r;
	(void)snprintf(reterr_step, 32, "shrink");
	return shrink(w);
}

static void
command_go(Warden *w, size_t i, const BnJailCommand *command)
{
	char step[32];
	int r;

	if (w->started) {
		answer(w, i, -EALREADY, "", NULL);
		return;
	}
	w->started = true;
	r = start(w, step);
	if (r < 0)
		answer(w, i, r, step, NULL);
	else
		r = hand_out(w, i);
	if (r < 0)
		w->over = true;
}

static void
command_open(Warden *w, size_t i, const BnJailCommand *command)
{
	if (w->vmm.pid == 0)
		answer(w, i, -ENOTCONN, "not started", NULL);
	else
		(void)hand_out(w, i);
}

static void
command_signal(Warden *w, size_t i, const BnJailCommand *command)
{
	if (!is_vmm_signal(command->signo))
		answer(w, i, -EINVAL, "signal", NULL);
	else if (w->vmm.pid == 0)
		answer(w, i, -ENOTCONN, "not started", NULL);
	else
		answer(w, i, bn_ret_errno(kill(w->vmm.pid, command->signo)), "", NULL);
}

static void
command_end(Warden *w, size_t i, const BnJailCommand *command)
{
	w->waits_for_end[i] = true;
	if (w->vmm.pid > 0)
		(void)kill(w->vmm.pid, SIGKILL);
	else
		w->over = true;
}

static void
serve_client(Warden *w, size_t i)
{
	static void (*const commands[_BN_JAIL_COMMAND_MAX])(Warden *, size_t,
							    const BnJailCommand *) = {
		[BN_JAIL_GO] = command_go,
		[BN_JAIL_OPEN] = command_open,
		[BN_JAIL_SIGNAL] = command_signal,
		[BN_JAIL_END] = command_end,
	};
	BnJailCommand command = {};
	ssize_t n = bn_fd_receive(w->clients[i], &command, sizeof(command), NULL, 0, NULL);

	if (n == -EAGAIN)
		return;
	if (n == 0 || (n < 0 && n != -EMSGSIZE))
		drop_client(w, i);
	else if (n != sizeof(command) || command.magic != BN_JAIL_WIRE_MAGIC)
		answer(w, i, -EBADMSG, "message", NULL);
	else if (command.verb >= _BN_JAIL_COMMAND_MAX || !commands[command.verb])
		answer(w, i, -EINVAL, "verb", NULL);
	else
		commands[command.verb](w, i, &command);
}

static void
accept_client(Warden *w)
{
	_cleanup_close_ int fd =
		accept4(w->jail->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uid_t uid = (uid_t)-1;

	/* The directory lets only root in; asked again, because everything depends on it. */
	if (fd < 0 || bn_fd_peer(fd, NULL, &uid, NULL) < 0 || uid != 0)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (w->clients[i] < 0) {
			w->clients[i] = BN_TAKE_FD(fd);
			return;
		}
}

static void
report_end(Warden *w, int status)
{
	char text[EXIT_SIZE];
	int n;

	if (WIFSIGNALED(status))
		n = snprintf(text, sizeof(text), "signal %d\n", WTERMSIG(status));
	else
		n = snprintf(text, sizeof(text), "exit %d\n", WEXITSTATUS(status));
	/* Nobody to tell where it fails: "failed" stays there then. */
	if (pwrite(w->jail->exit_file, text, (size_t)n, 0) != n ||
	    ftruncate(w->jail->exit_file, n) < 0)
		return;
}

static void
reap(Warden *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != w->vmm.pid)
			continue;
		w->vmm.pid = 0;
		w->over = true;
		report_end(w, status);
	}
}

static void
read_signal(Warden *w)
{
	struct signalfd_siginfo info;

	if (read(w->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(w);
	else if (w->vmm.pid > 0)
		(void)kill(w->vmm.pid, (int)info.ssi_signo);
	else
		w->over = true;
}

static void
serve_once(Warden *w)
{
	struct pollfd fds[POLL_MAX];
	bool room = false;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		fds[POLL_CLIENTS + i] = (struct pollfd){ .fd = w->clients[i], .events = POLLIN };
		room = room || w->clients[i] < 0;
	}
	fds[POLL_SIGNALS] = (struct pollfd){ .fd = w->signals, .events = POLLIN };
	fds[POLL_LISTENER] =
		(struct pollfd){ .fd = room ? w->jail->listener : -1, .events = POLLIN };
	console_prepare(&w->console, fds + POLL_CONSOLE);
	if (poll(fds, POLL_MAX, -1) < 0)
		return;
	if (console_move(&w->console, fds + POLL_CONSOLE))
		end_handed(w);
	for (size_t i = 0; i < CLIENTS_MAX && !w->over; i++)
		if (fds[POLL_CLIENTS + i].revents)
			serve_client(w, i);
	if (fds[POLL_LISTENER].revents)
		accept_client(w);
	if (fds[POLL_SIGNALS].revents)
		read_signal(w);
}

int
warden_prepare(const Jail *jail)
{
	sigset_t set;

	warden.jail = jail;
	memset(warden.clients, -1, sizeof(warden.clients));
	memset(warden.handed, -1, sizeof(warden.handed));
	warden.console.serial = warden.console.error = warden.console.reader = -1;
	/* The kernel drops a signal to the first process of a pid namespace that has no handler
	 * for it; one that is blocked it keeps. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < BN_ELEMENTSOF(vmm_signals); i++)
		(void)sigaddset(&set, vmm_signals[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return bn_errno();
	warden.signals = signalfd(-1, &set, SFD_CLOEXEC);
	return BN_MIN(bn_ret_errno(warden.signals), 0);
}

void
warden_run(void)
{
	while (!warden.over)
		serve_once(&warden);
	console_drain(&warden.console);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (warden.waits_for_end[i])
			answer(&warden, i, 0, "", NULL);
}
