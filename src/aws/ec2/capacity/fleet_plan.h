/* What a fleet is to launch, and of what: its pools - a type in a place, on demand or spot - in the order in which the allocation
 * strategies like them. Plans are made of a request (fleet_plan.c) or of the record of a fleet that is kept (fleet_keep.c), and
 * carried out by fleet_launch.c. Private to the files of fleets; a plan lives in the arena of the step that made it. */
#pragma once
#include "aws/ec2/capacity/fleet.h"

struct fleet_pool {
	bool spot, asked;
	uint32_t index;                 /* in the fleet's list; a launch's client token ends with it */
	double weight, priority, price; /* price: of a unit of capacity; priority: INFINITY where none is given */
	double had;                     /* units that it has given before */
	int64_t room;                   /* instances */
	double share;                   /* most units in the first round; INFINITY: all that is wanted */
	struct str type;
	const struct ec2_run_instances_request *run;
	struct ec2_launch_template_and_overrides_response *what;
};

struct fleet_plan {
	struct ec2_fleet_data *fleet;
	struct fleet_pool *pools;
	uint32_t n;
	double left[2]; /* units on demand and of spot that are to be launched */
};

enum { FLEET_POOLS_MAX = 300 };

/* Checks and takes what a request says of options, of the target (CALL_FAIL: it cannot be) and of templates; `fleet` has its id and
 * type. A fleet that is kept has pools of both kinds, whatever its target. */
int fleet_take_options(struct call *c, const struct ec2_create_fleet_request *in, struct fleet_plan *plan);
int fleet_take_target(struct call *c, const struct ec2_target_capacity_specification_request *t, struct fleet_plan *plan);
int fleet_take_pools(struct call *c, const struct ec2_fleet_launch_template_config_list_request *configs,
                     const struct ec2_tag_list *tags, struct fleet_plan *plan);
/* The order of the pools, and what several of them share. */
void fleet_sort(struct fleet_plan *plan);
/* Is the strategy this one, whether it is spelled "lowest-price" or "lowestPrice"? */
bool fleet_strategy_is(struct str given, const char *name);

/* fleet_launch.c: launches what is left of a plan of a fleet that is kept, in the name of the service; the item is busy until then.
 * Then fleet_launch_ended() hears what was not to be had ("": everything was). */
void fleet_launch_for(struct desk_item *i, const struct fleet_plan *plan);
/* fleet_keep.c */
void fleet_launch_ended(struct desk_item *i, const char *code, const char *message);
void fleet_keep_step(struct desk_item *i, const struct ec2_scope *s, struct state_ec2_fleet_record *r);
/* CALL_FAIL: the caller may not launch what the pools say, so nobody will do it for them. */
int fleet_may_launch(struct call *c, const struct fleet_plan *plan);
struct state_ec2_fleet_pool_list fleet_pools_kept(struct call *c, const struct fleet_plan *plan);
/* fleet_history.c: one more event, at most a hundred of them. */
void fleet_note(const struct ec2_scope *s, struct state_ec2_fleet_record *r, int64_t now_ms, const char *type, const char *subtype,
                struct str instance, struct str description);
