/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"

#define NEW_ROOT "/newroot"
/* Where the parts of the overlay are; out of sight once the root is entered. */
#define BASE "/base"
#define DATA "/data"
/* Files of ours; on a tmpfs that moves into the new root. */
#define OWN "/run/banger"

static int
mount_overlay(int uevents, const char **reterr_what)
{
	(void)mkdir(BASE, 0755);
	(void)mkdir(DATA, 0755);
	*reterr_what = "the base image (vda)";
	if (agent_device_wait_disk(uevents, "vda") < 0 ||
	    mount("/dev/vda", BASE, "ext4", MS_RDONLY | MS_NOATIME, NULL) < 0)
		return bn_errno();
	*reterr_what = "the VM's disk (vdb)";
	if (agent_device_wait_disk(uevents, "vdb") < 0 ||
	    mount("/dev/vdb", DATA, "ext4", MS_NOATIME, NULL) < 0)
		return bn_errno();
	*reterr_what = "the overlay";
	if ((mkdir(DATA "/upper", 0755) < 0 && errno != EEXIST) ||
	    (mkdir(DATA "/work", 0700) < 0 && errno != EEXIST) ||
	    mount("overlay", NEW_ROOT, "overlay", 0,
		  "lowerdir=" BASE ",upperdir=" DATA "/upper,workdir=" DATA "/work") < 0)
		return bn_errno();
	return 0;
}

static int
mount_disk(int uevents, const char **reterr_what)
{
	*reterr_what = "the root disk (vda)";
	if (agent_device_wait_disk(uevents, "vda") < 0 ||
	    mount("/dev/vda", NEW_ROOT, "ext4", MS_NOATIME, NULL) < 0)
		return bn_errno();
	return 0;
}

/* Shows `text` in the place of the image's file, which itself stays as it is. An image that has no
 * such file goes without. */
static void
cover(const char *name, const char *text)
{
	char own[128], target[128];
	struct stat st;

	(void)snprintf(own, sizeof(own), OWN "/%s", name);
	(void)snprintf(target, sizeof(target), NEW_ROOT "/etc/%s", name);
	/* The image may have put a link there, to anywhere. */
	if (lstat(target, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (bn_io_replace_file(AT_FDCWD, own, text, strlen(text), 0644) < 0)
		return;
	(void)mount(own, target, NULL, MS_BIND, NULL);
}

static void
cover_files(const AgentBoot *boot)
{
	char text[256];

	(void)mkdir(OWN, 0755);
	(void)snprintf(text, sizeof(text), "%s\n", boot->hostname);
	cover("hostname", text);
	(void)snprintf(text, sizeof(text),
		       "127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n",
		       boot->hostname);
	cover("hosts", text);
	/* A table of another machine's disks would make its init wait for them. */
	cover("fstab", "# The root is mounted by banger.\n");
}

int
agent_root_mount(const AgentBoot *boot, int uevents, const char **reterr_what)
{
	int r;

	(void)mkdir(NEW_ROOT, 0755);
	if (boot->root == BN_BOOT_ROOT_DISK)
		r = mount_disk(uevents, reterr_what);
	else
		r = mount_overlay(uevents, reterr_what);
	if (r < 0)
		return r;
	if (boot->hostname[0] && sethostname(boot->hostname, strlen(boot->hostname)) < 0)
		return bn_errno();
	cover_files(boot);
	return 0;
}

int
agent_root_enter(void)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys", "/run" };

	for (size_t i = 0; i < BN_ELEMENTSOF(moved); i++) {
		char target[64];

		(void)snprintf(target, sizeof(target), NEW_ROOT "%s", moved[i]);
		/* Images without these directories get them in the VM's own layer. */
		(void)mkdir(target, 0755);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0)
			return bn_errno();
	}
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return bn_errno();
	return 0;
}

const char *
agent_root_find_init(const AgentBoot *boot)
{
	static const char *const paths[] = { "/sbin/init", "/lib/systemd/systemd",
					     "/usr/lib/systemd/systemd", "/bin/init" };

	if (boot->init != BN_BOOT_INIT_AUTO)
		return NULL;
	for (size_t i = 0; i < BN_ELEMENTSOF(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}
