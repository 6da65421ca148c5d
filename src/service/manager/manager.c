/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/manager.h"

#include "service/base/error.h"
#include "service/base/names.h"
#include "service/base/random-id.h"
#include "service/manager/manager-private.h"
#include "shared/base/log.h"
#include "shared/rules/names.h"

G_DEFINE_FINAL_TYPE(BangerManager, banger_manager, G_TYPE_OBJECT)

static guint signals[_BANGER_MANAGER_SIGNAL_MAX];

static void
banger_manager_finalize(GObject *object)
{
	BangerManager *self = BANGER_MANAGER(object);

	g_hash_table_unref(self->vms);
	g_hash_table_unref(self->changing);
	g_ptr_array_unref(self->incomplete);
	g_hash_table_unref(self->images);
	g_hash_table_unref(self->kernels);
	g_clear_object(&self->store);
	g_clear_object(&self->kvm);
	banger_manager_drop_network(self);
	g_free(self->default_image);
	g_free(self->default_kernel);
	G_OBJECT_CLASS(banger_manager_parent_class)->finalize(object);
}

static void
banger_manager_class_init(BangerManagerClass *klass)
{
	static const char *const names[_BANGER_MANAGER_SIGNAL_MAX] = {
		[BANGER_MANAGER_VM_ADDED] = "vm-added",
		[BANGER_MANAGER_VM_REMOVED] = "vm-removed",
		[BANGER_MANAGER_IMAGE_ADDED] = "image-added",
		[BANGER_MANAGER_IMAGE_REMOVED] = "image-removed",
		[BANGER_MANAGER_KERNEL_ADDED] = "kernel-added",
		[BANGER_MANAGER_KERNEL_REMOVED] = "kernel-removed",
		[BANGER_MANAGER_JOB_ADDED] = "job-added",
		[BANGER_MANAGER_CHANGED] = "changed",
	};

	G_OBJECT_CLASS(klass)->finalize = banger_manager_finalize;
	for (int i = 0; i < _BANGER_MANAGER_SIGNAL_MAX; i++)
		signals[i] = g_signal_new(names[i], G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0,
					  NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_POINTER);
}

static void
banger_manager_init(BangerManager *self)
{
	self->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_object_unref);
	self->changing = g_hash_table_new(NULL, NULL);
	self->incomplete = g_ptr_array_new_with_free_func(g_object_unref);
	self->images = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
					     (GDestroyNotify)banger_image_row_free);
	self->kernels = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
					      (GDestroyNotify)banger_kernel_row_free);
}

void
banger_manager_emit(BangerManager *self, BangerManagerSignal which, void *object)
{
	g_signal_emit(self, signals[which], 0, object);
}

/* What happens to a VM is in the store before anybody else hears of it. */
static void
on_vm_changed(BangerVm *vm, BangerManager *self)
{
	g_autoptr(GError) error = NULL;

	if (!banger_store_update_vm(self->store, banger_vm_get_spec(vm)->id,
				    banger_vm_get_state(vm), banger_vm_get_last_error(vm),
				    banger_vm_get_started_us(vm), &error))
		bn_log_error("vm=%s: its state could not be recorded, ignoring: %s",
			     banger_vm_get_spec(vm)->id, error->message);
	banger_manager_update_session(self);
	banger_manager_update_network(self, vm);
}

static void
on_vm_ended(BangerVm *vm, BangerManager *self)
{
	if (banger_vm_get_spec(vm)->ephemeral)
		banger_manager_discard_vm(self, vm);
}

void
banger_manager_adopt_vm(BangerManager *self, BangerVm *vm)
{
	g_hash_table_insert(self->vms, banger_vm_get_spec(vm)->id, g_object_ref(vm));
	g_signal_connect_object(vm, "changed", G_CALLBACK(on_vm_changed), self, 0);
	g_signal_connect_object(vm, "ended", G_CALLBACK(on_vm_ended), self, 0);
	banger_manager_emit(self, BANGER_MANAGER_VM_ADDED, vm);
}

bool
banger_manager_forget_vm(BangerManager *self, BangerVm *vm, GError **error)
{
	/* The table's may be the last reference, and who hears of the removal still looks at it. */
	g_autoptr(BangerVm) keep = g_object_ref(vm);
	BangerStorage *storage = self->ports->storage;
	const char *id = banger_vm_get_spec(vm)->id;

	(void)keep;
	if (!g_hash_table_contains(self->vms, id))
		return true;
	/* The row goes last: a crash in between leaves one that recovery finishes. */
	if (!BANGER_STORAGE_GET_IFACE(storage)->destroy(storage, id, error) ||
	    !banger_store_delete_vm(self->store, id, error))
		return false;
	g_signal_handlers_disconnect_by_data(vm, self);
	(void)g_hash_table_remove(self->vms, id);
	banger_manager_emit(self, BANGER_MANAGER_VM_REMOVED, vm);
	return true;
}

