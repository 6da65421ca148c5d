/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/diagnose-network.h"

#include "service/base/error.h"
#include "service/manager/manager-private.h"
#include "shared/rules/ipv4.h"

static void
add(GVariantBuilder *rows, const char *result, const char *check, const char *finding,
    const char *remedy)
{
	g_variant_builder_add(rows, "(ssss)", result, check, finding, remedy);
}

/* What the helper noted is about port 53 where we do not have it, and else about addresses. */
static void
check_bridge(GVariantBuilder *rows, BangerManager *manager, const BangerBridge *bridge,
	     const char *address)
{
	g_autofree char *place =
		g_strdup_printf("%s has %s/%u", bridge->interface, address, bridge->length);

	if (!*bridge->note)
		add(rows, "pass", "network", place, "");
	else if (manager->routing == BANGER_ROUTING_OFF)
		add(rows, "warn", "network", bridge->note,
		    "'ss -lnp sport = :53' shows an administrator who has that port; VMs work, "
		    "but guests know no names");
	else
		add(rows, "warn", "network", bridge->note,
		    "names stay, and 'banger vm show' has addresses; an administrator can choose "
		    "other subnets: 'pool' in /etc/banger/helper.conf");
}

static char *
routing_remedy(BangerManager *manager, const char *address)
{
	const char *way =
		g_error_matches(manager->routing_error, BANGER_ERROR,
				BANGER_ERROR_RESOLVER_UNAVAILABLE)
			? "with the package 'systemd-resolved' this computer knows them, too"
		: banger_error_is_not_authorized(manager->routing_error) ||
				g_error_matches(manager->routing_error, BANGER_ERROR,
						BANGER_ERROR_INTERACTION_REQUIRED)
			? "for this computer to know them, too, ask an administrator to add you to "
			  "the group 'banger'"
			: "see 'journalctl -u banger-helper'";

	return g_strdup_printf(
		"VMs know the names, and so does who asks at %s, as 'dig @%s' does; %s", address,
		address, way);
}

static void
check_names(GVariantBuilder *rows, BangerManager *manager, const char *address)
{
	g_autofree char *finding = NULL, *remedy = NULL;

	if (manager->routing == BANGER_ROUTING_ON) {
		finding =
			g_strdup_printf("this computer finds VMs as NAME.%s", manager->ports->zone);
		add(rows, "pass", "names", finding, "");
	} else if (manager->routing == BANGER_ROUTING_FAILED) {
		remedy = routing_remedy(manager, address);
		add(rows, "warn", "names", manager->routing_error->message, remedy);
	}
}

void
banger_diagnose_network(BangerManager *manager, GVariantBuilder *rows)
{
	const BangerBridge *bridge = banger_network_get(manager->network);
	char address[BN_IPV4_SIZE];

	if (!bridge)
		return;
	bn_ipv4_render(bridge->address, address);
	check_bridge(rows, manager, bridge, address);
	check_names(rows, manager, address);
}
