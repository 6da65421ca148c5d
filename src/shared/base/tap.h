/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor of a tap, which somebody else made. */
#pragma once

/* IFNAMSIZ. */
#define BN_TAP_NAME_SIZE 16

/* The tap of a VMM: one queue of whole frames, each behind a header of virtio's, that goes when its last
 * descriptor is closed. Writes its interface's name. 0; -EINVAL: another device or file; -EBADFD: of no interface
 * any more; -EPROTO: a tap of another kind. */
int bn_tap_check(int fd, char ret_name[static BN_TAP_NAME_SIZE]);
