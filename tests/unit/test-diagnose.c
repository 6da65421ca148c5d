/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the doctor is told of a host that is all in order, and of one where nothing is. */
#include "fakes/fake-ports.h"
#include "service/base/remove-tree.h"
#include "service/manager/diagnose.h"
#include "test.h"

#define ID "11111111111111111111111111111111"

static bool host_is_good, host_is_safe = true;
static const char *refused; /* an action */
static BangerLeave leave;
static bool polkit_away;

static bool
can_run(const char *path)
{
	return host_is_good;
}

static bool
is_roots(const char *path)
{
	return host_is_safe;
}

static bool
has_subids(void)
{
	return host_is_good;
}

static bool
get_space(const char **ret_directory, uint64_t *ret_free)
{
	*ret_directory = "/data";
	*ret_free = host_is_good ? 2 * BN_GIB : 2 * BN_GIB - 1;
	return true;
}

static bool
get_no_space(const char **ret_directory, uint64_t *ret_free)
{
	return false;
}

static void
on_diagnosed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GVariant) rows = g_variant_ref_sink(banger_diagnose_finish(result));
	GString *text = data;
	const char *verdict, *check, *finding, *remedy;
	GVariantIter iter;

	g_variant_iter_init(&iter, rows);
	while (g_variant_iter_next(&iter, "(&s&s&s&s)", &verdict, &check, &finding, &remedy))
		g_string_append_printf(text, "%s %s: %s%s%s\n", verdict, check,
				       g_str_equal(finding, BANGER_VERSION) ? "it" : finding,
				       *remedy ? " -> " : "", remedy);
}

static void
add_defaults(BangerStore *store)
{
	const BangerImageRow image = { .id = (char *)ID,
				       .name = (char *)"base",
				       .digest = (char *)"sha256:0",
				       .init = (char *)"",
				       .source = (char *)"test" };
	const BangerKernelRow kernel = { .id = (char *)ID,
					 .name = (char *)"linux",
					 .release = (char *)"6.1",
					 .digest = (char *)"sha256:0",
					 .source = (char *)"test" };

	check(banger_store_add_image(store, &image, NULL));
	check(banger_store_add_kernel(store, &kernel, NULL));
	check(banger_store_set_setting(store, "default-image", ID, NULL));
	check(banger_store_set_setting(store, "default-kernel", ID, NULL));
}

typedef struct Rig {
	char *directory;
	FakePorts *fakes;
	BangerKvmVerdict *kvm;
	BangerManager *manager;
	GString *text;
} Rig;

static void
rig_init(Rig *rig, bool (*space)(const char **, uint64_t *))
{
	g_autoptr(BangerStore) store = NULL;

	rig->directory = g_dir_make_tmp("banger-diagnose-XXXXXX", NULL);
	store = banger_store_open(rig->directory, NULL);
	rig->fakes = fake_ports_new();
	rig->text = g_string_new(NULL);
	rig->kvm = banger_kvm_verdict_new(rig->fakes->ports.privileged);
	rig->fakes->ports.can_run = can_run;
	rig->fakes->ports.is_roots = is_roots;
	rig->fakes->ports.has_subids = has_subids;
	rig->fakes->ports.get_space = space;
	rig->fakes->refused = refused;
	rig->fakes->leave = leave;
	rig->fakes->polkit_away = polkit_away;
	rig->fakes->kvm_usable = host_is_good;
	if (host_is_good)
		add_defaults(store);
	rig->manager = banger_manager_new(store, &rig->fakes->ports, rig->kvm, NULL);
	check(rig->manager);
}

