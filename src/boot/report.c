/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int report_fd = STDERR_FILENO;

void
boot_report_open(int fd)
{
	report_fd = fd;
}

static _printf_(2, 0) void report(const char *first, const char *format, va_list args)
{
	char line[2048];
	int n = snprintf(line, sizeof(line), "%s", first);

	(void)vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	/* A line is a record. */
	for (char *p = line; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	n = (int)strlen(line);
	line[n++] = '\n';
	(void)!write(report_fd, line, (size_t)n);
}

void
boot_report_progress(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report("progress ", format, args);
	va_end(args);
}

void
boot_report_done(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report("done ", format, args);
	va_end(args);
}

int
boot_report_error(const char *keyword, const char *format, ...)
{
	char first[64];
	va_list args;

	(void)snprintf(first, sizeof(first), "error %s ", keyword);
	va_start(args, format);
	report(first, format, args);
	va_end(args);
	return 1;
}
