/* The image that is there from the beginning: what tools/make-image made, as a public image of another account. Private to aws/ec2.
 */
#pragma once
#include "aws/ec2/storage/image.h"
#include "engine/vm/machine.h"

struct default_image;
/* The image is there at once; its disk is taken as a layer into volumes_dir on a worker thread, a moment after the start or when it
 * is first needed. settled(ctx): volumes may be made on it now, or the disk cannot be taken and the image is gone. */
typedef void default_image_settled_fn(void *ctx);
struct default_image *default_image_new(struct cloud *cloud, struct machines *machines, default_image_settled_fn *settled,
                                        void *ctx);
void default_image_free(struct default_image *d); /* NULL is harmless */
/* False: there is none. Records live in the arena or as long as the image. */
bool default_image_get(struct default_image *d, struct arena *a, struct state_ec2_image_record *ret);
bool default_image_snapshot(struct default_image *d, struct arena *a, struct state_ec2_snapshot_record *ret);
/* Of one that is there, as long as it is. */
const struct str_list *default_image_platforms(const struct default_image *d);
/* Is this its layer, and on its way? What stands on it waits for settled(). */
bool default_image_is_coming(struct default_image *d, struct str layer);