static bool
load(BangerManager *self, GError **error)
{
	g_autoptr(GPtrArray) images = banger_store_list_images(self->store, error);
	g_autoptr(GPtrArray) kernels =
		images ? banger_store_list_kernels(self->store, error) : NULL;
	g_autoptr(GPtrArray) vms = kernels ? banger_store_list_vms(self->store, error) : NULL;

	if (!vms)
		return false;
	while (images->len > 0) {
		BangerImageRow *row = g_ptr_array_steal_index_fast(images, images->len - 1);

		g_hash_table_insert(self->images, row->id, row);
	}
	while (kernels->len > 0) {
		BangerKernelRow *row = g_ptr_array_steal_index_fast(kernels, kernels->len - 1);

		g_hash_table_insert(self->kernels, row->id, row);
	}
	for (guint i = 0; i < vms->len; i++) {
		BangerVmRow *row = g_ptr_array_index(vms, i);
		g_autoptr(BangerVm) vm =
			banger_vm_new(row->spec, self->ports, self->kvm, self->network);

		banger_vm_restore(vm, row->ready ? row->state : BANGER_VM_CREATED, row->last_error,
				  row->started_us);
		if (!row->ready)
			g_ptr_array_add(self->incomplete, g_object_ref(vm));
		banger_manager_adopt_vm(self, vm);
	}
	return true;
}

/* It becomes a path on the bus. */
static bool
load_default(BangerManager *self, const char *key, char **ret, GError **error)
{
	*ret = banger_store_get_setting(self->store, key);
	if (!**ret || bn_names_is_id(*ret))
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED,
		    "the state is damaged: setting %s is no id", key);
	return false;
}

BangerManager *
banger_manager_new(BangerStore *store, const BangerPorts *ports, BangerKvmVerdict *kvm,
		   GError **error)
{
	g_autoptr(BangerManager) self = g_object_new(BANGER_TYPE_MANAGER, NULL);

	self->store = g_object_ref(store);
	self->ports = ports;
	self->kvm = g_object_ref(kvm);
	self->network = banger_network_new(ports->privileged);
	if (!load(self, error) ||
	    !load_default(self, "default-image", &self->default_image, error) ||
	    !load_default(self, "default-kernel", &self->default_kernel, error))
		return NULL;
	banger_manager_watch_session(self);
	banger_manager_watch_network(self);
	return g_steal_pointer(&self);
}

BangerKvmVerdict *
banger_manager_get_kvm(BangerManager *self)
{
	return self->kvm;
}

const BangerPorts *
banger_manager_get_ports(BangerManager *self)
{
	return self->ports;
}

GList *
banger_manager_list_vms(BangerManager *self)
{
	return g_hash_table_get_values(self->vms);
}

GList *
banger_manager_list_images(BangerManager *self)
{
	return g_hash_table_get_values(self->images);
}

GList *
banger_manager_list_kernels(BangerManager *self)
{
	return g_hash_table_get_values(self->kernels);
}

const char *
banger_manager_name_of_vm(void *object)
{
	return banger_vm_get_spec(object)->name;
}

const char *
banger_manager_name_of_image(void *object)
{
	return ((BangerImageRow *)object)->name;
}

const char *
banger_manager_name_of_kernel(void *object)
{
	return ((BangerKernelRow *)object)->name;
}

bool
banger_manager_check_free(GHashTable *table, const char *(*name_of)(void *), const char *what,
			  const char *name, GError **error)
{
	GHashTableIter iter;
	void *object;

	g_hash_table_iter_init(&iter, table);
	while (g_hash_table_iter_next(&iter, NULL, &object)) {
		if (!g_str_equal(name_of(object), name))
			continue;
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_ALREADY_EXISTS,
			    "%s named %s already exists", what, name);
		return false;
	}
	return true;
}

/* A whole id is nobody else's, whatever the names are: who keeps ids means those. A name wins over the beginning of an
 * id. */
