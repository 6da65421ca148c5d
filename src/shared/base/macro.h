/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The few macros that every layer uses. */
#pragma once

#include <assert.h>
#include <stddef.h>

#define BN_ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))
#define BN_MIN(a, b)                                                                               \
	({                                                                                         \
		typeof(a) _bn_a = (a);                                                             \
		typeof(b) _bn_b = (b);                                                             \
		_bn_a < _bn_b ? _bn_a : _bn_b;                                                     \
	})
#define BN_MAX(a, b)                                                                               \
	({                                                                                         \
		typeof(a) _bn_a = (a);                                                             \
		typeof(b) _bn_b = (b);                                                             \
		_bn_a > _bn_b ? _bn_a : _bn_b;                                                     \
	})

#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_       __attribute__((unused))
#define _noreturn_     __attribute__((noreturn))
