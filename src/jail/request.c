/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/request.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/errno-util.h"
#include "shared/base/macro.h"
#include "shared/base/tap.h"

/* The helper has a range of its own from its configuration; this is what no range may ever hold:
 * root, people, system users, and the number that means "leave it as it is". */
#define UID_LEAST 65536U

/* The key becomes a file name: exactly what bn_derive_key() makes, and no byte behind its end. */
static bool
is_key(const char key[static BN_DERIVE_KEY_SIZE])
{
	size_t n = strnlen(key, BN_DERIVE_KEY_SIZE);
	char vm[BN_ID_LENGTH + 1];
	uid_t uid;

	if (n == BN_DERIVE_KEY_SIZE)
		return false;
	for (size_t i = n; i < BN_DERIVE_KEY_SIZE; i++)
		if (key[i] != '\0')
			return false;
	return bn_derive_parse_key(key, &uid, vm) >= 0;
}

static int
check_file(int fd, uint64_t max, int *ret_mode)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return bn_errno();
	/* O_PATH has an access mode of "read" and reads nothing. */
	if (!S_ISREG(st.st_mode) || (flags & O_PATH) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > max)
		return -EINVAL;
	*ret_mode = flags & O_ACCMODE;
	/* By /proc/self/fd the VMM can open it once more, as its own uid: then the file's mode
	 * decides, and no directory that would have to be passed. */
	if (*ret_mode == O_RDONLY && (st.st_mode & S_IWOTH) && !bn_fd_is_sealed(fd))
		return -EPERM;
	return 0;
}

/* The VMM gets this very descriptor, and what is behind it may be shared with other VMs. A memfd is
 * always open for writing, too; there the seals must forbid it. */
static int
check_boot_file(int fd, uint64_t max)
{
	int mode, r = check_file(fd, max, &mode);

	if (r < 0 || mode == O_RDONLY)
		return r;
	return mode == O_RDWR && bn_fd_is_sealed(fd) ? 0 : -EBADF;
}

/* What the spec calls read-only must be so by its descriptor, and the other way round. */
static int
check_disk(int fd, bool read_only)
{
	int mode, r = check_file(fd, BN_DISK_MAX, &mode);

	if (r < 0)
		return r;
	return mode == (read_only ? O_RDONLY : O_RDWR) ? 0 : -EBADF;
}

/* The card's address is the one that the tap's name stands for, or the host would let nothing of it pass. */
static int
check_tap(int fd, const BnVmmSpec *spec)
{
	char name[BN_TAP_NAME_SIZE];
	uint8_t mac[BN_MAC_LENGTH];
	uint32_t address;
	int r = bn_tap_check(fd, name);

	if (r < 0)
		return r;
	if (bn_net_tap_address(name, &address) < 0)
		return -EINVAL;
	bn_net_mac(address, mac);
	return memcmp(mac, spec->mac, sizeof(mac)) == 0 ? 0 : -EINVAL;
}

static int
check_launch(const Jail *jail, const char **reterr_what)
{
	const BnVmmSpec *spec = &jail->request.spec;
	int r;

	*reterr_what = "key";
	if (!is_key(jail->request.key))
		return -EINVAL;
	*reterr_what = bn_vmm_spec_check(spec);
	if (*reterr_what)
		return -EINVAL;
	*reterr_what = "descriptors";
	if (jail->n_fds != BN_JAIL_FD_DISK + spec->n_disks + spec->network)
		return -EINVAL;
	*reterr_what = "kernel";
	r = check_boot_file(jail->fds[BN_JAIL_FD_KERNEL], BN_KERNEL_MAX);
	if (r < 0)
		return r;
	*reterr_what = "initramfs";
	r = check_boot_file(jail->fds[BN_JAIL_FD_INITRAMFS], BN_INITRAMFS_MAX);
	if (r < 0)
		return r;
	*reterr_what = "disks";
	for (size_t i = 0; i < spec->n_disks && r >= 0; i++)
		r = check_disk(jail->fds[BN_JAIL_FD_DISK + i], spec->disk_read_only[i]);
	if (r < 0 || !spec->network)
		return r;
	*reterr_what = "network";
	return check_tap(jail->fds[BN_JAIL_FD_DISK + spec->n_disks], spec);
}

static int
check_request(const Jail *jail, const char **reterr_what)
{
	const BnJailRequest *request = &jail->request;

	*reterr_what = "magic";
	if (request->magic != BN_JAIL_WIRE_MAGIC)
		return -EBADMSG;
	*reterr_what = "uid";
	if (request->jail_uid < UID_LEAST || request->jail_uid > UINT32_MAX - 2)
		return -EINVAL;
	if (request->verb == BN_JAIL_LAUNCH)
		return check_launch(jail, reterr_what);
	*reterr_what = "verb";
	if (request->verb != BN_JAIL_PROBE)
		return -EINVAL;
	*reterr_what = "descriptors";
	return jail->n_fds == 0 ? 0 : -EINVAL;
}

int
request_receive(int sock, Jail *jail, const char **reterr_what)
{
	ssize_t n = bn_fd_receive(sock, &jail->request, sizeof(jail->request), jail->fds,
				  BN_ELEMENTSOF(jail->fds), &jail->n_fds);

	*reterr_what = "size";
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -ECONNRESET;
	if (n != sizeof(jail->request))
		return -EBADMSG;
	return check_request(jail, reterr_what);
}
