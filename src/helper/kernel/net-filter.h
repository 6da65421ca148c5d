/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What packets may go where, as text for nftables: two tables of ours with sets, so that a VM more is elements more
 * and never a rule more. Pure.
 *
 *   table bridge banger   which MAC and address a tap may speak with, and who may speak to whom on a bridge
 *   table inet banger     what may pass between a bridge, the host and everything else; NAT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/rules/ipv4.h"
#include "shared/rules/net.h"

typedef enum NetChangeKind {
	NET_CHANGE_BRIDGE, /* name, uid, address: a user's bridge, which that user's processes may use */
	NET_CHANGE_RESOLVER, /* name, address: guests may ask it for names */
	NET_CHANGE_TAP,      /* name, address: what it may send; its MAC is made from the address */
	NET_CHANGE_PEER,     /* name, address: speaks with the other peers of its bridge */
	NET_CHANGE_NAT,      /* address: reaches the world, but no private address */
	NET_CHANGE_LAN,      /* address: reaches everything that the host does */
	NET_CHANGE_NEAR, /* prefix: a network at the host's own door, private whatever its address */
	NET_CHANGE_UPLINK, /* name: forwards for guests alone */
	_NET_CHANGE_MAX,
} NetChangeKind;

typedef struct NetChange {
	NetChangeKind kind;
	bool remove;
	char name[BN_LINK_NAME_SIZE];
	uid_t uid;
	uint32_t address;
	BnPrefix prefix;
} NetChange;

typedef enum NetField {
	NET_FIELD_END,
	NET_FIELD_NAME, /* of an interface */
	NET_FIELD_MAC,
	NET_FIELD_ADDRESS,
	NET_FIELD_UID,
	NET_FIELD_PREFIX,
} NetField;

#define NET_FIELDS_MAX   3
#define NET_ELEMENTS_MAX 4

/* One of a set of ours, put together from a change's members. */
typedef struct NetElement {
	bool bridge; /* else of the other table */
	const char *set;
	NetField fields[NET_FIELDS_MAX + 1];
} NetElement;

/* Those that a change adds or removes; up to one with no set. */
const NetElement *net_filter_get_elements(NetChangeKind kind);

/* A transaction that nft(8) reads. With `base` the tables are made anew, and hold nothing but what is added here.
 * Adding what is there and removing what is not are no errors. NULL where memory ran out; the caller's to free. */
char *net_filter_render(bool base, const NetChange *changes, size_t n);
/* Takes both tables away, whether they are there or not. A constant. */
extern const char net_filter_end[];
