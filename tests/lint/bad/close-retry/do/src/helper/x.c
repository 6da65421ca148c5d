/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(int fd)
{
	int r;

	do {
		r = close(fd);
	} while (r < 0 && errno == EINTR);
	return 0;
}
