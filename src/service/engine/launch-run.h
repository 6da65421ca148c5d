/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a plan: one step after the other; where one fails, what was done is undone in reverse order. */
#pragma once

#include <gio/gio.h>

#include "service/engine/launch-plan.h"

/* What carries the steps out. Each function completes `task` (a boolean), now or later; `data` is the runner's
 * caller's. An undo cannot fail: it reports by itself what it could not give back. */
typedef struct BangerStepOps {
	void (*run)(BangerStep step, GTask *task, void *data);
	void (*undo)(BangerStep step, GTask *task, void *data);
	/* Tells that a step begins; may be NULL. */
	void (*progress)(BangerStep step, size_t index, size_t n, void *data);
} BangerStepOps;

/* `ops` and `data` must stay until the callback. Cancelling ends the running step and undoes. */
void banger_launch_run_async(const BangerPlan *plan, const BangerStepOps *ops, void *data,
			     GCancellable *cancellable, GAsyncReadyCallback callback,
			     void *user_data);
bool banger_launch_run_finish(GAsyncResult *result, GError **error);
