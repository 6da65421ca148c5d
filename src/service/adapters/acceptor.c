/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/adapters/acceptor.h"

#include "service/adapters/source.h"

/* Connections taken in one turn, before the other sources of the main loop have theirs. */
#define TURN 8
/* How long nobody new is let in where the kernel has nothing left for us: a listener stays ready all that time. */
#define PAUSE_MS 1000

struct BangerAcceptor {
	GSocket *listener;
	int priority;
	BangerAcceptorFunc func;
	void *data;
	bool open;
	GSource *accepting, *pause;
};

static void watch(BangerAcceptor *acceptor);

static gboolean
on_pause_over(gpointer data)
{
	BangerAcceptor *acceptor = data;

	banger_source_clear(&acceptor->pause);
	watch(acceptor);
	return G_SOURCE_REMOVE;
}

static void
pause_accepting(BangerAcceptor *acceptor)
{
	banger_source_clear(&acceptor->accepting);
	acceptor->pause = g_timeout_source_new(PAUSE_MS);
	g_source_set_callback(acceptor->pause, on_pause_over, acceptor, NULL);
	(void)g_source_attach(acceptor->pause, g_main_context_get_thread_default());
}

static bool
is_of_the_client(const GError *error)
{
	/* accept(2): what went wrong on the network with a connection that is gone by now. */
	return !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES) &&
	       !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_FAILED);
}

static gboolean
on_connection(GSocket *listener, GIOCondition condition, gpointer data)
{
	BangerAcceptor *acceptor = data;

	for (unsigned i = 0; i < TURN && acceptor->open; i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GSocket) connection =
			g_socket_accept(listener, /* cancellable= */ NULL, &error);

		if (connection) {
			acceptor->func(connection, acceptor->data);
		} else if (is_of_the_client(error)) {
			break;
		} else {
			pause_accepting(acceptor);
			return G_SOURCE_REMOVE;
		}
	}
	return acceptor->open ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void
watch(BangerAcceptor *acceptor)
{
	if (!acceptor->open || acceptor->accepting || acceptor->pause)
		return;
	acceptor->accepting =
		g_socket_create_source(acceptor->listener, G_IO_IN, /* cancellable= */ NULL);
	g_source_set_callback(acceptor->accepting, G_SOURCE_FUNC(on_connection), acceptor, NULL);
	g_source_set_priority(acceptor->accepting, acceptor->priority);
	(void)g_source_attach(acceptor->accepting, g_main_context_get_thread_default());
}

BangerAcceptor *
banger_acceptor_new(GSocket *listener, int priority, BangerAcceptorFunc func, void *data)
{
	BangerAcceptor *acceptor = g_new0(BangerAcceptor, 1);

	acceptor->listener = g_object_ref(listener);
	acceptor->priority = priority;
	acceptor->func = func;
	acceptor->data = data;
	banger_acceptor_set_open(acceptor, true);
	return acceptor;
}

void
banger_acceptor_free(BangerAcceptor *acceptor)
{
	if (!acceptor)
		return;
	banger_source_clear(&acceptor->accepting);
	banger_source_clear(&acceptor->pause);
	g_object_unref(acceptor->listener);
	g_free(acceptor);
}

void
banger_acceptor_set_open(BangerAcceptor *acceptor, bool open)
{
	acceptor->open = open;
	if (open)
		watch(acceptor);
	else
		banger_source_clear(&acceptor->accepting);
}
