/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail-client.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "shared/base/macro.h"
#include "test.h"

/* A jail that runs, with everything a test wants to talk to. */
typedef struct Running {
	pid_t launcher;
	Launched jail;
	int out[_BN_JAIL_OUT_MAX];
} Running;

static Running
run_launched(Launched (*start)(unsigned n_disks), unsigned n_disks)
{
	Running r = { .launcher = launcher_start(launcher_program, NULL) };

	r.jail = start(n_disks);
	check_str(r.jail.reply.text, "");
	check_int(r.jail.reply.error, 0);
	check_int(command(r.jail.control, BN_JAIL_GO, 0, r.out).error, 0);
	(void)read_until(r.out[BN_JAIL_OUT_AGENT], "agent\n");
	return r;
}

static Running
run(unsigned n_disks)
{
	return run_launched(launch, n_disks);
}

static const char *
tell(const Running *r, const char *line)
{
	return ask(r->out[BN_JAIL_OUT_CONTROL], line);
}

static void
close_running(Running *r)
{
	bn_fd_close_many(r->out, _BN_JAIL_OUT_MAX);
	bn_closep(&r->jail.control);
	bn_closep(&r->jail.pidfd);
}

/* As the helper does after every end. */
static void
clean(Running *r)
{
	wait_end(r->jail.pidfd);
	close_running(r);
	check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY), 0);
	check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY ".exit"), 0);
	check_nothing_left(r->launcher);
}

static void
end(Running *r)
{
	check_int(command(r->jail.control, BN_JAIL_END, 0, NULL).error, 0);
	clean(r);
}

