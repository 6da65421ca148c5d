/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "shared/base/macro.h"
#include "shared/rules/net-config.h"

/* 172.29.4.2/24 behind 172.29.4.1. */
#define SUBNET 0xac1d0400U

static BnNetConfig
good(void)
{
	return (BnNetConfig){ .address = SUBNET + 2,
			      .gateway = SUBNET + 1,
			      .prefix = 24,
			      .mtu = 1420,
			      .zone = "dev.vm" };
}

/* One bad value at a time. */
#define check_refused(...)                                                                         \
	do {                                                                                       \
		BnNetConfig bad = good();                                                          \
		__VA_ARGS__;                                                                       \
		check(!bn_net_config_is_valid(&bad));                                              \
	} while (0)

static void
test_config_when_at_its_bounds_then_valid_and_beyond_refused(void)
{
	BnNetConfig config = good(), none = {};

	check(bn_net_config_is_valid(&config));
	check(!bn_net_config_is_valid(&none));
	config.prefix = 30;
	config.mtu = BN_NET_MTU_MIN;
	check(bn_net_config_is_valid(&config));
	config.prefix = 8;
	config.mtu = BN_NET_MTU_MAX;
	check(bn_net_config_is_valid(&config));
	config.zone[0] = '\0';
	check(bn_net_config_is_valid(&config));
	check_refused(strcpy(bad.zone, "dev"));
	check_refused(strcpy(bad.zone, "a b.vm"));
	check_refused(bad.prefix = 31);
	check_refused(bad.prefix = 7);
	check_refused(bad.prefix = 0);
	check_refused(bad.prefix = UINT32_MAX);
	check_refused(bad.mtu = BN_NET_MTU_MIN - 1);
	check_refused(bad.mtu = BN_NET_MTU_MAX + 1);
	check_refused(bad.address = SUBNET);
	check_refused(bad.address = SUBNET + 255);
	check_refused(bad.address = bad.gateway);
	check_refused(bad.gateway = SUBNET);
	check_refused(bad.gateway = SUBNET + 255);
	check_refused(bad.gateway = SUBNET + 257);
	check_refused(bad.address = 0x7f000002, bad.gateway = 0x7f000001);
	check_refused(bad.address = 0xe0000002, bad.gateway = 0xe0000001);
	check_refused(bad.address = 2, bad.gateway = 1);
}

static void
test_words_when_rendered_then_read_again(void)
{
	BnNetConfig config = good(), read = {};
	char text[BN_NET_WORDS_SIZE], *p = text;

	bn_net_config_render(&config, text);
	check_str(text, "banger.address=172.29.4.2/24 banger.gateway=172.29.4.1 banger.mtu=1420 "
			"banger.domain=dev.vm");
	for (char *word; (word = strsep(&p, " "));)
		check(bn_net_config_parse_word(word, &read));
	check_int(memcmp(&read, &config, sizeof(read)), 0);
	memset(&config, 0xff, sizeof(config));
	memset(config.zone, 'a', BN_ZONE_SIZE - 1);
	config.zone[BN_ZONE_SIZE - 1] = '\0';
	bn_net_config_render(&config, text);
	check_str(
		text,
		"banger.address=255.255.255.255/4294967295 "
		"banger.gateway=255.255.255.255 banger.mtu=4294967295 "
		"banger.domain=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void
test_zone_when_there_is_none_then_no_word_and_of_two_the_last(void)
{
	BnNetConfig config = good(), before = good();
	char text[BN_NET_WORDS_SIZE];

	check(bn_net_config_parse_word("banger.domain=a-longer-one.vm", &config));
	check(bn_net_config_parse_word("banger.domain=dev.vm", &config));
	/* Nothing of the first is behind it: such structs are compared as a whole. */
	check_int(memcmp(&config, &before, sizeof(config)), 0);
	config.zone[0] = '\0';
	bn_net_config_render(&config, text);
	check_str(text, "banger.address=172.29.4.2/24 banger.gateway=172.29.4.1 banger.mtu=1420");
}

static void
test_word_when_it_is_none_then_nothing_changes(void)
{
	static const char *const bad[] = {
		"",
		"banger.address",
		"banger.address=",
		"banger.address=10.0.0.2",
		"banger.address=10.0.0.2/",
		"banger.address=10.0.0.2/31",
		"banger.address=10.0.0.2/024",
		"banger.address=10.0.0.2/-1",
		"banger.address=10.0.0.2/24/24",
		"banger.address=/24",
		"banger.address=10.0.0/24",
		"banger.address=10.0.0.2.1/24",
		"banger.address=10.0.0.256/24",
		"banger.address=10.0.0.02/24",
		"banger.address=0x0a.0.0.2/24",
		"banger.address= 10.0.0.2/24",
		"banger.address=10.0.0.2 /24",
		"banger.address=1000.1000.1000.10/24",
		"banger.gateway=10.0.0.1/24",
		"banger.gateway=10.0.0.1\n",
		"banger.gateway=10.0.1",
		"banger.gateway=::1",
		"banger.mtu=65536",
		"banger.mtu=+1500",
		"banger.mtu=1500 ",
		"banger.mtu=0x5dc",
		"xbanger.mtu=1500",
		"banger.domain=",
		"banger.domain=dev",
		"banger.domain=.vm",
		"banger.domain=dev.vm.",
		"banger.domain=dev.vm\n",
		"banger.domain=dev.vm search x.vm",
		"banger.domain=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.vm",
		"Banger.mtu=1500",
	};
	BnNetConfig config = good(), before = good();

	for (size_t i = 0; i < BN_ELEMENTSOF(bad); i++)
		check(!bn_net_config_parse_word(bad[i], &config));
	check_int(memcmp(&config, &before, sizeof(config)), 0);
}

TEST_MAIN(TEST(test_config_when_at_its_bounds_then_valid_and_beyond_refused),
	  TEST(test_words_when_rendered_then_read_again),
	  TEST(test_zone_when_there_is_none_then_no_word_and_of_two_the_last),
	  TEST(test_word_when_it_is_none_then_nothing_changes))
