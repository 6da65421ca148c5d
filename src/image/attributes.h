/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an entry says of itself besides its content, into an inode. */
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "image/ext4.h"

/* Mode, owner, times, device number. `inode` is cleared first. */
void attributes_fill(struct archive_entry *entry, struct ext2_inode_large *inode);

/* Extended attributes and access control lists; the inode is on disk already. `path` names the entry in an error. */
int attributes_write_extended(Ext4 *ext4, ext2_ino_t ino, struct archive_entry *entry,
			      const char *path, ImageError *error);
