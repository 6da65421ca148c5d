/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/enter.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"
#include "shared/rules/vmm-argv.h"

/* What of the host a VMM sees: its program, its libraries, its firmware. No /etc, no /sys, no
 * shell. */
typedef struct View {
	const char *path;
	mode_t type;
	bool optional; /* where distributions differ */
	unsigned long flags;
} View;

static const View views[] = {
	{ "/usr/lib/x86_64-linux-gnu", S_IFDIR, false, 0 },
	{ "/usr/lib64", S_IFDIR, true, 0 }, /* the loader's name */
	{ "/usr/share/qemu", S_IFDIR, false, MS_NOEXEC },
	{ "/usr/share/seabios", S_IFDIR, true, MS_NOEXEC },
	{ BN_VMM_QEMU, S_IFREG, false, 0 },
};

static const char *const directories[] = {
	"dev", "proc", "usr", "usr/bin", "usr/lib", "usr/share"
};

/* Whoever may write a program, or a directory above it, chooses what runs. */
static int
check_trusted(int fd, mode_t type)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bn_errno();
	if ((st.st_mode & S_IFMT) != type)
		return type == S_IFDIR ? -ENOTDIR : -EINVAL;
	return st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 ? 0 : -EPERM;
}

/* Walks an absolute path without following a link; every component must be root's alone to
 * write. */
static int
check_path(const char *path, mode_t type)
{
	_cleanup_close_ int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (at < 0)
		return bn_errno();
	for (const char *p = path;;) {
		size_t n = strcspn(++p, "/");
		char name[64];
		int fd;

		if (n >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, p, n);
		name[n] = '\0';
		p += n;
		r = check_trusted(at, S_IFDIR);
		if (r < 0)
			return r;
		fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return bn_errno();
		(void)close(at);
		at = fd;
		if (*p == '\0')
			return check_trusted(at, type);
	}
}

static int
check_programs(const Jail *jail)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(views) && !jail_is_probe(jail); i++) {
		int r = check_path(views[i].path, views[i].type);

		if (r < 0 && !(r == -ENOENT && views[i].optional))
			return r;
	}
	return 0;
}

