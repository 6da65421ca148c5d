/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <errno.h>

#include "shared/base/macro.h"
#include "shared/rules/ipv4.h"
#include "shared/rules/net.h"

static BnPrefix
prefix(const char *text)
{
	BnPrefix value;

	check_int(bn_prefix_parse(text, &value), 0);
	return value;
}

static void
test_address_when_anything_but_four_numbers_then_refused(void)
{
	static const char *const bad[] = { "",          "1.2.3",           "1.2.3.4.5", "1.2.3.256",
					   "1.2.3.-4",  "1.2.3.4 ",        "01.2.3.4",  "1..3.4",
					   "0x1.2.3.4", "1.2.3.4/8",       "1.2.3.4x",  "a.b.c.d",
					   "1.2.3.",    "255.255.255.2555" };
	char text[BN_IPV4_SIZE];
	uint32_t address = 7;

	for (size_t i = 0; i < BN_ELEMENTSOF(bad); i++)
		check_int(bn_ipv4_parse(bad[i], &address), -EINVAL);
	check_int(address, 7);
	check_int(bn_ipv4_parse("255.254.1.0", &address), 0);
	check_int(address, 0xfffe0100);
	bn_ipv4_render(address, text);
	check_str(text, "255.254.1.0");
}

static void
test_prefix_when_bits_are_behind_its_length_then_refused(void)
{
	char text[BN_PREFIX_SIZE];
	BnPrefix value;

	check_int(bn_prefix_parse("10.0.0.1/8", &value), -EINVAL);
	check_int(bn_prefix_parse("10.0.0.0/33", &value), -EINVAL);
	check_int(bn_prefix_parse("10.0.0.0", &value), -EINVAL);
	check_int(bn_prefix_parse("10.0.0.0/", &value), -EINVAL);
	check_int(bn_prefix_parse("10.0.0.0/8/8", &value), -EINVAL);
	check_int(bn_prefix_parse("0.0.0.0/0", &value), 0);
	check_int(bn_prefix_mask(0), 0);
	value = prefix("10.0.0.1/32");
	bn_prefix_render(&value, text);
	check_str(text, "10.0.0.1/32");
}

static void
test_prefixes_when_one_holds_the_other_then_they_overlap(void)
{
	BnPrefix all = prefix("0.0.0.0/0"), wide = prefix("10.0.0.0/8"),
		 narrow = prefix("10.1.0.0/16"), beside = prefix("11.0.0.0/8");

	check(bn_prefix_overlaps(&wide, &narrow) && bn_prefix_overlaps(&narrow, &wide));
	check(bn_prefix_overlaps(&all, &beside) && bn_prefix_overlaps(&beside, &all));
	check(!bn_prefix_overlaps(&wide, &beside));
	check(bn_prefix_contains(&wide, 0x0affffff));
	check(!bn_prefix_contains(&wide, 0x0b000000));
}

static void
test_pick_when_some_are_busy_then_the_next_free_one_round_the_end(void)
{
	BnPrefix pool = prefix("10.0.0.0/22"), got;
	BnPrefix busy[] = { prefix("10.0.3.7/32"), prefix("10.0.0.0/25"), prefix("10.0.2.0/23") };
	char text[BN_PREFIX_SIZE];

	check_int(bn_prefix_pick(&pool, 24, 2, NULL, 0, &got), 0);
	bn_prefix_render(&got, text);
	check_str(text, "10.0.2.0/24");
	check_int(bn_prefix_pick(&pool, 24, 3, busy, 2, &got), 0);
	bn_prefix_render(&got, text);
	check_str(text, "10.0.1.0/24");
	check_int(bn_prefix_pick(&pool, 24, 1000000003, busy, 3, &got), 0);
	bn_prefix_render(&got, text);
	check_str(text, "10.0.1.0/24");
	busy[0] = prefix("10.0.1.0/24");
	check_int(bn_prefix_pick(&pool, 24, 0, busy, 3, &got), -ENOSPC);
	check_int(bn_prefix_pick(&pool, 22, 0, NULL, 0, &got), -EINVAL);
	pool = prefix("0.0.0.0/0");
	check_int(bn_prefix_pick(&pool, 32, UINT32_MAX, NULL, 0, &got), -EINVAL);
}

