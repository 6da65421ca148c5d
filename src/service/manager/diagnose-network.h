/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The doctor's look at the user's network. */
#pragma once

#include "service/manager/manager.h"

/* Adds rows of a(ssss). */
void banger_diagnose_network(BangerManager *manager, GVariantBuilder *rows);
