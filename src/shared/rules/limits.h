/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every bound that both sides of a boundary must agree on, once. Sizes are bytes unless said. */
#pragma once

#include <stdint.h>

#define BN_KIB UINT64_C(1024)
#define BN_MIB (1024 * BN_KIB)
#define BN_GIB (1024 * BN_MIB)

/* A VM's id: 128 random bits in lower-case hex. Operation ids have the same form. */
#define BN_ID_LENGTH 32

/* A VM's name is a host name label (RFC 1123, section 2.1): 1-63 of a-z 0-9 '-'. */
#define BN_VM_NAME_MAX 63
/* Names of images and kernels: as VM names, and '.' '_' ':' inside. */
#define BN_OBJECT_NAME_MAX 127
/* The release of a kernel: struct new_utsname, without the NUL. */
#define BN_RELEASE_MAX 64

#define BN_VCPUS_MAX  64
#define BN_MEMORY_MIN (64 * BN_MIB)
#define BN_MEMORY_MAX (1024 * BN_GIB)
#define BN_DISKS_MAX  4
#define BN_DISK_MIN   (64 * BN_MIB)
#define BN_DISK_MAX   (16 * 1024 * BN_GIB - BN_MIB) /* less than 2³² blocks of 4 KiB */
/* COMMAND_LINE_SIZE of x86 is 2048 with the NUL (arch/x86/include/asm/setup.h). */
#define BN_CMDLINE_MAX 2047

/* Kernel and initramfs are copied into memory: a bound for each. */
#define BN_KERNEL_MAX    (256 * BN_MIB)
#define BN_INITRAMFS_MAX (256 * BN_MIB)

/* A command in a guest: so many arguments and as many variables, and so many bytes of all of them together, each with
 * its NUL. What is within that, the channel's description and every execve(2) take (MAX_ARG_STRLEN, ARG_MAX). */
#define BN_EXEC_STRINGS_MAX 1024
#define BN_EXEC_BYTES_MAX   (128 * BN_KIB)
/* Where it begins: PATH_MAX of Linux, without the NUL. */
#define BN_WORKDIR_MAX 4095

/* Per uid, unless /etc/banger/helper.conf says otherwise. */
#define BN_VMS_PER_USER       64
#define BN_QUESTIONS_PER_USER 16

/* Subnets of users, unless it says otherwise: a thousand users with a thousand VMs each, in a part of RFC 1918's space
 * that nothing well-known picks first. */
#define BN_NET_POOL          "10.208.0.0/12"
#define BN_NET_SUBNET_LENGTH 22

/* Uids of jails: outside what passwd, subuids and systemd hand out. */
#define BN_JAIL_UID_FIRST 2013265920U
#define BN_JAIL_UID_LAST  2013331455U

/* What the jail keeps of the console while nobody reads it. */
#define BN_CONSOLE_RING (256 * BN_KIB)

#define BN_HELPER_BUS_NAME  "org.banger.Helper"
#define BN_HELPER_PATH      "/org/banger/Helper"
#define BN_HELPER_INTERFACE "org.banger.Helper"
#define BN_HELPER_RUN_DIR   "/run/banger-helper"
#define BN_HELPER_LIB_DIR   "/var/lib/banger"
#define BN_JAIL_RUN_DIR     "/run/banger-jail"
/* Where banger-jail listens, in there: made by its socket unit, or by the helper where systemd is not the init. */
#define BN_JAIL_SOCKET "socket"
