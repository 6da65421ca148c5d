/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One piece of long work: who asked, how far it is, what came of it. Knows no bus. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "shared/base/enum-table.h"
#include "shared/rules/limits.h"

typedef enum BangerJobKind {
	BANGER_JOB_CREATE,
	BANGER_JOB_START,
	BANGER_JOB_STOP,
	BANGER_JOB_RESTART,
	BANGER_JOB_DELETE,
	BANGER_JOB_IMPORT_IMAGE,
	BANGER_JOB_BUILD_IMAGE,
	BANGER_JOB_IMPORT_KERNEL,
	_BANGER_JOB_KIND_MAX,
	_BANGER_JOB_KIND_INVALID = -EINVAL,
} BangerJobKind;

BN_DECLARE_ENUM_TABLE(banger_job_kind, BangerJobKind);

typedef enum BangerJobState {
	BANGER_JOB_RUNNING,
	BANGER_JOB_DONE,
	BANGER_JOB_FAILED,
	BANGER_JOB_CANCELLED,
	_BANGER_JOB_STATE_MAX,
	_BANGER_JOB_STATE_INVALID = -EINVAL,
} BangerJobState;

BN_DECLARE_ENUM_TABLE(banger_job_state, BangerJobState);

#define BANGER_TYPE_JOB (banger_job_get_type())
G_DECLARE_FINAL_TYPE(BangerJob, banger_job, BANGER, JOB, GObject)

/* `subject` and `operation` never change afterwards; an empty or NULL operation gets a fresh id.
 * Signals: "changed" for stage, progress and cancellability; "finished" once. */
BangerJob *banger_job_new(BangerJobKind kind, const char *path, const char *subject,
			  const char *operation);

BangerJobKind banger_job_get_kind(BangerJob *self);
/* Its own, and that of what it is about or NULL. */
const char *banger_job_get_path(BangerJob *self);
const char *banger_job_get_subject(BangerJob *self);
const char *banger_job_get_operation(BangerJob *self);
BangerJobState banger_job_get_state(BangerJob *self);
const char *banger_job_get_stage(BangerJob *self);
double banger_job_get_progress(BangerJob *self);
bool banger_job_is_cancellable(BangerJob *self);
/* NULL unless it failed or was cancelled. */
const GError *banger_job_get_error(BangerJob *self);
/* An a{sv}, empty unless something was set. */
GVariant *banger_job_get_result(BangerJob *self);

/* What the work watches. */
GCancellable *banger_job_get_cancellable(BangerJob *self);

/* `progress` is 0 to 1, or negative where unknown. */
void banger_job_set_stage(BangerJob *self, const char *stage, double progress);
/* From here on Cancel is refused. */
void banger_job_set_uncancellable(BangerJob *self);
/* Takes a floating value; call before finishing. */
void banger_job_set_result(BangerJob *self, const char *key, GVariant *value);

/* Asks the work to end: false with BANGER_ERROR_INVALID_STATE where it cannot. */
bool banger_job_cancel(BangerJob *self, GError **error);

/* Ends the job; `error` is taken, NULL is success. */
void banger_job_finish(BangerJob *self, GError *error);
