/* What the compute nouns of EC2 share: kinds, records, handlers. Private to aws/ec2. */
#pragma once
#include "aws/ec2/instance/instance_type.h"
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
	struct str lender;   /* whose it is where an image allows its use; absent: it has to be the account's, or shared with it */
	struct ec2_tag_list tags;
	const char *noun; /* of a refusal: "size" */
};
/* Checks type, size and speeds, finds the snapshot and puts a record that is `creating`. CALL_FAIL: nothing was put. */
int ec2_volume_make(struct call *c, const struct ec2_volume_new *what, struct state_ec2_volume_record *ret);
/* Is it a name that a data volume may be attached under? */
bool ec2_device_name_good(struct str name);
/* run.c: what a launch or an image wants otherwise than the disk that it begins with. */
void ec2_disk_overlay(struct ec2_ebs_block_device *under, const struct ec2_ebs_block_device *over);
/* snapshot.c: a pending one that is not put yet; one that this account may make volumes of (CALL_FAIL: InvalidSnapshot.NotFound, or
 * it is not completed). */
struct ec2_snapshot *ec2_snapshot_new(struct call *c, struct str description, struct str volume, int64_t size);
/* A completed one of the same layers, put; the source may be of another region. */
struct ec2_snapshot *ec2_snapshot_copy(struct call *c, struct str source_region, const struct state_ec2_snapshot_record *source,
                                       struct str description, struct ec2_tag_list tags);
/* snapshot.c: removes one whose record was found. False: an image stands on it, or it is not completed; *ret_image says which one.
 */
bool ec2_snapshot_remove(const struct ec2_scope *s, const struct state_ec2_snapshot_record *r, struct str *ret_image);
int ec2_snapshot_usable(struct call *c, struct str id, struct state_ec2_snapshot_record *ret);

ec2_create_volume_handler ec2_create_volume;
ec2_delete_volume_handler ec2_delete_volume;
ec2_describe_volumes_handler ec2_describe_volumes;
ec2_describe_volume_attribute_handler ec2_describe_volume_attribute;
ec2_get_ebs_encryption_by_default_handler ec2_get_ebs_encryption_by_default;
ec2_describe_volume_status_handler ec2_describe_volume_status;
ec2_describe_volumes_modifications_handler ec2_describe_volumes_modifications;
ec2_modify_volume_handler ec2_modify_volume;
ec2_attach_volume_handler ec2_attach_volume;
ec2_detach_volume_handler ec2_detach_volume;
ec2_create_snapshot_handler ec2_create_snapshot;
ec2_create_snapshots_handler ec2_create_snapshots;
ec2_copy_snapshot_handler ec2_copy_snapshot;
ec2_delete_snapshot_handler ec2_delete_snapshot;
ec2_describe_snapshots_handler ec2_describe_snapshots;

/* image.c: one that this account may launch. CALL_FAIL: InvalidAMIID.NotFound or .Unavailable. */
int ec2_image_usable(struct call *c, struct str id, struct state_ec2_image_record *ret);
/* One of the account's own. CALL_FAIL: InvalidAMIID.NotFound, or AuthFailure for one of others that it may launch. */
int ec2_image_own(struct call *c, struct str id, struct state_ec2_image_record *ret);

/* resolve.c: the image that a request names. Ids are themselves; of `resolve:ssm:NAME` it is the parameter's value, which is asked
 * for as the caller: CALL_WAIT, to be returned, and the handler runs again when it is known. Another name in the second run is not
 * looked up again: one name a call. */
bool ec2_image_is_named(struct str id);
int ec2_image_named(struct call *c, struct str id, struct str *ret);

/* lifecycle.c: the states of an instance, and the edges between them. An edge that is not in its table is a bug and dies. */
enum instance_state {
	INSTANCE_PENDING = 0,
	INSTANCE_RUNNING = 16,
	INSTANCE_SHUTTING_DOWN = 32,
	INSTANCE_TERMINATED = 48,
	INSTANCE_STOPPING = 64,
	INSTANCE_STOPPED = 80,
};
enum instance_state ec2_instance_state(const struct ec2_instance *i);
struct ec2_instance_state *ec2_instance_state_shape(struct arena *a, enum instance_state state);
/* Writes state and time into the record, which the caller puts. reason "": the user's. */
void ec2_instance_move(struct arena *a, struct state_ec2_instance_record *r, enum instance_state to, int64_t now_ms,
                       const char *reason, const char *message);
