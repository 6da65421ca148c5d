/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include "shared/base/cleanup.h"
#include "shared/rules/vmm-argv.h"

static BnVmmArgv argv;

static BnVmmSpec
base(BnVmmKind kind, bool kvm)
{
	return (BnVmmSpec){ .kind = kind,
			    .kvm = kvm,
			    .vcpus = 2,
			    .n_disks = 2,
			    .memory_bytes = 512 * BN_MIB,
			    .disk_read_only = { 1, 0 },
			    .cmdline = "console=ttyS0 quiet a,b=c" };
}

/* One argument per line, as in the golden files. */
static char *
render(const BnVmmSpec *spec)
{
	char *text = calloc(1, BN_VMM_ARGS_SIZE + 1), *p = text;

	check(text);
	check_int(bn_vmm_argv_make(spec, &argv), 0);
	check(!argv.args[argv.n]);
	for (size_t i = 0; i < argv.n; i++)
		p += sprintf(p, "%s\n", argv.args[i]);
	return text;
}

static void
check_golden(const char *name, const BnVmmSpec *spec)
{
	_cleanup_free_ char *got = render(spec);
	_cleanup_fclose_ FILE *f = NULL;
	static char want[BN_VMM_ARGS_SIZE + 1];
	char path[512];

	(void)snprintf(path, sizeof(path), GOLDEN_DIR "/vmm-argv/%s.txt", name);
	f = fopen(path, "re");
	check(f);
	memset(want, 0, sizeof(want));
	check(fread(want, 1, sizeof(want) - 1, f) > 0);
	check_str(got, want);
}

static void
test_make_when_each_machine_and_accelerator_then_as_written_down(void)
{
	BnVmmSpec spec = base(BN_VMM_QEMU_MICROVM, false);

	check_golden("microvm-tcg", &spec);
	spec = base(BN_VMM_QEMU_MICROVM, true);
	check_golden("microvm-kvm", &spec);
	spec = base(BN_VMM_QEMU_Q35, false);
	check_golden("q35-tcg", &spec);
	spec = base(BN_VMM_QEMU_Q35, true);
	check_golden("q35-kvm", &spec);
}

static void
test_make_when_no_disk_then_none_named(void)
{
	BnVmmSpec spec = base(BN_VMM_QEMU_MICROVM, false);

	spec.n_disks = 0;
	memset(spec.disk_read_only, 0, sizeof(spec.disk_read_only));
	check_golden("microvm-no-disk", &spec);
}

static void
test_make_when_there_is_a_network_then_its_card_is_the_last(void)
{
	BnVmmSpec spec = base(BN_VMM_QEMU_MICROVM, false);

	spec.network = 1;
	bn_net_mac(0x0aff0002, spec.mac);
	check_golden("microvm-network", &spec);
	spec.kind = BN_VMM_QEMU_Q35;
	check_golden("q35-network", &spec);
	spec.n_disks = 0;
	memset(spec.disk_read_only, 0, sizeof(spec.disk_read_only));
	check_int(bn_vmm_argv_make(&spec, &argv), 0);
	check_str(argv.args[argv.n - 3], "tap,id=net0,fd=8,vhost=off");
}

static void
test_make_when_everything_is_largest_then_fits(void)
{
	BnVmmSpec spec = base(BN_VMM_QEMU_Q35, true);

	spec.vcpus = BN_VCPUS_MAX;
	spec.memory_bytes = BN_MEMORY_MAX;
	spec.n_disks = BN_DISKS_MAX;
	spec.network = 1;
	bn_net_mac(UINT32_MAX, spec.mac);
	memset(spec.cmdline, 'x', BN_CMDLINE_MAX);
	check(!bn_vmm_spec_check(&spec));
	check_int(bn_vmm_argv_make(&spec, &argv), 0);
	check(argv.n < BN_VMM_ARGS_MAX);
}

static void
test_t12_make_when_cmdline_looks_like_options_then_stays_one_argument(void)
{
	BnVmmSpec spec = base(BN_VMM_QEMU_MICROVM, false);
	size_t n, seen = 0;

	check_int(bn_vmm_argv_make(&spec, &argv), 0);
	n = argv.n;
	strcpy(spec.cmdline, "-drive file=/etc/shadow,id=%n%s -incoming exec:id");
	check_int(bn_vmm_argv_make(&spec, &argv), 0);
	check_int(argv.n, n);
	for (size_t i = 0; i < argv.n; i++)
		if (strcmp(argv.args[i], spec.cmdline) == 0) {
			check_str(argv.args[i - 1], "-append");
			seen++;
		}
	check_int(seen, 1);
}

TEST_MAIN(TEST(test_make_when_each_machine_and_accelerator_then_as_written_down),
	  TEST(test_make_when_no_disk_then_none_named),
	  TEST(test_make_when_there_is_a_network_then_its_card_is_the_last),
	  TEST(test_make_when_everything_is_largest_then_fits),
	  TEST(test_t12_make_when_cmdline_looks_like_options_then_stays_one_argument))
