/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"

static int
listen_events(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return bn_errno();
	return BN_TAKE_FD(fd);
}

static bool
concerns(const char *event, size_t size, const char *subsystem)
{
	for (size_t at = 0; at < size; at += strlen(event + at) + 1)
		if (strncmp(event + at, "SUBSYSTEM=", 10) == 0)
			return strcmp(event + at + 10, subsystem) == 0;
	return false;
}

/* Sleeps until the kernel announces something of the subsystem. No more is read of it: whoever waits looks for
 * itself. */
static int
wait_event(int events, const char *subsystem)
{
	char buffer[8192];
	ssize_t n;

	do {
		n = recv(events, buffer, sizeof(buffer) - 1, 0);
		if (n < 0 && errno == ENOBUFS)
			return 0;
		if (n < 0 && errno != EINTR)
			return bn_errno();
		buffer[n < 0 ? 0 : n] = '\0';
	} while (n < 0 || !concerns(buffer, (size_t)n, subsystem));
	return 0;
}

/* The line of DIRECTORY/ENTRY/NAME. NULL where there is none. */
static char *
read_attribute(const char *directory, const char *entry, const char *name)
{
	char path[320], *text = NULL;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", directory, entry, name);
	if (bn_io_read_file(AT_FDCWD, path, 256, &text, NULL) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* Finds the entry of a directory of /sys whose attribute has this value: its name. */
static bool
find_entry(const char *directory, const char *prefix, const char *attribute, const char *value,
	   char *ret, size_t size)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *text = NULL;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		text = read_attribute(directory, entry->d_name, attribute);
		if (text && strcmp(text, value) == 0)
			return snprintf(ret, size, "/dev/%s", entry->d_name) < (int)size;
	}
	return false;
}

static bool
can_open(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0;
}

int
agent_device_wait_disk(AgentDisk kind, char ret[static 32])
{
	_cleanup_close_ int events = listen_events();
	int r = BN_MIN(events, 0);

	while (r >= 0) {
		/* What is listed cannot be opened before it is announced. */
		if (find_entry("/sys/block", "vd", "ro", kind == AGENT_DISK_READ_ONLY ? "1" : "0",
			       ret, 32) &&
		    can_open(ret))
			return 0;
		r = wait_event(events, "block");
	}
	return r;
}

int
agent_device_wait_port(const char *port)
{
	_cleanup_close_ int events = listen_events();
	char path[320];
	int fd, r = BN_MIN(events, 0);

	while (r >= 0) {
		if (find_entry("/sys/class/virtio-ports", "vport", "name", port, path,
			       sizeof(path))) {
			fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
			if (fd >= 0)
				return fd;
		}
		r = wait_event(events, "virtio-ports");
	}
	return r;
}

int
agent_device_wait_card(const char *name)
{
	_cleanup_close_ int events = listen_events();
	int r = BN_MIN(events, 0);

	while (r >= 0 && if_nametoindex(name) == 0)
		r = wait_event(events, "net");
	return r;
}