/* It has ended and is stopped (terminated): ports go down, public addresses and volumes are given back as they should. Puts r. */
void ec2_instance_stopped(const struct ec2_scope *s, struct state_ec2_instance_record *r, int64_t now_ms, const char *reason,
                          const char *message);
void ec2_instance_terminated(const struct ec2_scope *s, struct state_ec2_instance_record *r, int64_t now_ms, const char *reason,
                             const char *message);

/* All of them, or none: CALL_FAIL if one is protected. */
int ec2_terminate_all(struct call *c, const struct ec2_terminate_instances_request *in, struct ec2_terminate_instances_result *out);

/* driver.c: how an instance with these tags runs. CALL_FAIL: it cannot as asked. */
#define EC2_DRIVER_TAG "quartet:driver"
int ec2_driver_choose(struct call *c, const struct ec2_tag_list *tags, const struct state_ec2_image_record *image,
                      bool *ret_container);

ec2_run_instances_handler ec2_run_instances;
ec2_start_instances_handler ec2_start_instances;
ec2_stop_instances_handler ec2_stop_instances;
ec2_reboot_instances_handler ec2_reboot_instances;
ec2_terminate_instances_handler ec2_terminate_instances;
ec2_describe_instances_handler ec2_describe_instances;
ec2_describe_instance_status_handler ec2_describe_instance_status;
ec2_get_console_output_handler ec2_get_console_output;
ec2_get_console_screenshot_handler ec2_get_console_screenshot;
ec2_modify_instance_attribute_handler ec2_modify_instance_attribute;
ec2_describe_instance_attribute_handler ec2_describe_instance_attribute;
ec2_reset_instance_attribute_handler ec2_reset_instance_attribute;
ec2_get_password_data_handler ec2_get_password_data;
/* Running, and nothing was heard of its guest when it should have been. */
enum { EC2_CHECK_LATE_MS = 10 * 60 * 1000 };
bool ec2_instance_impaired(const struct state_ec2_instance_record *r, int64_t now_ms);
enum { EC2_USER_DATA_MAX = 16384 };
/* describe_instances.c: adds to EC2's structure what other records say: addresses, groups, disks. */
void ec2_instance_show(struct call *c, const struct state_ec2_instance_record *r, struct ec2_instance *show);

/* instance_option.c: how often metrics of it are recorded: a minute with detailed monitoring, else five. */
unsigned ec2_metrics_every_s(const struct ec2_instance *i);
int ec2_instance_set_disks(struct call *c, struct str instance,
                           const struct ec2_instance_block_device_mapping_specification_list *l);
ec2_modify_instance_metadata_options_handler ec2_modify_instance_metadata_options;
ec2_modify_instance_maintenance_options_handler ec2_modify_instance_maintenance_options;
ec2_modify_private_dns_name_options_handler ec2_modify_private_dns_name_options;
ec2_monitor_instances_handler ec2_monitor_instances;
ec2_unmonitor_instances_handler ec2_unmonitor_instances;

ec2_enable_image_deprecation_handler ec2_enable_image_deprecation;
ec2_disable_image_deprecation_handler ec2_disable_image_deprecation;
ec2_enable_image_handler ec2_enable_image;
ec2_disable_image_handler ec2_disable_image;
ec2_enable_image_deregistration_protection_handler ec2_enable_image_deregistration_protection;
ec2_disable_image_deregistration_protection_handler ec2_disable_image_deregistration_protection;
ec2_describe_image_attribute_handler ec2_describe_image_attribute;
ec2_reset_image_attribute_handler ec2_reset_image_attribute;
ec2_describe_images_handler ec2_describe_images;
ec2_register_image_handler ec2_register_image;
ec2_create_image_handler ec2_create_image;
ec2_copy_image_handler ec2_copy_image;
ec2_deregister_image_handler ec2_deregister_image;
ec2_modify_image_attribute_handler ec2_modify_image_attribute;
