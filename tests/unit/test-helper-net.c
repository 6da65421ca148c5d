/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods about bridges, taps and NAT, on the recording kernel: who gets what, what is refused, and every kernel
 * call failed once. */
#include <errno.h>

#include "fakes/helper-rig.h"
#include "shared/base/str-util.h"
#include "helper/net-reconcile.h"
#include "shared/rules/net.h"
#include "test.h"

#define ALICE 1000
#define BOB   1001
/* Of the pool's subnets the user's uid says where the search begins. */
#define ALICE_BRIDGE "10.223.160.1/22 2 "

static Rig rig;

static const char *
done(RigCall *call)
{
	rig_settle(&rig);
	return rig_result(call);
}

static void
make_bridge(uid_t uid)
{
	check_str(done(rig_bridge(&rig, OP_ENSURE_BRIDGE, uid)), "ok");
}

static void
make_tap(uid_t uid, char vm)
{
	check_str(done(rig_tap(&rig, uid, vm, 0, /* peer= */ false)), "ok");
}

static void
clean(uid_t uid, const char *vms)
{
	for (; *vms; vms++)
		check_str(done(rig_call(&rig, OP_DELETE_TAP, uid, *vms)), "ok");
	check_str(done(rig_bridge(&rig, OP_REMOVE_BRIDGE, uid)), "ok");
}

static NetNames
names_now(void)
{
	const NetBridge *bridge = net_ledger_find_bridge(rig.net, ALICE);

	return bridge ? bridge->names : NET_NAMES_OFF;
}

/* Nothing is there that the ledger does not know. */
static void
check_known(void)
{
	for (size_t i = 0; i < rig.kernel.net.n_links; i++) {
		const char *name = rig.kernel.net.links[i].name;
		uint32_t address;
		unsigned uid;

		if (bn_net_tap_address(name, &address) >= 0)
			check(net_ledger_is_taken(rig.net, address));
		else
			check(sscanf(name, "bgr-u%u", &uid) == 1 &&
			      net_ledger_find_bridge(rig.net, uid));
	}
	check(rig.kernel.net.holders <= net_ledger_count_reaching(rig.net));
	check(rig.kernel.net.n_doors <= net_ledger_count_reaching(rig.net));
	check(!rig.kernel.net.zone[0] || names_now() != NET_NAMES_OFF);
}

static void
test_bridge_when_made_again_then_the_same_and_nothing_left_behind(void)
{
	RigCall *call;

	rig_init(&rig);
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check_str(call->text, ALICE_BRIDGE);
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check_str(call->text, ALICE_BRIDGE);
	check_int(rig.kernel.net.n_links, 1);
	clean(ALICE, "");
	check_int(fake_net_count(&rig.kernel), 0);
	/* Of what is not there. */
	clean(ALICE, "a");
	rig_done(&rig);
}

static void
test_lease_when_helpers_change_then_it_stays_and_others_get_another(void)
{
	RigCall *call;

	rig_init(&rig);
	make_bridge(ALICE);
	clean(ALICE, "");
	rig_restart(&rig);
	/* 64 subnets further it begins at the same place. */
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE + 1024);
	check_str(done(call), "ok");
	check(!strstr(call->text, ALICE_BRIDGE));
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check_str(call->text, ALICE_BRIDGE);
	rig_done(&rig);
}

static void
test_lease_when_another_network_overlaps_then_moved_but_not_under_vms(void)
{
	KernelNet *look = &rig.kernel.net.look;
	RigCall *call;

	rig_init(&rig);
	make_bridge(ALICE);
	make_tap(ALICE, 'a');
	check_int(bn_prefix_parse("10.223.160.0/24", &look->busy[look->n_busy++]), 0);
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check(strncmp(call->text, ALICE_BRIDGE, strlen(ALICE_BRIDGE)) == 0);
	check(strstr(call->text, "moved once"));
	rig.kernel.net.dns_taken = true;
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check(strstr(call->text, "has a network; port 53"));
	rig.kernel.net.dns_taken = false;
	check_str(done(rig_call(&rig, OP_DELETE_TAP, ALICE, 'a')), "ok");
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check_str(call->text, "10.223.164.1/22 2 VMs have other addresses than before: "
			      "10.223.160.0/22 is not in the pool any more, or another network of "
			      "this host has addresses of it");
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check_str(call->text, "10.223.164.1/22 2 ");
	check_int(rig.kernel.net.n_links, 1);
	clean(ALICE, "");
	check_int(fake_net_count(&rig.kernel), 0);
	rig_done(&rig);
}

