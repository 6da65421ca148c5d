/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "shared/base/cleanup.h"

#define BUCKETS_MIN 4096

/* Deeper than any path can reach in one system call; keeps ".." chains of tools short. */
#define DEPTH_MAX 2048

/* Blocks in one ext4 extent. */
#define EXTENT_MAX UINT64_C(32768)

/* Nobody but this process sees the key: an archive cannot be made to have colliding names. */
static uint32_t
hash_name(const BnTree *tree, const BnNode *dir, const char *text, size_t size)
{
	uint64_t h = tree->hash_key ^ ((uint64_t)(uintptr_t)dir * UINT64_C(0x9e3779b97f4a7c15));

	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(h >> 32);
}

static int
grow_buckets(BnTree *tree)
{
	size_t n = tree->n_buckets ? tree->n_buckets * 2 : BUCKETS_MIN;
	BnName **buckets = calloc(n, sizeof(BnName *));

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < tree->n_buckets; i++) {
		BnName *name = tree->buckets[i];

		while (name) {
			BnName *next = name->bucket;

			name->bucket = buckets[name->hash & (n - 1)];
			buckets[name->hash & (n - 1)] = name;
			name = next;
		}
	}
	free(tree->buckets);
	tree->buckets = buckets;
	tree->n_buckets = n;
	return 0;
}

BnNode *
bn_tree_new_node(BnTree *tree, uint16_t mode)
{
	BnNode *node = bn_arena_new(&tree->arena, sizeof(*node));

	if (!node)
		return NULL;
	node->mode = mode;
	if (tree->last)
		tree->last->next = node;
	tree->last = node;
	tree->n_nodes++;
	return node;
}

int
bn_tree_init(BnTree *tree)
{
	BnNode *lost;

	*tree = (BnTree){};
	if (getrandom(&tree->hash_key, sizeof(tree->hash_key), 0) < 0)
		tree->hash_key = 1;
	tree->root = bn_tree_new_node(tree, S_IFDIR | 0755);
	lost = tree->root ? bn_tree_new_node(tree, S_IFDIR | 0700) : NULL;
	if (!lost)
		return -ENOMEM;
	tree->root->parent = tree->root;
	return bn_tree_put(tree, tree->root, "lost+found", lost);
}

void
bn_tree_done(BnTree *tree)
{
	for (BnNode *node = tree->root; node; node = node->next)
		if (S_ISREG(node->mode) || S_ISLNK(node->mode))
			free(node->many);
	free(tree->buckets);
	bn_arena_done(&tree->arena);
	*tree = (BnTree){};
}

/* The next component of *path, which moves on; 0 at the end. */
static size_t
next_component(const char **path, const char **ret)
{
	const char *p = *path;
	size_t size;

	for (;;) {
		p += strspn(p, "/");
		size = strcspn(p, "/");
		if (size != 1 || p[0] != '.')
			break;
		p++;
	}
	*ret = p;
	*path = p + size;
	return size;
}

int
bn_tree_normalize(const char *path, char *ret)
{
	size_t used = 0, size;
	const char *part;

	while ((size = next_component(&path, &part)) > 0) {
		if (size == 2 && part[0] == '.' && part[1] == '.')
			return -EPERM;
		if (size > BN_TREE_NAME_MAX || used + size + 1 > BN_TREE_PATH_MAX)
			return -ENAMETOOLONG;
		if (used > 0)
			ret[used++] = '/';
		memcpy(ret + used, part, size);
		used += size;
	}
	ret[used] = '\0';
	return 0;
}

static BnName *
find_name(BnTree *tree, const BnNode *dir, const char *text, size_t size)
{
	uint32_t hash = hash_name(tree, dir, text, size);

	if (tree->n_buckets == 0)
		return NULL;
	for (BnName *n = tree->buckets[hash & (tree->n_buckets - 1)]; n; n = n->bucket)
		if (n->hash == hash && n->dir == dir && n->size == size &&
		    memcmp(n->text, text, size) == 0)
			return n;
	return NULL;
}

BnName *
bn_tree_find(BnTree *tree, const BnNode *dir, const char *leaf)
{
	BnName *name = find_name(tree, dir, leaf, strlen(leaf));

	return name && name->node ? name : NULL;
}

static int
add_name(BnTree *tree, BnNode *dir, const char *leaf, BnName **ret)
{
	size_t size = strlen(leaf);
	BnName *name;

	if (tree->n_names >= tree->n_buckets && grow_buckets(tree) < 0)
		return -ENOMEM;
	name = bn_arena_new(&tree->arena, sizeof(*name) + size + 1);
	if (!name)
		return -ENOMEM;
	memcpy(name->text, leaf, size);
	name->size = (uint8_t)size;
	name->dir = dir;
	name->hash = hash_name(tree, dir, leaf, size);
	name->bucket = tree->buckets[name->hash & (tree->n_buckets - 1)];
	tree->buckets[name->hash & (tree->n_buckets - 1)] = name;
	tree->n_names++;
	if (dir->last)
		dir->last->next = name;
	else
		dir->first = name;
	dir->last = name;
	*ret = name;
	return 0;
}

