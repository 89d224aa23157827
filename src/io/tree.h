/* Removing a directory with everything below it. Whoever clears up calls it: main and priv at the end of an ephemeral cloud, `up`
 * for those that were killed, api for what a reset put aside. Blocks for as long as the disk takes. */
#pragma once

/* Removes `name` in the directory `dir` (AT_FDCWD: by path), a file or a tree. Follows no links and stays on the file system that
 * the tree begins on. What is not there counts as removed. 0, or the negative errno of the first thing that stays; the others go.
 */
int tree_remove(int dir, const char *name);
