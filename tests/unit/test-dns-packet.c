/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DNS messages made by hand, sound and broken ones, and what becomes of each. */
#include <arpa/inet.h>
#include <glib.h>

#include "service/adapters/dns-zone.h"
#include "test.h"

#define ID  0x1234
#define WEB 0x0ad00105U /* 10.208.1.5 */
#define RD  0x0100
#define CH  3

enum { REFUSED_TYPE_AXFR = 252, TYPE_TXT = 16, TYPE_OPT = 41 };

/* A message under construction, or one that came. */
typedef struct Message {
	uint8_t bytes[BANGER_DNS_QUERY_MAX + 8];
	size_t size, at;
} Message;

static void
put(Message *m, const void *bytes, size_t size)
{
	check(m->size + size <= sizeof(m->bytes));
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

static void
put_u16(Message *m, unsigned value)
{
	uint16_t big = htons((uint16_t)value);

	put(m, &big, sizeof(big));
}

static void
put_header(Message *m, unsigned flags, unsigned qd, unsigned an, unsigned ns, unsigned ar)
{
	put_u16(m, ID);
	put_u16(m, flags);
	put_u16(m, qd);
	put_u16(m, an);
	put_u16(m, ns);
	put_u16(m, ar);
}

static void
put_name(Message *m, const char *name)
{
	g_auto(GStrv) labels = g_strsplit(name, ".", -1);

	for (char **label = labels; *label; label++) {
		uint8_t length = (uint8_t)strlen(*label);

		put(m, &length, 1);
		put(m, *label, length);
	}
	put(m, "", 1);
}

static void
put_question(Message *m, const char *name, unsigned type, unsigned class)
{
	put_name(m, name);
	put_u16(m, type);
	put_u16(m, class);
}

/* OPT: root, its type, payload, extended code and version, flags, length of options. */
static void
put_edns(Message *m, unsigned version, unsigned flags, const void *options, size_t size)
{
	put(m, "", 1);
	put_u16(m, TYPE_OPT);
	put_u16(m, 4096);
	put_u16(m, version);
	put_u16(m, flags);
	put_u16(m, (unsigned)size);
	put(m, options, size);
}

static Message
make_query(const char *name, unsigned type)
{
	Message m = {};

	put_header(&m, RD, 1, 0, 0, 0);
	put_question(&m, name, type, 1);
	return m;
}

static unsigned
get_u16(Message *m)
{
	uint16_t big;

	check(m->at + sizeof(big) <= m->size);
	memcpy(&big, m->bytes + m->at, sizeof(big));
	m->at += sizeof(big);
	return ntohs(big);
}

static BangerDnsVerdict
serve(const Message *query, Message *ret)
{
	BangerDnsZone *zone = banger_dns_zone_new("dev.vm");
	BangerDnsVerdict verdict;

	check(zone != NULL);
	check(banger_dns_zone_set(zone, "web", WEB));
	*ret = (Message){};
	verdict = banger_dns_zone_serve(zone, query->bytes, query->size, ret->bytes, &ret->size);
	check((verdict == BANGER_DNS_ANSWER) == (ret->size > 0));
	check(ret->size <= BANGER_DNS_ANSWER_MAX);
	banger_dns_zone_free(zone);
	return verdict;
}

/* An answer's header; `at` stands behind it. */
static void
check_header(Message *m, unsigned flags, unsigned qd, unsigned an, unsigned ns, unsigned ar)
{
	m->at = 0;
	check_int(get_u16(m), ID);
	check_int(get_u16(m), flags);
	check_int(get_u16(m), qd);
	check_int(get_u16(m), an);
	check_int(get_u16(m), ns);
	check_int(get_u16(m), ar);
}

/* QR, RD as it came, RA; AA where we know it ourselves. */
#define OURS   (0x8000 | 0x0400 | RD | 0x0080)
#define THEIRS (0x8000 | RD | 0x0080)

/* What it is, in one word: the answer has these numbers of records, and the question as it came. */
static Message
ask(const Message *query, unsigned flags, unsigned an, unsigned ns)
{
	size_t question = query->size - BANGER_DNS_HEADER;
	Message answer;

	check_int(serve(query, &answer), BANGER_DNS_ANSWER);
	check_header(&answer, flags, 1, an, ns, 0);
	check(memcmp(answer.bytes + answer.at, query->bytes + BANGER_DNS_HEADER, question) == 0);
	answer.at += question;
	check(banger_dns_packet_is_reply(answer.bytes, answer.size, query->bytes, query->size));
	return answer;
}

static Message
ask_name(const char *name, unsigned type, unsigned flags, unsigned an, unsigned ns)
{
	Message query = make_query(name, type);

	return ask(&query, flags, an, ns);
}

/* The record at hand belongs to the question's name. */
static void
check_record(Message *m, unsigned type, const void *data, size_t size)
{
	check_int(get_u16(m), 0xc000 | BANGER_DNS_HEADER);
	check_int(get_u16(m), type);
	check_int(get_u16(m), 1);
	check_int(get_u16(m), 0);
	check_int(get_u16(m), 1); /* TTL */
	check_int(get_u16(m), size);
	check(m->at + size == m->size);
	check(memcmp(m->bytes + m->at, data, size) == 0);
}

static void
test_address_when_asked_for_then_told_in_the_case_of_the_question(void)
{
	static const uint8_t address[] = { 10, 208, 1, 5 };
	Message answer = ask_name("WeB.dEv.Vm", BANGER_DNS_A, OURS, 1, 0);

	check_record(&answer, BANGER_DNS_A, address, sizeof(address));
	answer = ask_name("web.dev.vm", BANGER_DNS_ANY, OURS, 1, 0);
	check_record(&answer, BANGER_DNS_A, address, sizeof(address));
}

static void
test_other_types_when_the_name_is_known_then_empty_and_not_for_long(void)
{
	static const unsigned types[] = { BANGER_DNS_AAAA, TYPE_TXT, 65, 65535, 0, TYPE_OPT };

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
		Message answer = ask_name("web.dev.vm", types[i], OURS, 0, 1);

		/* The SOA's last number is how long "nothing" may be remembered. */
		check_int(answer.bytes[answer.size - 1], 1);
		check_int(answer.bytes[answer.size - 2], 0);
	}
}

