/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bangerd: options, construction, loop. */
#include <gio/gio.h>
#include <glib-unix.h>
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/tsc.h"
#include "service/adapters/console-log.h"
#include "service/adapters/dns-server.h"
#include "service/adapters/guest-agent.h"
#include "service/adapters/host.h"
#include "service/adapters/image-store.h"
#include "service/adapters/privileged-dbus.h"
#include "service/adapters/publisher-socket.h"
#include "service/adapters/session-logind.h"
#include "service/adapters/storage-overlay.h"
#include "service/adapters/vmm-qemu.h"
#include "service/base/error.h"
#include "service/base/names.h"
#include "service/bus/bus.h"
#include "service/bus/refusal.h"
#include "shared/base/fd-util.h"
#include "shared/base/log.h"
#include "shared/rules/net.h"

/* How long calls wait on the bus for what runs to be found: milliseconds are enough. A helper or a guest that does
 * not answer holds nobody up for longer. */
#define RECOVERY_LIMIT_S 2

/* Everything that main() makes, in the order in which it is taken down. */
typedef struct Daemon {
	GMainLoop *loop;
	guint name;  /* 0: we do not ask for it yet */
	guint limit; /* fires when looking for what runs takes too long */
	GDBusConnection *session;
	char zone[BN_ZONE_SIZE]; /* what names of VMs end in */
	BangerPorts ports;
	BangerKvmVerdict *kvm;
	BangerManager *manager;
	BangerBus *bus;
	bool is_leaving;
	int status;
} Daemon;

static char *vm_directory;

static BangerConsole *
make_console(const char *vm, int fd, bool fresh)
{
	g_autofree char *path = g_build_filename(vm_directory, vm, "console.log", NULL);

	return banger_console_log_new(path, fd, fresh);
}

static int
print_errors(void)
{
	(void)banger_error_quark();
	for (int i = 0; i < _BANGER_ERROR_MAX; i++)
		(void)puts(banger_error_get_name((BangerError)i));
	return 0;
}

static char *
state_directory(void)
{
	return g_build_filename(g_get_user_state_dir(), "banger", NULL);
}

/* Somebody who works with VMs starts the next one soon. */
#define BRIDGE_IDLE_S 60

/* As the helper finds it out of the uid. */
static void
find_zone(char ret[static BN_ZONE_SIZE])
{
	const struct passwd *user = getpwuid(getuid());

	bn_net_zone_name(user ? user->pw_name : NULL, getuid(), ret);
}

static bool
fill_ports(Daemon *daemon, GError **error)
{
	const char *data = g_get_user_data_dir();
	g_autofree char *images = g_build_filename(data, "banger", NULL);
	BangerPorts *ports = &daemon->ports;

	vm_directory = g_build_filename(data, "banger", "vm", NULL);
	if (g_mkdir_with_parents(vm_directory, 0700) < 0)
		return banger_error_set_errno(error, "cannot make %s", vm_directory);
	ports->images =
		banger_image_directory_new(images, BANGER_LIBEXECDIR "/banger-vsock-agent", error);
	if (!ports->images)
		return false;
	ports->privileged = banger_privileged_dbus_new(/* may_ask= */ true);
	ports->session = banger_session_logind_new(daemon->session);
	find_zone(daemon->zone);
	ports->zone = daemon->zone;
	ports->names = banger_dns_server_new(daemon->zone, error);
	if (!ports->names)
		return false;
	ports->publisher = banger_publisher_socket_new();
	ports->bridge_idle_s = BRIDGE_IDLE_S;
	ports->storage = banger_storage_overlay_new(vm_directory, ports->images);
	ports->vmm_new = banger_vmm_qemu_new;
	ports->guest_new = banger_guest_agent_new;
	ports->console_new = make_console;
	ports->can_run = banger_host_can_run;
	ports->is_roots = banger_host_is_roots;
	ports->has_subids = banger_host_has_subids;
	ports->get_space = banger_host_get_space;
	ports->tsc_khz = boot_tsc_khz();
	return true;
}

