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

#define WHO_HAS_PORT_53                                                                            \
	"'ss -lnp sport = :53' shows an administrator who has that port; VMs work, but guests "    \
	"know no names"
#define OTHER_ADDRESSES                                                                            \
	"names stay, and 'banger vm show' has addresses; an administrator can choose other "       \
	"subnets: 'pool' in /etc/banger/helper.conf"

/* What the helper noted is about addresses; where port 53 is not ours it is about that, perhaps behind the other. */
static const char *
note_remedy(BangerManager *manager, const char *note)
{
	if (banger_network_has_dns(manager->network))
		return OTHER_ADDRESSES;
	return strstr(note, "; ") ? WHO_HAS_PORT_53 "; " OTHER_ADDRESSES : WHO_HAS_PORT_53;
}

static void
check_bridge(GVariantBuilder *rows, BangerManager *manager, const BangerBridge *bridge,
	     const char *address)
{
	g_autofree char *place =
		g_strdup_printf("%s has %s/%u", bridge->interface, address, bridge->length);

	if (!*bridge->note)
		add(rows, "pass", "network", place, "");
	else
		add(rows, "warn", "network", bridge->note, note_remedy(manager, bridge->note));
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
	} else if (manager->routing == BANGER_ROUTING_UNSERVED) {
		add(rows, "warn", "names", manager->routing_error->message,
		    "VMs work, but nobody knows their names: 'systemctl --user restart bangerd' "
		    "tries it again, and they run on");
	}
}

/* A successor of the bangerd that had taken them found them in other hands, say. */
static void
check_ports(GVariantBuilder *rows, BangerVm *vm)
{
	const char *name = banger_vm_get_spec(vm)->name, *port, *why;
	GHashTableIter iter;

	g_hash_table_iter_init(&iter, banger_vm_get_missing_ports(vm));
	while (g_hash_table_iter_next(&iter, (void **)&port, (void **)&why)) {
		g_autofree char *finding = g_strdup_printf("VM %s: %s", name, why);
		g_autofree char *remedy = g_strdup_printf(
			"'banger vm set -p %s %s' takes it once it is free; 'banger vm set "
			"--unpublish %s %s' does without",
			port, name, port, name);

		add(rows, "warn", "ports", finding, remedy);
	}
}

void
banger_diagnose_network(BangerManager *manager, GVariantBuilder *rows)
{
	const BangerBridge *bridge = banger_network_get(manager->network);
	g_autoptr(GList) vms = banger_manager_list_vms(manager);
	char address[BN_IPV4_SIZE];

	if (!bridge) {
		add(rows, "pass", "network", "no VM has a network now", "");
		return;
	}
	bn_ipv4_render(bridge->address, address);
	check_bridge(rows, manager, bridge, address);
	check_names(rows, manager, address);
	for (GList *l = vms; l; l = l->next)
		check_ports(rows, l->data);
}
