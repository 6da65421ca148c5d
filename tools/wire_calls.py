# SPDX-License-Identifier: LGPL-2.1-or-later
"""The caller's half of gen-wire.py: typed calls by GLib. Interfaces are its own; see there."""

CALL_TYPES = {'s': 'const char *', 'u': 'uint32_t ', 't': 'uint64_t ', 'b': 'bool ', 'h': 'int '}
REPLY_TYPES = dict(CALL_TYPES, s='char *')


def call_params(method):
    params = ['GDBusConnection *connection', 'bool may_ask']
    for arg in method.ins:
        if arg.fields:
            params.append(f'GVariant *{arg.name}')
        elif arg.array:
            params += [f'const int *{arg.name}' if arg.basic == 'h' else f'const char *const *{arg.name}',
                       f'size_t n_{arg.name}']
        else:
            params.append(f'{CALL_TYPES[arg.basic]}{arg.name}')
    return params + ['GCancellable *cancellable', 'GAsyncReadyCallback callback', 'gpointer data']


def finish_params(method):
    params = ['GDBusConnection *connection', 'GAsyncResult *result']
    for arg in method.outs:
        if arg.array:
            params.append(f'{"GUnixFDList" if arg.basic == "h" else "GVariant"} **ret_{arg.name}')
        else:
            params.append(f'{REPLY_TYPES[arg.basic]}*ret_{arg.name}')
    return params + ['GError **error']


def prototype(kind, name, params):
    return [kind, f'{name}({", ".join(params)})']


CALLS_HEADER = '''#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One asynchronous call per method of {name}, to the well-known name: a call that meets an idle
 * exit is served by the next helper. `may_ask`: polkit may ask a person, so no call has a time limit of its own.
 * Descriptors passed in stay the caller's; those that come out are the caller's to close, strings to
 * g_free(), arrays (a GVariant of the type the interface says) to g_variant_unref(), and arrays of descriptors, a list
 * that holds nothing else, to g_object_unref(). Any ret_ may be NULL; all are untouched on failure. `connection` is
 * also the callback's source object. */
'''


def calls_header(interface):
    lines = CALLS_HEADER.format(name=interface.name).splitlines() + ['']
    for m in interface.methods:
        name = f'banger_helper_call_{m.snake}'
        lines += [' '.join(prototype('void', name, call_params(m))) + ';',
                  ' '.join(prototype('bool', name + '_finish', finish_params(m))) + ';', '']
    return lines[:-1]


CALLS_PRELUDE = '''#include "helper-calls.h"

#include <unistd.h>

/* Adds a copy of the descriptor to the message; false once anything has failed. */
static inline bool
append_fd(GVariantBuilder *args, GUnixFDList *fds, int fd, GError **error)
{{
	int index = g_unix_fd_list_append(fds, fd, error);

	if (index < 0)
		return false;
	g_variant_builder_add(args, "h", index);
	return true;
}}

static void
send_call(GDBusConnection *connection, bool may_ask, const char *method, GVariantBuilder *args,
	  const char *reply_type, GUnixFDList *fds, GCancellable *cancellable, GAsyncReadyCallback callback,
	  gpointer data)
{{
	g_autoptr(GVariantType) type = g_variant_type_new(reply_type);

	g_dbus_connection_call_with_unix_fd_list(
		connection, "{name}", "{path}", "{name}", method, g_variant_builder_end(args), type,
		may_ask ? G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION : G_DBUS_CALL_FLAGS_NONE,
		/* timeout: a person may think */ G_MAXINT, fds, cancellable, callback, data);
}}

/* Waits for nothing: takes the reply, or the error, out of a finished call. */
static GVariant *
take_reply(GDBusConnection *connection, GAsyncResult *result, void *tag, GUnixFDList **ret_fds, GError **error)
{{
	/* A call that could not even be sent was reported under its own tag. */
	if (g_async_result_is_tagged(result, tag)) {{
		(void) g_task_propagate_boolean(G_TASK(result), error);
		return NULL;
	}}
	return g_dbus_connection_call_with_unix_fd_list_finish(connection, ret_fds, result, error);
}}

static inline void
close_fd(int *fd)
{{
	if (*fd >= 0)
		(void) close(*fd);
}}

static inline int
take_fd(GVariant *reply, size_t child, GUnixFDList *fds, GError **error)
{{
	int32_t index = -1;

	g_variant_get_child(reply, child, "h", &index);
	if (!fds || index < 0 || index >= g_unix_fd_list_get_length(fds)) {{
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "the helper's answer lacks a descriptor");
		return -1;
	}}
	return g_unix_fd_list_get(fds, index, error);
}}

static inline GUnixFDList *
take_fds(GVariant *reply, size_t child, GUnixFDList *fds, GError **error)
{{
	g_autoptr(GUnixFDList) list = g_unix_fd_list_new();
	g_autoptr(GVariant) indices = g_variant_get_child_value(reply, child);

	for (size_t i = 0; i < g_variant_n_children(indices); i++) {{
		__attribute__((cleanup(close_fd))) int fd = take_fd(indices, i, fds, error);

		if (fd < 0 || g_unix_fd_list_append(list, fd, error) < 0)
			return NULL;
	}}
	return g_steal_pointer(&list);
}}

static inline void
give_fd(int *fd, int *ret)
{{
	if (ret)
		*ret = *fd;
	else if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
}}
'''


