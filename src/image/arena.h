/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many small things of one lifetime: given out from large pieces, freed all at once. */
#pragma once

#include <stddef.h>

typedef struct BnArena {
	struct BnArenaPiece *pieces;
	size_t left;
} BnArena;

/* Zeroed memory aligned for any pointer or 64-bit number, or NULL. */
void *bn_arena_new(BnArena *arena, size_t size);

/* A copy with a NUL after it, or NULL. */
void *bn_arena_dup(BnArena *arena, const void *data, size_t size);

void bn_arena_done(BnArena *arena);
