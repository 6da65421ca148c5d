/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM's network in a faked world: its steps, their failures, and its change while it runs. */
#include "test.h"

#include "fakes/vm-rig.h"

#define UP                                                                                         \
	"create probe kernel disks bridge tap nat launch vmm-new guest-new console-new "           \
	"guest-open set-clock"

static GArray *
make_ports(const char *first, const char *second)
{
	const char *const texts[] = { first, second, NULL };
	GArray *ports = banger_port_list_new();

	check(banger_port_list_add(ports, texts, NULL));
	return ports;
}

/* The number in the subnet that it leads to; 0: to none. */
static unsigned
published(Rig *rig, const char *port)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(rig->fakes->published, port));
}

static void
bring_up(Rig *rig, BangerReach reach)
{
	g_auto(Answer) up = {};

	rig_init_reaching(rig, reach);
	rig_begin(rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(rig, /* until= */ NULL);
	check(up.ok);
}

static void
test_bring_up_when_it_has_a_network_then_the_tap_goes_with_the_launch(void)
{
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_LAN);
	check_log(&rig, UP);
	check(rig.fakes->lan);
	check_int(rig.fakes->host, 7);
	check_int(banger_vm_get_address(rig.vm), FAKE_SUBNET + 7);
	/* The VMM's four: the tap is its own now. */
	check_int(fake_ports_count_held(rig.fakes), 4);
}

static void
test_bring_up_when_it_reaches_the_host_alone_then_no_nat(void)
{
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_HOST);
	check_log(&rig, "create probe kernel disks bridge tap launch vmm-new guest-new "
			"console-new guest-open set-clock");
}

static void
play_failure(const char *call, const char *log)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init_reaching(&rig, BANGER_REACH_NAT);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, call);
	fake_ports_fail(rig.fakes, call, BANGER_ERROR_NOT_AUTHORIZED);
	rig_walk(&rig, /* until= */ NULL);
	check(up.done && !up.ok);
	check(g_error_matches(up.error, BANGER_ERROR, BANGER_ERROR_NOT_AUTHORIZED));
	check_log(&rig, log);
	check_int(fake_ports_count_held(rig.fakes), 0);
}

static void
test_bring_up_when_a_step_of_the_network_fails_then_undone(void)
{
	play_failure("bridge", "create probe kernel disks bridge destroy");
	play_failure("tap", "create probe kernel disks bridge tap untap destroy");
	play_failure("nat", "create probe kernel disks bridge tap nat untap destroy");
	play_failure("launch", "create probe kernel disks bridge tap nat launch untap destroy");
}

/* Somebody took it away since; once, and not again and again. */
static void
test_bring_up_when_the_bridge_has_gone_then_it_is_made_once_more(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init_reaching(&rig, BANGER_REACH_HOST);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, "tap");
	fake_ports_fail(rig.fakes, "tap", BANGER_ERROR_NOT_FOUND);
	rig_walk(&rig, "tap");
	fake_ports_fail(rig.fakes, "tap", BANGER_ERROR_NOT_FOUND);
	rig_walk(&rig, /* until= */ NULL);
	check(up.done && !up.ok);
	check_log(&rig, "create probe kernel disks bridge tap bridge tap untap destroy");
}

static void
test_nat_when_the_tables_have_gone_then_they_are_made_once_more(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init_reaching(&rig, BANGER_REACH_NAT);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "nat");
	fake_ports_fail(rig.fakes, "nat", BANGER_ERROR_NOT_FOUND);
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	check_log(&rig, "probe kernel disks bridge tap nat bridge nat launch vmm-new guest-new "
			"console-new guest-open set-clock");
}

/* Of a VMM that runs, of which nobody could say so: to be looked for, with its network. */
static void
test_bring_up_when_it_has_a_tap_already_then_that_stays_and_it_is_held(void)
{
	g_autoptr(GArray) ports = make_ports("80:1", NULL);
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {}, found = {};

	rig_init_reaching(&rig, BANGER_REACH_NAT);
	rig_begin(&rig, BANGER_PLAN_START, &up);
	rig_walk(&rig, "tap");
	fake_ports_fail(rig.fakes, "tap", BANGER_ERROR_ALREADY_EXISTS);
	check_failed(up, BANGER_ERROR_ALREADY_EXISTS);
	check_log(&rig, "probe kernel disks bridge tap");
	check(banger_vm_is_held(rig.vm));
	check_int(banger_vm_get_state(rig.vm), BANGER_VM_ERROR);
	banger_vm_keep_ports(rig.vm, ports);
	rig_recover_again(&rig, &found);
	fake_ports_succeed(rig.fakes, "open");
	fake_ports_succeed(rig.fakes, "guest-open");
	check(found.ok);
	check_int(published(&rig, "127.0.0.1:80/tcp"), 7);
}

