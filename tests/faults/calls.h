/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system calls that create or change something, as far as the helper and the jail make them.
 *
 * What an event loop does by itself (recvmsg, epoll_ctl, timerfd_settime) leaves nothing behind, and how often it does
 * it depends on who is scheduled when; so do the ioctl calls of a probe that runs against a clock. Only one of them is
 * here. */
#pragma once

#include <linux/if_tun.h>

#include "faults/notifier.h"

#define CALL(name)                                                                                 \
	{                                                                                          \
		SYS_##name, #name                                                                  \
	}

static const NotifierCall fault_calls[] = {
	CALL(mount),          CALL(umount2),       CALL(pivot_root),   CALL(mknod),
	CALL(mknodat),        CALL(mkdir),         CALL(mkdirat),      CALL(rmdir),
	CALL(symlink),        CALL(symlinkat),     CALL(link),         CALL(linkat),
	CALL(rename),         CALL(renameat),      CALL(renameat2),    CALL(unlink),
	CALL(unlinkat),       CALL(chmod),         CALL(fchmod),       CALL(fchmodat),
	CALL(chown),          CALL(fchown),        CALL(fchownat),     CALL(chdir),
	CALL(chroot),         CALL(open),          CALL(openat),       CALL(openat2),
	CALL(creat),          CALL(write),         CALL(pwrite64),     CALL(writev),
	CALL(ftruncate),      CALL(fsync),         CALL(fdatasync),    CALL(flock),
	CALL(clone),          CALL(clone3),        CALL(fork),         CALL(vfork),
	CALL(execve),         CALL(unshare),       CALL(setns),        CALL(kill),
	CALL(tgkill),         CALL(pidfd_open),    CALL(pidfd_getfd),  CALL(pidfd_send_signal),
	CALL(setuid),         CALL(setgid),        CALL(setresuid),    CALL(setresgid),
	CALL(setgroups),      CALL(setsid),        CALL(prctl),        CALL(capset),
	CALL(keyctl),         CALL(setrlimit),     CALL(prlimit64),    CALL(sethostname),
	CALL(setdomainname),  CALL(seccomp),       CALL(socket),       CALL(socketpair),
	CALL(bind),           CALL(listen),        CALL(connect),      CALL(accept4),
	CALL(shutdown),       CALL(setsockopt),    CALL(sendmsg),      CALL(sendto),
	CALL(pipe2),          CALL(dup),           CALL(dup2),         CALL(dup3),
	CALL(fcntl),          CALL(close_range),   CALL(eventfd2),     CALL(signalfd4),
	CALL(timerfd_create), CALL(epoll_create1), CALL(rt_sigaction), CALL(rt_sigprocmask),
	CALL(memfd_create),   CALL(ioctl),
};

/* Makes a tap. */
#define FAULT_IOCTL TUNSETIFF

#undef CALL
