/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper's talk with a jail whose first process has been taken over: on real sockets, with real
 * uids, in a pid namespace of the test's own (ending a jail kills by uid). Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/fd-util.h"
#include "test.h"

#define KEY  "1000-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define UID  (BN_JAIL_UID_LAST - 7)
#define MANY 5

typedef enum Manner {
	HONEST,
	ANSWERS_AS_ROOT,
	HANGS_UP,
	SENDS_PIPES,
	SENDS_TOO_FEW,
	SENDS_TOO_MANY,
	SENDS_WITH_AN_ERROR,
	SENDS_HALF,
	SAYS_IT_FAILED,
	SAYS_NONSENSE,
	LIVES_ON,
} Manner;

static char directory[64];
static KernelRealSetup setup = { .run_dir = directory, .jail_dir = directory };
static Kernel kernel;
static pid_t jail_pid;

static void
answer(int sock, Manner manner, uint32_t verb)
{
	BnJailAnswer a = {};
	int fds[MANY], pipes[2];
	size_t n = verb == BN_JAIL_OPEN || verb == BN_JAIL_GO ? _BN_JAIL_OUT_MAX : 0;

	for (size_t i = 0; i < MANY; i++)
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (manner == SENDS_TOO_FEW)
		n = 2;
	if (manner == SENDS_TOO_MANY)
		n = MANY;
	if (manner == SENDS_PIPES && pipe(pipes) == 0)
		fds[1] = pipes[0];
	if (manner == SENDS_WITH_AN_ERROR)
		a.error = -EIO;
	if (manner == SAYS_NONSENSE) {
		a.error = 12345;
		n = 0;
	}
	if (manner == SAYS_IT_FAILED) {
		a.error = -ENOSPC;
		n = 0;
		/* Not terminated, not UTF-8, an escape sequence. */
		memset(a.text, 'x', sizeof(a.text));
		memcpy(a.text, "\033[2J\xff%n%s", 9);
	}
	if (verb == BN_JAIL_SIGNAL)
		a.error = -EINVAL;
	(void)bn_fd_send(sock, &a, manner == SENDS_HALF ? sizeof(a) / 2 : sizeof(a), fds, n);
	bn_fd_close_many(fds, MANY);
}

static void
serve(int listener, Manner manner)
{
	for (;;) {
		int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		BnJailCommand command;

		while (sock >= 0 && recv(sock, &command, sizeof(command), 0) == sizeof(command)) {
			if (manner == HANGS_UP)
				break;
			answer(sock, manner, command.verb);
			if (command.verb == BN_JAIL_END && manner != LIVES_ON)
				_exit(0);
		}
		(void)close(sock);
	}
}

static void
start_jail(Manner manner)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" KEY, directory);
	(void)unlink(address.sun_path);
	check_int(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	check_int(listen(listener, 8), 0);
	jail_pid = fork();
	check(jail_pid >= 0);
	if (jail_pid == 0) {
		if (manner != ANSWERS_AS_ROOT &&
		    (setresgid(UID, UID, UID) < 0 || setresuid(UID, UID, UID) < 0))
			_exit(1);
		/* Somebody of the same uid who holds nothing. */
		if (manner == LIVES_ON && fork() == 0)
			for (;;)
				(void)pause();
		serve(listener, manner);
	}
	(void)close(listener);
}

static void
stop_jail(void)
{
	(void)kill(jail_pid, SIGKILL);
	(void)waitpid(jail_pid, NULL, 0);
}

static size_t
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static int
open_vmm(KernelText *detail)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	int out[_BN_JAIL_OUT_MAX] = { -1, -1, -1 }, r;

	check_int(kernel.jail_find(kernel.ctx, KEY, UID, &jail), 0);
	r = kernel.jail_open(kernel.ctx, &jail, out, detail);
	if (r < 0)
		check(out[0] == -1 && out[1] == -1 && out[2] == -1);
	bn_fd_close_many(out, _BN_JAIL_OUT_MAX);
	return r;
}

