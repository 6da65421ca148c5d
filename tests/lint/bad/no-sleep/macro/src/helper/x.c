/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define WAIT() nanosleep(&moment, NULL)
