/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(int fd)
{
	char *x = alloca(fd);
	return *x;
}
