/* Auto Scaling's operations and keepers over an EC2 that is a list here: it loses answers, has no capacity now and then, and its
 * instances die, where a test wants faults. */
#pragma once
#include "world.h"

#include "gen/autoscaling.h"

enum { INSTANCES_MAX = 8192, MINUTE_MS = 60000, MAX = 9 };

struct instance {
	char id[24], token[40], zone[16];
	const char *state;
	int64_t launched_ms, version, impaired_ms;
	bool grouped, spot, recommended;
};

struct groups_world {
	struct arena last; /* of the last answer */
	struct instance *all;
	unsigned count, alarms;
	bool faults; /* answers are lost, capacity lacks, instances die */
	const char *full_zone;
	void (*changed)(void *ctx, struct str account, struct str region, struct str id);
	void *changed_ctx;
};
extern struct groups_world groups;
/* Of these a test's cloud_services[] consists, with Auto Scaling. */
extern const struct service groups_ec2, groups_cloudwatch;

int groups_set_up(void **state);
int groups_tear_down(void **state);
void groups_restart_role(void);
/* Time goes on, instances start, end and die, and what comes of it is done. */
void groups_pass(int64_t ms);
/* Two hours of peace. */
void groups_heal(void);
/* Something about it has changed. */
void groups_tell(const struct instance *i);

struct instance *groups_instance(struct str id);
unsigned groups_alive(const char *zone); /* NULL: in all zones */

const void *groups_ask(const char *operation, const void *in);
/* Group "g", by a launch template, over three zones, of at most MAX. */
void groups_create(int64_t min, int64_t desired);
void groups_want(int64_t desired);
const struct autoscaling_auto_scaling_group *groups_group(void); /* NULL: it is gone */
/* Members in service, of a version of the template; 0: of any. */
unsigned groups_serving(int64_t version);
/* Members that are not on their way out. */
unsigned groups_counted(void);

/* No more than may be: the greatest size, and one while zones are balanced. */
void groups_check_bounds(void);
/* All that lives is of the group, nothing else is, and zones are equal. */
void groups_check_whole(void);
