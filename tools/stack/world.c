/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mounts and the loopback of the new world. */
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"
#include "stack.h"

/* A directory every system has, covered by the tmpfs that carries the world. */
#define BASE "/tmp"
#define ROOT BASE "/root"

/* Directories of the caller's world, opened before it is covered; a descriptor from before the new mount namespace
 * could not be bound. */
typedef struct Sources {
	int stage, home;
	int binds[STACK_LIST_MAX];
} Sources;

typedef struct Mount {
	const char *source, *target, *type;
	unsigned long flags;
	const char *options;
} Mount;

static int
mount_all(const Mount *mounts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const Mount *m = &mounts[i];

		if (mount(m->source, m->target, m->type, m->flags, m->options) < 0)
			return stack_fail(bn_errno(), "mount on %s", m->target);
	}
	return 0;
}

static int
make_directories(const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mkdir(paths[i], 0755) < 0 && errno != EEXIST)
			return stack_fail(bn_errno(), "mkdir %s", paths[i]);
	return 0;
}

/* Like mkdir -p below ROOT; follows no link out of it only because nobody but root wrote the lower layer. */
static int
make_path(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return stack_fail(-ENAMETOOLONG, "%s", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return stack_fail(bn_errno(), "mkdir %s", part);
	}
	return 0;
}

static int
open_source(const char *path)
{
	int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	return path && fd < 0 ? stack_fail(bn_errno(), "%s", path) : fd;
}

static int
open_sources(const Stack *stack, Sources *ret)
{
	ret->stage = open_source(stack->stage);
	ret->home = open_source(stack->home);
	if ((stack->stage && ret->stage < 0) || (stack->home && ret->home < 0))
		return -ENOENT;
	for (size_t i = 0; i < stack->n_binds; i++) {
		ret->binds[i] = open_source(stack->binds[i].source);
		if (ret->binds[i] < 0)
			return -ENOENT;
	}
	return 0;
}

static int
make_overlay(void)
{
	static const char *const directories[] = { BASE "/upper", BASE "/work", ROOT };
	static const Mount tmpfs[] = {
		{ NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL },
		{ "banger-stack", BASE, "tmpfs", 0, "mode=0755" },
	};
	static const Mount overlay[] = {
		{ "banger-stack", ROOT, "overlay", 0,
		  "lowerdir=/,upperdir=" BASE "/upper,workdir=" BASE "/work" },
	};
	int r = mount_all(tmpfs, BN_ELEMENTSOF(tmpfs));

	if (r >= 0)
		r = make_directories(directories, BN_ELEMENTSOF(directories));
	return r < 0 ? r : mount_all(overlay, BN_ELEMENTSOF(overlay));
}

