/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/dns-packet.h"

#include <glib.h>
#include <ldns/ldns.h>
#include <string.h>

/* Asking again costs microseconds, and a VM that is made anew may have another address a moment later. Not 0, which
 * some caches take for "no value given". */
#define TTL 1
/* What fits into any network's packets without being cut into pieces (dnsflagday.net/2020). */
#define PAYLOAD_MAX 1232
/* The types of records that are no data, but something between two who know each other: TKEY, TSIG, IXFR, AXFR. */
#define TYPE_TALK_FIRST 249
#define TYPE_TALK_LAST  252
/* Behind the question of an ordinary query: EDNS, and perhaps a signature. */
#define EXTRAS_MAX 2
/* Numbers of an SOA that mean something to secondary servers only, of which there are none. */
#define SOA_NUMBERS 5
/* Behind a question's name: type and class. */
#define QUESTION_FIXED 4
/* Behind a record's owner: type, class, TTL, and the length of its data. */
#define RECORD_FIXED       10
#define RECORD_LENGTH      8
#define OPTION_FIXED       4
#define OPTION_LENGTH      2
#define EDNS_VERSION       0
#define EDNS_VERSION_SHIFT 16
#define EDNS_DO            0x8000U
/* Has its upper bits in EDNS (RFC 6891, section 9). */
#define RCODE_BADVERS 16
#define RCODE_BITS    4

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ldns_pkt, ldns_pkt_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ldns_rr, ldns_rr_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ldns_rdf, ldns_rdf_deep_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ldns_buffer, ldns_buffer_free)

typedef struct Edns {
	bool present, dnssec_ok;
	uint8_t version;
} Edns;

static void
copy_name(ldns_rdf *from, BangerDnsName *ret)
{
	ldns_dname2canonical(from);
	ret->size = ldns_rdf_size(from);
	memcpy(ret->bytes, ldns_rdf_data(from), ret->size);
}

bool
banger_dns_name_parse(const char *text, BangerDnsName *ret)
{
	g_autoptr(ldns_rdf) name = ldns_dname_new_frm_str(text);

	if (!name || ldns_rdf_size(name) > BANGER_DNS_NAME_MAX)
		return false;
	*ret = (BangerDnsName){};
	copy_name(name, ret);
	return true;
}

int
banger_dns_name_depth(const BangerDnsName *name, const BangerDnsName *above)
{
	size_t at = 0;
	int depth = 0;

	for (; name->size - at > above->size; depth++)
		at += name->bytes[at] + 1U;
	return name->size - at == above->size &&
			       memcmp(name->bytes + at, above->bytes, above->size) == 0
		       ? depth
		       : -1;
}

uint16_t
banger_dns_packet_get_id(const uint8_t *bytes)
{
	return LDNS_ID_WIRE(bytes);
}

void
banger_dns_packet_set_id(uint8_t *bytes, uint16_t id)
{
	LDNS_ID_SET(bytes, id);
}

/* What stands behind the name at `at`; 0: it has no end, or one that is said to be elsewhere. The library would follow
 * 65535 such pointers, around in a circle too; nothing that we read has a need of one. */
static size_t
skip_name(const uint8_t *bytes, size_t size, size_t at)
{
	while (at < size && bytes[at] > 0 && bytes[at] <= LDNS_MAX_LABELLEN)
		at += bytes[at] + 1U;
	return at < size && bytes[at] == 0 ? at + 1 : 0;
}

/* NULL where there is not exactly one question, or it is not whole. */
static ldns_rr *
read_question(const uint8_t *bytes, size_t size)
{
	size_t at = BANGER_DNS_HEADER;
	ldns_rr *question = NULL;

	if (LDNS_QDCOUNT(bytes) != 1 || skip_name(bytes, size, at) == 0)
		return NULL;
	return ldns_wire2rr(&question, bytes, size, &at, LDNS_SECTION_QUESTION) == LDNS_STATUS_OK
		       ? question
		       : NULL;
}

