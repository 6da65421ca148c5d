/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and hardware addresses of the network's parts, derived from who owns them, never accepted from outside.
 * Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/rules/limits.h"

/* IFNAMSIZ of linux/if.h, with the NUL. */
#define BN_LINK_NAME_SIZE 16
#define BN_MAC_LENGTH     6
#define BN_MAC_SIZE       sizeof("02:62:00:00:00:00")
/* Of every tap's name, and of no bridge's; the filter knows taps by it. */
#define BN_NET_TAP_PREFIX    "bgr-t"
#define BN_NET_BRIDGE_PREFIX "bgr-u"

/* "bgr-u" and the uid. */
void bn_net_bridge_name(uid_t uid, char ret[static BN_LINK_NAME_SIZE]);
/* "bgr-t" and the address in hex: no two taps of a host have the same. */
void bn_net_tap_name(uint32_t address, char ret[static BN_LINK_NAME_SIZE]);
/* -EINVAL where it is no such name. */
int bn_net_tap_address(const char *name, uint32_t *ret);
/* Locally administered (IEEE 802, the second-lowest bit of the first byte), then the address. */
void bn_net_mac(uint32_t address, uint8_t ret[static BN_MAC_LENGTH]);
void bn_net_mac_render(const uint8_t mac[static BN_MAC_LENGTH], char ret[static BN_MAC_SIZE]);

/* What the names of a user's VMs end in: the user's name and ".vm"; "u1000.vm" where there is none, or it is no label
 * of a host's name, or looks like that one: no two users of a host have the same. */
#define BN_ZONE_SIZE (BN_VM_NAME_MAX + sizeof(".vm"))
void bn_net_zone_name(const char *user, uid_t uid, char ret[static BN_ZONE_SIZE]);
bool bn_net_is_zone(const char *name);
