/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: is everything there that VMs need? Changes nothing. */
#include <stdio.h>

#include "client/cli.h"
#include "client/out.h"

int
cmd_doctor(Cli *cli, int argc, char **argv)
{
	static const OutColumn columns[] = {
		{ "result", OUT_TEXT },
		{ "check", OUT_TEXT },
		{ "finding", OUT_TEXT },
		{ "remedy", OUT_TEXT },
		{},
	};
	g_autoptr(OutTable) table = out_table_new(columns);
	g_autoptr(GVariant) rows = NULL;
	g_autoptr(GError) error = NULL;
	GVariantIter iter;
	const char *result, *check, *finding, *remedy;
	int status = CLI_OK;

	if (!cli_parse(cli, NULL, &argc, &argv, 0, 0))
		return CLI_USAGE;
	if (!cli_connect(cli))
		return CLI_FAILED;
	if (!banger_dbus_manager_call_diagnose_sync(cli->manager, &rows, /* cancellable= */ NULL,
						    &error)) {
		(void)g_dbus_error_strip_remote_error(error);
		out_table_add(table, "FAIL", "bangerd", error->message,
			      "see 'journalctl --user -u bangerd', or start it by hand to see why");
		out_table_print(table, cli->json);
		return CLI_FAILED;
	}
	g_variant_iter_init(&iter, rows);
	while (g_variant_iter_next(&iter, "(&s&s&s&s)", &result, &check, &finding, &remedy)) {
		g_autofree char *upper = g_ascii_strup(result, -1);

		if (g_str_equal(result, "fail"))
			status = CLI_FAILED;
		out_table_add(table, upper, check, finding, remedy);
	}
	out_table_print(table, cli->json);
	return status;
}
