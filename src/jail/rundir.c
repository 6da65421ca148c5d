/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/rundir.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"

#define EXIT_NAME_SIZE (BN_DERIVE_KEY_SIZE + sizeof(".exit"))

static void
make_exit_name(const Jail *jail, char ret[static EXIT_NAME_SIZE])
{
	(void)snprintf(ret, EXIT_NAME_SIZE, "%s.exit", jail->request.key);
}

/* The directory, which must be root's alone, locked: looking at a socket and replacing it is
 * one step. Held for microseconds. */
static int
lock_directory(void)
{
	_cleanup_close_ int fd =
		open(BN_JAIL_RUN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return bn_errno();
	if (st.st_uid != 0 || (st.st_mode & 0077) != 0)
		return -EPERM;
	if (flock(fd, LOCK_EX) < 0)
		return bn_errno();
	return BN_TAKE_FD(fd);
}

static struct sockaddr_un
make_address(const Jail *jail)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", BN_JAIL_RUN_DIR, jail->request.key);
	return a;
}

/* A connection to the control socket; -ECONNREFUSED or -ENOENT where no jail holds it. */
static int
connect_control(const Jail *jail)
{
	struct sockaddr_un address = make_address(jail);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return bn_errno();
	r = bn_fd_set_nonblock(fd, false);
	return r < 0 ? r : BN_TAKE_FD(fd);
}

static int
remove_socket(const Jail *jail, int dir)
{
	_cleanup_close_ int alive = connect_control(jail);

	/* A full queue has a jail behind it, too. */
	if (alive >= 0 || alive == -EAGAIN)
		return -EEXIST;
	if (alive != -ECONNREFUSED && alive != -ENOENT)
		return alive;
	return unlinkat(dir, jail->request.key, 0) < 0 ? bn_errno() : 0;
}

static int
remove_stale(const Jail *jail, int dir)
{
	char name[EXIT_NAME_SIZE];
	struct stat st;
	int r = 0;

	if (fstatat(dir, jail->request.key, &st, AT_SYMLINK_NOFOLLOW) >= 0)
		r = remove_socket(jail, dir);
	else if (errno != ENOENT)
		r = bn_errno();
	if (r < 0)
		return r;
	make_exit_name(jail, name);
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? bn_errno() : 0;
}

static int
listen_control(Jail *jail, int dir)
{
	struct sockaddr_un address = make_address(jail);
	struct stat st;

	jail->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (jail->listener < 0)
		return bn_errno();
	if (bind(jail->listener, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return bn_errno();
	if (fstatat(dir, jail->request.key, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return bn_errno();
	jail->listener_inode = st.st_ino;
	return bn_ret_errno(listen(jail->listener, 16));
}

/* Stands there with the worst news from the start, so that no death of the first process leaves
 * it out. */
static int
make_exit_file(Jail *jail, int dir)
{
	char name[EXIT_NAME_SIZE];

	make_exit_name(jail, name);
	jail->exit_file =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (jail->exit_file < 0)
		return bn_errno();
	return bn_io_write_all(jail->exit_file, "failed\n", 7);
}

int
rundir_make(Jail *jail, int *ret_connection, const char **reterr_step)
{
	_cleanup_close_ int dir = -1;
	int r;

	*reterr_step = "lock run directory";
	dir = lock_directory();
	if (dir < 0)
		return dir;
	*reterr_step = "look for leftovers";
	r = remove_stale(jail, dir);
	if (r < 0)
		return r;
	*reterr_step = "listen on control socket";
	r = listen_control(jail, dir);
	if (r < 0)
		return r;
	*reterr_step = "make exit file";
	r = make_exit_file(jail, dir);
	if (r < 0)
		return r;
	*reterr_step = "connect to control socket";
	r = connect_control(jail);
	if (r < 0)
		return r;
	*ret_connection = r;
	return 0;
}

void
rundir_undo(const Jail *jail)
{
	_cleanup_close_ int dir = lock_directory();
	char name[EXIT_NAME_SIZE];
	struct stat st;

	/* 0 as long as nothing was made; another inode where another jail of this key came
	 * since. */
	if (dir < 0 || jail->listener_inode == 0 ||
	    fstatat(dir, jail->request.key, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_ino != jail->listener_inode)
		return;
	make_exit_name(jail, name);
	(void)unlinkat(dir, jail->request.key, 0);
	(void)unlinkat(dir, name, 0);
}
