/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As much of everything as can be had, and connections to where there are none. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

#define MANY        4096
#define MEMORY_STEP (64L << 20)
/* SCM_MAX_FD */
#define PASSED 253

static sem_t stop;

static void *
wait_for_stop(void *data)
{
	(void)sem_wait(&stop);
	return NULL;
}

/* All of them at once, and away again. */
static void
try_threads(void)
{
	static pthread_t threads[MANY];
	int n = 0, error = 0;

	(void)sem_init(&stop, 0, 0);
	while (n < MANY && error == 0) {
		error = pthread_create(&threads[n], NULL, wait_for_stop, NULL);
		n += error == 0;
	}
	fprintf(channels.out, "threads: %d, then %s\n", n, strerrorname_np(error));
	for (int i = 0; i < n; i++)
		(void)sem_post(&stop);
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
}

static void
try_descriptors(void)
{
	int first = dup(STDIN_FILENO), last = first, fd;

	while (last < MANY && (fd = dup(STDIN_FILENO)) >= 0)
		last = fd;
	fprintf(channels.out, "highest descriptor: %d, then %s\n", last, strerrorname_np(errno));
	for (int i = first; i <= last; i++)
		(void)close(i);
}

static void
try_timers(void)
{
	timer_t timers[MANY];
	int n = 0;

	while (n < MANY && timer_create(CLOCK_MONOTONIC, NULL, &timers[n]) == 0)
		n++;
	fprintf(channels.out, "timers: %d, then %s\n", n, strerrorname_np(errno));
	for (int i = 0; i < n; i++)
		(void)timer_delete(timers[i]);
}

/* Address space only: nothing of it is touched. */
static void
try_memory(void)
{
	void *maps[MANY];
	int n = 0;

	while (n < MANY &&
	       (maps[n] = mmap(NULL, MEMORY_STEP, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) != MAP_FAILED)
		n++;
	fprintf(channels.out, "memory: %s, then %s\n", n < 128 ? "bounded" : "unbounded",
		strerrorname_np(errno));
	for (int i = 0; i < n; i++)
		(void)munmap(maps[i], MEMORY_STEP);
}

void
try_resources(char **argv)
{
	try_threads();
	try_descriptors();
	try_timers();
	try_memory();
}

static void
try_families(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET };
	unsigned n = 0;

	for (int family = 0; family < 64; family++)
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			n += syscall(SYS_socket, family, types[i], 0) >= 0 || errno != EPERM;
	fprintf(channels.out, "sockets had: %u\n", n);
}

/* One byte with something beside it. */
static long
send_beside(int sock, int type, const void *data, size_t size)
{
	/* Of those that mean nothing there. */
	char byte = sock == channels.agent ? '\0' : ' ';
	char control[CMSG_SPACE(PASSED * sizeof(int))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(size) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static void
set_option(const char *what, int option, int value)
{
	say(what, setsockopt(channels.agent, SOL_SOCKET, option, &value, sizeof(value)));
}

/* T14: in the place of a socket that the jail's first process connects to. */
static void
try_addresses(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct sockaddr_un bus = { AF_UNIX, "/run/dbus/system_bus_socket" };
	struct ucred root = { .pid = 1 };
	socklen_t size = sizeof(address);
	int pair[2];

	say("address of the agent's socket",
	    getsockname(FD_AGENT, (struct sockaddr *)&address, &size));
	fprintf(channels.out, "its address: %s\n",
		size > 2 && address.sun_path[0] == '\0' ? "abstract" : "a path");
	say("bind to it", syscall(SYS_bind, FD_AGENT, &address, size));
	say("connect the agent's socket to the system bus",
	    syscall(SYS_connect, FD_AGENT, &bus, sizeof(bus)));
	say("send to the system bus",
	    sendto(FD_AGENT, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&bus, sizeof(bus)));
	say("socketpair", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair));
	say("send root's credentials",
	    send_beside(channels.agent, SCM_CREDENTIALS, &root, sizeof(root)));
	say("become a listener twice", listen(FD_AGENT, 1 << 20));
	set_option("force a buffer", SO_SNDBUFFORCE, 1 << 30);
	set_option("mark packets", SO_MARK, 1);
	set_option("load a filter by number", SO_ATTACH_BPF, 0);
}

void
try_sockets(char **argv)
{
	try_families();
	try_addresses();
}

/* QEMU's own words for "nobody else may use this" (block/file-posix.c), on what all VMs of an image have. */
void
try_locks(char **argv)
{
	struct flock lock = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 200
	};

	say("lock the shared disk", fcntl(FD_READ_ONLY, F_OFD_SETLK, &lock));
}

/* As many as fit a message, by every connection there is. */
void
try_pass(char **argv)
{
	int fds[PASSED];

	for (size_t i = 0; i < PASSED; i++)
		fds[i] = FD_DISK;
	say("pass descriptors to the agent's user",
	    send_beside(channels.agent, SCM_RIGHTS, fds, sizeof(fds)));
	say("pass descriptors by the console",
	    send_beside(channels.console, SCM_RIGHTS, fds, sizeof(fds)));
	say("pass descriptors to the control's user",
	    send_beside(channels.control, SCM_RIGHTS, fds, sizeof(fds)));
}
