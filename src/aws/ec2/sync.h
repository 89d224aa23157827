/* Records of VPCs -> networks in the kernel. Level-triggered: whatever changed in an account and region, what the networks should
 * have there is worked out anew and what differs from the last time is put. A VPC is in the kernel while an interface in it is up,
 * so that one without machines costs nothing. Private to aws/ec2. */
#pragma once
#include "engine/net/network.h"
#include "store/store.h"

struct ec2_sync;
/* Puts what is recorded, says networks_settled(), and follows changes from then on. */
struct ec2_sync *ec2_sync_new(struct store *store, struct loop *loop, struct networks *networks);
void ec2_sync_free(struct ec2_sync *s); /* NULL is harmless */
