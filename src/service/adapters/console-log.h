/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BangerConsole: a VM's serial port, written to a bounded log and to everybody who looks on. */
#pragma once

#include "service/ports/console.h"

/* A log holds at most this; then its older half goes. */
#define BANGER_CONSOLE_LOG_MAX (1024 * 1024)

#define BANGER_TYPE_CONSOLE_LOG (banger_console_log_get_type())
G_DECLARE_FINAL_TYPE(BangerConsoleLog, banger_console_log, BANGER, CONSOLE_LOG, GObject)

/* `path`: the log, made where it is missing, emptied if `fresh`. `fd` is taken over; -1: only the log. */
BangerConsole *banger_console_log_new(const char *path, int fd, bool fresh);
