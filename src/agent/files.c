/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the image says of a machine is another one's: files of ours lie over it, which itself stays as it is. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"
#include "shared/rules/ipv4.h"

/* Files of ours; on a tmpfs that moves into the new root. */
#define OWN "/run/banger"

/* 127.0.1.1: of a machine without a network. */
#define OWN_LOOPBACK 0x7f000101U

/* Shows `text` in the place of the image's file. An image that has none gets an empty one in the VM's own layer
 * where `make` says so. */
static void
cover(const char *name, const char *text, bool make)
{
	char own[128], target[128];
	struct stat st;

	(void)snprintf(own, sizeof(own), OWN "/%s", name);
	(void)snprintf(target, sizeof(target), AGENT_NEW_ROOT "/etc/%s", name);
	if (make)
		(void)close(
			open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
	/* The image may have put a link there, to anywhere. */
	if (lstat(target, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (bn_io_replace_file(AT_FDCWD, own, text, strlen(text), 0644) < 0)
		return;
	(void)mount(own, target, NULL, MS_BIND, NULL);
}

/* Below /run, where there is nothing but what we laid there: the image's programs have not run yet. */
static void
lay(const char *path, const char *text)
{
	char directory[256];

	for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
		(void)snprintf(directory, sizeof(directory), "%.*s", (int)(p - path), path);
		(void)mkdir(directory, 0755);
	}
	(void)bn_io_replace_file(AT_FDCWD, path, text, strlen(text), 0644);
}

/* An image whose resolver is a service has a link to what that one writes below /run: until it does, ours lies there.
 * Any other link is left alone. */
static void
lay_behind_link(const char *name, const char *text)
{
	char link[128], target[200] = "/", *end = target + 1;
	ssize_t n;

	(void)snprintf(link, sizeof(link), AGENT_NEW_ROOT "/etc/%s", name);
	n = readlink(link, end, sizeof(target) - 2);
	if (n <= 0)
		return;
	end[n] = '\0';
	if (strncmp(end, "../", 3) == 0)
		memmove(end, end + 3, (size_t)n - 2);
	else if (*end == '/')
		memmove(end, end + 1, (size_t)n);
	if (strncmp(target, "/run/", 5) == 0 && !strstr(target, "/.") && !strstr(target, "//"))
		lay(target, text);
}

/* The card is ours to configure, and the host to ask for names: the services that an image may have for either are
 * told so. */
static void
cover_network(const BnNetConfig *network)
{
	char server[BN_IPV4_SIZE], text[64 + BN_ZONE_SIZE];
	const char *zone = network->zone, *end = *zone ? "\n" : "";

	bn_ipv4_render(network->gateway, server);
	(void)snprintf(text, sizeof(text), "nameserver %s\n%s%s%s", server, *zone ? "search " : "",
		       zone, end);
	cover("resolv.conf", text, /* make= */ true);
	lay_behind_link("resolv.conf", text);
	(void)snprintf(text, sizeof(text), "[Resolve]\nDNS=%s\n%s%s%s", server,
		       *zone ? "Domains=" : "", zone, end);
	lay("/run/systemd/resolved.conf.d/00-banger.conf", text);
	lay("/run/systemd/network/00-banger-" BN_NET_CARD ".network",
	    "[Match]\nName=" BN_NET_CARD "\n\n[Link]\nUnmanaged=yes\n");
	lay("/run/NetworkManager/conf.d/00-banger.conf",
	    "[main]\ndns=none\n\n[keyfile]\nunmanaged-devices+=interface-name:" BN_NET_CARD "\n");
}

static void
cover_hosts(const AgentBoot *boot)
{
	char address[BN_IPV4_SIZE], text[256];

	bn_ipv4_render(boot->network.address ? boot->network.address : OWN_LOOPBACK, address);
	(void)snprintf(text, sizeof(text),
		       "127.0.0.1 localhost\n%s %s\n::1 localhost ip6-localhost\n", address,
		       boot->hostname);
	cover("hosts", text, /* make= */ true);
}

void
agent_files_cover(const AgentBoot *boot)
{
	char text[BN_VM_NAME_MAX + 2];

	(void)mkdir(OWN, 0755);
	(void)snprintf(text, sizeof(text), "%s\n", boot->hostname);
	cover("hostname", text, /* make= */ true);
	cover_hosts(boot);
	/* A table of another machine's disks would make its init wait for them. */
	cover("fstab", "# The root is mounted by banger.\n", /* make= */ false);
	if (boot->network.address)
		cover_network(&boot->network);
}
