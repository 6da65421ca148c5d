/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A seccomp filter that asks its listener about some system calls, and allows all others. */
#pragma once

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct NotifierCall {
	int nr;
	const char *name;
} NotifierCall;

#define NOTIFIER_CALLS_MAX 128

/* For this process and all that come of it. Of ioctl it is that `request` alone, 0: none. The
 * listener, or -1 with errno. */
static inline int
notifier_install(const NotifierCall *calls, size_t n_calls, unsigned request)
{
	const struct sock_filter ioctl_code[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_filter code[NOTIFIER_CALLS_MAX * 2 + 6];
	struct sock_fprog program = { .filter = code };
	size_t n = 0;

	if (n_calls > NOTIFIER_CALLS_MAX) {
		errno = E2BIG;
		return -1;
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n_calls; i++) {
		if (calls[i].nr == SYS_ioctl)
			continue;
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)calls[i].nr, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	for (size_t i = 0; i < sizeof(ioctl_code) / sizeof(*ioctl_code); i++)
		code[n++] = ioctl_code[i];
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &program);
}
