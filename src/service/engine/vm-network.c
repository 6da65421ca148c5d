/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM's place in the user's network: the steps of its start that are about it, and its change later. */
#include "service/base/error.h"
#include "service/engine/vm-private.h"
#include "shared/base/log.h"
#include "shared/base/str-util.h"
#include "shared/rules/ipv4.h"

#define PRIVILEGED(self) BANGER_PRIVILEGED_GET_IFACE((self)->ports->privileged)

static void
return_result(GTask *step, bool ok, GError *error)
{
	if (ok)
		g_task_return_boolean(step, true);
	else
		g_task_return_error(step, error);
}

static void
on_bridge(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	GError *error = NULL;
	bool ok = banger_network_ensure_finish(BANGER_NETWORK(source), result, &error);

	return_result(step, ok, error);
}

void
banger_vm_run_bridge(BangerVm *self, GTask *step)
{
	banger_network_ensure_async(self->network, self->operation, g_task_get_cancellable(step),
				    on_bridge, g_object_ref(step));
}

/* A tap that is taken back, and why. */
typedef struct Refusal {
	GTask *step;
	GError *why;
} Refusal;

static void
on_taken_back(GObject *source, GAsyncResult *result, gpointer data)
{
	Refusal *refusal = data;
	BangerVm *self = g_task_get_task_data(refusal->step);
	g_autoptr(GError) error = NULL;

	if (!PRIVILEGED(self)->delete_tap_finish(self->ports->privileged, result, &error))
		bn_log_warning("op=%s vm=%s: its tap could not be taken back, ignoring: %s",
			       self->operation, self->spec->id, error->message);
	g_task_return_error(refusal->step, refusal->why);
	g_object_unref(refusal->step);
	g_free(refusal);
}

/* Giving up the wait does not take the request back, and an answer can be lost. */
static void
take_back(BangerVm *self, GTask *step, GError *why)
{
	Refusal *refusal = g_new0(Refusal, 1);

	refusal->step = g_object_ref(step);
	refusal->why = why;
	PRIVILEGED(self)->delete_tap(self->ports->privileged, self->spec->id, self->operation,
				     on_taken_back, refusal);
}

/* A tap that was there before may be that of a VMM that we know nothing of: to be looked for, and left alone. One that
 * is being made cannot have any: another VM has its address. */
static void
fail_tap(BangerVm *self, GTask *step, GError *error)
{
	self->held = banger_error_is_already_exists(error) && !self->fresh;
	if (self->held)
		g_task_return_error(step, error);
	else
		take_back(self, step, error);
}

static void create_tap(BangerVm *self, GTask *step, GAsyncReadyCallback callback);

static void
finish_tap(BangerVm *self, GTask *step, GAsyncResult *result)
{
	GError *error = NULL;

	if (PRIVILEGED(self)->create_tap_finish(self->ports->privileged, result, &self->tap,
						&error))
		g_task_return_boolean(step, true);
	else
		fail_tap(self, step, error);
}

static void
on_second_tap(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;

	finish_tap(g_task_get_task_data(step), step, result);
}

static void
on_bridge_again(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	GError *error = NULL;

	if (banger_network_ensure_finish(BANGER_NETWORK(source), result, &error))
		create_tap(g_task_get_task_data(step), step, on_second_tap);
	else
		g_task_return_error(step, error);
}

static void
on_tap(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerVm *self = g_task_get_task_data(step);
	GError *error = NULL;

	if (PRIVILEGED(self)->create_tap_finish(self->ports->privileged, result, &self->tap,
						&error)) {
		g_task_return_boolean(step, true);
	} else if (g_error_matches(error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND)) {
		/* Somebody took the bridge away since it was made; it is made again, once. */
		g_clear_error(&error);
		banger_network_forget(self->network);
		banger_network_ensure_async(self->network, self->operation,
					    g_task_get_cancellable(step), on_bridge_again,
					    g_object_ref(step));
	} else {
		fail_tap(self, step, error);
	}
}

static void
create_tap(BangerVm *self, GTask *step, GAsyncReadyCallback callback)
{
	banger_tap_clear(&self->tap);
	PRIVILEGED(self)->create_tap(self->ports->privileged, self->spec->id, self->operation,
				     self->spec->host, self->spec->peer,
				     g_task_get_cancellable(step), callback, g_object_ref(step));
}

void
banger_vm_run_tap(BangerVm *self, GTask *step)
{
	create_tap(self, step, on_tap);
}

static void
on_tap_deleted(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerVm *self = g_task_get_task_data(step);
	g_autoptr(GError) error = NULL;

	if (!PRIVILEGED(self)->delete_tap_finish(self->ports->privileged, result, &error))
		bn_log_warning("op=%s vm=%s: its tap could not be removed, ignoring: %s",
			       self->operation, self->spec->id, error->message);
	g_task_return_boolean(step, true);
}

