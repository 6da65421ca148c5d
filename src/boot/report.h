/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a child of bangerd reports on the descriptor it was given: see service/adapters/child.h. */
#pragma once

#include "shared/base/macro.h"

void boot_report_open(int fd);
void boot_report_progress(const char *format, ...) _printf_(1, 2);
void boot_report_done(const char *format, ...) _printf_(1, 2);
/* Returns 1, the exit status that goes with it. */
int boot_report_error(const char *keyword, const char *format, ...) _printf_(2, 3);