static BangerDnsRcode
judge(const uint8_t *bytes, const ldns_rr *question)
{
	unsigned type;

	if (LDNS_OPCODE_WIRE(bytes) != LDNS_PACKET_QUERY)
		return BANGER_DNS_NOTIMP;
	if (!question)
		return BANGER_DNS_FORMERR;
	/* Of a server, not of names: what its version is, say. */
	if (ldns_rr_get_class(question) != LDNS_RR_CLASS_IN)
		return BANGER_DNS_REFUSED;
	type = ldns_rr_get_type(question);
	return type >= TYPE_TALK_FIRST && type <= TYPE_TALK_LAST ? BANGER_DNS_REFUSED
								 : BANGER_DNS_NOERROR;
}

bool
banger_dns_packet_read(const uint8_t *bytes, size_t size, BangerDnsQuery *ret)
{
	g_autoptr(ldns_rr) question = NULL;

	/* Who answers answers may do so for ever. */
	if (size < BANGER_DNS_HEADER || size > BANGER_DNS_QUERY_MAX || LDNS_QR_WIRE(bytes))
		return false;
	question = read_question(bytes, size);
	*ret = (BangerDnsQuery){ .bytes = bytes, .size = size, .rcode = judge(bytes, question) };
	if (ret->rcode != BANGER_DNS_NOERROR)
		return true;
	ret->type = (uint16_t)ldns_rr_get_type(question);
	copy_name(ldns_rr_owner(question), &ret->name);
	return true;
}

static bool
are_options(const uint8_t *bytes, size_t size)
{
	while (size >= OPTION_FIXED) {
		size_t whole = OPTION_FIXED + ldns_read_uint16(bytes + OPTION_LENGTH);

		if (whole > size)
			return false;
		bytes += whole;
		size -= whole;
	}
	return size == 0;
}

/* The record from `at` to `end`. */
static bool
read_edns(const uint8_t *bytes, size_t at, size_t end, Edns *ret)
{
	g_autoptr(ldns_rr) record = NULL;
	ldns_rdf *options;

	/* Of the root, and there is one at most. */
	if (ret->present || bytes[at] != 0 ||
	    ldns_wire2rr(&record, bytes, end, &at, LDNS_SECTION_ADDITIONAL) != LDNS_STATUS_OK)
		return false;
	options = ldns_rr_rdf(record, 0);
	ret->present = true;
	ret->version = (uint8_t)(ldns_rr_ttl(record) >> EDNS_VERSION_SHIFT);
	ret->dnssec_ok = ldns_rr_ttl(record) & EDNS_DO;
	return !options || are_options(ldns_rdf_data(options), ldns_rdf_size(options));
}

/* Of what else there may be only the bounds are looked at. */
static bool
read_extra(const uint8_t *bytes, size_t size, size_t *at, bool is_last, Edns *edns)
{
	size_t fixed = skip_name(bytes, size, *at), start = *at, end;
	uint16_t type;

	if (fixed == 0 || size - fixed < RECORD_FIXED)
		return false;
	type = ldns_read_uint16(bytes + fixed);
	end = fixed + RECORD_FIXED + ldns_read_uint16(bytes + fixed + RECORD_LENGTH);
	if (end > size)
		return false;
	*at = end;
	if (type == LDNS_RR_TYPE_OPT)
		return read_edns(bytes, start, end, edns);
	return type != LDNS_RR_TYPE_TSIG || is_last;
}

/* What stands behind the question; false where that is more than a little, or broken. */
static bool
read_extras(const BangerDnsQuery *query, Edns *ret)
{
	const uint8_t *bytes = query->bytes;
	unsigned count = LDNS_ARCOUNT(bytes);
	size_t at = skip_name(bytes, query->size, BANGER_DNS_HEADER) + QUESTION_FIXED;
	Edns edns = {};

	if (LDNS_ANCOUNT(bytes) > 0 || LDNS_NSCOUNT(bytes) > 0 || count > EXTRAS_MAX)
		return false;
	for (unsigned i = 1; i <= count; i++)
		if (!read_extra(bytes, query->size, &at, i == count, &edns))
			return false;
	if (at != query->size)
		return false;
	*ret = edns;
	return true;
}

