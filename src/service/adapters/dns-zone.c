/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/dns-zone.h"

#include <glib.h>
#include <string.h>

#include "shared/rules/names.h"

#define LOCALHOST "localhost"

/* Nobody behind us is asked for names in these. "vm": other users' zones, of which a guest is to learn nothing, not by
 * way of the host's resolver either. The others mean nothing, or something else to everybody (RFC 6303, section 4), but
 * not the networks of RFC 1918: of those the host's resolver knows more than we do. */
static const char *const empty_zones[] = {
	"vm",
	"invalid",
	"0.in-addr.arpa",
	"127.in-addr.arpa",
	"254.169.in-addr.arpa",
	"2.0.192.in-addr.arpa",
	"100.51.198.in-addr.arpa",
	"113.0.203.in-addr.arpa",
	"255.255.255.255.in-addr.arpa",
	"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
	"8.e.f.ip6.arpa",
	"9.e.f.ip6.arpa",
	"a.e.f.ip6.arpa",
	"b.e.f.ip6.arpa",
	"8.b.d.0.1.0.0.2.ip6.arpa",
};

/* What one name has. */
typedef struct Record {
	BangerDnsName owner;
	uint32_t address;     /* of the VM */
	BangerDnsName target; /* of an address: whose it is; empty otherwise */
} Record;

struct BangerDnsZone {
	char *text;
	BangerDnsName apex, localhost;
	BangerDnsName empty[G_N_ELEMENTS(empty_zones)];
	GHashTable
		*records; /* by their owner; each VM has two: its name, and its address backwards */
};

static guint
hash_name(gconstpointer key)
{
	const BangerDnsName *name = key;
	guint hash = 5381;

	for (size_t i = 0; i < name->size; i++)
		hash = hash * 33 + name->bytes[i];
	return hash;
}

static gboolean
is_same_name(gconstpointer a, gconstpointer b)
{
	const BangerDnsName *x = a, *y = b;

	return x->size == y->size && memcmp(x->bytes, y->bytes, x->size) == 0;
}

void
banger_dns_zone_free(BangerDnsZone *zone)
{
	if (!zone)
		return;
	g_hash_table_unref(zone->records);
	g_free(zone->text);
	g_free(zone);
}

BangerDnsZone *
banger_dns_zone_new(const char *name)
{
	BangerDnsZone *zone = g_new0(BangerDnsZone, 1);
	bool good;

	zone->text = g_strdup(name);
	zone->records = g_hash_table_new_full(hash_name, is_same_name, NULL, g_free);
	good = banger_dns_name_parse(name, &zone->apex) &&
	       zone->apex.size + BN_VM_NAME_MAX + 1 <= BANGER_DNS_NAME_MAX &&
	       banger_dns_name_parse(LOCALHOST, &zone->localhost);
	for (size_t i = 0; i < G_N_ELEMENTS(empty_zones); i++)
		good = good && banger_dns_name_parse(empty_zones[i], &zone->empty[i]);
	if (good)
		return zone;
	banger_dns_zone_free(zone);
	return NULL;
}

static bool
make_name(const BangerDnsZone *zone, const char *vm, BangerDnsName *ret)
{
	g_autofree char *text = NULL;

	if (!bn_names_is_vm(vm))
		return false;
	text = g_strdup_printf("%s.%s", vm, zone->text);
	return banger_dns_name_parse(text, ret);
}

static bool
make_reverse(uint32_t address, BangerDnsName *ret)
{
	g_autofree char *text =
		g_strdup_printf("%u.%u.%u.%u.in-addr.arpa", address & 255, address >> 8 & 255,
				address >> 16 & 255, address >> 24);

	return banger_dns_name_parse(text, ret);
}

static void
add(BangerDnsZone *zone, const Record *record)
{
	Record *copy = g_memdup2(record, sizeof(*record));

	(void)g_hash_table_replace(zone->records, &copy->owner, copy);
}

void
banger_dns_zone_remove(BangerDnsZone *zone, const char *vm)
{
	BangerDnsName name, reverse;
	const Record *record, *backwards;

	if (!make_name(zone, vm, &name))
		return;
	record = g_hash_table_lookup(zone->records, &name);
	if (!record)
		return;
	/* The address may be another VM's by now. */
	if (make_reverse(record->address, &reverse)) {
		backwards = g_hash_table_lookup(zone->records, &reverse);
		if (backwards && is_same_name(&backwards->target, &name))
			(void)g_hash_table_remove(zone->records, &reverse);
	}
	(void)g_hash_table_remove(zone->records, &name);
}

