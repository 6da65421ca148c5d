/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of the image, kept in memory until all entries have come: directories are written last. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "image/ext4.h"

typedef struct Node Node;
struct Node {
	char *name;
	Node *parent;
	Node *next; /* in the parent's bucket */
	ext2_ino_t ino;
	bool is_directory;
	/* Directories only: a hash table of children, and in the order of their coming. */
	Node **buckets;
	size_t n_buckets, n_children;
	Node *first, *last; /* children in order */
	Node *following;    /* the next sibling in order */
	__u8 file_type;     /* EXT2_FT_… of what it names */
};

/* Limits of what an archive may ask of our memory. */
#define TREE_NAMES_MAX 4000000

Node *tree_new_root(void);
void tree_free(Node *node);

Node *tree_find_child(const Node *directory, const char *name);
/* NULL where memory or the limit is exhausted. */
Node *tree_add_child(Node *directory, const char *name);
void tree_remove_child(Node *node);