static void
on_name_lost(GDBusConnection *connection, const char *name, gpointer data)
{
	Daemon *daemon = data;

	/* Another daemon has it, or the bus is gone: VMs live on, and the next daemon finds them. */
	bn_log_error("%s is not ours: another bangerd runs, or the session bus is gone", name);
	daemon->status = 1;
	g_main_loop_quit(daemon->loop);
}

static void
on_network_left(GObject *source, GAsyncResult *result, gpointer data)
{
	Daemon *daemon = data;

	banger_manager_leave_network_finish(BANGER_MANAGER(source), result);
	g_main_loop_quit(daemon->loop);
}

static void
on_all_stopped(GObject *source, GAsyncResult *result, gpointer data)
{
	Daemon *daemon = data;

	banger_manager_stop_all_finish(BANGER_MANAGER(source), result);
	banger_manager_leave_network_async(daemon->manager, on_network_left, daemon);
}

static void
on_ending(GObject *source, GAsyncResult *result, gpointer data)
{
	Daemon *daemon = data;
	BangerSession *session = BANGER_SESSION(source);

	if (BANGER_SESSION_GET_IFACE(session)->is_ending_finish(session, result)) {
		bn_log_notice("the user's session ends: stopping what runs");
		banger_manager_stop_all_async(daemon->manager, BANGER_MANAGER_END_S, on_all_stopped,
					      daemon);
	} else {
		banger_manager_leave_network_async(daemon->manager, on_network_left, daemon);
	}
}

/* VMs outlive a restart of ours, but not the user's session. Who cannot wait says it twice. */
static gboolean
on_signal(gpointer data)
{
	Daemon *daemon = data;
	BangerSession *session = daemon->ports.session;

	if (daemon->is_leaving)
		g_main_loop_quit(daemon->loop);
	else
		BANGER_SESSION_GET_IFACE(session)->is_ending(session, on_ending, daemon);
	daemon->is_leaving = true;
	return G_SOURCE_CONTINUE;
}

static void
own_name(Daemon *daemon)
{
	if (daemon->name == 0)
		daemon->name = g_bus_own_name_on_connection(
			daemon->session, BANGER_BUS_NAME, G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE,
			/* acquired= */ NULL, on_name_lost, daemon, /* free= */ NULL);
}

/* Before what runs was found every VM looks as if it were starting. */
static void
serve(Daemon *daemon)
{
	g_clear_handle_id(&daemon->limit, g_source_remove);
	own_name(daemon);
}

static gboolean
on_limit(gpointer data)
{
	Daemon *daemon = data;

	daemon->limit = 0;
	serve(daemon);
	return G_SOURCE_REMOVE;
}

static void
on_recovered(GObject *source, GAsyncResult *result, gpointer data)
{
	banger_manager_recover_finish(BANGER_MANAGER(source), result);
	serve(data);
}

static bool
build(Daemon *daemon, GError **error)
{
	g_autofree char *directory = state_directory();
	g_autoptr(BangerStore) store = NULL;

	daemon->session = g_bus_get_sync(G_BUS_TYPE_SESSION, /* cancellable= */ NULL, error);
	if (!daemon->session)
		return false;
	g_dbus_connection_set_exit_on_close(daemon->session, FALSE);
	/* Nothing that can fail comes before the bus: who called would not hear why. */
	if (g_mkdir_with_parents(directory, 0700) < 0)
		return banger_error_set_errno(error, "cannot make %s", directory);
	store = banger_store_open(directory, error);
	if (!store || !fill_ports(daemon, error))
		return false;
	daemon->kvm = banger_kvm_verdict_new(daemon->ports.privileged);
	daemon->manager = banger_manager_new(store, &daemon->ports, daemon->kvm, error);
	if (!daemon->manager)
		return false;
	daemon->bus = banger_bus_new(daemon->session, daemon->manager, error);
	return daemon->bus != NULL;
}

