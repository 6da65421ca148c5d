/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other processes: the jail's first one, which has our uid, and whoever is outside. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hostile.h"

/* Since Linux 6.5, and not in all headers. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
#define SCM_PIDFD_TYPE 4

static void
try_signals(void)
{
	unsigned reached = 0;

	say("kill the first process", syscall(SYS_kill, 1, SIGKILL));
	say("kill everybody", syscall(SYS_kill, -1, SIGKILL));
	say("tkill the first process", syscall(SYS_tkill, 1, SIGKILL));
	say("queue a signal for the first process", syscall(SYS_rt_sigqueueinfo, 1, SIGKILL, NULL));
	/* The kernel takes these and does nothing: nobody in a pid namespace kills or stops its first process. */
	say("tgkill KILL to the first process", syscall(SYS_tgkill, 1, 1, SIGKILL));
	say("tgkill STOP to the first process", syscall(SYS_tgkill, 1, 1, SIGSTOP));
	say("tgkill SEGV to the first process", syscall(SYS_tgkill, 1, 1, SIGSEGV));
	for (int pid = 2; pid < 70000; pid++)
		reached += pid != getpid() && syscall(SYS_tgkill, pid, pid, 0) == 0;
	fprintf(channels.out, "processes reached by number: %u\n", reached);
}

/* The kernel sends a signal of one's choice to a process of one's choice when a descriptor becomes ready. */
static void
try_owner(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	say("have a pipe kill the first process",
	    fcntl(ends[0], F_SETOWN, 1) < 0 || fcntl(ends[0], F_SETSIG, SIGKILL) < 0 ||
			    fcntl(ends[0], F_SETFL, O_ASYNC) < 0 || write(ends[1], "x", 1) < 0
		    ? -1
		    : 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
try_insides(void)
{
	char byte = 0;
	struct iovec ours = { &byte, 1 }, theirs = { (void *)0x10000, 1 };
	void *head;
	size_t size;

	say("ptrace attach", syscall(SYS_ptrace, 16, 1, NULL, NULL));
	say("ptrace seize", syscall(SYS_ptrace, 0x4206, 1, NULL, NULL));
	say("ptrace me", syscall(SYS_ptrace, 0, 0, NULL, NULL));
	say("read its memory", syscall(SYS_process_vm_readv, 1, &ours, 1, &theirs, 1, 0));
	say("write its memory", syscall(SYS_process_vm_writev, 1, &ours, 1, &theirs, 1, 0));
	say("compare with it", syscall(SYS_kcmp, 1, getpid(), 0, 0, 0));
	say("look at its locks", syscall(SYS_get_robust_list, 1, &head, &size));
	say("read its limits", syscall(SYS_prlimit64, 1, 7, NULL, &(uint64_t[2]){}));
	say("set its limits", syscall(SYS_prlimit64, 1, 7, &(uint64_t[2]){}, NULL));
	say("set its priority", syscall(SYS_setpriority, 0, 1, 19));
	say("set its scheduler", syscall(SYS_sched_setscheduler, 1, 3, &(int){ 0 }));
	say("set its processors", syscall(SYS_sched_setaffinity, 1, 8, &(uint64_t){ 1 }));
	say("set its I/O priority", syscall(SYS_ioprio_set, 1, 1, 0x6000));
	say("move its pages", syscall(SYS_move_pages, 1, 0L, NULL, NULL, NULL, 0));
	say("advise it", syscall(SYS_process_madvise, -1, &theirs, 1L, 20, 0));
	say("wait for it", syscall(SYS_wait4, 1, NULL, 1, NULL));
	say("its session", syscall(SYS_getsid, 1));
	say("leave the session", syscall(SYS_setsid));
	say("handle of the first process", syscall(SYS_pidfd_open, 1, 0));
}

static void
try_new(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	say("fork", syscall(SYS_fork));
	say("vfork", syscall(SYS_vfork));
	say("clone", syscall(SYS_clone, SIGCHLD, 0L, NULL, NULL, 0L));
	say("clone3", syscall(SYS_clone3, &args, sizeof(args)));
	say("unshare users", syscall(SYS_unshare, CLONE_NEWUSER));
	say("unshare mounts", syscall(SYS_unshare, CLONE_NEWNS));
	say("unshare files", syscall(SYS_unshare, CLONE_FILES));
}

static void
try_namespaces(void)
{
	static const char *const names[] = { "user", "mnt", "pid",    "net",
					     "ipc",  "uts", "cgroup", "time" };
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		say_of("enter", path, syscall(SYS_setns, fd, 0));
		/* NS_GET_PARENT and NS_GET_USERNS */
		say_of("parent of", path, syscall(SYS_ioctl, fd, 0xb702, 0));
		say_of("owner of", path, syscall(SYS_ioctl, fd, 0xb701, 0));
		if (fd >= 0)
			(void)close(fd);
	}
}

void
try_processes(char **argv)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && atoi(e->d_name) != getpid())
			fprintf(channels.out, "sees process %s: yes\n", e->d_name);
	if (d)
		(void)closedir(d);
	try_signals();
	try_owner();
	try_insides();
	try_new();
	try_namespaces();
}

/* What a handle of a process is good for in here, and its number as we see it. */
static void
use_pidfd(const char *whose, int pidfd)
{
	char path[64], text[512] = "", *pid;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		say_of("look at", path, -1);
	pid = strstr(text, "\nPid:");
	fprintf(channels.out, "number of %s: %d\n", whose, pid ? atoi(pid + 5) : -2);
	say_of("signal by handle", whose, syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
	say_of("take a descriptor of", whose, syscall(SYS_pidfd_getfd, pidfd, 0, 0));
	say_of("enter namespaces of", whose, syscall(SYS_setns, pidfd, CLONE_NEWNS));
	say_of("namespace of", whose, syscall(SYS_ioctl, pidfd, 0xff03, 0));
	say_of("reap the memory of", whose, syscall(SYS_process_mrelease, pidfd, 0));
	if (fd >= 0)
		(void)close(fd);
}

/* From now on, as who writes must be known before. */
void
try_want(char **argv)
{
	say("handles wanted",
	    setsockopt(channels.agent, SOL_SOCKET, SO_PASSPIDFD, &(int){ 1 }, sizeof(int)));
}

/* A connection gives handles of the processes behind it, in newer kernels: of who made it, and of who writes to it. */
void
try_handles(char **argv)
{
	char byte, control[256];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int pidfd = -1, r;
	socklen_t size = sizeof(pidfd);

	r = getsockopt(channels.agent, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size);
	say("handles by a connection", r);
	if (r < 0)
		return;
	use_pidfd("the first process", pidfd);
	if (recvmsg(channels.agent, &msg, 0) < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_PIDFD_TYPE) {
			memcpy(&pidfd, CMSG_DATA(c), sizeof(pidfd));
			use_pidfd("who writes", pidfd);
		}
}
