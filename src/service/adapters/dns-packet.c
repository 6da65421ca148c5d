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
/* The only version of EDNS that there is, and the high bits of the code that refuses another (RFC 6891, BADVERS). */
#define EDNS_VERSION 0
#define BADVERS_HIGH 1
/* The types of records that are no data, but something between two who know each other: TKEY, TSIG, IXFR, AXFR. */
#define TYPE_TALK_FIRST 249
#define TYPE_TALK_LAST  252
/* Behind the question of an ordinary query: EDNS, and perhaps a signature. */
#define EXTRAS_MAX 2

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ldns_pkt, ldns_pkt_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ldns_rdf, ldns_rdf_deep_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ldns_rr, ldns_rr_free)

/* A question, or none: then `record` is NULL. */
typedef struct Question {
	ldns_rr *record;
	uint16_t type;
	uint16_t class;
} Question;

static void
question_clear(Question *question)
{
	g_clear_pointer(&question->record, ldns_rr_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Question, question_clear)

static bool
take_name(const ldns_rdf *dname, BangerDnsName *ret)
{
	BangerDnsName name = { .size = ldns_rdf_size(dname) };
	g_autoptr(ldns_rdf) lower = NULL;

	if (name.size > sizeof(name.bytes))
		return false;
	lower = ldns_rdf_clone(dname);
	if (!lower)
		return false;
	ldns_dname2canonical(lower);
	memcpy(name.bytes, ldns_rdf_data(lower), name.size);
	*ret = name;
	return true;
}

static ldns_rdf *
give_name(const BangerDnsName *name)
{
	return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name->size, name->bytes);
}

bool
banger_dns_name_parse(const char *text, BangerDnsName *ret)
{
	g_autoptr(ldns_rdf) dname = ldns_dname_new_frm_str(text);

	return dname && take_name(dname, ret);
}