static void
test_names_when_derived_then_they_fit_and_say_whose_they_are(void)
{
	char name[BN_LINK_NAME_SIZE], mac_text[BN_MAC_SIZE];
	uint8_t mac[BN_MAC_LENGTH];
	uint32_t address;

	bn_net_bridge_name(UINT32_MAX - 1, name);
	check_str(name, "bgr-u4294967294");
	bn_net_tap_name(0x0ad50402, name);
	check_str(name, "bgr-t0ad50402");
	check_int(bn_net_tap_address(name, &address), 0);
	check_int(address, 0x0ad50402);
	check_int(bn_net_tap_address("bgr-tad50402", &address), -EINVAL);
	check_int(bn_net_tap_address("bgr-t0AD50402", &address), -EINVAL);
	check_int(bn_net_tap_address("bgr-t0ad50402x", &address), -EINVAL);
	check_int(bn_net_tap_address("bgr-u0ad50402", &address), -EINVAL);
	bn_net_mac(0x0ad50402, mac);
	bn_net_mac_render(mac, mac_text);
	check_str(mac_text, "02:62:0a:d5:04:02");
}

static void
check_zone(const char *user, uid_t uid, const char *expected)
{
	char zone[BN_ZONE_SIZE];

	memset(zone, 'x', sizeof(zone));
	bn_net_zone_name(user, uid, zone);
	check_str(zone, expected);
	check(bn_net_is_zone(zone));
}

static void
test_zone_when_the_name_is_no_label_then_of_the_uid_and_of_nobody_else(void)
{
	const char longest[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	char zone[BN_ZONE_SIZE];

	check_int(strlen(longest), BN_VM_NAME_MAX);
	bn_net_zone_name(longest, 7, zone);
	check_int(strlen(zone), BN_ZONE_SIZE - 1);
	check(bn_net_is_zone(zone));
	check_zone("dev", 1000, "dev.vm");
	check_zone("dev-2", 1000, "dev-2.vm");
	check_zone("u", 1000, "u.vm");
	check_zone("u12x", 1000, "u12x.vm");
	check_zone(NULL, 1000, "u1000.vm");
	check_zone("", 4294967295U, "u4294967295.vm");
	check_zone("Dev", 1000, "u1000.vm");
	check_zone("j.doe", 1000, "u1000.vm");
	check_zone("_apt", 42, "u42.vm");
	check_zone("-", 42, "u42.vm");
	check_zone("u1001", 1000, "u1000.vm");
}

static void
test_zone_when_it_is_none_then_refused(void)
{
	static const char *const bad[] = { "",       "vm",      ".vm",     "dev",   "dev.vm.",
					   "dev.VM", "d.ev.vm", "-dev.vm", "d v.vm" };
	char large[BN_ZONE_SIZE + 1];

	for (size_t i = 0; i < BN_ELEMENTSOF(bad); i++)
		check(!bn_net_is_zone(bad[i]));
	memset(large, 'a', sizeof(large));
	strcpy(large + sizeof(large) - sizeof(".vm"), ".vm");
	check(!bn_net_is_zone(large));
	check(bn_net_is_zone(large + 1));
}

TEST_MAIN(TEST(test_address_when_anything_but_four_numbers_then_refused),
	  TEST(test_prefix_when_bits_are_behind_its_length_then_refused),
	  TEST(test_prefixes_when_one_holds_the_other_then_they_overlap),
	  TEST(test_pick_when_some_are_busy_then_the_next_free_one_round_the_end),
	  TEST(test_names_when_derived_then_they_fit_and_say_whose_they_are),
	  TEST(test_zone_when_the_name_is_no_label_then_of_the_uid_and_of_nobody_else),
	  TEST(test_zone_when_it_is_none_then_refused))