bool
banger_dns_zone_set(BangerDnsZone *zone, const char *vm, uint32_t address)
{
	Record record = { .address = address }, backwards = { .address = address };

	if (!make_name(zone, vm, &record.owner) || !make_reverse(address, &backwards.owner))
		return false;
	backwards.target = record.owner;
	banger_dns_zone_remove(zone, vm);
	add(zone, &record);
	add(zone, &backwards);
	return true;
}

/* A name that has a record of one type has that; it is there, but empty, for who asks for another type. */
static void
answer_with(const BangerDnsQuery *query, BangerDnsAnswer *ret, uint16_t type, const void *data,
	    size_t size)
{
	if (query->type != type && query->type != BANGER_DNS_ANY)
		return;
	ret->type = type;
	ret->size = size;
	memcpy(ret->data, data, size);
}

static void
answer_address(const BangerDnsQuery *query, BangerDnsAnswer *ret, uint32_t address)
{
	uint32_t data = GUINT32_TO_BE(address);

	answer_with(query, ret, BANGER_DNS_A, &data, sizeof(data));
}

/* RFC 6761, section 6.3. */
static void
answer_localhost(const BangerDnsQuery *query, BangerDnsAnswer *ret)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	answer_address(query, ret, 127U << 24 | 1);
	if (query->type == BANGER_DNS_AAAA)
		answer_with(query, ret, BANGER_DNS_AAAA, loopback6, sizeof(loopback6));
}

/* A name that is in a zone, and no VM's. */
static void
answer_in_zone(const BangerDnsQuery *query, BangerDnsAnswer *ret, const BangerDnsName *own)
{
	const BangerDnsName *zone = ret->zone;

	if (is_same_name(&query->name, zone)) {
		/* The data of an SOA follows from whose it is. */
		answer_with(query, ret, BANGER_DNS_SOA, "", 0);
		if (query->type == BANGER_DNS_NS)
			answer_with(query, ret, BANGER_DNS_NS, zone->bytes, zone->size);
	} else if (banger_dns_name_depth(own, &query->name) < 0) {
		ret->rcode = BANGER_DNS_NXDOMAIN;
	}
}

/* The zone that a name is in; NULL: none of ours. */
static const BangerDnsName *
find_zone(const BangerDnsZone *zone, const BangerDnsName *name)
{
	if (banger_dns_name_depth(name, &zone->apex) >= 0)
		return &zone->apex;
	if (banger_dns_name_depth(name, &zone->localhost) >= 0)
		return &zone->localhost;
	for (size_t i = 0; i < G_N_ELEMENTS(zone->empty); i++)
		if (banger_dns_name_depth(name, &zone->empty[i]) >= 0)
			return &zone->empty[i];
	return NULL;
}

/* False where the name is somebody else's. */
static bool
answer_query(const BangerDnsZone *zone, const BangerDnsQuery *query, BangerDnsAnswer *ret)
{
	const Record *record = g_hash_table_lookup(zone->records, &query->name);

	if (record && record->target.size > 0) {
		ret->zone = &record->owner;
		answer_with(query, ret, BANGER_DNS_PTR, record->target.bytes, record->target.size);
		return true;
	}
	ret->zone = find_zone(zone, &query->name);
	if (record)
		answer_address(query, ret, record->address);
	else if (ret->zone == &zone->localhost)
		answer_localhost(query, ret);
	else if (ret->zone)
		answer_in_zone(query, ret, &zone->apex);
	return ret->zone != NULL;
}

BangerDnsVerdict
banger_dns_zone_serve(const BangerDnsZone *zone, const uint8_t *bytes, size_t size,
		      uint8_t ret[static BANGER_DNS_ANSWER_MAX], size_t *ret_size)
{
	BangerDnsAnswer answer = {};
	BangerDnsQuery query;
	size_t n;

	if (!banger_dns_packet_read(bytes, size, &query))
		return BANGER_DNS_DROP;
	answer.rcode = query.rcode;
	if (query.rcode == BANGER_DNS_NOERROR && !answer_query(zone, &query, &answer))
		return BANGER_DNS_FORWARD;
	n = banger_dns_packet_make(&query, &answer, ret);
	if (n == 0)
		return BANGER_DNS_DROP;
	*ret_size = n;
	return BANGER_DNS_ANSWER;
}

size_t
banger_dns_zone_give_up(const uint8_t *bytes, size_t size, BangerDnsRcode rcode,
			uint8_t ret[static BANGER_DNS_ANSWER_MAX])
{
	const BangerDnsAnswer answer = { .rcode = rcode };
	BangerDnsQuery query;

	return banger_dns_packet_read(bytes, size, &query)
		       ? banger_dns_packet_make(&query, &answer, ret)
		       : 0;
}
