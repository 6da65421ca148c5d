/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(int fd)
{
	for (;;) {
		for (;;) {
			for (;;) {
				if (fd) {
					while (fd)
						fd--;
				}
			}
		}
	}
	return 0;
}