void
banger_vm_undo_tap(BangerVm *self, GTask *step)
{
	banger_tap_clear(&self->tap);
	PRIVILEGED(self)->delete_tap(self->ports->privileged, self->spec->id, self->operation,
				     on_tap_deleted, g_object_ref(step));
}

static void
on_nat(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) step = data;
	BangerVm *self = g_task_get_task_data(step);
	GError *error = NULL;
	bool ok = PRIVILEGED(self)->enable_nat_finish(self->ports->privileged, result, &error);

	return_result(step, ok, error);
}

void
banger_vm_run_nat(BangerVm *self, GTask *step)
{
	PRIVILEGED(self)->enable_nat(self->ports->privileged, self->spec->id, self->operation,
				     self->spec->reach == BANGER_REACH_LAN,
				     g_task_get_cancellable(step), on_nat, g_object_ref(step));
}

void
banger_vm_fill_network(BangerVm *self, BnNetConfig *ret)
{
	const BangerBridge *bridge = banger_network_get(self->network);

	*ret = (BnNetConfig){ .address = self->tap.address,
			      .gateway = bridge->address,
			      .prefix = bridge->length,
			      .mtu = self->tap.mtu };
	(void)bn_str_copy(ret->zone, sizeof(ret->zone), self->ports->zone);
}

static bool
has_card(BangerVm *self)
{
	return self->spec->reach != BANGER_REACH_NONE && banger_vm_state_is_live(self->state);
}

uint32_t
banger_vm_get_address(BangerVm *self)
{
	const BangerBridge *bridge = banger_network_get(self->network);

	if (!bridge || !has_card(self))
		return 0;
	return (bridge->address & bn_prefix_mask(bridge->length)) + self->spec->host;
}

typedef struct Change {
	BangerReach reach;
} Change;

static void
on_changed(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVm *self = g_task_get_source_object(task);
	Change *change = g_task_get_task_data(task);
	GError *error = NULL;
	bool ok = change->reach == BANGER_REACH_HOST
			  ? PRIVILEGED(self)->disable_nat_finish(self->ports->privileged, result,
								 &error)
			  : PRIVILEGED(self)->enable_nat_finish(self->ports->privileged, result,
								&error);

	if (ok) {
		self->spec->reach = change->reach;
		banger_vm_tell_change(self);
	}
	return_result(task, ok, error);
}

static bool
check_reach(BangerVm *self, BangerReach reach, GError **error)
{
	bool wants = reach != BANGER_REACH_NONE;

	if (!banger_vm_state_is_live(self->state) || wants == has_card(self))
		return true;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
		    "VM %s runs %s a network card, and gets %s at its next start only: stop it "
		    "first",
		    self->spec->name, wants ? "without" : "with", wants ? "one" : "rid of it");
	return false;
}

void
banger_vm_set_reach_async(BangerVm *self, BangerReach reach, const char *operation,
			  GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	Change *change = g_new0(Change, 1);
	GError *error = NULL;

	change->reach = reach;
	g_task_set_task_data(task, change, g_free);
	if (!check_reach(self, reach, &error)) {
		g_task_return_error(task, error);
	} else if (!has_card(self)) {
		self->spec->reach = reach;
		banger_vm_tell_change(self);
		g_task_return_boolean(task, true);
	} else if (reach == BANGER_REACH_HOST) {
		PRIVILEGED(self)->disable_nat(self->ports->privileged, self->spec->id, operation,
					      on_changed, g_steal_pointer(&task));
	} else {
		PRIVILEGED(self)->enable_nat(self->ports->privileged, self->spec->id, operation,
					     reach == BANGER_REACH_LAN, /* cancellable= */ NULL,
					     on_changed, g_steal_pointer(&task));
	}
}

bool
banger_vm_set_reach_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

static void
keep_peer(BangerVm *self, bool peer)
{
	self->spec->peer = peer;
	banger_vm_tell_change(self);
}

static void
on_peer_set(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GTask) task = data;
	BangerVm *self = g_task_get_source_object(task);
	GError *error = NULL;
	bool ok = PRIVILEGED(self)->set_peer_finish(self->ports->privileged, result, &error);

	if (ok)
		keep_peer(self, GPOINTER_TO_INT(g_task_get_task_data(task)));
	return_result(task, ok, error);
}

void
banger_vm_set_peer_async(BangerVm *self, bool peer, const char *operation,
			 GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	g_task_set_task_data(task, GINT_TO_POINTER(peer), NULL);
	if (has_card(self)) {
		PRIVILEGED(self)->set_peer(self->ports->privileged, self->spec->id, operation, peer,
					   on_peer_set, g_steal_pointer(&task));
	} else {
		keep_peer(self, peer);
		g_task_return_boolean(task, true);
	}
}

bool
banger_vm_set_peer_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
