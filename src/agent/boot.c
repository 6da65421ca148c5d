/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/boot.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/rules/names.h"

int
agent_boot_mount_kernel(void)
{
	static const struct {
		const char *type, *target, *options;
		unsigned long flags;
	} mounts[] = {
		{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID },
		{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "tmpfs", "/run", "mode=0755,size=20%", MS_NOSUID | MS_NODEV },
	};

	for (size_t i = 0; i < BN_ELEMENTSOF(mounts); i++) {
		(void)mkdir(mounts[i].target, 0755);
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			  mounts[i].options) < 0 &&
		    errno != EBUSY) /* the kernel has mounted /dev itself */
			return bn_errno();
	}
	(void)mkdir("/dev/pts", 0755);
	(void)mkdir("/dev/shm", 01777);
	if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "mode=0620,gid=5,ptmxmode=0666") < 0)
		return bn_errno();
	if (mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
		return bn_errno();
	return 0;
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
	else if ((value = value_of(word, "banger.hostname=")) && bn_names_is_vm(value))
		memcpy(boot->hostname, value, strlen(value) + 1); /* bn_names_is_vm() bounds it */
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
}
