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
	  TEST(test_find_when_there_is_none_then_the_message_says_where_to_look))
