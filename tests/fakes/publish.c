/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Passes on ports as bangerd does. Told what to do on standard input, a line each: "publish VM PORT GUEST" (PORT as
 * people write it, GUEST an address), "withdraw VM PORT"; says "ok", or why not, when it is done, and ends with its
 * input. */
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/adapters/publisher-socket.h"
#include "shared/rules/ipv4.h"

static GMainLoop *loop;

static void
obey(BangerPublisher *publisher, char **words)
{
	BangerPublisherInterface *iface = BANGER_PUBLISHER_GET_IFACE(publisher);
	g_autoptr(GError) error = NULL;
	const char *why;
	uint32_t guest;
	BnPort port;

	g_assert(bn_port_parse(words[2], &port, &why) == 0);
	if (strcmp(words[0], "publish") == 0) {
		g_assert(bn_ipv4_parse(words[3], &guest) == 0);
		(void)iface->publish(publisher, words[1], &port, guest, &error);
	} else {
		iface->withdraw(publisher, words[1], &port);
	}
	puts(error ? error->message : "ok");
	(void)fflush(stdout);
}

/* The test waits for each answer, so that there is one line at a time. */
static gboolean
on_line(int fd, GIOCondition condition, gpointer data)
{
	char line[256];
	ssize_t n = read(fd, line, sizeof(line) - 1);
	g_auto(GStrv) words = NULL;

	if (n <= 0) {
		g_main_loop_quit(loop);
		return G_SOURCE_REMOVE;
	}
	line[n] = '\0';
	words = g_strsplit(g_strchomp(line), " ", -1);
	obey(data, words);
	return G_SOURCE_CONTINUE;
}

int
main(void)
{
	BangerPublisher *publisher = banger_publisher_socket_new();

	loop = g_main_loop_new(NULL, FALSE);
	(void)g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_line, publisher);
	g_main_loop_run(loop);
	g_object_unref(publisher);
	/* What was under way ends in here. */
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_main_loop_unref(loop);
	return 0;
}