static void
test_bring_up_when_it_is_made_and_its_address_is_taken_then_undone(void)
{
	g_auto(Rig) rig = {};
	g_auto(Answer) up = {};

	rig_init_reaching(&rig, BANGER_REACH_NAT);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, "tap");
	fake_ports_fail(rig.fakes, "tap", BANGER_ERROR_ALREADY_EXISTS);
	rig_walk(&rig, /* until= */ NULL);
	check_failed(up, BANGER_ERROR_ALREADY_EXISTS);
	check_log(&rig, "create probe kernel disks bridge tap untap destroy");
	check(!banger_vm_is_held(rig.vm));
}

static void
on_set(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer->ok = banger_vm_set_reach_finish(BANGER_VM(source), result, &answer->error);
	answer->done = true;
}

static void
set_reach(Rig *rig, BangerReach reach, Answer *answer)
{
	banger_vm_set_reach_async(rig->vm, reach, "", on_set, answer);
	fake_ports_settle(rig->fakes);
}

static void
test_reach_when_changed_while_it_runs_then_at_once(void)
{
	g_auto(Answer) narrowed = {}, widened = {}, failed = {};
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_LAN);
	check_log(&rig, UP);
	set_reach(&rig, BANGER_REACH_HOST, &narrowed);
	check(!narrowed.done);
	check_int(banger_vm_get_spec(rig.vm)->reach, BANGER_REACH_LAN);
	fake_ports_succeed(rig.fakes, "no-nat");
	check(narrowed.ok);
	check_int(banger_vm_get_spec(rig.vm)->reach, BANGER_REACH_HOST);
	set_reach(&rig, BANGER_REACH_NAT, &widened);
	fake_ports_succeed(rig.fakes, "nat");
	check(widened.ok && !rig.fakes->lan);
	set_reach(&rig, BANGER_REACH_LAN, &failed);
	fake_ports_fail(rig.fakes, "nat", BANGER_ERROR_NOT_AUTHORIZED);
	check(failed.done && !failed.ok);
	check_int(banger_vm_get_spec(rig.vm)->reach, BANGER_REACH_NAT);
	check_log(&rig, "no-nat nat nat");
}

static void
test_reach_when_it_would_lose_its_card_then_refused_while_it_runs(void)
{
	g_auto(Answer) set = {};
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_NAT);
	set_reach(&rig, BANGER_REACH_NONE, &set);
	check(g_error_matches(set.error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	check(strstr(set.error->message, "rid of it"));
	check_int(banger_vm_get_spec(rig.vm)->reach, BANGER_REACH_NAT);
}

static void
test_reach_when_it_would_need_a_card_then_refused_while_it_runs(void)
{
	g_auto(Answer) set = {};
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_NONE);
	set_reach(&rig, BANGER_REACH_NAT, &set);
	check(g_error_matches(set.error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE));
	check_int(banger_vm_get_address(rig.vm), 0);
}

static void
test_reach_when_it_does_not_run_then_for_the_next_start(void)
{
	g_auto(Answer) set = {}, up = {};
	g_auto(Rig) rig = {};

	rig_init_reaching(&rig, BANGER_REACH_NONE);
	set_reach(&rig, BANGER_REACH_NAT, &set);
	check(set.ok);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	check_log(&rig, UP);
}

static void
on_peer(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer->ok = banger_vm_set_peer_finish(BANGER_VM(source), result, &answer->error);
	answer->done = true;
}

static void
test_peer_when_changed_then_at_once_where_it_has_a_card(void)
{
	g_auto(Answer) stopped = {}, failed = {}, set = {}, up = {};
	g_auto(Rig) rig = {};

	rig_init_reaching(&rig, BANGER_REACH_HOST);
	banger_vm_set_peer_async(rig.vm, true, "", on_peer, &stopped);
	fake_ports_settle(rig.fakes);
	check(stopped.ok && banger_vm_get_spec(rig.vm)->peer);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	g_string_truncate(rig.fakes->log, 0);
	banger_vm_set_peer_async(rig.vm, false, "", on_peer, &failed);
	fake_ports_settle(rig.fakes);
	check(!failed.done && !rig.fakes->peer);
	fake_ports_fail(rig.fakes, "peer", BANGER_ERROR_NOT_AUTHORIZED);
	check(failed.done && !failed.ok && banger_vm_get_spec(rig.vm)->peer);
	banger_vm_set_peer_async(rig.vm, false, "", on_peer, &set);
	fake_ports_succeed(rig.fakes, "peer");
	check(set.ok && !banger_vm_get_spec(rig.vm)->peer);
	check_log(&rig, "peer peer");
}

