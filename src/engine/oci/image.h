/* Unpacked images: the layers of container images as directories of which tasks make their root file systems.
 *
 * A layer is unpacked once, by a child of `priv` that has no rights, no network and no other file, into DATA/layers/<diff id>, and
 * is shared, read-only, by every image and task that has it. Both digests are checked before it gets that name. A layer in which
 * something is refused - an absolute path, "..", a link out of the root, a device node, more entries or bytes than allowed - leaves
 * nothing behind.
 *
 * One for the whole role: there is one way to `priv` for this, and a second `struct images` takes it from the first.
 * Held by whoever starts tasks; the handle must live until task_free(). All runs on the loop of the role that made it. */
#pragma once
#include "base/str.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct images;
struct image;
struct cells;

enum {
	IMAGE_LAYERS_MAX = 127,
	IMAGE_DIGEST_CHARS = 64, /* SHA-256 in lower-case hexadecimal, without "sha256:" */
};

struct image_layer {
	const char *digest;  /* of the file as it was pushed */
	const char *diff_id; /* of the archive in it (rootfs.diff_ids of the image's configuration) */
	uint64_t bytes;      /* of the file */
};

/* Opens the file of layer `index` for reading; called before image_prepare() returns, and only for a layer that is not unpacked
 * yet. A descriptor (taken over) or negative errno. */
typedef int image_open_fn(void *ctx, size_t index);

/* Once, never from inside image_prepare(). error: 0, -EBADMSG (digest), -EPERM (refused content), -E2BIG (over a limit), -ENOTSUP
 * (sandboxes do not work here) or another negative errno; `why` is a sentence for the user ("" with 0). */
typedef void image_ready_fn(void *ctx, struct image *image, int error, const char *why);

struct image_limits {
	uint64_t layer_bytes;   /* of one layer, unpacked; 0: 20 GiB */
	uint32_t layer_entries; /* 0: 1,000,000 */
};

/* cells: the way to `priv`; may be NULL: then every image fails with -ENOTSUP. */
struct images *images_new(struct loop *l, struct cells *cells, const char *data_dir, const struct image_limits *limits);
void images_free(struct images *s);

/* Unpacks what is missing of these layers (the lowest first) and holds them. Never NULL. */
struct image *image_prepare(struct images *s, const struct image_layer *layers, size_t count, image_open_fn *open,
                            image_ready_fn *ready, void *ctx);
/* Lets go; before it was ready: nothing is called any more. Its layers stay on disk until images_trim(). */
void image_release(struct image *i);

/* Removes unpacked layers that no image handle and no running task holds, and that are not among the `count` to keep: hexadecimal
 * digests, of what was unpacked or of the file that it came from. Images that are prepared meanwhile wait for its end. */
void images_trim(struct images *s, const char *const *keep, size_t count);

/* Whoever counts on layers without a handle says which at each images_trim_all(), by images_keep(). Once each, while services
 * start. */
typedef void images_keeper_fn(void *ctx, struct images *s);
void images_keep_by(struct images *s, images_keeper_fn *keeper, void *ctx);
void images_keep(struct images *s, struct str digest);
bool images_trim_all(struct images *s); /* false: not now */
