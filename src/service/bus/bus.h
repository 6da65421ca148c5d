/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this layer share. Each exports one kind of object: it converts, calls, converts back, and
 * decides nothing. */
#pragma once

#include <gio/gio.h>

#include "banger-dbus.h"
#include "service/base/options.h"
#include "service/manager/manager.h"

typedef struct BangerBus {
	GDBusConnection *connection;
	GDBusObjectManagerServer *objects;
	BangerManager *manager;
	BangerDBusManager *skeleton;
	GHashTable *watches; /* name of a client → BangerWatch */
	GQueue *ended_jobs;  /* paths of jobs that have ended, oldest first */
} BangerBus;

BangerBus *banger_bus_new(GDBusConnection *connection, BangerManager *manager, GError **error);
void banger_bus_free(BangerBus *bus);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BangerBus, banger_bus_free)

/* Answers a call with an error (taken over), in our domain. Returns TRUE, for the handlers. */
gboolean banger_bus_refuse(GDBusMethodInvocation *invocation, GError *error);

/* The options of a method: those of `table`, which may be NULL, and "operation", which is empty where it is absent, and
 * borrowed from `options`. False with BANGER_ERROR_INVALID_ARGUMENT naming the key. */
bool banger_bus_read_options(GVariant *options, const BangerOption *table,
			     const char **ret_operation, GError **error);

/* Puts an object with one interface on the bus. Takes over the skeleton. */
void banger_bus_export(BangerBus *bus, const char *path, GDBusInterfaceSkeleton *skeleton);

void banger_bus_add_vm(BangerBus *bus, BangerVm *vm);
void banger_bus_add_image(BangerBus *bus, const BangerImageRow *row);
void banger_bus_add_kernel(BangerBus *bus, const BangerKernelRow *row);
void banger_bus_add_job(BangerBus *bus, BangerJob *job);

/* The descriptor that a "h" argument or option means: a copy of the caller's own, or -1 with
 * BANGER_ERROR_INVALID_ARGUMENT naming `what`. */
int banger_bus_get_fd(GUnixFDList *fds, int32_t index, const char *what, GError **error);
