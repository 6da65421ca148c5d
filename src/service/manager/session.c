/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMs and the user's session: the host waits for them when it goes down, they hear that it has slept, and all of them
 * are stopped when the session ends. */
#include "service/base/error.h"
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

#define SESSION(self) BANGER_SESSION_GET_IFACE((self)->ports->session)

static unsigned
count_live(BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);
	unsigned n = 0;

	for (GList *l = vms; l; l = l->next)
		n += banger_vm_state_is_live(banger_vm_get_state(l->data));
	return n;
}

void
banger_manager_update_session(BangerManager *self)
{
	SESSION(self)->hold(self->ports->session, count_live(self));
}

/* Ends when every VM has ended that ran: each of them holds one count. */
typedef struct Stopping {
	unsigned pending;
} Stopping;

static void
unpend(GTask *task)
{
	Stopping *stopping = g_task_get_task_data(task);

	if (--stopping->pending == 0)
		g_task_return_boolean(task, true);
}

static void
on_stopped(BangerJob *job, GTask *task)
{
	g_signal_handlers_disconnect_by_data(job, task);
	unpend(task);
	g_object_unref(task);
}

static void
stop_one(BangerManager *self, GTask *task, BangerVm *vm, unsigned timeout_s)
{
	Stopping *stopping = g_task_get_task_data(task);
	g_autoptr(GError) error = NULL;
	BangerJob *job = banger_manager_stop_vm(self, vm, timeout_s, /* operation= */ NULL, &error);

	if (!job) {
		bn_log_warning("vm=%s: it cannot be stopped, ignoring: %s",
			       banger_vm_get_spec(vm)->id, error->message);
		return;
	}
	stopping->pending++;
	g_signal_connect(job, "finished", G_CALLBACK(on_stopped), g_object_ref(task));
}

void
banger_manager_stop_all_async(BangerManager *self, unsigned timeout_s, GAsyncReadyCallback callback,
			      void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	g_autoptr(GList) vms = banger_manager_list_vms(self);
	Stopping *stopping = g_new0(Stopping, 1);

	stopping->pending = 1;
	g_task_set_task_data(task, stopping, g_free);
	for (GList *l = vms; l; l = l->next)
		if (banger_vm_state_is_live(banger_vm_get_state(l->data)))
			stop_one(self, task, l->data, timeout_s);
	unpend(task);
}

void
banger_manager_stop_all_finish(BangerManager *self, GAsyncResult *result)
{
	(void)g_task_propagate_boolean(G_TASK(result), /* error= */ NULL);
}

static void
on_all_stopped(GObject *source, GAsyncResult *result, gpointer data)
{
	banger_manager_stop_all_finish(BANGER_MANAGER(source), result);
}

static void
on_shutdown(BangerSession *session, BangerManager *self)
{
	bn_log_notice("the host is about to go down: stopping %u VMs", count_live(self));
	banger_manager_stop_all_async(self, BANGER_MANAGER_END_S, on_all_stopped, NULL);
}

static void
on_resumed(BangerSession *session, BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);

	for (GList *l = vms; l; l = l->next)
		banger_vm_set_clock(l->data);
}

void
banger_manager_watch_session(BangerManager *self)
{
	g_signal_connect_object(self->ports->session, "shutdown", G_CALLBACK(on_shutdown), self, 0);
	g_signal_connect_object(self->ports->session, "resumed", G_CALLBACK(on_resumed), self, 0);
	banger_manager_update_session(self);
}
