/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is taken for an init: what an image is said to have, its guest also starts. */
#pragma once

#define BN_INIT_PATHS 6

/* Where a kernel or a person would look for one, the most telling first. */
extern const char *const bn_init_paths[BN_INIT_PATHS];
