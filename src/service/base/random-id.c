/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/random-id.h"

#include <glib.h>
#include <sys/random.h>

#include "shared/base/str-util.h"

void
banger_random_id(char ret[static BN_ID_LENGTH + 1])
{
	unsigned char bytes[BN_ID_LENGTH / 2];

	/* getrandom(2): up to 256 bytes come whole and uninterrupted. */
	g_assert(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
	bn_str_hex(bytes, sizeof(bytes), ret);
}
