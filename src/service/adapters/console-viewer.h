/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody who looks on at a console, at a pace of their own: what they were sent waits here until they read it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct BangerConsoleViewer BangerConsoleViewer;

/* What was typed. */
typedef void (*BangerConsoleTyped)(const char *data, size_t size, void *userdata);
/* The far end is closed; to be answered by banger_console_viewer_free(). */
typedef void (*BangerConsoleGone)(BangerConsoleViewer *viewer, void *userdata);

/* Takes `fd`, a stream socket. Without `typed` it only looks on. */
BangerConsoleViewer *banger_console_viewer_new(int fd, BangerConsoleTyped typed,
					       BangerConsoleGone gone, void *userdata);
/* False where more would wait than it may keep waiting: then it is to be dropped. */
bool banger_console_viewer_send(BangerConsoleViewer *viewer, const char *data, size_t size);
/* Frees it as soon as the far end has read all, or is closed; nothing is called back any more. */
void banger_console_viewer_finish(BangerConsoleViewer *viewer);
void banger_console_viewer_free(BangerConsoleViewer *viewer);
