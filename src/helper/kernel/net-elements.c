/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/kernel/net-elements.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "helper/kernel/netfilter.h"
#include "shared/base/cleanup.h"

/* More than a message with an element takes: headers, names of table and set, and a key. */
#define MESSAGE_MAX 512
/* Adding and removing it. */
#define MESSAGES_OF_ELEMENT 2
/* Beginning and end. */
#define MESSAGES_AROUND 2
/* A field of a key begins where a register of nftables does. */
#define REGISTER_SIZE 4

typedef struct Key {
	uint8_t bytes[NFT_DATA_VALUE_MAXLEN];
	uint32_t size;
} Key;

/* A transaction in the making. */
typedef struct Batch {
	char *buffer;
	size_t size;
	uint32_t sequence;
} Batch;

static void
add_bytes(Key *key, const void *bytes, size_t size)
{
	memcpy(key->bytes + key->size, bytes, size);
	key->size += (uint32_t)((size + REGISTER_SIZE - 1) / REGISTER_SIZE * REGISTER_SIZE);
}

/* As a packet, or what Linux knows of it, has it: an interface's name with zeros behind it, a user's id in the host's
 * order and the rest in that of the network. */
static void
add_field(Key *key, const NetChange *change, NetField field)
{
	char name[IFNAMSIZ] = "";
	uint8_t mac[BN_MAC_LENGTH];
	uint32_t number;

	switch (field) {
	case NET_FIELD_NAME:
		memcpy(name, change->name, strnlen(change->name, sizeof(name) - 1));
		add_bytes(key, name, sizeof(name));
		break;
	case NET_FIELD_MAC:
		bn_net_mac(change->address, mac);
		add_bytes(key, mac, sizeof(mac));
		break;
	case NET_FIELD_UID:
		number = change->uid;
		add_bytes(key, &number, sizeof(number));
		break;
	default:
		number = htonl(change->address);
		add_bytes(key, &number, sizeof(number));
	}
}

static int
add_message(Batch *batch, uint16_t type, const NetElement *element, const Key *key)
{
	struct nftnl_set *set = nftnl_set_alloc();
	struct nftnl_set_elem *one = set ? nftnl_set_elem_alloc() : NULL;
	struct nlmsghdr *header;
	int r = -ENOMEM;

	if (one && nftnl_set_set_str(set, NFTNL_SET_TABLE, "banger") == 0 &&
	    nftnl_set_set_str(set, NFTNL_SET_NAME, element->set) == 0 &&
	    nftnl_set_elem_set(one, NFTNL_SET_ELEM_KEY, key->bytes, key->size) == 0) {
		header = nftnl_nlmsg_build_hdr(batch->buffer + batch->size, type,
					       element->bridge ? NFPROTO_BRIDGE : NFPROTO_INET,
					       NLM_F_CREATE, batch->sequence++);
		nftnl_set_elem_add(set, one);
		one = NULL; /* the set's */
		nftnl_set_elems_nlmsg_build_payload(header, set);
		batch->size += NLMSG_ALIGN(header->nlmsg_len);
		r = 0;
	}
	if (one)
		nftnl_set_elem_free(one);
	if (set)
		nftnl_set_free(set);
	return r;
}

static int
add_change(Batch *batch, const NetChange *change)
{
	const NetElement *element = net_filter_get_elements(change->kind);
	int r = 0;

	for (; r >= 0 && element->set; element++) {
		Key key = {};

		for (size_t i = 0; element->fields[i] != NET_FIELD_END; i++)
			add_field(&key, change, element->fields[i]);
		r = add_message(batch, NFT_MSG_NEWSETELEM, element, &key);
		/* Linux of Debian 12 has no way to remove what may not be there. */
		if (r >= 0 && change->remove)
			r = add_message(batch, NFT_MSG_DELSETELEM, element, &key);
	}
	return r;
}

int
net_elements_apply(const NetChange *changes, size_t n)
{
	size_t messages = n * NET_ELEMENTS_MAX * MESSAGES_OF_ELEMENT + MESSAGES_AROUND;
	_cleanup_free_ char *buffer = calloc(messages, MESSAGE_MAX);
	Batch batch = { .buffer = buffer };
	int r = 0;

	if (!buffer)
		return -ENOMEM;
	batch.size = NLMSG_ALIGN(nftnl_batch_begin(buffer, batch.sequence++)->nlmsg_len);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_change(&batch, &changes[i]);
	if (r < 0)
		return r;
	batch.size += NLMSG_ALIGN(nftnl_batch_end(buffer + batch.size, batch.sequence)->nlmsg_len);
	return netfilter_send(batch.buffer, batch.size);
}
