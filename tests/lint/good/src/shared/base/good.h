/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bottom of the house. */
#pragma once
