/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taps that a caller passes to the helper: real ones, in network namespaces of the test's own. Needs root. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fakes/helper-rig.h"
#include "helper/descriptor.h"
#include "shared/base/cleanup.h"
#include "test.h"

#define FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
#define ALICE 1000
#define BOB   1001
#define VM    "0123456789abcdef0123456789abcdef"
#define OTHER "f123456789abcdef0123456789abcdef"

static Rig rig;

static int
open_tap(const char *name, int flags)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = (short)flags };

	check(fd >= 0);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	check_int(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static void
check_refused(int fd, const char *why)
{
	char name[BN_TAP_NAME_SIZE] = "untouched";
	const char *wrong = NULL;

	check(fd >= 0);
	check_int(descriptor_check_tap(fd, name, &wrong), -EINVAL);
	check_str(wrong, why);
	check_str(name, "untouched");
	(void)close(fd);
}

static int
open_persistent(void)
{
	int fd = open_tap("persistent", FLAGS);

	/* With the namespace it goes. */
	check_int(ioctl(fd, TUNSETPERSIST, 1), 0);
	return fd;
}

static void
test_tap_when_of_our_kind_and_network_then_named(void)
{
	_cleanup_close_ int fd = open_tap("bgr-t0a000002", FLAGS);
	char name[BN_TAP_NAME_SIZE];
	const char *wrong = NULL;

	check_int(descriptor_check_tap(fd, name, &wrong), 0);
	check_str(name, "bgr-t0a000002");
}

static void
test_t10_tap_when_another_thing_then_refused(void)
{
	static const char other[] = "a tap of another kind than CreateTap makes";

	check_refused(open("/dev/null", O_RDWR | O_CLOEXEC), "not a tap");
	check_refused(open("/dev/net/tun", O_PATH | O_CLOEXEC), "not a tap");
	check_refused(memfd_create("tap", MFD_CLOEXEC), "not a tap");
	check_refused(open("/dev/net/tun", O_RDWR | O_CLOEXEC), "a tap whose interface is gone");
	check_refused(open_tap("plain", IFF_TAP | IFF_NO_PI), other);
	check_refused(open_tap("tun", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR), other);
	check_refused(open_tap("queues", FLAGS | IFF_MULTI_QUEUE), other);
	check_refused(open_persistent(), other);
}

/* Whoever makes a network namespace is root in there, and calls a tap as it likes. */
static void
test_tap_when_of_another_network_then_refused(void)
{
	int fd = open_tap("bgr-t0a000002", FLAGS);

	check_int(unshare(CLONE_NEWNET), 0);
	check_refused(fd, "a tap of another network namespace");
}

static RigCall *
launch_with(uid_t uid, const char *vm, int tap)
{
	OpArgs args = { .launch_vmm = { .vm = vm,
					.operation = "",
					.vmm = "qemu-q35",
					.vcpus = 1,
					.memory = 128 * BN_MIB,
					.cmdline = "quiet",
					.kernel = rig.kernel_fd,
					.initramfs = rig.initramfs_fd,
					.network = { tap },
					.n_network = 1 } };
	RigCall *launch = rig_submit(&rig, OP_LAUNCH_VMM, &args, uid, NULL);

	rig_settle(&rig);
	return launch;
}

/* What CreateTap writes. */
static void
hold_tap(uid_t uid, const char *vm, uint32_t address, bool ready)
{
	NetTap tap = { .uid = uid, .address = address, .ready = ready };

	strcpy(tap.vm, vm);
	check_int(net_ledger_put_tap(rig.net, &tap), 0);
}

static void
test_launch_when_the_tap_is_its_own_then_the_card_has_its_address(void)
{
	static const uint8_t mac[] = { 0x02, 'b', 10, 0, 0, 2 };
	int fd = open_tap("bgr-t0a000002", FLAGS);

	rig_init(&rig);
	hold_tap(ALICE, VM, 0x0a000002, /* ready= */ true);
	check_str(rig_result(launch_with(ALICE, VM, fd)), "ok");
	check_int(rig.kernel.jails[0].spec.network, 1);
	check_int(memcmp(rig.kernel.jails[0].spec.mac, mac, sizeof(mac)), 0);
	(void)close(fd);
	rig_done(&rig);
}

static void
check_launch_refused(const char *name)
{
	_cleanup_close_ int fd = open_tap(name, FLAGS);
	RigCall *launch = launch_with(ALICE, VM, fd);

	check_str(rig_result(launch), "InvalidArgument");
	check_str(launch->text, "network: not the tap of this VM");
	check_str(rig.kernel.log, "");
	check_int(ledger_count(rig.ledger, LEDGER_ALL), 0);
}

static void
test_launch_when_the_tap_is_anothers_then_refused_and_nothing_held(void)
{
	rig_init(&rig);
	check_launch_refused("eth7");
	check_launch_refused("bgr-t0a000009");
	hold_tap(ALICE, OTHER, 0x0a000002, /* ready= */ true);
	hold_tap(BOB, VM, 0x0a000003, /* ready= */ true);
	check_launch_refused("bgr-t0a000002");
	check_launch_refused("bgr-t0a000003");
	/* One that may not have become what it is to be. */
	hold_tap(ALICE, VM, 0x0a000004, /* ready= */ false);
	check_launch_refused("bgr-t0a000004");
	hold_tap(ALICE, VM, 0x0a000004, /* ready= */ true);
	check_launch_refused("bgr-t0a000002");
	check_launch_refused("bgr-t0a000003");
	rig_done(&rig);
}

int run_tests(void);
#define main run_tests
TEST_MAIN(TEST(test_tap_when_of_our_kind_and_network_then_named),
	  TEST(test_t10_tap_when_another_thing_then_refused),
	  TEST(test_tap_when_of_another_network_then_refused),
	  TEST(test_launch_when_the_tap_is_its_own_then_the_card_has_its_address),
	  TEST(test_launch_when_the_tap_is_anothers_then_refused_and_nothing_held))
#undef main

int
main(void)
{
	check_int(unshare(CLONE_NEWNET), 0);
	return run_tests();
}