static void
test_names_when_unknown_in_the_zone_then_they_do_not_exist(void)
{
	static const char *const names[] = {
		"db.dev.vm", "a.web.dev.vm", "web.other.vm",
		"other.vm",  "x.invalid",    "1.0.0.127.in-addr.arpa"
	};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		(void)ask_name(names[i], BANGER_DNS_A, OURS | BANGER_DNS_NXDOMAIN, 0, 1);
}

static void
test_apex_when_asked_then_it_has_soa_and_ns_alone(void)
{
	(void)ask_name("dev.vm", BANGER_DNS_SOA, OURS, 1, 0);
	(void)ask_name("DEV.vm", BANGER_DNS_NS, OURS, 1, 0);
	(void)ask_name("dev.vm", BANGER_DNS_ANY, OURS, 1, 0);
	(void)ask_name("dev.vm", BANGER_DNS_A, OURS, 0, 1);
	/* There is something below it. */
	(void)ask_name("vm", BANGER_DNS_A, OURS, 0, 1);
}

static void
test_address_backwards_when_a_vm_has_it_then_its_name(void)
{
	static const uint8_t name[] = "\003web\003dev\002vm";
	Message answer = ask_name("5.1.208.10.in-addr.arpa", BANGER_DNS_PTR, OURS, 1, 0), other;
	Message query = make_query("6.1.208.10.in-addr.arpa", BANGER_DNS_PTR);

	check_record(&answer, BANGER_DNS_PTR, name, sizeof(name));
	(void)ask_name("5.1.208.10.in-addr.arpa", TYPE_TXT, OURS, 0, 1);
	check_int(serve(&query, &other), BANGER_DNS_FORWARD);
}