static void
test_t14_answers_when_hostile_then_refused_and_nothing_kept(void)
{
	static const struct {
		Manner manner;
		int result;
	} cases[] = {
		{ HONEST, 0 },
		{ ANSWERS_AS_ROOT, -EBADMSG },
		{ HANGS_UP, -ENOENT },
		{ SENDS_PIPES, -EBADMSG },
		{ SENDS_TOO_FEW, -EBADMSG },
		{ SENDS_TOO_MANY, -EBADMSG },
		{ SENDS_WITH_AN_ERROR, -EREMOTEIO },
		{ SENDS_HALF, -EBADMSG },
		{ SAYS_IT_FAILED, -EREMOTEIO },
		{ SAYS_NONSENSE, -EREMOTEIO },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t before = count_fds();
		KernelText detail = {};

		start_jail(cases[i].manner);
		check_int(open_vmm(&detail), cases[i].result);
		check_int(count_fds(), before);
		if (cases[i].manner == SAYS_IT_FAILED) {
			check(strncmp(detail.text, "\\x1b[2J\\xff%n%s", 14) == 0);
			check(strstr(detail.text, "No space left"));
		}
		stop_jail();
	}
}

static void
test_process_when_asked_then_the_one_that_answers(void)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	int pidfd = -1;
	struct pollfd p;

	start_jail(HONEST);
	check_int(kernel.jail_find(kernel.ctx, KEY, UID, &jail), 0);
	check_int(kernel.jail_process(kernel.ctx, &jail, &pidfd), 0);
	p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	check_int(poll(&p, 1, 0), 0);
	check_int(pidfd_send_signal(pidfd, SIGKILL, NULL, 0), 0);
	check_int(poll(&p, 1, -1), 1);
	check_int(waitpid(jail_pid, NULL, 0), jail_pid);
	(void)close(pidfd);
}

static int
start_scope(const char *address, const KernelScope *scope)
{
	/* As the /proc of the world around sees it. */
	check(scope->pid > 0);
	return 0;
}

/* As one that ends while systemd works. */
static int
start_scope_of_a_dead(const char *address, const KernelScope *scope)
{
	stop_jail();
	return 0;
}

static void
test_scope_when_the_process_ends_meanwhile_then_not_started(void)
{
	const BnVmmSpec spec = { .kvm = true, .memory_bytes = BN_MIB };
	const KernelLaunch launch = { .key = KEY, .jail_uid = UID, .spec = &spec };
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;

	start_jail(HONEST);
	jail.process = pidfd_open(jail_pid, 0);
	check(jail.process >= 0);
	setup.scope_start = start_scope;
	check_int(kernel.scope_start(kernel.ctx, &launch, &jail), 0);
	setup.scope_start = start_scope_of_a_dead;
	check_int(kernel.scope_start(kernel.ctx, &launch, &jail), -ESRCH);
	setup.scope_start = NULL;
}

static void
test_t14_process_when_it_has_not_the_jails_uid_then_refused(void)
{
	_cleanup_(kernel_jail_donep) KernelJail jail = KERNEL_JAIL_INIT;
	int pidfd = -1;

	start_jail(ANSWERS_AS_ROOT);
	check_int(kernel.jail_find(kernel.ctx, KEY, UID, &jail), 0);
	check_int(kernel.jail_process(kernel.ctx, &jail, &pidfd), -EBADMSG);
	check_int(pidfd, -1);
	stop_jail();
}

static void
test_end_when_the_jail_obeys_or_not_then_nobody_of_its_uid_is_left(void)
{
	static const Manner manners[] = { HONEST, HANGS_UP, LIVES_ON };

	for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
		KernelJail jail = KERNEL_JAIL_INIT;

		start_jail(manners[i]);
		check_int(kernel.jail_end(kernel.ctx, KEY, UID), 0);
		/* Orphans come to us: waits for ever where one lives on. */
		while (waitpid(-1, NULL, 0) > 0)
			;
		check_int(errno, ECHILD);
		check_int(kernel.jail_find(kernel.ctx, KEY, UID, &jail), -ENOENT);
		check_int(kernel.jail_end(kernel.ctx, KEY, UID), 0);
		check_int(kernel.jail_remove(kernel.ctx, KEY), 0);
		check_int(kernel.jail_remove(kernel.ctx, KEY), 0);
	}
}

