/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The jobs that make images and kernels, and their deletion. */
#include "service/base/error.h"
#include "service/base/names.h"
#include "service/manager/manager-private.h"
#include "shared/base/log.h"
#include "shared/rules/names.h"

#define STORE(self) BANGER_IMAGE_STORE_GET_IFACE((self)->ports->images)

typedef struct Work {
	BangerManager *manager;
	BangerJob *job;
	bool make_default;
} Work;

static Work *
work_new(BangerManager *manager, BangerJobKind kind, bool make_default, const char *operation)
{
	Work *work = g_new0(Work, 1);

	work->manager = g_object_ref(manager);
	work->job = banger_manager_begin_job(manager, kind, /* subject= */ NULL, operation);
	work->make_default = make_default;
	return work;
}

static void
work_free(Work *work)
{
	g_object_unref(work->job);
	g_object_unref(work->manager);
	g_free(work);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Work, work_free)

static void
on_progress(const char *stage, double progress, void *data)
{
	banger_job_set_stage(data, stage, progress);
}

static void
set_result(BangerJob *job, const char *kind, const char *id)
{
	g_autofree char *path = banger_path_new(kind, id);

	banger_job_set_result(job, kind, g_variant_new_object_path(path));
}

/* The files are published already: from here on the row decides whether they exist. */
static bool
record_image(Work *work, BangerImageRow *row, GError **error)
{
	BangerManager *self = work->manager;
	g_autoptr(GError) second = NULL;

	if (!banger_store_add_image(self->store, row, error)) {
		if (!STORE(self)->remove_image(self->ports->images, row->id, &second))
			bn_log_error("image=%s: it could not be removed, ignoring: %s", row->id,
				     second->message);
		banger_image_row_free(row);
		return false;
	}
	g_hash_table_insert(self->images, row->id, row);
	banger_manager_emit(self, BANGER_MANAGER_IMAGE_ADDED, row);
	set_result(work->job, "image", row->id);
	if (work->make_default || !*self->default_image)
		return banger_manager_set_default_image(self, row->id,
							banger_job_get_operation(work->job), error);
	return true;
}

static void
on_image_made(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Work) work = data;
	BangerImageStore *store = BANGER_IMAGE_STORE(source);
	GError *error = NULL;
	BangerImageRow *row =
		BANGER_IMAGE_STORE_GET_IFACE(store)->make_image_finish(store, result, &error);

	if (row)
		(void)record_image(work, row, &error);
	else
		banger_error_convert(error);
	banger_job_finish(work->job, error);
}

static bool
check_name(const char *name, GError **error)
{
	if (bn_names_is_object(name))
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
		    "option 'name': must be 1 to 127 of a-z, 0-9, and inside '-' '.' '_' ':'");
	return false;
}

BangerJob *
banger_manager_make_image(BangerManager *self, BangerImageRequest *request, bool make_default,
			  const char *operation, GError **error)
{
	g_autoptr(BangerImageRequest) owned = request;
	BangerJobKind kind =
		request->archive >= 0 ? BANGER_JOB_IMPORT_IMAGE : BANGER_JOB_BUILD_IMAGE;
	BangerJob *job;
	Work *work;

	if (!STORE(self)->check_image(self->ports->images, request, error) ||
	    !check_name(request->name, error) ||
	    !banger_manager_check_free(self->images, banger_manager_name_of_image, "an image",
				       request->name, error))
		return NULL;
	work = work_new(self, kind, make_default, operation);
	job = work->job;
	STORE(self)->make_image(self->ports->images, g_steal_pointer(&owned), on_progress, job,
				banger_job_get_cancellable(job), on_image_made, work);
	return job;
}

static bool
record_kernel(Work *work, BangerKernelRow *row, GError **error)
{
	BangerManager *self = work->manager;
	g_autoptr(GError) second = NULL;

	if (!banger_store_add_kernel(self->store, row, error)) {
		if (!STORE(self)->remove_kernel(self->ports->images, row->id, &second))
			bn_log_error("kernel=%s: it could not be removed, ignoring: %s", row->id,
				     second->message);
		banger_kernel_row_free(row);
		return false;
	}
	g_hash_table_insert(self->kernels, row->id, row);
	banger_manager_emit(self, BANGER_MANAGER_KERNEL_ADDED, row);
	set_result(work->job, "kernel", row->id);
	if (work->make_default || !*self->default_kernel)
		return banger_manager_set_default_kernel(
			self, row->id, banger_job_get_operation(work->job), error);
	return true;
}

