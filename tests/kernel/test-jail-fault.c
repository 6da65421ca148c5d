/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fails every changing system call of a jail's construction and start once, on the real kernel.
 *
 *  * The launcher runs under a seccomp filter that asks us about each such call; a supervisor
 * counts them over all processes, refuses the k-th, and lets the others pass. The product has
 * no hook for it. */
#include "jail-client.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "faults/notifier.h"
#include "shared/base/macro.h"
#include "test.h"

#define CALL(name)                                                                                 \
	{                                                                                          \
		SYS_##name, #name                                                                  \
	}

static const NotifierCall calls[] = {
	CALL(mount),         CALL(umount2),    CALL(pivot_root),     CALL(mknod),
	CALL(mknodat),       CALL(mkdir),      CALL(mkdirat),        CALL(symlink),
	CALL(symlinkat),     CALL(chmod),      CALL(fchmod),         CALL(chown),
	CALL(fchownat),      CALL(chdir),      CALL(unlink),         CALL(unlinkat),
	CALL(openat),        CALL(open),       CALL(clone3),         CALL(clone),
	CALL(fork),          CALL(vfork),      CALL(unshare),        CALL(setns),
	CALL(setresuid),     CALL(setresgid),  CALL(setgroups),      CALL(setuid),
	CALL(setgid),        CALL(setsid),     CALL(prctl),          CALL(capset),
	CALL(keyctl),        CALL(setrlimit),  CALL(prlimit64),      CALL(sethostname),
	CALL(setdomainname), CALL(seccomp),    CALL(execve),         CALL(socket),
	CALL(bind),          CALL(listen),     CALL(connect),        CALL(socketpair),
	CALL(accept4),       CALL(setsockopt), CALL(sendmsg),        CALL(recvmsg),
	CALL(pipe2),         CALL(dup2),       CALL(dup3),           CALL(fcntl),
	CALL(close_range),   CALL(signalfd4),  CALL(rt_sigprocmask), CALL(flock),
	CALL(ftruncate),     CALL(write),
};

/* Failures that change nothing for anybody: a queue is looked at again, a bound on silence is
 * missing. */
static const unsigned harmless[] = { SYS_accept4, SYS_setsockopt };

typedef struct Shared {
	unsigned fail_at;
	unsigned count;
	unsigned failed_nr;
	bool armed;
	int listener, ready;
} Shared;

static volatile Shared *shared;

static const char *
call_name(unsigned nr)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(calls); i++)
		if (calls[i].nr == (int)nr)
			return calls[i].name;
	return "?";
}

/* Answers one question; `vmm` is the process in which the VMM's program runs, which is not ours
 * to test. */
static void
answer_one(int listener, unsigned *n_execs, uint32_t *vmm)
{
	struct seccomp_notif question = {};
	struct seccomp_notif_resp response = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0)
		return; /* it was killed meanwhile */
	response.id = question.id;
	if (shared->armed && question.pid != *vmm) {
		shared->count++;
		if (shared->count == shared->fail_at) {
			shared->failed_nr = (unsigned)question.data.nr;
			response.flags = 0;
			response.error = -EPERM;
		}
	}
	/* The first is the launcher's own. */
	if (question.data.nr == SYS_execve && ++*n_execs == 2 && response.error == 0)
		*vmm = question.pid;
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static void
supervise(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	unsigned n_execs = 0;
	uint32_t vmm = 0;

	while (poll(&p, 1, -1) >= 0 && !(p.revents & POLLHUP))
		if (p.revents & POLLIN)
			answer_one(listener, &n_execs, &vmm);
	_exit(0);
}

/* Between fork and exec. What tells the supervisor must not be a call that it is asked about: a
 * number in shared memory, and the end of a pipe. The exec that follows waits for its answer. */
static void
become_supervised(void)
{
	/* Everything that it and its children do is asked about. */
	shared->listener = notifier_install(calls, BN_ELEMENTSOF(calls), /* request= */ 0);
	(void)close(shared->ready);
}

static pid_t
launcher_start_supervised(unsigned fail_at)
{
	pid_t launcher, supervisor;
	int ends[2], listener;
	char c;

	memset((void *)shared, 0, sizeof(*shared));
	shared->fail_at = fail_at;
	check_int(pipe2(ends, O_CLOEXEC), 0);
	shared->ready = ends[1];
	launcher_before_exec = become_supervised;
	launcher = launcher_start(launcher_program, NULL);
	launcher_before_exec = NULL;
	supervisor = fork();
	check(supervisor >= 0);
	(void)close(ends[1]);
	if (supervisor == 0) {
		check_int(read(ends[0], &c, 1), 0);
		listener = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, launcher, 0),
					shared->listener, 0);
		check(listener >= 0);
		supervise(listener);
	}
	(void)close(ends[0]);
	return launcher;
}

/* Whether the launcher answers; then it has started, and what it does next is for a request. */
static void
wait_started(void)
{
	BnJailReply reply;
	int connection = request_send("x", 1, NULL, 0);

	check_int(bn_fd_receive(connection, &reply, sizeof(reply), NULL, 0, NULL), sizeof(reply));
	(void)close(connection);
}

