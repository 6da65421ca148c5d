/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a job, and showing how far it is. */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli.h"
#include "service/base/names.h"
#include "shared/base/str-util.h"

#define BAR_WIDTH 30

typedef struct Wait {
	Cli *cli;
	BangerDBusJob *job;
	GMainLoop *loop;
	GVariant *result;
	GError *error;
	char *stage;
	bool drawn;
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
on_result(GObject *source, GAsyncResult *result, gpointer data)
{
	Wait *wait = data;

	(void)banger_dbus_job_call_wait_finish(wait->job, &wait->result, result, &wait->error);
	g_main_loop_quit(wait->loop);
}

static gboolean
on_interrupt(gpointer data)
{
	Wait *wait = data;

	/* The job may be done by now: then it was meant for what comes next. */
	wait->cli->interrupted = true;
	banger_dbus_job_call_cancel(wait->job, /* cancellable= */ NULL, NULL, NULL);
	return G_SOURCE_CONTINUE;
}

GVariant *
cli_wait(Cli *cli, const char *path, GError **error)
{
	Wait wait = { .cli = cli };
	guint subscription, interrupt, terminate;

	wait.job = banger_dbus_job_proxy_new_sync(cli->bus,
						  G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES |
							  G_DBUS_PROXY_FLAGS_DO_NOT_CONNECT_SIGNALS,
						  BANGER_BUS_NAME, path, /* cancellable= */ NULL,
						  error);
	if (!wait.job)
		return NULL;
	g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(wait.job), G_MAXINT);
	wait.loop = g_main_loop_new(NULL, FALSE);
	subscription = g_dbus_connection_signal_subscribe(
		cli->bus, BANGER_BUS_NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged",
		path,
		/* arg0= */ NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_properties, &wait, NULL);
	interrupt = g_unix_signal_add(SIGINT, on_interrupt, &wait);
	terminate = g_unix_signal_add(SIGTERM, on_interrupt, &wait);
	banger_dbus_job_call_wait(wait.job, /* cancellable= */ NULL, on_result, &wait);
	g_main_loop_run(wait.loop);
	(void)g_source_remove(interrupt);
	(void)g_source_remove(terminate);
	g_dbus_connection_signal_unsubscribe(cli->bus, subscription);
	if (wait.drawn)
		(void)fputs("\r\033[K", stderr);
	g_main_loop_unref(wait.loop);
	g_object_unref(wait.job);
	g_free(wait.stage);
	if (wait.error)
		g_propagate_error(error, wait.error);
	return wait.result;
}
