/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manager makes of names and ids, also of those that only an earlier version or a hand can have written. */
#include "fakes/fake-ports.h"
#include "service/base/remove-tree.h"
#include "service/manager/manager.h"
#include "test.h"

#define ONE "11111111111111111111111111111111"
#define TWO "22222222222222222222222222222222"

typedef struct Rig {
	char *directory;
	FakePorts *fakes;
	BangerStore *store;
	BangerKvmVerdict *kvm;
} Rig;

static void
add_vm(Rig *rig, const char *id, const char *name)
{
	BangerVmSpec *spec = banger_vm_spec_new();

	spec->id = g_strdup(id);
	spec->name = g_strdup(name);
	spec->image = g_strdup(ONE);
	spec->kernel = g_strdup(ONE);
	check(banger_store_add_vm(rig->store, spec, NULL));
	check(banger_store_set_vm_ready(rig->store, id, NULL));
	banger_vm_spec_free(spec);
}

static void
rig_init(Rig *rig)
{
	const BangerImageRow image = { .id = (char *)ONE,
				       .name = (char *)"base",
				       .digest = (char *)"",
				       .init = (char *)"",
				       .source = (char *)"" };
	const BangerKernelRow kernel = { .id = (char *)ONE,
					 .name = (char *)"linux",
					 .release = (char *)"6.1",
					 .digest = (char *)"",
					 .source = (char *)"" };

	rig->directory = g_dir_make_tmp("banger-find-XXXXXX", NULL);
	rig->store = banger_store_open(rig->directory, NULL);
	rig->fakes = fake_ports_new();
	rig->kvm = banger_kvm_verdict_new(rig->fakes->ports.privileged);
	check(banger_store_add_image(rig->store, &image, NULL));
	check(banger_store_add_kernel(rig->store, &kernel, NULL));
}

static void
rig_done(Rig *rig)
{
	g_object_unref(rig->kvm);
	fake_ports_free(rig->fakes);
	g_object_unref(rig->store);
	check(banger_remove_tree(rig->directory, NULL));
	g_free(rig->directory);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rig, rig_done)

static void
test_find_when_a_name_is_the_id_of_another_then_the_id_counts(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(BangerManager) manager = NULL;

	rig_init(&rig);
	add_vm(&rig, ONE, "one");
	add_vm(&rig, TWO, ONE);
	manager = banger_manager_new(rig.store, &rig.fakes->ports, rig.kvm, NULL);
	check(manager);
	check_str(banger_vm_get_spec(banger_manager_find_vm(manager, ONE, NULL))->name, "one");
	check_str(banger_vm_get_spec(banger_manager_find_vm(manager, TWO, NULL))->name, ONE);
	check_str(banger_vm_get_spec(banger_manager_find_vm(manager, "one", NULL))->id, ONE);
}

static void
test_name_when_it_looks_like_an_id_then_no_new_vm_gets_it(void)
{
	g_autoptr(BangerVmSpec) spec = banger_vm_spec_new();
	g_autoptr(GError) error = NULL;

	spec->name = g_strdup(ONE);
	check(!banger_vm_spec_check(spec, &error));
	check(g_error_matches(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT));
	check_str(error->message,
		  "option 'name': must be other than 32 hex digits, which are an id");
	check(banger_vm_spec_check_kept(spec, NULL));
	spec->name[31] = '\0';
	check(banger_vm_spec_check(spec, NULL));
}

static void
test_load_when_a_default_is_no_id_then_refused_by_its_key(void)
{
	g_auto(Rig) rig = {};
	g_autoptr(GError) error = NULL;

	rig_init(&rig);
	check(banger_store_set_setting(rig.store, "default-kernel", "../x", NULL));
	check(!banger_manager_new(rig.store, &rig.fakes->ports, rig.kvm, &error));
	check_str(error->message, "the state is damaged: setting default-kernel is no id");
}

TEST_MAIN(TEST(test_find_when_a_name_is_the_id_of_another_then_the_id_counts),
	  TEST(test_name_when_it_looks_like_an_id_then_no_new_vm_gets_it),
	  TEST(test_load_when_a_default_is_no_id_then_refused_by_its_key))
