/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The helper of the faked world. */
#include <fcntl.h>

#include "fakes/fake-ports-private.h"
#include "test.h"

static void
hand_out_vmm(BangerVmmHandles *ret)
{
	ret->control = fake_hand_out();
	ret->agent = fake_hand_out();
	ret->console = fake_hand_out();
	ret->process = fake_hand_out();
	fake_world->process = g_array_index(fake_world->peers, int, fake_world->peers->len - 1);
}

static void
probe_kvm(BangerPrivileged *self, GCancellable *cancellable, GAsyncReadyCallback callback,
	  void *data)
{
	fake_ask(self, "probe", cancellable, callback, data);
}

static bool
probe_kvm_finish(BangerPrivileged *self, GAsyncResult *result, bool *ret_usable, char **ret_reason,
		 GError **error)
{
	if (!fake_finish(result, error))
		return false;
	*ret_usable = fake_world->kvm_usable;
	*ret_reason = g_strdup("the fake says so");
	return true;
}

static void
ensure_bridge(BangerPrivileged *self, const char *operation, GAsyncReadyCallback callback,
	      void *data)
{
	fake_ask(self, "bridge", /* cancellable= */ NULL, callback, data);
}

static bool
ensure_bridge_finish(BangerPrivileged *self, GAsyncResult *result, BangerBridge *ret,
		     GError **error)
{
	if (!fake_finish(result, error))
		return false;
	*ret = (BangerBridge){ .interface = g_strdup("bgr-u1000"),
			       .address = FAKE_SUBNET + 1,
			       .length = 22,
			       .dns = { fake_world->has_dns ? fake_hand_out() : -1,
					fake_world->has_dns ? fake_hand_out() : -1 },
			       .note = g_strdup(fake_world->note ? fake_world->note : "") };
	return true;
}

static void
remove_bridge(BangerPrivileged *self, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "no-bridge", /* cancellable= */ NULL, callback, data);
}

static void
create_tap(BangerPrivileged *self, const char *vm, const char *operation, uint32_t host, bool peer,
	   GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	fake_world->host = host;
	fake_ask(self, "tap", cancellable, callback, data);
}

static bool
create_tap_finish(BangerPrivileged *self, GAsyncResult *result, BangerTap *ret, GError **error)
{
	if (!fake_finish(result, error))
		return false;
	*ret = (BangerTap){ .fd = fake_hand_out(),
			    .address = FAKE_SUBNET + fake_world->host,
			    .mtu = 1500 };
	fake_world->tap = ret->fd;
	return true;
}

static void
delete_tap(BangerPrivileged *self, const char *vm, const char *operation,
	   GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "untap", /* cancellable= */ NULL, callback, data);
}

static void
set_peer(BangerPrivileged *self, const char *vm, const char *operation, bool peer,
	 GAsyncReadyCallback callback, void *data)
{
	fake_world->peer = peer;
	fake_ask(self, "peer", /* cancellable= */ NULL, callback, data);
}

static void
enable_nat(BangerPrivileged *self, const char *vm, const char *operation, bool lan,
	   GCancellable *cancellable, GAsyncReadyCallback callback, void *data)
{
	fake_world->lan = lan;
	fake_ask(self, "nat", cancellable, callback, data);
}

static void
disable_nat(BangerPrivileged *self, const char *vm, const char *operation,
	    GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "no-nat", /* cancellable= */ NULL, callback, data);
}

static void
enable_names(BangerPrivileged *self, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "names", /* cancellable= */ NULL, callback, data);
}

static bool
finish_plain(BangerPrivileged *self, GAsyncResult *result, GError **error)
{
	return fake_finish(result, error);
}

static void
launch(BangerPrivileged *self, const BangerLaunch *request, GCancellable *cancellable,
       GAsyncReadyCallback callback, void *data)
{
	check_int(request->spec->n_disks, 2);
	check_int(request->spec->kvm, fake_world->kvm_usable);
	check_int(request->kernel, fake_world->kernel);
	check_int(request->initramfs, fake_world->initramfs);
	check_int(request->network, request->spec->network ? fake_world->tap : -1);
	for (unsigned i = 0; i < request->spec->n_disks; i++)
		check(fcntl(request->disks[i], F_GETFD) >= 0);
	fake_ask(self, "launch", cancellable, callback, data);
}

