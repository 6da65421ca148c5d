/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/op.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/rules/names.h"

static const struct {
	const char *name;
	int error;
} errors[_OP_ERROR_MAX] = {
	[OP_ERROR_ABORTED] = { "org.banger.Error.Aborted", -ECANCELED },
	[OP_ERROR_ALREADY_EXISTS] = { "org.banger.Error.AlreadyExists", -EEXIST },
	[OP_ERROR_BUSY] = { "org.banger.Error.Busy", -EBUSY },
	[OP_ERROR_FAILED] = { "org.banger.Error.Failed", -EIO },
	[OP_ERROR_INTERACTION_REQUIRED] = { "org.banger.Error.InteractionRequired", -ENOKEY },
	[OP_ERROR_INVALID_ARGUMENT] = { "org.banger.Error.InvalidArgument", -EINVAL },
	[OP_ERROR_KVM_UNUSABLE] = { "org.banger.Error.KvmUnusable", -ENODEV },
	[OP_ERROR_NAT_BLOCKED] = { "org.banger.Error.NatBlocked", -EHOSTUNREACH },
	[OP_ERROR_NOT_AUTHORIZED] = { "org.banger.Error.NotAuthorized", -EACCES },
	[OP_ERROR_NOT_FOUND] = { "org.banger.Error.NotFound", -ENOENT },
	[OP_ERROR_QUOTA_REACHED] = { "org.banger.Error.QuotaReached", -EDQUOT },
	[OP_ERROR_RESOLVER_UNAVAILABLE] = { "org.banger.Error.ResolverUnavailable", -ENOPKG },
	[OP_ERROR_VMM_UNAVAILABLE] = { "org.banger.Error.VmmUnavailable", -ENOEXEC },
};

const char *
op_error_name(OpError error)
{
	return error > OP_ERROR_NONE && error < _OP_ERROR_MAX ? errors[error].name : NULL;
}

int
op_fail(OpCall *call, OpError error, const char *format, ...)
{
	va_list args;

	call->failure.error = error;
	va_start(args, format);
	(void)vsnprintf(call->failure.text, sizeof(call->failure.text), format, args);
	va_end(args);
	return errors[error].error;
}

int
op_fail_errno(OpCall *call, int r, const char *what)
{
	(void)op_fail(call, OP_ERROR_FAILED, "%s: %s", what, strerror(-r));
	return r;
}

int
op_fail_argument(OpCall *call, const char *argument, const char *what)
{
	return op_fail(call, OP_ERROR_INVALID_ARGUMENT, "%s: %s", argument, what);
}

int
op_check_vm(OpCall *call, const char *vm, const char *operation)
{
	if (!bn_names_is_id(vm))
		return op_fail_argument(call, "vm", "not an id of 32 lower-case hex digits");
	if (!bn_names_is_operation(operation))
		return op_fail_argument(call, "operation",
					"neither empty nor an id of 32 lower-case hex digits");
	call->vm = vm;
	call->operation = operation;
	bn_derive_key(call->target, vm, call->key);
	return 0;
}
