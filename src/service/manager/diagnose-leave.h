/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The doctor's look at what polkit allows. */
#pragma once

#include "service/manager/manager.h"

/* Adds rows of a(ssss) to the builder, which is borrowed until the callback. */
void banger_diagnose_leave_async(BangerManager *manager, GVariantBuilder *rows,
				 GAsyncReadyCallback callback, void *data);
void banger_diagnose_leave_finish(GAsyncResult *result);
