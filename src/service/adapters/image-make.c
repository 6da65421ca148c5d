/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An archive, or the output of mmdebstrap, becomes an image: both ends are children joined by a pipe. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib-unix.h>

#include "boot/mmdebstrap.h"
#include "service/adapters/child.h"
#include "service/adapters/image-private.h"
#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

#define IMAGE_FILE "root.ext4"

typedef struct Make {
	BangerImageRequest *request;
	BangerStaging *staging;
	BangerImageProgress progress;
	void *progress_data;
	GCancellable *inner; /* ends both children when either fails */
	GCancellable *outer;
	gulong outer_handler;
	uint64_t input_size; /* 0: not known */
	unsigned pending;
	char *done; /* the writer's report */
	GError *error;
} Make;

static void
make_free(Make *make)
{
	if (make->outer)
		g_cancellable_disconnect(make->outer, make->outer_handler);
	g_clear_object(&make->outer);
	g_clear_object(&make->inner);
	banger_image_request_free(make->request);
	banger_staging_free(make->staging);
	g_clear_error(&make->error);
	g_free(make->done);
	g_free(make);
}

static BootMmdebstrap
builder_spec(const BangerImageRequest *request)
{
	return (BootMmdebstrap){ .suite = request->suite,
				 .packages = (const char *const *)request->packages,
				 .mirror = request->mirror };
}

bool
banger_debian_refuse(const char *option, GError **error)
{
	const char *form = g_str_equal(option, "suite")    ? "a release's name, like bookworm"
			   : g_str_equal(option, "mirror") ? "an http or https URL"
							   : "names of Debian packages";

	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT, "option '%s': must be %s",
		    option, form);
	return false;
}

bool
banger_image_check(BangerImageStore *store, const BangerImageRequest *request, GError **error)
{
	BootMmdebstrap spec = builder_spec(request);
	const char *wrong;

	if (request->archive >= 0)
		return true;
	wrong = boot_mmdebstrap_check(&spec);
	if (wrong)
		return banger_debian_refuse(wrong, error);
	return banger_tool_check("mmdebstrap", "mmdebstrap", error) &&
	       banger_tool_check("newuidmap", "uidmap", error);
}

/* "<digest> <size> <allocated> <entries> <has init> <init or ->" */
static BangerImageRow *
read_done(Make *make, GError **error)
{
	g_auto(GStrv) words = g_strsplit(make->done, " ", 6);
	g_autoptr(BangerImageRow) row = g_new0(BangerImageRow, 1);

	if (g_strv_length(words) != 6 || strlen(words[0]) != 64 ||
	    bn_str_parse_u64(words[1], UINT64_MAX, &row->size) < 0 ||
	    bn_str_parse_u64(words[2], UINT64_MAX, &row->disk_usage) < 0) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED,
			    "the image writer's report is not understood: %s", make->done);
		return NULL;
	}
	row->id = g_strdup(make->staging->id);
	row->name = g_strdup(make->request->name);
	row->digest = g_strconcat("sha256:", words[0], NULL);
	row->init = g_strdup(g_str_equal(words[4], "1") ? words[5] : "");
	row->source = g_strdup(make->request->source);
	row->created_us = g_get_real_time();
	return g_steal_pointer(&row);
}

static void
conclude(GTask *task, Make *make)
{
	g_autoptr(BangerImageRow) row = NULL;

	if (!make->error)
		row = read_done(make, &make->error);
	if (row && banger_staging_publish(make->staging, &make->error))
		g_task_return_pointer(task, g_steal_pointer(&row),
				      (GDestroyNotify)banger_image_row_free);
	else
		g_task_return_error(task, g_steal_pointer(&make->error));
}

/* The first failure counts; the other child's is its consequence. */
static void
on_child(GObject *source, GAsyncResult *result, GTask *task, bool is_writer)
{
	Make *make = g_task_get_task_data(task);
	GError *error = NULL;
	g_autofree char *done = banger_child_run_finish(BANGER_CHILD(source), result, &error);

	if (done && is_writer)
		make->done = g_steal_pointer(&done);
	if (error && !make->error) {
		make->error = g_steal_pointer(&error);
		g_cancellable_cancel(make->inner);
	}
	g_clear_error(&error);
	if (--make->pending == 0)
		conclude(task, make);
}

static void
on_writer(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;

	on_child(source, result, task, /* is_writer= */ true);
}

static void
on_builder(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;

	on_child(source, result, task, /* is_writer= */ false);
}

