/* Ordered records under names of up to 1024 bytes, in a store whose keys have at most 480.
 *
 * A tree is a key prefix ("root") and below it one node a name, in byte order of the names; a node has a value of its own (tail
 * absent) and further ones under tails ("v0123"). Names of up to 340 escaped bytes, that is nearly all, are ordinary keys. Of a
 * longer one the first 340 are a node with a marker, and the rest of it lives in another tree whose root is made of a digest of the
 * first; walks step into it where they meet the marker, so that the order holds. Objects and uploads are kept so.
 *
 * Names are raw bytes. Everything returned lives in the arena given. */
#pragma once
#include "store/store.h"

/* "s3", what, bucket: the root of a tree. */
struct str tree_root(struct arena *a, const char *what, struct str bucket);

bool tree_get(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str tail, struct store_value *ret);
void tree_put(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str tail, struct str value);
void tree_delete(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str tail);
/* The first tail of a node that is greater than `after` (absent: the first at all). False: none. */
bool tree_next_tail(struct store_txn *t, struct arena *a, struct str root, struct str name, struct str after, struct str *ret_tail,
                    struct store_value *ret);

/* A walk over names in order: every value of every node, the one without a tail first, then by tail. */
struct tree_level {
	struct str root;   /* of this level */
	struct str before; /* the part of the name that the levels above hold */
	struct store_iter *iter;
};
enum { TREE_LEVELS = 8 };
struct tree_walk {
	struct store_txn *txn;
	struct arena *arena;
	struct str root;
	struct tree_level levels[TREE_LEVELS];
	unsigned depth;
};
/* Begins at the first name >= from (absent: the very first). */
void tree_walk(struct tree_walk *w, struct store_txn *t, struct arena *a, struct str root, struct str from);
/* Goes on at the first name >= from, forwards or backwards. */
void tree_seek(struct tree_walk *w, struct str from);
/* The next value; tail absent for a node's own. False: the end. */
bool tree_next(struct tree_walk *w, struct str *ret_name, struct str *ret_tail, struct store_value *ret);

/* The least name that is greater than every one that starts with prefix; absent: there is none. */
struct str tree_after_prefix(struct arena *a, struct str prefix);
/* The least name greater than this one. */
struct str tree_after(struct arena *a, struct str name);