static void
test_change_when_the_tables_have_gone_then_they_are_made_once_more(void)
{
	g_auto(Answer) widened = {}, peer = {}, failed = {};
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_HOST);
	g_string_truncate(rig.fakes->log, 0);
	set_reach(&rig, BANGER_REACH_LAN, &widened);
	fake_ports_fail(rig.fakes, "nat", BANGER_ERROR_NOT_FOUND);
	check(!widened.done);
	fake_ports_succeed(rig.fakes, "bridge");
	fake_ports_succeed(rig.fakes, "nat");
	check(widened.ok && rig.fakes->lan);
	banger_vm_set_peer_async(rig.vm, true, "", on_peer, &peer);
	fake_ports_fail(rig.fakes, "peer", BANGER_ERROR_NOT_FOUND);
	fake_ports_succeed(rig.fakes, "bridge");
	fake_ports_succeed(rig.fakes, "peer");
	check(peer.ok && banger_vm_get_spec(rig.vm)->peer);
	/* Once, and where there is no bridge to be had not that. */
	banger_vm_set_peer_async(rig.vm, false, "", on_peer, &failed);
	fake_ports_fail(rig.fakes, "peer", BANGER_ERROR_NOT_FOUND);
	fake_ports_fail(rig.fakes, "bridge", BANGER_ERROR_QUOTA_REACHED);
	check_failed(failed, BANGER_ERROR_QUOTA_REACHED);
	check(banger_vm_get_spec(rig.vm)->peer);
	check_log(&rig, "nat bridge nat peer bridge peer peer bridge");
}

static void
test_ports_when_it_runs_then_they_lead_to_it_and_are_given_back_at_its_end(void)
{
	g_autoptr(GArray) ports = make_ports("80:1", "53:2/udp");
	g_auto(Answer) up = {}, stopped = {};
	g_auto(Rig) rig = {};

	rig_init_reaching(&rig, BANGER_REACH_HOST);
	banger_vm_keep_ports(rig.vm, ports);
	check_int(g_hash_table_size(rig.fakes->published), 0);
	g_string_truncate(rig.fakes->log, 0);
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, /* until= */ NULL);
	check(up.ok);
	check_log(&rig, "create probe kernel disks bridge tap publish publish launch vmm-new "
			"guest-new console-new guest-open set-clock");
	check_int(published(&rig, "127.0.0.1:80/tcp"), 7);
	check_int(published(&rig, "127.0.0.1:53/udp"), 7);
	rig_stop(&rig, /* timeout_s= */ 0, &stopped);
	fake_ports_succeed(rig.fakes, "release");
	check(stopped.ok);
	check_int(g_hash_table_size(rig.fakes->published), 0);
}

static void
test_ports_when_one_is_taken_then_nothing_is_started(void)
{
	g_autoptr(GArray) ports = make_ports("80:1", NULL);
	g_auto(Answer) up = {};
	g_auto(Rig) rig = {};

	rig_init_reaching(&rig, BANGER_REACH_HOST);
	banger_vm_keep_ports(rig.vm, ports);
	rig.fakes->fail_call = "publish";
	rig_begin(&rig, BANGER_PLAN_MAKE | BANGER_PLAN_START, &up);
	rig_walk(&rig, /* until= */ NULL);
	check_failed(up, BANGER_ERROR_BUSY);
	check_int(g_hash_table_size(rig.fakes->published), 0);
	check(!strstr(rig.fakes->log->str, "launch"));
}

static void
test_ports_when_changed_while_it_runs_then_none_goes_before_it_is_certain(void)
{
	g_autoptr(GArray) ports = make_ports("80:1", "81:1"), others = make_ports("81:2", "82:3");
	g_autoptr(GError) error = NULL;
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_NAT);
	check(banger_vm_take_ports(rig.vm, ports, NULL));
	banger_vm_keep_ports(rig.vm, ports);
	check_int(published(&rig, "127.0.0.1:80/tcp"), 7);
	rig.fakes->fail_call = "publish";
	check(!banger_vm_take_ports(rig.vm, others, &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_BUSY));
	rig.fakes->fail_call = NULL;
	check_int(g_hash_table_size(rig.fakes->published), 2);
	check(banger_vm_take_ports(rig.vm, others, NULL));
	check_int(g_hash_table_size(rig.fakes->published), 3);
	banger_vm_give_back_ports(rig.vm, others);
	check_int(g_hash_table_size(rig.fakes->published), 2);
	check_int(published(&rig, "127.0.0.1:81/tcp"), 7);
	check(banger_vm_take_ports(rig.vm, others, NULL));
	banger_vm_keep_ports(rig.vm, others);
	check_int(published(&rig, "127.0.0.1:80/tcp"), 0);
	check_int(published(&rig, "127.0.0.1:81/tcp"), 7);
	check_int(published(&rig, "127.0.0.1:82/tcp"), 7);
}