static void
test_localhost_when_asked_then_itself(void)
{
	static const uint8_t loopback[] = { 127, 0, 0, 1 }, loopback6[16] = { [15] = 1 };
	Message answer = ask_name("localhost", BANGER_DNS_A, OURS, 1, 0);

	check_record(&answer, BANGER_DNS_A, loopback, sizeof(loopback));
	answer = ask_name("a.LOCALHOST", BANGER_DNS_AAAA, OURS, 1, 0);
	check_record(&answer, BANGER_DNS_AAAA, loopback6, sizeof(loopback6));
	(void)ask_name("localhost", TYPE_TXT, OURS, 0, 1);
}

static void
test_names_of_others_when_asked_then_forwarded(void)
{
	static const char *const names[] = { "debian.org",     "xdev.vm.org",
					     "web.dev.vm.org", "evm",
					     "mylocalhost",    "1.168.192.in-addr.arpa",
					     "a.b.c.d.e.f.g" };
	Message answer, root = {};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		Message query = make_query(names[i], BANGER_DNS_A);

		check_int(serve(&query, &answer), BANGER_DNS_FORWARD);
	}
	put_header(&root, RD, 1, 0, 0, 0);
	put(&root, "\0\0\002\0\001", 5);
	check_int(serve(&root, &answer), BANGER_DNS_FORWARD);
}

/* A dot within a label is no dot between labels. */
static void
test_zone_when_only_the_text_of_a_name_ends_in_it_then_not_meant(void)
{
	Message query = {}, answer;

	put_header(&query, RD, 1, 0, 0, 0);
	put(&query, "\007web.dev\002vm\000\000\001\000\001", 16);
	(void)ask(&query, OURS | BANGER_DNS_NXDOMAIN, 0, 1);
	query = (Message){};
	put_header(&query, RD, 1, 0, 0, 0);
	put(&query, "\012web.dev.vm\003org\000\000\001\000\001", 20);
	check_int(serve(&query, &answer), BANGER_DNS_FORWARD);
}

static void
test_queries_when_not_of_names_then_refused(void)
{
	static const unsigned opcodes[] = { 1, 2, 3, 4, 5, 6, 15 };
	Message query = {}, answer;

	put_header(&query, RD, 1, 0, 0, 0);
	put_question(&query, "version.bind", TYPE_TXT, CH);
	(void)ask(&query, THEIRS | BANGER_DNS_REFUSED, 0, 0);
	(void)ask_name("dev.vm", REFUSED_TYPE_AXFR, THEIRS | BANGER_DNS_REFUSED, 0, 0);
	(void)ask_name("debian.org", REFUSED_TYPE_AXFR - 1, THEIRS | BANGER_DNS_REFUSED, 0, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(opcodes); i++) {
		query = make_query("web.dev.vm", BANGER_DNS_A);
		query.bytes[2] |= (uint8_t)(opcodes[i] << 3);
		(void)ask(&query, (THEIRS | BANGER_DNS_NOTIMP) | opcodes[i] << 11, 0, 0);
	}
	/* An update carries records, of which nothing comes back. */
	query = (Message){};
	put_header(&query, 5 << 11, 1, 0, 1, 0);
	put_question(&query, "dev.vm", BANGER_DNS_SOA, 1);
	put(&query, "junk", 4);
	check_int(serve(&query, &answer), BANGER_DNS_ANSWER);
	check_header(&answer, 0x8080 | 5 << 11 | BANGER_DNS_NOTIMP, 1, 0, 0, 0);
}

/* RFC 8906, section 3.1.4, and RFC 3225: what it does not know is not set in an answer. */
static void
test_flags_when_unknown_then_not_set_in_the_answer(void)
{
	Message query = make_query("web.dev.vm", BANGER_DNS_A);

	query.bytes[2] |= 0x06; /* AA TC */
	query.bytes[3] |= 0xff; /* RA Z AD CD RCODE */
	(void)ask(&query, OURS | 0x10, 1, 0);
}

static void
test_messages_when_there_is_nobody_to_answer_then_dropped(void)
{
	Message query = make_query("web.dev.vm", BANGER_DNS_A), answer;
	size_t size = query.size;

	for (query.size = 0; query.size < BANGER_DNS_HEADER; query.size++)
		check_int(serve(&query, &answer), BANGER_DNS_DROP);
	query.size = size;
	query.bytes[2] |= 0x80;
	check_int(serve(&query, &answer), BANGER_DNS_DROP);
	query = make_query("web.dev.vm", BANGER_DNS_A);
	query.size = BANGER_DNS_QUERY_MAX + 1;
	check_int(serve(&query, &answer), BANGER_DNS_DROP);
}