static void
test_bridge_when_the_pool_is_used_up_then_quota(void)
{
	KernelNet *look = &rig.kernel.net.look;
	RigCall *call;

	rig_init(&rig);
	check_int(bn_prefix_parse("10.0.0.0/8", &look->busy[look->n_busy++]), 0);
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "QuotaReached");
	check(strstr(call->text, "pool"));
	check_int(fake_net_count(&rig.kernel), 0);
	rig_done(&rig);
}

static void
test_bridge_when_port_53_is_taken_then_told_and_vms_work(void)
{
	RigCall *call;

	rig_init(&rig);
	rig.kernel.net.dns_taken = true;
	call = rig_bridge(&rig, OP_ENSURE_BRIDGE, ALICE);
	check_str(done(call), "ok");
	check(strstr(call->text, "/22 0 port 53"));
	for (size_t i = 0; i < rig.kernel.net.n_elements; i++)
		check(rig.kernel.net.elements[i].kind != NET_CHANGE_RESOLVER);
	make_tap(ALICE, 'a');
	rig_done(&rig);
}

static void
test_tap_when_made_then_its_address_is_the_one_asked_for_or_the_lowest(void)
{
	RigCall *call;

	rig_init(&rig);
	call = rig_tap(&rig, ALICE, 'a', 0, false);
	check_str(done(call), "NotFound");
	check(strstr(call->text, "EnsureBridge"));
	make_bridge(ALICE);
	call = rig_tap(&rig, ALICE, 'a', 0, false);
	check_str(done(call), "ok");
	check_str(call->text, "10.223.160.2 02:62:0a:df:a0:02 1500");
	call = rig_tap(&rig, ALICE, 'b', 1022, true);
	check_str(done(call), "ok");
	check_str(call->text, "10.223.163.254 02:62:0a:df:a3:fe 1500");
	check_str(done(rig_tap(&rig, ALICE, 'b', 0, false)), "AlreadyExists");
	check_str(done(rig_tap(&rig, ALICE, 'c', 2, false)), "AlreadyExists");
	check_str(done(rig_tap(&rig, ALICE, 'c', 1, false)), "InvalidArgument");
	check_str(done(rig_tap(&rig, ALICE, 'c', 1023, false)), "InvalidArgument");
	check_str(done(rig_tap(&rig, ALICE, 'c', UINT32_MAX, false)), "InvalidArgument");
	call = rig_tap(&rig, ALICE, 'c', 0, false);
	check_str(done(call), "ok");
	check_str(call->text, "10.223.160.3 02:62:0a:df:a0:03 1500");
	clean(ALICE, "abc");
	check_int(fake_net_count(&rig.kernel), 0);
	rig_done(&rig);
}

static void
test_quota_of_taps_when_at_its_limit_then_only_the_next_is_refused(void)
{
	rig_init(&rig);
	make_bridge(ALICE);
	make_bridge(BOB);
	for (char vm = 'a'; vm < 'e'; vm++)
		make_tap(ALICE, vm);
	check_str(done(rig_tap(&rig, ALICE, 'e', 0, false)), "QuotaReached");
	make_tap(BOB, 'e');
	check_str(done(rig_call(&rig, OP_DELETE_TAP, ALICE, 'a')), "ok");
	make_tap(ALICE, 'e');
	rig_done(&rig);
}

