/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager/store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <sys/file.h>

#include "service/base/error.h"
#include "service/manager/migrations.h"
#include "service/manager/store-file.h"
#include "service/manager/store-rows.h"
#include "shared/base/cleanup.h"
#include "shared/rules/names.h"

struct _BangerStore {
	GObject parent;

	sqlite3 *db;
	int lock;
};

G_DEFINE_FINAL_TYPE(BangerStore, banger_store, G_TYPE_OBJECT)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3_stmt, sqlite3_finalize)

void
banger_vm_row_free(BangerVmRow *row)
{
	if (!row)
		return;
	banger_vm_spec_free(row->spec);
	g_free(row->last_error);
	g_free(row);
}

static void
banger_store_finalize(GObject *object)
{
	BangerStore *self = BANGER_STORE(object);

	(void)sqlite3_close_v2(self->db);
	/* Last: whoever comes next finds all of it written. */
	bn_closep(&self->lock);
	G_OBJECT_CLASS(banger_store_parent_class)->finalize(object);
}

static void
banger_store_class_init(BangerStoreClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_store_finalize;
}

static void
banger_store_init(BangerStore *self)
{
	self->lock = -1;
}

/* The kernel drops the lock of who is killed; children do not inherit it. */
static bool
lock(BangerStore *self, const char *directory, GError **error)
{
	g_autofree char *path = g_build_filename(directory, "lock", NULL);

	self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (self->lock < 0)
		return banger_error_set_errno(error, "cannot open %s", path);
	if (flock(self->lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno != EWOULDBLOCK)
		return banger_error_set_errno(error, "cannot lock %s", path);
	g_set_error(
		error, BANGER_ERROR, BANGER_ERROR_BUSY,
		"another bangerd of yours has %s, on another session bus: use that one, or end it",
		directory);
	return false;
}

BangerStore *
banger_store_open(const char *directory, GError **error)
{
	g_autoptr(BangerStore) self = g_object_new(BANGER_TYPE_STORE, NULL);

	if (lock(self, directory, error))
		self->db = banger_store_file_open(directory, error);
	return self->db ? g_steal_pointer(&self) : NULL;
}

static bool
fail(BangerStore *self, GError **error)
{
	int code = sqlite3_errcode(self->db);

	if (code == SQLITE_FULL)
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_NO_SPACE,
			    "the state could not be written: the disk is full");
	else
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_FAILED,
			    "the state could not be read or written: %s", sqlite3_errmsg(self->db));
	return false;
}

/* `types`: a letter per argument: s const char *, i int64_t. */
static sqlite3_stmt *
prepare(BangerStore *self, const char *sql, const char *types, ...)
{
	sqlite3_stmt *statement = NULL;
	va_list args;

	if (sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return NULL;
	va_start(args, types);
	for (int i = 1; *types; types++, i++) {
		if (*types == 's')
			(void)sqlite3_bind_text(statement, i, va_arg(args, const char *), -1,
						SQLITE_TRANSIENT);
		else
			(void)sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
	}
	va_end(args);
	return statement;
}

/* Runs a statement that returns no rows. `taken` names what a broken uniqueness means, `used` what a
 * broken reference means. */
static bool
execute(BangerStore *self, sqlite3_stmt *statement, const char *taken, const char *used,
	GError **error)
{
	g_autoptr(sqlite3_stmt) owned = statement;
	int r = owned ? sqlite3_step(owned) : SQLITE_ERROR;

	if (r == SQLITE_DONE)
		return true;
	switch (owned ? sqlite3_extended_errcode(self->db) : r) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_ALREADY_EXISTS, "%s already exists",
			    taken);
		return false;
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		g_set_error_literal(error, BANGER_ERROR, BANGER_ERROR_BUSY, used);
		return false;
	default:
		return fail(self, error);
	}
}

static char *
text(sqlite3_stmt *statement, int column)
{
	return g_strdup((const char *)sqlite3_column_text(statement, column));
}

typedef void *(*ReadRow)(sqlite3_stmt *statement, GError **error);

/* Collects rows until the end; NULL with an error where reading failed. */
static GPtrArray *
collect(BangerStore *self, const char *sql, ReadRow read, GDestroyNotify destroy, GError **error)
{
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(destroy);
	g_autoptr(sqlite3_stmt) statement = prepare(self, sql, "");
	int r = SQLITE_ERROR;

	while (statement && (r = sqlite3_step(statement)) == SQLITE_ROW) {
		void *row = read(statement, error);

		if (!row)
			return NULL;
		g_ptr_array_add(rows, row);
	}
	if (r != SQLITE_DONE) {
		(void)fail(self, error);
		return NULL;
	}
	return g_steal_pointer(&rows);
}

