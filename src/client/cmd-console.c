/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm logs and vm console: the guest's serial port. */
#include <gio/gunixfdlist.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/cli.h"
#include "client/terminal.h"
#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"

/* Ctrl-], as telnet has it. */
#define ESCAPE 0x1d

/* On a terminal a guest's bytes are made harmless, line by line; into a file they go as they are. False where they
 * do not. */
static bool
write_log(const char *data, size_t size)
{
	if (!isatty(STDOUT_FILENO))
		return fwrite(data, 1, size, stdout) == size && fflush(stdout) == 0;
	while (size > 0) {
		const char *end = memchr(data, '\n', size);
		size_t n = end ? (size_t)(end - data) : size;
		size_t text = n > 0 && data[n - 1] == '\r' ? n - 1 : n;
		g_autofree char *safe = bn_str_escape(data, text, 8192);

		(void)fputs(safe, stdout);
		if (end)
			(void)putchar('\n');
		data += n + (end ? 1 : 0);
		size -= n + (end ? 1 : 0);
	}
	return fflush(stdout) == 0;
}

int
cmd_vm_logs(Cli *cli, int argc, char **argv)
{
	gboolean follow = FALSE;
	const GOptionEntry entries[] = {
		{ "follow", 'f', 0, G_OPTION_ARG_NONE, &follow,
		  N_("go on showing what comes, until the VM stops"), NULL },
		{ NULL },
	};
	g_autoptr(BangerDBusVM) vm = NULL;
	g_autoptr(GUnixFDList) fds = NULL;
	g_autoptr(GVariant) handle = NULL;
	_cleanup_close_ int log = -1;
	GError *error = NULL;
	GVariantDict options;
	char buffer[65536];
	ssize_t n;

	if (!cli_parse(cli, entries, &argc, &argv, 1, 1))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	vm = cli_find_vm(cli, argv[1], &error);
	if (!vm)
		return cli_fail(error);
	g_variant_dict_init(&options, NULL);
	g_variant_dict_insert(&options, "follow", "b", follow);
	if (!banger_dbus_vm_call_open_log_sync(vm, g_variant_dict_end(&options), /* fds= */ NULL,
					       &handle, &fds, /* cancellable= */ NULL, &error))
		return cli_fail(error);
	log = g_unix_fd_list_get(fds, g_variant_get_handle(handle), &error);
	if (log < 0)
		return cli_fail(error);
	while ((n = read(log, buffer, sizeof(buffer))) > 0)
		if (!write_log(buffer, (size_t)n))
			return CLI_OK; /* main() says why */
	if (n == 0)
		return CLI_OK;
	(void)fprintf(stderr, _("banger: reading the log: %s\n"), g_strerror(errno));
	return CLI_FAILED;
}

/* Of what is typed, up to the escape. False where it is over. */
static bool
send_typed(int console)
{
	char buffer[4096];
	ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));
	const char *escape = n > 0 ? memchr(buffer, ESCAPE, (size_t)n) : NULL;
	size_t size = escape ? (size_t)(escape - buffer) : (size_t)BN_MAX(n, 0);

	if (size > 0 && send(console, buffer, size, MSG_NOSIGNAL) < 0)
		return false;
	return n > 0 && !escape;
}

/* Carries bytes both ways until either side ends or the escape is typed. Returns 0, or why our own output failed. */
static int
carry(int console)
{
	struct pollfd polls[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
				   { .fd = console, .events = POLLIN } };
	char buffer[4096];

	while (poll(polls, 2, -1) >= 0) {
		if (polls[1].revents) {
			ssize_t n = read(console, buffer, sizeof(buffer));
			int r = n > 0 ? bn_io_write_all(STDOUT_FILENO, buffer, (size_t)n) : 0;

			if (n <= 0 || r < 0)
				return r;
		}
		if (polls[0].revents && !send_typed(console))
			break;
	}
	return 0;
}

int
cmd_vm_console(Cli *cli, int argc, char **argv)
{
	g_autoptr(BangerDBusVM) vm = NULL;
	g_autoptr(GUnixFDList) fds = NULL;
	g_autoptr(GVariant) handle = NULL;
	_cleanup_close_ int console = -1;
	GError *error = NULL;
	bool raw;
	int r;

	if (!cli_parse(cli, NULL, &argc, &argv, 1, 1))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	vm = cli_find_vm(cli, argv[1], &error);
	if (!vm || !banger_dbus_vm_call_open_console_sync(vm, g_variant_new("a{sv}", NULL),
							  /* fds= */ NULL, &handle, &fds,
							  /* cancellable= */ NULL, &error))
		return cli_fail(error);
	console = g_unix_fd_list_get(fds, g_variant_get_handle(handle), &error);
	if (console < 0)
		return cli_fail(error);
	raw = terminal_make_raw();
	if (raw)
		(void)fprintf(stderr, "%s\r\n", _("Ctrl-] leaves the console."));
	r = carry(console);
	terminal_restore();
	/* Wherever the guest has left the cursor. */
	if (raw)
		(void)fputc('\n', stderr);
	if (r < 0)
		cli_tell_write_error(-r);
	return r < 0 ? CLI_FAILED : CLI_OK;
}
