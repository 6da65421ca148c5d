/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only door from an operation to Linux.
 *
 * Every call is all-or-nothing: one that fails has left nothing behind. Every call may block, each
 * for a bounded time, and may be made from any thread. Results are untouched on failure. A jail's
 * first process runs with the VM's uid: whatever it answers is checked here, and texts come out
 * escaped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "helper/kernel/net-kernel.h"
#include "shared/base/cleanup.h"
#include "shared/rules/jail-wire.h"

typedef struct KernelText {
	char text[256]; /* printable UTF-8; may be empty */
} KernelText;

typedef struct KernelVerdict {
	bool usable;
	bool proven; /* by code that ran: good for this boot. Else it may be another one next time */
	KernelText reason;
} KernelVerdict;

typedef struct KernelLaunch {
	const char *key;
	uid_t jail_uid;
	const BnVmmSpec *spec;
	const int *fds; /* kernel, initramfs, disks, tap: as BN_JAIL_LAUNCH wants them */
	size_t n_fds;
} KernelLaunch;

/* A connection to the first process of a jail. */
typedef struct KernelJail {
	int control;
	int process; /* pidfd, -1 where the jail was found and not launched */
	uid_t jail_uid;
} KernelJail;

#define KERNEL_JAIL_INIT                                                                           \
	{                                                                                          \
		.control = -1, .process = -1                                                       \
	}

static inline void
kernel_jail_donep(KernelJail *jail)
{
	bn_closep(&jail->control);
	bn_closep(&jail->process);
}

/* "exit 255", "signal 64", "failed", "unknown" */
#define KERNEL_ENDED_SIZE 16

typedef struct Kernel Kernel;
struct Kernel {
	void *ctx;

	/* The verdict of this boot; -ENOENT where there is none yet. */
	int (*verdict_load)(void *ctx, KernelVerdict *ret);
	int (*verdict_save)(void *ctx, const KernelVerdict *verdict);
	/* Runs the functional probe in a jail of that uid. */
	int (*kvm_probe)(void *ctx, uid_t jail_uid, KernelVerdict *ret);

	/* Makes a jail; the VMM does not run yet. Dropping the connection before jail_go() ends
	 * it. */
	int (*jail_launch)(void *ctx, const KernelLaunch *launch, KernelJail *ret,
			   KernelText *reterr);
	/* Puts the jail into its systemd scope; does nothing where systemd is not the init. */
	int (*scope_start)(void *ctx, const KernelLaunch *launch, const KernelJail *jail);
	/* Starts the VMM: -ENOEXEC where its program is missing or not to be trusted. Descriptors
	 * as in BN_JAIL_OUT_…, the caller's to close. */
	int (*jail_go)(void *ctx, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX],
		       KernelText *reterr);

	/* -ENOENT where no jail of that name lives. */
	int (*jail_find)(void *ctx, const char *key, uid_t jail_uid, KernelJail *ret);
	/* Fresh connections, as jail_go(). -ENOENT where the jail is gone. */
	int (*jail_open)(void *ctx, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX],
			 KernelText *reterr);
	/* A pidfd of the first process. -ENOENT where the jail is gone. */
	int (*jail_process)(void *ctx, const KernelJail *jail, int *ret_pidfd);
	int (*jail_signal)(void *ctx, const KernelJail *jail, int signo, KernelText *reterr);

	/* After it no process of that jail runs; one that is gone already is no error. */
	int (*jail_end)(void *ctx, const char *key, uid_t jail_uid);
	/* How the VMM ended: "exit 0" …, "unknown" where nobody can tell. */
	int (*jail_ended)(void *ctx, const char *key, char ret[static KERNEL_ENDED_SIZE]);
	/* Removes the jail's files; missing ones are no error. */
	int (*jail_remove)(void *ctx, const char *key);

	/* Calls `on_key` for every jail that has a file on this host. */
	int (*jail_list)(void *ctx, void (*on_key)(void *data, const char *key), void *data);

	/* -E2BIG where there is more than fits. */
	int (*net_look)(void *ctx, const BnPrefix *pool, KernelNet *ret);
	/* One that is there with this address stays as it is; with another address it is made anew.
	 * -EEXIST where something else has the name. */
	int (*bridge_make)(void *ctx, const KernelBridge *bridge);
	/* Sockets on port 53 of an address of ours: UDP, and TCP that listens. -EADDRINUSE. */
	int (*dns_open)(void *ctx, const KernelBridge *bridge, int ret_fds[static 2]);
	/* A port of the bridge, up. It is there as long as somebody holds the descriptor. -EEXIST where
	 * somebody holds an earlier one. */
	int (*tap_make)(void *ctx, const KernelTap *tap, int *ret_fd);
	/* One that is there is a port of the bridge as if just made, whatever somebody did to it. -ENODEV. */
	int (*tap_join)(void *ctx, const KernelTap *tap);
	/* Bridge or tap; one that is gone already is no error, and what else has its name stays. */
	int (*link_remove)(void *ctx, const char *name);
	/* Calls `on_name` for every bridge and tap whose name is one of ours. */
	int (*link_list)(void *ctx, void (*on_name)(void *data, const char *name), void *data);
	/* All or nothing; with `base` the tables are made anew. -ENOENT where they are not there. */
	int (*filter_apply)(void *ctx, bool base, const NetChange *changes, size_t n,
			    KernelText *reterr);
	int (*filter_end)(void *ctx);

	/* -ENOENT where nobody has that uid. */
	int (*user_find)(void *ctx, uid_t uid, char ret[static KERNEL_USER_SIZE]);
	/* The host's resolver asks there from now on; called again it tells it anew. One that failed may be half done,
	 * which names_end() mends. -ENOPKG where there is no such resolver. */
	int (*names_begin)(void *ctx, const KernelNames *names, KernelText *reterr);
	/* Where bridge or resolver are gone there is nothing to do. */
	int (*names_end)(void *ctx, const char *bridge);

	/* Packet filters of others let the bridge's guests pass from now on, until closed for the last
	 * that it was opened for; called again it looks again. -EHOSTUNREACH where one does not, told
	 * in `ret_block`. */
	int (*firewall_open)(void *ctx, const char *bridge, uint32_t guest, KernelBlock *ret_block);
	int (*firewall_close)(void *ctx, const char *bridge, uint32_t guest);
	/* A predecessor has opened them for that one, perhaps; nothing is done about it. */
	int (*firewall_recover)(void *ctx, const char *bridge, uint32_t guest);

	/* The interfaces of `net` that lead anywhere forward from now on for this guest, and its user's
	 * bridge; what of them did not before is in the filter's set of uplinks as long as it does.
	 * Called again it looks again. -ENOENT where the tables are gone. One that fails has switched
	 * nothing on. */
	int (*forwarding_hold)(void *ctx, const KernelNet *net, const char *bridge, uint32_t guest);
	/* With the last guest they are as they were. */
	int (*forwarding_drop)(void *ctx, uint32_t guest);
	int (*forwarding_get)(void *ctx, KernelForwarding *ret);
	/* These guests have it, after a predecessor that may have ended anywhere. */
	int (*forwarding_recover)(void *ctx, const uint32_t *guests, size_t n);
};
