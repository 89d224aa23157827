/* One pass over the records of an account and region: what networks should have of them, said only where it has changed. Between
 * sync.c, which knows when, and sync_pass.c. */
#pragma once
#include "aws/ec2/network/sync.h"
#include "base/buf.h"

/* What the passes so far have put. */
struct sync_puts {
	struct map by_id;
	unsigned round;
};

struct sync_pass {
	struct networks *networks;
	const struct chaos *chaos;
	struct sync_puts *puts; /* NULL: everything is news, and interfaces that are not up count */
	struct ec2_scope scope;
	struct buf buf;  /* what the next put consists of */
	struct map vpcs; /* ids of those that are put */
};
/* Adds the VPCs with an interface that is up. */
void sync_pass_find_vpcs(struct sync_pass *p);
/* Puts what has changed since the last pass, and removes what is there no more. */
void sync_pass_put(struct sync_pass *p);
