/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of other programs' nftables decides about guests' packets: chains that drop what they do not know, and rules
 * that tell of a bridge. Looked at, never touched. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel's longest names are of 255 bytes; who has those is looked at and cannot be told of in full. */
#define FOREIGN_NAME_SIZE 256

/* iptables' own; the same table for every program that uses it. */
#define FOREIGN_FILTER "filter"

/* Rules that we put into tables of others say so. */
#define FOREIGN_OURS "banger-helper"

/* Of IPv4's packets, from guests to elsewhere or to the host. */
typedef struct ForeignChain {
	uint32_t family, hook;
	char table[FOREIGN_NAME_SIZE], name[FOREIGN_NAME_SIZE];
} ForeignChain;

typedef struct ForeignRule {
	const char *chain;
	uint64_t handle;
	bool from, to;        /* the bridge in question */
	bool always;          /* it has no condition */
	bool ours;            /* by what it says of itself */
	bool decides;         /* there is a verdict: */
	int verdict;          /* NF_ACCEPT, NFT_JUMP … */
	const char *to_chain; /* of NFT_JUMP and NFT_GOTO; else NULL */
} ForeignRule;

typedef void ForeignRuleFound(const ForeignRule *rule, void *data);

/* Base chains that drop what none of their rules wants, or are known to end so. The caller's to free. */
int foreign_look_chains(ForeignChain **ret, size_t *ret_n);
/* Each of a table's, chain by chain in their order. */
int foreign_look_rules(uint32_t family, const char *table, const char *bridge,
		       ForeignRuleFound *on_rule, void *data);
/* That one ends in a rejection, which is no policy. */
bool foreign_is_firewalld(const ForeignChain *chain);
