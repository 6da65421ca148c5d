/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest asks and what a resolver replies → answers, and whether one is of the other. The input is u8 length of a
 * query, the query, and the rest a reply. */
#include <assert.h>
#include <string.h>

#include "service/adapters/dns-zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What we say is an answer, nobody answers it, and where the question could be read it answers that. */
static void
check_answer(const uint8_t *query, size_t query_size, const uint8_t *answer, size_t size)
{
	BangerDnsQuery asked, none;

	assert(size >= BANGER_DNS_HEADER && size <= BANGER_DNS_ANSWER_MAX);
	assert(!banger_dns_packet_read(answer, size, &none));
	assert(banger_dns_packet_get_id(answer) == banger_dns_packet_get_id(query));
	assert(banger_dns_packet_read(query, query_size, &asked));
	if (asked.rcode == BANGER_DNS_NOERROR || asked.rcode == BANGER_DNS_REFUSED)
		assert(banger_dns_packet_is_reply(answer, size, query, query_size));
}

static void
ask(const BangerDnsZone *zone, const uint8_t *query, size_t size)
{
	uint8_t answer[BANGER_DNS_ANSWER_MAX];
	BangerDnsVerdict verdict;
	BangerDnsQuery read;
	size_t n = 0;

	verdict = banger_dns_zone_serve(zone, query, size, answer, &n);
	assert((verdict == BANGER_DNS_ANSWER) == (n > 0));
	if (verdict == BANGER_DNS_ANSWER)
		check_answer(query, size, answer, n);
	if (verdict == BANGER_DNS_DROP)
		assert(!banger_dns_packet_read(query, size, &read));
	n = banger_dns_zone_give_up(query, size, BANGER_DNS_SERVFAIL, answer);
	assert((verdict == BANGER_DNS_DROP) == (n == 0));
	if (n > 0)
		check_answer(query, size, answer, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BangerDnsZone *zone = banger_dns_zone_new("dev.vm");
	size_t query = size > 0 ? data[0] : 0;
	BangerDnsQuery read;

	assert(zone && banger_dns_zone_set(zone, "web", 0x0ad00105));
	if (size > 0 && query < size) {
		ask(zone, data + 1, query);
		ask(zone, data + 1 + query, size - 1 - query);
		if (banger_dns_packet_read(data + 1, query, &read) &&
		    banger_dns_packet_is_reply(data + 1 + query, size - 1 - query, data + 1, query))
			assert(memcmp(data + 1, data + 1 + query, 2) == 0);
	}
	banger_dns_zone_free(zone);
	return 0;
}
