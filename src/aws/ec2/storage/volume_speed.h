/* How fast a volume may be, and what of it was used. Pure; asked by who plugs disks in and by the sampler. Private to aws/ec2. */
#pragma once
#include "gen/ec2.h"

/* As struct machine_disk has it. */
struct volume_speed {
	uint32_t iops, mib_per_s, burst, burst_s;
};
struct volume_speed ec2_volume_speed(const struct ec2_volume *v);

struct volume_load {
	double pieces;  /* operations, where one of more than 256 KiB is several */
	double balance; /* what is left in the bucket, percent */
	bool iops_reached, mib_reached;
};
/* *spent: what is gone from the bucket, 0 at first. */
struct volume_load ec2_volume_load(const struct volume_speed *s, double operations, double bytes, double passed_s, double *spent);
