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

/* volume.c */
struct ec2_volume_new {
	struct str zone; /* its name; it exists */
	struct str type; /* absent: gp2 */
	struct opt_int size, iops, throughput;
	struct str snapshot; /* absent: empty */
	struct ec2_tag_list tags;
	const char *noun; /* of a refusal: "size" */
};
/* Checks type, size and speeds, finds the snapshot and puts a record that is `creating`. CALL_FAIL: nothing was put. */
int ec2_volume_make(struct call *c, const struct ec2_volume_new *what, struct state_ec2_volume_record *ret);
/* Is it a name that a data volume may be attached under? */
bool ec2_device_name_good(struct str name);
/* snapshot.c: one that this account may make volumes of. CALL_FAIL: InvalidSnapshot.NotFound, or it is not completed. */
int ec2_snapshot_usable(struct call *c, struct str id, struct state_ec2_snapshot_record *ret);

ec2_create_volume_handler ec2_create_volume;
ec2_delete_volume_handler ec2_delete_volume;
ec2_describe_volumes_handler ec2_describe_volumes;
ec2_describe_volume_status_handler ec2_describe_volume_status;
ec2_describe_volumes_modifications_handler ec2_describe_volumes_modifications;
ec2_modify_volume_handler ec2_modify_volume;
ec2_attach_volume_handler ec2_attach_volume;
ec2_detach_volume_handler ec2_detach_volume;
ec2_create_snapshot_handler ec2_create_snapshot;
ec2_copy_snapshot_handler ec2_copy_snapshot;
ec2_delete_snapshot_handler ec2_delete_snapshot;
ec2_describe_snapshots_handler ec2_describe_snapshots;