int
bn_tree_put(BnTree *tree, BnNode *dir, const char *leaf, BnNode *node)
{
	BnName *name = find_name(tree, dir, leaf, strlen(leaf));

	if (bn_node_is_dir(node)) {
		if (dir->depth >= DEPTH_MAX)
			return -EMLINK;
		node->depth = (uint16_t)(dir->depth + 1);
		node->parent = dir;
	}
	if (!name) {
		int r = add_name(tree, dir, leaf, &name);

		if (r < 0)
			return r;
	}
	name->node = node;
	node->name = name;
	return 0;
}

static int
make_directory(BnTree *tree, BnNode *dir, const char *leaf, const BnTime *time, BnNode **ret)
{
	BnNode *node = bn_tree_new_node(tree, S_IFDIR | 0755);
	int r;

	if (!node)
		return -ENOMEM;
	node->atime = node->ctime = node->mtime = node->crtime = *time;
	r = bn_tree_put(tree, dir, leaf, node);
	if (r >= 0)
		*ret = node;
	return r;
}

/* A path being walked: what is left of it, with the targets of links put before it. */
typedef struct Walk {
	BnNode *dir;
	char *rest;
	const char *at;
	unsigned n_links;
	char buffers[2][2 * BN_TREE_PATH_MAX + 2];
} Walk;

/* The kernel's own limit, and a second one that it has through PATH_MAX. */
#define LINKS_MAX 40

static int
follow_link(Walk *walk, BnTree *tree, const BnNode *link)
{
	char *next = walk->rest == walk->buffers[0] ? walk->buffers[1] : walk->buffers[0];
	size_t target = strlen(link->target), left = strlen(walk->at);

	if (++walk->n_links > LINKS_MAX || target + 1 + left >= sizeof(walk->buffers[0]))
		return -ELOOP;
	memcpy(next, link->target, target);
	next[target] = '/';
	memcpy(next + target + 1, walk->at, left + 1);
	if (link->target[0] == '/')
		walk->dir = tree->root;
	walk->at = walk->rest = next;
	return 0;
}

static bool
is_last(const char *rest)
{
	const char *part;

	return next_component(&rest, &part) == 0;
}

/* One component on the way; 0 or negative errno. */
static int
step(Walk *walk, BnTree *tree, const char *part, const BnTime *time)
{
	BnName *name = bn_tree_find(tree, walk->dir, part);

	if (!name && time)
		return make_directory(tree, walk->dir, part, time, &walk->dir);
	if (!name)
		return -ENOENT;
	if (S_ISLNK(name->node->mode))
		return follow_link(walk, tree, name->node);
	if (!bn_node_is_dir(name->node))
		return -ENOTDIR;
	walk->dir = name->node;
	return 0;
}

