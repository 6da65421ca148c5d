/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(int fd)
{
	g_timeout_add(10, again, NULL);
	return 0;
}
