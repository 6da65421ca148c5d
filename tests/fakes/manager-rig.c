/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakes/manager-rig.h"

#include "service/base/remove-tree.h"

void
end_clear(End *end)
{
	g_clear_error(&end->error);
	end->done = false;
}

/* A store that knows an image and a kernel, and no manager yet. */
void
rig_init(Rig *rig)
{
	BangerImageRow image = { .id = (char *)IMAGE,
				 .name = (char *)"base",
				 .digest = (char *)"",
				 .init = (char *)"",
				 .source = (char *)"" };
	BangerKernelRow kernel = { .id = (char *)KERNEL,
				   .name = (char *)"linux",
				   .release = (char *)"",
				   .digest = (char *)"",
				   .source = (char *)"" };

	rig->directory = g_dir_make_tmp("banger-manager-XXXXXX", NULL);
	check(rig->directory);
	rig->fakes = fake_ports_new();
	rig->store = banger_store_open(rig->directory, NULL);
	check(banger_store_add_image(rig->store, &image, NULL));
	check(banger_store_add_kernel(rig->store, &kernel, NULL));
	rig->kvm = banger_kvm_verdict_new(rig->fakes->ports.privileged);
}

void
rig_done(Rig *rig)
{
	fake_ports_settle(rig->fakes);
	g_clear_object(&rig->manager);
	g_clear_object(&rig->store);
	g_clear_object(&rig->kvm);
	fake_ports_free(rig->fakes);
	check(banger_remove_tree(rig->directory, NULL));
	g_free(rig->directory);
	g_free(rig->taken);
}

BangerVmSpec *
rig_make_spec(bool ephemeral)
{
	BangerVmSpec *spec = banger_vm_spec_new();

	spec->id = g_strdup(WEB);
	spec->name = g_strdup("web");
	spec->image = g_strdup(IMAGE);
	spec->kernel = g_strdup(KERNEL);
	spec->ephemeral = ephemeral;
	return spec;
}

/* What a manager before left. */
void
rig_record(Rig *rig, BangerVmState state, bool ephemeral)
{
	g_autoptr(BangerVmSpec) spec = rig_make_spec(ephemeral);

	check(banger_store_add_vm(rig->store, spec, NULL));
	check(banger_store_set_vm_ready(rig->store, WEB, NULL));
	check(banger_store_update_vm(rig->store, WEB, state, "", 1, NULL));
}

static void
on_recovered(GObject *source, GAsyncResult *result, gpointer data)
{
	banger_manager_recover_finish(BANGER_MANAGER(source), result);
	((Rig *)data)->recovered = true;
}

void
rig_begin(Rig *rig)
{
	rig->manager = banger_manager_new(rig->store, &rig->fakes->ports, rig->kvm, NULL);
	check(rig->manager);
	banger_manager_recover_async(rig->manager, on_recovered, rig);
	fake_ports_settle(rig->fakes);
}

const char *
rig_take_log(Rig *rig)
{
	g_free(rig->taken);
	rig->taken = g_strchomp(g_strdup(rig->fakes->log->str));
	g_string_truncate(rig->fakes->log, 0);
	return rig->taken;
}

BangerVm *
rig_find_web(Rig *rig)
{
	return banger_manager_find_vm(rig->manager, "web", NULL);
}

void
rig_check_web(Rig *rig, BangerVmState state)
{
	BangerVm *vm = rig_find_web(rig);
	g_autoptr(GPtrArray) rows = banger_store_list_vms(rig->store, NULL);
	BangerVmRow *row;

	check(vm);
	check_int(banger_vm_get_state(vm), state);
	check_int(rows->len, 1);
	row = g_ptr_array_index(rows, 0);
	check_int(row->state, state);
}

void
rig_check_no_web(Rig *rig)
{
	g_autoptr(GPtrArray) rows = banger_store_list_vms(rig->store, NULL);

	check(!rig_find_web(rig));
	check_int(rows->len, 0);
}

static void
on_finished(BangerJob *job, End *end)
{
	const GError *error = banger_job_get_error(job);

	end->done = true;
	if (error)
		end->error = g_error_copy(error);
}

void
rig_watch(Rig *rig, BangerJob *job, End *end)
{
	check(job);
	g_signal_connect(job, "finished", G_CALLBACK(on_finished), end);
	fake_ports_settle(rig->fakes);
}

BangerVm *
rig_create_as(Rig *rig, bool ephemeral, bool start, End *end)
{
	g_autoptr(BangerVmSpec) spec = rig_make_spec(ephemeral);
	BangerVm *vm = NULL;

	rig_watch(rig, banger_manager_create_vm(rig->manager, spec, start, "operation", &vm, NULL),
		  end);
	return vm;
}

BangerVm *
rig_create(Rig *rig, bool start, End *end)
{
	return rig_create_as(rig, /* ephemeral= */ false, start, end);
}

void
rig_walk(Rig *rig)
{
	static const char *const calls[] = { "create", "probe",  "bridge",     "tap",
					     "nat",    "launch", "guest-open", "set-clock" };

	for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
		if (fake_ports_is_asked(rig->fakes, calls[i]))
			fake_ports_succeed(rig->fakes, calls[i]);
}

/* A VM that runs, found by this manager. */
void
rig_run(Rig *rig)
{
	rig_init(rig);
	rig_record(rig, BANGER_VM_RUNNING, /* ephemeral= */ false);
	rig->fakes->listed[0] = WEB;
	rig_begin(rig);
	fake_ports_succeed(rig->fakes, "list");
	fake_ports_succeed(rig->fakes, "open");
	fake_ports_succeed(rig->fakes, "guest-open");
	check(rig->recovered);
	(void)rig_take_log(rig);
}

void
rig_finish_off(Rig *rig)
{
	g_auto(End) deleted = {};

	rig_watch(rig,
		  banger_manager_delete_vm(rig->manager, rig_find_web(rig), /* force= */ true, "",
					   NULL),
		  &deleted);
	if (fake_ports_is_asked(rig->fakes, "release"))
		fake_ports_succeed(rig->fakes, "release");
	check(deleted.done && !deleted.error);
	rig_check_no_web(rig);
}
