/* Data transfer for the meter: what VPCs exchange with the outside, and what passes between their zones. Private to aws/ec2. */
#pragma once
#include "aws/ec2/network/sync.h"
#include "core/cloud.h"

struct transfers;
/* Counts from now on, once a minute. NULL: this machine has no networks, or nobody meters. */
struct transfers *transfers_start(struct cloud *cloud, struct networks *networks, struct ec2_sync *sync);
void transfers_stop(struct transfers *t); /* NULL is harmless */
