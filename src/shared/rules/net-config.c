/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/net-config.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/str-util.h"
#include "shared/rules/ipv4.h"

#define PREFIX_MIN 8
#define PREFIX_MAX 30

#define ADDRESS_WORD "banger.address="
#define GATEWAY_WORD "banger.gateway="
#define MTU_WORD     "banger.mtu="
#define ZONE_WORD    "banger.domain="

/* Neither the subnet's own address nor its broadcast; neither this host, loopback nor multicast. */
static bool
is_host(uint32_t address, uint32_t mask)
{
	uint32_t first = address >> 24;

	return (address & ~mask) != 0 && (address & ~mask) != ~mask && first != 0 && first != 127 &&
	       first < 224;
}

bool
bn_net_config_is_valid(const BnNetConfig *config)
{
	uint32_t mask;

	if (config->prefix < PREFIX_MIN || config->prefix > PREFIX_MAX)
		return false;
	mask = bn_prefix_mask((uint8_t)config->prefix);
	return config->mtu >= BN_NET_MTU_MIN && config->mtu <= BN_NET_MTU_MAX &&
	       is_host(config->address, mask) && is_host(config->gateway, mask) &&
	       config->address != config->gateway &&
	       (config->zone[0] == '\0' || bn_net_is_zone(config->zone)) &&
	       (config->address & mask) == (config->gateway & mask);
}

void
bn_net_config_render(const BnNetConfig *config, char ret[static BN_NET_WORDS_SIZE])
{
	char address[BN_IPV4_SIZE], gateway[BN_IPV4_SIZE];

	bn_ipv4_render(config->address, address);
	bn_ipv4_render(config->gateway, gateway);
	(void)snprintf(ret, BN_NET_WORDS_SIZE,
		       ADDRESS_WORD "%s/%u " GATEWAY_WORD "%s " MTU_WORD "%u%s%s", address,
		       config->prefix, gateway, config->mtu, config->zone[0] ? " " ZONE_WORD : "",
		       config->zone);
}

static bool
parse_number(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t value;

	if (bn_str_parse_u64(text, max, &value) < 0)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* Not a prefix: bits behind the length are the host's. */
static bool
parse_subnet(const char *text, BnNetConfig *config)
{
	char copy[BN_PREFIX_SIZE], *length = copy;
	BnNetConfig read = *config;

	if (bn_str_copy(copy, sizeof(copy), text) < 0)
		return false;
	(void)strsep(&length, "/");
	if (!length || bn_ipv4_parse(copy, &read.address) < 0 ||
	    !parse_number(length, PREFIX_MAX, &read.prefix))
		return false;
	*config = read;
	return true;
}

static bool
parse_zone(const char *text, BnNetConfig *config)
{
	if (!bn_net_is_zone(text))
		return false;
	memset(config->zone, 0, sizeof(config->zone));
	return bn_str_copy(config->zone, sizeof(config->zone), text) >= 0;
}

static const char *
value_of(const char *word, const char *key)
{
	size_t n = strlen(key);

	return strncmp(word, key, n) == 0 ? word + n : NULL;
}

bool
bn_net_config_parse_word(const char *word, BnNetConfig *config)
{
	const char *value;

	if ((value = value_of(word, ADDRESS_WORD)))
		return parse_subnet(value, config);
	if ((value = value_of(word, GATEWAY_WORD)))
		return bn_ipv4_parse(value, &config->gateway) >= 0;
	if ((value = value_of(word, MTU_WORD)))
		return parse_number(value, BN_NET_MTU_MAX, &config->mtu);
	if ((value = value_of(word, ZONE_WORD)))
		return parse_zone(value, config);
	return false;
}
