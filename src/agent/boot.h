/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the kernel's hand-over to the guest's root: everything before the session. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/rules/boot-cmdline.h"

typedef struct AgentBoot {
	BnBootRoot root;
	BnBootInit init;
	char hostname[BN_VM_NAME_MAX + 1];
} AgentBoot;

/* boot.c: the kernel's filesystems, and what the command line says. 0 or negative errno. */
int agent_boot_mount_kernel(void);
void agent_boot_read_cmdline(AgentBoot *ret);

/* device.c: waits for devices by the kernel's announcements. */
int agent_device_listen(void);
/* The device with this name in /dev, as soon as it is there. `uevents` is from agent_device_listen(). */
int agent_device_wait_disk(int uevents, const char *name);
/* Opens the virtio port of this name, as soon as it is there. A descriptor or negative errno. */
int agent_device_wait_port(int uevents, const char *port);

/* modules.c: loads what the plan lists, up to or after its "--". What fails is said on the console. */
void agent_modules_load(bool later);

/* root.c: mounts the root at /newroot, with the files of ours over the image's. *reterr_what names what
 * failed. */
int agent_root_mount(const AgentBoot *boot, int uevents, const char **reterr_what);
/* Makes it the root of this process. */
int agent_root_enter(void);
/* The path of the init to hand over to, or NULL. */
const char *agent_root_find_init(const AgentBoot *boot);

/* power.c: ends this guest, as its init would; `handed_over`: it has one. */
void agent_power_off(bool handed_over);