/* Nothing mounted from here on may reach the host, nor the other way round. */
static int
make_private(const Jail *jail)
{
	return bn_ret_errno(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

/* The new root sits on a directory that is root's and always there; our copy of the mounts
 * goes. */
static int
mount_root(const Jail *jail)
{
	if (mount("banger-jail", BN_JAIL_RUN_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=16k,nr_inodes=64,mode=0755") < 0)
		return bn_errno();
	return bn_ret_errno(chdir(BN_JAIL_RUN_DIR));
}

static int
make_directories(const Jail *jail)
{
	/* 0755 whatever the umask: the VM's uid must be able to pass. */
	(void)umask(0022);
	for (size_t i = 0; i < BN_ELEMENTSOF(directories); i++)
		if (mkdir(directories[i], 0755) < 0)
			return bn_errno();
	/* The loader's path, as programs carry it, begins at /lib64. */
	if (symlink("usr/lib64", "lib64") < 0 || symlink("usr/lib", "lib") < 0)
		return bn_errno();
	return 0;
}

static int
bind_view(const View *view)
{
	const char *target = view->path + 1;
	unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | view->flags;
	struct stat st;
	int r;

	if (stat(view->path, &st) < 0)
		return view->optional && errno == ENOENT ? 0 : bn_errno();
	r = view->type == S_IFDIR ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0);
	if (r < 0)
		return bn_errno();
	if (mount(view->path, target, NULL, MS_BIND, NULL) < 0)
		return bn_errno();
	return bn_ret_errno(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | flags, NULL));
}

static int
bind_views(const Jail *jail)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(views) && !jail_is_probe(jail); i++) {
		int r = bind_view(&views[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* QEMU opens its kernel by /proc/self/fd/N; nothing else of /proc is there to see. Read-only: where
 * the launcher may not lower an OOM score, the kernel takes the one it has set for no limit, and the
 * VMM could lower its own. */
static int
mount_proc(const Jail *jail)
{
	unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (jail_is_probe(jail))
		return 0;
	return bn_ret_errno(mount("proc", "proc", "proc", flags, "hidepid=invisible,subset=pid"));
}

/* A mount of its own, because the root has no devices. */
static int
mount_dev(const Jail *jail)
{
	return bn_ret_errno(mount("banger-jail", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC,
				  "size=4k,nr_inodes=8,mode=0755"));
}

static int
make_kvm_node(const Jail *jail)
{
	uid_t uid = jail->request.jail_uid;

	if (mknod("dev/kvm", S_IFCHR | 0600, makedev(10, 232)) < 0)
		/* A control group that forbids it is what a probe is there to find: it opens nothing then. */
		return errno == EPERM && jail_is_probe(jail) ? 0 : bn_errno();
	return bn_ret_errno(chown("dev/kvm", uid, uid));
}

/* The numbers are the kernel's, fixed (Documentation/admin-guide/devices.txt). */
static int
make_nodes(const Jail *jail)
{
	int r = 0;

	(void)umask(0);
	if (mknod("dev/null", S_IFCHR | 0666, makedev(1, 3)) < 0 ||
	    mknod("dev/urandom", S_IFCHR | 0444, makedev(1, 9)) < 0)
		return bn_errno();
	if (jail_has_kvm(jail))
		r = make_kvm_node(jail);
	if (r < 0)
		return r;
	(void)umask(0077);
	return bn_ret_errno(mount(NULL, "dev", NULL,
				  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL));
}

/* The old root comes to lie on top of the new one and is taken off: no directory is needed for
 * it. */
static int
change_root(const Jail *jail)
{
	return bn_ret_errno((int)syscall(SYS_pivot_root, ".", "."));
}

static int
drop_old_root(const Jail *jail)
{
	if (umount2(".", MNT_DETACH) < 0)
		return bn_errno();
	return bn_ret_errno(chdir("/"));
}

static int
seal_root(const Jail *jail)
{
	unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	return bn_ret_errno(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | flags, NULL));
}

/* The host's name is none of a guest's business. */
static int
set_names(const Jail *jail)
{
	if (sethostname("jail", 4) < 0 || setdomainname("", 0) < 0)
		return bn_errno();
	return 0;
}

static int
set_standard_files(const Jail *jail)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return bn_errno();
	for (int i = 0; i < 3; i++)
		if (dup2(fd, i) < 0)
			return bn_errno();
	return 0;
}

static int
close_descriptors(const Jail *jail)
{
	int keep[BN_FD_MESSAGE_MAX + 3];

	memcpy(keep, jail->fds, sizeof(jail->fds));
	keep[BN_FD_MESSAGE_MAX] = jail->listener;
	keep[BN_FD_MESSAGE_MAX + 1] = jail->exit_file;
	keep[BN_FD_MESSAGE_MAX + 2] = jail->status;
	return bn_fd_close_except(keep, BN_ELEMENTSOF(keep));
}

int
enter_jail(const Jail *jail, const char **reterr_step)
{
	static const Step steps[] = {
		{ "close descriptors", close_descriptors },
		{ "check programs", check_programs },
		{ "make mounts private", make_private },
		{ "mount root", mount_root },
		{ "make directories", make_directories },
		{ "bind programs", bind_views },
		{ "mount proc", mount_proc },
		{ "mount dev", mount_dev },
		{ "make device nodes", make_nodes },
		{ "pivot root", change_root },
		{ "drop old root", drop_old_root },
		{ "seal root", seal_root },
		{ "set host name", set_names },
		{ "set standard files", set_standard_files },
	};

	return jail_run_steps(jail, steps, BN_ELEMENTSOF(steps), reterr_step);
}
