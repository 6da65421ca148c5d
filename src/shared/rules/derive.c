/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/derive.h"

#include <stdio.h>
#include <string.h>

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

void
bn_derive_user_unit(const char *key, char ret[static BN_DERIVE_USER_UNIT_SIZE])
{
	(void)snprintf(ret, BN_DERIVE_USER_UNIT_SIZE, "user@%.*s.service",
		       (int)strspn(key, "0123456789"), key);
}
