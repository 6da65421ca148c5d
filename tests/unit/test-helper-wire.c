/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read of a message belongs to who reads it: the message may go, with all that it brought. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "fakes/helper-rig.h"
#include "op-wire-bus.h"
#include "shared/base/fd-util.h"
#include "test.h"

#define VM "0123456789abcdef0123456789abcdef"

static sd_bus *bus;
static int files[8];

static void
set_up(void)
{
	int pair[2];

	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	check_int(sd_bus_new(&bus), 0);
	check_int(sd_bus_set_fd(bus, pair[0], pair[0]), 0);
	check_int(sd_bus_negotiate_fds(bus, true), 0);
	check(sd_bus_start(bus) >= 0);
	/* Nobody answers there; messages are made and read here. */
	(void)close(pair[1]);
	for (size_t i = 0; i < BN_ELEMENTSOF(files); i++)
		files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
tear_down(void)
{
	bn_fd_close_many(files, BN_ELEMENTSOF(files));
	bus = sd_bus_close_unref(bus);
}

static sd_bus_message *
new_launch(const char *cmdline, size_t n_disks, size_t n_taps)
{
	sd_bus_message *m = NULL;

	check(sd_bus_message_new_method_call(bus, &m, NULL, BN_HELPER_PATH, BN_HELPER_INTERFACE,
					     "LaunchVmm") >= 0);
	check(sd_bus_message_append(m, "sssbutshh", VM, "", "qemu-q35", 1, 2, (uint64_t)3, cmdline,
				    files[0], files[1]) >= 0);
	check(sd_bus_message_open_container(m, 'a', "h") >= 0);
	for (size_t i = 0; i < n_disks; i++)
		check(sd_bus_message_append_basic(m, 'h', &files[2 + i]) >= 0);
	check(sd_bus_message_close_container(m) >= 0);
	check(sd_bus_message_open_container(m, 'a', "h") >= 0);
	for (size_t i = 0; i < n_taps; i++)
		check(sd_bus_message_append_basic(m, 'h', &files[2 + BN_DISKS_MAX + i]) >= 0);
	check(sd_bus_message_close_container(m) >= 0);
	check(sd_bus_message_seal(m, 1, 0) >= 0);
	return m;
}

static void
test_arguments_when_the_message_is_gone_then_still_there(void)
{
	const char *argument = NULL;
	sd_bus_message *m;
	size_t before;
	OpArgs args;

	set_up();
	before = rig_count_fds();
	m = new_launch("quiet", BN_DISKS_MAX, 1);
	check_int(op_wire_read(OP_LAUNCH_VMM, m, &args, &argument), 0);
	sd_bus_message_unref(m);
	check_str(args.launch_vmm.vm, VM);
	check_str(args.launch_vmm.operation, "");
	check_str(args.launch_vmm.vmm, "qemu-q35");
	check_str(args.launch_vmm.cmdline, "quiet");
	check(args.launch_vmm.kvm);
	check_int(args.launch_vmm.vcpus, 2);
	check_int(args.launch_vmm.memory, 3);
	check_int(args.launch_vmm.n_disks, BN_DISKS_MAX);
	check_int(args.launch_vmm.n_network, 1);
	check_int(rig_count_fds(), before + OP_WIRE_FDS_MAX);
	check_int(fcntl(args.launch_vmm.kernel, F_GETFD), FD_CLOEXEC);
	check_int(fcntl(args.launch_vmm.disks[BN_DISKS_MAX - 1], F_GETFD), FD_CLOEXEC);
	check_int(fcntl(args.launch_vmm.network[0], F_GETFD), FD_CLOEXEC);
	op_wire_args_done(OP_LAUNCH_VMM, &args);
	check_int(rig_count_fds(), before);
	check_int(args.launch_vmm.kernel, -1);
	/* And again, for it is empty now. */
	op_wire_args_done(OP_LAUNCH_VMM, &args);
	tear_down();
}

static void
test_arguments_when_one_is_wrong_then_named_and_nothing_is_kept(void)
{
	char cmdline[BN_CMDLINE_MAX + 2];
	const char *argument = NULL;
	sd_bus_message *m;
	size_t before;
	OpArgs args;

	set_up();
	before = rig_count_fds();
	memset(cmdline, 'x', sizeof(cmdline));
	cmdline[sizeof(cmdline) - 1] = '\0';
	m = new_launch(cmdline, 1, 0);
	check_int(op_wire_read(OP_LAUNCH_VMM, m, &args, &argument), -E2BIG);
	check_str(argument, "cmdline");
	sd_bus_message_unref(m);
	m = new_launch("", 0, 2);
	check_int(op_wire_read(OP_LAUNCH_VMM, m, &args, &argument), -E2BIG);
	check_str(argument, "network");
	sd_bus_message_unref(m);
	m = new_launch("", BN_DISKS_MAX + 1, 1);
	check_int(op_wire_read(OP_LAUNCH_VMM, m, &args, &argument), -E2BIG);
	check_str(argument, "disks");
	check_int(args.launch_vmm.kernel, -1);
	check(!args.launch_vmm.vm);
	check_int(op_wire_read(OP_OPEN_VMM, m, &args, &argument), -EBADMSG);
	check_str(argument, "signature");
	sd_bus_message_unref(m);
	check_int(rig_count_fds(), before);
	tear_down();
}

TEST_MAIN(TEST(test_arguments_when_the_message_is_gone_then_still_there),
	  TEST(test_arguments_when_one_is_wrong_then_named_and_nothing_is_kept))
