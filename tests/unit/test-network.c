/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's network as the manager keeps it: names as long as VMs have addresses, a bridge as long as there are
 * VMs. */
#include "fakes/manager-rig.h"
#include "service/manager/diagnose-network.h"

static BangerVm *
run_reaching(Rig *rig, BangerReach reach, End *end)
{
	g_autoptr(BangerVmSpec) spec = rig_make_spec(/* ephemeral= */ false);
	BangerVm *vm = NULL;

	spec->reach = reach;
	rig_watch(rig,
		  banger_manager_create_vm(rig->manager, spec, /* start= */ true, "", &vm, NULL),
		  end);
	fake_ports_settle(rig->fakes);
	rig_walk(rig);
	check(end->done && !end->error);
	return vm;
}

static unsigned
number_of(Rig *rig, const char *name)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(rig->fakes->names, name));
}

static void
finish_off(Rig *rig)
{
	rig_finish_off(rig);
	/* Behind the last VM the bridge goes. */
	fake_ports_settle(rig->fakes);
	if (fake_ports_is_asked(rig->fakes, "no-bridge"))
		fake_ports_succeed(rig->fakes, "no-bridge");
}

static void
test_names_when_a_vm_has_an_address_then_served_until_it_ends(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) started = {};
	BangerVm *vm;

	rig_init(&rig);
	rig.fakes->has_dns = true;
	rig_begin(&rig);
	vm = run_reaching(&rig, BANGER_REACH_HOST, &started);
	check(rig.fakes->serves_names);
	/* It runs, and nobody waits for the host to be told; nor is that asked for before. */
	check(strstr(strstr(rig_take_log(&rig), " guest-open"), " names"));
	fake_ports_succeed(rig.fakes, "names");
	check_int(number_of(&rig, "web"), 2);
	check_int(banger_vm_get_spec(vm)->host, 2);
	finish_off(&rig);
	check_int(number_of(&rig, "web"), 0);
	check(!rig.fakes->serves_names);
}

static void
test_names_when_port_53_is_taken_then_vms_run_all_the_same(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) started = {};

	rig_init(&rig);
	rig_begin(&rig);
	(void)run_reaching(&rig, BANGER_REACH_HOST, &started);
	check(!rig.fakes->serves_names);
	check(!fake_ports_is_asked(rig.fakes, "names"));
	finish_off(&rig);
}

/* VMs run, and only the doctor knows. */
static void
test_names_when_the_host_is_not_told_then_vms_run_all_the_same(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) started = {};
	BangerVm *vm;

	rig_init(&rig);
	rig.fakes->has_dns = true;
	rig_begin(&rig);
	vm = run_reaching(&rig, BANGER_REACH_HOST, &started);
	fake_ports_fail(rig.fakes, "names", BANGER_ERROR_RESOLVER_UNAVAILABLE);
	check_int(banger_vm_get_state(vm), BANGER_VM_RUNNING);
	check_str(banger_vm_get_last_error(vm), "");
	check(rig.fakes->serves_names);
	check(!fake_ports_is_asked(rig.fakes, "names"));
	finish_off(&rig);
}

static void
test_ports_when_one_cannot_be_had_any_more_then_the_doctor_knows_and_the_others_work(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerVmSpec) spec = rig_make_spec(/* ephemeral= */ false);
	const char *const ports[] = { "8080:80", "8081:81", NULL };
	g_autoptr(GVariantBuilder) rows = g_variant_builder_new(G_VARIANT_TYPE("a(ssss)"));
	g_autoptr(GVariant) all = NULL;
	g_autofree char *text = NULL;
	g_auto(End) started = {};
	BangerVm *vm;

	rig_init(&rig);
	rig_begin(&rig);
	spec->reach = BANGER_REACH_NAT;
	check(banger_port_list_add(spec->ports, ports, NULL));
	rig_watch(&rig,
		  banger_manager_create_vm(rig.manager, spec, /* start= */ true, "", &vm, NULL),
		  &started);
	rig_walk(&rig);
	check(started.done && !started.error);
	/* As it is when a bangerd takes them that is the next one. */
	g_hash_table_remove_all(rig.fakes->published);
	rig.fakes->taken_port = 8080;
	banger_vm_publish_again(vm);
	check_int(g_hash_table_size(rig.fakes->published), 1);
	banger_diagnose_network(rig.manager, rows);
	all = g_variant_ref_sink(g_variant_builder_end(rows));
	text = g_variant_print(all, FALSE);
	check(strstr(text, "('warn', 'ports', 'VM web: 8080 is in use', "));
	check(strstr(text,
		     "'banger vm set -p 127.0.0.1:8080:80/tcp web' takes it once it is free"));
	check(!strstr(text, "8081"));
	finish_off(&rig);
}

