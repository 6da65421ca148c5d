/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A door is as wide as the bridge, since our own chains judge before those of all others: what comes to one of theirs
 * may pass. And a condition of nftables' own on the state of a connection would make iptables refuse the table. */
#include "helper/kernel/net-door.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <string.h>

#include "helper/kernel/net-foreign.h"
#include "helper/kernel/netfilter.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"

/* Behind the header that it forgets to include. */
#include <libnftnl/expr.h>

/* More than a rule of ours takes: headers, names of table and chain, an interface and a comment. */
#define MESSAGE_MAX 1024
/* Rules for one bridge: two for each place, were it not for who has copied some. */
#define OURS_MAX 64
/* Rules of others come and go: what was looked at may be gone when it is acted upon. */
#define ATTEMPTS 3

/* Places for other programs' rules in iptables' own table; of those at the same hook the first there is. */
static const struct {
	const char *chain;
	uint32_t hook;
} places[] = {
	{ "DOCKER-USER", NF_INET_FORWARD },
	{ "ufw-user-forward", NF_INET_FORWARD },
	{ "ufw-user-input", NF_INET_LOCAL_IN }, /* names of VMs, and the ping */
};
#define PLACES BN_ELEMENTSOF(places)

/* What a table has for a bridge. */
typedef struct View {
	bool led_to[PLACES];           /* some rule leads there */
	bool from[PLACES], to[PLACES]; /* rules of ours that are there */
	uint64_t end[PLACES]; /* the rule that leaves the chain at its end; 0 where none does */
	bool opened;          /* somebody lets pass what comes from the bridge */
} View;

/* A transaction in the making. */
typedef struct Batch {
	char *buffer;
	size_t size, room; /* messages that fit */
	uint32_t sequence;
	int error; /* of one that was not added */
} Batch;

static int
batch_begin(Batch *batch, size_t messages)
{
	*batch = (Batch){ .buffer = calloc(messages + 2, MESSAGE_MAX), .room = messages };
	if (!batch->buffer)
		return -ENOMEM;
	batch->size = NLMSG_ALIGN(nftnl_batch_begin(batch->buffer, batch->sequence++)->nlmsg_len);
	return 0;
}

static void
batch_donep(Batch *batch)
{
	free(batch->buffer);
}

static int
batch_send(Batch *batch)
{
	if (batch->sequence == 1)
		return 0;
	batch->size += NLMSG_ALIGN(
		nftnl_batch_end(batch->buffer + batch->size, batch->sequence)->nlmsg_len);
	return netfilter_send(batch->buffer, batch->size);
}

static int
batch_add(Batch *batch, uint16_t type, uint16_t flags, struct nftnl_rule *rule)
{
	struct nlmsghdr *header;

	if (batch->room == 0)
		return -ENOBUFS;
	batch->room--;
	header = nftnl_nlmsg_build_hdr(batch->buffer + batch->size, type, NFPROTO_IPV4, flags,
				       batch->sequence++);
	nftnl_rule_nlmsg_build_payload(header, rule);
	batch->size += NLMSG_ALIGN(header->nlmsg_len);
	return 0;
}

static void
free_rulep(struct nftnl_rule **rule)
{
	if (*rule)
		nftnl_rule_free(*rule);
}

#define _cleanup_rule_ _cleanup_(free_rulep)

/* A rule of iptables' own table. */
static struct nftnl_rule *
new_rule(const char *chain)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (rule && nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, FOREIGN_FILTER) == 0 &&
	    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain) == 0)
		return rule;
	free_rulep(&rule);
	return NULL;
}

static struct nftnl_expr *
add_expression(struct nftnl_rule *rule, const char *kind)
{
	struct nftnl_expr *expression = nftnl_expr_alloc(kind);

	if (expression)
		nftnl_rule_add_expr(rule, expression);
	return expression;
}

/* As iptables and nft both read it: "-i NAME -j ACCEPT" with a comment. */
static int
fill_rule(struct nftnl_rule *rule, uint32_t key, const char *bridge)
{
	struct nftnl_expr *meta = add_expression(rule, "meta"), *cmp = add_expression(rule, "cmp"),
			  *verdict = add_expression(rule, "immediate");
	struct nftnl_udata_buf *notes = nftnl_udata_buf_alloc(NFTNL_UDATA_COMMENT_MAXLEN);
	char name[IFNAMSIZ] = "";
	int r = -ENOMEM;

	(void)bn_str_copy(name, sizeof(name), bridge);
	if (meta && cmp && verdict && notes &&
	    nftnl_udata_put_strz(notes, NFTNL_UDATA_RULE_COMMENT, FOREIGN_OURS) &&
	    nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(notes),
				nftnl_udata_buf_len(notes)) == 0 &&
	    nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, name, sizeof(name)) == 0) {
		nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
		nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, NFT_REG_1);
		nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
		nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
		nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
		nftnl_expr_set_u32(verdict, NFTNL_EXPR_IMM_VERDICT, NF_ACCEPT);
		r = 0;
	}
	if (notes)
		nftnl_udata_buf_free(notes);
	return r;
}

/* Behind what an administrator has there, who may forbid more, and before the chain's end. */
static int
add_rule(Batch *batch, const char *chain, uint64_t end, uint32_t key, const char *bridge)
{
	_cleanup_rule_ struct nftnl_rule *rule = new_rule(chain);
	int r = rule ? fill_rule(rule, key, bridge) : -ENOMEM;

	if (r < 0)
		return r;
	if (end)
		nftnl_rule_set_u64(rule, NFTNL_RULE_POSITION, end);
	return batch_add(batch, NFT_MSG_NEWRULE,
			 (uint16_t)(NLM_F_CREATE | (end ? 0 : NLM_F_APPEND)), rule);
}

