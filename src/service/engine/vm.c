/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/engine/vm.h"

#include <glib-unix.h>

#include "service/base/error.h"
#include "service/engine/vm-private.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"

G_DEFINE_FINAL_TYPE(BangerVm, banger_vm, G_TYPE_OBJECT)

#define AGENT_GONE "the guest's agent is gone"

enum { SIGNAL_CHANGED, SIGNAL_ENDED, N_SIGNALS };
static guint signals[N_SIGNALS];

static void
banger_vm_finalize(GObject *object)
{
	BangerVm *self = BANGER_VM(object);

	banger_vm_detach(self);
	banger_vm_drop_files(self);
	g_clear_object(&self->kvm);
	g_clear_object(&self->network);
	g_clear_pointer(&self->spec, banger_vm_spec_free);
	g_free(self->last_error);
	g_free(self->last_words);
	g_free(self->end_operation);
	g_clear_error(&self->stuck);
	g_clear_object(&self->looking);
	g_free(self->accelerator_reason);
	g_hash_table_unref(self->missing);
	g_ptr_array_unref(self->waiting_guest);
	g_ptr_array_unref(self->waiting_end);
	G_OBJECT_CLASS(banger_vm_parent_class)->finalize(object);
}

static void
banger_vm_class_init(BangerVmClass *klass)
{
	GType type = G_TYPE_FROM_CLASS(klass);

	G_OBJECT_CLASS(klass)->finalize = banger_vm_finalize;
	signals[SIGNAL_CHANGED] = g_signal_new("changed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
					       NULL, G_TYPE_NONE, 0);
	signals[SIGNAL_ENDED] =
		g_signal_new("ended", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
banger_vm_init(BangerVm *self)
{
	self->state = BANGER_VM_CREATED;
	self->last_error = g_strdup("");
	self->operation = "";
	self->process_fd = -1;
	self->kernel_fd = -1;
	self->initramfs_fd = -1;
	self->tap = (BangerTap)BANGER_TAP_INIT;
	self->missing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	self->waiting_guest = g_ptr_array_new_with_free_func(g_object_unref);
	self->waiting_end = g_ptr_array_new_with_free_func(g_object_unref);
}

BangerVm *
banger_vm_new(const BangerVmSpec *spec, const BangerPorts *ports, BangerKvmVerdict *kvm,
	      BangerNetwork *network)
{
	BangerVm *self = g_object_new(BANGER_TYPE_VM, NULL);

	self->spec = banger_vm_spec_dup(spec);
	self->ports = ports;
	self->kvm = g_object_ref(kvm);
	self->network = g_object_ref(network);
	return self;
}

void
banger_vm_restore(BangerVm *self, BangerVmState state, const char *last_error, int64_t started_us)
{
	/* What was live is looked for: until it is found, it is coming up. */
	self->state = banger_vm_state_is_live(state) ? BANGER_VM_STARTING : state;
	self->started_us = started_us;
	g_free(self->last_error);
	self->last_error = g_strdup(last_error);
}

void
banger_vm_tell_change(BangerVm *self)
{
	g_signal_emit(self, signals[SIGNAL_CHANGED], 0);
}

const BangerVmSpec *
banger_vm_get_spec(BangerVm *self)
{
	return self->spec;
}

BangerVmState
banger_vm_get_state(BangerVm *self)
{
	return self->state;
}

const char *
banger_vm_get_last_error(BangerVm *self)
{
	return self->last_error;
}

int64_t
banger_vm_get_started_us(BangerVm *self)
{
	return self->started_us;
}

const char *
banger_vm_get_accelerator(BangerVm *self)
{
	if (!self->accelerator_reason)
		return "";
	return self->uses_kvm ? "kvm" : "emulation";
}

const char *
banger_vm_get_accelerator_reason(BangerVm *self)
{
	return self->accelerator_reason ? self->accelerator_reason : "";
}

const char *
banger_vm_get_boot_id(BangerVm *self)
{
	return self->hello.boot_id;
}

bool
banger_vm_is_held(BangerVm *self)
{
	return self->held;
}

bool
banger_vm_is_being_made(BangerVm *self)
{
	return self->bring_up && self->state == BANGER_VM_CREATED;
}

void
banger_vm_begin_deletion(BangerVm *self)
{
	self->deletions++;
}

void
banger_vm_give_up_deletion(BangerVm *self)
{
	self->deletions--;
}

bool
banger_vm_is_being_deleted(BangerVm *self)
{
	return self->deletions > 0;
}

bool
banger_vm_is_attended(BangerVm *self)
{
	return self->bring_up || self->looking || self->process;
}

static void
on_clock_set(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerVm) self = data;
	BangerGuest *guest = BANGER_GUEST(source);
	g_autoptr(GError) error = NULL;

	if (!BANGER_GUEST_GET_IFACE(guest)->set_clock_finish(guest, result, &error))
		bn_log_warning("vm=%s: its clock could not be set, ignoring: %s", self->spec->id,
			       error->message);
}

void
banger_vm_set_clock(BangerVm *self)
{
	if (self->state == BANGER_VM_RUNNING && self->guest)
		BANGER_GUEST_GET_IFACE(self->guest)
			->set_clock(self->guest, /* cancellable= */ NULL, on_clock_set,
				    g_object_ref(self));
}

BangerConsole *
banger_vm_get_console(BangerVm *self)
{
	return self->console;
}

bool
banger_vm_check_event(BangerVm *self, BangerVmEvent event, GError **error)
{
	if (event == BANGER_VM_EV_START && self->deletions > 0) {
		g_set_error(error, BANGER_ERROR, BANGER_ERROR_BUSY, "VM %s is being deleted",
			    self->spec->name);
		return false;
	}
	if (banger_vm_fsm_next(self->state, event) != _BANGER_VM_STATE_INVALID)
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
		    "VM %s is in state %s: cannot %s it now", self->spec->name,
		    banger_vm_state_to_string(self->state), banger_vm_event_to_string(event));
	return false;
}