#define check_has(text, part)                                                                      \
	do {                                                                                       \
		const char *_t = (text);                                                           \
		if (!strstr(_t, part)) {                                                           \
			fprintf(stderr, "%s:%d: no \"%s\" in:\n%s\n", __FILE__, __LINE__, part,    \
				_t);                                                               \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void
test_t35_go_when_run_then_exactly_these_descriptors_and_this_environment(void)
{
	Running r = run(2);

	check_str(tell(&r, "descriptors"), "fd 0\nfd 1\nfd 2\nfd 3\nfd 4\nfd 5\nfd 6\nfd 7\nfd 8\n"
					   "fd 9\nfd 10\nfd 11\nfd 12\n\n");
	check_has(tell(&r, "environment"), "env PATH=/usr/bin\narg /usr/bin/qemu-system-x86_64\n");
	check_has(tell(&r, "environment"), "\narg console=ttyS0\n");
	check(!strstr(tell(&r, "environment"), "SECRET"));
	end(&r);
}

static Launched
launch_with_tap(unsigned n_disks)
{
	int fds[BN_FD_MESSAGE_MAX];
	BnJailRequest r = request_make(n_disks, fds);
	int connection;

	request_add_tap(&r, fds, 2 + n_disks);
	connection = request_send(&r, sizeof(r), fds, 3 + n_disks);
	bn_fd_close_many(fds, BN_FD_MESSAGE_MAX);
	return reply_receive(connection);
}

/* Everything that arrives there, and nothing else. */
static int
listen_on(const char *interface)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_802_EX1));
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_802_EX1),
				       .sll_ifindex = (int)if_nametoindex(interface) };
	struct ifreq request = { .ifr_flags = IFF_UP };

	check(address.sll_ifindex > 0);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	check_int(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	check_int(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
test_t31_go_when_there_is_a_tap_then_frames_pass_and_it_stays_what_it_is(void)
{
	Running r = run_launched(launch_with_tap, 1);
	int listener = listen_on("bgr-t0a000002");
	uint8_t frame[128] = {};
	char *s;

	check_str(tell(&r, "descriptors"), "fd 0\nfd 1\nfd 2\nfd 3\nfd 4\nfd 5\nfd 6\nfd 7\nfd 8\n"
					   "fd 9\nfd 10\nfd 11\nfd 12\n\n");
	check_has(tell(&r, "environment"), "\narg tap,id=net0,fd=9,vhost=off\n");
	check_str(tell(&r, "tap"), "TUNGETIFF: yes\n"
				   "TUNSETOFFLOAD: yes\n"
				   "TUNGETVNETHDRSZ: yes\n"
				   "TUNSETVNETHDRSZ: yes\n"
				   "TUNSETVNETLE: Operation not permitted\n"
				   "TUNSETIFF: Operation not permitted\n"
				   "TUNSETPERSIST: Operation not permitted\n"
				   "TUNSETOWNER: Operation not permitted\n"
				   "TUNSETQUEUE: Operation not permitted\n"
				   "SIOCSIFHWADDR: Operation not permitted\n"
				   "look for it: Operation not permitted\n"
				   "send: yes\n\n");
	check_int(recv(listener, frame, sizeof(frame), 0), 60);
	check_int(frame[7], 'b');
	/* The tap is out here: in there is nothing but the loopback. */
	s = strdup(tell(&r, "mounts"));
	check_has(s, "    lo:");
	check(!strstr(s, "bgr-"));
	free(s);
	(void)close(listener);
	end(&r);
	/* With the VMM goes its last descriptor. */
	check_int(if_nametoindex("bgr-t0a000002"), 0);
}

static void
test_go_when_run_then_no_rights_are_left(void)
{
	Running r = run(2);
	const char *s = tell(&r, "status");
	char ids[128];

	(void)snprintf(ids, sizeof(ids),
		       "\nUid:\t%1$u\t%1$u\t%1$u\t%1$u\nGid:\t%1$u\t%1$u\t%1$u\t%1$u\n", JAIL_UID);
	check_has(s, ids);
	check_has(s, "\nGroups:\t \n");
	check_has(s,
		  "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
		  "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
		  "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n");
	check_has(s, "\nUmask:\t0077\n");
	check_has(s, "\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	check_has(s, "\nMax core file size        1                    1 ");
	check_has(s, "\nMax processes             98                   98 ");
	check_has(s, "\nMax open files            1024                 1024 ");
	check_has(s, "\nMax file size             1048576              1048576 ");
	check_has(s, "\n300\n");
	/* Child, group and session of the first process, no terminal. */
	check_has(s, "\n2 (qemu-system-x86) R 1 1 1 0 -1 ");
	end(&r);
}

static void
test_t36_go_when_run_then_sees_only_its_jail(void)
{
	static const char *const mounts[] = { " / / ro,nosuid,nodev,noexec",
					      " /usr/lib/x86_64-linux-gnu ro,nosuid,nodev,relatime",
					      " /usr/share/qemu ro,nosuid,nodev,noexec",
					      " /proc ro,nosuid,nodev,noexec",
					      " /dev ro,nosuid,noexec" };
	Running r = run(2);
	char *s = strdup(tell(&r, "mounts"));
	size_t n = 0;

	for (size_t i = 0; i < BN_ELEMENTSOF(mounts); i++)
		check_has(s, mounts[i]);
	for (const char *p = s; (p = strstr(p, " - ")); p++)
		n++;
	check_int(n, 8);
	/* One interface, the loopback, of the jail's own. */
	check_has(s, "    lo:");
	check(!strstr(strstr(s, "    lo:"), "\n  eth"));
	free(s);
	end(&r);
}

static void
test_go_when_run_then_what_is_forbidden_fails(void)
{
	static const char expected[] = "/etc/passwd: No such file or directory\n"
				       "/sys: No such file or directory\n"
				       "/root: No such file or directory\n"
				       "/bin/sh: No such file or directory\n"
				       "/run: No such file or directory\n"
				       "/usr/bin/env: No such file or directory\n"
				       "/proc/1/fd/0: No such file or directory\n"
				       "/proc/1/environ: No such file or directory\n"
				       "/proc/cpuinfo: No such file or directory\n"
				       "/dev/kvm: No such file or directory\n"
				       "/dev/mem: No such file or directory\n"
				       "create in /: Read-only file system\n"
				       "create in /dev: Read-only file system\n"
				       "read /proc/self/fd/3: yes\n"
				       "write own oom score: Read-only file system\n"
				       "write /dev/null: yes\n"
				       "read /dev/urandom: yes\n"
				       "fork: Operation not permitted\n"
				       "socket: Operation not permitted\n"
				       "ptrace: Operation not permitted\n"
				       "kill 1: Operation not permitted\n"
				       "mount: Operation not permitted\n"
				       "unshare: Operation not permitted\n"
				       "keyctl: Operation not permitted\n"
				       "setuid: Operation not permitted\n"
				       "bpf: Operation not permitted\n"
				       "io_uring: Operation not permitted\n"
				       "TIOCSTI: Operation not permitted\n"
				       "raise limit: Operation not permitted\n"
				       "lower limit: Operation not permitted\n"
				       "read limit: yes\n"
				       "huge pages: Operation not permitted\n"
				       "write disk: yes\n"
				       "grow disk: File too large\n"
				       "reserve beyond disk: Operation not permitted\n"
				       "insert into disk: Operation not permitted\n"
				       "punch disk: yes\n"
				       "fill disk: yes\n"
				       "write read-only disk: Bad file descriptor\n\n";
	Running r = run(2);

	check_str(tell(&r, "attempts"), expected);
	end(&r);
}

static void
test_t45_end_of_vmm_when_each_kind_then_reported(void)
{
	static const struct {
		const char *line;
		int signo;
		const char *text;
	} cases[] = { { "exit 0", 0, "exit 0\n" },      { "exit 1", 0, "exit 1\n" },
		      { "exit 255", 0, "exit 255\n" },  { NULL, SIGTERM, "signal 15\n" },
		      { NULL, SIGKILL, "signal 9\n" },  { NULL, SIGINT, "signal 2\n" },
		      { NULL, SIGHUP, "signal 1\n" },   { NULL, SIGQUIT, "signal 3\n" },
		      { NULL, SIGUSR1, "signal 10\n" }, { NULL, SIGUSR2, "signal 12\n" },
		      { NULL, SIGABRT, "signal 6\n" } };

	for (size_t i = 0; i < BN_ELEMENTSOF(cases); i++) {
		Running r = run(0);
		char line[32];

		if (cases[i].line) {
			(void)snprintf(line, sizeof(line), "%s\n", cases[i].line);
			check_int(bn_io_write_all(r.out[BN_JAIL_OUT_CONTROL], line, strlen(line)),
				  0);
		} else {
			check_int(
				command(r.jail.control, BN_JAIL_SIGNAL, cases[i].signo, NULL).error,
				0);
		}
		wait_end(r.jail.pidfd);
		check_str(exit_text(), cases[i].text);
		clean(&r);
	}
}

/* The first process of a pid namespace gets no signal that it does not handle. */
static void
test_t45_first_process_when_signalled_from_outside_then_vmm_gets_it(void)
{
	Running r = run(0);

	check_int((int)syscall(SYS_pidfd_send_signal, r.jail.pidfd, SIGTERM, NULL, 0), 0);
	wait_end(r.jail.pidfd);
	check_str(exit_text(), "signal 15\n");
	clean(&r);
}

static void
test_first_process_when_killed_then_vmm_is_dead(void)
{
	Running r = run(0);
	char c;

	check_int((int)syscall(SYS_pidfd_send_signal, r.jail.pidfd, SIGKILL, NULL, 0), 0);
	wait_end(r.jail.pidfd);
	check_int(read(r.out[BN_JAIL_OUT_CONTROL], &c, 1), 0);
	check_str(exit_text(), "failed\n");
	clean(&r);
}

static void
test_launcher_when_killed_then_jail_lives_and_obeys(void)
{
	Running r = run(0);
	int control;

	check_int(kill(r.launcher, SIGKILL), 0);
	check_int(waitpid(r.launcher, NULL, 0), r.launcher);
	bn_closep(&r.jail.control);
	r.launcher = launcher_start(launcher_program, NULL);
	check_has(tell(&r, "descriptors"), "fd 0\n");
	control = control_connect(JAIL_KEY);
	check(control >= 0);
	bn_fd_close_many(r.out, _BN_JAIL_OUT_MAX);
	check_int(command(control, BN_JAIL_OPEN, 0, r.out).error, 0);
	check_has(tell(&r, "descriptors"), "fd 0\n");
	check_int(command(control, BN_JAIL_SIGNAL, SIGTERM, NULL).error, 0);
	(void)close(control);
	clean(&r);
}

static void
test_open_when_old_set_is_alive_then_old_one_dies(void)
{
	Running r = run(0);
	int old[_BN_JAIL_OUT_MAX];
	char c;

	memcpy(old, r.out, sizeof(old));
	check_int(command(r.jail.control, BN_JAIL_OPEN, 0, r.out).error, 0);
	for (size_t i = 0; i < _BN_JAIL_OUT_MAX; i++) {
		ssize_t n;

		while ((n = read(old[i], &c, 1)) > 0)
			;
		check_int(n, 0);
	}
	bn_fd_close_many(old, _BN_JAIL_OUT_MAX);
	(void)read_until(r.out[BN_JAIL_OUT_AGENT], "agent\n");
	check_has(tell(&r, "stderr"), "done\n");
	(void)read_until(r.out[BN_JAIL_OUT_CONSOLE], "an error\n");
	end(&r);
}

static void
test_set_when_console_is_closed_then_the_others_end(void)
{
	Running r = run(0);
	char c;

	bn_closep(&r.out[BN_JAIL_OUT_CONSOLE]);
	check_int(read(r.out[BN_JAIL_OUT_AGENT], &c, 1), 0);
	check_int(read(r.out[BN_JAIL_OUT_CONTROL], &c, 1), 0);
	end(&r);
}

static void
test_console_when_nobody_reads_then_last_bytes_are_kept(void)
{
	Running r = run(0);
	const char *all;
	size_t n;

	/* More than ring and socket together hold. */
	check_has(tell(&r, "console 900"), "done\n");
	check_has(tell(&r, "mark"), "done\n");
	all = read_until(r.out[BN_JAIL_OUT_CONSOLE], "the mark\n");
	n = strlen(all) - strlen("the mark\n");
	check(n > BN_CONSOLE_RING && n < 900 * 1000);
	for (size_t i = 0; i < BN_CONSOLE_RING - 9; i++)
		check_int(all[n - 1 - i], 'a' + (899 - (int)i / 1000) % 26);
	/* What came first went into the socket when it was empty: it is still the beginning. */
	check_int(all[0], 'a');
	end(&r);
}

static void
test_console_when_written_then_vmm_reads_it(void)
{
	Running r = run(0);

	check_int(bn_io_write_all(r.out[BN_JAIL_OUT_CONSOLE], "hello\n", 6), 0);
	check_has(tell(&r, "echo"), "console said hello\n");
	end(&r);
}

static void
test_console_when_vmm_hears_nothing_then_what_is_written_is_lost(void)
{
	static const char much[4 * BN_CONSOLE_RING];
	Running r = run(0);

	check_has(tell(&r, "deaf"), "deaf: yes\n");
	/* Else this waits for ever. */
	check_int(bn_io_write_all(r.out[BN_JAIL_OUT_CONSOLE], much, sizeof(much)), 0);
	check_has(tell(&r, "stderr"), "done\n");
	(void)read_until(r.out[BN_JAIL_OUT_CONSOLE], "an error\n");
	end(&r);
}

static void
test_console_when_vmm_ends_then_its_last_words_arrive(void)
{
	Running r = run(0);

	check_int(bn_io_write_all(r.out[BN_JAIL_OUT_CONTROL], "exit 1 loud\n", 12), 0);
	(void)read_until(r.out[BN_JAIL_OUT_CONSOLE], "last words\n");
	clean(&r);
}

static Running
launch_only(void)
{
	Running r = { .launcher = launcher_start(launcher_program, NULL), .out = { -1, -1, -1 } };

	r.jail = launch(0);
	check_int(r.jail.reply.error, 0);
	return r;
}

static void
test_command_when_before_go_then_refused(void)
{
	Running r = launch_only();

	check_int(command(r.jail.control, BN_JAIL_OPEN, 0, NULL).error, -ENOTCONN);
	check_int(command(r.jail.control, BN_JAIL_SIGNAL, SIGTERM, NULL).error, -ENOTCONN);
	check_int(command(r.jail.control, BN_JAIL_GO, 0, r.out).error, 0);
	check_int(command(r.jail.control, BN_JAIL_GO, 0, NULL).error, -EALREADY);
	end(&r);
}

static void
test_jail_when_nobody_says_go_then_ends(void)
{
	Running r = launch_only();

	bn_closep(&r.jail.control);
	wait_end(r.jail.pidfd);
	check_str(exit_text(), "failed\n");
	clean(&r);
	r = launch_only();
	check_int((int)syscall(SYS_pidfd_send_signal, r.jail.pidfd, SIGTERM, NULL, 0), 0);
	wait_end(r.jail.pidfd);
	check_str(exit_text(), "failed\n");
	clean(&r);
	r = launch_only();
	end(&r);
}

/* Lays another file over the VMM's program, and the step that must refuse it. */
static void
check_program_refused(mode_t mode, bool at_launch, int error, const char *step)
{
	Running r = { .launcher = launcher_start(launcher_program, NULL), .out = { -1, -1, -1 } };
	int fd = open("/run/program", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	BnJailAnswer a;

	check(fd >= 0 && write(fd, "nothing", 7) == 7 && fchmod(fd, mode) == 0);
	(void)close(fd);
	check_int(mount("/run/program", "/usr/bin/qemu-system-x86_64", NULL, MS_BIND, NULL), 0);
	r.jail = launch(0);
	if (at_launch) {
		check_int(r.jail.reply.error, error);
		check_str(r.jail.reply.text, step);
	} else {
		a = command(r.jail.control, BN_JAIL_GO, 0, NULL);
		check_int(a.error, error);
		check_str(a.text, step);
		wait_end(r.jail.pidfd);
		check_str(exit_text(), "failed\n");
		check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY), 0);
		check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY ".exit"), 0);
	}
	close_running(&r);
	check_int(umount("/usr/bin/qemu-system-x86_64"), 0);
	check_nothing_left(r.launcher);
}

