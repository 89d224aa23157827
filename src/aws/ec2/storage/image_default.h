/* The image that is there from the beginning: what tools/make-image made, as a public image of another account. Private to aws/ec2.
 */
#pragma once
#include "aws/ec2/storage/image.h"
#include "engine/vm/machine.h"

struct default_image;
/* Looks for the image's files and takes its disk as a layer into volumes_dir, on a worker thread, a moment after the start or when
 * it is first asked for: until that is done it is not there. */
struct default_image *default_image_new(struct cloud *cloud, struct machines *machines);
void default_image_free(struct default_image *d); /* NULL is harmless */
/* False: there is none, or not yet. Records live in the arena or as long as the image. */
bool default_image_get(struct default_image *d, struct arena *a, struct state_ec2_image_record *ret);
bool default_image_snapshot(struct default_image *d, struct arena *a, struct state_ec2_snapshot_record *ret);
