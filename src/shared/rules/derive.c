/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/derive.h"

#include <stdio.h>

void
bn_derive_key(uid_t uid, const char *vm, char ret[static BN_DERIVE_KEY_SIZE])
{
	(void)snprintf(ret, BN_DERIVE_KEY_SIZE, "%u-%.*s", uid, BN_ID_LENGTH, vm);
}

void
bn_derive_scope(const char *key, char ret[static BN_DERIVE_SCOPE_SIZE])
{
	(void)snprintf(ret, BN_DERIVE_SCOPE_SIZE, "banger-vm-%s.scope", key);
}