/* Header alone, and what is wrong. */
static void
check_malformed(const Message *query)
{
	Message answer;

	check_int(serve(query, &answer), BANGER_DNS_ANSWER);
	check_header(&answer, THEIRS | BANGER_DNS_FORMERR, 0, 0, 0, 0);
	check_int(answer.size, BANGER_DNS_HEADER);
}

static void
check_malformed_name(const void *bytes, size_t size)
{
	Message query = {};

	put_header(&query, RD, 1, 0, 0, 0);
	put(&query, bytes, size);
	put(&query, "\0\001\0\001", 4);
	check_malformed(&query);
}

static void
test_questions_when_malformed_then_told(void)
{
	static const unsigned counts[] = { 0, 2, 65535 };
	Message query, whole = make_query("web.dev.vm", BANGER_DNS_A);

	for (query = whole, query.size--; query.size >= BANGER_DNS_HEADER; query.size--)
		check_malformed(&query);
	for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
		query = (Message){};
		put_header(&query, RD, counts[i], 0, 0, 0);
		put_question(&query, "web.dev.vm", BANGER_DNS_A, 1);
		put_question(&query, "web.dev.vm", BANGER_DNS_AAAA, 1);
		check_malformed(&query);
	}
}

static void
test_names_when_malformed_then_told(void)
{
	char label[66] = { [0] = 64 };

	check_malformed_name("\xc0\x0c", 2); /* a pointer to itself */
	check_malformed_name("\003web\xc0\x0c", 6);
	check_malformed_name("\003web\xc0\x00", 6); /* into the header */
	check_malformed_name("\003web\xff\xff", 6); /* beyond the end */
	check_malformed_name("\xc0\x0e\003web", 7); /* to a name that is whole */
	check_malformed_name("\x80", 1);            /* no length */
	memset(label + 1, 'a', 64);
	check_malformed_name(label, sizeof(label)); /* a label of 64 */
	check_malformed_name("\077abc", 4);         /* a label that ends behind the message */
}

/* Four labels that make a name of `size` bytes, behind a header. */
static Message
make_long(size_t size)
{
	Message query = {};
	size_t left = size - 1;

	put_header(&query, RD, 1, 0, 0, 0);
	while (left > 0) {
		uint8_t label[64], length = (uint8_t)(MIN(left, 64) - 1);

		memset(label, 'a', sizeof(label));
		label[0] = length;
		put(&query, label, length + 1U);
		left -= length + 1U;
	}
	put(&query, "\0\0\001\0\001", 5);
	return query;
}

static void
test_names_when_as_long_as_can_be_then_taken_and_longer_ones_not(void)
{
	Message query = make_long(BANGER_DNS_NAME_MAX), answer;

	check_int(serve(&query, &answer), BANGER_DNS_FORWARD);
	query = make_long(BANGER_DNS_NAME_MAX + 1);
	check_malformed(&query);
}

/* The longest question there is, an SOA and EDNS. */
static void
test_answer_when_as_long_as_can_be_then_it_fits(void)
{
	Message query = {}, answer;
	char label[64] = { [0] = 63 };

	memset(label + 1, 'a', 63);
	put_header(&query, RD, 1, 0, 0, 1);
	for (unsigned i = 0; i < 3; i++)
		put(&query, label, 64);
	label[0] = 54;
	put(&query, label, 55);
	put_question(&query, "dev.vm", BANGER_DNS_A, 1);
	check_int(query.size, BANGER_DNS_HEADER + 255 + 4);
	put_edns(&query, 0, 0, "", 0);
	check_int(serve(&query, &answer), BANGER_DNS_ANSWER);
	check_header(&answer, OURS | BANGER_DNS_NXDOMAIN, 1, 0, 1, 1);
}

