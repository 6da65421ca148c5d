/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program of ours or of the system, run with descriptors and a clean environment, that reports on a pipe.
 *
 * What parses bytes from outside, and what takes long, is such a child: a crash costs its job only. Its
 * report is lines of "progress …", and at the end "done …" or "error KEYWORD text". What it writes costs bounded
 * memory: of standard error a longer line is cut, and says so; in the report it ends the child, and is its failure. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>

#include "service/base/error.h"

#define BANGER_TYPE_CHILD (banger_child_get_type())
G_DECLARE_FINAL_TYPE(BangerChild, banger_child, BANGER, CHILD, GObject)

BangerChild *banger_child_new(const char *program);
/* Arguments, in order. banger_child_add_fd() appends `option` and the number that `fd` (borrowed until the
 * start) will have in the child. */
void banger_child_add(BangerChild *self, const char *argument);
void banger_child_add_fd(BangerChild *self, const char *option, int fd);
/* The child's standard output goes to `fd` (taken over). */
void banger_child_set_stdout(BangerChild *self, int fd);
void banger_child_set_environment(BangerChild *self, const char *name, const char *value);

typedef void (*BangerChildProgress)(const char *words, void *data);

/* Runs it to its end, in a process group of its own, which cancelling ends: with SIGKILL where it `reports`, else
 * with SIGTERM. What outlives it is not waited for. With `reports` it gets a "--status FD" argument and
 * what it says there decides; without, its exit status does, the lines of its standard error are its
 * progress and the last of them the message. A failure has code `failure`, unless the keyword of the report
 * says better. */
void banger_child_run_async(BangerChild *self, bool reports, BangerError failure,
			    BangerChildProgress progress, void *progress_data,
			    GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
/* The words behind "done", "" without a report; the caller's to free. */
char *banger_child_run_finish(BangerChild *self, GAsyncResult *result, GError **error);
