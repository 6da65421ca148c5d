/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One string table per enum: `const char *bn_x_to_string(BnX)` and `BnX bn_x_from_string(const char *)`.
 *
 * The enum ends in _MAX and has _INVALID = -EINVAL, which from_string() returns for anything unknown. */
#pragma once

#include <errno.h>
#include <string.h>

#include "shared/base/macro.h"

#define BN_DECLARE_ENUM_TABLE(prefix, Type)                                                        \
	const char *prefix##_to_string(Type v);                                                    \
	Type prefix##_from_string(const char *s)

#define BN_DEFINE_ENUM_TABLE(prefix, Type, table)                                                  \
	const char *prefix##_to_string(Type v)                                                     \
	{                                                                                          \
		if ((int)v < 0 || (size_t)v >= BN_ELEMENTSOF(table))                               \
			return NULL;                                                               \
		return (table)[v];                                                                 \
	}                                                                                          \
	Type prefix##_from_string(const char *s)                                                   \
	{                                                                                          \
		for (size_t i = 0; s && i < BN_ELEMENTSOF(table); i++)                             \
			if ((table)[i] && strcmp((table)[i], s) == 0)                              \
				return (Type)i;                                                    \
		return (Type)-EINVAL;                                                              \
	}                                                                                          \
	struct _bn_enum_table_##prefix##_needs_semicolon
