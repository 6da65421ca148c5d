/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids, capabilities, keys, mounts, and what only root may do to the machine. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "hostile.h"

static void
try_ids(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2] = { { ~0U, ~0U, ~0U }, { ~0U, ~0U, ~0U } };

	say("setuid", syscall(SYS_setuid, 0));
	say("setreuid", syscall(SYS_setreuid, 0, 0));
	say("setresuid", syscall(SYS_setresuid, 0, 0, 0));
	say("setfsuid", syscall(SYS_setfsuid, 0));
	say("setgid", syscall(SYS_setgid, 0));
	say("setregid", syscall(SYS_setregid, 0, 0));
	say("setresgid", syscall(SYS_setresgid, 0, 0, 0));
	say("setfsgid", syscall(SYS_setfsgid, 0));
	say("setgroups", syscall(SYS_setgroups, 1, &(gid_t){ 0 }));
	say("capset", syscall(SYS_capset, &header, all));
	say("keep capabilities", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	say("raise an ambient capability",
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
	say("set securebits", prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
	say("be traced", prctl(PR_SET_PTRACER, -1, 0, 0, 0));
	say("adopt orphans", prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	say("change personality", syscall(SYS_personality, 0x0400000));
}

static void
try_keys(void)
{
	say("add_key", syscall(SYS_add_key, "user", "banger", "x", 1L, -3));
	say("request_key", syscall(SYS_request_key, "user", "banger", NULL, -3));
	say("join a session's keys", syscall(SYS_keyctl, 1, "banger"));
	say("look at the session's keys", syscall(SYS_keyctl, 0, -3, 0));
	say("look at the user's keys", syscall(SYS_keyctl, 0, -4, 0));
	say("look at the persistent keys", syscall(SYS_keyctl, 22, -1, -3));
}

static void
try_mounts(void)
{
	say("mount", syscall(SYS_mount, "x", "/dev", "tmpfs", 0L, NULL));
	say("mount again, writable", syscall(SYS_mount, NULL, "/", NULL, 0x1020L, NULL));
	say("umount", syscall(SYS_umount2, "/proc", 2));
	say("pivot_root", syscall(SYS_pivot_root, "/", "/proc"));
	say("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
	say("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/", AT_FDCWD, "/dev", 0));
	say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	say("fspick", syscall(SYS_fspick, AT_FDCWD, "/", 0));
	say("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, NULL, 0L));
	say("swapon", syscall(SYS_swapon, "/proc/self/fd/9", 0));
	say("swapoff", syscall(SYS_swapoff, "/proc/self/fd/9"));
	say("quotactl", syscall(SYS_quotactl, 0x80000700, "/dev/vda", 0, NULL));
	say("acct", syscall(SYS_acct, "/proc/self/fd/9"));
}

static void
try_machine(void)
{
	struct timeval now = {};

	say("reboot", syscall(SYS_reboot, 0xfee1dead, 0x28121969, RB_DISABLE_CAD, NULL));
	say("kexec_load", syscall(SYS_kexec_load, 0L, 0L, NULL, 0L));
	say("kexec_file_load", syscall(SYS_kexec_file_load, FD_KERNEL, FD_INITRAMFS, 0L, "", 0L));
	say("init_module", syscall(SYS_init_module, "x", 1L, ""));
	say("finit_module", syscall(SYS_finit_module, FD_DISK, "", 0));
	say("delete_module", syscall(SYS_delete_module, "x", 0));
	say("iopl", syscall(SYS_iopl, 3));
	say("ioperm", syscall(SYS_ioperm, 0L, 1024L, 1));
	say("settimeofday", syscall(SYS_settimeofday, &now, NULL));
	say("clock_settime", syscall(SYS_clock_settime, 0, &(struct timespec){}));
	say("adjtimex", syscall(SYS_adjtimex, NULL));
	say("clock_adjtime", syscall(SYS_clock_adjtime, 0, NULL));
	say("sethostname", syscall(SYS_sethostname, "x", 1));
	say("setdomainname", syscall(SYS_setdomainname, "x", 1));
	say("syslog", syscall(SYS_syslog, 3, NULL, 0));
	say("vhangup", syscall(SYS_vhangup));
}

static void
try_interfaces(void)
{
	say("bpf", syscall(SYS_bpf, 0, NULL, 0));
	say("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0L));
	say("userfaultfd", syscall(SYS_userfaultfd, 1));
	say("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	say("io_uring_enter", syscall(SYS_io_uring_enter, 0, 0, 0, 0, NULL, 0L));
	say("io_uring_register", syscall(SYS_io_uring_register, 0, 0, NULL, 0));
	say("io_setup", syscall(SYS_io_setup, 1, NULL));
	say("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
	say("inotify_init", syscall(SYS_inotify_init1, 0));
	say("memfd_create", syscall(SYS_memfd_create, "x", 0));
	say("memfd_secret", syscall(SYS_memfd_secret, 0));
	say("shmget", syscall(SYS_shmget, 1, 4096L, 01600));
	say("msgget", syscall(SYS_msgget, 1, 01600));
	say("semget", syscall(SYS_semget, 1, 1, 01600));
	say("mq_open", syscall(SYS_mq_open, "x", 0102, 0600, NULL));
	say("mlock", syscall(SYS_mlock, NULL, 4096L));
	say("mlockall", syscall(SYS_mlockall, 3));
	say("modify_ldt", syscall(SYS_modify_ldt, 0, NULL, 0L));
	say("splice", syscall(SYS_splice, FD_DISK, NULL, 1, NULL, 1L, 0));
	say("copy_file_range",
	    syscall(SYS_copy_file_range, FD_READ_ONLY, NULL, FD_DISK, NULL, 1L, 0));
	say("sendfile", syscall(SYS_sendfile, channels.console, FD_DISK, NULL, 1L));
}

/* T35: input pushed into a terminal, and what the devices of the host would do. */
static void
try_devices(void)
{
	static const struct {
		const char *name;
		unsigned long request;
	} requests[] = {
		{ "TIOCSTI", 0x5412 },       { "TIOCLINUX", 0x541c },
		{ "TIOCSCTTY", 0x540e },     { "TIOCCONS", 0x541d },
		{ "TIOCSETD", 0x5423 },      { "KVM_CREATE_VM", 0xae01 },
		{ "BLKRRPART", 0x125f },     { "BLKDISCARD", 0x1277 },
		{ "LOOP_SET_FD", 0x4c00 },   { "FS_IOC_SETFLAGS", 0x40086602 },
		{ "FICLONE", 0x40049409 },   { "FIFREEZE", 0xc0045877 },
		{ "FITRIM", 0xc0185879 },    { "FS_IOC_RESVSP", 0x40305828 },
		{ "TUNSETIFF", 0x400454ca }, { "SIOCGIFCONF", 0x8912 },
		{ "EVIOCGRAB", 0x40044590 }, { "FIOASYNC", 0x5452 },
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		say_of("ioctl", requests[i].name,
		       syscall(SYS_ioctl, FD_DISK, requests[i].request, NULL));
}

void
try_rights(char **argv)
{
	try_ids();
	try_keys();
	try_mounts();
	try_machine();
	try_interfaces();
	try_devices();
}

/* Becomes a program that belongs to root and has the bit; that one says who it is then. */
void
try_setuid(char **argv)
{
	char fd[12];
	char *const arguments[] = { argv[1], (char *)"who", fd, NULL }, *const none[] = { NULL };

	(void)snprintf(fd, sizeof(fd), "%d", dup(channels.control));
	(void)syscall(SYS_execve, argv[1], arguments, none);
	say("execute it", -1);
}
