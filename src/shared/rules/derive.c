/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/rules/derive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/str-util.h"
#include "shared/rules/names.h"

void
bn_derive_key(uid_t uid, const char *vm, char ret[static BN_DERIVE_KEY_SIZE])
{
	(void)snprintf(ret, BN_DERIVE_KEY_SIZE, "%u-%.*s", uid, BN_ID_LENGTH, vm);
}

int
bn_derive_parse_key(const char *key, uid_t *ret_uid, char ret_vm[static BN_ID_LENGTH + 1])
{
	const char *dash = strchr(key, '-');
	char uid_text[11] = {};
	uint64_t uid = 0;

	if (!dash || (size_t)(dash - key) >= sizeof(uid_text) || !bn_names_is_id(dash + 1))
		return -EINVAL;
	memcpy(uid_text, key, (size_t)(dash - key));
	/* -1 is no user's. */
	if (bn_str_parse_u64(uid_text, UINT32_MAX - 1, &uid) < 0)
		return -EINVAL;
	*ret_uid = (uid_t)uid;
	memcpy(ret_vm, dash + 1, BN_ID_LENGTH + 1);
	return 0;
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
