/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of kernel and systemd objects, derived from who owns a VM and its id; never accepted from outside. */
#pragma once

#include <sys/types.h>

#include "shared/rules/limits.h"

/* "<uid>-<vm id>": the one key of a VM on the host. Two users' VMs never share one, whatever ids they choose. */
#define BN_DERIVE_KEY_SIZE (10 + 1 + BN_ID_LENGTH + 1)
/* `vm` must be an id (bn_names_is_id()). */
void bn_derive_key(uid_t uid, const char *vm, char ret[static BN_DERIVE_KEY_SIZE]);

/* Its inverse: 0, or -EINVAL for everything that it does not make of a user's id and an id. */
int bn_derive_parse_key(const char *key, uid_t *ret_uid, char ret_vm[static BN_ID_LENGTH + 1]);

/* "banger-vm-<key>.scope"; `key` is what bn_derive_key() made. */
#define BN_DERIVE_SCOPE_SIZE (sizeof("banger-vm-.scope") + BN_DERIVE_KEY_SIZE)
void bn_derive_scope(const char *key, char ret[static BN_DERIVE_SCOPE_SIZE]);

/* "user@<uid>.service", the systemd of who owns the VM; likewise. */
#define BN_DERIVE_USER_UNIT_SIZE sizeof("user@4294967295.service")
void bn_derive_user_unit(const char *key, char ret[static BN_DERIVE_USER_UNIT_SIZE]);
