/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/kernel/net-foreign.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <string.h>

#include "helper/kernel/netfilter.h"
#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

/* A question: headers and two names. */
#define QUESTION_SIZE 1024
/* What changes while it is listed is listed anew, so often. */
#define ATTEMPTS 5

typedef struct ChainList {
	ForeignChain *chains;
	size_t n;
} ChainList;

/* A look at rules. */
typedef struct RuleLook {
	uint32_t family;
	const char *table, *bridge;
	ForeignRuleFound *on_rule;
	void *data;
} RuleLook;

static void
free_chainp(struct nftnl_chain **chain)
{
	if (*chain)
		nftnl_chain_free(*chain);
}

static void
free_rulep(struct nftnl_rule **rule)
{
	if (*rule)
		nftnl_rule_free(*rule);
}

static void
free_setp(struct nftnl_set **set)
{
	if (*set)
		nftnl_set_free(*set);
}

bool
foreign_is_firewalld(const ForeignChain *chain)
{
	return chain->family == NFPROTO_INET && bn_str_equal(chain->table, "firewalld");
}

/* What firewalld does to what comes to the host is settled by the same zone as the rest. */
static bool
is_blocking(const ForeignChain *chain, uint32_t policy)
{
	if (bn_str_equal(chain->table, "banger") ||
	    (chain->family != NFPROTO_IPV4 && chain->family != NFPROTO_INET) ||
	    (chain->hook != NF_INET_FORWARD && chain->hook != NF_INET_LOCAL_IN))
		return false;
	return policy == NF_DROP || (foreign_is_firewalld(chain) && chain->hook == NF_INET_FORWARD);
}

static int
add_chain(ChainList *list, const ForeignChain *chain)
{
	ForeignChain *chains = reallocarray(list->chains, list->n + 1, sizeof(*chains));

	if (!chains)
		return MNL_CB_ERROR;
	list->chains = chains;
	chains[list->n++] = *chain;
	return MNL_CB_OK;
}

static int
note_chain(const struct nlmsghdr *message, void *data)
{
	_cleanup_(free_chainp) struct nftnl_chain *chain = nftnl_chain_alloc();
	ForeignChain found = {};

	if (!chain || nftnl_chain_nlmsg_parse(message, chain) < 0)
		return MNL_CB_ERROR;
	/* Chains that others jump to have no hook. */
	if (!nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM) ||
	    bn_str_copy(found.table, sizeof(found.table),
			nftnl_chain_get_str(chain, NFTNL_CHAIN_TABLE)) < 0 ||
	    bn_str_copy(found.name, sizeof(found.name),
			nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME)) < 0)
		return MNL_CB_OK;
	found.family = nftnl_chain_get_u32(chain, NFTNL_CHAIN_FAMILY);
	found.hook = nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM);
	if (!is_blocking(&found, nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY)))
		return MNL_CB_OK;
	return add_chain(data, &found);
}

int
foreign_look_chains(ForeignChain **ret, size_t *ret_n)
{
	char buffer[QUESTION_SIZE];
	ChainList list = {};
	int r = -EINTR;

	for (int i = 0; r == -EINTR && i < ATTEMPTS; i++) {
		list.n = 0;
		r = netfilter_dump(nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC,
							 NLM_F_DUMP, 1),
				   note_chain, &list);
	}
	if (r < 0) {
		free(list.chains);
		return r;
	}
	*ret = list.chains;
	*ret_n = list.n;
	return 0;
}

/* With the NUL of its end it is a name, without what names begin with. */
static bool
is_named(const char *bridge, const void *name, uint32_t size)
{
	const char *end = memchr(name, '\0', size);

	if (end)
		return bn_str_equal(bridge, name);
	return size > 0 && strncmp(bridge, name, size) == 0;
}

typedef struct SetLook {
	const char *bridge;
	bool found;
} SetLook;

static int
look_for_name(struct nftnl_set_elem *element, void *data)
{
	SetLook *look = data;
	uint32_t size = 0;
	const void *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size);

	look->found |= key && is_named(look->bridge, key, size);
	return 0;
}

static int
look_at_elements(const struct nlmsghdr *message, void *data)
{
	_cleanup_(free_setp) struct nftnl_set *some = nftnl_set_alloc();

	if (!some || nftnl_set_elems_nlmsg_parse(message, some) < 0)
		return MNL_CB_ERROR;
	return nftnl_set_elem_foreach(some, look_for_name, data) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

/* One that is gone meanwhile has nobody's name. */
static bool
has_name(const RuleLook *look, const char *set_name)
{
	_cleanup_(free_setp) struct nftnl_set *set = nftnl_set_alloc();
	SetLook elements = { .bridge = look->bridge };
	char buffer[QUESTION_SIZE];
	struct nlmsghdr *question;

	if (!set || nftnl_set_set_str(set, NFTNL_SET_TABLE, look->table) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, set_name) < 0)
		return false;
	question = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETSETELEM, (uint16_t)look->family,
					 NLM_F_DUMP, 1);
	nftnl_set_elems_nlmsg_build_payload(question, set);
	return netfilter_dump(question, look_at_elements, &elements) >= 0 && elements.found;
}

