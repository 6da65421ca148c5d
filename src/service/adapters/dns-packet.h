/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DNS messages: what a query asks, and the bytes of an answer. Pure; the only place that knows the library. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer queries than anybody has a use for (a question and EDNS) are not looked at. */
#define BANGER_DNS_QUERY_MAX 4096
/* What everybody can receive (RFC 1035, section 4.2.1); no answer of ours is longer. */
#define BANGER_DNS_ANSWER_MAX 512
#define BANGER_DNS_HEADER     12
#define BANGER_DNS_NAME_MAX   255

/* Types of records, as far as we know of them. */
enum {
	BANGER_DNS_A = 1,
	BANGER_DNS_NS = 2,
	BANGER_DNS_SOA = 6,
	BANGER_DNS_PTR = 12,
	BANGER_DNS_AAAA = 28,
	BANGER_DNS_ANY = 255,
};

typedef enum BangerDnsRcode {
	BANGER_DNS_NOERROR = 0,
	BANGER_DNS_FORMERR = 1,
	BANGER_DNS_SERVFAIL = 2,
	BANGER_DNS_NXDOMAIN = 3,
	BANGER_DNS_NOTIMP = 4,
	BANGER_DNS_REFUSED = 5,
} BangerDnsRcode;

/* A whole name as it is in a message, without compression and in lower case. */
typedef struct BangerDnsName {
	size_t size;
	uint8_t bytes[BANGER_DNS_NAME_MAX];
} BangerDnsName;

/* "web.dev.vm"; false where that is no name. */
bool banger_dns_name_parse(const char *text, BangerDnsName *ret);
/* How many labels a name lies below another one; 0: they are the same; -1: it does not. */
int banger_dns_name_depth(const BangerDnsName *name, const BangerDnsName *above);

typedef struct BangerDnsQuery {
	const uint8_t *bytes; /* borrowed */
	size_t size;
	BangerDnsRcode
		rcode; /* what it is to be refused with; NOERROR: the rest is set, and the class is IN */
	uint16_t type;
	BangerDnsName name;
} BangerDnsQuery;

/* Reads header and question, nothing behind them. False where nobody is to be answered. */
bool banger_dns_packet_read(const uint8_t *bytes, size_t size, BangerDnsQuery *ret);

typedef struct BangerDnsAnswer {
	BangerDnsRcode rcode;
	/* Whose names end here: its SOA is the answer where `type` says so, and is said along with an answer that is
	 * empty, so that it is not remembered for long. NULL: we say what happened, and know nothing of the name. */
	const BangerDnsName *zone;
	uint16_t type; /* of the one record that the name has; 0: none */
	size_t size;   /* of the record's data */
	uint8_t data[BANGER_DNS_NAME_MAX];
} BangerDnsAnswer;

/* What is sent; its size. 0: nothing. A query that is broken behind its question is told so instead. */
size_t banger_dns_packet_make(const BangerDnsQuery *query, const BangerDnsAnswer *answer,
			      uint8_t ret[static BANGER_DNS_ANSWER_MAX]);

/* Whether one message, which may be any bytes, answers the question of another one, which was read before. */
bool banger_dns_packet_is_reply(const uint8_t *bytes, size_t size, const uint8_t *query,
				size_t query_size);

/* The id of a message that has a header. */
uint16_t banger_dns_packet_get_id(const uint8_t *bytes);
void banger_dns_packet_set_id(uint8_t *bytes, uint16_t id);
