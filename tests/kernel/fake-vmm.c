/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lies where the VMM's program lies, in the jail's tests only: says what it sees, does what it is
 * told.
 *
 *  * One command per line on the control socket; each answer ends in an empty line. Static, so
 * that it needs nothing of the jail. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static FILE *out;

static void
copy_file(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		fprintf(out, "%s: %s\n", path, strerror(errno));
	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, (size_t)n, out);
	if (fd >= 0)
		(void)close(fd);
}

static void
say_environment(char **argv)
{
	for (char **e = environ; *e; e++)
		fprintf(out, "env %s\n", *e);
	for (char **a = argv; *a; a++)
		fprintf(out, "arg %s\n", *a);
}

static void
say_descriptors(char **argv)
{
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0 && fd != fileno(out))
			fprintf(out, "fd %d\n", fd);
}

static void
say_status(char **argv)
{
	copy_file("/proc/self/status");
	copy_file("/proc/self/limits");
	copy_file("/proc/self/oom_score_adj");
	copy_file("/proc/self/stat");
}

static void
say_mounts(char **argv)
{
	copy_file("/proc/self/mountinfo");
	copy_file("/proc/self/net/dev");
}

static void
say_result(const char *what, long r)
{
	fprintf(out, "%s: %s\n", what, r < 0 ? strerror(errno) : "yes");
}

