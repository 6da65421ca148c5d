/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `banger doctor` asks the daemon: is everything there that VMs need, and does it work? */
#pragma once

#include "service/manager/manager.h"

void banger_diagnose_async(BangerManager *manager, GAsyncReadyCallback callback, void *data);
/* An a(ssss), floating: result, check, finding, remedy. */
GVariant *banger_diagnose_finish(GAsyncResult *result);