static void
test_end_when_the_uid_is_no_jails_then_nothing_is_killed(void)
{
	check_int(kernel.jail_end(kernel.ctx, KEY, 0), -EINVAL);
	check_int(kernel.jail_end(kernel.ctx, KEY, 1000), -EINVAL);
	check_int(kernel.jail_end(kernel.ctx, KEY, BN_JAIL_UID_LAST + 1), -EINVAL);
	check_int(kernel.jail_end(kernel.ctx, KEY, (uid_t)-1), -EINVAL);
}

static void
test_ended_when_the_jail_wrote_something_else_then_unknown(void)
{
	static const struct {
		const char *text, *result;
	} cases[] = { { "exit 0\n", "exit 0" },    { "exit 255\n", "exit 255" },
		      { "exit 256\n", "unknown" }, { "signal 9\n", "signal 9" },
		      { "signal 0\n", "unknown" }, { "signal 65\n", "unknown" },
		      { "failed\n", "failed" },    { "", "unknown" },
		      { "exit -1\n", "unknown" },  { "exit 0\nexit 1\n", "unknown" },
		      { "exit 007\n", "unknown" }, { "\033[2J", "unknown" } };
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/" KEY ".exit", directory);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char ended[KERNEL_ENDED_SIZE] = "";
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		check_int(write(fd, cases[i].text, strlen(cases[i].text)), strlen(cases[i].text));
		(void)close(fd);
		check_int(kernel.jail_ended(kernel.ctx, KEY, ended), 0);
		check_str(ended, cases[i].result);
	}
	(void)unlink(path);
	/* Never through a link: the directory is root's, and this is the second lock on that
	 * door. */
	check_int(symlink("/etc/hostname", path), 0);
	char ended[KERNEL_ENDED_SIZE] = "";
	check_int(kernel.jail_ended(kernel.ctx, KEY, ended), 0);
	check_str(ended, "unknown");
	check_int(kernel.jail_remove(kernel.ctx, KEY), 0);
}

static void
test_verdict_when_kept_then_read_until_the_next_boot(void)
{
	KernelVerdict verdict = { .usable = true, .reason.text = "1.5 ns per instruction" },
		      read = {};
	char path[128];

	check_int(kernel.verdict_load(kernel.ctx, &read), -ENOENT);
	check_int(kernel.verdict_save(kernel.ctx, &verdict), 0);
	check_int(kernel.verdict_load(kernel.ctx, &read), 0);
	check(read.usable);
	check_str(read.reason.text, verdict.reason.text);
	(void)snprintf(path, sizeof(path), "%s/kvm", directory);
	int fd = open(path, O_WRONLY | O_TRUNC);
	static const char other_boot[] =
		"[kvm]\nboot=00000000-0000-0000-0000-000000000000\nusable=1\nreason=x\n";
	check_int(write(fd, other_boot, strlen(other_boot)), strlen(other_boot));
	(void)close(fd);
	check_int(kernel.verdict_load(kernel.ctx, &read), -ENOENT);
	(void)unlink(path);
}

int run_tests(void);
#define main run_tests
TEST_MAIN(TEST(test_t14_answers_when_hostile_then_refused_and_nothing_kept),
	  TEST(test_process_when_asked_then_the_one_that_answers),
	  TEST(test_scope_when_the_process_ends_meanwhile_then_not_started),
	  TEST(test_t14_process_when_it_has_not_the_jails_uid_then_refused),
	  TEST(test_end_when_the_jail_obeys_or_not_then_nobody_of_its_uid_is_left),
	  TEST(test_end_when_the_uid_is_no_jails_then_nothing_is_killed),
	  TEST(test_ended_when_the_jail_wrote_something_else_then_unknown),
	  TEST(test_verdict_when_kept_then_read_until_the_next_boot))
#undef main

int
main(void)
{
	int status = 0;
	pid_t pid;

	if (geteuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	strcpy(directory, "/tmp/banger-test-XXXXXX");
	check(mkdtemp(directory));
	kernel_real_init(&setup, &kernel);
	check_int(unshare(CLONE_NEWPID), 0);
	/* The first process of the namespace: with it goes every other. */
	pid = fork();
	if (pid == 0)
		exit(run_tests());
	check_int(waitpid(pid, &status, 0), pid);
	(void)rmdir(directory);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
