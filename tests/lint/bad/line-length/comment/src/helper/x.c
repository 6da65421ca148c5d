/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y y */
