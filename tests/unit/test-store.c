/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <unistd.h>

#include "service/base/error.h"
#include "service/base/remove-tree.h"
#include "service/manager/migrations.h"
#include "service/manager/store.h"

#define ID1 "11111111111111111111111111111111"
#define ID2 "22222222222222222222222222222222"

static char *
make_directory(void)
{
	char *path = g_dir_make_tmp("banger-store-XXXXXX", NULL);

	check(path);
	return path;
}

static BangerImageRow image = { .id = (char *)ID1,
				.name = (char *)"base",
				.digest = (char *)"sha256:0",
				.init = (char *)"",
				.source = (char *)"test",
				.size = 42 };
static BangerKernelRow kernel = { .id = (char *)ID1,
				  .name = (char *)"linux",
				  .release = (char *)"6.1",
				  .digest = (char *)"sha256:0",
				  .source = (char *)"test" };

static BangerVmSpec *
make_spec(const char *id, const char *name)
{
	BangerVmSpec *spec = banger_vm_spec_new();

	spec->id = g_strdup(id);
	spec->name = g_strdup(name);
	spec->image = g_strdup(ID1);
	spec->kernel = g_strdup(ID1);
	return spec;
}

static void
test_rows_when_written_then_read_back_after_reopening(void)
{
	g_autofree char *directory = make_directory();
	g_autoptr(BangerStore) store = banger_store_open(directory, NULL);
	g_autoptr(BangerVmSpec) spec = make_spec(ID2, "web");
	g_autoptr(GPtrArray) vms = NULL;
	g_autofree char *setting = NULL;
	BangerVmRow *row;

	check(banger_store_add_image(store, &image, NULL));
	check(banger_store_add_kernel(store, &kernel, NULL));
	spec->ephemeral = true;
	spec->accelerator = BANGER_ACCELERATOR_EMULATION;
	check(banger_store_add_vm(store, spec, NULL));
	check(banger_store_set_vm_ready(store, ID2, NULL));
	check(banger_store_update_vm(store, ID2, BANGER_VM_RUNNING, "%n%s", 7, NULL));
	check(banger_store_set_setting(store, "default-image", ID1, NULL));
	g_clear_object(&store);
	store = banger_store_open(directory, NULL);
	vms = banger_store_list_vms(store, NULL);
	check_int(vms->len, 1);
	row = g_ptr_array_index(vms, 0);
	check_str(row->spec->name, "web");
	check(row->spec->ephemeral && row->ready);
	check_int(row->spec->accelerator, BANGER_ACCELERATOR_EMULATION);
	check_int(row->spec->memory_bytes, BANGER_VM_DEFAULT_MEMORY);
	check_int(row->state, BANGER_VM_RUNNING);
	check_str(row->last_error, "%n%s");
	check_int(row->started_us, 7);
	setting = banger_store_get_setting(store, "default-image");
	check_str(setting, ID1);
	check(banger_remove_tree(directory, NULL));
}

static void
test_names_when_taken_or_used_then_refused(void)
{
	g_autofree char *directory = make_directory();
	g_autoptr(BangerStore) store = banger_store_open(directory, NULL);
	g_autoptr(BangerVmSpec) first = make_spec(ID1, "web");
	g_autoptr(BangerVmSpec) second = make_spec(ID2, "web");
	g_autoptr(GError) error = NULL;

	check(!banger_store_add_vm(store, first, &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_BUSY));
	g_clear_error(&error);
	check(banger_store_add_image(store, &image, NULL));
	check(!banger_store_add_image(store, &image, &error));
	check(banger_error_is_already_exists(error));
	g_clear_error(&error);
	check(banger_store_add_kernel(store, &kernel, NULL));
	check(banger_store_add_vm(store, first, NULL));
	check(!banger_store_add_vm(store, second, &error));
	check(banger_error_is_already_exists(error));
	g_clear_error(&error);
	check(!banger_store_delete_image(store, ID1, &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_BUSY));
	check(banger_store_delete_vm(store, ID1, NULL));
	check(banger_store_delete_image(store, ID1, NULL));
	check(banger_remove_tree(directory, NULL));
}

