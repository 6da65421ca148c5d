/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/vmm-argv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What differs between QEMU's machines: options, and the bus that virtio devices sit on. */
typedef struct Machine {
	const char *options;
	const char *bus;
	const char *no_rom; /* of a card; what that bus does not know is no property there */
} Machine;

/* auto-kernel-cmdline: the guest's kernel finds its devices by ACPI; the text it would add is
 * only understood by kernels that take devices from their command line. graphics, usb, sata,
 * smbus: what nobody uses need not be emulated. mem-merge: pages shared between VMs tell one
 * about the other. */
static const Machine machines[_BN_VMM_MAX] = {
	[BN_VMM_QEMU_MICROVM] = { "microvm,acpi=on,rtc=on,auto-kernel-cmdline=off,graphics=off,"
				  "mem-merge=off,dump-guest-core=off",
				  "device", "" },
	[BN_VMM_QEMU_Q35] = { "q35,graphics=off,usb=off,sata=off,smbus=off,vmport=off,"
			      "mem-merge=off,dump-guest-core=off",
			      "pci", ",romfile=" },
};

/* Appends one argument; what no longer fits is remembered, so that callers need not look each
 * time. */
static void add(BnVmmArgv *argv, const char *format, ...) _printf_(2, 3);

static void
add(BnVmmArgv *argv, const char *format, ...)
{
	size_t room = sizeof(argv->text) - argv->used;
	va_list args;
	int n;

	if (argv->n >= BN_VMM_ARGS_MAX || room == 0) {
		argv->used = sizeof(argv->text);
		return;
	}
	va_start(args, format);
	n = vsnprintf(argv->text + argv->used, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		argv->used = sizeof(argv->text);
		return;
	}
	argv->args[argv->n++] = argv->text + argv->used;
	argv->used += (size_t)n + 1;
}

static void
add_machine(BnVmmArgv *argv, const BnVmmSpec *spec)
{
	add(argv, "-M");
	add(argv, "%s", machines[spec->kind].options);
	add(argv, "-accel");
	add(argv, "%s", spec->kvm ? "kvm" : "tcg,thread=multi");
	/* With "erms" and "fsrm" kernels copy and clear byte by byte, which makes sense on a real processor only:
	 * emulated, it costs twelve times as much. */
	add(argv, "-cpu");
	add(argv, "%s", spec->kvm ? "host" : "max,-erms,-fsrm");
	add(argv, "-smp");
	add(argv, "%u", spec->vcpus);
	add(argv, "-m");
	add(argv, "size=%lluM", (unsigned long long)(spec->memory_bytes / BN_MIB));
	add(argv, "-kernel");
	add(argv, "/proc/self/fd/%d", BN_VMM_FD_KERNEL);
	add(argv, "-initrd");
	add(argv, "/proc/self/fd/%d", BN_VMM_FD_INITRAMFS);
	add(argv, "-append");
	add(argv, "%s", spec->cmdline);
}

static void
add_socket(BnVmmArgv *argv, const char *id, int fd)
{
	add(argv, "-chardev");
	add(argv, "socket,id=%s,fd=%d,server=on,wait=off", id, fd);
}

static void
add_channels(BnVmmArgv *argv, const char *bus)
{
	add_socket(argv, "agent", BN_VMM_FD_AGENT);
	add_socket(argv, "control", BN_VMM_FD_CONTROL);
	add_socket(argv, "console", BN_VMM_FD_CONSOLE);
	add(argv, "-mon");
	add(argv, "chardev=control,mode=control");
	add(argv, "-serial");
	add(argv, "chardev:console");
	/* Port 0 is for a console; every port more costs two queues. */
	add(argv, "-device");
	add(argv, "virtio-serial-%s,max_ports=2", bus);
	add(argv, "-device");
	add(argv, "virtserialport,chardev=agent,name=" BN_VMM_AGENT_PORT);
	add(argv, "-object");
	add(argv, "rng-builtin,id=rng");
	add(argv, "-device");
	add(argv, "virtio-rng-%s,rng=rng", bus);
}

/* The locks are QEMU's own, on the open file: a disk that another VM writes is refused here at
 * last. What is only read is shared between VMs that do not trust one another, and has none: with a
 * lock on it one that was taken over could keep all others from starting. A write that fails stops
 * the guest instead of telling it, so that a full host disk is only a pause. */
static void
add_disk(BnVmmArgv *argv, const char *bus, unsigned i, bool read_only)
{
	const char *access = read_only ? "read-only=on" : "read-only=off,discard=unmap";

	add(argv, "-add-fd");
	add(argv, "fd=%u,set=%u", BN_VMM_FD_DISK + i, i);
	add(argv, "-blockdev");
	add(argv,
	    "driver=raw,node-name=disk%u,%s,file.driver=file,file.filename=/dev/fdset/%u,"
	    "file.%s",
	    i, access, i,
	    read_only ? "locking=off,file.read-only=on"
		      : "locking=on,file.read-only=off,file.discard=unmap");
	add(argv, "-device");
	add(argv, "virtio-blk-%s,drive=disk%u%s", bus, i,
	    read_only ? "" : ",werror=stop,rerror=stop");
}

/* The tap is there already, in a network namespace that the VMM is not in: no script, and no vhost, whose threads the
 * jail does not hold. The card needs no program to start from. */
static void
add_network(BnVmmArgv *argv, const char *bus, const BnVmmSpec *spec)
{
	char mac[BN_MAC_SIZE];

	bn_net_mac_render(spec->mac, mac);
	add(argv, "-netdev");
	add(argv, "tap,id=net0,fd=%u,vhost=off", BN_VMM_FD_DISK + spec->n_disks);
	add(argv, "-device");
	add(argv, "virtio-net-%s,netdev=net0,mac=%s%s", bus, mac, machines[spec->kind].no_rom);
}

int
bn_vmm_argv_make(const BnVmmSpec *spec, BnVmmArgv *ret)
{
	const char *bus = machines[spec->kind].bus;

	memset(ret, 0, sizeof(*ret));
	add(ret, BN_VMM_QEMU);
	add(ret, "-nodefaults");
	add(ret, "-no-user-config");
	add(ret, "-display");
	add(ret, "none");
	add(ret, "-sandbox");
	add(ret, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add(ret, "-action");
	add(ret, "reboot=shutdown,panic=shutdown");
	add_machine(ret, spec);
	add_channels(ret, bus);
	for (unsigned i = 0; i < spec->n_disks; i++)
		add_disk(ret, bus, i, spec->disk_read_only[i]);
	/* Last: what stands before it keeps its place with a card and without. */
	if (spec->network)
		add_network(ret, bus, spec);
	return ret->used < sizeof(ret->text) ? 0 : -E2BIG;
}
