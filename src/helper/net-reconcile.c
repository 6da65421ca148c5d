/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/net-reconcile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/kernel/kernel.h"
#include "helper/ledger.h"
#include "helper/ops/net-common.h"
#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"
#include "shared/rules/net.h"

typedef struct Links {
	char (*names)[BN_LINK_NAME_SIZE];
	size_t n;
	int error;
} Links;

static void
note_link(void *data, const char *name)
{
	Links *links = data;
	char(*names)[BN_LINK_NAME_SIZE] = reallocarray(links->names, links->n + 1, sizeof(*names));

	if (!names) {
		links->error = -ENOMEM;
		return;
	}
	links->names = names;
	(void)bn_str_copy(names[links->n++], BN_LINK_NAME_SIZE, name);
}

static bool
has_link(const Links *links, const char *name)
{
	for (size_t i = 0; i < links->n; i++)
		if (bn_str_equal(links->names[i], name))
			return true;
	return false;
}

/* Before anything is undone: what others still have need of stays. */
static int
recover_firewalls(const NetLedger *ledger, const Kernel *kernel)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < net_ledger_count_taps(ledger, LEDGER_ALL); i++) {
		const NetTap *tap = net_ledger_get_tap(ledger, i);
		char bridge[BN_LINK_NAME_SIZE];

		if (tap->reach == NET_REACH_NONE)
			continue;
		bn_net_bridge_name(tap->uid, bridge);
		r = kernel->firewall_recover(kernel->ctx, bridge, tap->address);
	}
	return r;
}

/* Backwards: what is removed has the last one put in its place. */
static void
reconcile_taps(NetLedger *ledger, const Kernel *kernel, const Links *links, NetReconciled *result)
{
	for (size_t i = net_ledger_count_taps(ledger, LEDGER_ALL); i > 0; i--) {
		NetTap tap = *net_ledger_get_tap(ledger, i - 1);
		char name[BN_LINK_NAME_SIZE];

		bn_net_tap_name(tap.address, name);
		if (tap.ready && has_link(links, name))
			continue;
		/* Nobody holds forwarding yet: who does is said at the end. */
		if (net_undo_tap(kernel, &tap) < 0 ||
		    net_ledger_remove_tap(ledger, tap.uid, tap.vm) < 0)
			result->failed++;
		else
			result->undone++;
	}
}

/* A predecessor ended in the midst of it: who wants it asks again. A resolver that hangs holds everybody up once. */
static void
reconcile_names(NetLedger *ledger, const Kernel *kernel, NetReconciled *result)
{
	int r = 0;

	for (size_t i = 0; i < net_ledger_count_bridges(ledger); i++) {
		const NetBridge *bridge = net_ledger_get_bridge(ledger, i);
		char name[BN_LINK_NAME_SIZE];

		if (bridge->names != NET_NAMES_MAKING)
			continue;
		bn_net_bridge_name(bridge->uid, name);
		if (r != -ETIMEDOUT)
			r = kernel->names_end(kernel->ctx, name);
		if (r < 0 || net_ledger_set_names(ledger, bridge->uid, NET_NAMES_OFF) < 0)
			result->failed++;
		else
			result->undone++;
	}
}

static void
reconcile_bridges(NetLedger *ledger, const Kernel *kernel, NetReconciled *result)
{
	for (size_t i = net_ledger_count_bridges(ledger); i > 0; i--) {
		NetBridge bridge = *net_ledger_get_bridge(ledger, i - 1);

		/* With VMs on it the user's next EnsureBridge makes it whole. */
		if (bridge.ready || net_ledger_count_taps(ledger, bridge.uid) > 0)
			continue;
		if (net_undo_bridge(kernel, &bridge,
				    net_ledger_is_last_bridge(ledger, bridge.uid)) < 0 ||
		    net_ledger_remove_bridge(ledger, bridge.uid) < 0)
			result->failed++;
		else
			result->undone++;
	}
}

static bool
is_known(const NetLedger *ledger, const char *name)
{
	char known[BN_LINK_NAME_SIZE];
	uint32_t address;

	if (bn_net_tap_address(name, &address) >= 0)
		return net_ledger_is_taken(ledger, address);
	for (size_t i = 0; i < net_ledger_count_bridges(ledger); i++) {
		bn_net_bridge_name(net_ledger_get_bridge(ledger, i)->uid, known);
		if (bn_str_equal(known, name))
			return true;
	}
	return false;
}

static void
remove_strangers(const NetLedger *ledger, const Kernel *kernel, const Links *links,
		 NetReconciled *result)
{
	for (size_t i = 0; i < links->n; i++) {
		if (is_known(ledger, links->names[i]))
			continue;
		if (kernel->link_remove(kernel->ctx, links->names[i]) < 0)
			result->failed++;
		else
			result->strange++;
	}
}

/* Of those that are left. */
static int
recover_forwarding(const NetLedger *ledger, const Kernel *kernel)
{
	size_t taps = net_ledger_count_taps(ledger, LEDGER_ALL), n = 0;
	_cleanup_free_ uint32_t *guests = calloc(taps + 1, sizeof(*guests));

	if (!guests)
		return -ENOMEM;
	for (size_t i = 0; i < taps; i++) {
		const NetTap *tap = net_ledger_get_tap(ledger, i);

		if (tap->reach != NET_REACH_NONE)
			guests[n++] = tap->address;
	}
	return kernel->forwarding_recover(kernel->ctx, guests, n);
}

int
net_reconcile(NetLedger *ledger, const Kernel *kernel, NetReconciled *ret)
{
	NetReconciled result = {};
	Links links = {};
	int r = kernel->link_list(kernel->ctx, note_link, &links);

	if (r >= 0)
		r = links.error;
	if (r >= 0)
		r = recover_firewalls(ledger, kernel);
	if (r >= 0) {
		reconcile_taps(ledger, kernel, &links, &result);
		reconcile_bridges(ledger, kernel, &result);
		reconcile_names(ledger, kernel, &result);
		remove_strangers(ledger, kernel, &links, &result);
		r = recover_forwarding(ledger, kernel);
	}
	free(links.names);
	*ret = result;
	return r;
}
