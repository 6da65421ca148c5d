/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids of objects and operations. */
#pragma once

#include "shared/rules/limits.h"

/* 128 random bits as 32 lower-case hex digits. */
void banger_random_id(char ret[static BN_ID_LENGTH + 1]);
