/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a VM is found again: by the successor of the daemon that started it, or by who starts one of which nobody
 * could say whether it runs. What may run is ended only where somebody wants that, or where it is known not to. */
#include "service/base/error.h"
#include "service/engine/vm-private.h"
#include "shared/base/log.h"

#define PRIVILEGED(self) BANGER_PRIVILEGED_GET_IFACE((self)->ports->privileged)

static void
finish(GTask *task, GError *error)
{
	BangerVm *self = g_task_get_source_object(task);

	/* An answer may come so late that it is looked for once more already. */
	if (self->looking == g_task_get_task_data(task)) {
		banger_vm_drop_patience(self);
		g_clear_error(&self->stuck);
		g_clear_object(&self->looking);
	}
	if (error)
		g_task_return_error(task, error);
	else
		g_task_return_boolean(task, true);
}

/* It stays with the helper, or may do: to be looked for, or released, again. */
static void
leave_held(BangerVm *self, const char *why)
{
	g_autoptr(GError) error =
		g_error_new_literal(BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE, why);

	bn_log_error("vm=%s: %s", self->spec->id, why);
	self->held = true;
	banger_vm_settle_guest(self, error);
	banger_vm_apply(self,
			self->state == BANGER_VM_STOPPING ? BANGER_VM_EV_DIE : BANGER_VM_EV_FAIL,
			why);
}

void
banger_vm_lose(BangerVm *self, const GError *why)
{
	g_autofree char *text = g_strdup_printf("it may still run, but cannot be reached: %s; "
						"'banger vm start %s' looks for it again",
						why->message, self->spec->name);

	leave_held(self, text);
}

static void
on_released(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVm *self = g_task_get_source_object(task);
	g_autofree char *ended = NULL;
	g_autofree char *why = NULL;
	GError *error = NULL;

	if (!PRIVILEGED(self)->release_finish(self->ports->privileged, result, &ended, &error)) {
		why = g_strdup_printf(BANGER_VM_NOT_RELEASED "%s", error->message);
		leave_held(self, why);
		finish(task, error);
		return;
	}
	self->held = false;
	why = g_strdup_printf("ended while bangerd was away: %s", *ended ? ended : "unknown");
	bn_log_notice("vm=%s: %s", self->spec->id, why);
	if (self->state == BANGER_VM_STARTING) {
		g_autoptr(GError) gone =
			g_error_new_literal(BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE, why);

		banger_vm_settle_guest(self, gone);
		banger_vm_apply(self, BANGER_VM_EV_STOP, /* error= */ NULL);
	}
	banger_vm_apply(self, BANGER_VM_EV_END, self->end_wanted ? NULL : why);
	finish(task, /* error= */ NULL);
}

/* It is known to be gone, or is not wanted any more. */
static void
release(BangerVm *self, GTask *task)
{
	banger_vm_detach(self);
	PRIVILEGED(self)->release(self->ports->privileged, self->spec->id,
				  banger_vm_get_release_operation(self), on_released,
				  g_object_ref(task));
}

/* Somebody stopped it while it was looked for: its guest is asked, if there is time and a guest. */
static void
go_on_stopping(BangerVm *self, GTask *task, bool found)
{
	if (found && !g_cancellable_is_cancelled(self->looking)) {
		banger_vm_ask_shutdown(self);
		finish(task, /* error= */ NULL);
	} else {
		release(self, task);
	}
}

static void
on_guest_found(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVm *self = g_task_get_source_object(task);
	BangerGuest *guest = BANGER_GUEST(source);
	g_autoptr(GError) error = NULL;
	BangerGuestHello hello = {};

	if (!BANGER_GUEST_GET_IFACE(guest)->open_finish(guest, result, &hello, &error) &&
	    self->stuck) {
		g_clear_error(&error);
		error = g_error_copy(self->stuck);
	}
	/* It hung up, which was told; or its VMM has ended, which is seen to. */
	if (self->guest != guest) {
		finish(task, /* error= */ NULL);
		return;
	}
	self->hello = hello;
	if (self->state == BANGER_VM_STOPPING) {
		go_on_stopping(self, task, !error);
		return;
	}
	/* Else it was paused, which its VMM told before it could answer. */
	if (self->state == BANGER_VM_STARTING)
		banger_vm_apply_ready(self);
	/* They were given back when it was lost. */
	banger_vm_publish_again(self);
	/* A guest without an agent goes on, as it would have under the daemon before. */
	if (error) {
		bn_log_warning("vm=%s: its guest does not answer any more: %s", self->spec->id,
			       error->message);
		banger_vm_lose_guest(self, error);
	} else {
		bn_log_notice("vm=%s: found running", self->spec->id);
		banger_vm_settle_guest(self, /* error= */ NULL);
	}
	finish(task, /* error= */ NULL);
}

static gboolean
on_patience_lost(gpointer data)
{
	BangerVm *self = data;

	self->stuck = g_error_new_literal(BANGER_ERROR, BANGER_ERROR_TIMED_OUT,
					  "it did not answer in all that time");
	g_cancellable_cancel(self->looking);
	return G_SOURCE_REMOVE;
}

static void
on_opened(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVm *self = g_task_get_source_object(task);
	g_auto(BangerVmmHandles) handles = BANGER_VMM_HANDLES_INIT;
	GError *error = NULL;

	if (!PRIVILEGED(self)->open_finish(self->ports->privileged, result, &handles, &error)) {
		/* A helper that cannot say is no reason to end what may run. */
		if (self->state == BANGER_VM_STARTING && !banger_error_is_not_found(error)) {
			banger_vm_lose(self, error);
			finish(task, error);
			return;
		}
		g_clear_error(&error);
		release(self, task);
		return;
	}
	if (g_cancellable_is_cancelled(self->looking)) {
		release(self, task);
		return;
	}
	self->held = false;
	banger_vm_attach(self, &handles, /* fresh= */ false);
	self->end_wanted = self->state == BANGER_VM_STOPPING;
	banger_vm_begin_patience(self, on_patience_lost);
	BANGER_GUEST_GET_IFACE(self->guest)
		->open(self->guest, self->looking, on_guest_found, g_object_ref(task));
}

void
banger_vm_recover_async(BangerVm *self, bool lives, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	g_clear_object(&self->looking);
	self->looking = g_cancellable_new();
	g_task_set_task_data(task, g_object_ref(self->looking), g_object_unref);
	if (!banger_vm_state_is_live(self->state))
		banger_vm_apply(self, BANGER_VM_EV_START, /* error= */ NULL);
	if (lives && self->state == BANGER_VM_STARTING)
		PRIVILEGED(self)->open(self->ports->privileged, self->spec->id, "", on_opened,
				       g_object_ref(task));
	else
		release(self, task);
}

bool
banger_vm_recover_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