/* That it is none of several others is no word about it. */
static bool
is_about_bridge(const RuleLook *look, const struct nftnl_expr *expression, const char *kind)
{
	uint32_t size = 0, flags = 0;
	const void *name;

	if (bn_str_equal(kind, "lookup")) {
		if (nftnl_expr_is_set(expression, NFTNL_EXPR_LOOKUP_FLAGS))
			flags = nftnl_expr_get_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS);
		return !(flags & NFT_LOOKUP_F_INV) &&
		       has_name(look, nftnl_expr_get_str(expression, NFTNL_EXPR_LOOKUP_SET));
	}
	if (!bn_str_equal(kind, "cmp") ||
	    nftnl_expr_get_u32(expression, NFTNL_EXPR_CMP_OP) != NFT_CMP_EQ)
		return false;
	name = nftnl_expr_get(expression, NFTNL_EXPR_CMP_DATA, &size);
	return name && is_named(look->bridge, name, size);
}

static void
read_verdict(const struct nftnl_expr *expression, ForeignRule *rule)
{
	if (!nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_VERDICT))
		return;
	rule->decides = true;
	rule->verdict = (int)nftnl_expr_get_u32(expression, NFTNL_EXPR_IMM_VERDICT);
	if (nftnl_expr_is_set(expression, NFTNL_EXPR_IMM_CHAIN))
		rule->to_chain = nftnl_expr_get_str(expression, NFTNL_EXPR_IMM_CHAIN);
}

/* `last` is what the one before it has loaded. */
static void
read_expression(const RuleLook *look, const struct nftnl_expr *expression, int *last,
		ForeignRule *rule)
{
	const char *kind = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);
	int key = *last;

	*last = -1;
	if (bn_str_equal(kind, "counter"))
		return;
	if (bn_str_equal(kind, "immediate")) {
		read_verdict(expression, rule);
		return;
	}
	rule->always = false;
	if (bn_str_equal(kind, "meta"))
		*last = (int)nftnl_expr_get_u32(expression, NFTNL_EXPR_META_KEY);
	else if (key == NFT_META_IIFNAME && is_about_bridge(look, expression, kind))
		rule->from = true;
	else if (key == NFT_META_OIFNAME && is_about_bridge(look, expression, kind))
		rule->to = true;
}

static int
is_our_comment(const struct nftnl_udata *attribute, void *data)
{
	bool *ours = data;
	const char *text = nftnl_udata_get(attribute);
	uint8_t size = nftnl_udata_len(attribute);

	if (nftnl_udata_type(attribute) == NFTNL_UDATA_RULE_COMMENT &&
	    size == sizeof(FOREIGN_OURS) && memcmp(text, FOREIGN_OURS, size) == 0)
		*ours = true;
	return 0;
}

static int
note_rule(const struct nlmsghdr *message, void *data)
{
	_cleanup_(free_rulep) struct nftnl_rule *rule = nftnl_rule_alloc();
	struct nftnl_expr_iter *expressions;
	const struct nftnl_expr *expression;
	ForeignRule found = { .always = true };
	const RuleLook *look = data;
	const void *notes;
	uint32_t size = 0;
	int last = -1;

	if (!rule || nftnl_rule_nlmsg_parse(message, rule) < 0)
		return MNL_CB_ERROR;
	expressions = nftnl_expr_iter_create(rule);
	if (!expressions)
		return MNL_CB_ERROR;
	while ((expression = nftnl_expr_iter_next(expressions)))
		read_expression(look, expression, &last, &found);
	nftnl_expr_iter_destroy(expressions);
	notes = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &size);
	if (notes)
		(void)nftnl_udata_parse(notes, size, is_our_comment, &found.ours);
	found.chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
	found.handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
	look->on_rule(&found, look->data);
	return MNL_CB_OK;
}

int
foreign_look_rules(uint32_t family, const char *table, const char *bridge,
		   ForeignRuleFound *on_rule, void *data)
{
	_cleanup_(free_rulep) struct nftnl_rule *rule = nftnl_rule_alloc();
	RuleLook look = {
		.family = family, .table = table, .bridge = bridge, .on_rule = on_rule, .data = data
	};
	char buffer[QUESTION_SIZE];
	struct nlmsghdr *question;

	if (!rule || nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table) < 0)
		return -ENOMEM;
	question = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETRULE, (uint16_t)family, NLM_F_DUMP, 1);
	nftnl_rule_nlmsg_build_payload(question, rule);
	return netfilter_dump(question, note_rule, &look);
}