/* Changes the state as a hand does, and says what its reading is refused for: "" where it is not. */
static char *
read_changed(const char *directory, const char *sql)
{
	g_autofree char *path = g_strdup_printf("%s/state-%d.db", directory, BANGER_SCHEMA);
	g_autoptr(BangerStore) store = NULL;
	g_autoptr(GPtrArray) rows = NULL;
	g_autoptr(GError) error = NULL;
	char *copy = g_strconcat(path, ".copy", NULL), *text = NULL;
	gsize size;
	sqlite3 *db;

	check(g_file_get_contents(path, &text, &size, NULL));
	check(g_file_set_contents(copy, text, (gssize)size, NULL));
	check_int(sqlite3_open(path, &db), SQLITE_OK);
	check_int(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	check_int(sqlite3_close(db), SQLITE_OK);
	store = banger_store_open(directory, NULL);
	check(store);
	rows = banger_store_list_images(store, &error);
	if (rows) {
		g_ptr_array_unref(rows);
		rows = banger_store_list_kernels(store, &error);
	}
	if (rows) {
		g_ptr_array_unref(rows);
		rows = banger_store_list_vms(store, &error);
	}
	g_clear_object(&store);
	check_int(g_rename(copy, path), 0);
	g_free(copy);
	g_free(text);
	return g_strdup(error ? error->message : "");
}

/* Which rows a hand may have made that no program has, and a word of what is said of each. */
static const struct {
	const char *sql, *said;
} damages[] = {
	{ "UPDATE vm SET id = '../../x'", "VM web: id" },
	{ "UPDATE vm SET name = cast(x'fffe' as text)", "name" },
	{ "UPDATE vm SET name = ''", "name" },
	{ "UPDATE vm SET state = 'nonsense'", "VM web: state" },
	{ "UPDATE vm SET vmm = '/bin/sh'", "VM web: vmm cannot be '/bin/sh'" },
	{ "UPDATE vm SET accelerator = 'x'", "VM web: accelerator" },
	{ "UPDATE vm SET vcpus = -1", "VM web: vcpus" },
	{ "UPDATE vm SET vcpus = 4294967298", "VM web: vcpus" },
	{ "UPDATE vm SET vcpus = 0", "VM web: option 'vcpus'" },
	{ "UPDATE vm SET vcpus = 65", "VM web: vcpus cannot be '65'" },
	{ "UPDATE vm SET memory = 1", "VM web: option 'memory'" },
	{ "UPDATE vm SET disk = -1", "VM web: disk" },
	{ "UPDATE vm SET created = -1", "VM web: created" },
	{ "UPDATE vm SET image = 'x/y'", "VM web: image" },
	{ "UPDATE vm SET kernel = ''", "VM web: kernel" },
	{ "UPDATE vm SET last_error = cast(x'ff' as text)", "VM web: last_error" },
	{ "UPDATE vm SET reach = 'far'", "VM web: reach cannot be 'far'" },
	{ "UPDATE vm SET peer = 2", "VM web: peer" },
	{ "UPDATE vm SET host = -1", "VM web: host" },
	{ "UPDATE vm SET ports = '80'", "VM web: ports cannot be '80'" },
	{ "UPDATE vm SET ports = '80:1 80:2'", "VM web: ports" },
	{ "UPDATE image SET id = 'x'", "image base: id" },
	{ "UPDATE image SET name = 'A/'", "image A/: name" },
	{ "UPDATE image SET size = -1", "image base: size" },
	{ "UPDATE image SET source = cast(x'ff' as text)", "image base: source" },
	{ "UPDATE kernel SET id = ''", "kernel linux: id" },
	{ "UPDATE kernel SET release = cast(x'ff' as text)", "kernel linux: release" },
};

static void
test_list_when_a_row_cannot_be_then_refused_by_name(void)
{
	g_autofree char *directory = make_directory();
	g_autoptr(BangerStore) store = banger_store_open(directory, NULL);
	g_autoptr(BangerVmSpec) spec = make_spec(ID2, "web");
	g_autofree char *sound = NULL, *old = NULL;

	check(banger_store_add_image(store, &image, NULL));
	check(banger_store_add_kernel(store, &kernel, NULL));
	check(banger_store_add_vm(store, spec, NULL));
	g_clear_object(&store);
	sound = read_changed(directory, "");
	check_str(sound, "");
	/* A name of this form was allowed once. */
	old = read_changed(directory, "UPDATE vm SET name = '" ID2 "'");
	check_str(old, "");
	for (size_t i = 0; i < G_N_ELEMENTS(damages); i++) {
		g_autofree char *text = read_changed(directory, damages[i].sql);

		check(g_str_has_prefix(text, "the state is damaged: "));
		check(strstr(text, damages[i].said));
	}
	check(banger_remove_tree(directory, NULL));
}

/* `value`: what the default is afterwards. */
static void
check_default(BangerStore *store, const char *key, const char *value)
{
	g_autofree char *setting = banger_store_get_setting(store, key);

	check_str(setting, value);
}

static void
test_delete_when_default_then_setting_goes_with_the_row_or_stays_with_it(void)
{
	g_autofree char *directory = make_directory();
	g_autoptr(BangerStore) store = banger_store_open(directory, NULL);
	g_autoptr(BangerVmSpec) spec = make_spec(ID2, "web");

	check(banger_store_add_image(store, &image, NULL));
	check(banger_store_add_kernel(store, &kernel, NULL));
	check(banger_store_add_vm(store, spec, NULL));
	check(banger_store_set_setting(store, "default-image", ID1, NULL));
	check(banger_store_set_setting(store, "default-kernel", ID1, NULL));
	check(!banger_store_delete_image(store, ID1, NULL));
	check(!banger_store_delete_kernel(store, ID1, NULL));
	check_default(store, "default-image", ID1);
	check_default(store, "default-kernel", ID1);
	check(banger_store_delete_vm(store, ID2, NULL));
	check(banger_store_delete_image(store, ID1, NULL));
	check_default(store, "default-image", "");
	check_default(store, "default-kernel", ID1);
	check(banger_store_delete_kernel(store, ID1, NULL));
	check_default(store, "default-kernel", "");
	check(banger_remove_tree(directory, NULL));
}

static void
test_open_when_schema_is_newer_then_refused_and_untouched(void)
{
	g_autofree char *directory = make_directory();
	g_autofree char *path = g_strdup_printf("%s/state-%d.db", directory, BANGER_SCHEMA + 1);
	g_autofree char *content = NULL;
	g_autoptr(GError) error = NULL;

	check_int(banger_store_check(directory), 0);
	check(g_file_set_contents(path, "from the future", -1, NULL));
	check_int(banger_store_check(directory), 2);
	check(!banger_store_open(directory, &error));
	check(strstr(error->message, "newer version"));
	check(g_file_get_contents(path, &content, NULL, NULL));
	check_str(content, "from the future");
	check(banger_remove_tree(directory, NULL));
}

static void
test_check_when_the_file_is_another_than_its_name_says_then_told_and_untouched(void)
{
	g_autofree char *directory = make_directory();
	g_autofree char *path = g_strdup_printf("%s/state-%d.db", directory, BANGER_SCHEMA);
	g_autofree char *content = NULL;
	g_autoptr(BangerStore) store = banger_store_open(directory, NULL);
	sqlite3 *db = NULL;

	check_int(banger_store_check(directory), 0);
	g_clear_object(&store);
	check_int(banger_store_check(directory), 0);
	check_int(sqlite3_open(path, &db), SQLITE_OK);
	check_int(sqlite3_exec(db, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
	check_int(sqlite3_close(db), SQLITE_OK);
	check_int(banger_store_check(directory), 2);
	check(g_file_set_contents(path, "not a database, but long enough to be one", -1, NULL));
	check_int(banger_store_check(directory), 2);
	check(g_file_get_contents(path, &content, NULL, NULL));
	check_str(content, "not a database, but long enough to be one");
	check(banger_remove_tree(directory, NULL));
}

static void
test_open_when_making_was_interrupted_then_begun_anew(void)
{
	g_autofree char *directory = make_directory();
	g_autofree char *path = g_strdup_printf("%s/state-%d.db.new", directory, BANGER_SCHEMA);
	g_autoptr(BangerStore) store = NULL;

	check(g_file_set_contents(path, "half written", -1, NULL));
	store = banger_store_open(directory, NULL);
	check(store);
	check(!g_file_test(path, G_FILE_TEST_EXISTS));
	check(banger_remove_tree(directory, NULL));
}

static void
test_open_when_a_link_leads_to_the_directory_then_opened_and_the_file_is_no_link(void)
{
	g_autofree char *directory = make_directory();
	g_autofree char *link = g_strconcat(directory, "-link", NULL);
	g_autofree char *file = g_strdup_printf("%s/state-%d.db", directory, BANGER_SCHEMA);
	g_autofree char *moved = g_strconcat(file, ".moved", NULL);
	g_autoptr(BangerStore) store = NULL;

	check_int(symlink(directory, link), 0);
	store = banger_store_open(link, NULL);
	check(store);
	g_clear_object(&store);
	check_int(banger_store_check(link), 0);
	/* What the state itself points to is not followed. */
	check_int(g_rename(file, moved), 0);
	check_int(symlink(moved, file), 0);
	check(!banger_store_open(link, NULL));
	check_int(g_unlink(link), 0);
	check(banger_remove_tree(directory, NULL));
}

static void
test_open_when_somebody_has_it_then_busy_until_they_leave(void)
{
	g_autofree char *directory = make_directory();
	g_autoptr(BangerStore) first = banger_store_open(directory, NULL);
	g_autoptr(BangerStore) second = NULL;
	g_autoptr(GError) error = NULL;

	check(!banger_store_open(directory, &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_BUSY));
	check(strstr(error->message, directory));
	g_clear_object(&first);
	second = banger_store_open(directory, NULL);
	check(second);
	check(banger_remove_tree(directory, NULL));
}

TEST_MAIN(TEST(test_rows_when_written_then_read_back_after_reopening),
	  TEST(test_names_when_taken_or_used_then_refused),
	  TEST(test_delete_when_default_then_setting_goes_with_the_row_or_stays_with_it),
	  TEST(test_open_when_schema_is_newer_then_refused_and_untouched),
	  TEST(test_check_when_the_file_is_another_than_its_name_says_then_told_and_untouched),
	  TEST(test_open_when_a_link_leads_to_the_directory_then_opened_and_the_file_is_no_link),
	  TEST(test_list_when_a_row_cannot_be_then_refused_by_name),
	  TEST(test_open_when_somebody_has_it_then_busy_until_they_leave),
	  TEST(test_open_when_making_was_interrupted_then_begun_anew))
