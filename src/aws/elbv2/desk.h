/* From records to what really runs. Every change of a record is watched, and one idempotent step looks at the records of a balancer
 * (or of a target group) and does the next thing. After a start of the role each is looked at once.
 *
 * desk.c finds what has changed, desk_group.c is the step of a target group: draining targets whose time is over go, and instances
 * that are gone. All of it runs on the loop. Private to aws/elbv2. */
#pragma once
#include "base/map.h"
#include "rows.h"

struct ec2_instances_watch;

struct elb_desk {
	struct cloud *cloud;
	struct store_watch *watch;
	struct ec2_instances_watch *instances;
	struct loop_timer *soon;
	struct map groups;  /* by key: struct elb_group_item */
	struct map targets; /* ids of instances that are targets of any group */
};

/* One target group that is looked after; lives as long as its record does. */
struct elb_group_item {
	struct elb_desk *desk;
	struct str account, region, name, key;
	struct arena arena, step;
	bool dirty, busy;
	struct loop_timer *timer;
	int64_t wake_ms; /* when the next one of its targets has drained; 0: none drains */
	bool gone;
};

struct elb_desk *elb_desk_new(struct cloud *cloud);
void elb_desk_free(struct elb_desk *d);
struct elb_desk *elb_desk(const struct cloud *cloud);
/* What the nodes say of a target that is in use. */
void elb_desk_health(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct state_elbv2_target *t,
                     struct elbv2_target_health *ret);

/* --- desk_group.c */
void elb_group_mark(struct elb_group_item *i);
void elb_group_step(struct elb_group_item *i);
void elb_group_look(struct elb_desk *d, struct str key, struct str value);
void elb_group_item_free(struct elb_group_item *i);
void elb_desk_soon(struct elb_desk *d);