/* What must not work, each said with the error it gets. */
static void
say_attempts(char **argv)
{
	static const char *const paths[] = {
		"/etc/passwd",   "/sys",         "/root",        "/bin/sh",
		"/run",          "/usr/bin/env", "/proc/1/fd/0", "/proc/1/environ",
		"/proc/cpuinfo", "/dev/kvm",     "/dev/mem"
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		say_result(paths[i], open(paths[i], O_RDONLY));
	say_result("create in /", open("/x", O_CREAT | O_WRONLY, 0600));
	say_result("create in /dev", open("/dev/x", O_CREAT | O_WRONLY, 0600));
	say_result("read /proc/self/fd/3", open("/proc/self/fd/3", O_RDONLY));
	say_result("write own oom score", open("/proc/self/oom_score_adj", O_WRONLY));
	say_result("write /dev/null", open("/dev/null", O_WRONLY));
	say_result("read /dev/urandom", open("/dev/urandom", O_RDONLY));
	say_result("fork", fork());
	say_result("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	say_result("ptrace", syscall(SYS_ptrace, 16, 1, 0, 0));
	say_result("kill 1", kill(1, SIGTERM));
	say_result("mount", syscall(SYS_mount, "x", "/", "tmpfs", 0, 0));
	say_result("unshare", syscall(SYS_unshare, 0x10000000));
	say_result("keyctl", syscall(SYS_keyctl, 0, -3, 0));
	say_result("setuid", syscall(SYS_setuid, 0));
	say_result("bpf", syscall(SYS_bpf, 0, 0, 0));
	say_result("io_uring", syscall(SYS_io_uring_setup, 1, 0));
	say_result("TIOCSTI", ioctl(0, TIOCSTI, "x"));
	say_result("raise limit",
		   setrlimit(RLIMIT_NPROC, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }));
	say_result("lower limit", setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
	say_result("read limit", getrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
	say_result("huge pages",
		   mmap(NULL, 1 << 21, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1,
			0) == MAP_FAILED
			   ? -1
			   : 0);
	/* The writable disk is descriptor 9 where there is one; SIGXFSZ would end us. */
	(void)signal(SIGXFSZ, SIG_IGN);
	say_result("write disk", pwrite(9, "x", 1, 0));
	say_result("grow disk", pwrite(9, "x", 1, 1 << 20));
	/* No limit on a file's size holds these back. */
	say_result("reserve beyond disk",
		   syscall(SYS_fallocate, 9, FALLOC_FL_KEEP_SIZE, 0, 1 << 21));
	say_result("insert into disk", syscall(SYS_fallocate, 9, FALLOC_FL_INSERT_RANGE, 0, 4096));
	/* What QEMU does where a guest discards or zeroes. */
	say_result("punch disk",
		   syscall(SYS_fallocate, 9, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	say_result("fill disk", syscall(SYS_fallocate, 9, 0, 0, 4096));
	say_result("write read-only disk", pwrite(8, "x", 1, 0));
}

/* Behind one disk: what a VMM has to do to its tap, and what it must not. A frame behind a header of virtio's, to
 * everybody, of a protocol for experiments. */
static void
act_tap(char **argv)
{
	static char frame[10 + 60] =
		"\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\2b\12\0\0\2\x88\xb5";
	struct ifreq request = {};
	int size = 0, one = 1;

	say_result("TUNGETIFF", ioctl(9, TUNGETIFF, &request));
	say_result("TUNSETOFFLOAD", ioctl(9, TUNSETOFFLOAD, TUN_F_CSUM));
	say_result("TUNGETVNETHDRSZ", ioctl(9, TUNGETVNETHDRSZ, &size));
	say_result("TUNSETVNETHDRSZ", ioctl(9, TUNSETVNETHDRSZ, &size));
	say_result("TUNSETVNETLE", ioctl(9, TUNSETVNETLE, &one));
	say_result("TUNSETIFF", ioctl(9, TUNSETIFF, &request));
	say_result("TUNSETPERSIST", ioctl(9, TUNSETPERSIST, 1));
	say_result("TUNSETOWNER", ioctl(9, TUNSETOWNER, getuid()));
	say_result("TUNSETQUEUE", ioctl(9, TUNSETQUEUE, &request));
	say_result("SIOCSIFHWADDR", ioctl(9, SIOCSIFHWADDR, &request));
	say_result("look for it", ioctl(9, SIOCGIFFLAGS, &request));
	say_result("send", write(9, frame, sizeof(frame)));
}

static void
act_console(char **argv)
{
	static char block[1000];
	int n = atoi(argv[1]);

	/* The first kilobyte carries one letter, the next another: what is left says what was
	 * dropped. */
	for (int i = 0; i < n; i++) {
		memset(block, 'a' + i % 26, sizeof(block));
		for (size_t done = 0; done < sizeof(block);) {
			ssize_t k = write(10, block + done, sizeof(block) - done);
			if (k < 0)
				exit(99);
			done += (size_t)k;
		}
	}
	fprintf(out, "done\n");
}

/* Behind what was written there before: what goes to standard error may come by another way. */
static void
act_mark(char **argv)
{
	if (write(10, "the mark\n", 9) == 9)
		fprintf(out, "done\n");
}

static void
act_echo(char **argv)
{
	char text[64] = "";
	size_t n = 0;

	while (n < sizeof(text) - 1 && read(10, text + n, 1) == 1 && text[n++] != '\n')
		;
	fprintf(out, "console said %s", text);
}

static void
act_stderr(char **argv)
{
	if (write(2, "an error\n", 9) == 9)
		fprintf(out, "done\n");
}

static void
act_deaf(char **argv)
{
	say_result("deaf", shutdown(10, SHUT_RD));
}

static void
act_nothing(char **argv)
{
	fprintf(out, "nothing\n");
}

static void
act_exit(char **argv)
{
	if (argv[2])
		(void)write(2, "last words\n", 11);
	_exit(atoi(argv[1]));
}

static const struct {
	const char *name;
	void (*run)(char **argv);
} commands[] = {
	{ "descriptors", say_descriptors },
	{ "status", say_status },
	{ "mounts", say_mounts },
	{ "attempts", say_attempts },
	{ "tap", act_tap },
	{ "console", act_console },
	{ "echo", act_echo },
	{ "stderr", act_stderr },
	{ "exit", act_exit },
	{ "nothing", act_nothing },
	{ "deaf", act_deaf },
	{ "mark", act_mark },
};

static void
obey(char *line, char **our_argv)
{
	char *argv[4] = {};
	size_t n = 0;

	for (char *word = strtok(line, " \n"); word && n < 3; word = strtok(NULL, " \n"))
		argv[n++] = word;
	if (n > 0 && strcmp(argv[0], "environment") == 0)
		say_environment(our_argv);
	for (size_t i = 0; n > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			commands[i].run(argv);
	fprintf(out, "\n");
	fflush(out);
}

/* Serves as QEMU does: one client at a time, and the next when it is gone. */
int
main(int argc, char **argv)
{
	char line[256];

	(void)setvbuf(stderr, NULL, _IONBF, 0);
	/* The console's connection stays; at 10, or wherever the test's disks end. */
	if (dup2(accept(7, NULL, NULL), 10) < 0)
		return 98;
	for (;;) {
		int agent = accept(5, NULL, NULL), control = accept(6, NULL, NULL);
		FILE *in;

		if (agent < 0 || control < 0)
			return 97;
		(void)write(agent, "agent\n", 6);
		in = fdopen(control, "r");
		out = fdopen(dup(control), "w");
		while (in && out && fgets(line, sizeof(line), in))
			obey(line, argv);
		if (in)
			(void)fclose(in);
		if (out)
			(void)fclose(out);
		(void)close(agent);
	}
}
