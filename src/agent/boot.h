/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the kernel's hand-over to the guest's root: everything before the first command. Two processes share it,
 * since processors are idle now: the first one mounts the root, and its child, the agent, brings up the devices and
 * the channel to the host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shared/base/macro.h"
#include "shared/rules/boot-cmdline.h"
#include "shared/rules/frame.h"
#include "shared/rules/net-config.h"

typedef struct AgentBoot {
	BnBootRoot root;
	BnBootInit init;
	BnBootBus bus;
	char hostname[BN_VM_NAME_MAX + 1];
	BnNetConfig network; /* all 0: there is none */
} AgentBoot;

/* Where the root is mounted before it is entered. */
#define AGENT_NEW_ROOT "/newroot"

/* boot.c: the kernel's filesystems, and what the command line says. 0 or negative errno. The devices' may be
 * mounted by both processes: who comes first does it. */
int agent_boot_mount_proc(void);
int agent_boot_mount_devices(void);
int agent_boot_mount_others(void);
void agent_boot_read_cmdline(AgentBoot *ret);
/* Empty where it cannot be read. */
void agent_boot_read_id(char ret[static BN_FRAME_BOOT_ID + 1]);

/* device.c: waits for devices by the kernel's announcements. */
typedef enum AgentDisk {
	AGENT_DISK_READ_ONLY, /* the base image */
	AGENT_DISK_WRITABLE,  /* the VM's own */
} AgentDisk;

/* Writes the path of a disk as soon as there is one of the kind. Disks come in any order. */
int agent_device_wait_disk(AgentDisk kind, char ret[static 32]);
/* Opens the virtio port of this name, as soon as it is there. A descriptor or negative errno. */
int agent_device_wait_port(const char *port);
/* Returns as soon as there is a network interface of this name. 0 or negative errno. */
int agent_device_wait_card(const char *name);

/* modules.c: loads what the plan lists. What fails is said on the console. */
void agent_modules_load(const char *plan);
/* Of the plan no more than one module and what it needs; nothing where it is not listed. */
void agent_modules_load_until(const char *plan, const char *module);

/* network.c: a thread that brings up the card that `boot` (an AgentBoot) tells of, as it tells. What fails is said on
 * the console, and the guest goes on without. */
void *agent_network_run(void *boot);

/* files.c: lays files of ours over the image's, in AGENT_NEW_ROOT and below /run. */
void agent_files_cover(const AgentBoot *boot);

/* root.c: mounts the root at /newroot, with files of ours over the image's. *reterr_what names what failed. */
int agent_root_mount(const AgentBoot *boot, const char **reterr_what);
/* Moves the kernel's filesystems there: nobody finds them at their old places any more. */
int agent_root_take_filesystems(void);
/* Makes it the root of this process; for the first one, which the others' follow, also of the namespace. */
int agent_root_enter(void);
int agent_root_move(void);
/* The path of the init to become, or NULL. */
const char *agent_root_find_init(const AgentBoot *boot);

/* first.c: the first process behind the fork. By a byte on `channel` the agent tells that it has its port, is told that
 * the root is there, and tells that what waited for it has begun. */
_noreturn_ void agent_first_run(const AgentBoot *boot, pid_t agent, int channel);
/* A guest that cannot go on ends, and its VMM with it: the host reads the reason on the console. `error`: negative
 * errno. */
_noreturn_ void agent_die(const char *what, int error);

/* power.c: ends this guest, by its init where that is one to be asked. */
void agent_power_off(void);
