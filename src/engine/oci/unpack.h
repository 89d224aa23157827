/* Layers as directories: DATA/layers/<diff id>/{fs,lock}. For children of the steward: everything here blocks. Whoever uses a layer
 * holds a shared lock on its `lock`; a layer is removed under an exclusive one, so what is in use is known to the kernel and
 * to nobody who could crash. */
#pragma once
#include "engine/oci/proto.h"

#include <stddef.h>

/* Unpacks `file` in two children without rights; `number` makes the temporary name unique. -EEXIST never: one that is there counts
 * as done. ret_why: a sentence for the user. */
int unpack_layer(int layers, unsigned number, int file, const struct steward_unpack *asked, char *ret_why, size_t cap);

/* The names of layers that shall stay. */
struct layer_keep {
	uint8_t (*digests)[STEWARD_DIGEST_BYTES];
	size_t count;
};
int layer_keep_add(struct layer_keep *k, const uint8_t digests[][STEWARD_DIGEST_BYTES], size_t count);
void layer_keep_clear(struct layer_keep *k);
int layers_trim(int layers, const struct layer_keep *k);
/* What was half made or half removed. */
void layers_sweep(int layers);

/* ---- the two children ---- */

struct unpack_report {
	int32_t error;
	uint8_t digest[STEWARD_DIGEST_BYTES], diff_id[STEWARD_DIGEST_BYTES]; /* of unpack_flow() */
	char why[STEWARD_WHY_MAX];
};
/* Loads what both need; before any confinement. */
int unpack_load(void);
/* Reads the file, takes gzip or zstd off it, writes the archive to `to` and reckons both digests. Without rights. */
void unpack_flow(int file, int to, const struct steward_unpack *r, struct unpack_report *ret);
/* Makes the archive's entries in the directory `root`, the layer's, and nowhere else. */
void unpack_tar(int from, int root, const struct steward_unpack *r, struct unpack_report *ret);
