/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/tsc.h"

#include <time.h>
#include <x86intrin.h>

#define MEASURE_NS 2000000

static int64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Both clocks at one moment: of several tries the one that was interrupted least. */
static void
read_both(uint64_t *ret_tsc, int64_t *ret_ns)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 16; i++) {
		int64_t before = now_ns();
		uint64_t tsc = __rdtsc();
		int64_t after = now_ns();

		if (after - before < best) {
			best = after - before;
			*ret_tsc = tsc;
			*ret_ns = before + (after - before) / 2;
		}
	}
}

uint32_t
boot_tsc_khz(void)
{
	uint64_t tsc0 = 0, tsc1 = 0;
	int64_t ns0 = 0, ns1 = 0;

	read_both(&tsc0, &ns0);
	/* A sleep would let the processor change its state; this is 2 ms, once per daemon. */
	while (now_ns() - ns0 < MEASURE_NS)
		;
	read_both(&tsc1, &ns1);
	if (tsc1 <= tsc0 || ns1 <= ns0)
		return 0;
	return (uint32_t)((__uint128_t)(tsc1 - tsc0) * 1000000 / (uint64_t)(ns1 - ns0));
}
