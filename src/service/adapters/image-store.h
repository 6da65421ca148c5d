/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BangerImageStore in a directory: image/<id>/root.ext4, kernel/<id>/{vmlinux,initramfs}. What is being made is in a
 * directory ".new-<id>" beside them and appears by a rename.
 *
 * The initramfs there is the kernel's part: its modules. The agent comes to it when it is loaded, so that the next VM
 * that starts has the one that is installed then. Kernels of older stores hold an agent too, which that replaces. */
#pragma once

#include "service/ports/image.h"

#define BANGER_TYPE_IMAGE_DIRECTORY (banger_image_directory_get_type())
G_DECLARE_FINAL_TYPE(BangerImageDirectory, banger_image_directory, BANGER, IMAGE_DIRECTORY, GObject)

/* Makes the directory where it is missing. `agent`: path of the program that guests get as their /init. */
BangerImageStore *banger_image_directory_new(const char *directory, const char *agent,
					     GError **error);
