/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the host: by their paths, by what is mounted, by descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"

void
try_paths(char **argv)
{
	static const char *const paths[] = {
		"/etc",
		"/etc/passwd",
		"/etc/shadow",
		"/home",
		"/home/dev",
		"/root",
		"/run",
		"/run/banger-jail",
		"/run/banger-helper",
		"/run/dbus/system_bus_socket",
		"/var",
		"/tmp",
		"/boot",
		"/sys",
		"/sys/fs/cgroup",
		"/bin/sh",
		"/usr/bin/env",
		"/usr/libexec",
		"/dev/mem",
		"/dev/kmsg",
		"/dev/tty",
		"/dev/ptmx",
		"/dev/shm",
		"/dev/kvm",
		"/dev/fuse",
		"/dev/net/tun",
		"/dev/loop-control",
		"/dev/vhost-net",
		"/dev/vda",
		"/proc/1",
		"/proc/1/mem",
		"/proc/1/fd",
		"/proc/1/root",
		"/proc/1/environ",
		"/proc/1/ns/mnt",
		"/proc/sys",
		"/proc/sys/kernel/core_pattern",
		"/proc/sysrq-trigger",
		"/proc/kcore",
		"/proc/kallsyms",
		"/proc/keys",
		"/proc/cmdline",
		"/proc/bus",
		"/../etc/passwd",
		"/proc/self/root/../etc/passwd",
		"/proc/self/cwd/../../etc/passwd",
		"/proc/thread-self/root/../../../etc/passwd",
		"/proc/self/exe/../../etc/passwd",
		"/proc/self/fd/9/../../etc/passwd",
		"/lib64/../../etc/passwd",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		say_of("open", paths[i], open(paths[i], O_RDONLY | O_CLOEXEC));
}

static int
is_many(const char *path)
{
	return strncmp(path, "/usr/lib", 8) == 0 || strncmp(path, "/usr/share/", 11) == 0 ||
	       strncmp(path, "/proc", 5) == 0;
}

/* What is there, but for what lies below the libraries and below /proc; and of that too what can be opened for writing.
 * Links are told and not followed: what a descriptor of ours is, it stays. */
static void
walk(const char *path, int depth, unsigned *n)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char child[4096];
		struct stat st;
		int fd = -1;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		(void)snprintf(child, sizeof(child), "%s%s%s", path, path[1] ? "/" : "", e->d_name);
		if (lstat(child, &st) < 0) {
			say_of("look at", child, -1);
			continue;
		}
		++*n;
		if (!is_many(path))
			fprintf(channels.out, "there %s %o %u\n", child, st.st_mode, st.st_uid);
		if (S_ISDIR(st.st_mode) && depth < 16)
			walk(child, depth + 1, n);
		else if (!S_ISLNK(st.st_mode))
			fd = open(child, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			continue;
		fprintf(channels.out, "writable %s\n", child);
		(void)close(fd);
	}
	if (d)
		(void)closedir(d);
}

void
try_walk(char **argv)
{
	unsigned n = 0;

	walk("/", 1, &n);
	fprintf(channels.out, "looked at %s\n", n > 100 ? "many" : "few");
}

/* What the host tells about itself by what is mounted here. */
void
try_mountinfo(char **argv)
{
	char line[4096];
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && fgets(line, sizeof(line), f))
		fprintf(channels.out, "mount %s", line);
	if (f)
		(void)fclose(f);
}