static void
run(Daemon *daemon)
{
	(void)g_unix_signal_add(SIGTERM, on_signal, daemon);
	(void)g_unix_signal_add(SIGINT, on_signal, daemon);
	daemon->limit = g_timeout_add_seconds(RECOVERY_LIMIT_S, on_limit, daemon);
	banger_manager_recover_async(daemon->manager, on_recovered, daemon);
	g_main_loop_run(daemon->loop);
	g_clear_handle_id(&daemon->limit, g_source_remove);
	g_clear_handle_id(&daemon->name, g_bus_unown_name);
}

static gboolean
on_refused(gpointer data)
{
	Daemon *daemon = data;

	g_main_loop_quit(daemon->loop);
	return G_SOURCE_REMOVE;
}

/* Tells it to the first who calls, and to whoever called before the name was given back; the next call starts a daemon
 * that may find things mended. */
static void
refuse(Daemon *daemon, const GError *why)
{
	g_autoptr(BangerRefusal) refusal = NULL;

	bn_log_error("%s", why->message);
	daemon->status = 1;
	if (!daemon->session)
		return;
	refusal = banger_refusal_new(daemon->session, why, on_refused, daemon);
	(void)g_unix_signal_add(SIGTERM, on_refused, daemon);
	(void)g_unix_signal_add(SIGINT, on_refused, daemon);
	own_name(daemon);
	g_main_loop_run(daemon->loop);
	g_clear_handle_id(&daemon->name, g_bus_unown_name);
}

static void
tear_down(Daemon *daemon)
{
	g_clear_pointer(&daemon->bus, banger_bus_free);
	g_clear_object(&daemon->manager);
	g_clear_object(&daemon->kvm);
	g_clear_object(&daemon->ports.storage);
	g_clear_object(&daemon->ports.images);
	g_clear_object(&daemon->ports.session);
	g_clear_object(&daemon->ports.names);
	g_clear_object(&daemon->ports.publisher);
	g_clear_object(&daemon->ports.privileged);
	if (daemon->session)
		(void)g_dbus_connection_flush_sync(daemon->session, /* cancellable= */ NULL, NULL);
	g_clear_object(&daemon->session);
	g_main_loop_unref(daemon->loop);
	g_free(vm_directory);
}

int
main(int argc, char **argv)
{
	gboolean version = FALSE, check = FALSE, errors = FALSE;
	const GOptionEntry entries[] = {
		{ "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
		{ "check-migrations", 0, 0, G_OPTION_ARG_NONE, &check,
		  "Exit with 0 if the state fits, 1 if it would be migrated, 2 if it cannot be read",
		  NULL },
		{ "list-errors", 0, 0, G_OPTION_ARG_NONE, &errors, "Print the names of all errors",
		  NULL },
		{ NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- the VMs of one user");
	g_autoptr(GError) error = NULL;
	g_autofree char *directory = state_directory();
	Daemon daemon = {};

	bn_fd_fill_standard();
	(void)setlocale(LC_ALL, "");
	(void)umask(0077);
	g_option_context_add_main_entries(context, entries, /* domain= */ NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		(void)fprintf(stderr, "bangerd: %s\n", error->message);
		return 2;
	}
	if (version) {
		(void)puts(BANGER_VERSION);
		return 0;
	}
	if (check)
		return banger_store_check(directory);
	if (errors)
		return print_errors();
	(void)banger_error_quark();
	/* Guests that ask for names at once take some hundred. */
	bn_fd_raise_limit();
	daemon.loop = g_main_loop_new(NULL, FALSE);
	if (build(&daemon, &error))
		run(&daemon);
	else
		refuse(&daemon, error);
	tear_down(&daemon);
	return daemon.status;
}
