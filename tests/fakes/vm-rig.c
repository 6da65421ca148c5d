/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fakes/vm-rig.h"

void
answer_clear(Answer *answer)
{
	g_clear_error(&answer->error);
	g_clear_object(&answer->guest);
	answer->done = answer->ok = false;
}

static void
answer_set(Answer *answer, bool ok)
{
	check(!answer->done);
	answer->done = true;
	answer->ok = ok;
	check_int(ok, !answer->error);
}

static void
on_up(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer_set(answer, banger_vm_bring_up_finish(BANGER_VM(source), result, &answer->error));
}

static void
on_stopped(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer_set(answer, banger_vm_stop_finish(BANGER_VM(source), result, &answer->error));
}

static void
on_killed(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer_set(answer, banger_vm_kill_finish(BANGER_VM(source), result, &answer->error));
}

static void
on_recovered(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer_set(answer, banger_vm_recover_finish(BANGER_VM(source), result, &answer->error));
}

static void
on_ended_whole(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer_set(answer, banger_vm_end_finish(BANGER_VM(source), result, &answer->error));
}

static void
on_guest(GObject *source, GAsyncResult *result, gpointer data)
{
	Answer *answer = data;

	answer->guest = banger_vm_wait_guest_finish(BANGER_VM(source), result, &answer->error);
	answer_set(answer, answer->guest != NULL);
}

static void
on_changed(BangerVm *vm, Rig *rig)
{
	g_string_append_printf(rig->states, "%s ",
			       banger_vm_state_to_string(banger_vm_get_state(vm)));
}

static void
on_ended(BangerVm *vm, Rig *rig)
{
	/* It has, whatever who waited for that does next. */
	check(!banger_vm_state_is_live(banger_vm_get_state(vm)));
	rig->ended++;
}

static void
init(Rig *rig, BangerAccelerator accelerator, BangerReach reach)
{
	g_autoptr(BangerVmSpec) spec = banger_vm_spec_new();

	/* An event that the table does not allow is the engine's mistake. */
	g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
	spec->id = g_strdup("0123456789abcdef0123456789abcdef");
	spec->name = g_strdup("web");
	spec->image = g_strdup("image");
	spec->kernel = g_strdup("kernel");
	spec->accelerator = accelerator;
	spec->reach = reach;
	spec->host = 7;
	rig->fakes = fake_ports_new();
	rig->kvm = banger_kvm_verdict_new(rig->fakes->ports.privileged);
	rig->network = banger_network_new(rig->fakes->ports.privileged);
	rig->vm = banger_vm_new(spec, &rig->fakes->ports, rig->kvm, rig->network);
	rig->cancellable = g_cancellable_new();
	rig->states = g_string_new(NULL);
	rig->progress = g_string_new(NULL);
	rig->cancel_at = rig->taken = NULL;
	rig->ended = 0;
	g_signal_connect(rig->vm, "changed", G_CALLBACK(on_changed), rig);
	g_signal_connect(rig->vm, "ended", G_CALLBACK(on_ended), rig);
}

void
rig_init_as(Rig *rig, BangerAccelerator accelerator)
{
	init(rig, accelerator, BANGER_REACH_NONE);
}

void
rig_init_reaching(Rig *rig, BangerReach reach)
{
	init(rig, BANGER_ACCELERATOR_AUTO, reach);
}

void
rig_init(Rig *rig)
{
	rig_init_as(rig, BANGER_ACCELERATOR_AUTO);
}

void
rig_done(Rig *rig)
{
	g_autoptr(GObject) vm = G_OBJECT(rig->vm);

	/* Nobody waits for it any more, so nobody holds it. */
	fake_ports_settle(rig->fakes);
	g_object_add_weak_pointer(vm, (gpointer *)&rig->vm);
	g_clear_object(&vm);
	check(!rig->vm);
	g_object_unref(rig->network);
	g_object_unref(rig->kvm);
	g_object_unref(rig->cancellable);
	g_string_free(rig->states, TRUE);
	g_string_free(rig->progress, TRUE);
	g_free(rig->taken);
	fake_ports_free(rig->fakes);
}

