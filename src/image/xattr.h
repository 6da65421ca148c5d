/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes and POSIX ACLs of one archive entry, brought into the form Linux calls them by. */
#pragma once

#include "image/image-error.h"
#include "image/tree.h"

struct archive_entry;

#define BN_XATTR_NAME_MAX  255
#define BN_XATTR_VALUE_MAX 65536 /* the kernel's XATTR_SIZE_MAX */

/* Sets node->xattrs. An ACL becomes the kernel's system.posix_acl_* attribute. Attributes of a
 * namespace that Linux does not have (other systems' archivers write them) are left out, as Linux
 * itself would refuse them. 0, or negative errno with *reterr, which names `path`. */
int bn_xattr_read(BnTree *tree, BnNode *node, struct archive_entry *entry, const char *path,
		  BnImageError *reterr);

/* Room that the attributes need: in blocks, and in inodes for values of their own. Never too little.
 * *ret_inodes > 0 asks for the ea_inode feature. */
void bn_xattr_room(const BnNode *node, uint64_t *ret_blocks, uint32_t *ret_inodes);