static bool
is_harmless(unsigned nr)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(harmless); i++)
		if (harmless[i] == nr)
			return true;
	return false;
}

/* Receives a reply or an answer, both of which begin alike; 1 where the peer ended without one. */
static int
receive(int fd, char ret_text[static 200], int *ret_fds)
{
	BnJailReply reply = {};
	BnJailAnswer answer;
	char message[sizeof(reply)];
	size_t n_fds = 0;
	ssize_t n = bn_fd_receive(fd, message, sizeof(message), ret_fds, ret_fds ? 3 : 0, &n_fds);

	if (n <= 0)
		return 1;
	if (n == sizeof(reply)) {
		memcpy(&reply, message, sizeof(reply));
		memcpy(ret_text, reply.text, sizeof(reply.text));
		return reply.error;
	}
	check_int(n, sizeof(answer));
	memcpy(&answer, message, sizeof(answer));
	memcpy(ret_text, answer.text, sizeof(answer.text));
	return answer.error;
}

/* Launch and start; how far it got is printed, what failed must have a name. */
static void
attempt(char ret_text[static 200], int *ret_error, const char **ret_stage)
{
	int fds[BN_FD_MESSAGE_MAX], got[3] = { -1, -1, -1 }, sockets[3] = { -1, -1, -1 };
	BnJailRequest r = request_make(2, fds);
	BnJailCommand go = { .magic = BN_JAIL_WIRE_MAGIC, .verb = BN_JAIL_GO };
	BnJailCommand end = { .magic = BN_JAIL_WIRE_MAGIC, .verb = BN_JAIL_END };
	char ignored[200];
	int connection, control, sent;

	*ret_stage = "launch";
	connection = request_connect();
	/* Where there was no process for it, the launcher may have hung up already. */
	sent = bn_fd_send(connection, &r, sizeof(r), fds, 4);
	check(sent == 0 || sent == -EPIPE);
	bn_fd_close_many(fds, BN_FD_MESSAGE_MAX);
	*ret_error = receive(connection, ret_text, got);
	(void)close(connection);
	if (*ret_error != 0)
		return;
	*ret_stage = "go";
	check_int(bn_fd_send(got[1], &go, sizeof(go), NULL, 0), 0);
	*ret_error = receive(got[1], ret_text, sockets);
	shared->armed = false;
	if (*ret_error == 0)
		check_str(ask(sockets[BN_JAIL_OUT_CONTROL], "nothing"), "nothing\n\n");
	/* Answered or not, it may run: a successor finds it by its socket, or finds nobody
	 * there. */
	control = control_connect(JAIL_KEY);
	if (control >= 0 && bn_fd_send(control, &end, sizeof(end), NULL, 0) >= 0)
		(void)receive(control, ignored, NULL);
	bn_closep(&control);
	wait_end(got[0]);
	if (*ret_error == 0)
		check_str(exit_text(), "signal 9\n");
	else if (*ret_error < 0)
		check_str(exit_text(), "failed\n");
	check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY), 0);
	check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY ".exit"), 0);
	bn_fd_close_many(got, 3);
	bn_fd_close_many(sockets, 3);
}

/* False where there was no k-th call: everything has been failed once. */
static bool
fail_once(unsigned k)
{
	pid_t launcher = launcher_start_supervised(k);
	char text[200] = "";
	const char *stage;
	unsigned nr;
	int error;

	wait_started();
	shared->armed = true;
	attempt(text, &error, &stage);
	shared->armed = false;
	nr = shared->failed_nr;
	check_nothing_left(launcher);
	if (nr == 0) {
		check_int(error, 0);
		return false;
	}
	printf("# %3u %-14s %-6s %d %s\n", k, call_name(nr), stage, error, text);
	(void)fflush(stdout);
	if (error == 0)
		check(is_harmless(nr));
	else if (error == 1)
		check(nr == SYS_sendmsg || nr == SYS_recvmsg || nr == SYS_clone);
	else
		check(text[0] != '\0');
	return true;
}

static void
test_construction_when_any_call_fails_then_named_and_nothing_left(void)
{
	unsigned k = 1;
	pid_t launcher;
	Launched l;

	while (fail_once(k))
		k++;
	/* mount alone is called a dozen times: a filter that asks about nothing would pass at
	 * once. */
	check(k > 100);
	launcher = launcher_start(launcher_program, NULL);
	l = launch(2);
	check_int(l.reply.error, 0);
	check_int(command(l.control, BN_JAIL_END, 0, NULL).error, 0);
	wait_end(l.pidfd);
	check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY), 0);
	check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY ".exit"), 0);
	check_nothing_left(launcher);
}

int
main(int argc, char **argv)
{
	static const Test tests[] = {
		TEST(test_construction_when_any_call_fails_then_named_and_nothing_left),
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	check(shared != MAP_FAILED);
	world_begin(argc, argv);
	return test_run_all(tests, BN_ELEMENTSOF(tests));
}
