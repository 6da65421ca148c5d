/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM that is changed: all of it, or nothing, whatever fails; and one change at a time. */
#include <sqlite3.h>

#include "fakes/manager-rig.h"
#include "service/manager/migrations.h"

typedef struct Setting {
	Rig rig;
	BangerVm *vm;
	const BangerVmSpec *spec;
} Setting;

static void
setting_done(Setting *setting)
{
	rig_finish_off(&setting->rig);
	fake_ports_settle(setting->rig.fakes);
	if (fake_ports_is_asked(setting->rig.fakes, "no-bridge"))
		fake_ports_succeed(setting->rig.fakes, "no-bridge");
	rig_done(&setting->rig);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Setting, setting_done)

/* A VM that runs, with 127.0.0.1:8080. */
static void
setting_init(Setting *setting, BangerReach reach)
{
	g_autoptr(BangerVmSpec) spec = rig_make_spec(/* ephemeral= */ false);
	const char *const ports[] = { "8080:80", NULL };
	Rig *rig = &setting->rig;
	g_auto(End) started = {};

	spec->reach = reach;
	if (reach != BANGER_REACH_NONE)
		check(banger_port_list_add(spec->ports, ports, NULL));
	rig_init(rig);
	rig_begin(rig);
	rig_watch(rig,
		  banger_manager_create_vm(rig->manager, spec, /* start= */ true, "", &setting->vm,
					   NULL),
		  &started);
	rig_walk(rig);
	check(started.done && !started.error);
	setting->spec = banger_vm_get_spec(setting->vm);
	(void)rig_take_log(rig);
}

static void
on_set(GObject *source, GAsyncResult *result, gpointer data)
{
	End *end = data;

	end->done = true;
	(void)banger_manager_set_vm_finish(BANGER_MANAGER(source), result, &end->error);
}

/* `change`: without the ports. Each of these one port, or NULL. */
static void
set(Setting *setting, BangerVmChange change, const char *unpublish, const char *publish, End *end)
{
	const char *const gone[] = { unpublish, NULL }, *const new[] = { publish, NULL };
	g_autoptr(GArray) ports = g_array_copy(setting->spec->ports);
	g_autoptr(GArray) taken = banger_port_list_new();

	check(banger_port_list_remove(ports, gone, NULL));
	check(banger_port_list_add(ports, new, NULL));
	check(banger_port_list_add(taken, new, NULL));
	change.ports = ports;
	change.taken = taken;
	banger_manager_set_vm_async(setting->rig.manager, setting->vm, &change, "", on_set, end);
	fake_ports_settle(setting->rig.fakes);
}

#define TO_LAN_AND_PEER                                                                            \
	(BangerVmChange)                                                                           \
	{                                                                                          \
		.reach = BANGER_REACH_LAN, .sets_peer = true, .peer = true                         \
	}
#define TO_PEER                                                                                    \
	(BangerVmChange)                                                                           \
	{                                                                                          \
		.reach = _BANGER_REACH_INVALID, .sets_peer = true, .peer = true                    \
	}
#define ONLY_PORTS                                                                                 \
	(BangerVmChange)                                                                           \
	{                                                                                          \
		.reach = _BANGER_REACH_INVALID                                                     \
	}

static bool
is_published(Setting *setting, const char *port)
{
	return g_hash_table_contains(setting->rig.fakes->published, port);
}

/* In the engine, in the store, and at the host. */
static void
check_unchanged(Setting *setting)
{
	g_autoptr(GPtrArray) rows = banger_store_list_vms(setting->rig.store, NULL);
	const BangerVmSpec *kept = ((BangerVmRow *)g_ptr_array_index(rows, 0))->spec;

	check_int(setting->spec->reach, BANGER_REACH_HOST);
	check(!setting->spec->peer);
	check_int(setting->spec->ports->len, 1);
	check_int(kept->reach, BANGER_REACH_HOST);
	check(!kept->peer);
	check_int(kept->ports->len, 1);
	check_int(g_hash_table_size(setting->rig.fakes->published), 1);
	check(is_published(setting, "127.0.0.1:8080/tcp"));
}

