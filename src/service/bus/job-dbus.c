/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/error.h"
#include "service/base/names.h"
#include "service/bus/bus.h"

/* Jobs that have ended and can still be looked at. */
#define ENDED_MAX 32

/* One exported job. */
typedef struct JobExport {
	BangerBus *bus;
	BangerJob *job;
	BangerDBusJob *skeleton; /* which owns this */
	GPtrArray *waiting;      /* GDBusMethodInvocation */
} JobExport;

static void
job_export_free(gpointer data, GClosure *closure)
{
	JobExport *export = data;

	g_signal_handlers_disconnect_by_data(export->job, export);
	g_object_unref(export->job);
	g_ptr_array_unref(export->waiting);
	g_free(export);
}

static void
update(BangerDBusJob *skeleton, BangerJob *job)
{
	banger_dbus_job_set_state(skeleton, banger_job_state_to_string(banger_job_get_state(job)));
	banger_dbus_job_set_stage(skeleton, banger_job_get_stage(job));
	banger_dbus_job_set_progress(skeleton, banger_job_get_progress(job));
	banger_dbus_job_set_cancellable(skeleton, banger_job_is_cancellable(job));
}

static const char *
error_name(const GError *error)
{
	if (!error)
		return "";
	return error->domain == BANGER_ERROR ? banger_error_get_name((BangerError)error->code)
					     : banger_error_get_name(BANGER_ERROR_FAILED);
}

static void
on_changed(BangerJob *job, BangerDBusJob *skeleton)
{
	update(skeleton, job);
}

static void
answer_wait(BangerDBusJob *skeleton, JobExport *export, GDBusMethodInvocation *invocation)
{
	const GError *error = banger_job_get_error(export->job);

	if (error)
		(void)banger_bus_refuse(invocation, g_error_copy(error));
	else
		banger_dbus_job_complete_wait(skeleton, invocation,
					      banger_dbus_job_get_result(skeleton));
}

/* Makes room for the next: the oldest that have ended go. */
static void
keep_ended(BangerBus *bus, const char *path)
{
	g_queue_push_tail(bus->ended_jobs, g_strdup(path));
	while (g_queue_get_length(bus->ended_jobs) > ENDED_MAX) {
		g_autofree char *oldest = g_queue_pop_head(bus->ended_jobs);

		(void)g_dbus_object_manager_server_unexport(bus->objects, oldest);
	}
}

static void
on_finished(BangerJob *job, JobExport *export)
{
	BangerDBusJob *skeleton = export->skeleton;
	const char *path = banger_job_get_path(job);
	const GError *error = banger_job_get_error(job);
	const char *message = error ? error->message : "";
	g_autoptr(GVariant) result = banger_job_get_result(job);
	const char *state = banger_job_state_to_string(banger_job_get_state(job));

	update(skeleton, job);
	banger_dbus_job_set_result(skeleton, result);
	banger_dbus_job_set_error(skeleton, g_variant_new("(ss)", error_name(error), message));
	/* Who is told of the end finds the properties changed already. */
	g_dbus_interface_skeleton_flush(G_DBUS_INTERFACE_SKELETON(skeleton));
	banger_dbus_job_emit_finished(skeleton, state, error_name(error), message);
	banger_dbus_manager_emit_job_removed(export->bus->skeleton, path, state);
	for (guint i = 0; i < export->waiting->len; i++)
		answer_wait(skeleton, export, g_ptr_array_index(export->waiting, i));
	g_ptr_array_set_size(export->waiting, 0);
	keep_ended(export->bus, path);
}

static gboolean
handle_cancel(BangerDBusJob *skeleton, GDBusMethodInvocation *invocation, JobExport *export)
{
	GError *error = NULL;

	if (!banger_job_cancel(export->job, &error))
		return banger_bus_refuse(invocation, error);
	banger_dbus_job_complete_cancel(skeleton, invocation);
	return TRUE;
}

static gboolean
handle_wait(BangerDBusJob *skeleton, GDBusMethodInvocation *invocation, JobExport *export)
{
	if (banger_job_get_state(export->job) == BANGER_JOB_RUNNING)
		g_ptr_array_add(export->waiting, invocation);
	else
		answer_wait(skeleton, export, invocation);
	return TRUE;
}

void
banger_bus_add_job(BangerBus *bus, BangerJob *job)
{
	BangerDBusJob *skeleton = banger_dbus_job_skeleton_new();
	JobExport *export = g_new0(JobExport, 1);
	const char *subject = banger_job_get_subject(job);
	g_autoptr(GVariant) result = banger_job_get_result(job);

	export->bus = bus;
	export->job = g_object_ref(job);
	export->waiting = g_ptr_array_new();
	export->skeleton = skeleton;
	banger_dbus_job_set_kind(skeleton, banger_job_kind_to_string(banger_job_get_kind(job)));
	banger_dbus_job_set_subject(skeleton, subject ? subject : "/");
	banger_dbus_job_set_operation(skeleton, banger_job_get_operation(job));
	banger_dbus_job_set_result(skeleton, result);
	banger_dbus_job_set_error(skeleton, g_variant_new("(ss)", "", ""));
	update(skeleton, job);
	g_signal_connect(skeleton, "handle-cancel", G_CALLBACK(handle_cancel), export);
	g_signal_connect_data(skeleton, "handle-wait", G_CALLBACK(handle_wait), export,
			      job_export_free, 0);
	g_signal_connect_object(job, "changed", G_CALLBACK(on_changed), skeleton, 0);
	g_signal_connect(job, "finished", G_CALLBACK(on_finished), export);
	banger_bus_export(bus, banger_job_get_path(job), G_DBUS_INTERFACE_SKELETON(skeleton));
}