/* Nothing that a zone holds is as long, but a name may be. */
static void
test_answer_when_it_does_not_fit_then_cut_and_said_to_be(void)
{
	BangerDnsAnswer answer = { .type = BANGER_DNS_PTR, .size = BANGER_DNS_NAME_MAX };
	Message query = make_long(BANGER_DNS_NAME_MAX), made = {};
	BangerDnsQuery read;

	memcpy(answer.data, query.bytes + BANGER_DNS_HEADER, answer.size);
	answer.data[answer.size - 2] = 'b';
	query.bytes[11] = 1;
	put_edns(&query, 0, 0, "", 0);
	check(banger_dns_packet_read(query.bytes, query.size, &read));
	answer.zone = &read.name;
	made.size = banger_dns_packet_make(&read, &answer, made.bytes);
	check_header(&made, OURS | 0x0200, 1, 0, 0, 1);
	check_int(made.size, query.size);
}

static Message
make_edns(unsigned version, unsigned flags, const void *options, size_t size)
{
	Message query = {};

	put_header(&query, RD, 1, 0, 0, 1);
	put_question(&query, "web.dev.vm", BANGER_DNS_A, 1);
	put_edns(&query, version, flags, options, size);
	return query;
}

/* The answer's last record is OPT, without options. */
static void
check_edns(const Message *query, unsigned flags, unsigned an, unsigned code, unsigned edns_flags)
{
	Message answer;

	check_int(serve(query, &answer), BANGER_DNS_ANSWER);
	check_header(&answer, flags, 1, an, 0, 1);
	answer.at = answer.size - 11;
	check_int(answer.bytes[answer.at++], 0);
	check_int(get_u16(&answer), TYPE_OPT);
	check_int(get_u16(&answer), 1232);
	check_int(get_u16(&answer), code);
	check_int(get_u16(&answer), edns_flags);
	check_int(get_u16(&answer), 0);
}

static void
test_edns_when_sound_then_answered_with_edns(void)
{
	Message query = make_edns(0, 0, "", 0);

	check_edns(&query, OURS, 1, 0, 0);
	/* Of the flags DO alone comes back; options that nobody knows are nothing. */
	query = make_edns(0, 0xffff, "\xff\xfe\0\003abc\0\012\0\010cookie..", 19);
	check_edns(&query, OURS, 1, 0, 0x8000);
	/* Code 16 has its upper half in here: we have version 0. */
	query = make_edns(1, 0, "", 0);
	check_edns(&query, THEIRS, 0, 0x0100, 0);
	query = make_edns(255, 0, "", 0);
	check_edns(&query, THEIRS, 0, 0x0100, 0);
}

/* The question comes back with it, and nothing else. */
static void
check_refused_behind_question(const Message *query)
{
	Message answer;

	check_int(serve(query, &answer), BANGER_DNS_ANSWER);
	check_header(&answer, THEIRS | BANGER_DNS_FORMERR, 1, 0, 0, 0);
}

static void
test_edns_when_malformed_then_told(void)
{
	Message query = make_edns(0, 0, "", 0), two;
	size_t size = query.size;

	two = query;
	two.bytes[11] = 2;
	put_edns(&two, 0, 0, "", 0);
	check_refused_behind_question(&two);
	for (query.size = size - 1; query.size >= size - 11; query.size--)
		check_refused_behind_question(&query);
	query = make_edns(0, 0, "\0\003\0\377x", 5); /* an option longer than all of them */
	check_refused_behind_question(&query);
	query = make_edns(0, 0, "", 0);
	put(&query, "more", 4);
	check_refused_behind_question(&query);
	query = make_edns(0, 0, "", 0);
	query.bytes[size - 11] = 1; /* not of the root */
	check_refused_behind_question(&query);
	query = make_query("web.dev.vm", BANGER_DNS_A);
	query.bytes[11] = 1;
	put(&query, "\003web", 4); /* nor is this */
	put_edns(&query, 0, 0, "", 0);
	check_refused_behind_question(&query);
}