static void
test_set_when_one_of_the_changes_cannot_be_had_then_none_is(void)
{
	g_auto(Setting) setting = {};
	g_auto(End) failed = {}, done = {};
	FakePorts *fakes;

	setting_init(&setting, BANGER_REACH_HOST);
	fakes = setting.rig.fakes;
	set(&setting, TO_LAN_AND_PEER, "8080:80", "9090:90", &failed);
	fake_ports_succeed(fakes, "peer");
	check(!failed.done && setting.spec->peer && fakes->peer);
	fake_ports_fail(fakes, "nat", BANGER_ERROR_NOT_AUTHORIZED);
	check(!failed.done);
	fake_ports_succeed(fakes, "peer");
	check(banger_error_is_not_authorized(failed.error));
	check(!fakes->peer);
	/* What was open stayed so. */
	check_str(rig_take_log(&setting.rig), "publish peer nat peer withdraw");
	check_unchanged(&setting);
	set(&setting, TO_LAN_AND_PEER, "8080:80", "9090:90", &done);
	fake_ports_succeed(fakes, "peer");
	check(is_published(&setting, "127.0.0.1:8080/tcp"));
	fake_ports_succeed(fakes, "nat");
	check(done.done && !done.error && setting.spec->peer && setting.spec->ports->len == 1);
	check_int(setting.spec->reach, BANGER_REACH_LAN);
	check(!is_published(&setting, "127.0.0.1:8080/tcp"));
	check(is_published(&setting, "127.0.0.1:9090/tcp"));
}

