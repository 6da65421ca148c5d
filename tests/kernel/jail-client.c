/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail-client.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "shared/rules/vmm-argv.h"
#include "test.h"

void (*launcher_before_exec)(void);
static size_t mounts_before;

static size_t
count_mounts(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t n = 0;
	int c;

	check(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	return n;
}

static void
world_enter(const char *vmm)
{
	pid_t pid;
	int status;

	check_int(geteuid(), 0);
	check_int(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET), 0);
	pid = fork();
	check(pid >= 0);
	if (pid > 0) {
		/* Everything in the namespace dies with its first process. */
		check(waitpid(pid, &status, 0) == pid);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	check_int(prctl(PR_SET_PDEATHSIG, SIGKILL), 0);
	check_int(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	check_int(mount("proc", "/proc", "proc", 0, NULL), 0);
	check_int(mount("run", "/run", "tmpfs", 0, "mode=0755"), 0);
	check_int(mount(vmm, BN_VMM_QEMU, NULL, MS_BIND, NULL), 0);
	check_int(mkdir(BN_JAIL_RUN_DIR, 0700), 0);
	/* What a jail must not see, do or pass on. */
	check_int(setenv("BANGER_SECRET", "environment", 1), 0);
	mounts_before = count_mounts();
}

pid_t
launcher_start(const char *program, const char *const *options)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
				       .sun_path = BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	const char *argv[8] = { program };
	char text[32];
	pid_t pid;

	for (size_t i = 0; options && options[i]; i++)
		argv[i + 1] = options[i];
	(void)unlink(BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET);
	check(fd >= 0);
	check_int(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	/* Its permissions let anybody in, so that what refuses others is what we test. */
	check_int(chmod(BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET, 0666), 0);
	check_int(listen(fd, 16), 0);
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		if (fd != 3)
			check_int(dup2(fd, 3), 3);
		(void)snprintf(text, sizeof(text), "%d", getpid());
		(void)setenv("LISTEN_PID", text, 1);
		(void)setenv("LISTEN_FDS", "1", 1);
		if (launcher_before_exec)
			launcher_before_exec();
		(void)execv(program, (char **)argv);
		_exit(127);
	}
	(void)close(fd);
	return pid;
}

void
launcher_stop(pid_t pid)
{
	int status;

	check_int(kill(pid, SIGTERM), 0);
	check_int(waitpid(pid, &status, 0), pid);
	/* One that was never asked for anything may not have come to handle the signal yet. */
	check(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGTERM);
}

static int
file_with(const char *text, size_t size)
{
	int fd = bn_fd_memfd_new("test", text, strlen(text));
	char path[64];

	check(fd >= 0);
	if (size == 0)
		return fd;
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "/run/disk-%s", text);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check(fd >= 0);
	check_int(ftruncate(fd, (off_t)size), 0);
	return fd;
}

BnJailRequest
request_make(unsigned n_disks, int fds[static BN_FD_MESSAGE_MAX])
{
	BnJailRequest r = { .magic = BN_JAIL_WIRE_MAGIC,
			    .verb = BN_JAIL_LAUNCH,
			    .jail_uid = JAIL_UID,
			    .key = JAIL_KEY,
			    .spec = { .vcpus = 2,
				      .n_disks = n_disks,
				      .memory_bytes = 256 * BN_MIB,
				      .cmdline = "console=ttyS0" } };

	memset(fds, -1, sizeof(int) * BN_FD_MESSAGE_MAX);
	fds[0] = file_with("kernel", 0);
	fds[1] = file_with("initramfs", 0);
	for (unsigned i = 0; i < n_disks; i++) {
		char name[2] = { (char)('a' + i), '\0' };

		fds[2 + i] = file_with(name, BN_MIB);
		r.spec.disk_read_only[i] = i == 0;
	}
	if (n_disks > 0) {
		(void)close(fds[2]);
		fds[2] = open("/run/disk-a", O_RDONLY | O_CLOEXEC);
		check(fds[2] >= 0);
	}
	return r;
}

