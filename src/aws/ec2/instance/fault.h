/* What whoever runs the cloud may do to instances to see what comes of it (`quartet chaos`): give a spot instance the notice that
 * it would get when its capacity is wanted or the recommendation that comes before, or kill a machine as a failure of its host
 * does. */
#pragma once
#include "core/cloud.h"

/* Comes once, later, when it is durable. error NULL: done. */
typedef void fault_done_fn(void *ctx, const char *error);
/* In memory of the caller's that ends with done(). */
struct fault_on_instance {
	struct str account, region, instance;
	int64_t in_ms; /* from now, for the interruption; 0: it is recommended to be replaced, and nothing more */
	fault_done_fn *done;
	void *ctx;
	const char *error; /* ours */
};
void fault_interrupt(struct cloud *cloud, struct fault_on_instance *f);
/* NULL: its processes are being killed; else why not. */
const char *fault_kill(struct cloud *cloud, struct str account, struct str region, struct str instance);

/* Can links of this zone be made bad here, and with `delay` slow? NULL, or why not. */
const char *fault_zone(struct cloud *cloud, struct arena *a, struct str zone, bool delay);
/* Tags of an instance, for permissions. False: there is none. */
bool fault_instance_tags(struct cloud *cloud, struct arena *a, struct str account, struct str region, struct str instance,
                         struct str_map *ret);