/* Ends at the last component, or, if `follow`, at the directory that the whole path means (leaf ""). */
static int
walk_path(BnTree *tree, const char *path, const BnTime *time, bool follow, BnNode **ret_dir,
	  char *ret_leaf)
{
	Walk walk; /* not cleared: its buffers are large, and this runs for every entry */
	const char *part;
	size_t size = strlen(path);

	if (size > BN_TREE_PATH_MAX)
		return -ENAMETOOLONG;
	walk.dir = tree->root;
	walk.n_links = 0;
	walk.at = walk.rest = memcpy(walk.buffers[0], path, size + 1);
	while ((size = next_component(&walk.at, &part)) > 0) {
		char leaf[BN_TREE_NAME_MAX + 1];
		int r;

		if (size > BN_TREE_NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(leaf, part, size);
		leaf[size] = '\0';
		if (strcmp(leaf, "..") ==
		    0) { /* from a link's target; the archive's own are refused */
			walk.dir = walk.dir->parent;
			continue;
		}
		if (is_last(walk.at)) {
			BnName *name = follow ? bn_tree_find(tree, walk.dir, leaf) : NULL;

			if (!name || !S_ISLNK(name->node->mode)) {
				*ret_dir = walk.dir;
				memcpy(ret_leaf, leaf, size + 1);
				return 0;
			}
		}
		r = step(&walk, tree, leaf, time);
		if (r < 0)
			return r;
	}
	*ret_dir = walk.dir;
	ret_leaf[0] = '\0';
	return 0;
}

int
bn_tree_locate(BnTree *tree, const char *path, const BnTime *time, BnNode **ret_dir,
	       char ret_leaf[static BN_TREE_NAME_MAX + 1])
{
	return walk_path(tree, path, time, /* follow= */ false, ret_dir, ret_leaf);
}

BnNode *
bn_tree_resolve(BnTree *tree, const char *path, bool follow)
{
	char leaf[BN_TREE_NAME_MAX + 1];
	BnNode *dir = NULL;
	BnName *name;

	if (walk_path(tree, path, NULL, follow, &dir, leaf) < 0)
		return NULL;
	if (leaf[0] == '\0')
		return dir;
	name = bn_tree_find(tree, dir, leaf);
	return name ? name->node : NULL;
}

/* A link to come is a node without a mode. While its chain is followed its number is 1, so that a
 * circle is seen; bn_tree_number() sets all numbers anew. */
static int
bind_link(BnTree *tree, BnNode *link)
{
	BnNode *end = link;
	int r = 0;

	while (end->mode == 0 && r == 0) {
		if (end->ino)
			return -ELOOP;
		end->ino = 1;
		end = bn_tree_resolve(tree, end->target, /* follow= */ false);
		if (!end)
			return -ENOENT;
	}
	if (bn_node_is_dir(end))
		return -EPERM;
	for (BnNode *n = link; n != end;) {
		BnNode *next = bn_tree_resolve(tree, n->target, /* follow= */ false);

		n->ino = 0;
		n->name->node = end;
		n = next;
	}
	return 0;
}

int
bn_tree_bind_links(BnTree *tree, BnName **ret_name)
{
	for (BnNode *node = tree->root; node; node = node->next) {
		int r;

		/* Replaced since by another entry, or bound as a part of another's chain. */
		if (node->mode != 0 || node->name->node != node)
			continue;
		r = bind_link(tree, node);
		if (r < 0) {
			*ret_name = node->name;
			return r;
		}
	}
	return 0;
}

/* Counts the names below one directory, and queues the directories among them. */
static void
count_names(BnNode *dir, BnNode **tail)
{
	for (BnName *name = dir->first; name; name = name->next) {
		BnNode *node = name->node;

		if (!node)
			continue;
		node->n_links++;
		node->name = name;
		if (!bn_node_is_dir(node))
			continue;
		dir->n_subdirs++;
		(*tail)->queue = node;
		*tail = node;
	}
}

void
bn_tree_number(BnTree *tree, uint32_t first_ino)
{
	BnNode *tail = tree->root;

	for (BnNode *node = tree->root; node; node = node->next)
		node->n_links = node->ino = 0;
	/* Breadth first and without recursion: the depth is the archive's to choose. */
	for (BnNode *dir = tree->root; dir; dir = dir->queue)
		count_names(dir, &tail);
	tree->root->n_links = 1;
	tree->n_reachable = 0;
	for (BnNode *node = tree->root; node; node = node->next) {
		if (node->n_links == 0)
			continue;
		node->ino = node == tree->root ? 2 : first_ino++;
		tree->n_reachable++;
	}
}

const BnExtent *
bn_node_extents(const BnNode *node)
{
	return node->many ? node->many : &node->one;
}

/* Two runs that met at a block's border are one again. */
static bool
extend_last(BnNode *node, uint32_t logical, uint64_t physical, uint64_t count)
{
	BnExtent *last;

	if (node->n_extents == 0)
		return false;
	last = (node->many ? node->many : &node->one) + node->n_extents - 1;
	if (last->logical + last->count != logical || last->physical + last->count != physical ||
	    last->count + count > EXTENT_MAX)
		return false;
	last->count += (uint32_t)count;
	return true;
}

static int
add_extent(BnNode *node, const BnExtent *extent)
{
	if (node->n_extents == 0) {
		node->one = *extent;
		node->n_extents = node->max_extents = 1;
		return 0;
	}
	if (node->n_extents == node->max_extents) {
		uint32_t max = BN_MAX(node->max_extents * 2, 8u);
		BnExtent *many = reallocarray(node->many, max, sizeof(*many));

		if (!many)
			return -ENOMEM;
		if (!node->many)
			many[0] = node->one;
		node->many = many;
		node->max_extents = max;
	}
	node->many[node->n_extents++] = *extent;
	return 0;
}

int
bn_node_add_blocks(BnNode *node, uint32_t logical, uint64_t physical, uint64_t count)
{
	if (extend_last(node, logical, physical, count))
		return 0;
	while (count > 0) {
		BnExtent extent = { .physical = physical, .logical = logical };
		int r;

		extent.count = (uint32_t)BN_MIN(count, EXTENT_MAX);
		r = add_extent(node, &extent);
		if (r < 0)
			return r;
		logical += extent.count;
		physical += extent.count;
		count -= extent.count;
	}
	return 0;
}

void
bn_node_path(const BnNode *node, char *ret, size_t size)
{
	size_t at = size - 1;

	ret[at] = '\0';
	for (const BnName *name = node->name; name; name = name->dir->name) {
		if (name->size + 1u > at)
			break;
		if (ret[at] != '\0')
			ret[--at] = '/';
		at -= name->size;
		memcpy(ret + at, name->text, name->size);
	}
	memmove(ret, ret + at, size - at);
}
