/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMs and the user's network: what each is called there, and how long there is one. */
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

#define PRIVILEGED(self) BANGER_PRIVILEGED_GET_IFACE((self)->ports->privileged)
#define NAMES(self)      BANGER_NAMES_GET_IFACE((self)->ports->names)

/* A setting, while there is a bridge: it outlives us. */
#define SETTING "bridge"
#define IS_LEFT "left"

/* How long a bangerd that ends waits for the helper. */
#define LEAVE_LIMIT_S 5

BangerNetwork *
banger_manager_get_network(BangerManager *self)
{
	return self->network;
}

static void
update_name(BangerManager *self, BangerVm *vm)
{
	const char *name = banger_vm_get_spec(vm)->name;
	uint32_t address = banger_vm_get_address(vm);

	if (address)
		(void)NAMES(self)->set(self->ports->names, name, address);
	else
		NAMES(self)->remove(self->ports->names, name);
}

static void
set_routing(BangerManager *self, BangerRouting routing)
{
	self->routing = routing;
	self->routing_round++;
	g_clear_error(&self->routing_error);
}

/* A question about one bridge. */
typedef struct Routing {
	BangerManager *manager;
	unsigned round;
} Routing;

static void
on_routed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autofree Routing *about = data;
	g_autoptr(BangerManager) self = about->manager;
	g_autoptr(GError) error = NULL;
	bool ok = PRIVILEGED(self)->enable_names_finish(self->ports->privileged, result, &error);

	if (!ok)
		bn_log_notice("network: this host does not know names of VMs: %s", error->message);
	if (about->round != self->routing_round)
		return;
	set_routing(self, ok ? BANGER_ROUTING_ON : BANGER_ROUTING_FAILED);
	self->routing_error = g_steal_pointer(&error);
}

static bool
is_starting_any(BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);

	for (GList *l = vms; l; l = l->next)
		if (banger_vm_get_state(l->data) == BANGER_VM_STARTING)
			return true;
	return false;
}

/* VMs do not wait for it, not even for polkit, which looks at one question after the other; and work without. */
static void
begin_routing_when_due(BangerManager *self)
{
	Routing *about;

	if (self->routing != BANGER_ROUTING_WANTED || is_starting_any(self))
		return;
	about = g_new0(Routing, 1);
	set_routing(self, BANGER_ROUTING_ASKING);
	about->manager = g_object_ref(self);
	about->round = self->routing_round;
	PRIVILEGED(self)->enable_names(self->ports->privileged, on_routed, about);
}

static void
serve_names(BangerManager *self, BangerNetwork *network)
{
	const BangerBridge *bridge = banger_network_get(network);
	const BnPrefix subnet = { .address = bridge->address & bn_prefix_mask(bridge->length),
				  .length = bridge->length };
	g_autoptr(GError) error = NULL;
	int fds[2];

	if (!banger_network_take_dns(network, fds))
		return;
	if (NAMES(self)->start(self->ports->names, fds[0], fds[1], &subnet, &error)) {
		set_routing(self, BANGER_ROUTING_WANTED);
		return;
	}
	bn_log_warning("names of VMs cannot be served, ignoring: %s", error->message);
	set_routing(self, BANGER_ROUTING_UNSERVED);
	self->routing_error = g_steal_pointer(&error);
}

static void
record_bridge(BangerManager *self, bool is_there)
{
	const char *value = is_there ? IS_LEFT : "";
	g_autofree char *before = banger_store_get_setting(self->store, SETTING);
	g_autoptr(GError) error = NULL;

	if (!g_str_equal(before, value) &&
	    !banger_store_set_setting(self->store, SETTING, value, &error))
		bn_log_error("the bridge could not be recorded, ignoring: %s", error->message);
}

static void
on_network_changed(BangerNetwork *network, BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);

	set_routing(self, BANGER_ROUTING_OFF);
	if (banger_network_get(network)) {
		record_bridge(self, /* is_there= */ true);
		serve_names(self, network);
	} else {
		NAMES(self)->stop(self->ports->names);
	}
	for (GList *l = vms; l; l = l->next) {
		update_name(self, l->data);
		/* It may be that of a bangerd before us, or its address another one now. */
		banger_vm_publish_again(l->data);
	}
	begin_routing_when_due(self);
}

void
banger_manager_watch_network(BangerManager *self)
{
	g_signal_connect_object(self->network, "changed", G_CALLBACK(on_network_changed), self, 0);
}