def call_arg(arg):
    """Statements that add one argument to `args`."""
    if arg.fields:
        return [f'\tg_variant_builder_add_value(&args, {arg.name});']
    if not arg.array and arg.basic != 'h':
        cast = ' ? TRUE : FALSE' if arg.basic == 'b' else ''
        return [f'\tg_variant_builder_add(&args, "{arg.basic}", {arg.name}{cast});']
    if not arg.array:
        return [f'\tok = ok && append_fd(&args, fds, {arg.name}, &error);']
    lines = [f'\tg_variant_builder_open(&args, G_VARIANT_TYPE("{arg.type}"));']
    if arg.basic == 's':
        lines += [f'\tfor (size_t i = 0; i < n_{arg.name}; i++)',
                  f'\t\tg_variant_builder_add(&args, "s", {arg.name}[i]);']
    else:
        lines += [f'\tfor (size_t i = 0; ok && i < n_{arg.name}; i++)',
                  f'\t\tok = append_fd(&args, fds, {arg.name}[i], &error);']
    return lines + ['\tg_variant_builder_close(&args);']


def call_function(method):
    name = f'banger_helper_call_{method.snake}'
    reply = '(' + ''.join(a.type for a in method.outs) + ')'
    has_fds = any('h' in a.type for a in method.ins)
    lines = prototype('void', name, call_params(method)) + ['{']
    if has_fds:
        lines += ['\tg_autoptr(GUnixFDList) fds = g_unix_fd_list_new();', '\tg_autoptr(GError) error = NULL;']
    lines += ['\tGVariantBuilder args;']
    if has_fds:
        lines += ['\tbool ok = true;']
    lines += ['', '\tg_variant_builder_init(&args, G_VARIANT_TYPE_TUPLE);']
    for arg in method.ins:
        lines += call_arg(arg)
    if has_fds:
        lines += ['\tif (!ok) {', '\t\tg_variant_builder_clear(&args);',
                  f'\t\tg_task_report_error(connection, callback, data, (void *) {name},',
                  '\t\t\tg_steal_pointer(&error));', '\t\treturn;', '\t}']
    fds = 'fds' if has_fds else '/* fds: */ NULL'
    lines += [f'\tsend_call(connection, may_ask, "{method.name}", &args, "{reply}", {fds},',
              '\t\tcancellable, callback, data);', '}', '']
    return lines


def finish_function(method):
    name = f'banger_helper_call_{method.snake}'
    handles = [a for a in method.outs if a.basic == 'h' and not a.array]
    lists = [a for a in method.outs if a.basic == 'h' and a.array]
    lines = prototype('bool', f'{name}_finish', finish_params(method)) + ['{']
    lines += [f'\t__attribute__((cleanup(close_fd))) int fd_{a.name} = -1;' for a in handles]
    lines += [f'\tg_autoptr(GUnixFDList) list_{a.name} = NULL;' for a in lists]
    lines += ['\tg_autoptr(GUnixFDList) fds = NULL;', '\tg_autoptr(GVariant) reply = NULL;', '',
              f'\treply = take_reply(connection, result, (void *) {name}, &fds, error);',
              '\tif (!reply)', '\t\treturn false;']
    for i, arg in enumerate(method.outs):
        if arg in handles:
            lines += [f'\tfd_{arg.name} = take_fd(reply, {i}, fds, error);', f'\tif (fd_{arg.name} < 0)',
                      '\t\treturn false;']
        if arg in lists:
            lines += [f'\tlist_{arg.name} = take_fds(reply, {i}, fds, error);', f'\tif (!list_{arg.name})',
                      '\t\treturn false;']
    for i, arg in enumerate(method.outs):
        if arg in handles:
            lines += [f'\tgive_fd(&fd_{arg.name}, ret_{arg.name});']
            continue
        lines += [f'\tif (ret_{arg.name})']
        if arg in lists:
            lines += [f'\t\t*ret_{arg.name} = g_steal_pointer(&list_{arg.name});']
        elif arg.array:
            lines += [f'\t\t*ret_{arg.name} = g_variant_get_child_value(reply, {i});']
        elif arg.basic == 'b':
            lines += [f'\t\t*ret_{arg.name} = child_bool(reply, {i});']
        else:
            lines += [f'\t\tg_variant_get_child(reply, {i}, "{arg.basic}", ret_{arg.name});']
    return lines + ['\treturn true;', '}', '']


def calls_source(interface):
    prelude = CALLS_PRELUDE.format(name=interface.name, path=interface.path).splitlines()
    lines = prelude + ['']
    if any(a.type == 'b' for m in interface.methods for a in m.outs):
        lines += ['static bool', 'child_bool(GVariant *reply, size_t child)', '{', '\tgboolean value = FALSE;', '',
                  '\tg_variant_get_child(reply, child, "b", &value);', '\treturn value;', '}', '']
    for m in interface.methods:
        lines += call_function(m) + finish_function(m)
    return lines[:-1]
