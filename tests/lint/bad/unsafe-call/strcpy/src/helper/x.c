/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(char *to, const char *from)
{
	strcpy(to, from);
	return 0;
}