static void
test_records_when_a_query_brings_some_then_told(void)
{
	for (unsigned i = 6; i < BANGER_DNS_HEADER; i += 2) {
		Message query = make_query("web.dev.vm", BANGER_DNS_A);

		query.bytes[i] = 255;
		check_refused_behind_question(&query);
	}
	/* One that is sound, in each section: what follows is its owner, type, class, TTL and data. */
	for (unsigned i = 7; i < BANGER_DNS_HEADER - 2; i += 2) {
		Message query = make_query("web.dev.vm", BANGER_DNS_A);

		query.bytes[i] = 1;
		put(&query, "\xc0\x0c\0\001\0\001\0\0\0\0\0\004abcd", 16);
		check_refused_behind_question(&query);
	}
}

static void
test_signature_when_it_is_the_last_then_passed_over(void)
{
	/* Owner, type, class, TTL, length, algorithm, and zeros: who has no keys looks at none of it. */
	static const uint8_t signature[42] = "\003key\0\0\372\0\377\0\0\0\0\0\033\011hmac-sha1";
	Message query = make_edns(0, 0, "", 0), pointer = query, answer;

	query.bytes[11] = pointer.bytes[11] = 2;
	put(&query, signature, sizeof(signature));
	check_int(serve(&query, &answer), BANGER_DNS_ANSWER);
	check_header(&answer, OURS, 1, 1, 0, 1);
	put(&pointer, "\xc0\x0c", 2);
	put(&pointer, signature + 5, sizeof(signature) - 5);
	check_refused_behind_question(&pointer);
	query = make_query("web.dev.vm", BANGER_DNS_A);
	query.bytes[11] = 2;
	put(&query, signature, sizeof(signature));
	put_edns(&query, 0, 0, "", 0);
	check_refused_behind_question(&query);
}

static void
test_failure_when_nobody_could_be_asked_then_told_with_edns(void)
{
	Message query = make_edns(0, 0x8000, "", 0), answer = {};

	answer.size =
		banger_dns_zone_give_up(query.bytes, query.size, BANGER_DNS_SERVFAIL, answer.bytes);
	check_header(&answer, THEIRS | BANGER_DNS_SERVFAIL, 1, 0, 0, 1);
	check(banger_dns_packet_is_reply(answer.bytes, answer.size, query.bytes, query.size));
}

static void
check_no_reply(const Message *reply, const Message *query)
{
	check(!banger_dns_packet_is_reply(reply->bytes, reply->size, query->bytes, query->size));
}

static void
test_replies_when_not_to_the_query_then_not_taken(void)
{
	Message query = make_query("a.debian.org", BANGER_DNS_A), reply = query, other;

	check_no_reply(&query, &query);
	reply.bytes[2] |= 0x82; /* QR TC */
	put(&reply, "anything", 8);
	check(banger_dns_packet_is_reply(reply.bytes, reply.size, query.bytes, query.size));
	/* Some servers do not keep the case. */
	reply.bytes[BANGER_DNS_HEADER + 1] = 'A';
	check(banger_dns_packet_is_reply(reply.bytes, reply.size, query.bytes, query.size));
	for (unsigned i = 0; i < query.size; i++) {
		other = reply;
		other.bytes[i] ^= 1;
		/* Flags and counts of what it holds are its own, but not how many questions. */
		if (i != 2 && i != 3 && (i < 6 || i > 11))
			check_no_reply(&other, &query);
	}
	other = reply;
	other.bytes[2] ^= 2 << 3;
	check_no_reply(&other, &query);
	for (other = reply; other.size-- > 0;)
		if (other.size < query.size)
			check_no_reply(&other, &query);
}

static void
check_zone(BangerDnsZone *zone, const char *name, unsigned type, BangerDnsVerdict verdict,
	   unsigned an, unsigned rcode)
{
	Message query = make_query(name, type), answer = {};

	check_int(banger_dns_zone_serve(zone, query.bytes, query.size, answer.bytes, &answer.size),
		  verdict);
	check_int(answer.bytes[7], an);
	check_int(answer.bytes[3] & 15, rcode);
}

