/* EC2's face for other services: which images there are. What the functions give lives in the call's arena. */
#pragma once
#include "core/call.h"

struct ec2_default_image {
	struct str id, name, created; /* ISO 8601 */
};
/* The image that is there from the beginning. False: there is none, or not yet. */
bool ec2_find_default_image(struct call *c, struct ec2_default_image *ret);

/* Is this the id of an image that the call's account may launch in its region? */
bool ec2_image_there(struct call *c, struct str id);