/* By the successor of a bangerd that had taken them, say. */
static void
test_ports_when_taken_again_and_one_is_somebody_elses_then_the_others_work(void)
{
	g_autoptr(GArray) ports = make_ports("80:1", "81:1"), one = make_ports("81:1", NULL);
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_NAT);
	rig.fakes->taken_port = 80;
	banger_vm_keep_ports(rig.vm, ports);
	check_int(published(&rig, "127.0.0.1:80/tcp"), 0);
	check_int(published(&rig, "127.0.0.1:81/tcp"), 7);
	check_int(g_hash_table_size(banger_vm_get_missing_ports(rig.vm)), 1);
	check_str(g_hash_table_lookup(banger_vm_get_missing_ports(rig.vm), "127.0.0.1:80:1/tcp"),
		  "80 is in use");
	/* It is free again, and asked for; or it is done without. */
	rig.fakes->taken_port = 0;
	check(banger_vm_take_ports(rig.vm, ports, NULL));
	check_int(g_hash_table_size(banger_vm_get_missing_ports(rig.vm)), 0);
	rig.fakes->taken_port = 80;
	banger_vm_publish_again(rig.vm);
	check_int(g_hash_table_size(banger_vm_get_missing_ports(rig.vm)), 1);
	banger_vm_keep_ports(rig.vm, one);
	check_int(g_hash_table_size(banger_vm_get_missing_ports(rig.vm)), 0);
}

static void
test_ports_when_it_has_ended_since_they_were_taken_then_given_back(void)
{
	g_autoptr(GArray) ports = make_ports("80:1", NULL);
	g_auto(Answer) stopped = {};
	g_auto(Rig) rig = {};

	bring_up(&rig, BANGER_REACH_NAT);
	check(banger_vm_take_ports(rig.vm, ports, NULL));
	rig_stop(&rig, /* timeout_s= */ 0, &stopped);
	fake_ports_succeed(rig.fakes, "release");
	banger_vm_keep_ports(rig.vm, ports);
	check_int(g_hash_table_size(rig.fakes->published), 0);
	check_int(banger_vm_get_spec(rig.vm)->ports->len, 1);
}

TEST_MAIN(TEST(test_bring_up_when_it_has_a_network_then_the_tap_goes_with_the_launch),
	  TEST(test_bring_up_when_it_reaches_the_host_alone_then_no_nat),
	  TEST(test_bring_up_when_a_step_of_the_network_fails_then_undone),
	  TEST(test_bring_up_when_the_bridge_has_gone_then_it_is_made_once_more),
	  TEST(test_nat_when_the_tables_have_gone_then_they_are_made_once_more),
	  TEST(test_bring_up_when_it_has_a_tap_already_then_that_stays_and_it_is_held),
	  TEST(test_bring_up_when_it_is_made_and_its_address_is_taken_then_undone),
	  TEST(test_reach_when_changed_while_it_runs_then_at_once),
	  TEST(test_reach_when_it_would_lose_its_card_then_refused_while_it_runs),
	  TEST(test_reach_when_it_would_need_a_card_then_refused_while_it_runs),
	  TEST(test_reach_when_it_does_not_run_then_for_the_next_start),
	  TEST(test_peer_when_changed_then_at_once_where_it_has_a_card),
	  TEST(test_change_when_the_tables_have_gone_then_they_are_made_once_more),
	  TEST(test_ports_when_it_runs_then_they_lead_to_it_and_are_given_back_at_its_end),
	  TEST(test_ports_when_one_is_taken_then_nothing_is_started),
	  TEST(test_ports_when_changed_while_it_runs_then_none_goes_before_it_is_certain),
	  TEST(test_ports_when_taken_again_and_one_is_somebody_elses_then_the_others_work),
	  TEST(test_ports_when_it_has_ended_since_they_were_taken_then_given_back))
