/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The seam on the real Linux. */
#pragma once

#include "helper/kernel/kernel.h"

/* What systemd is to make of a jail. */
typedef struct KernelScope {
	const char *name;
	const char *user_unit; /* of the owner: when the host goes down the scope ends behind it */
	pid_t pid;
	uint64_t memory_bytes;
} KernelScope;

typedef struct KernelRealSetup {
	const char *run_dir;      /* of the helper; exists */
	const char *jail_dir;     /* where the launcher's and the jails' sockets are */
	const char *jail_program; /* absolute; spawned where nobody listens and no systemd is */
	/* Has systemd put the process into a scope and returns when it is there; NULL: there is no
	 * systemd. */
	int (*scope_start)(const char *bus_address, const KernelScope *scope);
	const char *bus_address; /* where systemd and the host's resolver are */
	/* As names_begin and names_end of the seam. */
	int (*names_begin)(const char *bus_address, const KernelNames *names, KernelText *reterr);
	int (*names_end)(const char *bus_address, const char *bridge);
	/* firewalld lets the bridge's guests pass, or as if it had not been asked to; where it is
	 * gone there is nothing to leave. */
	int (*zone_enter)(const char *bus_address, const char *bridge);
	int (*zone_leave)(const char *bus_address, const char *bridge);
} KernelRealSetup;

/* `setup` is borrowed for as long as the kernel is used. */
void kernel_real_init(const KernelRealSetup *setup, Kernel *ret);

/* Parts of it, one file each. `setup` is the seam's ctx. */
int verdict_load(void *setup, KernelVerdict *ret);
int verdict_save(void *setup, const KernelVerdict *verdict);

/* A blocking connection to the launcher, with time limits and credentials on; starts the launcher
 * where that is ours to do. */
int launcher_connect(const KernelRealSetup *setup, int *ret_sock);
int launcher_probe(void *setup, uid_t jail_uid, KernelVerdict *ret);
int launcher_launch(void *setup, const KernelLaunch *launch, KernelJail *ret, KernelText *reterr);

int jail_connect(const char *path, int *ret_sock);
int jail_go(void *setup, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX],
	    KernelText *reterr);
int jail_find(void *setup, const char *key, uid_t jail_uid, KernelJail *ret);
int jail_open(void *setup, const KernelJail *jail, int ret_fds[static _BN_JAIL_OUT_MAX],
	      KernelText *reterr);
int jail_process(void *setup, const KernelJail *jail, int *ret_pidfd);
int jail_signal(void *setup, const KernelJail *jail, int signo, KernelText *reterr);
int jail_end(void *setup, const char *key, uid_t jail_uid);
/* Sets time limits and the passing of credentials on a connection to a jail or to the launcher. */
int jail_prepare_socket(int sock, unsigned limit_s);
/* Somebody else's text, bounded and escaped; and with an errno's meaning behind it. */
void jail_copy_text(const char *text, size_t size, KernelText *ret);
void jail_describe_error(const char *text, size_t size, int error, KernelText *ret);

int jail_files_ended(void *setup, const char *key, char ret[static KERNEL_ENDED_SIZE]);
int jail_files_remove(void *setup, const char *key);
int jail_files_list(void *setup, void (*on_key)(void *data, const char *key), void *data);

int net_look(void *setup, const BnPrefix *pool, KernelNet *ret);
int bridge_make(void *setup, const KernelBridge *bridge);
int dns_open(void *setup, const KernelBridge *bridge, int ret_fds[static 2]);
int tap_make(void *setup, const KernelTap *tap, int *ret_fd);
int tap_join(void *setup, const KernelTap *tap);
int link_remove(void *setup, const char *name);
int link_list(void *setup, void (*on_name)(void *data, const char *name), void *data);
int filter_apply(void *setup, bool base, const NetChange *changes, size_t n, KernelText *reterr);
int filter_end(void *setup);
int user_find(void *setup, uid_t uid, char ret[static KERNEL_USER_SIZE]);
int firewall_open(void *setup, const char *bridge, uint32_t guest, KernelBlock *ret_block);
int firewall_close(void *setup, const char *bridge, uint32_t guest);
int firewall_recover(void *setup, const char *bridge, uint32_t guest);
int forwarding_hold(void *setup, const KernelNet *net, const char *bridge, uint32_t guest);
int forwarding_drop(void *setup, uint32_t guest);
int forwarding_recover(void *setup, const uint32_t *guests, size_t n);
int forwarding_get(void *setup, KernelForwarding *ret);
