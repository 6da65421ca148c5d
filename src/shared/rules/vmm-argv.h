/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VMM's argument list, from a checked spec. Pure: the same spec gives the same list, byte for byte. */
#pragma once

#include <stddef.h>

#include "shared/rules/vmm-spec.h"

/* Numbers of the descriptors the VMM is started with. Everything else is closed before it runs. */
enum {
	BN_VMM_FD_KERNEL = 3,
	BN_VMM_FD_INITRAMFS = 4,
	BN_VMM_FD_AGENT = 5,   /* listening unix socket: the agent's virtio-serial port */
	BN_VMM_FD_CONTROL = 6, /* listening unix socket: QMP */
	BN_VMM_FD_CONSOLE = 7, /* listening unix socket: the first serial port */
	BN_VMM_FD_DISK =
		8, /* and the following, one per disk; behind them the tap, if there is one */
	_BN_VMM_FD_MAX = BN_VMM_FD_DISK + BN_DISKS_MAX + 1,
};

/* Name of the guest's virtio-serial port, /dev/virtio-ports/… in a guest with udev. */
#define BN_VMM_AGENT_PORT "org.banger.agent.0"

/* The one program that is ever started; no option and no variable names another. */
#define BN_VMM_QEMU "/usr/bin/qemu-system-x86_64"

#define BN_VMM_ARGS_MAX  96
#define BN_VMM_ARGS_SIZE 8192

typedef struct BnVmmArgv {
	/* NULL-terminated; args[0] is the absolute path of the program. All point into `text`. */
	char *args[BN_VMM_ARGS_MAX + 1];
	size_t n;
	char text[BN_VMM_ARGS_SIZE];
	size_t used;
} BnVmmArgv;

/* `spec` has passed bn_vmm_spec_check(). 0, or -E2BIG where the list does not fit. */
int bn_vmm_argv_make(const BnVmmSpec *spec, BnVmmArgv *ret);
