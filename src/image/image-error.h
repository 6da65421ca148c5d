/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What went wrong with an image, in words for a person: a keyword to decide by and a sentence. */
#pragma once

#include <stddef.h>

#include "shared/base/enum-table.h"
#include "shared/base/macro.h"

typedef enum BnImageFault {
	BN_FAULT_FORMAT,    /* not a tar archive, or none that is understood */
	BN_FAULT_CORRUPT,   /* a tar archive that contradicts itself */
	BN_FAULT_TRUNCATED, /* it ends too early */
	BN_FAULT_EMPTY,     /* it has no entry */
	BN_FAULT_NAME,      /* "..", a name or a path too long, no name at all */
	BN_FAULT_CONFLICT,  /* an entry below something that is no directory */
	BN_FAULT_LINK,      /* a link to nothing, to a directory, in a circle; too many of them */
	BN_FAULT_TYPE,      /* a kind of file that ext4 does not have */
	BN_FAULT_OWNER,     /* an id outside 32 bits */
	BN_FAULT_XATTR,     /* attributes or ACLs that ext4 cannot hold */
	BN_FAULT_TOO_LARGE, /* a file or the image over the limit */
	BN_FAULT_TOO_MANY,  /* entries over the limit */
	BN_FAULT_READ,      /* the input could not be read */
	BN_FAULT_WRITE,     /* the output could not be written */
	BN_FAULT_NO_SPACE,  /* it could not be written for want of room: a full disk, a quota */
	BN_FAULT_NO_MEMORY,
	BN_FAULT_CANCELLED, /* the caller's progress function said so */
	BN_FAULT_INVALID,   /* the request itself */
	BN_FAULT_INTERNAL,
	_BN_FAULT_MAX,
	_BN_FAULT_INVALID = -EINVAL,
} BnImageFault;

BN_DECLARE_ENUM_TABLE(bn_image_fault, BnImageFault);

#define BN_IMAGE_ERROR_TEXT 768

typedef struct BnImageError {
	BnImageFault fault;
	char text[BN_IMAGE_ERROR_TEXT]; /* one line of printable UTF-8 */
} BnImageError;

/* Fills *reterr and returns `error` (negative errno), so that a caller can say `return bn_image_fail(…)`. */
int bn_image_fail(BnImageError *reterr, int error, BnImageFault fault, const char *format, ...)
	_printf_(4, 5);

/* The same, with the entry named first: "entry 'usr/bin/x': …". The name is the archive's and is
 * escaped here. */
int bn_image_fail_entry(BnImageError *reterr, int error, BnImageFault fault, const char *entry,
			const char *format, ...) _printf_(5, 6);

int bn_image_fail_memory(BnImageError *reterr);

/* `error`, negative errno, met while writing: whether room was wanting decides the keyword. */
int bn_image_fail_write(BnImageError *reterr, int error, const char *what);