static void
test_program_when_it_does_not_run_then_go_says_why(void)
{
	check_program_refused(0644, false, -EACCES, "execute");
	check_program_refused(0755, false, -ENOEXEC, "execute");
}

static void
test_t25_program_when_others_may_write_it_then_no_jail(void)
{
	check_program_refused(0775, true, -EPERM, "check programs");
	check_program_refused(0757, true, -EPERM, "check programs");
}

static void
test_launch_when_key_lives_then_refused_and_untouched(void)
{
	Running r = run(0);
	Launched second = launch(0);

	check_int(second.reply.error, -EEXIST);
	check_has(tell(&r, "descriptors"), "fd 0\n");
	end(&r);
}

static void
test_launch_when_files_are_stale_then_replaced(void)
{
	Running r = run(0);

	check_int((int)syscall(SYS_pidfd_send_signal, r.jail.pidfd, SIGKILL, NULL, 0), 0);
	wait_end(r.jail.pidfd);
	close_running(&r);
	launcher_stop(r.launcher);
	r = run(0);
	end(&r);
}

static void
test_launch_when_two_at_once_then_both_run(void)
{
	static const char other[] = "4294967294-ffffffffffffffffffffffffffffffff";
	Running a = run(1), b = { .launcher = a.launcher };
	int fds[BN_FD_MESSAGE_MAX], silent = control_connect("socket");
	BnJailRequest request = request_make(1, fds);

	/* One that connects and says nothing hinders nobody. */
	(void)strcpy(request.key, other);
	request.jail_uid = JAIL_UID + 1;
	b.jail = reply_receive(request_send(&request, sizeof(request), fds, 3));
	bn_fd_close_many(fds, BN_FD_MESSAGE_MAX);
	check_int(b.jail.reply.error, 0);
	check_int(command(b.jail.control, BN_JAIL_GO, 0, b.out).error, 0);
	check_has(tell(&a, "status"), "\nUid:\t2013265920\t");
	check_has(tell(&b, "status"), "\nUid:\t2013265921\t");
	check_int(command(b.jail.control, BN_JAIL_END, 0, NULL).error, 0);
	wait_end(b.jail.pidfd);
	close_running(&b);
	check_int(unlink(BN_JAIL_RUN_DIR "/4294967294-ffffffffffffffffffffffffffffffff"), 0);
	check_int(unlink(BN_JAIL_RUN_DIR "/4294967294-ffffffffffffffffffffffffffffffff.exit"), 0);
	(void)close(silent);
	end(&a);
}

