/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"

int
agent_device_listen(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return bn_errno();
	return BN_TAKE_FD(fd);
}

/* Sleeps until the kernel announces anything. What it says is not read: whoever waits looks for itself. */
static int
wait_event(int uevents)
{
	char buffer[8192];

	return recv(uevents, buffer, sizeof(buffer), 0) < 0 && errno != EINTR && errno != ENOBUFS
		       ? bn_errno()
		       : 0;
}

int
agent_device_wait_disk(int uevents, const char *name)
{
	char path[64];
	struct stat st;
	int r = 0;

	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	while (r >= 0) {
		if (stat(path, &st) == 0)
			return 0;
		r = wait_event(uevents);
	}
	return r;
}

/* The directory entry, like "vport1p1", of the port with this name. */
static bool
find_port(const char *port, char *ret, size_t size)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *name = NULL;
		char path[320];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			       entry->d_name);
		if (bn_io_read_file(AT_FDCWD, path, 256, &name, NULL) < 0)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, port) == 0)
			return snprintf(ret, size, "/dev/%s", entry->d_name) < (int)size;
	}
	return false;
}

int
agent_device_wait_port(int uevents, const char *port)
{
	char path[320];
	int fd, r = 0;

	while (r >= 0) {
		if (find_port(port, path, sizeof(path))) {
			fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
			if (fd >= 0)
				return fd;
		}
		r = wait_event(uevents);
	}
	return r;
}
