/* The layers that volumes and snapshots stand on, as records: one names the file of the same name and the layer under it. A layer
 * that is copied to another region, or used by another account, has a record there too, and the file goes with the last one. Called
 * by what makes and removes volumes and snapshots, inside their transactions. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"

bool layer_get(const struct ec2_scope *s, struct str name, struct state_ec2_layer_record *ret);
void layer_put(const struct ec2_scope *s, struct str name, const struct state_ec2_layer_record *r);
/* Has it looked at: nothing may stand on it any more. Absent, or none of this account's: nothing happens. */
void layer_look(const struct ec2_scope *s, struct str name);
/* The layer and all under it are there in the region and account of `to`, too. Returns the bytes that were not there before. The
 * same: nothing happens. */
int64_t layer_share(const struct ec2_scope *from, const struct ec2_scope *to, struct str name);
