/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a job, and showing how far it is. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli.h"
#include "client/interrupt.h"
#include "service/base/error.h"
#include "service/base/names.h"
#include "shared/base/str-util.h"

#define BAR_WIDTH 30

typedef struct Wait {
	Cli *cli;
	BangerDBusJob *job;
	GMainLoop *loop;
	GCancellable *cancellable; /* of the calls under way, */
	unsigned pending;          /* and how many they are */
	GVariant *result;
	GError *error;
	char *stage;
	bool drawn;
	bool interrupted; /* and it goes on */
} Wait;

static void
draw(Wait *wait, const char *stage, double progress)
{
	g_autofree char *safe = bn_str_escape(stage, strlen(stage), 60);
	int done = progress < 0 ? 0 : (int)(progress * BAR_WIDTH);

	if (wait->cli->quiet || !*stage)
		return;
	if (!isatty(STDERR_FILENO)) {
		if (wait->cli->tell_stages && g_strcmp0(wait->stage, stage) != 0)
			(void)fprintf(stderr, "%s\n", safe);
	} else if (progress < 0) {
		(void)fprintf(stderr, "\r\033[K%s", safe);
		wait->drawn = true;
	} else {
		(void)fprintf(stderr, "\r\033[K[%.*s%*s] %3d%% %s", done,
			      "##############################", BAR_WIDTH - done, "",
			      (int)(progress * 100), safe);
		wait->drawn = true;
	}
	g_free(wait->stage);
	wait->stage = g_strdup(stage);
}

static void
on_properties(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
	      const char *signal_name, GVariant *parameters, gpointer data)
{
	Wait *wait = data;
	g_autoptr(GVariant) changed = g_variant_get_child_value(parameters, 1);
	const char *stage = wait->stage ? wait->stage : "";
	double progress = -1;

	(void)g_variant_lookup(changed, "Stage", "&s", &stage);
	(void)g_variant_lookup(changed, "Progress", "d", &progress);
	draw(wait, stage, progress);
}

static void
on_cancel_answered(GObject *source, GAsyncResult *result, gpointer data)
{
	Wait *wait = data;
	g_autoptr(GError) error = NULL;

	wait->pending--;
	if (banger_dbus_job_call_cancel_finish(BANGER_DBUS_JOB(source), result, &error) ||
	    !g_error_matches(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE))
		return;
	(void)fputs(wait->drawn ? "\n" : "", stderr);
	(void)fputs(_("banger: this cannot be taken back; interrupt again to leave it to itself\n"),
		    stderr);
}

static void
on_result(GObject *source, GAsyncResult *result, gpointer data)
{
	Wait *wait = data;
	GError *error = NULL;

	wait->pending--;
	(void)banger_dbus_job_call_wait_finish(wait->job, &wait->result, result, &error);
	if (error && !wait->error)
		wait->error = g_steal_pointer(&error);
	g_clear_error(&error);
	g_main_loop_quit(wait->loop);
}

/* Not every job can be taken back. Whoever wants out gets out. */
static void
on_interrupt(int signal_number, void *data)
{
	Wait *wait = data;
	bool again = wait->interrupted;

	/* The job may be done by now: then it was meant for what comes next. */
	wait->cli->interrupted = true;
	wait->interrupted = true;
	if (again) {
		g_set_error(&wait->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "no longer waited for");
		g_main_loop_quit(wait->loop);
		return;
	}
	wait->pending++;
	banger_dbus_job_call_cancel(wait->job, wait->cancellable, on_cancel_answered, wait);
}

GVariant *
cli_wait(Cli *cli, const char *path, GError **error)
{
	Wait wait = { .cli = cli };
	guint subscription;

	wait.job = banger_dbus_job_proxy_new_sync(cli->bus,
						  G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES |
							  G_DBUS_PROXY_FLAGS_DO_NOT_CONNECT_SIGNALS,
						  BANGER_BUS_NAME, path, /* cancellable= */ NULL,
						  error);
	if (!wait.job)
		return NULL;
	g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(wait.job), G_MAXINT);
	wait.loop = g_main_loop_new(NULL, FALSE);
	wait.cancellable = g_cancellable_new();
	subscription = g_dbus_connection_signal_subscribe(
		cli->bus, BANGER_BUS_NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged",
		path,
		/* arg0= */ NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_properties, &wait, NULL);
	wait.pending++;
	banger_dbus_job_call_wait(wait.job, wait.cancellable, on_result, &wait);
	interrupt_hold();
	interrupt_set_handler(on_interrupt, &wait);
	g_main_loop_run(wait.loop);
	/* No answer may come when nobody is here any more. */
	g_cancellable_cancel(wait.cancellable);
	while (wait.pending > 0)
		(void)g_main_context_iteration(NULL, TRUE);
	g_object_unref(wait.cancellable);
	interrupt_set_handler(NULL, NULL);
	interrupt_release();
	g_dbus_connection_signal_unsubscribe(cli->bus, subscription);
	if (wait.drawn)
		(void)fputs("\r\033[K", stderr);
	g_main_loop_unref(wait.loop);
	g_object_unref(wait.job);
	g_free(wait.stage);
	if (wait.interrupted && g_error_matches(wait.error, BANGER_ERROR, BANGER_ERROR_CANCELLED)) {
		g_clear_error(&wait.error);
		g_set_error(&wait.error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "taken back");
	}
	if (wait.error) {
		g_clear_pointer(&wait.result, g_variant_unref);
		g_propagate_error(error, wait.error);
	}
	return wait.result;
}