/* "<bytes read> <entries>" */
static void
on_written(const char *words, void *data)
{
	Make *make = data;
	double done = g_ascii_strtod(words, NULL);

	if (make->input_size > 0)
		make->progress("writing the image", MIN(done / (double)make->input_size, 1),
			       make->progress_data);
}

/* mmdebstrap tells its stages as "I: running apt-get update..." */
static void
on_built(const char *words, void *data)
{
	Make *make = data;

	if (g_str_has_prefix(words, "I: "))
		make->progress(words + 3, -1, make->progress_data);
}

static void
start_writer(GTask *task, Make *make, int input, int output)
{
	g_autoptr(BangerChild) child = banger_child_new(BANGER_LIBEXECDIR "/banger-image-writer");

	banger_child_add_fd(child, "--input", input);
	banger_child_add_fd(child, "--output", output);
	make->pending++;
	banger_child_run_async(child, /* reports= */ true, BANGER_ERROR_IMAGE_INVALID, on_written,
			       make, make->inner, on_writer, g_object_ref(task));
}

static void
start_builder(GTask *task, Make *make, int output)
{
	BootMmdebstrap spec = builder_spec(make->request);
	g_autoptr(BangerChild) child = NULL;
	BootArgv argv = {};

	make->pending++;
	/* Out of memory is all that is left to go wrong, and GLib ends the process there too. */
	g_assert(boot_mmdebstrap_make(&spec, &argv) == 0);
	child = banger_child_new(argv.args[0]);
	for (size_t i = 1; argv.args[i]; i++)
		banger_child_add(child, argv.args[i]);
	boot_argv_clear(&argv);
	/* It works as uids of the user's range, which cannot enter a private directory of the user's; and it needs
	 * room on a disk. */
	banger_child_set_environment(child, "TMPDIR", "/var/tmp");
	banger_child_set_environment(child, "HOME", "/");
	banger_child_set_stdout(child, output);
	banger_child_run_async(child, /* reports= */ false, BANGER_ERROR_FAILED, on_built, make,
			       make->inner, on_builder, g_object_ref(task));
}

static void
on_outer_cancelled(GCancellable *outer, GCancellable *inner)
{
	g_cancellable_cancel(inner);
}

static Make *
make_new(BangerImageDirectory *self, BangerImageRequest *request, BangerImageProgress progress,
	 void *progress_data, GCancellable *cancellable, GError **error)
{
	Make *make = g_new0(Make, 1);
	struct stat st;

	make->request = request;
	make->progress = progress;
	make->progress_data = progress_data;
	make->inner = g_cancellable_new();
	if (cancellable) {
		make->outer = g_object_ref(cancellable);
		make->outer_handler =
			g_cancellable_connect(cancellable, G_CALLBACK(on_outer_cancelled),
					      g_object_ref(make->inner), g_object_unref);
	}
	if (request->archive >= 0 && fstat(request->archive, &st) == 0 && S_ISREG(st.st_mode))
		make->input_size = (uint64_t)st.st_size;
	make->staging = banger_staging_new(self, "image", error);
	return make;
}

void
banger_image_make(BangerImageStore *store, BangerImageRequest *request,
		  BangerImageProgress progress, void *progress_data, GCancellable *cancellable,
		  GAsyncReadyCallback callback, void *data)
{
	BangerImageDirectory *self = BANGER_IMAGE_DIRECTORY(store);
	g_autoptr(GTask) task = g_task_new(store, /* cancellable= */ NULL, callback, data);
	GError *error = NULL;
	Make *make = make_new(self, request, progress, progress_data, cancellable, &error);
	_cleanup_close_ int output = -1, input = -1;
	int pipe_fds[2] = { -1, -1 };

	g_task_set_task_data(task, make, (GDestroyNotify)make_free);
	if (make->staging)
		output = openat(make->staging->fd, IMAGE_FILE,
				O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (output < 0) {
		if (!error)
			(void)banger_error_set_errno(&error, "%s", IMAGE_FILE);
		g_task_return_error(task, error);
		return;
	}
	if (request->archive >= 0) {
		start_writer(task, make, request->archive, output);
		return;
	}
	if (!g_unix_open_pipe(pipe_fds, FD_CLOEXEC, &error)) {
		g_task_return_error(task, error);
		return;
	}
	input = pipe_fds[0];
	start_writer(task, make, input, output);
	start_builder(task, make, pipe_fds[1]);
}

BangerImageRow *
banger_image_make_finish(BangerImageStore *store, GAsyncResult *result, GError **error)
{
	return g_task_propagate_pointer(G_TASK(result), error);
}