static void *
read_image(sqlite3_stmt *statement, GError **error)
{
	return banger_image_row_read(statement, error);
}

GPtrArray *
banger_store_list_images(BangerStore *self, GError **error)
{
	return collect(self, "SELECT " BANGER_IMAGE_COLUMNS " FROM image", read_image,
		       (GDestroyNotify)banger_image_row_free, error);
}

static void *
read_kernel(sqlite3_stmt *statement, GError **error)
{
	return banger_kernel_row_read(statement, error);
}

GPtrArray *
banger_store_list_kernels(BangerStore *self, GError **error)
{
	return collect(self, "SELECT " BANGER_KERNEL_COLUMNS " FROM kernel", read_kernel,
		       (GDestroyNotify)banger_kernel_row_free, error);
}

static void *
read_vm(sqlite3_stmt *statement, GError **error)
{
	return banger_vm_row_read(statement, error);
}

GPtrArray *
banger_store_list_vms(BangerStore *self, GError **error)
{
	return collect(self, "SELECT " BANGER_VM_COLUMNS " FROM vm", read_vm,
		       (GDestroyNotify)banger_vm_row_free, error);
}

bool
banger_store_add_image(BangerStore *self, const BangerImageRow *row, GError **error)
{
	g_autofree char *what = g_strdup_printf("an image named %s", row->name);
	sqlite3_stmt *statement =
		prepare(self, "INSERT INTO image VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "sssiissi",
			row->id, row->name, row->digest, (int64_t)row->size,
			(int64_t)row->disk_usage, row->init, row->source, row->created_us);

	return execute(self, statement, what, /* used= */ "", error);
}

bool
banger_store_add_kernel(BangerStore *self, const BangerKernelRow *row, GError **error)
{
	g_autofree char *what = g_strdup_printf("a kernel named %s", row->name);
	sqlite3_stmt *statement = prepare(self, "INSERT INTO kernel VALUES (?, ?, ?, ?, ?, ?, ?)",
					  "ssssisi", row->id, row->name, row->release, row->digest,
					  (int64_t)row->disk_usage, row->source, row->created_us);

	return execute(self, statement, what, /* used= */ "", error);
}

/* The number that the VM got in the same transaction. */
static bool
read_host(BangerStore *self, BangerVmSpec *spec, GError **error)
{
	g_autoptr(sqlite3_stmt) statement =
		prepare(self, "SELECT host FROM vm WHERE id = ?", "s", spec->id);

	if (!statement || sqlite3_step(statement) != SQLITE_ROW)
		return fail(self, error);
	spec->host = (uint32_t)sqlite3_column_int64(statement, 0);
	return true;
}

/* 1 is the host's own number in the subnet. */
#define FREE_HOST                                                                                  \
	"(SELECT MIN(h) FROM (SELECT 2 AS h UNION ALL SELECT host + 1 FROM vm)"                    \
	" WHERE h NOT IN (SELECT host FROM vm))"

static char *
join_ports(const BangerVmSpec *spec)
{
	g_auto(GStrv) ports = banger_port_list_render(spec->ports);

	return g_strjoinv(" ", ports);
}

bool
banger_store_add_vm(BangerStore *self, BangerVmSpec *spec, GError **error)
{
	g_autofree char *what = g_strdup_printf("a VM named %s", spec->name);
	g_autofree char *ports = join_ports(spec);
	sqlite3_stmt *statement = prepare(
		self,
		"INSERT INTO vm (id, name, image, kernel, vcpus, memory, disk, vmm,"
		" accelerator, use_init, driver, ephemeral, created, state, reach, peer,"
		" ports, host) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'overlay', ?, ?, 'created',"
		" ?, ?, ?," FREE_HOST ")",
		"ssssiiissiiisis", spec->id, spec->name, spec->image, spec->kernel,
		(int64_t)spec->vcpus, (int64_t)spec->memory_bytes, (int64_t)spec->disk_bytes,
		bn_vmm_kind_to_string(spec->vmm), banger_accelerator_to_string(spec->accelerator),
		(int64_t)spec->use_init, (int64_t)spec->ephemeral, spec->created_us,
		banger_reach_to_string(spec->reach), (int64_t)spec->peer, ports);

	/* Somebody deleted the image or kernel between its look-up and this. */
	return execute(self, statement, what, "its image or kernel has just been deleted", error) &&
	       read_host(self, spec, error);
}