/* Answers who waits for a guest that will not come, because its VM was stopped before it was found. */
static void
refuse_guest(BangerVm *self)
{
	g_autoptr(GError) error = g_error_new(
		BANGER_ERROR, BANGER_ERROR_INVALID_STATE, "VM %s is in state %s: start it first",
		self->spec->name, banger_vm_state_to_string(self->state));

	banger_vm_settle_guest(self, error);
}

void
banger_vm_settle_end(BangerVm *self)
{
	g_autoptr(GPtrArray) waiting = g_steal_pointer(&self->waiting_end);

	self->waiting_end = g_ptr_array_new_with_free_func(g_object_unref);
	for (guint i = 0; i < waiting->len; i++) {
		GTask *task = g_ptr_array_index(waiting, i);

		if (self->held)
			g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_FAILED, "%s",
						self->last_error);
		else
			g_task_return_boolean(task, true);
	}
}

void
banger_vm_apply(BangerVm *self, BangerVmEvent event, const char *error)
{
	BangerVmState next = banger_vm_fsm_next(self->state, event);

	if (next == _BANGER_VM_STATE_INVALID) {
		g_warning("VM %s: event %s in state %s, ignoring", self->spec->id,
			  banger_vm_event_to_string(event), banger_vm_state_to_string(self->state));
		return;
	}
	self->state = next;
	g_free(self->last_error);
	self->last_error = g_strdup(error ? error : "");
	g_signal_emit(self, signals[SIGNAL_CHANGED], 0);
	if (!banger_vm_state_is_live(next)) {
		g_clear_pointer(&self->end_operation, g_free);
		banger_vm_withdraw(self);
		g_signal_emit(self, signals[SIGNAL_ENDED], 0);
		/* Last: who is answered may begin something new with it. */
		refuse_guest(self);
		banger_vm_settle_end(self);
	}
}

static void
watch_process(BangerVm *self)
{
	self->process = g_unix_fd_source_new(self->process_fd, G_IO_IN);
	g_source_set_callback(self->process, G_SOURCE_FUNC(banger_vm_on_process_end), self, NULL);
	(void)g_source_attach(self->process, g_main_context_get_thread_default());
}

void
banger_vm_apply_ready(BangerVm *self)
{
	banger_vm_apply(self, BANGER_VM_EV_READY, /* error= */ NULL);
	/* Its end was left to the start to notice, which had its last answer already. */
	if (self->process && g_source_is_destroyed(self->process)) {
		g_source_unref(self->process);
		watch_process(self);
	}
}

static void
on_paused(BangerVmm *vmm, const GError *why, BangerVm *self)
{
	if (self->state == BANGER_VM_STARTING && self->bring_up) {
		/* It cannot come up like this, and nobody would notice. */
		g_clear_error(&self->stuck);
		self->stuck = g_error_copy(why);
		g_cancellable_cancel(self->bring_up);
		return;
	}
	/* A daemon before this one saw it running; its agent answers when it goes on. */
	if (self->state == BANGER_VM_STARTING)
		banger_vm_apply_ready(self);
	if (banger_vm_fsm_next(self->state, BANGER_VM_EV_PAUSE) != _BANGER_VM_STATE_INVALID)
		banger_vm_apply(self, BANGER_VM_EV_PAUSE, why->message);
}

