/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the kernel's hand-over to the guest's root: everything before the first command. Two processes share it,
 * since processors are idle now: the first one brings up the devices and the channel to the host, the other one
 * the root. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/rules/boot-cmdline.h"

typedef struct AgentBoot {
	BnBootRoot root;
	BnBootInit init;
	char hostname[BN_VM_NAME_MAX + 1];
} AgentBoot;

/* boot.c: the kernel's filesystems, and what the command line says. 0 or negative errno. The first are what
 * devices are found by, the others what programs expect. */
int agent_boot_mount_first(void);
int agent_boot_mount_others(void);
void agent_boot_read_cmdline(AgentBoot *ret);

/* device.c: waits for devices by the kernel's announcements. */
typedef enum AgentDisk {
	AGENT_DISK_READ_ONLY, /* the base image */
	AGENT_DISK_WRITABLE,  /* the VM's own */
} AgentDisk;

/* Of which kind the devices of this machine are: the name of the modules' plan. */
const char *agent_device_bus(void);
/* Writes the path of a disk as soon as there is one of the kind. Disks come in any order. */
int agent_device_wait_disk(AgentDisk kind, char ret[static 32]);
/* Opens the virtio port of this name, as soon as it is there. A descriptor or negative errno. */
int agent_device_wait_port(const char *port);

/* modules.c: loads what the plan lists. What fails is said on the console. */
void agent_modules_load(const char *plan);

/* root.c: mounts the root at /newroot, with the files of ours over the image's. *reterr_what names what
 * failed. */
int agent_root_mount(const AgentBoot *boot, const char **reterr_what);
/* Makes it the root of this process. */
int agent_root_enter(void);
/* The path of the init to hand over to, or NULL. */
const char *agent_root_find_init(const AgentBoot *boot);

/* prepare.c: the other process. Returns a socket, on which it says how it went, or negative errno. */
int agent_prepare_start(const AgentBoot *boot);
/* What it said: 0, or negative errno with *reterr_what naming what failed (static). Waits for it. */
int agent_prepare_finish(int fd, const char **reterr_what);
/* Lets it load the modules that could wait. Closes the socket. */
void agent_prepare_rest(int fd);

/* power.c: ends this guest, as its init would; `handed_over`: it has one. */
void agent_power_off(bool handed_over);
