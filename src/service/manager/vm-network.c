/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMs and the user's network: what each is called there, and how long there is one. */
#include "service/manager/manager-private.h"
#include "shared/base/log.h"

#define PRIVILEGED(self) BANGER_PRIVILEGED_GET_IFACE((self)->ports->privileged)
#define NAMES(self)      BANGER_NAMES_GET_IFACE((self)->ports->names)

BangerNetwork *
banger_manager_get_network(BangerManager *self)
{
	return self->network;
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
	GHashTableIter iter;
	BangerVm *vm;

	g_hash_table_iter_init(&iter, self->vms);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&vm))
		if (banger_vm_get_spec(vm)->reach != BANGER_REACH_NONE &&
		    banger_vm_state_is_live(banger_vm_get_state(vm))) {
			banger_network_ensure_async(self->network, /* operation= */ "",
						    /* cancellable= */ NULL, on_ensured, NULL);
			return;
		}
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

/* Those of a VM that a bangerd before us had started; or its address is another one now. */
static void
publish(BangerVm *vm)
{
	g_autoptr(GError) error = NULL;

	if (!banger_vm_publish(vm, &error))
		bn_log_warning("vm=%s: %s", banger_vm_get_spec(vm)->id, error->message);
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
	g_autoptr(GError) error = NULL;
	int fds[2];

	if (!banger_network_take_dns(network, fds))
		return;
	if (NAMES(self)->start(self->ports->names, fds[0], fds[1], &error))
		set_routing(self, BANGER_ROUTING_WANTED);
	else
		bn_log_warning("names of VMs cannot be served, ignoring: %s", error->message);
}

static void
on_network_changed(BangerNetwork *network, BangerManager *self)
{
	g_autoptr(GList) vms = banger_manager_list_vms(self);

	set_routing(self, BANGER_ROUTING_OFF);
	if (banger_network_get(network))
		serve_names(self, network);
	else
		NAMES(self)->stop(self->ports->names);
	for (GList *l = vms; l; l = l->next) {
		update_name(self, l->data);
		publish(l->data);
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

static gboolean
on_idle(gpointer data)
{
	BangerManager *self = data;

	drop_idle(self);
	banger_network_remove(self->network);
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

void
banger_manager_update_network(BangerManager *self, BangerVm *vm)
{
	update_name(self, vm);
	begin_routing_when_due(self);
	if (is_in_use(self)) {
		drop_idle(self);
	} else if (banger_network_get(self->network) && !self->network_idle) {
		self->network_idle = g_timeout_source_new(self->ports->bridge_idle_s * 1000);
		g_source_set_callback(self->network_idle, on_idle, self, NULL);
		(void)g_source_attach(self->network_idle, g_main_context_get_thread_default());
	}
}
