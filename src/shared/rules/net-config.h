/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest is told of its network, on the kernel's command line. Pure. Addresses are in host order. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/rules/net.h"

/* The guest's name for its card. */
#define BN_NET_CARD "eth0"

/* RFC 791: what every host has to take in one piece; and the largest that a card of virtio can have. */
#define BN_NET_MTU_MIN 576
#define BN_NET_MTU_MAX 65535

/* All 0: no network. */
typedef struct BnNetConfig {
	uint32_t address;
	uint32_t gateway; /* who knows names, too */
	uint32_t prefix;  /* length of the subnet's mask */
	uint32_t mtu;
	/* What the names of its neighbours end in; "": nobody says. No gap is behind it, since these are compared as a
	 * whole. */
	char zone[BN_ZONE_SIZE + 1];
} BnNetConfig;

/* Both are addresses of hosts in one subnet, of 8 to 30 bits, the MTU is within its bounds, and the zone is one, or
 * none. */
bool bn_net_config_is_valid(const BnNetConfig *config);

#define BN_NET_WORDS_SIZE (128 + BN_ZONE_SIZE)

/* The words, parted by spaces: "banger.address=10.0.0.2/24 banger.gateway=10.0.0.1 banger.mtu=1500 banger.domain=dev.vm",
 * the last where there is a zone. */
void bn_net_config_render(const BnNetConfig *config, char ret[static BN_NET_WORDS_SIZE]);
/* Reads one of these words. False where it is another, or its value is none: then nothing is changed. */
bool bn_net_config_parse_word(const char *word, BnNetConfig *config);
