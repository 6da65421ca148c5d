/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGINT and SIGTERM, each to whoever is in charge when it comes, or next: none is lost between two. */
#pragma once

typedef void (*InterruptHandler)(int signal_number, void *data);

/* From the first hold to the last release they are caught; else they end the process, as ever. */
void interrupt_hold(void);
void interrupt_release(void);

/* Who is in charge from now on; NULL: nobody yet. What came meanwhile is delivered at once. */
void interrupt_set_handler(InterruptHandler handler, void *data);