static void
test_bridge_when_no_vm_wants_one_then_never_asked_for(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) started = {};

	rig_init(&rig);
	rig_begin(&rig);
	(void)run_reaching(&rig, BANGER_REACH_NONE, &started);
	check(!strstr(rig_take_log(&rig), "bridge"));
	rig_finish_off(&rig);
	check(!strstr(rig_take_log(&rig), "bridge"));
}

/* A VM that has been there: its bridge is, for a while. */
static void
leave_bridge(Rig *rig)
{
	g_auto(End) started = {};

	rig->fakes->ports.bridge_idle_s = 3600;
	rig_begin(rig);
	(void)run_reaching(rig, BANGER_REACH_HOST, &started);
	rig_finish_off(rig);
	check(!fake_ports_is_asked(rig->fakes, "no-bridge"));
	(void)rig_take_log(rig);
}

static void
on_left(GObject *source, GAsyncResult *result, gpointer data)
{
	banger_manager_leave_network_finish(BANGER_MANAGER(source), result);
	((End *)data)->done = true;
}

static void
leave(Rig *rig, End *left)
{
	banger_manager_leave_network_async(rig->manager, on_left, left);
	fake_ports_settle(rig->fakes);
}

static void
test_bridge_when_bangerd_ends_then_taken_away_before(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) left = {}, again = {};

	rig_init(&rig);
	leave_bridge(&rig);
	leave(&rig, &left);
	check(!left.done);
	fake_ports_succeed(rig.fakes, "no-bridge");
	check(left.done);
	leave(&rig, &again);
	check(again.done);
	check_str(rig_take_log(&rig), "no-bridge");
}

static void
test_bridge_when_bangerd_ends_and_a_vm_runs_then_it_stays(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) started = {}, left = {};

	rig_init(&rig);
	rig_begin(&rig);
	(void)run_reaching(&rig, BANGER_REACH_HOST, &started);
	leave(&rig, &left);
	check(left.done && !fake_ports_is_asked(rig.fakes, "no-bridge"));
	finish_off(&rig);
}

/* As a bangerd does that dies, and its successor. */
static void
begin_again(Rig *rig)
{
	g_clear_object(&rig->manager);
	rig->recovered = false;
	rig->fakes->ports.bridge_idle_s = 0;
	rig_begin(rig);
}

static void
test_bridge_when_a_bangerd_before_left_it_then_taken_away(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	leave_bridge(&rig);
	rig.fakes->lists_bridge = true;
	begin_again(&rig);
	check(!rig.recovered);
	fake_ports_succeed(rig.fakes, "list");
	check(rig.recovered);
	fake_ports_succeed(rig.fakes, "no-bridge");
	begin_again(&rig);
	check(rig.recovered);
	check_str(rig_take_log(&rig), "list no-bridge");
}

/* The host has been started since, say. */
static void
test_bridge_when_there_is_none_any_more_then_it_is_forgotten(void)
{
	g_auto(Rig) rig = {};

	rig_init(&rig);
	leave_bridge(&rig);
	begin_again(&rig);
	fake_ports_succeed(rig.fakes, "list");
	begin_again(&rig);
	check(rig.recovered);
	check_str(rig_take_log(&rig), "list");
}

static void
test_bridge_when_it_cannot_be_taken_away_then_tried_again(void)
{
	g_auto(Rig) rig = {};
	g_auto(End) started = {}, left = {};

	rig_init(&rig);
	leave_bridge(&rig);
	leave(&rig, &left);
	fake_ports_fail(rig.fakes, "no-bridge", BANGER_ERROR_BUSY);
	check(left.done);
	rig.fakes->ports.bridge_idle_s = 0;
	(void)run_reaching(&rig, BANGER_REACH_NONE, &started);
	fake_ports_settle(rig.fakes);
	fake_ports_succeed(rig.fakes, "no-bridge");
	rig_finish_off(&rig);
	fake_ports_settle(rig.fakes);
	check(!fake_ports_is_asked(rig.fakes, "no-bridge"));
}

TEST_MAIN(
	TEST(test_names_when_a_vm_has_an_address_then_served_until_it_ends),
	TEST(test_names_when_port_53_is_taken_then_vms_run_all_the_same),
	TEST(test_names_when_the_host_is_not_told_then_vms_run_all_the_same),
	TEST(test_ports_when_one_cannot_be_had_any_more_then_the_doctor_knows_and_the_others_work),
	TEST(test_bridge_when_no_vm_wants_one_then_never_asked_for),
	TEST(test_bridge_when_bangerd_ends_then_taken_away_before),
	TEST(test_bridge_when_bangerd_ends_and_a_vm_runs_then_it_stays),
	TEST(test_bridge_when_a_bangerd_before_left_it_then_taken_away),
	TEST(test_bridge_when_there_is_none_any_more_then_it_is_forgotten),
	TEST(test_bridge_when_it_cannot_be_taken_away_then_tried_again))
