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
	struct image_trim {
		uint8_t (*keep)[STEWARD_DIGEST_BYTES];
		size_t count, room, sent;
		bool sending;    /* the names are on their way; what becomes of it comes with `number` */
		uint32_t number; /* 0: none is under way */
		struct loop_timer *again;
	} trim;
	struct image_keeper {
		images_keeper_fn *keeps;
		void *ctx;
	} keepers[4];
	size_t keeper_count;
};

/* images_trim.c */
void trim_answered(struct images *s, uint32_t number);
void trim_forget(struct images *s); /* priv has forgotten it too */
/* images.c */
void images_go_on(struct images *s);
bool images_reach_priv(struct images *s);
