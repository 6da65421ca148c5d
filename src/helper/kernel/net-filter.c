/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/kernel/net-filter.h"

#include <stdio.h>
#include <stdlib.h>

#include "shared/base/cleanup.h"
#include "shared/rules/net.h"

/* Frames on a bridge, by the tap they come from or go to. A guest speaks with its own addresses or not at all, and
 * nothing but IPv4 and ARP; that a frame of a guest reaches the host is the other table's to judge. */
static const char bridge_table[] =
	"add table bridge banger\n"
	"delete table bridge banger\n"
	"table bridge banger {\n"
	"	set taps { type ifname . ether_addr . ipv4_addr; }\n"
	"	set peers { type ifname; }\n"
	"	chain prerouting {\n"
	"		type filter hook prerouting priority -300; policy accept;\n"
	"		iifname \"" BN_NET_TAP_PREFIX "*\" goto from_guest\n"
	"	}\n"
	"	chain from_guest {\n"
	"		ether type arp iifname . arp saddr ether . arp saddr ip != @taps drop\n"
	"		ether type arp iifname . ether saddr . arp saddr ip @taps accept\n"
	"		ether type ip iifname . ether saddr . ip saddr @taps accept\n"
	"		drop\n"
	"	}\n"
	"	chain forward {\n"
	"		type filter hook forward priority -300; policy accept;\n"
	"		iifname \"" BN_NET_TAP_PREFIX "*\" iifname != @peers drop\n"
	"		oifname \"" BN_NET_TAP_PREFIX "*\" oifname != @peers drop\n"
	"	}\n"
	"}\n";

/* The priorities are before those of hosts' own rules, which may still drop what passes here and cannot allow what
 * does not. `own` holds each bridge with itself: frames between two of its ports are seen here too where the host has
 * br_netfilter. `private` is RFC 6890's and multicast; `near` is what a host has at its own door besides. */
static const char inet_table[] =
	"add table inet banger\n"
	"delete table inet banger\n"
	"table inet banger {\n"
	"	set bridges { type ifname; }\n"
	"	set own { type ifname . ifname; }\n"
	"	set users { type ifname . uid; }\n"
	"	set hosts { type ipv4_addr; }\n"
	"	set resolvers { type ifname . ipv4_addr; }\n"
	"	set asking { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }\n"
	"	set pinging { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }\n"
	"	set counted { type ipv4_addr; size 65535; flags dynamic; }\n"
	"	set peers { type ipv4_addr; }\n"
	"	set nat { type ipv4_addr; }\n"
	"	set lan { type ipv4_addr; }\n"
	"	set uplinks { type ifname; }\n"
	"	set near { type ipv4_addr; flags interval; auto-merge; }\n"
	"	set private { type ipv4_addr; flags interval; elements = {\n"
	"		0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12,\n"
	"		192.0.0.0/24, 192.0.2.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15,\n"
	"		198.51.100.0/24, 203.0.113.0/24, 224.0.0.0/3 } }\n"
	"	chain input {\n"
	"		type filter hook input priority filter - 10; policy accept;\n"
	"		iifname @bridges goto from_guest_to_host\n"
	/* Linux answers on each interface for the addresses of all: what a bridge has is its guests' and the host's. */
	"		iifname != \"lo\" ip daddr @hosts drop\n"
	"	}\n"
	/* What a guest began is judged again and again: a port may have changed hands. */
	"	chain from_guest_to_host {\n"
	"		ct direction reply ct state established accept\n"
	"		ct state related accept\n"
	"		icmp type echo-request update @pinging { ip saddr limit rate 20/second } accept\n"
	/* One that asks without end would fill the socket that all ask at; whoever builds software asks some hundred
	 * times at once. */
	"		iifname . ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 \\\n"
	"			update @asking { ip saddr limit rate over 500/second burst 250 packets } drop\n"
	"		iifname . ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept\n"
	"		drop\n"
	"	}\n"
	"	chain forward {\n"
	"		type filter hook forward priority filter - 10; policy accept;\n"
	"		iifname . oifname @own ip saddr @peers ip daddr @peers accept\n"
	/* To everybody on the bridge: nothing that is routed looks like it, and the other table chooses the ports. */
	"		iifname . oifname @own ip saddr @peers meta pkttype { broadcast, multicast } accept\n"
	/* Behind a tunnel packets may be too large for it, and who says so may not be heard. */
	"		iifname @bridges tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
	"		oifname @bridges tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
	"		iifname @bridges goto from_guest\n"
	"		oifname @bridges goto to_guest\n"
	/* The host forwards on these for guests alone, and was no router before; of IPv6 it may be one. What belongs
	 * to no connection has no state that a rule could ask for: only what may pass is told. */
	"		iifname @uplinks meta nfproto ipv4 goto from_outside\n"
	"	}\n"
	"	chain from_guest {\n"
	"		oifname @bridges drop\n"
	"		meta nfproto ipv6 drop\n"
	/* The host's table of connections is everybody's. */
	"		ct state new add @counted { ip saddr ct count over 4096 } drop\n"
	"		ip saddr @lan accept\n"
	"		ip daddr @private drop\n"
	"		ip daddr @near drop\n"
	"		ip saddr @nat accept\n"
	"		drop\n"
	"	}\n"
	/* Answers go where questions may come from, still: else who was once asked could go on for ever. What is
	 * related is an error on the way, which a router tells whatever its address. */
	"	chain to_guest {\n"
	"		ip daddr @lan ct direction reply ct state established,related accept\n"
	"		ip daddr @nat ct direction reply ct state related accept\n"
	"		ip saddr @private drop\n"
	"		ip saddr @near drop\n"
	"		ip daddr @nat ct direction reply ct state established accept\n"
	"		drop\n"
	"	}\n"
	"	chain from_outside {\n"
	"		ct state established,related accept\n"
	"		ct status dnat accept\n"
	"		drop\n"
	"	}\n"
	"	chain output {\n"
	"		type filter hook output priority filter - 10; policy accept;\n"
	"		oifname @bridges meta skuid != 0 oifname . meta skuid != @users \\\n"
	"			reject with icmpx admin-prohibited\n"
	"	}\n"
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat; policy accept;\n"
	"		ip saddr @nat oifname != @bridges masquerade\n"
	"		ip saddr @lan oifname != @bridges masquerade\n"
	"	}\n"
	"}\n";

