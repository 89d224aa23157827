/* What the names in a layer's archive mean. Pure: for the unpacker, tests and fuzzing. */
#pragma once
#include <stddef.h>

enum layer_kind {
	LAYER_PLAIN,
	LAYER_WHITEOUT, /* hides what lower layers have under the name returned */
	LAYER_OPAQUE,   /* hides all that lower layers have in the directory returned */
	LAYER_IGNORED,  /* another file system's bookkeeping */
};
enum { LAYER_PATH_MAX = 4096 };

/* The name relative to the root, without ".", double and trailing slashes; "." is the root itself. 0; -EPERM: absolute, or with
 * ".."; -EINVAL: empty, too long, a whiteout of nothing. */
int layer_path(const char *name, char ret[LAYER_PATH_MAX], enum layer_kind *ret_kind);

/* May a symbolic link at `path` (as returned above) point to `target`? Absolute ones are the container's own; -EPERM: it climbs
 * over the root. */
int layer_symlink(const char *path, const char *target);
