/* What the compute nouns of EC2 share: kinds, records, handlers. Private to aws/ec2. */
#pragma once
#include "aws/ec2/instance_type.h"
#include "aws/ec2/state.h"
#include "gen/state_ec2.h"

extern const struct ec2_kind ec2_kind_key_pair, ec2_kind_instance, ec2_kind_volume, ec2_kind_snapshot, ec2_kind_image,
        ec2_kind_launch_template;

/* key_pair.c: by name. CALL_OK, or CALL_FAIL with InvalidKeyPair.NotFound. */
int ec2_key_pair_named(struct call *c, struct str name, struct ec2_key_pair_info *ret);

ec2_create_key_pair_handler ec2_create_key_pair;
ec2_import_key_pair_handler ec2_import_key_pair;
ec2_delete_key_pair_handler ec2_delete_key_pair;
ec2_describe_key_pairs_handler ec2_describe_key_pairs;
ec2_describe_instance_types_handler ec2_describe_instance_types;
ec2_describe_instance_type_offerings_handler ec2_describe_instance_type_offerings;
