/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/str-util.h"
#include "shared/rules/names.h"

#define ZONE_SUFFIX ".vm"
#define UID_LETTER  'u'

void
bn_net_bridge_name(uid_t uid, char ret[static BN_LINK_NAME_SIZE])
{
	(void)snprintf(ret, BN_LINK_NAME_SIZE, BN_NET_BRIDGE_PREFIX "%u", uid);
}

void
bn_net_tap_name(uint32_t address, char ret[static BN_LINK_NAME_SIZE])
{
	(void)snprintf(ret, BN_LINK_NAME_SIZE, BN_NET_TAP_PREFIX "%08x", address);
}

int
bn_net_tap_address(const char *name, uint32_t *ret)
{
	const size_t prefix = sizeof(BN_NET_TAP_PREFIX) - 1;
	char again[BN_LINK_NAME_SIZE];
	uint32_t address;

	if (strncmp(name, BN_NET_TAP_PREFIX, prefix) != 0)
		return -EINVAL;
	address = (uint32_t)strtoul(name + prefix, NULL, 16);
	/* In this spelling and no other. */
	bn_net_tap_name(address, again);
	if (strcmp(again, name) != 0)
		return -EINVAL;
	*ret = address;
	return 0;
}

void
bn_net_mac(uint32_t address, uint8_t ret[static BN_MAC_LENGTH])
{
	const uint8_t mac[BN_MAC_LENGTH] = { 0x02,
					     'b',
					     (uint8_t)(address >> 24),
					     (uint8_t)(address >> 16),
					     (uint8_t)(address >> 8),
					     (uint8_t)address };

	memcpy(ret, mac, sizeof(mac));
}

void
bn_net_mac_render(const uint8_t mac[static BN_MAC_LENGTH], char ret[static BN_MAC_SIZE])
{
	(void)snprintf(ret, BN_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
}

/* "u1000", of whomever. */
static bool
is_of_a_uid(const char *label)
{
	return label[0] == UID_LETTER && label[1] != '\0' &&
	       strspn(label + 1, "0123456789") == strlen(label + 1);
}

void
bn_net_zone_name(const char *user, uid_t uid, char ret[static BN_ZONE_SIZE])
{
	if (user && bn_names_is_vm(user) && !is_of_a_uid(user))
		(void)snprintf(ret, BN_ZONE_SIZE, "%s" ZONE_SUFFIX, user);
	else
		(void)snprintf(ret, BN_ZONE_SIZE, "%c%u" ZONE_SUFFIX, UID_LETTER, uid);
}

bool
bn_net_is_zone(const char *name)
{
	const size_t suffix = sizeof(ZONE_SUFFIX) - 1;
	char label[BN_ZONE_SIZE];
	size_t n;

	if (bn_str_copy(label, sizeof(label), name) < 0)
		return false;
	n = strlen(label);
	if (n <= suffix || strcmp(label + n - suffix, ZONE_SUFFIX) != 0)
		return false;
	label[n - suffix] = '\0';
	return bn_names_is_vm(label);
}
