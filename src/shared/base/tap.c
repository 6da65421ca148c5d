/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/base/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "shared/base/errno-util.h"
#include "shared/base/macro.h"

/* TUN_MINOR, among the miscellaneous devices (linux/miscdevice.h). */
#define TUN_DEVICE makedev(10, 200)

#define WANTED (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static_assert(BN_TAP_NAME_SIZE == IFNAMSIZ, "a name of the kernel's");

int
bn_tap_check(int fd, char ret_name[static BN_TAP_NAME_SIZE])
{
	int flags = fcntl(fd, F_GETFL);
	struct ifreq request = {};
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return bn_errno();
	if (!S_ISCHR(st.st_mode) || st.st_rdev != TUN_DEVICE || (flags & O_PATH) ||
	    (flags & O_ACCMODE) != O_RDWR)
		return -EINVAL;
	if (ioctl(fd, TUNGETIFF, &request) < 0)
		return bn_errno();
	/* IFF_NO_PI is IFF_NOFILTER too: a tap with a header before each frame, which no guest understands, cannot be
	 * told from ours. */
	if ((unsigned short)request.ifr_flags != WANTED)
		return -EPROTO;
	memcpy(ret_name, request.ifr_name, BN_TAP_NAME_SIZE);
	ret_name[BN_TAP_NAME_SIZE - 1] = '\0';
	return 0;
}
