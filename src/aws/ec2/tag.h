/* Handlers of tags, and tags in questions of permission. Private to aws/ec2. */
#pragma once
#include "aws/ec2/state.h"

ec2_create_tags_handler ec2_create_tags;
ec2_delete_tags_handler ec2_delete_tags;
ec2_describe_tags_handler ec2_describe_tags;
/* aws:RequestTag/KEY and aws:TagKeys. */
void ec2_authz_request_tags(struct call *c, struct authz *az, const struct ec2_tag_list *tags);
