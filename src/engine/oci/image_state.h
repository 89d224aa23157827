/* What an image handle holds: for images.c, and for task.c, which tells the steward of its layers. */
#pragma once
#include "engine/oci/image.h"
#include "engine/oci/proto.h"

#include "base/list.h"

#include <stdbool.h>

struct held_layer {
	uint8_t digest[STEWARD_DIGEST_BYTES], diff_id[STEWARD_DIGEST_BYTES];
	uint64_t bytes;
	int file; /* until it is unpacked; -1: none needed */
};

struct image {
	struct images *owner;
	struct list at;
	image_ready_fn *ready;
	void *ctx;
	bool done;
	int error; /* found out before anything was asked */
	char why[160];
	size_t count, next;
	struct held_layer layers[IMAGE_LAYERS_MAX];
};

struct images {
	struct loop *loop;
	struct cells *cells;
	struct image_limits limits;
	char path[4200];  /* DATA/layers */
	int dir, channel; /* -1: not there yet */
	struct loop_fd *watch;
	struct loop_timer *again, *start;
	struct list all;
	struct image *asking; /* for whom; NULL with `asked`: it was released meanwhile */
	uint32_t asked, last_number;
};
