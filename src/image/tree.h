/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image's directory tree while the archive is read: names, inodes, and where their data went.
 *
 * Names and inodes are apart, as in the filesystem: a hard link is a second name. Every path is
 * resolved inside the tree as a process confined to the image's root would resolve it: symbolic links
 * in the middle are followed, an absolute target begins at the image's root, ".." above the root is
 * the root. There is no host path in this file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "image/arena.h"
#include "image/image-error.h"

#define BN_TREE_NAME_MAX   255
#define BN_TREE_PATH_MAX   4095
#define BN_TREE_TARGET_MAX 4095 /* ext4: one block less the NUL */

typedef struct BnNode BnNode;

/* Blocks of a file that lie together on disk; at most 32768 of them, which one ext4 extent holds. */
typedef struct BnExtent {
	uint64_t physical;
	uint32_t logical, count;
} BnExtent;

typedef struct BnXattr {
	struct BnXattr *next;
	const char *name; /* "security.capability" */
	const void *value;
	size_t size;
} BnXattr;

/* As ext4 keeps a time: seconds modulo 2^32; two bits of epoch below thirty of nanoseconds. */
typedef struct BnTime {
	uint32_t seconds, extra;
} BnTime;

typedef struct BnName {
	struct BnName *next;   /* in its directory, in the order of arrival */
	struct BnName *bucket; /* with an equal hash */
	BnNode *dir;
	BnNode *node; /* NULL: taken away again */
	uint32_t hash;
	uint8_t size;
	char text[]; /* not UTF-8 of necessity; NUL-terminated */
} BnName;

struct BnNode {
	BnNode *next; /* in the order of creation */
	BnName *name; /* one of its names; NULL for the root */
	BnXattr *xattrs;
	uint64_t size;
	uint32_t ino;     /* set when the tree is whole; 0: nobody can reach it */
	uint32_t n_links; /* likewise */
	uint32_t uid, gid;
	uint16_t mode; /* type and permissions; 0: a hard link whose target has not come yet */
	uint16_t depth;
	BnTime atime, ctime, mtime, crtime;
	union {
		struct { /* directory */
			BnNode *parent;
			BnName *first, *last;
			BnNode *queue;
			uint32_t n_subdirs;
			bool has_index;
		};
		struct { /* regular file; symbolic link too long for the inode */
			BnExtent one;
			BnExtent *many; /* on the heap, where there is more than one */
			uint32_t n_extents, max_extents;
		};
		uint64_t device; /* major << 32 | minor */
	};
	char *target; /* symbolic link, or hard link to come */
	/* Set when the tree is whole: the root of the block map where it is made ahead, its blocks. */
	unsigned char *map;
	uint64_t n_blocks;
};

typedef struct BnTree {
	BnArena arena;
	BnNode *root, *last;
	BnName **buckets;
	size_t n_buckets, n_names;
	uint64_t n_nodes, n_reachable;
	uint32_t hash_key;
} BnTree;

/* A tree with a root and a lost+found (e2fsck wants one), all times at the epoch. 0 or -ENOMEM. */
int bn_tree_init(BnTree *tree);
void bn_tree_done(BnTree *tree);

static inline bool
bn_node_is_dir(const BnNode *node)
{
	return S_ISDIR(node->mode);
}

/* Brings a path of the archive into form: no leading "/" or "./", no "." and no empty component.
 * The root is "". `ret` has room for BN_TREE_PATH_MAX + 1. -EPERM: it contains ".."; -ENAMETOOLONG:
 * it or a component is too long. */
int bn_tree_normalize(const char *path, char *ret);

/* Where `path` (in form, not the root) lies: its directory and its last component, which is not
 * followed. Directories on the way that are missing are made (0755, owned by root, with `time`),
 * where `time` is given; else -ENOENT. -ENOTDIR: something on the way is no directory; -ELOOP; -ENOMEM;
 * -EMLINK: nested too deeply. */
int bn_tree_locate(BnTree *tree, const char *path, const BnTime *time, BnNode **ret_dir,
		   char ret_leaf[static BN_TREE_NAME_MAX + 1]);

/* NULL where there is none. */
BnName *bn_tree_find(BnTree *tree, const BnNode *dir, const char *leaf);

/* What the path leads to, the last component followed too if `follow`; NULL where it leads nowhere. */
BnNode *bn_tree_resolve(BnTree *tree, const char *path, bool follow);

/* A node that nobody names yet. NULL: no memory. */
BnNode *bn_tree_new_node(BnTree *tree, uint16_t mode);

/* Gives `node` the name; what had it before loses it (a directory with all that is below). 0, -ENOMEM
 * or, for a directory, -EMLINK. */
int bn_tree_put(BnTree *tree, BnNode *dir, const char *leaf, BnNode *node);

/* Binds every hard link that came before its target. -ENOENT, -EPERM (a directory), -ELOOP: *ret_name
 * is the link that could not be. */
int bn_tree_bind_links(BnTree *tree, BnName **ret_name);

/* Numbers what can be reached from the root, in the order of creation, and counts links. */
void bn_tree_number(BnTree *tree, uint32_t first_ino);

/* Adds blocks to a file's map, in rising order of `logical`. 0 or -ENOMEM. */
int bn_node_add_blocks(BnNode *node, uint32_t logical, uint64_t physical, uint64_t count);
const BnExtent *bn_node_extents(const BnNode *node);

/* A path that leads to the node, cut at the front if it is long; for messages. */
void bn_node_path(const BnNode *node, char *ret, size_t size);