bool
banger_store_set_vm_network(BangerStore *self, const BangerVmSpec *spec, GError **error)
{
	g_autofree char *ports = join_ports(spec);

	return execute(self,
		       prepare(self, "UPDATE vm SET reach = ?, peer = ?, ports = ? WHERE id = ?",
			       "siss", banger_reach_to_string(spec->reach), (int64_t)spec->peer,
			       ports, spec->id),
		       "", "", error);
}

bool
banger_store_set_vm_ready(BangerStore *self, const char *id, GError **error)
{
	return execute(self, prepare(self, "UPDATE vm SET ready = 1 WHERE id = ?", "s", id), "", "",
		       error);
}

bool
banger_store_update_vm(BangerStore *self, const char *id, BangerVmState state,
		       const char *last_error, int64_t started_us, GError **error)
{
	return execute(self,
		       prepare(self,
			       "UPDATE vm SET state = ?, last_error = ?, started = ? WHERE id = ?",
			       "ssis", banger_vm_state_to_string(state),
			       last_error ? last_error : "", started_us, id),
		       "", "", error);
}

#define REMAINS "remains-"

static void *
read_id(sqlite3_stmt *statement, GError **error)
{
	g_autofree char *id = text(statement, 0);

	/* It becomes a path. */
	if (bn_names_is_id(id))
		return g_steal_pointer(&id);
	g_set_error_literal(error, BANGER_ERROR, BANGER_ERROR_FAILED,
			    "the state is damaged: what remains of no id");
	return NULL;
}

GPtrArray *
banger_store_list_remains(BangerStore *self, const char *kind, GError **error)
{
	g_autofree char *sql =
		g_strdup_printf("SELECT substr(key, length('" REMAINS "%s-') + 1) FROM setting"
				" WHERE key LIKE '" REMAINS "%s-%%'",
				kind, kind);

	return collect(self, sql, read_id, g_free, error);
}

bool
banger_store_forget_remains(BangerStore *self, const char *kind, const char *id, GError **error)
{
	g_autofree char *key = g_strconcat(REMAINS, kind, "-", id, NULL);

	return execute(self, prepare(self, "DELETE FROM setting WHERE key = ?", "s", key), "", "",
		       error);
}

/* A row goes together with the setting that names it, and leaves one that says what is still to be removed. */
static bool
delete_named(BangerStore *self, const char *kind, const char *id, const char *used, GError **error)
{
	g_autofree char *sql = g_strdup_printf("DELETE FROM %s WHERE id = ?", kind);
	g_autofree char *chosen = g_strconcat("default-", kind, NULL);
	g_autofree char *remains = g_strconcat(REMAINS, kind, "-", id, NULL);
	bool done;

	if (sqlite3_exec(self->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return fail(self, error);
	done = execute(self,
		       prepare(self, "DELETE FROM setting WHERE key = ? AND value = ?", "ss",
			       chosen, id),
		       "", "", error) &&
	       banger_store_set_setting(self, remains, "", error) &&
	       execute(self, prepare(self, sql, "s", id), "", used, error) &&
	       (sqlite3_exec(self->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ||
		fail(self, error));
	if (!done)
		(void)sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
	return done;
}

bool
banger_store_delete_image(BangerStore *self, const char *id, GError **error)
{
	return delete_named(self, "image", id, "VMs use this image", error);
}

bool
banger_store_delete_kernel(BangerStore *self, const char *id, GError **error)
{
	return delete_named(self, "kernel", id, "VMs use this kernel", error);
}

bool
banger_store_delete_vm(BangerStore *self, const char *id, GError **error)
{
	return execute(self, prepare(self, "DELETE FROM vm WHERE id = ?", "s", id), "", "", error);
}

char *
banger_store_get_setting(BangerStore *self, const char *key)
{
	g_autoptr(sqlite3_stmt) statement =
		prepare(self, "SELECT value FROM setting WHERE key = ?", "s", key);

	if (!statement || sqlite3_step(statement) != SQLITE_ROW)
		return g_strdup("");
	return text(statement, 0);
}

bool
banger_store_set_setting(BangerStore *self, const char *key, const char *value, GError **error)
{
	return execute(
		self,
		prepare(self, "INSERT OR REPLACE INTO setting VALUES (?, ?)", "ss", key, value), "",
		"", error);
}
