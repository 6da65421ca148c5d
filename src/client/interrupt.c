/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/interrupt.h"

#include <glib-unix.h>
#include <signal.h>

static const int caught[] = { SIGINT, SIGTERM };

static unsigned held;
static guint sources[G_N_ELEMENTS(caught)];
static int waiting; /* a signal that nobody has taken, or 0 */
static InterruptHandler handle;
static void *handle_data;

static gboolean
on_signal(gpointer data)
{
	int signal_number = GPOINTER_TO_INT(data);

	if (handle)
		handle(signal_number, handle_data);
	else
		waiting = signal_number;
	return G_SOURCE_CONTINUE;
}

void
interrupt_hold(void)
{
	if (held++ > 0)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(caught); i++)
		sources[i] = g_unix_signal_add(caught[i], on_signal, GINT_TO_POINTER(caught[i]));
}

void
interrupt_release(void)
{
	if (--held > 0)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(caught); i++)
		(void)g_source_remove(sources[i]);
	/* It was meant for what has just ended. */
	waiting = 0;
}

void
interrupt_set_handler(InterruptHandler handler, void *data)
{
	int signal_number = waiting;

	handle = handler;
	handle_data = data;
	if (!handler || !signal_number)
		return;
	waiting = 0;
	handler(signal_number, data);
}
