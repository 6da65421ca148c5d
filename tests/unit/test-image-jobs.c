/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of images and kernels: the manager in a faked world, with a real store. */
#include "fakes/fake-ports.h"
#include "service/base/remove-tree.h"
#include "service/manager/manager.h"
#include "test.h"

#define ID1 "11111111111111111111111111111111"
#define ID2 "22222222222222222222222222222222"

typedef struct World {
	FakePorts *fakes;
	BangerKvmVerdict *kvm;
	BangerStore *store;
	BangerManager *manager;
	char *directory;
	GString *told; /* the manager's signals */
} World;

static void
on_changed(BangerManager *manager, void *nothing, World *world)
{
	g_string_append_printf(world->told, "image=%s kernel=%s ",
			       banger_manager_get_default_image(manager),
			       banger_manager_get_default_kernel(manager));
}

static void
on_removed(BangerManager *manager, void *object, World *world)
{
	g_string_append(world->told, "removed ");
}

static BangerManager *
make_manager(World *world)
{
	BangerManager *manager =
		banger_manager_new(world->store, &world->fakes->ports, world->kvm, NULL);

	check(manager);
	g_signal_connect(manager, "changed", G_CALLBACK(on_changed), world);
	g_signal_connect(manager, "image-removed", G_CALLBACK(on_removed), world);
	g_signal_connect(manager, "kernel-removed", G_CALLBACK(on_removed), world);
	return manager;
}

/* Two images and two kernels, of which the first are the default ones. */
static void
world_init(World *world)
{
	const char *const ids[] = { ID1, ID2 }, *const names[] = { "one", "two" };

	world->directory = g_dir_make_tmp("banger-image-jobs-XXXXXX", NULL);
	world->fakes = fake_ports_new();
	world->kvm = banger_kvm_verdict_new(world->fakes->ports.privileged);
	world->store = banger_store_open(world->directory, NULL);
	world->told = g_string_new(NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
		char *id = (char *)ids[i], *name = (char *)names[i], *none = (char *)"";
		const BangerImageRow image = {
			.id = id, .name = name, .digest = none, .init = none, .source = none
		};
		const BangerKernelRow kernel = {
			.id = id, .name = name, .release = none, .digest = none, .source = none
		};

		check(banger_store_add_image(world->store, &image, NULL));
		check(banger_store_add_kernel(world->store, &kernel, NULL));
	}
	check(banger_store_set_setting(world->store, "default-image", ID1, NULL));
	check(banger_store_set_setting(world->store, "default-kernel", ID1, NULL));
	world->manager = make_manager(world);
}

static void
world_done(World *world)
{
	g_object_unref(world->manager);
	g_object_unref(world->kvm);
	g_object_unref(world->store);
	fake_ports_free(world->fakes);
	check(banger_remove_tree(world->directory, NULL));
	g_string_free(world->told, TRUE);
	g_free(world->directory);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_done)

static void
test_delete_when_default_then_there_is_none_for_a_successor_either(void)
{
	g_auto(World) world = {};

	world_init(&world);
	check(banger_manager_delete_image(world.manager, ID1, "", NULL));
	check(banger_manager_delete_kernel(world.manager, ID1, "", NULL));
	check_str(world.told->str, "image= kernel=" ID1 " removed image= kernel= removed ");
	check_str(world.fakes->log->str, "remove-image remove-kernel ");
	g_object_unref(world.manager);
	world.manager = make_manager(&world);
	check_str(banger_manager_get_default_image(world.manager), "");
	check_str(banger_manager_get_default_kernel(world.manager), "");
}

static void
test_delete_when_not_default_then_the_default_stays(void)
{
	g_auto(World) world = {};

	world_init(&world);
	check(banger_manager_delete_image(world.manager, ID2, "", NULL));
	check_str(world.told->str, "removed ");
	check_str(banger_manager_get_default_image(world.manager), ID1);
}

static void
on_recovered(GObject *source, GAsyncResult *result, gpointer data)
{
	banger_manager_recover_finish(BANGER_MANAGER(source), result);
	*(bool *)data = true;
}

/* What a daemon after this one does before anything else. */
static void
recover(World *world)
{
	bool recovered = false;

	g_object_unref(world->manager);
	world->manager = make_manager(world);
	g_string_truncate(world->fakes->log, 0);
	banger_manager_recover_async(world->manager, on_recovered, &recovered);
	fake_ports_settle(world->fakes);
	check(recovered);
}