static void
test_probe_when_asked_then_verdict_with_reason_and_nothing_left(void)
{
	BnJailRequest request = { .magic = BN_JAIL_WIRE_MAGIC,
				  .verb = BN_JAIL_PROBE,
				  .jail_uid = JAIL_UID };
	pid_t launcher = launcher_start(launcher_program, NULL);
	int connection = request_send(&request, sizeof(request), NULL, 0);
	BnJailReply reply;

	check_int(bn_fd_receive(connection, &reply, sizeof(reply), NULL, 0, NULL), sizeof(reply));
	check_int(reply.error, 0);
	check(reply.usable <= 1);
	check(strstr(reply.text, "ns per instruction") || !reply.proven);
	check(reply.proven || !reply.usable);
	printf("# kvm %s: %s\n", reply.usable ? "usable" : "unusable", reply.text);
	(void)close(connection);
	check_nothing_left(launcher);
}

/* As its socket unit starts it, and away again while its jail lives on. */
static void
test_launcher_when_socket_activated_then_exits_idle_and_jail_stays(void)
{
	Running r = { .out = { -1, -1, -1 } };
	int fds[BN_FD_MESSAGE_MAX], connection, status;
	BnJailRequest request;

	(void)unlink(BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET);
	r.launcher = fork();
	check(r.launcher >= 0);
	if (r.launcher == 0) {
		(void)execlp("systemd-socket-activate", "systemd-socket-activate", "--seqpacket",
			     "-l", BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET, launcher_program,
			     "--idle-exit=0", NULL);
		_exit(127);
	}
	/* One connection only: it is what activates, and nobody else is there to be served. */
	do
		connection = control_connect("socket");
	while (connection < 0);
	request = request_make(0, fds);
	check_int(bn_fd_send(connection, &request, sizeof(request), fds, 2), 0);
	bn_fd_close_many(fds, BN_FD_MESSAGE_MAX);
	r.jail = reply_receive(connection);
	check_int(r.jail.reply.error, 0);
	check_int(waitpid(r.launcher, &status, 0), r.launcher);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	r.launcher = launcher_start(launcher_program, NULL);
	check_int(command(r.jail.control, BN_JAIL_GO, 0, r.out).error, 0);
	check_has(tell(&r, "descriptors"), "fd 0\n");
	end(&r);
}

