/* Who may make volumes of an account's snapshots: their attribute createVolumePermission. Who is allowed finds them by their id, in
 * an index that says whose they are. Called by snapshot.c, inside a call's transaction. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"

/* One of another account that this one may use. */
bool snapshot_find_shared(struct call *c, struct str id, struct state_ec2_snapshot_record *ret);
/* The record goes, and nobody finds it any more. */
void snapshot_drop(const struct ec2_scope *s, struct str id);

/* Does DescribeSnapshots ask for those of this owner that the caller has as his own? */
bool snapshots_wanted(struct call *c, const struct ec2_describe_snapshots_request *in, struct str owner);
/* Appends what others share with the caller: those ids (none: all), after the token's text, until the page is full. */
void snapshots_show_shared(struct call *c, const struct ec2_describe_snapshots_request *in, const struct ec2_field *fields,
                           const struct str_list *ids, struct str after, struct ec2_describe_snapshots_result *out);

ec2_describe_snapshot_attribute_handler ec2_describe_snapshot_attribute;
ec2_modify_snapshot_attribute_handler ec2_modify_snapshot_attribute;
ec2_reset_snapshot_attribute_handler ec2_reset_snapshot_attribute;