int
banger_dns_name_depth(const BangerDnsName *name, const BangerDnsName *above)
{
	g_autoptr(ldns_rdf) lower = give_name(name), upper = give_name(above);

	if (!lower || !upper)
		return -1;
	if (ldns_dname_compare(lower, upper) == 0)
		return 0;
	return ldns_dname_is_subdomain(lower, upper)
		       ? ldns_dname_label_count(lower) - ldns_dname_label_count(upper)
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

/* Exactly one, and whole; of the rest of the message nothing is read. Where it ends. */
static size_t
read_question(const uint8_t *bytes, size_t size, Question *ret)
{
	size_t at = BANGER_DNS_HEADER;
	ldns_rr *record = NULL;

	*ret = (Question){};
	if (LDNS_QDCOUNT(bytes) != 1 ||
	    ldns_wire2rr(&record, bytes, size, &at, LDNS_SECTION_QUESTION) != LDNS_STATUS_OK)
		return at;
	*ret = (Question){ .record = record,
			   .type = (uint16_t)ldns_rr_get_type(record),
			   .class = (uint16_t)ldns_rr_get_class(record) };
	return at;
}

static BangerDnsRcode
judge(const uint8_t *bytes, const Question *question)
{
	if (LDNS_OPCODE_WIRE(bytes) != LDNS_PACKET_QUERY)
		return BANGER_DNS_NOTIMP;
	if (!question->record)
		return BANGER_DNS_FORMERR;
	/* Of a server, not of names: what its version is, say. */
	if (question->class != LDNS_RR_CLASS_IN)
		return BANGER_DNS_REFUSED;
	return question->type >= TYPE_TALK_FIRST && question->type <= TYPE_TALK_LAST
		       ? BANGER_DNS_REFUSED
		       : BANGER_DNS_NOERROR;
}

bool
banger_dns_packet_read(const uint8_t *bytes, size_t size, BangerDnsQuery *ret)
{
	g_auto(Question) question = {};

	/* Who answers answers may do so for ever. */
	if (size < BANGER_DNS_HEADER || size > BANGER_DNS_QUERY_MAX || LDNS_QR_WIRE(bytes))
		return false;
	(void)read_question(bytes, size, &question);
	*ret = (BangerDnsQuery){ .bytes = bytes, .size = size, .rcode = judge(bytes, &question) };
	if (ret->rcode != BANGER_DNS_NOERROR)
		return true;
	ret->type = question.type;
	return take_name(ldns_rr_owner(question.record), &ret->name);
}

/* Exactly so many records from `at` to the end, at most one of them EDNS, whose owner is the root. */
static bool
is_rest(const uint8_t *bytes, size_t size, size_t at, unsigned records)
{
	bool edns = false, sound = true;

	while (sound && records-- > 0) {
		g_autoptr(ldns_rr) record = NULL;

		sound = ldns_wire2rr(&record, bytes, size, &at, LDNS_SECTION_ADDITIONAL) ==
			LDNS_STATUS_OK;
		if (!sound || ldns_rr_get_type(record) != LDNS_RR_TYPE_OPT)
			continue;
		sound = !edns && ldns_dname_label_count(ldns_rr_owner(record)) == 0;
		edns = true;
	}
	return sound && at == size;
}

/* The library takes what it does not know for no option at all. */
static bool
has_sound_options(ldns_pkt *packet)
{
	return !ldns_pkt_edns_data(packet) || ldns_pkt_edns_get_option_list(packet);
}

/* The query with what stands behind its question, where that is little and sound; else NULL. */
static ldns_pkt *
read_whole(const BangerDnsQuery *query)
{
	const uint8_t *bytes = query->bytes;
	g_autoptr(ldns_pkt) packet = NULL;
	g_auto(Question) question = {};
	size_t end;

	end = read_question(bytes, query->size, &question);
	if (!question.record || LDNS_ANCOUNT(bytes) > 0 || LDNS_NSCOUNT(bytes) > 0 ||
	    LDNS_ARCOUNT(bytes) > EXTRAS_MAX ||
	    !is_rest(bytes, query->size, end, LDNS_ARCOUNT(bytes)) ||
	    ldns_wire2pkt(&packet, bytes, query->size) != LDNS_STATUS_OK ||
	    !has_sound_options(packet))
		return NULL;
	return g_steal_pointer(&packet);
}

static bool
push(ldns_pkt *packet, ldns_pkt_section section, ldns_rr *record)
{
	if (record && ldns_pkt_safe_push_rr(packet, section, record))
		return true;
	ldns_rr_free(record);
	return false;
}

/* `owner` and the parts are taken over; NULL among them is a lack of memory. */
static ldns_rr *
make_record(const BangerDnsName *owner, ldns_rr_type type, ldns_rdf **parts, size_t n)
{
	ldns_rr *record = ldns_rr_new();
	ldns_rdf *name = give_name(owner);
	bool whole = record && name;

	if (record) {
		ldns_rr_set_owner(record, name);
		ldns_rr_set_type(record, type);
		ldns_rr_set_class(record, LDNS_RR_CLASS_IN);
		ldns_rr_set_ttl(record, TTL);
	} else {
		ldns_rdf_deep_free(name);
	}
	for (size_t i = 0; i < n; i++)
		if (!whole || !parts[i] || !ldns_rr_push_rdf(record, parts[i])) {
			ldns_rdf_deep_free(parts[i]);
			whole = false;
		}
	if (whole)
		return record;
	ldns_rr_free(record);
	return NULL;
}

/* As the SOA of a zone that has no secondary servers and nobody to write to (RFC 6303, section 3): its numbers mean
 * something to such servers alone. */
static bool
put_soa(ldns_pkt *packet, ldns_pkt_section section, const BangerDnsName *zone)
{
	ldns_rdf *parts[] = { give_name(zone),
			      ldns_dname_new_frm_str("nobody.invalid."),
			      ldns_native2rdf_int32(LDNS_RDF_TYPE_INT32, 1),
			      ldns_native2rdf_int32(LDNS_RDF_TYPE_PERIOD, 3600),
			      ldns_native2rdf_int32(LDNS_RDF_TYPE_PERIOD, 1200),
			      ldns_native2rdf_int32(LDNS_RDF_TYPE_PERIOD, 604800),
			      ldns_native2rdf_int32(LDNS_RDF_TYPE_PERIOD, TTL) };

	return push(packet, section,
		    make_record(zone, LDNS_RR_TYPE_SOA, parts, G_N_ELEMENTS(parts)));
}

static bool
put_answer(ldns_pkt *packet, const BangerDnsQuery *query, const BangerDnsAnswer *answer)
{
	ldns_rdf_type kind = answer->type == BANGER_DNS_A ? LDNS_RDF_TYPE_A : LDNS_RDF_TYPE_DNAME;
	ldns_rdf *part = ldns_rdf_new_frm_data(kind, answer->size, answer->data);

	return push(packet, LDNS_SECTION_ANSWER,
		    make_record(&query->name, (ldns_rr_type)answer->type, &part, 1));
}

static bool
put_records(ldns_pkt *packet, const BangerDnsQuery *query, const BangerDnsAnswer *answer)
{
	if (!answer->zone)
		return true;
	if (answer->type == BANGER_DNS_SOA)
		return put_soa(packet, LDNS_SECTION_ANSWER, answer->zone);
	if (answer->type != 0)
		return put_answer(packet, query, answer);
	return put_soa(packet, LDNS_SECTION_AUTHORITY, answer->zone);
}

/* The header, and the question where there is one, as it came to the letter: that the case comes back is what some
 * clients know an answer by. */
static ldns_pkt *
begin_answer(const uint8_t *bytes, Question *question, bool authoritative)
{
	ldns_pkt *packet = ldns_pkt_new();

	if (!packet)
		return NULL;
	ldns_pkt_set_id(packet, LDNS_ID_WIRE(bytes));
	ldns_pkt_set_qr(packet, true);
	ldns_pkt_set_opcode(packet, (ldns_pkt_opcode)LDNS_OPCODE_WIRE(bytes));
	ldns_pkt_set_rd(packet, LDNS_RD_WIRE(bytes) != 0);
	ldns_pkt_set_cd(packet, LDNS_CD_WIRE(bytes) != 0);
	ldns_pkt_set_aa(packet, authoritative);
	ldns_pkt_set_ra(packet, true);
	if (question->record &&
	    !push(packet, LDNS_SECTION_QUESTION, g_steal_pointer(&question->record))) {
		ldns_pkt_free(packet);
		return NULL;
	}
	return packet;
}

static size_t
render(const ldns_pkt *packet, uint8_t ret[static BANGER_DNS_ANSWER_MAX])
{
	uint8_t *bytes = NULL;
	size_t size = 0;

	if (ldns_pkt2wire(&bytes, packet, &size) != LDNS_STATUS_OK || size > BANGER_DNS_ANSWER_MAX)
		size = 0;
	if (size > 0)
		memcpy(ret, bytes, size);
	LDNS_FREE(bytes);
	return size;
}

size_t
banger_dns_packet_make(const BangerDnsQuery *query, const BangerDnsAnswer *answer,
		       uint8_t ret[static BANGER_DNS_ANSWER_MAX])
{
	g_autoptr(ldns_pkt) asked = read_whole(query), packet = NULL;
	bool edns = asked && ldns_pkt_edns(asked);
	bool sound = asked || !answer->zone;
	bool known = !edns || ldns_pkt_edns_version(asked) == EDNS_VERSION;
	g_auto(Question) question = {};

	(void)read_question(query->bytes, query->size, &question);
	packet = begin_answer(query->bytes, &question, answer->zone && sound && known);
	if (!packet)
		return 0;
	ldns_pkt_set_rcode(packet, (uint8_t)(!sound  ? BANGER_DNS_FORMERR
					     : known ? answer->rcode
						     : BANGER_DNS_NOERROR));
	if (sound && known && !put_records(packet, query, answer))
		return 0;
	if (edns) {
		ldns_pkt_set_edns_udp_size(packet, PAYLOAD_MAX);
		/* RFC 3225, section 3: as it came. */
		ldns_pkt_set_edns_do(packet, ldns_pkt_edns_do(asked));
		ldns_pkt_set_edns_extended_rcode(packet, known ? 0 : BADVERS_HIGH);
	}
	return render(packet, ret);
}

bool
banger_dns_packet_is_reply(const uint8_t *bytes, size_t size, const uint8_t *query,
			   size_t query_size)
{
	g_auto(Question) reply = {}, asked = {};

	if (size < BANGER_DNS_HEADER || size > UINT16_MAX || !LDNS_QR_WIRE(bytes) ||
	    LDNS_ID_WIRE(bytes) != LDNS_ID_WIRE(query) ||
	    LDNS_OPCODE_WIRE(bytes) != LDNS_OPCODE_WIRE(query))
		return false;
	(void)read_question(bytes, size, &reply);
	(void)read_question(query, query_size, &asked);
	return reply.record && asked.record && reply.type == asked.type &&
	       reply.class == asked.class &&
	       ldns_dname_compare(ldns_rr_owner(reply.record), ldns_rr_owner(asked.record)) == 0;
}