static void
on_kernel_made(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Work) work = data;
	BangerImageStore *store = BANGER_IMAGE_STORE(source);
	GError *error = NULL;
	BangerKernelRow *row =
		BANGER_IMAGE_STORE_GET_IFACE(store)->make_kernel_finish(store, result, &error);

	if (row)
		(void)record_kernel(work, row, &error);
	else
		banger_error_convert(error);
	banger_job_finish(work->job, error);
}

BangerJob *
banger_manager_make_kernel(BangerManager *self, BangerKernelRequest *request, bool make_default,
			   const char *operation, GError **error)
{
	g_autoptr(BangerKernelRequest) owned = request;
	BangerJob *job;
	Work *work;

	if (request->name &&
	    (!check_name(request->name, error) ||
	     !banger_manager_check_free(self->kernels, banger_manager_name_of_kernel, "a kernel",
					request->name, error)))
		return NULL;
	if (!STORE(self)->check_kernel(self->ports->images, request, error))
		return NULL;
	work = work_new(self, BANGER_JOB_IMPORT_KERNEL, make_default, operation);
	job = work->job;
	STORE(self)->make_kernel(self->ports->images, g_steal_pointer(&owned), on_progress, job,
				 banger_job_get_cancellable(job), on_kernel_made, work);
	return job;
}

/* The VMs made from it, by name; NULL where there are none. */
static char *
list_users(BangerManager *self, const char *id)
{
	g_autoptr(GString) names = g_string_new(NULL);
	GHashTableIter iter;
	void *vm;

	g_hash_table_iter_init(&iter, self->vms);
	while (g_hash_table_iter_next(&iter, NULL, &vm)) {
		const BangerVmSpec *spec = banger_vm_get_spec(vm);

		if (g_str_equal(spec->image, id) || g_str_equal(spec->kernel, id))
			g_string_append_printf(names, "%s%s", names->len ? ", " : "", spec->name);
	}
	return names->len ? g_string_free(g_steal_pointer(&names), FALSE) : NULL;
}

static bool
check_unused(BangerManager *self, const char *id, GError **error)
{
	g_autofree char *users = list_users(self, id);

	if (users)
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_BUSY, "these VMs use it: %s", users);
	return !users;
}

/* The row is gone; what stays behind is found at the next start. */
static bool
remove_files(BangerManager *self, const char *kind, const char *id, GError **error)
{
	BangerImageStore *images = self->ports->images;
	bool removed = g_str_equal(kind, "image") ? STORE(self)->remove_image(images, id, error)
						  : STORE(self)->remove_kernel(images, id, error);

	return removed && banger_store_forget_remains(self->store, kind, id, error);
}

void
banger_manager_remove_remains(BangerManager *self)
{
	static const char *const kinds[] = { "image", "kernel" };

	STORE(self)->sweep(self->ports->images, self->images, self->kernels);
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) ids = banger_store_list_remains(self->store, kinds[i], &error);
		bool done = ids != NULL;

		for (guint j = 0; done && j < ids->len; j++)
			done = remove_files(self, kinds[i], g_ptr_array_index(ids, j), &error);
		if (!done)
			bn_log_error("what is left of a deleted %s could not be removed: %s",
				     kinds[i], error->message);
	}
}

/* The store has forgotten it already. */
static void
forget_default(BangerManager *self, char **which, const char *id)
{
	if (!g_str_equal(*which, id))
		return;
	g_free(*which);
	*which = g_strdup("");
	banger_manager_emit(self, BANGER_MANAGER_CHANGED, NULL);
}

bool
banger_manager_delete_image(BangerManager *self, const char *id, const char *operation,
			    GError **error)
{
	g_autofree char *own_id = g_strdup(id);
	void *row = g_hash_table_lookup(self->images, id);

	if (!check_unused(self, id, error) || !banger_store_delete_image(self->store, id, error))
		return false;
	bn_log_info("op=%s image=%s stage=delete", operation, id);
	forget_default(self, &self->default_image, id);
	banger_manager_emit(self, BANGER_MANAGER_IMAGE_REMOVED, row);
	(void)g_hash_table_remove(self->images, own_id);
	return remove_files(self, "image", own_id, error);
}

bool
banger_manager_delete_kernel(BangerManager *self, const char *id, const char *operation,
			     GError **error)
{
	g_autofree char *own_id = g_strdup(id);
	void *row = g_hash_table_lookup(self->kernels, id);

	if (!check_unused(self, id, error) || !banger_store_delete_kernel(self->store, id, error))
		return false;
	bn_log_info("op=%s kernel=%s stage=delete", operation, id);
	forget_default(self, &self->default_kernel, id);
	banger_manager_emit(self, BANGER_MANAGER_KERNEL_REMOVED, row);
	(void)g_hash_table_remove(self->kernels, own_id);
	return remove_files(self, "kernel", own_id, error);
}
