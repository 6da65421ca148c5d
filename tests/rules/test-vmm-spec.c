/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "shared/rules/vmm-spec.h"

static BnVmmSpec
good(void)
{
	return (BnVmmSpec){ .kind = BN_VMM_QEMU_MICROVM,
			    .vcpus = 2,
			    .n_disks = 2,
			    .memory_bytes = 512 * BN_MIB,
			    .disk_read_only = { 1, 0 },
			    .cmdline = "console=ttyS0 quiet" };
}

/* One bad value at a time; the name of the argument comes back. */
#define check_refused(argument, ...)                                                               \
	do {                                                                                       \
		BnVmmSpec spec = good();                                                           \
		__VA_ARGS__;                                                                       \
		check_str(bn_vmm_spec_check(&spec), argument);                                     \
	} while (0)

static void
test_check_when_out_of_bounds_then_names_the_argument(void)
{
	BnVmmSpec fine = good();

	check(!bn_vmm_spec_check(&fine));
	fine.network = 1;
	bn_net_mac(0x0a000002, fine.mac);
	check(!bn_vmm_spec_check(&fine));
	check_refused("vmm", spec.kind = -1);
	check_refused("vmm", spec.kind = _BN_VMM_MAX);
	check_refused("kvm", spec.kvm = 2);
	check_refused("vcpus", spec.vcpus = 0);
	check_refused("vcpus", spec.vcpus = BN_VCPUS_MAX + 1);
	check_refused("memory", spec.memory_bytes = BN_MEMORY_MIN - BN_MIB);
	check_refused("memory", spec.memory_bytes = BN_MEMORY_MAX + BN_MIB);
	check_refused("memory", spec.memory_bytes += 1);
	check_refused("disks", spec.n_disks = BN_DISKS_MAX + 1);
	check_refused("disks", spec.disk_read_only[0] = 2);
	check_refused("disks", spec.disk_read_only[2] = 1);
	check_refused("network", spec.network = 2);
	check_refused("network", spec.network = 1);
	check_refused("network", spec.mac[5] = 1);
	check_refused("network", memset(spec.mac, 0xff, sizeof(spec.mac)); spec.network = 1);
	check_refused("cmdline", spec.cmdline[3] = '\n');
	check_refused("cmdline", spec.cmdline[3] = '\x7f');
	check_refused("cmdline", spec.cmdline[100] = 'x');
	check_refused("cmdline", memset(spec.cmdline, 'a', sizeof(spec.cmdline)));
}

static void
test_kinds_when_round_tripped_then_equal(void)
{
	for (int i = 0; i < _BN_VMM_MAX; i++) {
		check(bn_vmm_kind_to_string(i));
		check_int(bn_vmm_kind_from_string(bn_vmm_kind_to_string(i)), i);
	}
	check(!bn_vmm_kind_to_string(_BN_VMM_MAX));
	check(!bn_vmm_kind_to_string(_BN_VMM_INVALID));
	check_int(bn_vmm_kind_from_string("qemu"), _BN_VMM_INVALID);
	check_int(bn_vmm_kind_from_string(NULL), _BN_VMM_INVALID);
}

TEST_MAIN(TEST(test_check_when_out_of_bounds_then_names_the_argument),
	  TEST(test_kinds_when_round_tripped_then_equal))
