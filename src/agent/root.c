/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/macro.h"
#include "shared/rules/init.h"

/* Where the parts of the overlay are; out of sight once the root is entered. */
#define BASE "/base"
#define DATA "/data"

/* Mounts a disk as soon as it is there. */
static int
mount_ext4(AgentDisk kind, const char *target, unsigned long flags)
{
	char device[32];
	int r = agent_device_wait_disk(kind, device);

	if (r < 0)
		return r;
	return mount(device, target, "ext4", flags | MS_NOATIME, NULL) < 0 ? bn_errno() : 0;
}

/* A thread: the two disks do not wait for each other. */
static void *
mount_data(void *data)
{
	int *ret = data;

	*ret = mount_ext4(AGENT_DISK_WRITABLE, DATA, 0);
	/* They come with the disk, unless somebody else made it. */
	if (*ret >= 0 && ((mkdir(DATA "/upper", 0755) < 0 && errno != EEXIST) ||
			  (mkdir(DATA "/work", 0700) < 0 && errno != EEXIST)))
		*ret = bn_errno();
	return NULL;
}

static int
mount_overlay(const char **reterr_what)
{
	pthread_t thread;
	int base, data = 0, error;

	*reterr_what = "a thread";
	error = pthread_create(&thread, NULL, mount_data, &data);
	if (error != 0)
		return -error;
	base = mount_ext4(AGENT_DISK_READ_ONLY, BASE, MS_RDONLY);
	(void)pthread_join(thread, NULL);
	*reterr_what = base < 0 ? "the base image" : "the VM's disk";
	if (base < 0 || data < 0)
		return BN_MIN(base, data);
	*reterr_what = "the overlay";
	return mount("overlay", AGENT_NEW_ROOT, "overlay", 0,
		     "lowerdir=" BASE ",upperdir=" DATA "/upper,workdir=" DATA "/work") < 0
		       ? bn_errno()
		       : 0;
}

int
agent_root_mount(const AgentBoot *boot, const char **reterr_what)
{
	int r;

	*reterr_what = "the root disk";
	if (boot->root == BN_BOOT_ROOT_NONE)
		return 0;
	if (boot->root == BN_BOOT_ROOT_DISK)
		r = mount_ext4(AGENT_DISK_WRITABLE, AGENT_NEW_ROOT, 0);
	else
		r = mount_overlay(reterr_what);
	if (r < 0)
		return r;
	agent_files_cover(boot);
	*reterr_what = "the host name";
	if (boot->hostname[0] && sethostname(boot->hostname, strlen(boot->hostname)) < 0)
		return bn_errno();
	return 0;
}

/* Images without these directories get them in the VM's own layer. */
int
agent_root_take_filesystems(void)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };

	for (size_t i = 0; i < BN_ELEMENTSOF(moved); i++) {
		char target[64];

		(void)snprintf(target, sizeof(target), AGENT_NEW_ROOT "%s", moved[i]);
		(void)mkdir(target, 0755);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0)
			return bn_errno();
	}
	return 0;
}

int
agent_root_enter(void)
{
	return chroot(AGENT_NEW_ROOT) < 0 || chdir("/") < 0 ? bn_errno() : 0;
}

int
agent_root_move(void)
{
	if (chdir(AGENT_NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
	    chroot(".") < 0 || chdir("/") < 0)
		return bn_errno();
	return 0;
}

const char *
agent_root_find_init(const AgentBoot *boot)
{
	if (boot->init != BN_BOOT_INIT_AUTO)
		return NULL;
	for (size_t i = 0; i < BN_INIT_PATHS; i++)
		if (access(bn_init_paths[i], X_OK) == 0)
			return bn_init_paths[i];
	return NULL;
}