static void
on_resumed(BangerVmm *vmm, BangerVm *self)
{
	if (banger_vm_fsm_next(self->state, BANGER_VM_EV_RESUME) != _BANGER_VM_STATE_INVALID)
		banger_vm_apply(self, BANGER_VM_EV_RESUME, self->guest ? NULL : AGENT_GONE);
}

void
banger_vm_lose_guest(BangerVm *self, const GError *why)
{
	banger_vm_settle_guest(self, why);
	if (self->state == BANGER_VM_PAUSED)
		g_clear_object(
			&self->guest); /* told when it goes on: why it is paused matters more */
	if (self->state != BANGER_VM_RUNNING)
		return;
	g_free(self->last_error);
	self->last_error = g_strdup_printf(AGENT_GONE ": %s", why->message);
	g_clear_object(&self->guest);
	g_signal_emit(self, signals[SIGNAL_CHANGED], 0);
}

static void
on_guest_closed(BangerGuest *guest, const GError *error, BangerVm *self)
{
	banger_vm_lose_guest(self, error);
}

void
banger_vm_attach(BangerVm *self, BangerVmmHandles *handles, bool fresh)
{
	self->process_fd = BN_TAKE_FD(handles->process);
	self->end_wanted = false;
	self->vmm = self->ports->vmm_new(BN_TAKE_FD(handles->control));
	g_signal_connect(self->vmm, "paused", G_CALLBACK(on_paused), self);
	g_signal_connect(self->vmm, "resumed", G_CALLBACK(on_resumed), self);
	self->guest = self->ports->guest_new(BN_TAKE_FD(handles->agent));
	g_signal_connect(self->guest, "closed", G_CALLBACK(on_guest_closed), self);
	self->console =
		self->ports->console_new(self->spec->id, BN_TAKE_FD(handles->console), fresh);
	watch_process(self);
}

void
banger_vm_detach(BangerVm *self)
{
	if (self->process) {
		g_source_destroy(self->process);
		g_clear_pointer(&self->process, g_source_unref);
		bn_closep(&self->process_fd);
	}
	if (self->vmm)
		g_signal_handlers_disconnect_by_data(self->vmm, self);
	if (self->guest)
		g_signal_handlers_disconnect_by_data(self->guest, self);
	g_clear_object(&self->vmm);
	g_clear_object(&self->guest);
	g_clear_object(&self->console);
	memset(&self->hello, 0, sizeof(self->hello));
}

void
banger_vm_settle_guest(BangerVm *self, const GError *error)
{
	g_autoptr(GPtrArray) waiting = g_steal_pointer(&self->waiting_guest);

	self->waiting_guest = g_ptr_array_new_with_free_func(g_object_unref);
	for (guint i = 0; i < waiting->len; i++) {
		GTask *task = g_ptr_array_index(waiting, i);

		if (error)
			g_task_return_error(task, g_error_copy(error));
		else
			g_task_return_pointer(task, g_object_ref(self->guest), g_object_unref);
	}
}

static void
on_looked_again(GObject *source, GAsyncResult *result, gpointer data)
{
	/* Who waits has been answered, and what went wrong is in LastError. */
	(void)banger_vm_recover_finish(BANGER_VM(source), result, /* error= */ NULL);
}

void
banger_vm_wait_guest_async(BangerVm *self, GCancellable *cancellable, GAsyncReadyCallback callback,
			   void *data)
{
	g_autoptr(GTask) task = g_task_new(self, cancellable, callback, data);

	/* Nobody could say whether it runs; by now somebody may. */
	if (self->held && self->state == BANGER_VM_ERROR && self->deletions == 0)
		banger_vm_recover_async(self, /* lives= */ true, on_looked_again, /* data= */ NULL);
	if (self->state == BANGER_VM_STARTING)
		g_ptr_array_add(self->waiting_guest, g_steal_pointer(&task));
	else if (self->state != BANGER_VM_RUNNING)
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
					"VM %s is in state %s: start it first", self->spec->name,
					banger_vm_state_to_string(self->state));
	else if (!self->guest)
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE, "%s",
					*self->last_error ? self->last_error
							  : "its VMM has just ended");
	else
		g_task_return_pointer(task, g_object_ref(self->guest), g_object_unref);
}

BangerGuest *
banger_vm_wait_guest_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_pointer(G_TASK(result), error);
}
