/* SPDX-License-Identifier: LGPL-2.1-or-later */
static const char *const args[] = { "/bin/sh", "-c", 0 };
