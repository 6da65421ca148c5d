/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/boot-cmdline.h"

#include <stdio.h>
#include <string.h>

#include "shared/rules/names.h"

static const char *const root_table[_BN_BOOT_ROOT_MAX] = {
	[BN_BOOT_ROOT_OVERLAY] = "overlay",
	[BN_BOOT_ROOT_DISK] = "disk",
	[BN_BOOT_ROOT_NONE] = "none",
};

BN_DEFINE_ENUM_TABLE(bn_boot_root, BnBootRoot, root_table);

static const char *const init_table[_BN_BOOT_INIT_MAX] = {
	[BN_BOOT_INIT_AUTO] = "auto",
	[BN_BOOT_INIT_NONE] = "none",
};

BN_DEFINE_ENUM_TABLE(bn_boot_init, BnBootInit, init_table);

static const char *const bus_table[_BN_BOOT_BUS_MAX] = {
	[BN_BOOT_BUS_PCI] = "pci",
	[BN_BOOT_BUS_MMIO] = "mmio",
};

BN_DEFINE_ENUM_TABLE(bn_boot_bus, BnBootBus, bus_table);

/* console: the serial port is the only one there is. panic, reboot: a guest that cannot go on ends its
 * VMM. systemd.getty_auto=no: an image without udev would wait for ttyS0. cryptomgr.notests: the
 * self-tests take 0.4 s under emulation. */
#define COMMON                                                                                     \
	"console=ttyS0 quiet panic=-1 reboot=t cryptomgr.notests random.trust_cpu=on "             \
	"systemd.getty_auto=no"

/* Under emulation the timer check and the calibration of the time stamp counter fail at random. tsc=reliable would
 * spare the guest time that goes by ticks of 4 ms (and falls behind where ticks are lost), and hangs one start of a
 * hundred behind "sched_clock: Marking stable", with highres=off nohz=off too.
 *
 * That may be what cgroup.memory=nokmem makes rare: QEMU before 8.1 can keep a breakpoint translated that Linux sets
 * for microseconds while it patches its own code, and both processors are caught there for ever. systemd's first
 * control group has the way of every allocation patched. What is given up: kernel memory counts for no group. */
#define EMULATION " no_timer_check cgroup.memory=nokmem"

/* net.ifnames=0: the card keeps the name that the kernel gave it, whatever udev the image has. systemd.mask: where the
 * image has networkd, which is told to leave the card alone, that unit would wait two minutes for it in vain. */
#define NETWORK " net.ifnames=0 systemd.mask=systemd-networkd-wait-online.service "

int
bn_boot_cmdline_make(const BnBootCmdline *line, char ret[static BN_CMDLINE_MAX + 1])
{
	char text[BN_CMDLINE_MAX + 1] = "", tsc[40] = "",
				   network[sizeof(NETWORK) + BN_NET_WORDS_SIZE] = "";
	BnBootBus bus = line->kind == BN_VMM_QEMU_MICROVM ? BN_BOOT_BUS_MMIO : BN_BOOT_BUS_PCI;
	int n;

	if (!bn_names_is_vm(line->hostname))
		return -EINVAL;
	if (!line->kvm && line->tsc_khz > 0)
		(void)snprintf(tsc, sizeof(tsc), " tsc_early_khz=%u", line->tsc_khz);
	if (line->network) {
		if (!bn_net_config_is_valid(line->network))
			return -EINVAL;
		memcpy(network, NETWORK, sizeof(NETWORK));
		bn_net_config_render(line->network, network + sizeof(NETWORK) - 1);
	}
	n = snprintf(text, sizeof(text),
		     COMMON "%s%s banger.bus=%s banger.root=%s banger.init=%s banger.hostname=%s%s",
		     line->kvm ? "" : EMULATION, tsc, bn_boot_bus_to_string(bus),
		     bn_boot_root_to_string(line->root), bn_boot_init_to_string(line->init),
		     line->hostname, network);
	if (n < 0 || n > BN_CMDLINE_MAX)
		return -E2BIG;
	memset(ret, 0, BN_CMDLINE_MAX + 1);
	memcpy(ret, text, (size_t)n);
	return 0;
}
