/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a VM's run ends: asked for, by itself, or by a crash. */
#include <signal.h>

#include "service/base/error.h"
#include "service/engine/vm-private.h"
#include "shared/base/log.h"

#define PRIVILEGED(self) BANGER_PRIVILEGED_GET_IFACE((self)->ports->privileged)

/* Whether an end that nobody here asked for is an ordinary one. */
static bool
is_guests_own_end(const char *reason)
{
	return g_str_equal(reason, "guest") || g_str_equal(reason, "host");
}

static bool
is_panic(const char *words)
{
	return words && g_str_has_prefix(words, "Kernel panic");
}

static void
on_released(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerVm) self = data;
	g_autoptr(GError) error = NULL;
	g_autofree char *ended = NULL;
	g_autofree char *why = NULL;
	bool wanted = self->end_wanted;

	self->held =
		!PRIVILEGED(self)->release_finish(self->ports->privileged, result, &ended, &error);
	if (self->held)
		why = g_strdup_printf(BANGER_VM_NOT_RELEASED "%s", error->message);
	else if (!wanted && is_panic(self->last_words))
		why = g_strdup_printf("the guest ended: %s", self->last_words);
	else if (!wanted)
		why = g_strdup_printf("the VMM ended unasked: %s; see 'banger vm logs %s'", ended,
				      self->spec->name);
	banger_vm_apply(self, wanted && !self->held ? BANGER_VM_EV_END : BANGER_VM_EV_DIE, why);
}

const char *
banger_vm_get_release_operation(BangerVm *self)
{
	return self->end_operation ? self->end_operation : self->operation;
}

static void
release(BangerVm *self)
{
	PRIVILEGED(self)->release(self->ports->privileged, self->spec->id,
				  banger_vm_get_release_operation(self), on_released,
				  g_object_ref(self));
}

/* From now on an end is wanted, and is of this operation. */
static void
want_end(BangerVm *self, const char *operation)
{
	self->end_wanted = true;
	g_free(self->end_operation);
	self->end_operation = g_strdup(operation);
}

gboolean
banger_vm_on_process_end(int fd, GIOCondition condition, gpointer data)
{
	BangerVm *self = data;

	/* While it is starting, the runner notices by itself: the agent's connection is closed too. */
	if (self->state == BANGER_VM_STARTING || self->bring_up)
		return G_SOURCE_REMOVE;
	g_free(self->last_words);
	self->last_words = BANGER_CONSOLE_GET_IFACE(self->console)->get_last_words(self->console);
	/* A kernel that panics reboots, like one that is told to. */
	if (is_guests_own_end(BANGER_VMM_GET_IFACE(self->vmm)->get_end_reason(self->vmm)) &&
	    !is_panic(self->last_words))
		self->end_wanted = true;
	banger_vm_detach(self);
	release(self);
	return G_SOURCE_REMOVE;
}

static void
drop_limit(GSource *limit)
{
	g_source_destroy(limit);
	g_source_unref(limit);
}

void
banger_vm_end_now(BangerVm *self)
{
	if (self->looking) {
		g_cancellable_cancel(self->looking);
	} else if (self->process) {
		banger_vm_detach(self);
		release(self);
	}
}

static gboolean
on_limit(gpointer data)
{
	BangerVm *self = data;

	bn_log_notice("vm=%s: the guest did not shut down in time, ending it", self->spec->id);
	banger_vm_end_now(self);
	return G_SOURCE_REMOVE;
}

static void
on_shutdown(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerVm) self = data;
	BangerGuest *guest = BANGER_GUEST(source);
	g_autoptr(GError) error = NULL;

	if (BANGER_GUEST_GET_IFACE(guest)->shutdown_finish(guest, result, &error))
		return;
	/* The VMM may have gone first, which is what was wanted. */
	if (self->guest != guest)
		return;
	bn_log_notice("vm=%s: the guest cannot be asked to shut down, ending it: %s",
		      self->spec->id, error->message);
	banger_vm_end_now(self);
}

void
banger_vm_ask_shutdown(BangerVm *self)
{
	BANGER_GUEST_GET_IFACE(self->guest)
		->shutdown(self->guest, /* cancellable= */ NULL, on_shutdown, g_object_ref(self));
}

/* `task` succeeds when the VMM is gone and released, and fails where it is gone only for us. */
static void
wait_end(BangerVm *self, GTask *task)
{
	g_ptr_array_add(self->waiting_end, g_object_ref(task));
}

