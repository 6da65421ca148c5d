/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/base/log.h"

#include <stdio.h>
#include <unistd.h>

void
bn_log(int priority, const char *format, ...)
{
	char line[1024];
	va_list args;
	int n, used;

	used = snprintf(line, sizeof(line), "<%d>", priority);
	va_start(args, format);
	n = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	used = BN_MIN(used + n, (int)sizeof(line) - 2);
	/* A line is a record: a newline inside would forge a second one. */
	for (int i = 0; i < used; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	line[used++] = '\n';
	/* One write, so that lines of several processes never mix; nobody to tell if it fails. */
	if (write(STDERR_FILENO, line, (size_t)used) < 0)
		return;
}