static void
try_open_for_writing(void)
{
	static const char *const directories[] = {
		"/", "/dev/", "/proc/", "/usr/", "/usr/lib/x86_64-linux-gnu/", "/proc/self/fd/"
	};
	static const char *const files[] = {
		"/proc/self/exe",
		"/proc/self/mem",
		"/proc/self/oom_score_adj",
		"/proc/self/coredump_filter",
		"/proc/self/clear_refs",
		"/proc/self/attr/current",
		"/proc/self/loginuid",
		"/proc/self/uid_map",
		"/proc/self/setgroups",
		"/proc/self/autogroup",
		"/proc/self/timens_offsets",
		"/usr/bin/qemu-system-x86_64",
	};
	char path[128];

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		(void)snprintf(path, sizeof(path), "%sx", directories[i]);
		say_of("create", path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		say_of("create without a name in", directories[i],
		       open(directories[i], O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		say_of("open to write", files[i], open(files[i], O_RDWR | O_CLOEXEC));
}

static void
try_change(void)
{
	say("mkdir", syscall(SYS_mkdir, "/x", 0700));
	say("mknod", syscall(SYS_mknod, "/dev/x", S_IFBLK | 0600, 0xfe00));
	say("mknodat", syscall(SYS_mknodat, AT_FDCWD, "/dev/x", S_IFCHR | 0600, 0x101));
	say("rename", syscall(SYS_rename, "/lib", "/x"));
	say("link",
	    syscall(SYS_linkat, AT_FDCWD, "/proc/self/fd/9", AT_FDCWD, "/x", AT_SYMLINK_FOLLOW));
	say("symlink", syscall(SYS_symlink, "/x", "/y"));
	say("unlink", syscall(SYS_unlink, "/lib"));
	say("chmod", syscall(SYS_fchmod, FD_DISK, 0666));
	say("chown", syscall(SYS_fchown, FD_DISK, 0, 0));
	say("truncate", syscall(SYS_truncate, "/proc/self/fd/9", 0));
	say("setxattr", syscall(SYS_fsetxattr, FD_DISK, "user.x", "x", 1, 0));
	say("utimensat", syscall(SYS_utimensat, FD_DISK, NULL, NULL, 0));
	say("chroot", syscall(SYS_chroot, "/proc"));
	say("chdir", syscall(SYS_chdir, "/proc"));
	say("openat2", syscall(SYS_openat2, AT_FDCWD, "/", "", 0));
	say("open_by_handle_at", syscall(SYS_open_by_handle_at, FD_DISK, "", O_RDONLY));
	say("name_to_handle_at", syscall(SYS_name_to_handle_at, FD_DISK, "", "", "", 0));
}

/* A directory among its descriptors would lead out by "..". */
static void
try_directories(void)
{
	unsigned n = 0, directories = 0;
	struct stat st;

	for (int fd = 0; fd < 1024; fd++) {
		if (fstat(fd, &st) < 0)
			continue;
		n++;
		directories += S_ISDIR(st.st_mode);
		if (openat(fd, "../../../../etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
			fprintf(channels.out, "descriptor %d leads out: yes\n", fd);
	}
	fprintf(channels.out, "descriptors: %u, of these directories: %u\n", n, directories);
}

void
try_files(char **argv)
{
	try_open_for_writing();
	try_change();
	try_directories();
}

static long
map(int fd, int protection)
{
	void *p = mmap(NULL, 4096, protection, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? -1 : munmap(p, 4096);
}

static long
map_then_write(int fd)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_WRITE);
}

static long
map_then_remove(int fd)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? -1 : madvise(p, 4096, MADV_REMOVE);
}

/* What it was given to read, written to. */
static void
try_read_only(const char *what, int fd)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	say_of("write", what, pwrite(fd, "x", 1, 0));
	say_of("truncate", what, ftruncate(fd, 0));
	say_of("punch", what,
	       syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	say_of("map to write", what, map(fd, PROT_READ | PROT_WRITE));
	say_of("map and make writable", what, map_then_write(fd));
	say_of("map and remove", what, map_then_remove(fd));
	say_of("open again to write", what, open(name, O_RDWR | O_CLOEXEC));
	say_of("open again to empty", what, open(name, O_RDONLY | O_TRUNC | O_CLOEXEC));
	say_of("take the lease of", what, fcntl(fd, F_SETLEASE, F_RDLCK));
}

static void
try_grow(void)
{
	static const struct {
		const char *name;
		int mode;
	} modes[] = {
		{ "plain", 0 },
		{ "zeroed", FALLOC_FL_ZERO_RANGE },
		{ "unseen", FALLOC_FL_KEEP_SIZE },
		{ "zeroed unseen", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
		{ "inserted", FALLOC_FL_INSERT_RANGE },
		{ "unshared", FALLOC_FL_UNSHARE_RANGE },
	};
	struct stat st;

	/* The signal would end us. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (fstat(FD_DISK, &st) < 0)
		return;
	say("write at the disk's end", pwrite(FD_DISK, "x", 1, st.st_size - 1));
	say("write behind the disk's end", pwrite(FD_DISK, "x", 1, st.st_size));
	say("make the disk longer", ftruncate(FD_DISK, st.st_size + 1));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		say_of("reserve more", modes[i].name,
		       syscall(SYS_fallocate, FD_DISK, modes[i].mode, 0L,
			       (long)st.st_size + (64L << 20)));
}

void
try_disks(char **argv)
{
	try_read_only("the read-only disk", FD_READ_ONLY);
	try_read_only("the kernel", FD_KERNEL);
	say("seal the kernel anew", fcntl(FD_KERNEL, F_ADD_SEALS, F_SEAL_SEAL));
	try_grow();
}
