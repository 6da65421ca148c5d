/* SPDX-License-Identifier: LGPL-2.1-or-later */
extern int use_fake_kernel;
