/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's card. Everything about it is known before the guest starts, so nobody has to be asked, and nothing in the
 * image has to know how. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/boot.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/io-util.h"
#include "shared/base/log.h"
#include "shared/base/macro.h"
#include "shared/rules/ipv4.h"

#define DRIVER  "virtio_net"
#define NO_IPV6 "/proc/sys/net/ipv6/conf/" BN_NET_CARD "/disable_ipv6"

static struct sockaddr
to_sockaddr(uint32_t address)
{
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };
	struct sockaddr any;

	memcpy(&any, &in, sizeof(any));
	return any;
}

/* Before the card is up, or it would make itself an address. A kernel without IPv6 has no such file. */
static int
disable_ipv6(void)
{
	_cleanup_close_ int fd = open(NO_IPV6, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : bn_errno();
	return bn_io_write_all(fd, "1", 1);
}

static int
set_up(const BnNetConfig *config, const char **reterr_what)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[] = BN_NET_CARD;
	struct rtentry route = { .rt_dev = name,
				 .rt_flags = RTF_UP | RTF_GATEWAY,
				 .rt_dst = to_sockaddr(INADDR_ANY),
				 .rt_genmask = to_sockaddr(INADDR_ANY),
				 .rt_gateway = to_sockaddr(config->gateway) };
	struct ifreq mtu = { .ifr_name = BN_NET_CARD, .ifr_mtu = (int)config->mtu };
	struct ifreq address = { .ifr_name = BN_NET_CARD,
				 .ifr_addr = to_sockaddr(config->address) };
	struct ifreq mask = { .ifr_name = BN_NET_CARD,
			      .ifr_netmask = to_sockaddr(bn_prefix_mask((uint8_t)config->prefix)) };
	struct ifreq up = { .ifr_name = BN_NET_CARD,
			    .ifr_flags = IFF_UP | IFF_BROADCAST | IFF_MULTICAST };
	const struct {
		const char *what;
		unsigned long request;
		void *argument;
	} steps[] = { { "its MTU", SIOCSIFMTU, &mtu },
		      { "its address", SIOCSIFADDR, &address },
		      { "its netmask", SIOCSIFNETMASK, &mask },
		      { "bringing it up", SIOCSIFFLAGS, &up },
		      { "the default route", SIOCADDRT, &route } };

	*reterr_what = "a socket";
	if (fd < 0)
		return bn_errno();
	for (size_t i = 0; i < BN_ELEMENTSOF(steps); i++) {
		*reterr_what = steps[i].what;
		if (ioctl(fd, steps[i].request, steps[i].argument) < 0)
			return bn_errno();
	}
	return 0;
}

static int
configure(const BnNetConfig *config, const char **reterr_what)
{
	int r;

	agent_modules_load_until("later", DRIVER);
	/* Without it no card will ever come. */
	*reterr_what = "the driver";
	if (access("/sys/bus/virtio/drivers/" DRIVER, F_OK) < 0)
		return bn_errno();
	*reterr_what = "waiting for it";
	r = agent_device_wait_card(BN_NET_CARD);
	if (r < 0)
		return r;
	*reterr_what = "IPv6";
	r = disable_ipv6();
	return r < 0 ? r : set_up(config, reterr_what);
}

void *
agent_network_run(void *boot)
{
	const char *what = NULL;
	int r = configure(&((const AgentBoot *)boot)->network, &what);

	if (r < 0)
		bn_log_error("banger: " BN_NET_CARD ": %s: %s", what, strerror(-r));
	return NULL;
}
