/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(int fd)
{
	for (;;)
		for (;;)
			if (fd)
				for (;;)
					if (fd)
						return 1;
}
