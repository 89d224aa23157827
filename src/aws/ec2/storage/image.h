/* Records of images: finding those that an account may see, and writing them with the index of what is shared. Private to aws/ec2.
 */
#pragma once
#include "aws/ec2/compute.h"

#include <stdlib.h>

/* The account's own, or one that another account lets it launch. */
bool ec2_image_find(struct call *c, struct str id, struct state_ec2_image_record *ret);
void ec2_image_put(const struct ec2_scope *s, const struct state_ec2_image_record *r);
void ec2_image_drop(const struct ec2_scope *s, struct str id);
/* image_make.c: an available one of the scope's account that is not put yet. */
struct ec2_image *ec2_image_new(const struct ec2_scope *s, struct str name, struct str description, struct str root,
                                int64_t now_ms);
