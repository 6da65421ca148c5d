/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/boot.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/log.h"
#include "shared/base/macro.h"
#include "shared/rules/names.h"

typedef struct KernelMount {
	const char *type, *target, *options;
	unsigned long flags;
	mode_t mode;
} KernelMount;

static int
mount_all(const KernelMount *mounts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)mkdir(mounts[i].target, mounts[i].mode);
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			  mounts[i].options) < 0 &&
		    errno != EBUSY) /* by the kernel, or by the other process */
			return bn_errno();
	}
	return 0;
}

int
agent_boot_mount_proc(void)
{
	static const KernelMount mounts[] = {
		{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0755 },
	};

	return mount_all(mounts, BN_ELEMENTSOF(mounts));
}

int
agent_boot_mount_devices(void)
{
	static const KernelMount mounts[] = {
		{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID, 0755 },
		{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0755 },
	};

	return mount_all(mounts, BN_ELEMENTSOF(mounts));
}

int
agent_boot_mount_others(void)
{
	static const KernelMount mounts[] = {
		{ "tmpfs", "/run", "mode=0755,size=20%", MS_NOSUID | MS_NODEV, 0755 },
		{ "devpts", "/dev/pts", "mode=0620,gid=5,ptmxmode=0666", MS_NOSUID | MS_NOEXEC,
		  0755 },
		{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, 01777 },
	};

	return mount_all(mounts, BN_ELEMENTSOF(mounts));
}

static const char *
value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 ? word + n : NULL;
}

static void
read_word(const char *word, AgentBoot *boot)
{
	const char *value;

	if ((value = value_of(word, "banger.root=")))
		boot->root = bn_boot_root_from_string(value);
	else if ((value = value_of(word, "banger.init=")))
		boot->init = bn_boot_init_from_string(value);
	else if ((value = value_of(word, "banger.bus=")))
		boot->bus = bn_boot_bus_from_string(value);
	else if ((value = value_of(word, "banger.hostname=")) && bn_names_is_vm(value))
		memcpy(boot->hostname, value, strlen(value) + 1); /* bn_names_is_vm() bounds it */
	else
		(void)bn_net_config_parse_word(word, &boot->network);
}

static void
check_network(BnNetConfig *config)
{
	static const BnNetConfig none;

	if (bn_net_config_is_valid(config))
		return;
	if (memcmp(config, &none, sizeof(none)) != 0)
		bn_log_error("banger: the command line's network is none");
	*config = none;
}

void
agent_boot_read_cmdline(AgentBoot *ret)
{
	_cleanup_free_ char *text = NULL;
	char *p;

	*ret = (AgentBoot){ .root = BN_BOOT_ROOT_NONE, .init = BN_BOOT_INIT_NONE };
	if (bn_io_read_file(AT_FDCWD, "/proc/cmdline", BN_CMDLINE_MAX + 1, &text, NULL) < 0)
		return;
	p = text;
	for (char *word; (word = strsep(&p, " \n"));)
		read_word(word, ret);
	check_network(&ret->network);
}

void
agent_boot_read_id(char ret[static BN_FRAME_BOOT_ID + 1])
{
	_cleanup_free_ char *text = NULL;

	ret[0] = '\0';
	if (bn_io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL) >= 0)
		(void)snprintf(ret, BN_FRAME_BOOT_ID + 1, "%.*s", BN_FRAME_BOOT_ID, text);
}