static bool
put_data(ldns_rr *record, ldns_rdf_type type, const void *data, size_t size)
{
	ldns_rdf *field = ldns_rdf_new_frm_data(type, size, data);

	if (field && ldns_rr_push_rdf(record, field))
		return true;
	ldns_rdf_deep_free(field);
	return false;
}

/* As the SOA of a zone that has no secondary servers and nobody to write to (RFC 6303, section 3). */
static bool
put_soa(ldns_rr *record, const BangerDnsName *zone)
{
	static const uint32_t numbers[SOA_NUMBERS] = { 1, 3600, 1200, 604800, TTL };
	BangerDnsName nobody;
	bool done;

	done = banger_dns_name_parse("nobody.invalid", &nobody) &&
	       put_data(record, LDNS_RDF_TYPE_DNAME, zone->bytes, zone->size) &&
	       put_data(record, LDNS_RDF_TYPE_DNAME, nobody.bytes, nobody.size);
	for (size_t i = 0; i < SOA_NUMBERS; i++) {
		uint32_t big = GUINT32_TO_BE(numbers[i]);

		done = done && put_data(record, LDNS_RDF_TYPE_INT32, &big, sizeof(big));
	}
	return done;
}

static ldns_rr *
make_record(const BangerDnsAnswer *answer, uint16_t type)
{
	const ldns_rr_descriptor *described = ldns_rr_descript(type);
	g_autoptr(ldns_rr) record = ldns_rr_new();
	bool done;

	if (!record)
		return NULL;
	ldns_rr_set_type(record, type);
	ldns_rr_set_ttl(record, TTL);
	if (type == BANGER_DNS_SOA)
		done = put_soa(record, answer->zone);
	else
		done = put_data(record, ldns_rr_descriptor_field_type(described, 0), answer->data,
				answer->size);
	return done ? g_steal_pointer(&record) : NULL;
}

/* The one that was asked for, or in its place whose its absence is. */
static bool
put_record(ldns_pkt *packet, const ldns_rr *question, const BangerDnsAnswer *answer)
{
	bool found = answer->type != 0;
	g_autoptr(ldns_rr) record = make_record(answer, found ? answer->type : BANGER_DNS_SOA);
	ldns_rdf *owner;

	owner = found ? ldns_rdf_clone(ldns_rr_owner(question))
		      : ldns_dname_new_frm_data((uint16_t)answer->zone->size, answer->zone->bytes);
	if (!record || !owner) {
		ldns_rdf_deep_free(owner);
		return false;
	}
	ldns_rr_set_owner(record, owner);
	if (!ldns_pkt_push_rr(packet, found ? LDNS_SECTION_ANSWER : LDNS_SECTION_AUTHORITY, record))
		return false;
	g_steal_pointer(&record);
	return true;
}

/* The header, and the question where there is one, as it came to the letter: that the case comes back is what some
 * clients know an answer by. NULL where memory ran out. */
