/* Auto Scaling's face for other services: groups as those see them that run something on their members. What is given lives in the
 * arena. */
#pragma once
#include "core/call.h"

struct autoscaling_member_seen {
	struct str id;
	bool serves, protected; /* InService; from scale-in */
	struct str_list waits;  /* it ends, and these hooks have to be completed first */
};
struct autoscaling_group_seen {
	struct str name;
	bool protects; /* new members are protected from scale-in */
	struct autoscaling_member_seen *members;
	uint32_t member_count;
};
/* By its ARN. False: there is none, or it is being deleted. */
bool autoscaling_see_group(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str arn,
                           struct autoscaling_group_seen *ret);
/* Has it a policy that tracks a metric of its own at that target (0: at any), with that warm-up? A lifecycle hook? */
bool autoscaling_has_policy(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                            struct str policy, double target, int64_t warmup_s);
bool autoscaling_has_hook(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                          struct str hook);
/* The ARN of the group that an instance is in; absent: none. */
struct str autoscaling_group_with(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str instance);
/* The state that the group wants the instance in, as its metadata say it ("InService", "Terminated"); absent: it is in no group. */
struct str autoscaling_target_state(struct store_txn *t, struct arena *a, struct str account, struct str region,
                                    struct str instance);

/* The members whose metrics are not the group's yet: those that have not served for its default instance warm-up. None where it has
 * no such, or there is no group. */
struct str_list autoscaling_cold(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str group,
                                 int64_t now_ms);

/* fn is called for every change of a group's record. */
typedef void autoscaling_group_changed_fn(void *ctx, struct str account, struct str region, struct str group);
struct autoscaling_groups_watch;
struct autoscaling_groups_watch *autoscaling_watch_groups(struct cloud *cloud, autoscaling_group_changed_fn *fn, void *ctx);
void autoscaling_unwatch_groups(struct autoscaling_groups_watch *w); /* NULL is harmless */
