/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/tsc.h"

#include <x86intrin.h>

#include "shared/base/clock.h"

#define MEASURE_NS 2000000

/* Both clocks at one moment: of several tries the one that was interrupted least. */
static void
read_both(uint64_t *ret_tsc, uint64_t *ret_ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 16; i++) {
		uint64_t before = bn_clock_ns();
		uint64_t tsc = __rdtsc();
		uint64_t after = bn_clock_ns();

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
	uint64_t tsc0 = 0, tsc1 = 0, ns0 = 0, ns1 = 0;

	read_both(&tsc0, &ns0);
	/* A sleep would let the processor change its state; this is 2 ms, once per daemon. */
	while (bn_clock_ns() - ns0 < MEASURE_NS)
		;
	read_both(&tsc1, &ns1);
	if (tsc1 <= tsc0 || ns1 <= ns0)
		return 0;
	return (uint32_t)((__uint128_t)(tsc1 - tsc0) * 1000000 / (ns1 - ns0));
}
