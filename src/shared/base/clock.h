/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CLOCK_MONOTONIC as a number: the same for every process of this boot. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t
bn_clock_ns(void)
{
	struct timespec t = {};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline uint64_t
bn_clock_us(void)
{
	return bn_clock_ns() / 1000;
}