static void
test_delete_when_files_stay_behind_then_a_successor_removes_them(void)
{
	g_auto(World) world = {};

	world_init(&world);
	world.fakes->fail_call = "remove-image";
	check(!banger_manager_delete_image(world.manager, ID1, "", NULL));
	world.fakes->fail_call = "remove-kernel";
	check(!banger_manager_delete_kernel(world.manager, ID2, "", NULL));
	recover(&world);
	check_str(world.fakes->log->str, "remove-image remove-kernel ");
	check_int(world.fakes->n_recorded, 2);
	world.fakes->fail_call = NULL;
	recover(&world);
	check_str(world.fakes->log->str, "remove-kernel ");
	check(banger_manager_delete_image(world.manager, ID2, "", NULL));
	recover(&world);
	check_str(world.fakes->log->str, "");
}

static void
on_finished(BangerJob *job, GString *text)
{
	const GError *error = banger_job_get_error(job);
	g_autoptr(GVariant) result = banger_job_get_result(job);
	g_autofree char *printed = g_variant_print(result, FALSE);

	g_string_append(text, error ? error->message : printed);
}

/* Makes one of either kind; what its job ends with, or why it did not begin. */
static char *
make(World *world, bool kernel, const char *name, bool make_default)
{
	BangerImageRequest *image = kernel ? NULL : banger_image_request_new();
	BangerKernelRequest *request = kernel ? banger_kernel_request_new() : NULL;
	const char *call = kernel ? "make-kernel" : "make-image";
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GError) error = NULL;
	BangerJob *job;

	if (kernel)
		request->name = g_strdup(name);
	else
		image->name = g_strdup(name);
	job = kernel ? banger_manager_make_kernel(world->manager, request, make_default, "", &error)
		     : banger_manager_make_image(world->manager, image, make_default, "", &error);
	if (!job)
		return g_strdup(error->message);
	g_signal_connect(job, "finished", G_CALLBACK(on_finished), text);
	fake_ports_succeed(world->fakes, call);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
test_make_when_done_then_recorded_and_the_default_where_it_is_wanted(void)
{
	for (int kernel = 0; kernel < 2; kernel++) {
		g_autofree char *taken = NULL, *bad = NULL, *made = NULL, *again = NULL;
		g_autofree char *result = g_strdup_printf(
			"{'%s': <objectpath '/org/banger/Manager/%s/" FAKE_MADE_ID "'>}",
			kernel ? "kernel" : "image", kernel ? "kernel" : "image");
		g_auto(World) world = {};

		world_init(&world);
		taken = make(&world, kernel, "one", /* make_default= */ false);
		check_str(taken, kernel ? "a kernel named one already exists"
					: "an image named one already exists");
		bad = make(&world, kernel, "/", /* make_default= */ false);
		check(g_str_has_prefix(bad, "option 'name'"));
		check_str(world.fakes->log->str, "");
		made = make(&world, kernel, "made", /* make_default= */ kernel);
		check_str(made, result);
		check(kernel ? banger_manager_find_kernel(world.manager, "made", NULL) != NULL
			     : banger_manager_find_image(world.manager, "made", NULL) != NULL);
		check_str(world.told->str, kernel ? "image=" ID1 " kernel=" FAKE_MADE_ID " " : "");
		/* Its row is refused: its files go. */
		again = make(&world, kernel, "other", /* make_default= */ false);
		check(strstr(again, "already exists"));
		check(g_str_has_suffix(world.fakes->log->str,
				       kernel ? "remove-kernel " : "remove-image "));
	}
}

static void
test_find_when_there_is_none_then_the_message_says_where_to_look(void)
{
	g_auto(World) world = {};
	g_autoptr(GError) vm = NULL, image = NULL, kernel = NULL;

	world_init(&world);
	check(!banger_manager_find_vm(world.manager, "x", &vm));
	check(banger_error_is_not_found(vm));
	check_str(vm->message, "there is no VM 'x': see 'banger vm list'");
	check(!banger_manager_find_image(world.manager, "x", &image));
	check_str(image->message, "there is no image 'x': see 'banger image list'");
	check(!banger_manager_find_kernel(world.manager, "x", &kernel));
	check_str(kernel->message, "there is no kernel 'x': see 'banger kernel list'");
}

TEST_MAIN(TEST(test_delete_when_default_then_there_is_none_for_a_successor_either),
	  TEST(test_delete_when_not_default_then_the_default_stays),
	  TEST(test_delete_when_files_stay_behind_then_a_successor_removes_them),
	  TEST(test_make_when_done_then_recorded_and_the_default_where_it_is_wanted),
	  TEST(test_find_when_there_is_none_then_the_message_says_where_to_look))