static void
drop_idle(BangerManager *self)
{
	if (self->network_idle)
		g_source_destroy(self->network_idle);
	g_clear_pointer(&self->network_idle, g_source_unref);
}

void
banger_manager_drop_network(BangerManager *self)
{
	drop_idle(self);
	g_clear_object(&self->network);
	g_clear_error(&self->routing_error);
}

static void
on_removed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(BangerManager) self = data;
	g_autoptr(GError) error = NULL;

	if (!banger_network_remove_finish(BANGER_NETWORK(source), result, &error))
		bn_log_notice("network: the bridge stays: %s", error->message);
	/* A VM may have asked for another one meanwhile. */
	else if (!banger_network_is_there(self->network))
		record_bridge(self, /* is_there= */ false);
}

static gboolean
on_idle(gpointer data)
{
	BangerManager *self = data;

	drop_idle(self);
	banger_network_remove_async(self->network, on_removed, g_object_ref(self));
	return G_SOURCE_REMOVE;
}

static bool
is_in_use(BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);

	for (GList *l = vms; l; l = l->next)
		if (banger_vm_get_spec(l->data)->reach != BANGER_REACH_NONE &&
		    banger_vm_state_is_live(banger_vm_get_state(l->data)))
			return true;
	return false;
}

/* Also where it could not be taken away before: then it is tried again. */
static void
update_idle(BangerManager *self)
{
	if (is_in_use(self)) {
		drop_idle(self);
	} else if (banger_network_is_there(self->network) && !self->network_idle) {
		self->network_idle = g_timeout_source_new(self->ports->bridge_idle_s * 1000);
		g_source_set_callback(self->network_idle, on_idle, self, NULL);
		(void)g_source_attach(self->network_idle, g_main_context_get_thread_default());
	}
}

void
banger_manager_update_network(BangerManager *self, BangerVm *vm)
{
	update_name(self, vm);
	begin_routing_when_due(self);
	update_idle(self);
}

bool
banger_manager_may_find_network(BangerManager *self)
{
	g_autofree char *recorded = banger_store_get_setting(self->store, SETTING);

	return g_str_equal(recorded, IS_LEFT);
}

void
banger_manager_find_network(BangerManager *self, bool is_there)
{
	/* A VM that has begun meanwhile has asked for one since. */
	if (is_there)
		banger_network_find(self->network);
	else if (!is_in_use(self))
		record_bridge(self, /* is_there= */ false);
}

static void
on_ensured(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GError) error = NULL;

	if (!banger_network_ensure_finish(BANGER_NETWORK(source), result, &error))
		bn_log_warning("the bridge of VMs that run cannot be looked at, ignoring: %s",
			       error->message);
}

/* What a bangerd before us had begun with it goes on: VMs on the bridge keep their place, and names theirs. */
void
banger_manager_recover_network(BangerManager *self)
{
	update_idle(self);
	if (is_in_use(self))
		banger_network_ensure_async(self->network, /* operation= */ "",
					    /* cancellable= */ NULL, on_ensured, NULL);
}

static void
settle_leave(GTask *task)
{
	GSource *limit = g_task_get_task_data(task);

	/* The first of the two: the helper's answer, or the limit. */
	if (g_source_is_destroyed(limit))
		return;
	g_source_destroy(limit);
	g_task_return_boolean(task, true);
}

static void
on_left(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;

	on_removed(source, result, g_object_ref(g_task_get_source_object(task)));
	settle_leave(task);
}

static gboolean
on_leave_limit(gpointer data)
{
	g_autoptr(GTask) task = g_object_ref(data);

	bn_log_warning("network: banger-helper does not answer: the bridge may stay");
	settle_leave(task);
	return G_SOURCE_REMOVE;
}

void
banger_manager_leave_network_async(BangerManager *self, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	GSource *limit;

	drop_idle(self);
	if (!banger_network_is_there(self->network) || is_in_use(self)) {
		g_task_return_boolean(task, true);
		return;
	}
	limit = g_timeout_source_new_seconds(LEAVE_LIMIT_S);
	g_source_set_callback(limit, on_leave_limit, g_object_ref(task), g_object_unref);
	(void)g_source_attach(limit, g_main_context_get_thread_default());
	g_task_set_task_data(task, limit, (GDestroyNotify)g_source_unref);
	banger_network_remove_async(self->network, on_left, g_steal_pointer(&task));
}

void
banger_manager_leave_network_finish(BangerManager *self, GAsyncResult *result)
{
	(void)g_task_propagate_boolean(G_TASK(result), /* error= */ NULL);
}
