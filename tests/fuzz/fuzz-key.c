/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text → the key of a VM, as root reads names of files. What can be read is what is written of it. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "shared/rules/derive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char key[2 * BN_DERIVE_KEY_SIZE] = "", again[BN_DERIVE_KEY_SIZE], vm[BN_ID_LENGTH + 1];
	uid_t uid;

	if (size >= sizeof(key))
		return 0;
	if (size > 0)
		memcpy(key, data, size);
	if (bn_derive_parse_key(key, &uid, vm) < 0)
		return 0;
	bn_derive_key(uid, vm, again);
	assert(strcmp(key, again) == 0);
	return 0;
}