static void
test_zone_when_vms_come_and_go_then_it_follows(void)
{
	BangerDnsZone *zone = banger_dns_zone_new("dev.vm");

	check(!banger_dns_zone_set(zone, "", WEB));
	check(!banger_dns_zone_set(zone, "a.b", WEB));
	check(!banger_dns_zone_set(zone, "Web", WEB));
	check(banger_dns_zone_set(zone, "web", WEB));
	check(banger_dns_zone_set(zone, "web", WEB + 1));
	check_zone(zone, "5.1.208.10.in-addr.arpa", BANGER_DNS_PTR, BANGER_DNS_FORWARD, 0, 0);
	check_zone(zone, "6.1.208.10.in-addr.arpa", BANGER_DNS_PTR, BANGER_DNS_ANSWER, 1, 0);
	/* An address that has gone to another VM stays that one's. */
	check(banger_dns_zone_set(zone, "new", WEB + 1));
	banger_dns_zone_remove(zone, "web");
	banger_dns_zone_remove(zone, "web");
	banger_dns_zone_remove(zone, "a.b");
	check_zone(zone, "web.dev.vm", BANGER_DNS_A, BANGER_DNS_ANSWER, 0, BANGER_DNS_NXDOMAIN);
	check_zone(zone, "new.dev.vm", BANGER_DNS_A, BANGER_DNS_ANSWER, 1, 0);
	check_zone(zone, "6.1.208.10.in-addr.arpa", BANGER_DNS_PTR, BANGER_DNS_ANSWER, 1, 0);
	banger_dns_zone_free(zone);
}

static void
test_zone_when_its_name_is_none_then_refused(void)
{
	g_autofree char *label = g_strnfill(64, 'a'), *name = NULL;
	BangerDnsZone *zone = banger_dns_zone_new("First.last.vm");

	check(zone && banger_dns_zone_set(zone, "web", WEB));
	check_zone(zone, "web.first.last.vm", BANGER_DNS_A, BANGER_DNS_ANSWER, 1, 0);
	check_zone(zone, "last.vm", BANGER_DNS_A, BANGER_DNS_ANSWER, 0, 0);
	banger_dns_zone_free(zone);
	check(!banger_dns_zone_new(""));
	check(!banger_dns_zone_new("a..vm"));
	check(!banger_dns_zone_new(label));
	label[63] = '\0';
	name = g_strdup_printf("%s.%s.%s.vm", label, label, label);
	check(!banger_dns_zone_new(name));
}

TEST_MAIN(TEST(test_address_when_asked_for_then_told_in_the_case_of_the_question),
	  TEST(test_other_types_when_the_name_is_known_then_empty_and_not_for_long),
	  TEST(test_names_when_unknown_in_the_zone_then_they_do_not_exist),
	  TEST(test_apex_when_asked_then_it_has_soa_and_ns_alone),
	  TEST(test_address_backwards_when_a_vm_has_it_then_its_name),
	  TEST(test_localhost_when_asked_then_itself),
	  TEST(test_names_of_others_when_asked_then_forwarded),
	  TEST(test_zone_when_only_the_text_of_a_name_ends_in_it_then_not_meant),
	  TEST(test_queries_when_not_of_names_then_refused),
	  TEST(test_flags_when_unknown_then_not_set_in_the_answer),
	  TEST(test_messages_when_there_is_nobody_to_answer_then_dropped),
	  TEST(test_questions_when_malformed_then_told), TEST(test_names_when_malformed_then_told),
	  TEST(test_names_when_as_long_as_can_be_then_taken_and_longer_ones_not),
	  TEST(test_answer_when_as_long_as_can_be_then_it_fits),
	  TEST(test_answer_when_it_does_not_fit_then_cut_and_said_to_be),
	  TEST(test_edns_when_sound_then_answered_with_edns),
	  TEST(test_edns_when_malformed_then_told),
	  TEST(test_records_when_a_query_brings_some_then_told),
	  TEST(test_signature_when_it_is_the_last_then_passed_over),
	  TEST(test_failure_when_nobody_could_be_asked_then_told_with_edns),
	  TEST(test_replies_when_not_to_the_query_then_not_taken),
	  TEST(test_zone_when_vms_come_and_go_then_it_follows),
	  TEST(test_zone_when_its_name_is_none_then_refused))