static void
run_sql(Setting *setting, const char *sql)
{
	g_autofree char *path =
		g_strdup_printf("%s/state-%d.db", setting->rig.directory, BANGER_SCHEMA);
	sqlite3 *db = NULL;

	check_int(sqlite3_open(path, &db), SQLITE_OK);
	check_int(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	check_int(sqlite3_close(db), SQLITE_OK);
}

static void
test_set_when_it_cannot_be_recorded_then_all_is_taken_back(void)
{
	g_auto(Setting) setting = {};
	g_auto(End) failed = {};
	FakePorts *fakes;

	setting_init(&setting, BANGER_REACH_HOST);
	fakes = setting.rig.fakes;
	run_sql(&setting, "CREATE TRIGGER full BEFORE UPDATE OF ports ON vm"
			  " BEGIN SELECT RAISE(FAIL, 'full'); END");
	set(&setting, TO_LAN_AND_PEER, "8080:80", "9090:90", &failed);
	fake_ports_succeed(fakes, "peer");
	fake_ports_succeed(fakes, "nat");
	fake_ports_succeed(fakes, "no-nat");
	check(!failed.done);
	fake_ports_succeed(fakes, "peer");
	check(failed.done && failed.error);
	check(!fakes->peer);
	check_unchanged(&setting);
	run_sql(&setting, "DROP TRIGGER full");
}

/* Best effort: what cannot be taken back is told to the log, and the first failure to who asked. */
static void
test_set_when_it_cannot_be_taken_back_then_the_rest_is_all_the_same(void)
{
	g_auto(Setting) setting = {};
	g_auto(End) failed = {};
	FakePorts *fakes;

	setting_init(&setting, BANGER_REACH_HOST);
	fakes = setting.rig.fakes;
	set(&setting, TO_LAN_AND_PEER, NULL, "9090:90", &failed);
	fake_ports_succeed(fakes, "peer");
	fake_ports_fail(fakes, "nat", BANGER_ERROR_NOT_AUTHORIZED);
	fake_ports_fail(fakes, "peer", BANGER_ERROR_FAILED);
	check(banger_error_is_not_authorized(failed.error));
	check(setting.spec->peer);
	check(!is_published(&setting, "127.0.0.1:9090/tcp"));
}

static void
test_set_when_it_would_take_a_card_then_nothing_is_begun(void)
{
	g_auto(Setting) setting = {};
	g_auto(End) failed = {};

	setting_init(&setting, BANGER_REACH_NONE);
	set(&setting, TO_LAN_AND_PEER, NULL, "9090:90", &failed);
	check(g_error_matches(failed.error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	check(!setting.spec->peer);
	check_str(rig_take_log(&setting.rig), "");
}

static void
test_set_when_another_is_under_way_then_refused_and_nothing_is_lost(void)
{
	g_auto(Setting) setting = {};
	g_auto(End) first = {}, second = {}, third = {};
	FakePorts *fakes;

	setting_init(&setting, BANGER_REACH_HOST);
	fakes = setting.rig.fakes;
	set(&setting, TO_PEER, NULL, NULL, &first);
	set(&setting, ONLY_PORTS, NULL, "9090:90", &second);
	check(g_error_matches(second.error, BANGER_ERROR, BANGER_ERROR_BUSY));
	check(strstr(second.error->message, "VM web is being changed already: "));
	fake_ports_fail(fakes, "peer", BANGER_ERROR_NOT_AUTHORIZED);
	check(first.done);
	check_unchanged(&setting);
	set(&setting, ONLY_PORTS, NULL, "9090:90", &third);
	check(third.done && !third.error);
	check(is_published(&setting, "127.0.0.1:9090/tcp"));
}

static void
test_set_when_a_port_leads_elsewhere_then_when_all_else_is_had(void)
{
	g_auto(Setting) setting = {};
	g_auto(End) done = {};

	setting_init(&setting, BANGER_REACH_HOST);
	set(&setting, TO_PEER, "8080:80", "8080:81", &done);
	check_str(rig_take_log(&setting.rig), "peer");
	fake_ports_succeed(setting.rig.fakes, "peer");
	check(done.done && !done.error);
	check_str(rig_take_log(&setting.rig), "publish");
	check_int(g_array_index(setting.spec->ports, BnPort, 0).guest, 81);
}

static void
test_peer_when_asked_for_without_a_network_then_refused_as_at_its_creation(void)
{
	g_auto(Setting) setting = {};
	g_auto(End) peer = {}, refused = {}, without = {}, stopped = {};
	BangerVmChange both = { .reach = BANGER_REACH_NONE, .sets_peer = true, .peer = true };
	BangerVmChange one = { .reach = BANGER_REACH_NONE };
	FakePorts *fakes;

	setting_init(&setting, BANGER_REACH_HOST);
	fakes = setting.rig.fakes;
	set(&setting, TO_PEER, "8080:80", NULL, &peer);
	fake_ports_succeed(fakes, "peer");
	check(setting.spec->peer);
	rig_watch(&setting.rig,
		  banger_manager_stop_vm(setting.rig.manager, setting.vm, 0, "", NULL), &stopped);
	fake_ports_succeed(fakes, "release");
	check(stopped.done);
	set(&setting, both, NULL, NULL, &refused);
	check(g_error_matches(refused.error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT));
	/* It may lose its network all the same. */
	set(&setting, one, NULL, NULL, &without);
	check(without.done && !without.error);
}

TEST_MAIN(TEST(test_set_when_one_of_the_changes_cannot_be_had_then_none_is),
	  TEST(test_set_when_it_cannot_be_recorded_then_all_is_taken_back),
	  TEST(test_set_when_it_cannot_be_taken_back_then_the_rest_is_all_the_same),
	  TEST(test_set_when_it_would_take_a_card_then_nothing_is_begun),
	  TEST(test_set_when_another_is_under_way_then_refused_and_nothing_is_lost),
	  TEST(test_set_when_a_port_leads_elsewhere_then_when_all_else_is_had),
	  TEST(test_peer_when_asked_for_without_a_network_then_refused_as_at_its_creation))