/* Another's VM of the same id is another VM. */
static void
test_users_when_they_name_each_others_vms_then_nothing_is_found(void)
{
	rig_init(&rig);
	make_bridge(ALICE);
	make_bridge(BOB);
	make_tap(ALICE, 'a');
	check_str(done(rig_nat(&rig, BOB, 'a', false)), "NotFound");
	check_str(done(rig_call(&rig, OP_DELETE_TAP, BOB, 'a')), "ok");
	check(net_ledger_find_tap(rig.net, ALICE, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	check_int(rig.kernel.net.n_links, 3);
	check_str(done(rig_bridge(&rig, OP_REMOVE_BRIDGE, BOB)), "ok");
	check_int(rig.kernel.net.n_links, 2);
	check(rig.kernel.net.tables);
	rig_done(&rig);
}

static bool
has_element(NetChangeKind kind)
{
	for (size_t i = 0; i < rig.kernel.net.n_elements; i++)
		if (rig.kernel.net.elements[i].kind == kind)
			return true;
	return false;
}

static void
test_nat_when_changed_then_only_the_last_word_holds(void)
{
	rig_init(&rig);
	make_bridge(ALICE);
	check_str(done(rig_nat(&rig, ALICE, 'a', false)), "NotFound");
	make_tap(ALICE, 'a');
	check_str(done(rig_nat(&rig, ALICE, 'a', false)), "ok");
	check(has_element(NET_CHANGE_NAT) && !has_element(NET_CHANGE_LAN));
	check_str(done(rig_nat(&rig, ALICE, 'a', true)), "ok");
	check(has_element(NET_CHANGE_LAN) && !has_element(NET_CHANGE_NAT));
	check_int(rig.kernel.net.holders, 1);
	check_str(done(rig_nat(&rig, ALICE, 'a', true)), "ok");
	check_int(rig.kernel.net.holders, 1);
	check(has_element(NET_CHANGE_UPLINK));
	check_str(done(rig_call(&rig, OP_DISABLE_NAT, ALICE, 'a')), "ok");
	check_str(done(rig_call(&rig, OP_DISABLE_NAT, ALICE, 'a')), "ok");
	check(!has_element(NET_CHANGE_LAN) && !has_element(NET_CHANGE_UPLINK));
	check_int(rig.kernel.net.holders, 0);
	clean(ALICE, "a");
	check_int(fake_net_count(&rig.kernel), 0);
	rig_done(&rig);
}

static bool
is_peer(void)
{
	uint32_t address = net_ledger_get_tap(rig.net, 0)->address;
	char name[BN_LINK_NAME_SIZE];
	bool isolated = false;

	bn_net_tap_name(address, name);
	for (size_t i = 0; i < rig.kernel.net.n_links; i++)
		if (bn_str_equal(rig.kernel.net.links[i].name, name))
			isolated = rig.kernel.net.links[i].isolated;
	check(has_element(NET_CHANGE_PEER) == !isolated);
	return !isolated;
}

static void
test_peer_when_changed_then_filter_and_port_say_so(void)
{
	rig_init(&rig);
	make_bridge(ALICE);
	check_str(done(rig_peer(&rig, ALICE, 'a', true)), "NotFound");
	make_tap(ALICE, 'a');
	check(!is_peer());
	check_str(done(rig_peer(&rig, BOB, 'a', true)), "NotFound");
	for (int peer = 2; peer-- > 0;)
		for (int twice = 0; twice < 2; twice++) {
			check_str(done(rig_peer(&rig, ALICE, 'a', peer)), "ok");
			check(is_peer() == peer);
			check(net_ledger_get_tap(rig.net, 0)->peer == peer);
		}
	/* The tap is gone, and its owner's to make again. */
	rig.kernel.net.n_links--;
	check_str(done(rig_peer(&rig, ALICE, 'a', true)), "NotFound");
	check(!net_ledger_get_tap(rig.net, 0)->peer);
	rig.kernel.net.tables = false;
	check_str(done(rig_peer(&rig, ALICE, 'a', true)), "NotFound");
	rig_done(&rig);
}

static const struct {
	KernelBlock block;
	const char *chain, *way;
} blocks[] = {
	{ { .family = "inet", .table = "mine", .chain = "fw" },
	  "table inet mine, chain fw",
	  "nft insert rule inet mine fw iifname bgr-u1000 accept; nft insert rule inet mine fw "
	  "oifname bgr-u1000 ct state established,related accept" },
	{ { .family = "ip", .table = "filter", .chain = "FORWARD" },
	  "table ip filter, chain FORWARD",
	  "iptables -I FORWARD -i bgr-u1000 -j ACCEPT; iptables -I FORWARD -o bgr-u1000 -m "
	  "conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT" },
	{ { .family = "inet", .table = "firewalld", .chain = "x", .firewalld = true },
	  "table inet firewalld",
	  "firewall-cmd --zone=trusted --add-interface=bgr-u1000" },
};

static void
check_blocked(bool lan, size_t i)
{
	size_t before = fake_net_count(&rig.kernel);
	unsigned reaching = net_ledger_count_reaching(rig.net);
	RigCall *call;

	rig.kernel.net.block = &blocks[i].block;
	call = rig_nat(&rig, ALICE, 'a', lan);
	check_str(done(call), "NatBlocked");
	check(strstr(call->text, blocks[i].chain));
	check(strstr(call->text, blocks[i].way));
	check_int(fake_net_count(&rig.kernel), before);
	check_int(net_ledger_count_reaching(rig.net), reaching);
	rig.kernel.net.block = NULL;
}

static void
test_nat_when_a_firewall_drops_it_then_told_with_the_way_out_and_nothing_changes(void)
{
	rig_init(&rig);
	make_bridge(ALICE);
	make_tap(ALICE, 'a');
	for (size_t i = 0; i < BN_ELEMENTSOF(blocks); i++)
		check_blocked(/* lan= */ false, i);
	check_str(done(rig_nat(&rig, ALICE, 'a', false)), "ok");
	check_int(rig.kernel.net.n_doors, 1);
	check_blocked(/* lan= */ true, 0);
	check(has_element(NET_CHANGE_NAT) && !has_element(NET_CHANGE_LAN));
	check_str(done(rig_call(&rig, OP_DISABLE_NAT, ALICE, 'a')), "ok");
	check_int(rig.kernel.net.n_doors, 0);
	clean(ALICE, "a");
	check_int(fake_net_count(&rig.kernel), 0);
	rig_done(&rig);
}

/* What the tables are made anew with is all that anybody has. */
static void
test_tables_when_somebody_flushed_them_then_the_next_bridge_restores_all(void)
{
	size_t before;

	rig_init(&rig);
	make_bridge(ALICE);
	make_bridge(BOB);
	make_tap(ALICE, 'a');
	check_str(done(rig_nat(&rig, ALICE, 'a', false)), "ok");
	before = rig.kernel.net.n_elements;
	rig.kernel.net.tables = false;
	rig.kernel.net.n_elements = 0;
	check_str(done(rig_tap(&rig, BOB, 'b', 0, false)), "NotFound");
	make_bridge(BOB);
	check_int(rig.kernel.net.n_elements, before);
	rig_done(&rig);
}

static void
test_release_when_a_vm_has_a_network_then_it_goes_too(void)
{
	RigCall *call;
	BnPrefix lease;

	rig_init(&rig);
	make_bridge(ALICE);
	make_tap(ALICE, 'a');
	make_tap(ALICE, 'b');
	check_str(done(rig_nat(&rig, ALICE, 'a', false)), "ok");
	call = rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0);
	check_str(done(call), "ok");
	check_int(call->number, 3);
	check_str(done(rig_call(&rig, OP_RELEASE_VM, ALICE, 'a')), "ok");
	check_int(rig.kernel.net.holders, 0);
	check_int(net_ledger_count_taps(rig.net, ALICE), 1);
	check_str(done(rig_bridge(&rig, OP_REMOVE_BRIDGE, ALICE)), "Busy");
	call = rig_submit(&rig, OP_RELEASE_USER, &(OpArgs){ .release_user.uid = ALICE }, 0, NULL);
	check_str(done(call), "ok");
	check_int(fake_net_count(&rig.kernel), 0);
	check_int(net_ledger_count_bridges(rig.net), 0);
	check(!net_ledger_find_lease(rig.net, ALICE, &lease));
	rig_done(&rig);
}

static RigCall *
call_names(OpId id)
{
	RigCall *call = rig_bridge(&rig, id, ALICE);

	rig_settle(&rig);
	return call;
}

static void
enable_names(void)
{
	check_str(rig_result(call_names(OP_ENABLE_NAME_ROUTING)), "ok");
}

static void
test_names_when_enabled_then_the_host_asks_at_the_bridge_until_disabled_or_removed(void)
{
	RigCall *call;

	rig_init(&rig);
	call = call_names(OP_ENABLE_NAME_ROUTING);
	check_str(rig_result(call), "NotFound");
	check(strstr(call->text, "EnsureBridge"));
	check_str(done(rig_bridge(&rig, OP_DISABLE_NAME_ROUTING, ALICE)), "ok");
	make_bridge(ALICE);
	call = call_names(OP_ENABLE_NAME_ROUTING);
	check_str(rig_result(call), "ok");
	check_str(call->object, "bgr-u1000");
	check_str(rig.kernel.net.zone, "dev.vm");
	check_int(rig.kernel.net.resolver, 0x0adfa001);
	enable_names();
	check_str(rig.kernel.net.zone, "dev.vm");
	/* One bridge and its names, of ALICE alone. */
	call = rig_call(&rig, OP_LIST_RESOURCES, ALICE, 0);
	check_str(done(call), "ok");
	check_int(call->number, 2);
	check_str(done(rig_bridge(&rig, OP_DISABLE_NAME_ROUTING, BOB)), "ok");
	check_str(done(rig_bridge(&rig, OP_ENABLE_NAME_ROUTING, BOB)), "NotFound");
	check_int(names_now(), NET_NAMES_ON);
	check_str(rig_result(call_names(OP_DISABLE_NAME_ROUTING)), "ok");
	check_str(rig.kernel.net.zone, "");
	check_int(names_now(), NET_NAMES_OFF);
	enable_names();
	clean(ALICE, "");
	check_int(fake_net_count(&rig.kernel), 0);
	make_bridge(ALICE);
	check_int(names_now(), NET_NAMES_OFF);
	rig_done(&rig);
}

static void
test_names_when_the_user_has_none_that_fits_then_of_the_uid(void)
{
	rig_init(&rig);
	make_bridge(ALICE);
	rig.kernel.net.user = NULL;
	enable_names();
	check_str(rig.kernel.net.zone, "u1000.vm");
	rig.kernel.net.user = "u1001";
	enable_names();
	check_str(rig.kernel.net.zone, "u1000.vm");
	rig_done(&rig);
}

static void
test_names_when_nobody_answers_or_asks_then_refused_and_nothing_changes(void)
{
	RigCall *call;

	rig_init(&rig);
	make_bridge(ALICE);
	rig.kernel.net.no_resolver = true;
	call = call_names(OP_ENABLE_NAME_ROUTING);
	check_str(rig_result(call), "ResolverUnavailable");
	check(strstr(call->text, "systemd-resolved"));
	check_int(names_now(), NET_NAMES_OFF);
	rig.kernel.net.dns_taken = true;
	make_bridge(ALICE);
	call = call_names(OP_ENABLE_NAME_ROUTING);
	check_str(rig_result(call), "NotFound");
	check(strstr(call->text, "port 53"));
	check_int(names_now(), NET_NAMES_OFF);
	rig_done(&rig);
}

/* A resolver may hang: nobody's bridge and taps wait for it, and of names one call comes after the other. */
static void
test_names_when_the_resolver_hangs_then_only_calls_about_them_wait(void)
{
	RigCall *enable, *disable;

	rig_init(&rig);
	make_bridge(ALICE);
	rig.hold_questions = true;
	enable = rig_bridge(&rig, OP_ENABLE_NAME_ROUTING, ALICE);
	disable = rig_bridge(&rig, OP_DISABLE_NAME_ROUTING, ALICE);
	fake_kernel_hold(&rig.kernel, "bgr-u1000");
	rig_decide(enable, AUTHORITY_YES);
	rig_decide(disable, AUTHORITY_YES);
	fake_kernel_wait_held(&rig.kernel);
	rig_decide(rig_bridge(&rig, OP_ENSURE_BRIDGE, BOB), AUTHORITY_YES);
	while (net_ledger_count_bridges(rig.net) < 2 ||
	       !net_ledger_find_bridge(rig.net, BOB)->ready)
		rig_wait(&rig);
	check(!enable->is_answered && !disable->is_answered);
	fake_kernel_let_go(&rig.kernel);
	rig_settle(&rig);
	check_str(rig_result(enable), "ok");
	check_str(rig_result(disable), "ok");
	check(enable->order < disable->order);
	check_str(rig.kernel.net.zone, "");
	check_int(names_now(), NET_NAMES_OFF);
	rig_done(&rig);
}

static void
test_names_when_a_predecessor_ended_amid_then_undone_and_what_is_on_stays(void)
{
	NetReconciled found;

	rig_init(&rig);
	make_bridge(ALICE);
	enable_names();
	rig_restart(&rig);
	check_int(names_now(), NET_NAMES_ON);
	check_int(net_reconcile(rig.net, &rig.kernel.kernel, &found), 0);
	check_int(found.undone, 0);
	check_str(rig.kernel.net.zone, "dev.vm");
	check_int(net_ledger_set_names(rig.net, ALICE, NET_NAMES_MAKING), 0);
	rig_restart(&rig);
	check_int(net_reconcile(rig.net, &rig.kernel.kernel, &found), 0);
	check_int(found.undone, 1);
	check_str(rig.kernel.net.zone, "");
	check_int(names_now(), NET_NAMES_OFF);
	rig_done(&rig);
}

static RigCall *
submit(OpId id)
{
	switch (id) {
	case OP_ENSURE_BRIDGE:
	case OP_REMOVE_BRIDGE:
	case OP_ENABLE_NAME_ROUTING:
	case OP_DISABLE_NAME_ROUTING:
		return rig_bridge(&rig, id, ALICE);
	case OP_CREATE_TAP:
		return rig_tap(&rig, ALICE, 'a', 0, /* peer= */ true);
	case OP_SET_PEER:
		return rig_peer(&rig, ALICE, 'a', /* peer= */ true);
	case OP_ENABLE_NAT:
		return rig_nat(&rig, ALICE, 'a', /* lan= */ false);
	default:
		return rig_call(&rig, id, ALICE, 'a');
	}
}

static void
prepare(OpId id)
{
	if (id != OP_ENSURE_BRIDGE)
		make_bridge(ALICE);
	if (id == OP_DISABLE_NAME_ROUTING || id == OP_REMOVE_BRIDGE)
		enable_names();
	if (id != OP_ENSURE_BRIDGE && id != OP_REMOVE_BRIDGE && id != OP_CREATE_TAP)
		make_tap(ALICE, 'a');
	if (id == OP_DISABLE_NAT || id == OP_DELETE_TAP || id == OP_RELEASE_VM)
		check_str(done(rig_nat(&rig, ALICE, 'a', false)), "ok");
}

/* A bridge without its port 53 is one; and that an uplink forwards no more is told to the filter for tidiness. */
static bool
may_pass(OpId id, const RigCall *call)
{
	return id == OP_ENSURE_BRIDGE ? strstr(call->text, "port 53") != NULL
				      : rig.kernel.net.forwarding.n == 0 && id != OP_ENABLE_NAT &&
						call->error == OP_ERROR_NONE;
}

/* Returns whether the k-th call was reached at all. `restart`: the helper dies right behind it. */
static bool
fail_one(OpId id, unsigned k, bool restart)
{
	NetReconciled found;
	bool was_reached;
	size_t fds;
	RigCall *call;

	rig_init(&rig);
	prepare(id);
	fds = rig_count_fds();
	rig.kernel.calls = 0;
	rig.kernel.fail_at = k;
	rig.kernel.fail_for = restart ? 1000 : 1;
	call = submit(id);
	rig_settle(&rig);
	was_reached = rig.kernel.calls >= k;
	rig.kernel.fail_at = 0;
	if (!was_reached || !may_pass(id, call))
		check_str(rig_result(call), was_reached ? "Failed" : "ok");
	check_known();
	if (restart) {
		rig_restart(&rig);
		check_int(net_reconcile(rig.net, &rig.kernel.kernel, &found), 0);
		check_int(found.failed, 0);
		check_known();
		check_int(rig.kernel.net.holders, net_ledger_count_reaching(rig.net));
		check_int(rig.kernel.net.n_doors, net_ledger_count_reaching(rig.net));
	}
	check_int(rig_count_fds(), fds);
	/* And it works again, as if nothing had been. */
	make_bridge(ALICE);
	call = rig_tap(&rig, ALICE, 'b', 0, false);
	check_str(done(call), "ok");
	clean(ALICE, "ab");
	check_int(fake_net_count(&rig.kernel), 0);
	check_int(net_ledger_count_bridges(rig.net), 0);
	rig_done(&rig);
	return was_reached;
}

static void
test_t11_network_methods_when_any_kernel_call_fails_then_nothing_is_left(void)
{
	static const OpId ids[] = {
		OP_ENSURE_BRIDGE,       OP_REMOVE_BRIDGE, OP_CREATE_TAP,
		OP_DELETE_TAP,          OP_SET_PEER,      OP_ENABLE_NAT,
		OP_DISABLE_NAT,         OP_RELEASE_VM,    OP_ENABLE_NAME_ROUTING,
		OP_DISABLE_NAME_ROUTING
	};

	for (size_t i = 0; i < BN_ELEMENTSOF(ids); i++)
		for (int restart = 0; restart < 2; restart++) {
			unsigned k = 1;

			while (fail_one(ids[i], k, restart))
				k++;
			check(k > 1);
		}
}

/* Names of ours that nobody knows, and a VM whose tap went with it. */
static void
test_successor_when_links_are_strange_or_gone_then_reconciled(void)
{
	NetReconciled found;

	rig_init(&rig);
	make_bridge(ALICE);
	make_tap(ALICE, 'a');
	make_tap(ALICE, 'b');
	check_str(done(rig_nat(&rig, ALICE, 'a', false)), "ok");
	check_int(rig.kernel.kernel.link_remove(&rig.kernel, "bgr-t0adfa002"), 0);
	strcpy(rig.kernel.net.links[rig.kernel.net.n_links++].name, "bgr-t01020304");
	strcpy(rig.kernel.net.links[rig.kernel.net.n_links++].name, "bgr-u7");
	rig_restart(&rig);
	check_int(net_reconcile(rig.net, &rig.kernel.kernel, &found), 0);
	check_int(found.undone, 1);
	check_int(found.strange, 2);
	check_int(rig.kernel.net.n_links, 2);
	check_int(rig.kernel.net.holders, 0);
	check(!has_element(NET_CHANGE_NAT));
	clean(ALICE, "b");
	check_int(fake_net_count(&rig.kernel), 0);
	rig_done(&rig);
}

TEST_MAIN(TEST(test_bridge_when_made_again_then_the_same_and_nothing_left_behind),
	  TEST(test_lease_when_helpers_change_then_it_stays_and_others_get_another),
	  TEST(test_lease_when_another_network_overlaps_then_moved_but_not_under_vms),
	  TEST(test_bridge_when_the_pool_is_used_up_then_quota),
	  TEST(test_bridge_when_port_53_is_taken_then_told_and_vms_work),
	  TEST(test_tap_when_made_then_its_address_is_the_one_asked_for_or_the_lowest),
	  TEST(test_quota_of_taps_when_at_its_limit_then_only_the_next_is_refused),
	  TEST(test_users_when_they_name_each_others_vms_then_nothing_is_found),
	  TEST(test_nat_when_changed_then_only_the_last_word_holds),
	  TEST(test_peer_when_changed_then_filter_and_port_say_so),
	  TEST(test_nat_when_a_firewall_drops_it_then_told_with_the_way_out_and_nothing_changes),
	  TEST(test_tables_when_somebody_flushed_them_then_the_next_bridge_restores_all),
	  TEST(test_release_when_a_vm_has_a_network_then_it_goes_too),
	  TEST(test_names_when_enabled_then_the_host_asks_at_the_bridge_until_disabled_or_removed),
	  TEST(test_names_when_the_user_has_none_that_fits_then_of_the_uid),
	  TEST(test_names_when_nobody_answers_or_asks_then_refused_and_nothing_changes),
	  TEST(test_names_when_the_resolver_hangs_then_only_calls_about_them_wait),
	  TEST(test_names_when_a_predecessor_ended_amid_then_undone_and_what_is_on_stays),
	  TEST(test_t11_network_methods_when_any_kernel_call_fails_then_nothing_is_left),
	  TEST(test_successor_when_links_are_strange_or_gone_then_reconciled))
