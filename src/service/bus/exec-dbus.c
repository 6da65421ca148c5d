/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/bus/exec-dbus.h"

#include <sys/stat.h>
#include <unistd.h>

#include "service/base/error.h"
#include "service/bus/caller.h"
#include "shared/base/fd-util.h"
#include "shared/base/log.h"
#include "shared/rules/frame.h"
#include "shared/rules/names.h"

/* Everything of one command, from the call to the answer. */
typedef struct Exec {
	BangerDBusVM *skeleton;
	GDBusMethodInvocation *invocation;
	GHashTable *table; /* the VM's running commands: "sender token" → Exec */
	char *key;         /* NULL: it has no token */
	BangerGuest *guest;
	uint32_t handle;
	bool running;
	GCancellable *cancellable; /* the client has left */
	int fds[3];
	char **argv;
	char **environment;
	char *user;
	char *workdir;
	char *operation;
	bool tty;
	uint32_t rows;
	uint32_t columns;
} Exec;

static void
exec_free(Exec *exec)
{
	if (exec->key && g_hash_table_lookup(exec->table, exec->key) == exec)
		(void)g_hash_table_remove(exec->table, exec->key);
	g_hash_table_unref(exec->table);
	g_clear_object(&exec->guest);
	g_clear_object(&exec->cancellable);
	g_clear_object(&exec->skeleton);
	bn_fd_close_many(exec->fds, G_N_ELEMENTS(exec->fds));
	g_strfreev(exec->argv);
	g_strfreev(exec->environment);
	g_free(exec->user);
	g_free(exec->workdir);
	g_free(exec->operation);
	g_free(exec->key);
	g_free(exec);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Exec, exec_free)

static char *
make_key(GDBusMethodInvocation *invocation, uint32_t token)
{
	return g_strdup_printf("%s %u", g_dbus_method_invocation_get_sender(invocation), token);
}

static bool
refuse(GError **error, const char *what)
{
	g_set_error_literal(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT, what);
	return false;
}

static bool
check(Exec *exec, GError **error)
{
	const BnExecRequest strings = { .argv = exec->argv, .environment = exec->environment };

	if (bn_exec_request_check(&strings) < 0)
		return refuse(error,
			      "arguments and environment: at most 1024 of each, 128 KiB in all");
	for (char **e = exec->environment; e && *e; e++)
		if (!bn_names_is_variable(*e))
			return refuse(error, "option 'environment': each must be NAME=VALUE");
	if (exec->user && !bn_names_is_user(exec->user))
		return refuse(
			error,
			"option 'user': must be a name: a-z, 0-9, '-', '_' and '.', and no digit first");
	if (exec->workdir && !bn_names_is_workdir(exec->workdir))
		return refuse(error,
			      "option 'workdir': must be an absolute path of at most 4095 bytes");
	if (exec->rows < 1 || exec->rows > 65535 || exec->columns < 1 || exec->columns > 65535)
		return refuse(error, "options 'rows' and 'columns': must be 1 to 65535");
	return true;
}

static bool
read_options(Exec *exec, GVariant *options, GError **error)
{
	g_autofree const char **environment = NULL;
	const char *user = NULL, *workdir = NULL, *operation, *term = NULL;
	uint32_t token;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	const BangerOption table[] = {
		{ "environment", "as", &environment },
		{ "user", "s", &user },
		{ "workdir", "s", &workdir },
		{ "tty", "b", &exec->tty },
		{ "rows", "u", &exec->rows },
		{ "columns", "u", &exec->columns },
		{ "term", "s", &term },
		{ "token", "u", &token },
		{},
	};

	if (!banger_bus_read_options(options, table, &operation, error))
		return false;
	if (term) {
		g_autofree char *variable = g_strconcat("TERM=", term, NULL);

		g_strv_builder_add(builder, variable);
	}
	if (environment)
		g_strv_builder_addv(builder, environment);
	exec->environment = g_strv_builder_end(builder);
	exec->user = g_strdup(user);
	exec->workdir = g_strdup(workdir);
	exec->operation = g_strdup(operation);
	/* Any number is one. */
	if (!g_variant_lookup(options, "token", "u", &token))
		return true;
	exec->key = make_key(exec->invocation, token);
	if (!g_hash_table_contains(exec->table, exec->key))
		return true;
	g_clear_pointer(&exec->key, g_free);
	return refuse(error, "option 'token': another command of yours has it");
}

/* The call's own copies would stay until it is answered: of a command that the guest never lets end for ever, and
 * whoever reads from one whose output has ended would not see that. */
static void
drop_copies(GUnixFDList *fds)
{
	int n = 0;
	g_autofree int *copies = g_unix_fd_list_steal_fds(fds, &n);

	bn_fd_close_many(copies, (size_t)n);
}

static bool
take_fds(Exec *exec, GUnixFDList *fds, GVariant *const handles[3], GError **error)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };

	for (size_t i = 0; i < 3; i++) {
		exec->fds[i] =
			banger_bus_get_fd(fds, g_variant_get_handle(handles[i]), names[i], error);
		if (exec->fds[i] < 0)
			return false;
		/* Making it non-blocking would break the shell of whoever sits there. */
		if (isatty(exec->fds[i])) {
			g_set_error(error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT,
				    "'%s' is a terminal: pass a pipe or a socket", names[i]);
			return false;
		}
	}
	drop_copies(fds);
	return true;
}

static void
answer_error(Exec *exec, GError *error)
{
	(void)banger_bus_refuse(exec->invocation, error);
}

