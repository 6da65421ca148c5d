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

static void
begin_tap(GTask *step, GAsyncReadyCallback callback, void *data)
{
	BangerVm *self = g_task_get_task_data(step);

	banger_tap_clear(&self->tap);
	PRIVILEGED(self)->create_tap(self->ports->privileged, self->spec->id, self->operation,
				     self->spec->host, self->spec->peer,
				     g_task_get_cancellable(step), callback, data);
}

static bool
finish_tap(GTask *step, GAsyncResult *result, GError **error)
{
	BangerVm *self = g_task_get_task_data(step);

	return PRIVILEGED(self)->create_tap_finish(self->ports->privileged, result, &self->tap,
						   error);
}

static void
end_tap(GTask *step, GError *error)
{
	if (error)
		fail_tap(g_task_get_task_data(step), step, error);
	else
		g_task_return_boolean(step, true);
}

void
banger_vm_run_tap(BangerVm *self, GTask *step)
{
	static const BangerNetworkCall call = { begin_tap, finish_tap, end_tap };

	banger_network_call(self->network, &call, self->operation, step);
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
begin_nat(GTask *step, GAsyncReadyCallback callback, void *data)
{
	BangerVm *self = g_task_get_task_data(step);

	PRIVILEGED(self)->enable_nat(self->ports->privileged, self->spec->id, self->operation,
				     self->spec->reach == BANGER_REACH_LAN,
				     g_task_get_cancellable(step), callback, data);
}

static bool
finish_nat(GTask *step, GAsyncResult *result, GError **error)
{
	BangerVm *self = g_task_get_task_data(step);

	return PRIVILEGED(self)->enable_nat_finish(self->ports->privileged, result, error);
}

static void
end_nat(GTask *step, GError *error)
{
	return_result(step, !error, error);
}

void
banger_vm_run_nat(BangerVm *self, GTask *step)
{
	static const BangerNetworkCall call = { begin_nat, finish_nat, end_nat };

	banger_network_call(self->network, &call, self->operation, step);
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
	char *operation;
	BangerReach reach; /* of the two, the one that changes */
	bool peer;
} Change;

static void
change_free(Change *change)
{
	g_free(change->operation);
	g_free(change);
}

static GTask *
begin_change(BangerVm *self, BangerReach reach, bool peer, const char *operation,
	     GAsyncReadyCallback callback, void *data)
{
	GTask *task = g_task_new(self, /* cancellable= */ NULL, callback, data);
	Change *change = g_new0(Change, 1);

	*change = (Change){ .operation = g_strdup(operation), .reach = reach, .peer = peer };
	g_task_set_task_data(task, change, (GDestroyNotify)change_free);
	return task;
}

static void
begin_reach(GTask *task, GAsyncReadyCallback callback, void *data)
{
	BangerVm *self = g_task_get_source_object(task);
	const Change *change = g_task_get_task_data(task);

	if (change->reach == BANGER_REACH_HOST)
		PRIVILEGED(self)->disable_nat(self->ports->privileged, self->spec->id,
					      change->operation, callback, data);
	else
		PRIVILEGED(self)->enable_nat(self->ports->privileged, self->spec->id,
					     change->operation, change->reach == BANGER_REACH_LAN,
					     /* cancellable= */ NULL, callback, data);
}

static bool
finish_reach(GTask *task, GAsyncResult *result, GError **error)
{
	BangerVm *self = g_task_get_source_object(task);
	const Change *change = g_task_get_task_data(task);

	return change->reach == BANGER_REACH_HOST
		       ? PRIVILEGED(self)->disable_nat_finish(self->ports->privileged, result,
							      error)
		       : PRIVILEGED(self)->enable_nat_finish(self->ports->privileged, result,
							     error);
}

static void
end_reach(GTask *task, GError *error)
{
	BangerVm *self = g_task_get_source_object(task);
	const Change *change = g_task_get_task_data(task);

	if (!error) {
		self->spec->reach = change->reach;
		banger_vm_tell_change(self);
	}
	return_result(task, !error, error);
}

bool
banger_vm_check_reach(BangerVm *self, BangerReach reach, GError **error)
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
	static const BangerNetworkCall call = { begin_reach, finish_reach, end_reach };
	g_autoptr(GTask) task =
		begin_change(self, reach, /* peer= */ false, operation, callback, data);
	GError *error = NULL;

	if (!banger_vm_check_reach(self, reach, &error))
		g_task_return_error(task, error);
	else if (has_card(self))
		banger_network_call(self->network, &call, operation, task);
	else
		end_reach(task, /* error= */ NULL);
}

bool
banger_vm_set_reach_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}

static void
begin_peer(GTask *task, GAsyncReadyCallback callback, void *data)
{
	BangerVm *self = g_task_get_source_object(task);
	const Change *change = g_task_get_task_data(task);

	PRIVILEGED(self)->set_peer(self->ports->privileged, self->spec->id, change->operation,
				   change->peer, callback, data);
}

static bool
finish_peer(GTask *task, GAsyncResult *result, GError **error)
{
	BangerVm *self = g_task_get_source_object(task);

	return PRIVILEGED(self)->set_peer_finish(self->ports->privileged, result, error);
}

static void
end_peer(GTask *task, GError *error)
{
	BangerVm *self = g_task_get_source_object(task);
	const Change *change = g_task_get_task_data(task);

	if (!error) {
		self->spec->peer = change->peer;
		banger_vm_tell_change(self);
	}
	return_result(task, !error, error);
}

void
banger_vm_set_peer_async(BangerVm *self, bool peer, const char *operation,
			 GAsyncReadyCallback callback, void *data)
{
	static const BangerNetworkCall call = { begin_peer, finish_peer, end_peer };
	g_autoptr(GTask) task =
		begin_change(self, _BANGER_REACH_INVALID, peer, operation, callback, data);

	if (has_card(self))
		banger_network_call(self->network, &call, operation, task);
	else
		end_peer(task, /* error= */ NULL);
}

bool
banger_vm_set_peer_finish(BangerVm *self, GAsyncResult *result, GError **error)
{
	return g_task_propagate_boolean(G_TASK(result), error);
}