/* Where each kind of change puts elements, and of what. */
static const NetElement elements[_NET_CHANGE_MAX][NET_ELEMENTS_MAX + 1] = {
	[NET_CHANGE_BRIDGE] = { { .set = "bridges", .fields = { NET_FIELD_NAME } },
				{ .set = "own", .fields = { NET_FIELD_NAME, NET_FIELD_NAME } },
				{ .set = "users", .fields = { NET_FIELD_NAME, NET_FIELD_UID } },
				{ .set = "hosts", .fields = { NET_FIELD_ADDRESS } } },
	[NET_CHANGE_RESOLVER] = { { .set = "resolvers",
				    .fields = { NET_FIELD_NAME, NET_FIELD_ADDRESS } } },
	[NET_CHANGE_TAP] = { { .bridge = true,
			       .set = "taps",
			       .fields = { NET_FIELD_NAME, NET_FIELD_MAC, NET_FIELD_ADDRESS } } },
	[NET_CHANGE_PEER] = { { .bridge = true, .set = "peers", .fields = { NET_FIELD_NAME } },
			      { .set = "peers", .fields = { NET_FIELD_ADDRESS } } },
	[NET_CHANGE_NAT] = { { .set = "nat", .fields = { NET_FIELD_ADDRESS } } },
	[NET_CHANGE_LAN] = { { .set = "lan", .fields = { NET_FIELD_ADDRESS } } },
	[NET_CHANGE_NEAR] = { { .set = "near", .fields = { NET_FIELD_PREFIX } } },
	[NET_CHANGE_UPLINK] = { { .set = "uplinks", .fields = { NET_FIELD_NAME } } },
};

const NetElement *
net_filter_get_elements(NetChangeKind kind)
{
	return elements[kind];
}

static void
write_field(FILE *file, const NetChange *change, NetField field)
{
	char address[BN_IPV4_SIZE], mac_text[BN_MAC_SIZE], prefix[BN_PREFIX_SIZE];
	uint8_t mac[BN_MAC_LENGTH];

	switch (field) {
	case NET_FIELD_NAME:
		(void)fprintf(file, "\"%s\"", change->name);
		break;
	case NET_FIELD_MAC:
		bn_net_mac(change->address, mac);
		bn_net_mac_render(mac, mac_text);
		(void)fputs(mac_text, file);
		break;
	case NET_FIELD_ADDRESS:
		bn_ipv4_render(change->address, address);
		(void)fputs(address, file);
		break;
	case NET_FIELD_UID:
		(void)fprintf(file, "%u", change->uid);
		break;
	default:
		bn_prefix_render(&change->prefix, prefix);
		(void)fputs(prefix, file);
	}
}

static void
write_element(FILE *file, const char *verb, const NetElement *element, const NetChange *change)
{
	(void)fprintf(file, "%s element %s banger %s { ", verb, element->bridge ? "bridge" : "inet",
		      element->set);
	for (size_t i = 0; element->fields[i] != NET_FIELD_END; i++) {
		(void)fputs(i > 0 ? " . " : "", file);
		write_field(file, change, element->fields[i]);
	}
	(void)fputs(" }\n", file);
}

/* Linux of Debian 12 has no way to remove what may not be there: it is added first, in the same transaction. */
static void
write_change(FILE *file, const NetChange *change)
{
	for (const NetElement *element = elements[change->kind]; element->set; element++) {
		write_element(file, "add", element, change);
		if (change->remove)
			write_element(file, "delete", element, change);
	}
}

/* The stream's end is where a lack of memory shows. */
static char *
finish(FILE *file, char **text)
{
	bool bad = ferror(file);

	if (fclose(file) == 0 && !bad)
		return *text;
	bn_freep(text);
	return NULL;
}

char *
net_filter_render(bool base, const NetChange *changes, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	if (base)
		(void)fprintf(file, "%s%s", bridge_table, inet_table);
	for (size_t i = 0; i < n; i++)
		write_change(file, &changes[i]);
	return finish(file, &text);
}

const char net_filter_end[] = "add table bridge banger\n"
			      "delete table bridge banger\n"
			      "add table inet banger\n"
			      "delete table inet banger\n";
