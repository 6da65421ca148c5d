/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's agent, as the engine sees it. Everything it says is bounded and escaped already. */
#pragma once

#include <gio/gio.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct BangerGuestHello {
	char boot_id[37];
	uint64_t first_us; /* guest's monotonic clock at its first process */
	uint64_t hello_us; /* and when it answered */
} BangerGuestHello;

/* Borrowed for the time of the call. */
typedef struct BangerExecSpec {
	const char *const *argv; /* empty: the user's login shell */
	const char *const *environment;
	const char *user;    /* NULL: root */
	const char *workdir; /* NULL: the user's home */
	bool tty;
	uint16_t rows;
	uint16_t columns;
} BangerExecSpec;

typedef struct BangerExecResult {
	uint32_t status;
	uint32_t signal_number; /* 0: it exited with `status` */
} BangerExecResult;

typedef struct BangerGuestStatistics {
	uint64_t memory_total;
	uint64_t memory_available;
	uint64_t disk_total;
	uint64_t disk_available;
	uint64_t uptime_us;
	uint32_t processes;
	double load;
} BangerGuestStatistics;

#define BANGER_TYPE_GUEST (banger_guest_get_type())
G_DECLARE_INTERFACE(BangerGuest, banger_guest, BANGER, GUEST, GObject)

/* Signal "closed" (GError *): the guest is gone or broke the protocol; nothing works any more. */
struct _BangerGuestInterface {
	GTypeInterface parent;

	/* Waits for the agent's first answer, however long the guest takes to come up. Commands may be given to it
	 * then, and begin as soon as its root is there. */
	void (*open)(BangerGuest *self, GCancellable *cancellable, GAsyncReadyCallback callback,
		     void *data);
	bool (*open_finish)(BangerGuest *self, GAsyncResult *result, BangerGuestHello *ret,
			    GError **error);

	/* Runs a command; the descriptors are taken over (also on failure). Cancelling hangs up on it. Returns a
	 * handle for exec_signal and exec_resize that is good until the callback. */
	uint32_t (*exec)(BangerGuest *self, const BangerExecSpec *spec, int fds[static 3],
			 GCancellable *cancellable, GAsyncReadyCallback callback, void *data);
	bool (*exec_finish)(BangerGuest *self, GAsyncResult *result, BangerExecResult *ret,
			    GError **error);
	void (*exec_signal)(BangerGuest *self, uint32_t exec, int signal_number);
	void (*exec_resize)(BangerGuest *self, uint32_t exec, uint16_t rows, uint16_t columns);

	/* Gives the guest the host's time. Like everything asked for, it is done when the root is there. Cancelling
	 * gives up the wait, here and below. */
	void (*set_clock)(BangerGuest *self, GCancellable *cancellable,
			  GAsyncReadyCallback callback, void *data);
	bool (*set_clock_finish)(BangerGuest *self, GAsyncResult *result, GError **error);

	/* Syncs the guest's filesystems, then asks it to power off; the callback comes when it has agreed. */
	void (*shutdown)(BangerGuest *self, GCancellable *cancellable, GAsyncReadyCallback callback,
			 void *data);
	bool (*shutdown_finish)(BangerGuest *self, GAsyncResult *result, GError **error);

	void (*get_statistics)(BangerGuest *self, GAsyncReadyCallback callback, void *data);
	bool (*get_statistics_finish)(BangerGuest *self, GAsyncResult *result,
				      BangerGuestStatistics *ret, GError **error);
};
