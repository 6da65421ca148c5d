/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <errno.h>

#include "shared/rules/boot-cmdline.h"

#define COMMON                                                                                     \
	"console=ttyS0 quiet panic=-1 reboot=t cryptomgr.notests random.trust_cpu=on "             \
	"systemd.getty_auto=no"

static void
check_line(BnBootCmdline line, const char *expected)
{
	char text[BN_CMDLINE_MAX + 1];

	memset(text, 'x', sizeof(text));
	check_int(bn_boot_cmdline_make(&line, text), 0);
	check_str(text, expected);
	/* It goes into a struct that is compared and authorized byte by byte. */
	for (size_t i = strlen(text); i < sizeof(text); i++)
		check_int(text[i], 0);
}

static void
test_line_when_emulated_then_clocks_are_told(void)
{
	check_line((BnBootCmdline){ .kind = BN_VMM_QEMU_MICROVM,
				    .tsc_khz = 2445434,
				    .hostname = "web",
				    .root = BN_BOOT_ROOT_OVERLAY,
				    .init = BN_BOOT_INIT_AUTO },
		   COMMON
		   " no_timer_check cgroup.memory=nokmem tsc_early_khz=2445434 banger.bus=mmio "
		   "banger.root=overlay banger.init=auto banger.hostname=web");
	check_line(
		(BnBootCmdline){ .kind = BN_VMM_QEMU_Q35,
				 .hostname = "web",
				 .root = BN_BOOT_ROOT_DISK,
				 .init = BN_BOOT_INIT_NONE },
		COMMON
		" no_timer_check cgroup.memory=nokmem banger.bus=pci banger.root=disk banger.init=none "
		"banger.hostname=web");
}

static void
test_line_when_kvm_then_the_kernel_measures_itself(void)
{
	check_line((BnBootCmdline){ .kind = BN_VMM_QEMU_MICROVM,
				    .kvm = true,
				    .tsc_khz = 2445434,
				    .hostname = "a-1",
				    .root = BN_BOOT_ROOT_NONE,
				    .init = BN_BOOT_INIT_AUTO },
		   COMMON " banger.bus=mmio banger.root=none banger.init=auto "
			  "banger.hostname=a-1");
}

static void
test_line_when_there_is_a_network_then_told_behind_the_rest(void)
{
	const BnNetConfig network = {
		.address = 0xac1d0402, .gateway = 0xac1d0401, .prefix = 24, .mtu = 1420
	};
	const BnBootCmdline line = { .kind = BN_VMM_QEMU_Q35,
				     .kvm = true,
				     .hostname = "web",
				     .root = BN_BOOT_ROOT_OVERLAY,
				     .init = BN_BOOT_INIT_AUTO,
				     .network = &network };

	check_line(line, COMMON " banger.bus=pci banger.root=overlay banger.init=auto "
				"banger.hostname=web net.ifnames=0 "
				"systemd.mask=systemd-networkd-wait-online.service "
				"banger.address=172.29.4.2/24 "
				"banger.gateway=172.29.4.1 banger.mtu=1420");
}

static void
test_line_when_the_network_is_none_then_refused(void)
{
	const BnNetConfig network = {
		.address = 0xac1d0402, .gateway = 0xac1d0501, .prefix = 24, .mtu = 1420
	};
	char text[BN_CMDLINE_MAX + 1];

	check_int(bn_boot_cmdline_make(&(BnBootCmdline){ .hostname = "web", .network = &network },
				       text),
		  -EINVAL);
}

static void
test_line_when_host_name_is_none_then_refused(void)
{
	const char *const bad[] = { "", "a b", "x init=/bin/sh", "A", "-a", "a\nb" };
	char text[BN_CMDLINE_MAX + 1];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_int(bn_boot_cmdline_make(&(BnBootCmdline){ .hostname = bad[i] }, text),
			  -EINVAL);
}

TEST_MAIN(TEST(test_line_when_emulated_then_clocks_are_told),
	  TEST(test_line_when_kvm_then_the_kernel_measures_itself),
	  TEST(test_line_when_there_is_a_network_then_told_behind_the_rest),
	  TEST(test_line_when_the_network_is_none_then_refused),
	  TEST(test_line_when_host_name_is_none_then_refused))
