/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(int fd)
{
	if (fd)
		return 0;
	else
		EACH_ENTRY(e, list) {
			switch (fd) {
			default:
				do {
					if (fd)
						fd--;
				} while (fd);
			}
		}
	return 1;
}