const char *
rig_take(Rig *rig, GString *text)
{
	g_free(rig->taken);
	rig->taken = g_strchomp(g_strdup(text->str));
	g_string_truncate(text, 0);
	return rig->taken;
}

static void
note_progress(const char *text, double progress, void *data)
{
	Rig *rig = data;

	g_string_append_printf(rig->progress, "%s %d; ", text, (int)(progress * 6 + 0.5));
	if (g_strcmp0(rig->cancel_at, text) == 0)
		g_cancellable_cancel(rig->cancellable);
}

void
rig_begin(Rig *rig, BangerPlanFlags flags, Answer *up)
{
	banger_vm_bring_up_async(rig->vm, flags, "up", note_progress, rig, rig->cancellable, on_up,
				 up);
	fake_ports_settle(rig->fakes);
}

void
rig_walk(Rig *rig, const char *until)
{
	static const char *const calls[] = { "create", "probe",      "bridge",    "tap",  "nat",
					     "launch", "guest-open", "set-clock", "untap" };

	for (size_t i = 0; i < G_N_ELEMENTS(calls) && g_strcmp0(calls[i], until) != 0; i++)
		if (fake_ports_is_asked(rig->fakes, calls[i]))
			fake_ports_succeed(rig->fakes, calls[i]);
}

void
rig_run(Rig *rig)
{
	g_auto(Answer) up = {};

	rig_init(rig);
	rig_begin(rig, BANGER_PLAN_START, &up);
	rig_walk(rig, /* until= */ NULL);
	check(up.ok);
	g_string_truncate(rig->fakes->log, 0);
	g_string_truncate(rig->states, 0);
}

void
rig_recover(Rig *rig, bool lives, Answer *recovered)
{
	rig_init(rig);
	banger_vm_restore(rig->vm, BANGER_VM_RUNNING, "", 1);
	check_int(banger_vm_get_state(rig->vm), BANGER_VM_STARTING);
	banger_vm_recover_async(rig->vm, lives, on_recovered, recovered);
	fake_ports_settle(rig->fakes);
}

void
rig_pause(Rig *rig)
{
	rig_pause_for(rig, BANGER_ERROR_NO_SPACE, "the disk is full");
}

void
rig_pause_for(Rig *rig, BangerError code, const char *text)
{
	g_autoptr(GError) why = g_error_new_literal(BANGER_ERROR, code, text);

	g_signal_emit_by_name(rig->fakes->vmm, "paused", why);
	fake_ports_settle(rig->fakes);
}

void
rig_end(Rig *rig)
{
	fake_ports_end_process(rig->fakes);
	fake_ports_settle(rig->fakes);
}

void
rig_stop(Rig *rig, unsigned timeout_s, Answer *stopped)
{
	banger_vm_stop_async(rig->vm, timeout_s, "stop", on_stopped, stopped);
	fake_ports_settle(rig->fakes);
}

void
rig_kill(Rig *rig, uint32_t signal_number, Answer *killed)
{
	banger_vm_kill_async(rig->vm, signal_number, "kill", on_killed, killed);
	fake_ports_settle(rig->fakes);
}

void
rig_recover_again(Rig *rig, Answer *recovered)
{
	banger_vm_recover_async(rig->vm, /* lives= */ true, on_recovered, recovered);
	fake_ports_settle(rig->fakes);
}

void
rig_end_whole(Rig *rig, Answer *ended)
{
	banger_vm_end_async(rig->vm, "end", on_ended_whole, ended);
	fake_ports_settle(rig->fakes);
}

void
rig_wait_guest(Rig *rig, Answer *guest)
{
	banger_vm_wait_guest_async(rig->vm, /* cancellable= */ NULL, on_guest, guest);
	fake_ports_settle(rig->fakes);
}

void
rig_check_over(Rig *rig, BangerVmState state, const char *last_error)
{
	check_int(banger_vm_get_state(rig->vm), state);
	check_str(banger_vm_get_last_error(rig->vm), last_error);
	check_int(rig->ended, 1);
	check_int(fake_ports_count_held(rig->fakes), 0);
	check(!banger_vm_get_console(rig->vm));
	check_str(banger_vm_get_boot_id(rig->vm), "");
	check_int(rig->fakes->pending->len, 0);
}
