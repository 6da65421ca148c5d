/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/tree.h"

#include <stdlib.h>
#include <string.h>

static size_t n_names;

static size_t
hash(const char *name)
{
	size_t h = 5381;

	for (; *name; name++)
		h = h * 33 + (unsigned char)*name;
	return h;
}

Node *
tree_new_root(void)
{
	Node *root = calloc(1, sizeof(*root));

	if (!root)
		return NULL;
	root->is_directory = true;
	root->ino = EXT2_ROOT_INO;
	root->file_type = EXT2_FT_DIR;
	root->parent = root;
	return root;
}

/* Goes down by pointers, not by recursion: the depth is the archive's choice. */
void
tree_free(Node *node)
{
	Node *top = node;

	while (node) {
		Node *up;

		if (node->first) {
			Node *child = node->first;

			node->first = child->following;
			node = child;
			continue;
		}
		up = node == top ? NULL : node->parent;
		free(node->buckets);
		free(node->name);
		free(node);
		node = up;
	}
}

Node *
tree_find_child(const Node *directory, const char *name)
{
	if (directory->n_buckets == 0)
		return NULL;
	for (Node *n = directory->buckets[hash(name) % directory->n_buckets]; n; n = n->next)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

static bool
grow(Node *directory)
{
	size_t n = directory->n_buckets ? directory->n_buckets * 4 : 8;
	Node **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return false;
	free(directory->buckets);
	directory->buckets = buckets;
	directory->n_buckets = n;
	for (Node *child = directory->first; child; child = child->following) {
		size_t b = hash(child->name) % n;

		child->next = buckets[b];
		buckets[b] = child;
	}
	return true;
}

Node *
tree_add_child(Node *directory, const char *name)
{
	Node *node;
	size_t b;

	if (n_names >= TREE_NAMES_MAX ||
	    (directory->n_children >= 2 * directory->n_buckets && !grow(directory)))
		return NULL;
	node = calloc(1, sizeof(*node));
	if (!node || !(node->name = strdup(name))) {
		free(node);
		return NULL;
	}
	b = hash(name) % directory->n_buckets;
	node->parent = directory;
	node->next = directory->buckets[b];
	directory->buckets[b] = node;
	if (directory->last)
		directory->last->following = node;
	else
		directory->first = node;
	directory->last = node;
	directory->n_children++;
	n_names++;
	return node;
}

void
tree_remove_child(Node *node)
{
	Node *directory = node->parent;
	Node **link = &directory->buckets[hash(node->name) % directory->n_buckets];
	Node *before = NULL;

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	for (Node *n = directory->first; n != node; n = n->following)
		before = n;
	if (before)
		before->following = node->following;
	else
		directory->first = node->following;
	if (directory->last == node)
		directory->last = before;
	directory->n_children--;
	node->following = NULL;
	tree_free(node);
}