static int
add_rules(Batch *batch, const View *view, size_t place, const char *bridge)
{
	const char *chain = places[place].chain;
	int r = 0;

	if (!view->from[place])
		r = add_rule(batch, chain, view->end[place], NFT_META_IIFNAME, bridge);
	/* Of what comes to the host the answers are nobody's to judge. */
	if (r >= 0 && !view->to[place] && places[place].hook == NF_INET_FORWARD)
		r = add_rule(batch, chain, view->end[place], NFT_META_OIFNAME, bridge);
	return r;
}

static void
view_rule(const ForeignRule *rule, void *data)
{
	View *view = data;

	for (size_t i = 0; i < PLACES; i++) {
		view->led_to[i] |= bn_str_equal(rule->to_chain, places[i].chain);
		if (!bn_str_equal(rule->chain, places[i].chain))
			continue;
		view->from[i] |= rule->ours && rule->from;
		view->to[i] |= rule->ours && rule->to;
		view->end[i] = rule->always && rule->decides && rule->verdict == NFT_RETURN
				       ? rule->handle
				       : 0;
	}
	if (rule->from && rule->decides &&
	    (rule->verdict == NF_ACCEPT || rule->verdict == NFT_JUMP || rule->verdict == NFT_GOTO))
		view->opened = true;
}

static size_t
find_place(const ForeignChain *chain, const View *view)
{
	size_t i;

	if (chain->family != NFPROTO_IPV4 || !bn_str_equal(chain->table, FOREIGN_FILTER))
		return PLACES;
	for (i = 0; i < PLACES; i++)
		if (view->led_to[i] && places[i].hook == chain->hook)
			break;
	return i;
}

static void
copy_name(const char *name, char ret[static KERNEL_BLOCK_NAME_SIZE])
{
	_cleanup_free_ char *clean =
		bn_str_escape(name, strlen(name), KERNEL_BLOCK_NAME_SIZE - sizeof("…"));

	(void)bn_str_copy(ret, KERNEL_BLOCK_NAME_SIZE, clean ? clean : "?");
}

static void
tell(const ForeignChain *chain, KernelBlock *ret)
{
	*ret = (KernelBlock){ .family = chain->family == NFPROTO_IPV4 ? "ip" : "inet",
			      .firewalld = foreign_is_firewalld(chain) };
	copy_name(chain->table, ret->table);
	copy_name(chain->name, ret->chain);
}

/* What is let in to the host by somebody else's rules, guests can do without. */
static int
pass_chain(const ForeignChain *chain, const char *bridge, Batch *batch, KernelBlock *ret_block)
{
	View view = {};
	size_t place;
	int r = foreign_look_rules(chain->family, chain->table, bridge, view_rule, &view);

	if (r < 0)
		return r;
	place = find_place(chain, &view);
	if (place < PLACES)
		return add_rules(batch, &view, place, bridge);
	if (view.opened || chain->hook != NF_INET_FORWARD)
		return 0;
	tell(chain, ret_block);
	return -EHOSTUNREACH;
}

static int
open_doors(const char *bridge, KernelBlock *ret_block)
{
	_cleanup_free_ ForeignChain *chains = NULL;
	_cleanup_(batch_donep) Batch batch = {};
	size_t n = 0;
	int r = foreign_look_chains(&chains, &n);

	if (r >= 0)
		r = batch_begin(&batch, 2 * n);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = pass_chain(&chains[i], bridge, &batch, ret_block);
	return r < 0 ? r : batch_send(&batch);
}

static void
remove_rule(const ForeignRule *rule, void *data)
{
	_cleanup_rule_ struct nftnl_rule *own = NULL;
	Batch *batch = data;

	if (!rule->ours || (!rule->from && !rule->to))
		return;
	own = new_rule(rule->chain);
	if (!own) {
		batch->error = -ENOMEM;
		return;
	}
	nftnl_rule_set_u64(own, NFTNL_RULE_HANDLE, rule->handle);
	if (batch_add(batch, NFT_MSG_DELRULE, 0, own) < 0)
		batch->error = -ENOBUFS;
}

/* All there are: also those of a predecessor, in whatever place. */
static int
close_doors(const char *bridge)
{
	_cleanup_(batch_donep) Batch batch = {};
	int r = batch_begin(&batch, OURS_MAX);

	if (r >= 0)
		r = foreign_look_rules(NFPROTO_IPV4, FOREIGN_FILTER, bridge, remove_rule, &batch);
	if (r >= 0)
		r = batch.error;
	return r < 0 ? r : batch_send(&batch);
}

static bool
has_moved(int r)
{
	return r == -ENOENT || r == -EINTR || r == -ERESTART;
}

int
door_open(const char *bridge, KernelBlock *ret_block)
{
	int r = open_doors(bridge, ret_block);

	for (int i = 1; has_moved(r) && i < ATTEMPTS; i++)
		r = open_doors(bridge, ret_block);
	return r;
}

int
door_close(const char *bridge)
{
	int r = close_doors(bridge);

	for (int i = 1; has_moved(r) && i < ATTEMPTS; i++)
		r = close_doors(bridge);
	return r;
}
