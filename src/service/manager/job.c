/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/job.h"

#include "service/base/error.h"
#include "service/base/random-id.h"

static const char *const kind_table[_BANGER_JOB_KIND_MAX] = {
	[BANGER_JOB_CREATE] = "create",
	[BANGER_JOB_START] = "start",
	[BANGER_JOB_STOP] = "stop",
	[BANGER_JOB_RESTART] = "restart",
	[BANGER_JOB_DELETE] = "delete",
	[BANGER_JOB_IMPORT_IMAGE] = "import-image",
	[BANGER_JOB_BUILD_IMAGE] = "build-image",
	[BANGER_JOB_IMPORT_KERNEL] = "import-kernel",
};

BN_DEFINE_ENUM_TABLE(banger_job_kind, BangerJobKind, kind_table);

static const char *const state_table[_BANGER_JOB_STATE_MAX] = {
	[BANGER_JOB_RUNNING] = "running",
	[BANGER_JOB_DONE] = "done",
	[BANGER_JOB_FAILED] = "failed",
	[BANGER_JOB_CANCELLED] = "cancelled",
};

BN_DEFINE_ENUM_TABLE(banger_job_state, BangerJobState, state_table);

struct _BangerJob {
	GObject parent;

	BangerJobKind kind;
	char *path;
	char *subject;
	char operation[BN_ID_LENGTH + 1];
	GCancellable *cancellable;
	BangerJobState state;
	char *stage;
	double progress;
	bool uncancellable;
	GError *error;
	GVariantDict result;
};

G_DEFINE_FINAL_TYPE(BangerJob, banger_job, G_TYPE_OBJECT)

enum { SIGNAL_CHANGED, SIGNAL_FINISHED, N_SIGNALS };
static guint signals[N_SIGNALS];

static void
banger_job_finalize(GObject *object)
{
	BangerJob *self = BANGER_JOB(object);

	g_free(self->path);
	g_free(self->subject);
	g_free(self->stage);
	g_clear_object(&self->cancellable);
	g_clear_error(&self->error);
	g_variant_dict_clear(&self->result);
	G_OBJECT_CLASS(banger_job_parent_class)->finalize(object);
}

static void
banger_job_class_init(BangerJobClass *klass)
{
	GType type = G_TYPE_FROM_CLASS(klass);

	G_OBJECT_CLASS(klass)->finalize = banger_job_finalize;
	signals[SIGNAL_CHANGED] = g_signal_new("changed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
					       NULL, G_TYPE_NONE, 0);
	signals[SIGNAL_FINISHED] = g_signal_new("finished", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
						NULL, G_TYPE_NONE, 0);
}

static void
banger_job_init(BangerJob *self)
{
	self->cancellable = g_cancellable_new();
	self->stage = g_strdup("");
	self->progress = -1;
	g_variant_dict_init(&self->result, /* from_asv= */ NULL);
}

BangerJob *
banger_job_new(BangerJobKind kind, const char *path, const char *subject, const char *operation)
{
	BangerJob *self = g_object_new(BANGER_TYPE_JOB, NULL);

	self->kind = kind;
	self->path = g_strdup(path);
	self->subject = g_strdup(subject);
	if (operation && *operation)
		g_strlcpy(self->operation, operation, sizeof(self->operation));
	else
		banger_random_id(self->operation);
	return self;
}

BangerJobKind
banger_job_get_kind(BangerJob *self)
{
	return self->kind;
}

const char *
banger_job_get_path(BangerJob *self)
{
	return self->path;
}

const char *
banger_job_get_subject(BangerJob *self)
{
	return self->subject;
}

const char *
banger_job_get_operation(BangerJob *self)
{
	return self->operation;
}

BangerJobState
banger_job_get_state(BangerJob *self)
{
	return self->state;
}

const char *
banger_job_get_stage(BangerJob *self)
{
	return self->stage;
}

double
banger_job_get_progress(BangerJob *self)
{
	return self->progress;
}

bool
banger_job_is_cancellable(BangerJob *self)
{
	return self->state == BANGER_JOB_RUNNING && !self->uncancellable;
}

const GError *
banger_job_get_error(BangerJob *self)
{
	return self->error;
}

GVariant *
banger_job_get_result(BangerJob *self)
{
	GVariant *result = g_variant_ref_sink(g_variant_dict_end(&self->result));

	/* Ending a dictionary empties it: begin again with what it held. */
	g_variant_dict_init(&self->result, result);
	return result;
}

GCancellable *
banger_job_get_cancellable(BangerJob *self)
{
	return self->cancellable;
}

void
banger_job_set_stage(BangerJob *self, const char *stage, double progress)
{
	if (self->state != BANGER_JOB_RUNNING)
		return;
	if (g_strcmp0(self->stage, stage) != 0) {
		g_free(self->stage);
		self->stage = g_strdup(stage);
	}
	self->progress = progress;
	g_signal_emit(self, signals[SIGNAL_CHANGED], 0);
}

void
banger_job_set_uncancellable(BangerJob *self)
{
	self->uncancellable = true;
	g_signal_emit(self, signals[SIGNAL_CHANGED], 0);
}

void
banger_job_set_result(BangerJob *self, const char *key, GVariant *value)
{
	g_variant_dict_insert_value(&self->result, key, value);
}

bool
banger_job_cancel(BangerJob *self, GError **error)
{
	if (self->state != BANGER_JOB_RUNNING)
		return true;
	if (self->uncancellable) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
			    "this job cannot be cancelled any more (it is at: %s)", self->stage);
		return false;
	}
	g_cancellable_cancel(self->cancellable);
	return true;
}

void
banger_job_finish(BangerJob *self, GError *error)
{
	g_return_if_fail(self->state == BANGER_JOB_RUNNING);
	self->error = error;
	if (!error)
		self->state = BANGER_JOB_DONE;
	else if (banger_error_is_cancelled(error))
		self->state = BANGER_JOB_CANCELLED;
	else
		self->state = BANGER_JOB_FAILED;
	if (!error)
		self->progress = 1;
	g_signal_emit(self, signals[SIGNAL_CHANGED], 0);
	g_signal_emit(self, signals[SIGNAL_FINISHED], 0);
}