int
tap_open(const char *name, int flags)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = (short)flags };

	check(fd >= 0);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	check_int(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

void
request_add_tap(BnJailRequest *request, int *fds, size_t n_fds)
{
	static uint32_t address = TAP_ADDRESS_FIRST;
	char name[BN_LINK_NAME_SIZE];

	bn_net_tap_name(address, name);
	fds[n_fds] = tap_open(name, TAP_FLAGS);
	request->spec.network = 1;
	bn_net_mac(address++, request->spec.mac);
}

static int
connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	check(fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return bn_errno();
	return BN_TAKE_FD(fd);
}

int
request_connect(void)
{
	int fd = connect_to(BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET);

	check(fd >= 0);
	return fd;
}

int
request_send(const void *data, size_t size, const int *fds, size_t n_fds)
{
	int fd = request_connect();

	check_int(bn_fd_send(fd, data, size, fds, n_fds), 0);
	return fd;
}

Launched
reply_receive(int connection)
{
	Launched l = { .pidfd = -1, .control = -1 };
	int fds[2] = { -1, -1 };
	size_t n = 0;

	check_int(bn_fd_receive(connection, &l.reply, sizeof(l.reply), fds, 2, &n),
		  sizeof(l.reply));
	(void)close(connection);
	check_int(n, l.reply.error == 0 && l.reply.text[0] == '\0' ? 2 : 0);
	l.pidfd = fds[0];
	l.control = fds[1];
	return l;
}

Launched
launch(unsigned n_disks)
{
	int fds[BN_FD_MESSAGE_MAX];
	BnJailRequest r = request_make(n_disks, fds);
	int connection = request_send(&r, sizeof(r), fds, 2 + n_disks);

	bn_fd_close_many(fds, BN_FD_MESSAGE_MAX);
	return reply_receive(connection);
}

BnJailAnswer
command(int control, unsigned verb, int signo, int *ret_fds)
{
	BnJailCommand c = { BN_JAIL_WIRE_MAGIC, verb, signo };
	int fds[_BN_JAIL_OUT_MAX] = { -1, -1, -1 };
	BnJailAnswer a;
	size_t n = 0;

	check_int(bn_fd_send(control, &c, sizeof(c), NULL, 0), 0);
	check_int(bn_fd_receive(control, &a, sizeof(a), fds, _BN_JAIL_OUT_MAX, &n), sizeof(a));
	check_int(n, ret_fds && a.error == 0 ? 3 : 0);
	if (ret_fds)
		memcpy(ret_fds, fds, sizeof(fds));
	return a;
}

int
control_connect(const char *key)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", BN_JAIL_RUN_DIR, key);
	return connect_to(path);
}

void
wait_end(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	check_int(poll(&p, 1, -1), 1);
}

const char *
exit_text(void)
{
	static char *text;

	free(text);
	text = NULL;
	check_int(bn_io_read_file(AT_FDCWD, BN_JAIL_RUN_DIR "/" JAIL_KEY ".exit", 64, &text, NULL),
		  0);
	return text;
}

static size_t
count_processes(void)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	size_t n = 0;

	check(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] >= '0' && e->d_name[0] <= '9';
	return n;
}

void
check_nothing_left(pid_t launcher)
{
	_cleanup_closedir_ DIR *d = opendir(BN_JAIL_RUN_DIR);

	launcher_stop(launcher);
	check(d);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			check_str(e->d_name, "socket");
	/* What is left over now would keep us here for ever: the alarm makes a failure of it. */
	(void)alarm(30);
	while (waitpid(-1, NULL, 0) > 0)
		;
	(void)alarm(0);
	check_int(count_processes(), 1);
	check_int(count_mounts(), mounts_before);
}

const char *
read_until(int fd, const char *text)
{
	static char all[BN_MIB];
	size_t n = 0;

	for (;;) {
		ssize_t k = read(fd, all + n, sizeof(all) - n - 1);

		all[n + (k > 0 ? (size_t)k : 0)] = '\0';
		if (k > 0 && strstr(all + (n > 64 ? n - 64 : 0), text))
			return all;
		if (k <= 0)
			fprintf(stderr, "ended before \"%s\", after: %s\n", text, all);
		check(k > 0);
		n += (size_t)k;
	}
}

const char *
ask(int fd, const char *line)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s\n", line);
	check_int(bn_io_write_all(fd, text, strlen(text)), 0);
	return read_until(fd, "\n\n");
}

const char *launcher_program;

void
world_begin(int argc, char **argv)
{
	check_int(argc, 3);
	launcher_program = argv[1];
	world_enter(argv[2]);
}
