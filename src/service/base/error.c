/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/base/error.h"

#include <errno.h>
#include <gio/gio.h>

#define PREFIX "org.banger.Error."

#define NAME(code, name) [BANGER_ERROR_##code] = { BANGER_ERROR_##code, PREFIX name }

/* Indexed by the code. */
static const GDBusErrorEntry entries[] = {
	NAME(FAILED, "Failed"),
	NAME(INVALID_ARGUMENT, "InvalidArgument"),
	NAME(NOT_FOUND, "NotFound"),
	NAME(AMBIGUOUS, "Ambiguous"),
	NAME(ALREADY_EXISTS, "AlreadyExists"),
	NAME(INVALID_STATE, "InvalidState"),
	NAME(BUSY, "Busy"),
	NAME(QUOTA_REACHED, "QuotaReached"),
	NAME(NO_SPACE, "NoSpace"),
	NAME(NOT_AUTHORIZED, "NotAuthorized"),
	NAME(INTERACTION_REQUIRED, "InteractionRequired"),
	NAME(HELPER_UNAVAILABLE, "HelperUnavailable"),
	NAME(NAT_BLOCKED, "NatBlocked"),
	NAME(RESOLVER_UNAVAILABLE, "ResolverUnavailable"),
	NAME(VMM_UNAVAILABLE, "VmmUnavailable"),
	NAME(KVM_UNUSABLE, "KvmUnusable"),
	NAME(IMAGE_INVALID, "ImageInvalid"),
	NAME(KERNEL_INVALID, "KernelInvalid"),
	NAME(TOOL_MISSING, "ToolMissing"),
	NAME(GUEST_UNREACHABLE, "GuestUnreachable"),
	NAME(COMMAND_REFUSED, "CommandRefused"),
	NAME(CANCELLED, "Cancelled"),
	NAME(ABORTED, "Aborted"),
	NAME(TIMED_OUT, "TimedOut"),
};

G_STATIC_ASSERT(G_N_ELEMENTS(entries) == _BANGER_ERROR_MAX);

GQuark
banger_error_quark(void)
{
	static gsize quark;

	g_dbus_error_register_error_domain("banger-error", &quark, entries, G_N_ELEMENTS(entries));
	return (GQuark)quark;
}

const char *
banger_error_get_name(BangerError code)
{
	return code < _BANGER_ERROR_MAX ? entries[code].dbus_error_name : NULL;
}

bool
banger_error_is_not_found(const GError *error)
{
	return g_error_matches(error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
}

bool
banger_error_is_already_exists(const GError *error)
{
	return g_error_matches(error, BANGER_ERROR, BANGER_ERROR_ALREADY_EXISTS);
}

bool
banger_error_is_not_authorized(const GError *error)
{
	return g_error_matches(error, BANGER_ERROR, BANGER_ERROR_NOT_AUTHORIZED);
}

bool
banger_error_is_cancelled(const GError *error)
{
	return g_error_matches(error, BANGER_ERROR, BANGER_ERROR_CANCELLED) ||
	       g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

bool
banger_error_set_errno(GError **error, const char *format, ...)
{
	int saved = errno;
	g_autofree char *what = NULL;
	va_list args;

	va_start(args, format);
	what = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(error, BANGER_ERROR,
		    saved == ENOSPC || saved == EDQUOT ? BANGER_ERROR_NO_SPACE
						       : BANGER_ERROR_FAILED,
		    "%s: %s", what, g_strerror(saved));
	return false;
}

static BangerError
convert_code(const GError *error)
{
	if (error->domain != G_IO_ERROR)
		return BANGER_ERROR_FAILED;
	switch (error->code) {
	case G_IO_ERROR_CANCELLED:
		return BANGER_ERROR_CANCELLED;
	case G_IO_ERROR_NO_SPACE:
		return BANGER_ERROR_NO_SPACE;
	case G_IO_ERROR_NOT_FOUND:
		return BANGER_ERROR_NOT_FOUND;
	case G_IO_ERROR_EXISTS:
		return BANGER_ERROR_ALREADY_EXISTS;
	case G_IO_ERROR_TIMED_OUT:
		return BANGER_ERROR_TIMED_OUT;
	default:
		return BANGER_ERROR_FAILED;
	}
}

void
banger_error_convert(GError *error)
{
	(void)g_dbus_error_strip_remote_error(error);
	if (error->domain == BANGER_ERROR)
		return;
	error->code = (int)convert_code(error);
	error->domain = BANGER_ERROR;
	if (error->code != BANGER_ERROR_CANCELLED)
		return;
	g_free(error->message);
	error->message = g_strdup("cancelled");
}
