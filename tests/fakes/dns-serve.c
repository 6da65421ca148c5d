/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers for names on an address, port 53, as bangerd does, where 127.0.0.0/9 is the VMs': dns-serve ZONE ADDRESS.
 * Told what to do on standard input, a line each: "set NAME ADDRESS", "remove NAME", "stop", "start"; says "ok" or "no"
 * when it is done, and ends with its input. */
#include <arpa/inet.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/adapters/dns-server.h"
#include "shared/base/fd-util.h"
#include "shared/rules/ipv4.h"

#define PORT 53

static GMainLoop *loop;
static const char *address;

static int
open_one(int type)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_port = htons(PORT),
				   .sin_addr.s_addr = inet_addr(address) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	g_assert(fd >= 0);
	/* Two at a time, when it starts without having stopped. */
	g_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	g_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0);
	g_assert(bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0);
	g_assert(type != SOCK_STREAM || listen(fd, 64) == 0);
	return fd;
}

static bool
start(BangerNames *names)
{
	const BnPrefix subnet = { .address = 0x7f000000, .length = 9 };
	g_autoptr(GError) error = NULL;

	return BANGER_NAMES_GET_IFACE(names)->start(names, open_one(SOCK_DGRAM),
						    open_one(SOCK_STREAM), &subnet, &error);
}

static bool
obey(BangerNames *names, char **words)
{
	BangerNamesInterface *iface = BANGER_NAMES_GET_IFACE(names);
	guint n = g_strv_length(words);
	uint32_t value;

	if (n == 3 && strcmp(words[0], "set") == 0)
		return bn_ipv4_parse(words[2], &value) == 0 && iface->set(names, words[1], value);
	if (n == 1 && strcmp(words[0], "start") == 0)
		return start(names);
	if (n == 2 && strcmp(words[0], "remove") == 0)
		iface->remove(names, words[1]);
	else if (n == 1 && strcmp(words[0], "stop") == 0)
		iface->stop(names);
	else
		return false;
	return true;
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
	puts(obey(data, words) ? "ok" : "no");
	(void)fflush(stdout);
	return G_SOURCE_CONTINUE;
}

int
main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	BangerNames *names;

	g_assert(argc == 3);
	address = argv[2];
	bn_fd_raise_limit();
	names = banger_dns_server_new(argv[1], &error);
	g_assert_no_error(error);
	loop = g_main_loop_new(NULL, FALSE);
	(void)g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_line, names);
	g_assert(start(names));
	puts("ok");
	(void)fflush(stdout);
	g_main_loop_run(loop);
	g_object_unref(names);
	/* What was under way ends in here. */
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_main_loop_unref(loop);
	return 0;
}
