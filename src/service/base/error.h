/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One error domain for daemon and client, with one name on the bus for each situation: org.banger.Error.*
 *
 * docs/errors.md says what a user can do about each. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum BangerError {
	BANGER_ERROR_FAILED,
	BANGER_ERROR_INVALID_ARGUMENT,
	BANGER_ERROR_NOT_FOUND,
	BANGER_ERROR_AMBIGUOUS,
	BANGER_ERROR_ALREADY_EXISTS,
	BANGER_ERROR_INVALID_STATE,
	BANGER_ERROR_BUSY,
	BANGER_ERROR_QUOTA_REACHED,
	BANGER_ERROR_NO_SPACE,
	BANGER_ERROR_NOT_AUTHORIZED,
	BANGER_ERROR_INTERACTION_REQUIRED,
	BANGER_ERROR_HELPER_UNAVAILABLE,
	BANGER_ERROR_NAT_BLOCKED,
	BANGER_ERROR_RESOLVER_UNAVAILABLE,
	BANGER_ERROR_VMM_UNAVAILABLE,
	BANGER_ERROR_KVM_UNUSABLE,
	BANGER_ERROR_IMAGE_INVALID,
	BANGER_ERROR_KERNEL_INVALID,
	BANGER_ERROR_TOOL_MISSING,
	BANGER_ERROR_GUEST_UNREACHABLE,
	BANGER_ERROR_COMMAND_REFUSED,
	BANGER_ERROR_CANCELLED,
	BANGER_ERROR_ABORTED,
	BANGER_ERROR_TIMED_OUT,
	_BANGER_ERROR_MAX,
} BangerError;

#define BANGER_ERROR (banger_error_quark())
/* Also registers the names with GDBus, in both directions. */
GQuark banger_error_quark(void);

/* "org.banger.Error.NotFound", … */
const char *banger_error_get_name(BangerError code);

bool banger_error_is_not_found(const GError *error);
bool banger_error_is_already_exists(const GError *error);
bool banger_error_is_not_authorized(const GError *error);
bool banger_error_is_cancelled(const GError *error);

/* What errno says of `format`, which names what was tried: NO_SPACE where it tells of a full disk or a quota, else
 * FAILED. Returns false. */
bool banger_error_set_errno(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The one place where foreign errors become ours: afterwards `error` is of this domain, and no D-Bus prefix is left
 * in its message. */
void banger_error_convert(GError *error);
