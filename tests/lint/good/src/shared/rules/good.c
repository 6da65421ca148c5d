/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/types.h>

#include "shared/base/good.h"
