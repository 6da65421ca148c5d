/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line per event on stderr, with the priority prefix that the journal understands (sd-daemon(3)).
 *
 * Only the outermost layer logs; a function either logs or returns an error, never both. */
#pragma once

#include <stdarg.h>

#include "shared/base/macro.h"

enum { BN_LOG_ERROR = 3, BN_LOG_WARNING = 4, BN_LOG_NOTICE = 5, BN_LOG_INFO = 6 };

void bn_log(int priority, const char *format, ...) _printf_(2, 3);

#define bn_log_error(...)   bn_log(BN_LOG_ERROR, __VA_ARGS__)
#define bn_log_warning(...) bn_log(BN_LOG_WARNING, __VA_ARGS__)
#define bn_log_notice(...)  bn_log(BN_LOG_NOTICE, __VA_ARGS__)
#define bn_log_info(...)    bn_log(BN_LOG_INFO, __VA_ARGS__)
