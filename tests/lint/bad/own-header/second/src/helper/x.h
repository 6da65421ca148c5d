/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An example. */
#pragma once
