/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "helper/x.h"
