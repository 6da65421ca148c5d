/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/engine/network.h"

#include "service/base/error.h"
#include "shared/base/cleanup.h"
#include "shared/base/log.h"

struct _BangerNetwork {
	GObject parent;

	BangerPrivileged *privileged;
	bool known;
	bool asking;
	bool has_dns;
	bool left; /* one that is not known may be there */
	BangerBridge bridge;
	GPtrArray *waiting; /* GTask */
};

G_DEFINE_FINAL_TYPE(BangerNetwork, banger_network, G_TYPE_OBJECT)

static guint signal_changed;

static void
banger_network_finalize(GObject *object)
{
	BangerNetwork *self = BANGER_NETWORK(object);

	banger_bridge_clear(&self->bridge);
	g_clear_pointer(&self->waiting, g_ptr_array_unref);
	g_clear_object(&self->privileged);
	G_OBJECT_CLASS(banger_network_parent_class)->finalize(object);
}

static void
banger_network_class_init(BangerNetworkClass *klass)
{
	G_OBJECT_CLASS(klass)->finalize = banger_network_finalize;
	signal_changed = g_signal_new("changed", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0,
				      NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
banger_network_init(BangerNetwork *self)
{
	self->bridge = (BangerBridge)BANGER_BRIDGE_INIT;
	self->waiting = g_ptr_array_new_with_free_func(g_object_unref);
}

BangerNetwork *
banger_network_new(BangerPrivileged *privileged)
{
	BangerNetwork *self = g_object_new(BANGER_TYPE_NETWORK, NULL);

	self->privileged = g_object_ref(privileged);
	return self;
}

const BangerBridge *
banger_network_get(BangerNetwork *self)
{
	return self->known ? &self->bridge : NULL;
}

static void
set_bridge(BangerNetwork *self, BangerBridge *bridge)
{
	banger_bridge_clear(&self->bridge);
	self->bridge = *bridge;
	*bridge = (BangerBridge)BANGER_BRIDGE_INIT;
	self->known = true;
	self->has_dns = self->bridge.dns[0] >= 0;
	self->left = false;
	if (*self->bridge.note)
		bn_log_notice("network: %s", self->bridge.note);
	g_signal_emit(self, signal_changed, 0);
}

/* Those that wait may ask again from within. */
static void
settle(BangerNetwork *self, const GError *error)
{
	g_autoptr(GPtrArray) waiting = g_steal_pointer(&self->waiting);

	self->waiting = g_ptr_array_new_with_free_func(g_object_unref);
	for (guint i = 0; i < waiting->len; i++) {
		GTask *task = g_ptr_array_index(waiting, i);

		if (error)
			g_task_return_error(task, g_error_copy(error));
		else
			g_task_return_boolean(task, true);
	}
}

static void
on_ensured(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerNetwork) self = data;
	g_auto(BangerBridge) bridge = BANGER_BRIDGE_INIT;
	g_autoptr(GError) error = NULL;

	self->asking = false;
	if (BANGER_PRIVILEGED_GET_IFACE(self->privileged)
		    ->ensure_bridge_finish(self->privileged, result, &bridge, &error))
		set_bridge(self, &bridge);
	settle(self, error);
}

void
banger_network_ensure_async(BangerNetwork *self, const char *operation, GCancellable *cancellable,
			    GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, cancellable, callback, data);

	if (self->known) {
		g_task_return_boolean(task, true);
		return;
	}
	g_ptr_array_add(self->waiting, g_steal_pointer(&task));
	if (self->asking)
		return;
	self->asking = true;
	BANGER_PRIVILEGED_GET_IFACE(self->privileged)
		->ensure_bridge(self->privileged, operation, on_ensured, g_object_ref(self));
}

bool
banger_network_ensure_finish(BangerNetwork *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

void
banger_network_forget(BangerNetwork *self)
{
	if (!self->known)
		return;
	self->known = false;
	banger_bridge_clear(&self->bridge);
	g_signal_emit(self, signal_changed, 0);
}

typedef struct Calling {
	BangerNetwork *network;
	const BangerNetworkCall *call;
	char *operation;
	GTask *task;
	bool again;
} Calling;

static void
end_call(Calling *calling, GError *error)
{
	calling->call->end(calling->task, error);
	g_object_unref(calling->task);
	g_free(calling->operation);
	g_object_unref(calling->network);
	g_free(calling);
}

static void on_called(GObject *source, GAsyncResult *result, gpointer data);

static void
on_made_again(GObject *source, GAsyncResult *result, gpointer data)
{
	Calling *calling = data;
	GError *error = NULL;

	if (banger_network_ensure_finish(calling->network, result, &error))
		calling->call->begin(calling->task, on_called, calling);
	else
		end_call(calling, error);
}

static void
on_called(GObject *source, GAsyncResult *result, gpointer data)
{
	Calling *calling = data;
	GError *error = NULL;

	if (calling->call->finish(calling->task, result, &error) || calling->again ||
	    !banger_error_is_not_found(error)) {
		end_call(calling, error);
		return;
	}
	/* Somebody took it away since it was made. */
	g_clear_error(&error);
	calling->again = true;
	banger_network_forget(calling->network);
	banger_network_ensure_async(calling->network, calling->operation,
				    g_task_get_cancellable(calling->task), on_made_again, calling);
}

void
banger_network_call(BangerNetwork *self, const BangerNetworkCall *call, const char *operation,
		    GTask *task)
{
	Calling *calling = g_new0(Calling, 1);

	calling->network = g_object_ref(self);
	calling->call = call;
	calling->operation = g_strdup(operation);
	calling->task = g_object_ref(task);
	call->begin(task, on_called, calling);
}

void
banger_network_find(BangerNetwork *self)
{
	self->left = !self->known;
}

bool
banger_network_is_there(BangerNetwork *self)
{
	return self->known || self->left;
}

static void
on_removed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerNetwork *self = g_task_get_source_object(task);
	GError *error = NULL;

	if (BANGER_PRIVILEGED_GET_IFACE(self->privileged)
		    ->remove_bridge_finish(self->privileged, result, &error)) {
		g_task_return_boolean(task, true);
	} else {
		self->left = !self->known;
		g_task_return_error(task, error);
	}
}

/* A VM that begins meanwhile asks for a bridge, and the helper does one thing after the other. */
void
banger_network_remove_async(BangerNetwork *self, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	if (self->asking) {
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_BUSY,
					"a VM is about to be connected with it");
		return;
	}
	banger_network_forget(self);
	self->left = false;
	BANGER_PRIVILEGED_GET_IFACE(self->privileged)
		->remove_bridge(self->privileged, on_removed, g_steal_pointer(&task));
}

bool
banger_network_remove_finish(BangerNetwork *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

bool
banger_network_take_dns(BangerNetwork *self, int ret[static 2])
{
	if (!self->known || self->bridge.dns[0] < 0)
		return false;
	ret[0] = BN_TAKE_FD(self->bridge.dns[0]);
	ret[1] = BN_TAKE_FD(self->bridge.dns[1]);
	return true;
}

bool
banger_network_has_dns(BangerNetwork *self)
{
	return self->known && self->has_dns;
}