int
main(int argc, char **argv)
{
	static const Test tests[] = {
		TEST(test_t35_go_when_run_then_exactly_these_descriptors_and_this_environment),
		TEST(test_t31_go_when_there_is_a_tap_then_frames_pass_and_it_stays_what_it_is),
		TEST(test_go_when_run_then_no_rights_are_left),
		TEST(test_t36_go_when_run_then_sees_only_its_jail),
		TEST(test_go_when_run_then_what_is_forbidden_fails),
		TEST(test_t45_end_of_vmm_when_each_kind_then_reported),
		TEST(test_t45_first_process_when_signalled_from_outside_then_vmm_gets_it),
		TEST(test_first_process_when_killed_then_vmm_is_dead),
		TEST(test_launcher_when_killed_then_jail_lives_and_obeys),
		TEST(test_open_when_old_set_is_alive_then_old_one_dies),
		TEST(test_set_when_console_is_closed_then_the_others_end),
		TEST(test_console_when_nobody_reads_then_last_bytes_are_kept),
		TEST(test_console_when_written_then_vmm_reads_it),
		TEST(test_console_when_vmm_hears_nothing_then_what_is_written_is_lost),
		TEST(test_console_when_vmm_ends_then_its_last_words_arrive),
		TEST(test_command_when_before_go_then_refused),
		TEST(test_jail_when_nobody_says_go_then_ends),
		TEST(test_program_when_it_does_not_run_then_go_says_why),
		TEST(test_t25_program_when_others_may_write_it_then_no_jail),
		TEST(test_launch_when_key_lives_then_refused_and_untouched),
		TEST(test_launch_when_files_are_stale_then_replaced),
		TEST(test_launch_when_two_at_once_then_both_run),
		TEST(test_probe_when_asked_then_verdict_with_reason_and_nothing_left),
		TEST(test_launcher_when_socket_activated_then_exits_idle_and_jail_stays),
	};

	world_begin(argc, argv);
	return test_run_all(tests, BN_ELEMENTSOF(tests));
}