static bool
launch_finish(BangerPrivileged *self, GAsyncResult *result, BangerVmmHandles *ret, GError **error)
{
	if (!fake_finish(result, error))
		return false;
	hand_out_vmm(ret);
	return true;
}

static void
open_vmm(BangerPrivileged *self, const char *vm, const char *operation,
	 GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "open", /* cancellable= */ NULL, callback, data);
}

static void
send_signal(BangerPrivileged *self, const char *vm, const char *operation, uint32_t signal_number,
	    GAsyncReadyCallback callback, void *data)
{
	fake_world->signal_number = signal_number;
	fake_ask(self, "signal", /* cancellable= */ NULL, callback, data);
}

static void
release(BangerPrivileged *self, const char *vm, const char *operation, GAsyncReadyCallback callback,
	void *data)
{
	(void)g_strlcpy(fake_world->operation, operation, sizeof(fake_world->operation));
	fake_ask(self, "release", /* cancellable= */ NULL, callback, data);
}

static bool
release_finish(BangerPrivileged *self, GAsyncResult *result, char **ret_ended, GError **error)
{
	if (!fake_finish(result, error))
		return false;
	*ret_ended = g_strdup(fake_world->ended);
	return true;
}

static void
list(BangerPrivileged *self, GAsyncReadyCallback callback, void *data)
{
	fake_ask(self, "list", /* cancellable= */ NULL, callback, data);
}

static bool
list_finish(BangerPrivileged *self, GAsyncResult *result, char ***ret, bool *ret_bridge,
	    GError **error)
{
	if (!fake_finish(result, error))
		return false;
	*ret = g_strdupv((char **)fake_world->listed);
	if (ret_bridge)
		*ret_bridge = fake_world->lists_bridge;
	return true;
}

/* Answered by itself: it is asked for each action, and there are many. */
static void
look_leave(BangerPrivileged *self, const char *action, GAsyncReadyCallback callback, void *data)
{
	g_autoptr(GTask) task = g_task_new(self, /* cancellable= */ NULL, callback, data);

	if (fake_world->polkit_away)
		g_task_return_new_error(task, BANGER_ERROR, BANGER_ERROR_FAILED, "polkit is away");
	else
		g_task_return_int(task, g_strcmp0(fake_world->refused, action) == 0
						? fake_world->leave
						: BANGER_LEAVE_YES);
}

static bool
look_leave_finish(BangerPrivileged *self, GAsyncResult *result, BangerLeave *ret, GError **error)
{
	gssize leave = g_task_propagate_int(G_TASK(result), error);

	*ret = (BangerLeave)leave;
	return leave >= 0;
}

void
fake_privileged_init(BangerPrivilegedInterface *iface)
{
	iface->probe_kvm = probe_kvm;
	iface->probe_kvm_finish = probe_kvm_finish;
	iface->ensure_bridge = ensure_bridge;
	iface->ensure_bridge_finish = ensure_bridge_finish;
	iface->remove_bridge = remove_bridge;
	iface->remove_bridge_finish = finish_plain;
	iface->create_tap = create_tap;
	iface->create_tap_finish = create_tap_finish;
	iface->delete_tap = delete_tap;
	iface->delete_tap_finish = finish_plain;
	iface->set_peer = set_peer;
	iface->set_peer_finish = finish_plain;
	iface->enable_nat = enable_nat;
	iface->enable_nat_finish = finish_plain;
	iface->disable_nat = disable_nat;
	iface->disable_nat_finish = finish_plain;
	iface->enable_names = enable_names;
	iface->enable_names_finish = finish_plain;
	iface->launch = launch;
	iface->launch_finish = launch_finish;
	iface->open = open_vmm;
	iface->open_finish = launch_finish;
	iface->signal = send_signal;
	iface->signal_finish = finish_plain;
	iface->release = release;
	iface->release_finish = release_finish;
	iface->list = list;
	iface->list_finish = list_finish;
	iface->look_leave = look_leave;
	iface->look_leave_finish = look_leave_finish;
}
