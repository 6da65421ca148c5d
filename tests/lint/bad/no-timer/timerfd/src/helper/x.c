/* SPDX-License-Identifier: LGPL-2.1-or-later */
int
ledger_add(int fd)
{
	return timerfd_create(CLOCK_MONOTONIC, 0);
}