static void *
find(GHashTable *table, const char *(*name_of)(void *), const char *what, const char *reference,
     GError **error)
{
	g_autoptr(GString) candidates = g_string_new(NULL);
	g_autofree char *command = NULL;
	GHashTableIter iter;
	void *id, *object, *found = g_hash_table_lookup(table, reference);
	int n = 0;

	if (found)
		return found;
	g_hash_table_iter_init(&iter, table);
	while (g_hash_table_iter_next(&iter, &id, &object))
		if (g_str_equal(name_of(object), reference))
			return object;
	g_hash_table_iter_init(&iter, table);
	while (bn_names_is_id_prefix(reference) && g_hash_table_iter_next(&iter, &id, &object)) {
		if (!g_str_has_prefix(id, reference))
			continue;
		found = object;
		g_string_append_printf(candidates, "%s%s (%s)", n++ ? ", " : "", (char *)id,
				       name_of(object));
	}
	if (n == 1)
		return found;
	command = g_ascii_strdown(what, -1);
	if (n > 1)
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_AMBIGUOUS,
			    "'%s' may mean any of these %ss: %s", reference, what, candidates->str);
	else
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND,
			    "there is no %s '%s': see 'banger %s list'", what, reference, command);
	return NULL;
}

BangerVm *
banger_manager_find_vm(BangerManager *self, const char *reference, GError **error)
{
	return find(self->vms, banger_manager_name_of_vm, "VM", reference, error);
}

const BangerImageRow *
banger_manager_find_image(BangerManager *self, const char *reference, GError **error)
{
	BangerImageRow *row;

	if (*reference)
		return find(self->images, banger_manager_name_of_image, "image", reference, error);
	row = g_hash_table_lookup(self->images, self->default_image);
	if (!row)
		g_set_error(
			error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND,
			"there is no default image: make one with 'banger image build --default'");
	return row;
}

const BangerKernelRow *
banger_manager_find_kernel(BangerManager *self, const char *reference, GError **error)
{
	BangerKernelRow *row;

	if (*reference)
		return find(self->kernels, banger_manager_name_of_kernel, "kernel", reference,
			    error);
	row = g_hash_table_lookup(self->kernels, self->default_kernel);
	if (!row)
		g_set_error(
			error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND,
			"there is no default kernel: get one with 'banger kernel import --fetch --default'");
	return row;
}

const char *
banger_manager_get_default_image(BangerManager *self)
{
	return self->default_image;
}

const char *
banger_manager_get_default_kernel(BangerManager *self)
{
	return self->default_kernel;
}

static bool
set_default(BangerManager *self, const char *key, char **where, const char *id,
	    const char *operation, GError **error)
{
	if (!banger_store_set_setting(self->store, key, id, error))
		return false;
	bn_log_info("op=%s %s=%s", operation, key, id);
	g_free(*where);
	*where = g_strdup(id);
	banger_manager_emit(self, BANGER_MANAGER_CHANGED, NULL);
	return true;
}

bool
banger_manager_set_default_image(BangerManager *self, const char *id, const char *operation,
				 GError **error)
{
	return set_default(self, "default-image", &self->default_image, id, operation, error);
}

bool
banger_manager_set_default_kernel(BangerManager *self, const char *id, const char *operation,
				  GError **error)
{
	return set_default(self, "default-kernel", &self->default_kernel, id, operation, error);
}

BangerJob *
banger_manager_begin_job(BangerManager *self, BangerJobKind kind, const char *subject,
			 const char *operation)
{
	g_autofree char *number = g_strdup_printf("%u", ++self->last_job);
	g_autofree char *path = banger_path_new("job", number);
	BangerJob *job = banger_job_new(kind, path, subject, operation);

	bn_log_info("op=%s job=%s subject=%s stage=begin mono_us=%" G_GINT64_FORMAT,
		    banger_job_get_operation(job), banger_job_kind_to_string(kind),
		    subject ? subject : "", g_get_monotonic_time());
	banger_manager_emit(self, BANGER_MANAGER_JOB_ADDED, job);
	return job;
}

/* A name nobody has: short enough to type. */
static char *
make_name(BangerManager *self)
{
	char id[BN_ID_LENGTH + 1];
	g_autofree char *name = NULL;

	do {
		banger_random_id(id);
		g_free(name);
		name = g_strdup_printf("vm-%.6s", id);
	} while (banger_manager_find_vm(self, name, /* error= */ NULL));
	return g_steal_pointer(&name);
}

bool
banger_manager_resolve_spec(BangerManager *self, BangerVmSpec *spec, GError **error)
{
	const BangerImageRow *image =
		banger_manager_find_image(self, spec->image ? spec->image : "", error);
	const BangerKernelRow *kernel =
		image ? banger_manager_find_kernel(self, spec->kernel ? spec->kernel : "", error)
		      : NULL;
	char id[BN_ID_LENGTH + 1];

	if (!kernel)
		return false;
	if (!spec->name)
		spec->name = make_name(self);
	g_free(spec->image);
	spec->image = g_strdup(image->id);
	g_free(spec->kernel);
	spec->kernel = g_strdup(kernel->id);
	banger_random_id(id);
	spec->id = g_strdup(id);
	spec->created_us = g_get_real_time();
	return banger_vm_spec_check(spec, error);
}
