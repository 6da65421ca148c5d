/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/macro.h"

#define PIECE_SIZE ((size_t)256 * 1024)
#define ALIGNMENT  ((size_t)8)

typedef struct BnArenaPiece {
	struct BnArenaPiece *next;
	size_t size;
	char data[];
} BnArenaPiece;

void *
bn_arena_new(BnArena *arena, size_t size)
{
	BnArenaPiece *piece = arena->pieces;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (!piece || arena->left < size) {
		size_t room = BN_MAX(size, PIECE_SIZE - sizeof(*piece));

		piece = calloc(1, sizeof(*piece) + room);
		if (!piece)
			return NULL;
		piece->size = room;
		piece->next = arena->pieces;
		arena->pieces = piece;
		arena->left = room;
	}
	arena->left -= size;
	return piece->data + (piece->size - arena->left - size);
}

void *
bn_arena_dup(BnArena *arena, const void *data, size_t size)
{
	char *copy = bn_arena_new(arena, size + 1);

	if (copy && size > 0)
		memcpy(copy, data, size);
	return copy;
}

void
bn_arena_done(BnArena *arena)
{
	while (arena->pieces) {
		BnArenaPiece *next = arena->pieces->next;

		free(arena->pieces);
		arena->pieces = next;
	}
	arena->left = 0;
}