static void
rig_done(Rig *rig)
{
	g_object_unref(rig->manager);
	g_object_unref(rig->kvm);
	fake_ports_free(rig->fakes);
	check(banger_remove_tree(rig->directory, NULL));
	g_free(rig->directory);
	g_string_free(rig->text, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rig, rig_done)

/* 0 in the place of an error: the helper answers. */
static void
rig_diagnose(Rig *rig, BangerError list, BangerError probe)
{
	g_string_truncate(rig->text, 0);
	banger_diagnose_async(rig->manager, on_diagnosed, rig->text);
	fake_ports_settle(rig->fakes);
	if (list)
		fake_ports_fail(rig->fakes, "list", list);
	else
		fake_ports_succeed(rig->fakes, "list");
	if (fake_ports_is_asked(rig->fakes, "probe") && probe)
		fake_ports_fail(rig->fakes, "probe", probe);
	else if (fake_ports_is_asked(rig->fakes, "probe"))
		fake_ports_succeed(rig->fakes, "probe");
	fake_ports_settle(rig->fakes);
}

static char *
diagnose(BangerError list, BangerError probe, bool (*space)(const char **, uint64_t *))
{
	g_auto(Rig) rig = {};

	rig_init(&rig, space);
	rig_diagnose(&rig, list, probe);
	return g_strdup(rig.text->str);
}

static void
test_diagnose_when_all_is_there_then_all_passes(void)
{
	g_autofree char *text = NULL;

	host_is_good = true;
	text = diagnose(/* list= */ 0, /* probe= */ 0, get_space);
	check_str(text, "pass bangerd: it\n"
			"pass authorization: polkit allows what VMs need\n"
			"pass helper: org.banger.Helper answers\n"
			"pass acceleration: the fake says so\n"
			"pass VMM: /usr/bin/qemu-system-x86_64\n"
			"pass jail: " BANGER_LIBEXECDIR "/banger-jail\n"
			"pass agent: " BANGER_LIBEXECDIR "/banger-vsock-agent\n"
			"pass image build: /usr/bin/mmdebstrap\n"
			"pass image build as a user: /usr/bin/newuidmap\n"
			"pass subordinate ids: /etc/subuid, /etc/subgid\n"
			"pass default image: base\n"
			"pass default kernel: 6.1\n"
			"pass disk space: /data has 2048 MiB free\n"
			"pass network: no VM has a network now\n");
}

static void
test_diagnose_when_nothing_is_there_then_each_with_its_remedy(void)
{
	g_autofree char *text = NULL, *without_space = NULL, *denied = NULL;

	host_is_good = false;
	text = diagnose(BANGER_ERROR_HELPER_UNAVAILABLE, 0, get_space);
	without_space = diagnose(BANGER_ERROR_HELPER_UNAVAILABLE, 0, get_no_space);
	denied = diagnose(0, BANGER_ERROR_NOT_AUTHORIZED, get_space);
	check(strstr(denied, "warn acceleration: probe failed -> ask an administrator"));
	check(strstr(text, "\nwarn disk space: /data has 2047 MiB free -> delete images"));
	check_str(
		without_space,
		"pass bangerd: it\n"
		"pass authorization: polkit allows what VMs need\n"
		"fail helper: list failed -> see 'journalctl -u banger-helper'\n"
		"fail VMM: /usr/bin/qemu-system-x86_64 is missing -> install the package "
		"'qemu-system-x86'\n"
		"fail jail: " BANGER_LIBEXECDIR "/banger-jail is missing -> install banger again\n"
		"fail agent: " BANGER_LIBEXECDIR
		"/banger-vsock-agent is missing -> install banger again\n"
		"warn image build: /usr/bin/mmdebstrap is missing -> install the package 'mmdebstrap'\n"
		"warn image build as a user: /usr/bin/newuidmap is missing -> install the package "
		"'uidmap'\n"
		"warn subordinate ids: you have no entry in /etc/subuid and /etc/subgid -> ask an "
		"administrator for 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER'\n"
		"warn default image: there is none -> banger image build --default\n"
		"warn default kernel: there is none -> banger kernel import --fetch --default\n"
		"pass network: no VM has a network now\n");
}

static void
test_diagnose_when_the_helper_has_gone_then_what_it_said_before_does_not_count(void)
{
	g_auto(Rig) rig = {};

	host_is_good = true;
	rig_init(&rig, get_space);
	rig_diagnose(&rig, 0, 0);
	check(strstr(rig.text->str, "\npass helper: "));
	rig_diagnose(&rig, BANGER_ERROR_HELPER_UNAVAILABLE, 0);
	check(strstr(rig.text->str,
		     "\nfail helper: list failed -> see 'journalctl -u banger-helper'\n"));
	check(!strstr(rig.text->str, "acceleration"));
}

static void
test_diagnose_when_a_vmm_is_of_no_vm_then_told_how_to_end_it(void)
{
	g_auto(Rig) rig = {};

	host_is_good = true;
	rig_init(&rig, get_space);
	rig.fakes->listed[0] = ID;
	rig_diagnose(&rig, 0, 0);
	check(strstr(rig.text->str,
		     "\nwarn VMM of VM " ID
		     ": the helper has it, and there is no such VM here -> if no other "
		     "bangerd of yours has it: busctl call org.banger.Helper /org/banger/Helper "
		     "org.banger.Helper ReleaseVM ss " ID " ''\n"));
	check(!strstr(rig.fakes->log->str, "release"));
}

static void
test_diagnose_when_polkit_does_not_allow_an_action_then_it_is_named(void)
{
	g_autofree char *no = NULL, *asks = NULL, *away = NULL;

	host_is_good = true;
	refused = "org.banger.helper.launch-vmm";
	leave = BANGER_LEAVE_NO;
	no = diagnose(/* list= */ 0, /* probe= */ 0, get_space);
	leave = BANGER_LEAVE_ASKS;
	asks = diagnose(/* list= */ 0, /* probe= */ 0, get_space);
	refused = NULL;
	polkit_away = true;
	away = diagnose(/* list= */ 0, /* probe= */ 0, get_space);
	polkit_away = false;
	check(strstr(no,
		     "\nfail authorization: org.banger.helper.launch-vmm is not allowed -> the "
		     "group 'banger' allows it where no rule forbids it: ask an administrator\n"));
	check(!strstr(no, "pass authorization"));
	check(strstr(asks, "\nwarn authorization: org.banger.helper.launch-vmm takes a password -> "
			   "the group 'banger' allows it where no rule forbids it"));
	check(strstr(away,
		     "\nfail authorization: polkit is away -> see 'systemctl status polkit'\n"));
	check(strstr(away, "\npass helper: "));
}

static void
test_diagnose_when_polkit_does_not_allow_a_network_then_warned(void)
{
	static const char *const actions[] = { "ensure-bridge", "create-tap", "enable-nat" };

	host_is_good = true;
	leave = BANGER_LEAVE_NO;
	for (size_t i = 0; i < G_N_ELEMENTS(actions); i++) {
		g_autofree char *action = g_strconcat("org.banger.helper.", actions[i], NULL);
		g_autofree char *row = g_strdup_printf(
			"\nwarn authorization: %s is not allowed; VMs without a network do "
			"without -> the group 'banger' allows it",
			action);
		g_autofree char *text = NULL;

		refused = action;
		text = diagnose(/* list= */ 0, /* probe= */ 0, get_space);
		refused = NULL;
		check(strstr(text, row));
		check(!strstr(text, "pass authorization"));
	}
}

static void
on_ensured(GObject *source, GAsyncResult *result, gpointer data)
{
	check(banger_network_ensure_finish(BANGER_NETWORK(source), result, NULL));
}

/* As a VM with a network asks for it. `names`: what becomes of them, 0 for success. */
static void
begin_network(Rig *rig, BangerError names)
{
	banger_network_ensure_async(banger_manager_get_network(rig->manager), "",
				    /* cancellable= */ NULL, on_ensured, NULL);
	fake_ports_settle(rig->fakes);
	fake_ports_succeed(rig->fakes, "bridge");
	if (!fake_ports_is_asked(rig->fakes, "names"))
		return;
	if (names)
		fake_ports_fail(rig->fakes, "names", names);
	else
		fake_ports_succeed(rig->fakes, "names");
}

static char *
diagnose_network(bool has_dns, const char *note, BangerError names)
{
	g_auto(Rig) rig = {};

	host_is_good = true;
	rig_init(&rig, get_space);
	rig.fakes->has_dns = has_dns;
	rig.fakes->note = note;
	begin_network(&rig, names);
	rig_diagnose(&rig, 0, 0);
	banger_network_forget(banger_manager_get_network(rig.manager));
	return g_strdup(rig.text->str);
}

static void
test_diagnose_when_there_is_a_network_then_it_and_its_names_are_told(void)
{
	g_autofree char *good = diagnose_network(true, NULL, 0);
	g_autofree char *moved = diagnose_network(true, "VMs have other addresses", 0);
	g_autofree char *taken = diagnose_network(false, "port 53 is taken", 0);

	check(strstr(good, "\npass network: bgr-u1000 has 10.208.160.1/22\n"
			   "pass names: this computer finds VMs as NAME.dev.vm\n"));
	check(strstr(moved,
		     "\nwarn network: VMs have other addresses -> names stay, and 'banger vm "
		     "show' has addresses; an administrator can choose other subnets"));
	check(strstr(moved, "\npass names: "));
	check(strstr(taken, "\nwarn network: port 53 is taken -> 'ss -lnp sport = :53' shows"));
	check(!strstr(taken, " names: "));
}

static void
test_diagnose_when_port_53_is_taken_and_addresses_are_others_then_both_remedies(void)
{
	g_autofree char *both = diagnose_network(false, "other addresses; port 53 is taken", 0);
	g_autofree char *one = diagnose_network(false, "port 53 is taken", 0);

	check(strstr(both, "shows an administrator who has that port"));
	check(strstr(both, "an administrator can choose other subnets"));
	check(!strstr(one, "an administrator can choose other subnets"));
}

static void
test_diagnose_when_names_cannot_be_served_then_that_is_told_and_not_port_53(void)
{
	g_auto(Rig) rig = {};

	host_is_good = true;
	rig_init(&rig, get_space);
	rig.fakes->has_dns = true;
	rig.fakes->note = "VMs have other addresses";
	rig.fakes->fail_call = "names-start";
	begin_network(&rig, 0);
	rig_diagnose(&rig, 0, 0);
	banger_network_forget(banger_manager_get_network(rig.manager));
	check(strstr(rig.text->str, "\nwarn network: VMs have other addresses -> names stay"));
	check(strstr(rig.text->str, "\nwarn names: names-start failed -> VMs work, but nobody "));
}

static void
test_diagnose_when_the_host_knows_no_names_then_why_and_what_to_do(void)
{
	static const struct {
		BangerError error;
		const char *way;
	} cases[] = {
		{ BANGER_ERROR_RESOLVER_UNAVAILABLE, "with the package 'systemd-resolved'" },
		{ BANGER_ERROR_NOT_AUTHORIZED, "ask an administrator to add you to the group" },
		{ BANGER_ERROR_INTERACTION_REQUIRED,
		  "ask an administrator to add you to the group" },
		{ BANGER_ERROR_TIMED_OUT, "see 'journalctl -u banger-helper'" },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = diagnose_network(true, NULL, cases[i].error);
		const char *row = strstr(text, "\nwarn names: names failed -> VMs know the names, "
					       "and so does who asks at 10.208.160.1");
		const char *end;

		check(row);
		end = strchr(row + 1, '\n');
		check(g_strstr_len(row, end - row, cases[i].way));
	}
}

static void
test_diagnose_when_somebody_but_root_may_write_the_vmm_then_told(void)
{
	g_autofree char *text = NULL;

	host_is_good = true;
	host_is_safe = false;
	text = diagnose(/* list= */ 0, /* probe= */ 0, get_space);
	host_is_safe = true;
	check(strstr(text,
		     "\nfail VMM: /usr/bin/qemu-system-x86_64 is not root's alone to write, or a "
		     "directory above it is not -> 'chown root' and 'chmod go-w' make it so\n"));
}

TEST_MAIN(TEST(test_diagnose_when_all_is_there_then_all_passes),
	  TEST(test_diagnose_when_nothing_is_there_then_each_with_its_remedy),
	  TEST(test_diagnose_when_the_helper_has_gone_then_what_it_said_before_does_not_count),
	  TEST(test_diagnose_when_a_vmm_is_of_no_vm_then_told_how_to_end_it),
	  TEST(test_diagnose_when_polkit_does_not_allow_an_action_then_it_is_named),
	  TEST(test_diagnose_when_polkit_does_not_allow_a_network_then_warned),
	  TEST(test_diagnose_when_there_is_a_network_then_it_and_its_names_are_told),
	  TEST(test_diagnose_when_port_53_is_taken_and_addresses_are_others_then_both_remedies),
	  TEST(test_diagnose_when_names_cannot_be_served_then_that_is_told_and_not_port_53),
	  TEST(test_diagnose_when_the_host_knows_no_names_then_why_and_what_to_do),
	  TEST(test_diagnose_when_somebody_but_root_may_write_the_vmm_then_told))
