/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Obeys one line at a time on its control connection, each answer ending in an empty line; or behaves, where it was
 * started by bangerd. Static, so that it needs nothing of the jail. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"

Channels channels = { -1, -1, -1, NULL };

void
say(const char *what, long r)
{
	fprintf(channels.out, "%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "yes");
}

void
say_of(const char *what, const char *which, long r)
{
	fprintf(channels.out, "%s %s: %s\n", what, which, r < 0 ? strerrorname_np(errno) : "yes");
}

static void
act_ignore(char **argv)
{
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_IGN);
	fprintf(channels.out, "ignores all it can\n");
}

static void
say_farewell(const char *what)
{
	fprintf(channels.out, "%s\n\n", what);
	(void)fflush(channels.out);
}

/* Nobody is let in any more. */
static void
act_close(char **argv)
{
	say_farewell("closes its sockets");
	(void)close(FD_AGENT);
	(void)close(FD_CONTROL);
	(void)close(FD_CONSOLE);
	for (;;)
		(void)poll(NULL, 0, -1);
}

static void
act_stop(char **argv)
{
	say_farewell("stops itself");
	(void)raise(SIGSTOP);
}

static void
act_exit(char **argv)
{
	_exit(atoi(argv[1]));
}

static void
act_nothing(char **argv)
{
	fprintf(channels.out, "is here\n");
}

static const struct {
	const char *name;
	void (*run)(char **argv);
} commands[] = {
	{ "paths", try_paths },
	{ "walk", try_walk },
	{ "mounts", try_mountinfo },
	{ "files", try_files },
	{ "disks", try_disks },
	{ "processes", try_processes },
	{ "want", try_want },
	{ "handles", try_handles },
	{ "rights", try_rights },
	{ "calls", try_calls },
	{ "conditions", try_conditions },
	{ "foreign", try_foreign },
	{ "sockets", try_sockets },
	{ "resources", try_resources },
	{ "locks", try_locks },
	{ "pass", try_pass },
	{ "setuid", try_setuid },
	{ "ignore", act_ignore },
	{ "close", act_close },
	{ "stop", act_stop },
	{ "exit", act_exit },
	{ "nothing", act_nothing },
};

static void
obey(char *line)
{
	char *argv[4] = {};
	size_t n = 0;

	for (char *word = strtok(line, " \n"); word && n < 3; word = strtok(NULL, " \n"))
		argv[n++] = word;
	for (size_t i = 0; n > 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			commands[i].run(argv);
	fprintf(channels.out, "\n");
	(void)fflush(channels.out);
}

/* A VM's name is on the guest kernel's command line: bangerd tells a VMM nothing else that a user chose. */
static void
look_for_manner(char **argv)
{
	static const char key[] = "banger.hostname=";

	for (char **a = argv; *a; a++) {
		char *name = strstr(*a, key);

		if (name)
			behave(name + sizeof(key) - 1);
	}
}

/* Executed once more, in another file. */
static int
say_who(const char *fd)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "euid %s\n\n", geteuid() == 0 ? "root" : "its own");

	return write(atoi(fd), text, (size_t)n) != n;
}

int
main(int argc, char **argv)
{
	char line[256];

	if (argc == 3 && strcmp(argv[1], "who") == 0)
		return say_who(argv[2]);
	look_for_manner(argv);
	channels.console = accept(FD_CONSOLE, NULL, NULL);
	for (;;) {
		FILE *in;

		channels.agent = accept(FD_AGENT, NULL, NULL);
		channels.control = accept(FD_CONTROL, NULL, NULL);
		in = fdopen(channels.control, "r");
		channels.out = fdopen(dup(channels.control), "w");
		if (!in || !channels.out)
			return 97;
		while (fgets(line, sizeof(line), in))
			obey(line);
		(void)fclose(in);
		(void)fclose(channels.out);
		(void)close(channels.agent);
	}
}
