/* How many vCPUs an account may run in a region, where the configuration says so ([ec2] vcpus, spot_vcpus). Used by whatever starts
 * instances or keeps places for them. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"

/* How many more vCPUs of the type's bucket, and how many more instances of the type, the quota lets run; INT64_MAX without one.
 * What runs on demand and what reservations keep count together, spot by itself; each bucket of types (standard, X, ...) has the
 * quota for itself. */
int64_t quota_vcpus(struct call *c, const struct instance_type *type, bool spot);
int64_t quota_room(struct call *c, const struct instance_type *type, bool spot);
/* VcpuLimitExceeded, or MaxSpotInstanceCountExceeded. */
int quota_fail(struct call *c, bool spot);
/* Which bucket a type is in: "standard", or a family ("g", "x"). */
struct str quota_bucket(struct str type);
/* Do both types share a quota? */
bool quota_same_bucket(struct str a, struct str b);