static int
mount_kernel_filesystems(void)
{
	static const Mount mounts[] = {
		{ "/dev", ROOT "/dev", NULL, MS_BIND | MS_REC, NULL },
		/* Posix shared memory would outlive us on the host's. */
		{ "tmpfs", ROOT "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
		{ "proc", ROOT "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
		{ "sysfs", ROOT "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
		{ "tmpfs", ROOT "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755" },
		/* Image builders put device nodes and setuid programs here. */
		{ "tmpfs", ROOT "/tmp", "tmpfs", 0, "mode=1777" },
		/* Nobody's home is part of the trial. */
		{ "tmpfs", ROOT "/home", "tmpfs", 0, "mode=0755" },
	};
	static const Mount cgroup = { "/sys/fs/cgroup", ROOT "/sys/fs/cgroup", NULL,
				      MS_BIND | MS_REC, NULL };
	int r = mount_all(mounts, BN_ELEMENTSOF(mounts));

	if (r < 0 || access(cgroup.source, F_OK) < 0)
		return r;
	return mount_all(&cgroup, 1);
}

/* A stage below / cannot be a second lower layer (the kernel refuses layers that overlap): it is copied. */
static int
copy_stage(int stage)
{
	static const char *const argv[] = { "cp", "-dR", "--preserve=mode,timestamps",
					    ".",  ROOT,  NULL };
	int status;
	pid_t pid;

	if (stage < 0)
		return 0;
	pid = fork();
	if (pid < 0)
		return stack_fail(bn_errno(), "fork");
	if (pid == 0) {
		if (fchdir(stage) == 0)
			(void)execv("/usr/bin/cp", (char *const *)argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return stack_fail(bn_errno(), "wait for cp");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return stack_fail(-EIO, "cp of the stage");
	return 0;
}

static int
bind_tree(int source, const StackBind *bind)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	_cleanup_close_ int tree = -1;
	char target[PATH_MAX];
	int r;

	if (snprintf(target, sizeof(target), ROOT "%s", bind->target) >= (int)sizeof(target))
		return stack_fail(-ENAMETOOLONG, "%s", bind->target);
	r = make_path(target);
	if (r < 0)
		return r;
	tree = open_tree(source, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree < 0)
		return stack_fail(bn_errno(), "bind %s", bind->target);
	if (bind->read_only &&
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return stack_fail(bn_errno(), "bind %s read-only", bind->target);
	if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return stack_fail(bn_errno(), "bind on %s", bind->target);
	return 0;
}

/* What a trial writes into a prepared home goes to the tmpfs: several trials may share one. */
static int
cover_home(int home, const char *target)
{
	static const char *const directories[] = { BASE "/home-upper", BASE "/home-work" };
	char options[PATH_MAX];
	Mount overlay = { "banger-stack", target, "overlay", 0, options };
	struct stat st;
	int r = make_directories(directories, BN_ELEMENTSOF(directories));

	if (r < 0)
		return r;
	/* The merged directory shows the upper layer's owner and mode. */
	if (fstat(home, &st) < 0 || chown(directories[0], st.st_uid, st.st_gid) < 0 ||
	    chmod(directories[0], st.st_mode & 07777) < 0)
		return stack_fail(bn_errno(), "home");
	(void)snprintf(options, sizeof(options), "lowerdir=/proc/self/fd/%d,upperdir=%s,workdir=%s",
		       home, directories[0], directories[1]);
	return mount_all(&overlay, 1);
}

static int
mount_home(const Stack *stack, int home)
{
	char target[64], inside[32];
	int r;

	if (home < 0)
		return 0;
	(void)snprintf(inside, sizeof(inside), "/home/%s", stack_users[0].name);
	(void)snprintf(target, sizeof(target), ROOT "%s", inside);
	if (stack->home_writable)
		return bind_tree(home, &(StackBind){ .target = inside });
	r = make_path(target);
	return r < 0 ? r : cover_home(home, target);
}

static int
enter_root(void)
{
	if (chmod(ROOT, 0755) < 0 || chdir(ROOT) < 0)
		return stack_fail(bn_errno(), ROOT);
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return stack_fail(bn_errno(), "pivot_root");
	/* The old root lies on top of the new one now, and goes with everything below it. */
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return stack_fail(bn_errno(), "leave the old root");
	return 0;
}

static int
raise_loopback(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return stack_fail(bn_errno(), "loopback");
	return 0;
}

int
stack_world_enter(const Stack *stack)
{
	Sources sources;
	int r = open_sources(stack, &sources);

	/* The descriptors are close-on-exec and few: they go when this process's children run programs. */
	if (r >= 0)
		r = make_overlay();
	if (r >= 0)
		r = copy_stage(sources.stage);
	if (r >= 0)
		r = mount_kernel_filesystems();
	if (r >= 0)
		r = mount_home(stack, sources.home);
	for (size_t i = 0; r >= 0 && i < stack->n_binds; i++)
		r = bind_tree(sources.binds[i], &stack->binds[i]);
	if (r >= 0)
		r = enter_root();
	if (r >= 0 && !stack->host_net)
		r = raise_loopback();
	return r;
}
