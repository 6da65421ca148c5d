/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/image-error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

/* Enough to recognise an entry by; the rest of the line is ours. */
#define ENTRY_SHOWN 300

static const char *const fault_table[_BN_FAULT_MAX] = {
	[BN_FAULT_FORMAT] = "FORMAT",       [BN_FAULT_CORRUPT] = "CORRUPT",
	[BN_FAULT_TRUNCATED] = "TRUNCATED", [BN_FAULT_EMPTY] = "EMPTY",
	[BN_FAULT_NAME] = "NAME",           [BN_FAULT_CONFLICT] = "CONFLICT",
	[BN_FAULT_LINK] = "LINK",           [BN_FAULT_TYPE] = "TYPE",
	[BN_FAULT_OWNER] = "OWNER",         [BN_FAULT_XATTR] = "XATTR",
	[BN_FAULT_TOO_LARGE] = "TOO_LARGE", [BN_FAULT_TOO_MANY] = "TOO_MANY",
	[BN_FAULT_READ] = "READ",           [BN_FAULT_WRITE] = "WRITE",
	[BN_FAULT_NO_SPACE] = "NO_SPACE",   [BN_FAULT_NO_MEMORY] = "NO_MEMORY",
	[BN_FAULT_CANCELLED] = "CANCELLED", [BN_FAULT_INVALID] = "INVALID",
	[BN_FAULT_INTERNAL] = "INTERNAL",
};

BN_DEFINE_ENUM_TABLE(bn_image_fault, BnImageFault, fault_table);

static _printf_(3, 0) void set_text(BnImageError *error, const char *prefix, const char *format,
				    va_list args)
{
	char raw[BN_IMAGE_ERROR_TEXT];
	_cleanup_free_ char *safe = NULL;

	(void)vsnprintf(raw, sizeof(raw), format, args);
	/* A library's text may quote the archive. */
	safe = bn_str_escape(raw, strlen(raw), sizeof(raw) - 4);
	(void)snprintf(error->text, sizeof(error->text), "%s%s", prefix, safe ? safe : format);
}

int
bn_image_fail(BnImageError *reterr, int error, BnImageFault fault, const char *format, ...)
{
	va_list args;

	reterr->fault = fault;
	va_start(args, format);
	set_text(reterr, "", format, args);
	va_end(args);
	return error;
}

int
bn_image_fail_entry(BnImageError *reterr, int error, BnImageFault fault, const char *entry,
		    const char *format, ...)
{
	_cleanup_free_ char *name = bn_str_escape(entry, strlen(entry), ENTRY_SHOWN);
	char prefix[ENTRY_SHOWN + 32];
	va_list args;

	(void)snprintf(prefix, sizeof(prefix), "entry '%s': ", name ? name : "?");
	reterr->fault = fault;
	va_start(args, format);
	set_text(reterr, prefix, format, args);
	va_end(args);
	return error;
}

int
bn_image_fail_memory(BnImageError *reterr)
{
	return bn_image_fail(reterr, -ENOMEM, BN_FAULT_NO_MEMORY, "not enough memory");
}

int
bn_image_fail_write(BnImageError *reterr, int error, const char *what)
{
	bool full = error == -ENOSPC || error == -EDQUOT;

	if (error == -ENOMEM)
		return bn_image_fail_memory(reterr);
	return bn_image_fail(reterr, error, full ? BN_FAULT_NO_SPACE : BN_FAULT_WRITE, "%s: %s",
			     what, strerror(-error));
}