static ldns_pkt *
begin_answer(const BangerDnsQuery *query, const ldns_rr *question, const Edns *edns, unsigned rcode)
{
	const uint8_t *bytes = query->bytes;
	g_autoptr(ldns_pkt) packet = ldns_pkt_new();
	g_autoptr(ldns_rr) copy = question ? ldns_rr_clone(question) : NULL;

	if (!packet || (question && !copy))
		return NULL;
	if (copy) {
		if (!ldns_pkt_push_rr(packet, LDNS_SECTION_QUESTION, copy))
			return NULL;
		g_steal_pointer(&copy);
	}
	ldns_pkt_set_id(packet, LDNS_ID_WIRE(bytes));
	ldns_pkt_set_qr(packet, true);
	ldns_pkt_set_opcode(packet, LDNS_OPCODE_WIRE(bytes));
	ldns_pkt_set_rd(packet, LDNS_RD_WIRE(bytes));
	ldns_pkt_set_cd(packet, LDNS_CD_WIRE(bytes));
	ldns_pkt_set_ra(packet, true);
	ldns_pkt_set_rcode(packet, rcode & LDNS_RCODE_MASK);
	if (edns->present) {
		ldns_pkt_set_edns_udp_size(packet, PAYLOAD_MAX);
		ldns_pkt_set_edns_extended_rcode(packet, (uint8_t)(rcode >> RCODE_BITS));
		/* RFC 3225, section 3: as it came. */
		ldns_pkt_set_edns_do(packet, edns->dnssec_ok);
	}
	return g_steal_pointer(&packet);
}

/* 0: memory ran out, or it is longer than may be. */
static size_t
render(const ldns_pkt *packet, uint8_t ret[static BANGER_DNS_ANSWER_MAX])
{
	g_autoptr(ldns_buffer) buffer = ldns_buffer_new(BANGER_DNS_ANSWER_MAX);
	size_t size;

	if (!buffer || ldns_pkt2buffer_wire(buffer, packet) != LDNS_STATUS_OK ||
	    !ldns_buffer_status_ok(buffer))
		return 0;
	size = ldns_buffer_position(buffer);
	if (size > BANGER_DNS_ANSWER_MAX)
		return 0;
	memcpy(ret, ldns_buffer_begin(buffer), size);
	return size;
}

size_t
banger_dns_packet_make(const BangerDnsQuery *query, const BangerDnsAnswer *answer,
		       uint8_t ret[static BANGER_DNS_ANSWER_MAX])
{
	Edns edns = {};
	g_autoptr(ldns_rr) question = read_question(query->bytes, query->size);
	bool sound = question && read_extras(query, &edns);
	g_autoptr(ldns_pkt) whole = NULL, cut = NULL;
	unsigned rcode = answer->rcode;
	size_t size;

	if (answer->zone && !sound)
		rcode = BANGER_DNS_FORMERR;
	else if (edns.present && edns.version != EDNS_VERSION)
		rcode = RCODE_BADVERS;
	whole = begin_answer(query, question, &edns, rcode);
	if (!whole)
		return 0;
	if (!answer->zone || rcode != answer->rcode)
		return render(whole, ret);
	ldns_pkt_set_aa(whole, true);
	if (!put_record(whole, question, answer))
		return 0;
	size = render(whole, ret);
	if (size > 0)
		return size;
	cut = begin_answer(query, question, &edns, rcode);
	if (!cut)
		return 0;
	ldns_pkt_set_aa(cut, true);
	ldns_pkt_set_tc(cut, true);
	return render(cut, ret);
}

bool
banger_dns_packet_is_reply(const uint8_t *bytes, size_t size, const uint8_t *query,
			   size_t query_size)
{
	g_autoptr(ldns_rr) reply = NULL, asked = NULL;

	if (size < BANGER_DNS_HEADER || size > UINT16_MAX || !LDNS_QR_WIRE(bytes) ||
	    LDNS_ID_WIRE(bytes) != LDNS_ID_WIRE(query) ||
	    LDNS_OPCODE_WIRE(bytes) != LDNS_OPCODE_WIRE(query))
		return false;
	reply = read_question(bytes, size);
	asked = read_question(query, query_size);
	return reply && asked && ldns_rr_get_type(reply) == ldns_rr_get_type(asked) &&
	       ldns_rr_get_class(reply) == ldns_rr_get_class(asked) &&
	       ldns_dname_compare(ldns_rr_owner(reply), ldns_rr_owner(asked)) == 0;
}
