/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories on disk: written once, when everything is known. */
#pragma once

#include "image/tree.h"

int directory_write_all(Ext4 *ext4, Node *root, ImageError *error);
