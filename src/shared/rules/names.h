/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a name, an id and an operation id look like. Pure; checked on both sides of every boundary. */
#pragma once

#include <stdbool.h>

#include "shared/rules/limits.h"

/* 32 lower-case hex digits. */
bool bn_names_is_id(const char *s);

/* 1-32 lower-case hex digits: a reference to an object whose id begins so. */
bool bn_names_is_id_prefix(const char *s);

/* An operation id: empty (the caller has none) or of the form of an id. */
bool bn_names_is_operation(const char *s);

/* 1-63 of a-z 0-9 '-', no hyphen first or last. Never normalised. */
bool bn_names_is_vm(const char *s);

/* Name of an image or a kernel: 1-127 of a-z 0-9 and, inside, '-' '.' '_' ':'; never two dots in a row. */
bool bn_names_is_object(const char *s);

/* The release of a kernel, uname(2): 1-64 of letters, digits and '-' '.' '_' '+' '~', no dot first. */
bool bn_names_is_release(const char *s);

/* The name of an object for something that has only somebody else's name, as a kernel its release: in lower case, '-'
 * for what names do not hold, nothing of that kind at its ends, one dot for several. False where nothing is left. */
bool bn_names_make_object(const char *s, char ret[static BN_OBJECT_NAME_MAX + 1]);

/* "NAME=VALUE", of an environment: the name not empty. */
bool bn_names_is_variable(const char *s);

/* Where a command begins: an absolute path of at most BN_WORKDIR_MAX bytes. */
bool bn_names_is_workdir(const char *s);

/* Name of a user in the guest: 1-32 of a-z 0-9 '_' '-' '.', a letter or '_' first. */
bool bn_names_is_user(const char *s);