static void
on_exited(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Exec) exec = data;
	BangerGuest *guest = BANGER_GUEST(source);
	BangerExecResult ended = {};
	GError *error = NULL;

	exec->running = false;
	if (!BANGER_GUEST_GET_IFACE(guest)->exec_finish(guest, result, &ended, &error)) {
		answer_error(exec, error);
		return;
	}
	if (*exec->operation)
		bn_log_info("op=%s stage=exec-reply mono_us=%" G_GINT64_FORMAT, exec->operation,
			    g_get_monotonic_time());
	banger_dbus_vm_complete_exec(exec->skeleton, exec->invocation, /* fds= */ NULL,
				     ended.status, ended.signal_number);
}

static void
on_guest(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(Exec) exec = data;
	GError *error = NULL;
	BangerExecSpec spec = { .argv = (const char *const *)exec->argv,
				.environment = (const char *const *)exec->environment,
				.user = exec->user,
				.workdir = exec->workdir,
				.tty = exec->tty,
				.rows = (uint16_t)exec->rows,
				.columns = (uint16_t)exec->columns };

	exec->guest = banger_vm_wait_guest_finish(BANGER_VM(source), result, &error);
	if (!exec->guest) {
		answer_error(exec, error);
		return;
	}
	exec->running = true;
	exec->handle =
		BANGER_GUEST_GET_IFACE(exec->guest)
			->exec(exec->guest, &spec, exec->fds, exec->cancellable, on_exited, exec);
	/* It is the guest's callback's now. */
	g_steal_pointer(&exec);
}

/* What the handlers of one VM know. */
typedef struct Context {
	BangerBus *bus;
	BangerVm *vm;
	GHashTable *table;
} Context;

static void
context_free(gpointer data, GClosure *closure)
{
	Context *context = data;

	g_object_unref(context->vm);
	g_hash_table_unref(context->table);
	g_free(context);
}

static gboolean
handle_exec(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, GUnixFDList *fds,
	    const char *const *argv, GVariant *options, GVariant *in, GVariant *out, GVariant *err,
	    Context *context)
{
	g_autoptr(Exec) exec = g_new0(Exec, 1);
	GVariant *const handles[3] = { in, out, err };
	GCancellable *gone;
	GError *error = NULL;

	exec->skeleton = g_object_ref(skeleton);
	exec->invocation = invocation;
	exec->table = g_hash_table_ref(context->table);
	exec->argv = g_strdupv((char **)argv);
	exec->fds[0] = exec->fds[1] = exec->fds[2] = -1;
	exec->rows = 24;
	exec->columns = 80;
	if (!read_options(exec, options, &error) || !check(exec, &error) ||
	    !take_fds(exec, fds, handles, &error))
		return banger_bus_refuse(invocation, error);
	if (exec->key)
		g_hash_table_insert(exec->table, exec->key, exec);
	gone = exec->cancellable = banger_caller_watch(context->bus, invocation);
	banger_vm_wait_guest_async(context->vm, gone, on_guest, g_steal_pointer(&exec));
	return TRUE;
}

/* The caller's own running command of that token, or NULL with an error. */
static Exec *
find_exec(Context *context, GDBusMethodInvocation *invocation, uint32_t token, GError **error)
{
	g_autofree char *key = make_key(invocation, token);
	Exec *exec = g_hash_table_lookup(context->table, key);

	if (exec && exec->running)
		return exec;
	g_set_error(error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND,
		    "no running command of yours has the token %u", token);
	return NULL;
}

static gboolean
handle_signal_exec(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, uint32_t token,
		   uint32_t signal_number, Context *context)
{
	GError *error = NULL;
	Exec *exec = find_exec(context, invocation, token, &error);

	if (exec && (signal_number < 1 || signal_number > 64)) {
		(void)refuse(&error, "'signal': must be 1 to 64");
		exec = NULL;
	}
	if (!exec)
		return banger_bus_refuse(invocation, error);
	BANGER_GUEST_GET_IFACE(exec->guest)
		->exec_signal(exec->guest, exec->handle, (int)signal_number);
	banger_dbus_vm_complete_signal_exec(skeleton, invocation);
	return TRUE;
}

static gboolean
handle_resize_exec(BangerDBusVM *skeleton, GDBusMethodInvocation *invocation, uint32_t token,
		   uint32_t rows, uint32_t columns, Context *context)
{
	GError *error = NULL;
	Exec *exec = find_exec(context, invocation, token, &error);

	if (exec && !exec->tty) {
		g_set_error(&error, BANGER_ERROR, BANGER_ERROR_INVALID_STATE,
			    "the command has no terminal");
		exec = NULL;
	} else if (exec && (rows < 1 || rows > 65535 || columns < 1 || columns > 65535)) {
		(void)refuse(&error, "'rows' and 'columns': must be 1 to 65535");
		exec = NULL;
	}
	if (!exec)
		return banger_bus_refuse(invocation, error);
	BANGER_GUEST_GET_IFACE(exec->guest)
		->exec_resize(exec->guest, exec->handle, (uint16_t)rows, (uint16_t)columns);
	banger_dbus_vm_complete_resize_exec(skeleton, invocation);
	return TRUE;
}

void
banger_exec_dbus_connect(BangerBus *bus, BangerVm *vm, BangerDBusVM *skeleton)
{
	Context *context = g_new0(Context, 1);

	context->bus = bus;
	context->vm = g_object_ref(vm);
	context->table = g_hash_table_new(g_str_hash, g_str_equal);
	g_signal_connect_data(skeleton, "handle-exec", G_CALLBACK(handle_exec), context,
			      context_free, 0);
	g_signal_connect(skeleton, "handle-signal-exec", G_CALLBACK(handle_signal_exec), context);
	g_signal_connect(skeleton, "handle-resize-exec", G_CALLBACK(handle_resize_exec), context);
}
