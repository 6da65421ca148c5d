/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shared/base/cleanup.h"
#include "shared/base/fd-util.h"

static int
count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_memfd_when_made_then_sealed_and_readable_by_all(void)
{
	_cleanup_close_ int fd = bn_fd_memfd_new("t", "abc", 3), copy = -1;
	struct stat st;

	check(fd >= 0);
	check(write(fd, "x", 1) < 0 && errno == EPERM);
	check(ftruncate(fd, 0) < 0);
	check_int(fstat(fd, &st), 0);
	check_int(st.st_mode & 07777, 0444);
	copy = bn_fd_memfd_copy("t2", fd);
	check(copy >= 0);
	check_int(fcntl(copy, F_GET_SEALS),
		  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

static void
test_receive_when_too_many_fds_then_refused_and_none_leaks(void)
{
	int pair[2], in[3] = { -1, -1, -1 }, before;
	const int out[] = { 0, 1, 2 };
	size_t n = 9;
	char buf[8];

	check_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	before = count_fds();
	check_int(bn_fd_send(pair[0], "hello", 5, out, 3), 0);
	check_int(bn_fd_receive(pair[1], buf, sizeof(buf), in, 2, &n), -EMSGSIZE);
	check_int(count_fds(), before);
	check_int(bn_fd_send(pair[0], "hello", 5, out, 3), 0);
	check_int(bn_fd_receive(pair[1], buf, sizeof(buf), in, 3, &n), 5);
	check_int(n, 3);
	check_int(fcntl(in[0], F_GETFD), FD_CLOEXEC);
	bn_fd_close_many(in, 3);
	check_int(count_fds(), before);
	/* a message cut short is no message */
	check_int(bn_fd_send(pair[0], "hello", 5, out, 1), 0);
	check_int(bn_fd_receive(pair[1], buf, 2, in, 3, &n), -EMSGSIZE);
	check_int(count_fds(), before);
	(void)close(pair[0]);
	check_int(bn_fd_receive(pair[1], buf, sizeof(buf), in, 3, &n), 0);
	(void)close(pair[1]);
}

static void
test_receive_when_empty_with_fds_then_the_end_and_none_leaks(void)
{
	int pair[2], in[3] = { -1, -1, -1 }, before;
	const int out[] = { 0, 1, 2 };
	size_t n = 9;
	char buf[8];

	check_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	before = count_fds();
	check_int(bn_fd_send(pair[0], "", 0, out, 3), 0);
	check_int(bn_fd_receive(pair[1], buf, sizeof(buf), in, 3, &n), 0);
	check_int(n, 0);
	check_int(count_fds(), before);
	bn_fd_close_many(pair, 2);
}

static void
test_peer_when_socketpair_then_own_identity(void)
{
	int pair[2];
	uid_t uid = 1;
	pid_t pid = 0;

	check_int(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	check_int(bn_fd_peer(pair[0], &pid, &uid, NULL), 0);
	check_int(pid, getpid());
	check_int(uid, geteuid());
	bn_fd_close_many(pair, 2);
}

static void
test_close_except_when_some_are_kept_then_all_others_are_closed(void)
{
	int keep[] = { 40, -1, 3, 41, 60 };
	pid_t pid = fork();
	int status;

	check(pid >= 0);
	if (pid == 0) {
		for (int fd = 3; fd < 70; fd++)
			if (dup2(2, fd) != fd)
				_exit(2);
		if (bn_fd_close_except(keep, 5) < 0)
			_exit(3);
		for (int fd = 0; fd < 100; fd++) {
			bool kept = fd < 3 || fd == 3 || fd == 40 || fd == 41 || fd == 60;

			if ((fcntl(fd, F_GETFD) >= 0) != kept)
				_exit(fd);
		}
		_exit(bn_fd_close_except(NULL, 0) == 0 && count_fds() == 3 ? 0 : 4);
	}
	check_int(waitpid(pid, &status, 0), pid);
	check_int(status, 0);
}

static void
test_limit_when_raised_then_all_that_may_be_and_restored_as_before(void)
{
	pid_t pid = fork();
	int status;

	check(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = { 0 }, few = { 100, 200 };

		bn_fd_restore_limit();
		if (setrlimit(RLIMIT_NOFILE, &few) < 0)
			_exit(1);
		bn_fd_raise_limit();
		bn_fd_raise_limit();
		if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur != 200)
			_exit(2);
		bn_fd_restore_limit();
		(void)getrlimit(RLIMIT_NOFILE, &limit);
		_exit(limit.rlim_cur == 100 && limit.rlim_max == 200 ? 0 : 3);
	}
	check_int(waitpid(pid, &status, 0), pid);
	check_int(status, 0);
}

TEST_MAIN(TEST(test_limit_when_raised_then_all_that_may_be_and_restored_as_before),
	  TEST(test_memfd_when_made_then_sealed_and_readable_by_all),
	  TEST(test_receive_when_too_many_fds_then_refused_and_none_leaks),
	  TEST(test_receive_when_empty_with_fds_then_the_end_and_none_leaks),
	  TEST(test_peer_when_socketpair_then_own_identity),
	  TEST(test_close_except_when_some_are_kept_then_all_others_are_closed))