/* Fires when the guest has not ended by itself; goes with who waits for that. */
static void
limit_end(BangerVm *self, GTask *task, unsigned timeout_s)
{
	GSource *limit = g_timeout_source_new_seconds(timeout_s);

	g_source_set_callback(limit, on_limit, self, NULL);
	(void)g_source_attach(limit, g_main_context_get_thread_default());
	g_task_set_task_data(task, limit, (GDestroyNotify)drop_limit);
}

static void
stop(BangerVm *self, GTask *task, unsigned timeout_s, const char *operation)
{
	BangerVmState before = self->state;
	GError *error = NULL;

	if (before == BANGER_VM_STOPPING) {
		/* Asked once more: now without patience, if it says so. A start that is being undone ends it anyway. */
		wait_end(self, task);
		if (timeout_s == 0 && !self->bring_up)
			banger_vm_end_now(self);
		return;
	}
	if (!banger_vm_check_event(self, BANGER_VM_EV_STOP, &error)) {
		g_task_return_error(task, error);
		return;
	}
	banger_vm_apply(self, BANGER_VM_EV_STOP, /* error= */ NULL);
	want_end(self, operation);
	wait_end(self, task);
	if (before == BANGER_VM_STARTING && self->bring_up) {
		/* The end comes through the failure of the start. */
		g_cancellable_cancel(self->bring_up);
		return;
	}
	/* A paused guest cannot answer; one that is looked for is asked when it is found. */
	if (timeout_s == 0 || before == BANGER_VM_PAUSED || (!self->guest && !self->looking)) {
		banger_vm_end_now(self);
		return;
	}
	limit_end(self, task, timeout_s);
	if (!self->looking)
		banger_vm_ask_shutdown(self);
}

void
banger_vm_stop_async(BangerVm *self, unsigned timeout_s, const char *operation,
		     GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	stop(self, task, timeout_s, operation);
}

bool
banger_vm_stop_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

static void
on_signalled(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerPrivileged *privileged = BANGER_PRIVILEGED(source);
	BangerVm *self = g_task_get_source_object(task);
	GError *error = NULL;

	if (!BANGER_PRIVILEGED_GET_IFACE(privileged)->signal_finish(privileged, result, &error)) {
		/* What ends it now is not this; of an end that has come already that is decided. */
		if (self->process && self->state != BANGER_VM_STOPPING) {
			self->end_wanted = false;
			g_clear_pointer(&self->end_operation, g_free);
		}
		g_task_return_error(task, error);
	} else if (banger_vm_state_is_live(self->state) &&
		   GPOINTER_TO_UINT(g_task_get_task_data(task)) == SIGKILL) {
		wait_end(self, task); /* whoever pulls the plug wants it to be out */
	} else {
		g_task_return_boolean(task, true);
	}
}

void
banger_vm_kill_async(BangerVm *self, uint32_t signal_number, const char *operation,
		     GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	if (!self->process) {
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
					"VM %s is in state %s: nothing runs", self->spec->name,
					banger_vm_state_to_string(self->state));
		return;
	}
	g_task_set_task_data(task, GUINT_TO_POINTER(signal_number), NULL);
	/* The others are the VMM's own affair: should it end later, nobody asked for that. */
	if (signal_number != SIGUSR1 && signal_number != SIGUSR2 &&
	    self->state != BANGER_VM_STOPPING)
		want_end(self, operation);
	PRIVILEGED(self)->signal(self->ports->privileged, self->spec->id, operation, signal_number,
				 on_signalled, g_steal_pointer(&task));
}

bool
banger_vm_kill_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

static void
on_held_released(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVm *self = g_task_get_source_object(task);
	g_autofree char *ended = NULL;
	GError *error = NULL;

	self->held =
		!PRIVILEGED(self)->release_finish(self->ports->privileged, result, &ended, &error);
	if (error)
		g_prefix_error(&error, BANGER_VM_NOT_RELEASED);
	if (error)
		g_task_return_error(task, error);
	else
		g_task_return_boolean(task, true);
}

void
banger_vm_end_async(BangerVm *self, const char *operation, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	if (banger_vm_state_is_live(self->state)) {
		stop(self, task, /* timeout_s= */ 0, operation);
	} else if (self->bring_up) {
		/* Its disk is being made. */
		wait_end(self, task);
		g_cancellable_cancel(self->bring_up);
	} else if (self->held) {
		PRIVILEGED(self)->release(self->ports->privileged, self->spec->id, operation,
					  on_held_released, g_steal_pointer(&task));
	} else {
		g_task_return_boolean(task, true);
	}
}

bool
banger_vm_end_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
