/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/base/fd-util.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"

void
bn_fd_fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	while (fd >= 0 && fd <= STDERR_FILENO && bn_fd_set_cloexec(fd, false) >= 0);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

int
bn_fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return bn_errno();
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? bn_errno() : 0;
}

/* Before the first of our calls; 0: there was none. */
static struct rlimit limit_before;

void
bn_fd_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit_before = limit;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

void
bn_fd_restore_limit(void)
{
	if (limit_before.rlim_max > 0)
		(void)setrlimit(RLIMIT_NOFILE, &limit_before);
}

int
bn_fd_set_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? bn_errno() : 0;
}

int
bn_fd_dup(int fd)
{
	return bn_ret_errno(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

void
bn_fd_close_many(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bn_closep(&fds[i]);
}

int
bn_fd_close_except(const int *keep, size_t n)
{
	/* From gap to gap: the smallest kept number from `first` on ends the range to close. */
	for (unsigned first = 3;;) {
		unsigned next = UINT_MAX;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= first)
				next = BN_MIN(next, (unsigned)keep[i]);
		if (next > first && close_range(first, next == UINT_MAX ? next : next - 1, 0) < 0)
			return bn_errno();
		if (next == UINT_MAX)
			return 0;
		first = next + 1;
	}
}

static int
memfd_open(const char *name)
{
	_cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return bn_errno();
	/* Another uid opens it by /proc/self/fd/N: the mode decides, not the descriptor. */
	if (fchmod(fd, 0444) < 0)
		return bn_errno();
	return BN_TAKE_FD(fd);
}

static int
memfd_seal(int fd)
{
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return bn_errno();
	return 0;
}

static int
append_part(int fd, const BnFdPart *part)
{
	off_t offset = 0;

	if (part->data)
		return bn_io_write_all(fd, part->data, part->size);
	while ((size_t)offset < part->size) {
		ssize_t n = sendfile(fd, part->source, &offset, part->size - (size_t)offset);
		if (n < 0)
			return bn_errno();
		if (n == 0) /* it shrank under us */
			return -EIO;
	}
	return 0;
}

int
bn_fd_memfd_join(const char *name, const BnFdPart *parts, size_t n)
{
	_cleanup_close_ int fd = memfd_open(name);
	int r = fd < 0 ? fd : 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = append_part(fd, &parts[i]);
	if (r >= 0)
		r = memfd_seal(fd);
	return r < 0 ? r : BN_TAKE_FD(fd);
}

int
bn_fd_memfd_copy(const char *name, int source)
{
	struct stat st;

	if (fstat(source, &st) < 0)
		return bn_errno();
	return bn_fd_memfd_join(name, &(BnFdPart){ .source = source, .size = (size_t)st.st_size },
				1);
}

int
bn_fd_memfd_new(const char *name, const void *data, size_t size)
{
	return bn_fd_memfd_join(name, &(BnFdPart){ .data = data, .size = size }, 1);
}

bool
bn_fd_is_sealed(int fd)
{
	const int needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & needed) == needed;
}

int
bn_fd_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * BN_FD_MESSAGE_MAX)];
	} control = {};
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > BN_FD_MESSAGE_MAX)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return bn_errno();
	return (size_t)n == size ? 0 : -EMSGSIZE;
}

/* Collects every descriptor of a message, so that none stays open unseen. */
static int
collect_fds(struct msghdr *msg, int *fds, size_t max_fds, size_t *ret_n)
{
	size_t n = 0;
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < max_fds) {
				fds[n++] = fd;
			} else {
				(void)close(fd);
				r = -EMSGSIZE;
			}
		}
	}
	*ret_n = n;
	return r;
}

int
bn_fd_set_passcred(int sock)
{
	int on = 1;

	return bn_ret_errno(setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
}

static struct ucred
find_sender(struct msghdr *msg)
{
	struct ucred sender = { .pid = -1, .uid = (uid_t)-1, .gid = (gid_t)-1 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
		    c->cmsg_len == CMSG_LEN(sizeof(sender)))
			memcpy(&sender, CMSG_DATA(c), sizeof(sender));
	return sender;
}

ssize_t
bn_fd_receive_from(int sock, void *data, size_t size, int *ret_fds, size_t max_fds,
		   size_t *ret_n_fds, struct ucred *ret_sender)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * (BN_FD_MESSAGE_MAX + 1)) +
			   CMSG_SPACE(sizeof(struct ucred))];
	} control = {};
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	int fds[BN_FD_MESSAGE_MAX + 1];
	size_t n_fds = 0;
	ssize_t n;
	int r;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return bn_errno();
	r = collect_fds(&msg, fds, BN_ELEMENTSOF(fds), &n_fds);
	if (r < 0 || n_fds > max_fds || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		bn_fd_close_many(fds, n_fds);
		return -EMSGSIZE;
	}
	/* An empty message is the end, as a hung-up socket is, but can bring descriptors. */
	if (n == 0) {
		bn_fd_close_many(fds, n_fds);
		n_fds = 0;
	}
	if (n_fds > 0)
		memcpy(ret_fds, fds, n_fds * sizeof(int));
	if (ret_n_fds)
		*ret_n_fds = n_fds;
	if (ret_sender)
		*ret_sender = find_sender(&msg);
	return n;
}

ssize_t
bn_fd_receive(int sock, void *data, size_t size, int *ret_fds, size_t max_fds, size_t *ret_n_fds)
{
	return bn_fd_receive_from(sock, data, size, ret_fds, max_fds, ret_n_fds, NULL);
}

int
bn_fd_peer(int sock, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return bn_errno();
	if (ret_pid)
		*ret_pid = cred.pid;
	if (ret_uid)
		*ret_uid = cred.uid;
	if (ret_gid)
		*ret_gid = cred.gid;
	return 0;
}
