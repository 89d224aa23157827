/* Members that are replaced though they serve: they have reached the greatest lifetime, are spot instances that EC2 recommends to
 * replace, or are unhealthy in a group whose maintenance policy has others launched first. Private to aws/autoscaling. */
#pragma once
#include "step.h"

/* How many of a hundred wanted ones stay healthy, and there are at most, while members are replaced. */
struct replace_share {
	int64_t min, max;
};
/* The group's instance maintenance policy, or what is given where it has none. */
struct replace_share replace_share_of(const struct state_autoscaling_group_record *r, int64_t min, int64_t max);
/* The same as capacities. */
int64_t replace_least(const struct state_autoscaling_group_record *r, struct replace_share share);
int64_t replace_most(const struct state_autoscaling_group_record *r, struct replace_share share);

/* A member is unhealthy, and still there: is it kept until another one serves in its place? Then it is marked. */
bool replace_later(struct step *t, struct state_autoscaling_member *m);
/* One that was to be replaced is lost before: is another one on its way, which takes its place at once? */
bool replace_lost(struct step *t, const struct state_autoscaling_member *m);
/* Marks who is to be replaced, and has others launched for them or ends them; before the capacity is looked at. */
void replace_step(struct step *t);
/* Somebody is to be replaced. */
bool replace_waits(const struct state_autoscaling_group_record *r);
/* So many who came for others are not warm yet: the others stay so long, beyond the desired capacity. */
int64_t replace_cold(struct step *t);
/* "At ... an instance was taken out of service in response to ..." */
struct str replace_cause(const struct scope *s, const struct state_autoscaling_member *m);
