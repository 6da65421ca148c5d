/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An example. */
#include <errno.h>
#pragma once
