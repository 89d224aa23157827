/* What a new member is launched with. Private to aws/autoscaling. */
#pragma once
#include "rows.h"

/* What a group launches by: the desired configuration of a refresh, or its template (or the one of its mixed instances policy), or
 * its launch configuration. */
struct launch_source {
	struct autoscaling_launch_template_specification *template; /* NULL: a launch configuration */
	const struct autoscaling_mixed_instances_policy *mixed;     /* NULL: none */
	struct str configuration;
};
struct launch_source scaling_source(const struct state_autoscaling_group_record *r);

/* requirements.c: a policy's overrides, each of one type. */
struct autoscaling_overrides scaling_overrides(struct arena *a, const struct autoscaling_mixed_instances_policy *p, bool spot);
/* Does any type fit? False with a reason (NULL: none does). */
bool scaling_requirements_good(struct arena *a, const struct autoscaling_instance_requirements *r, const char **ret_why);

/* Where members can be: a subnet, or (subnet absent) a zone's default one. */
struct place {
	struct str zone, subnet;
};
struct places {
	struct place *v;
	uint32_t n;
	bool set;
};
struct places scaling_places(const struct scope *s, const struct autoscaling_auto_scaling_group *g);

/* Fills in what the member is launched as, with its request. False: it cannot be, *ret_why says why in EC2's words. */
bool scaling_prepare(const struct scope *s, const struct state_autoscaling_group_record *r, const struct place *where,
                     struct state_autoscaling_member *m, struct str *ret_why);
extern const struct record_type scaling_request_row;
/* Is the member of what the group would launch now? */
bool scaling_current(const struct scope *s, const struct state_autoscaling_group_record *r,
                     const struct state_autoscaling_member *m);
/* Members of a template or configuration by age: a number that grows; 0: another template than the group's. */
int64_t scaling_age(const struct scope *s, const struct state_autoscaling_group_record *r,
                    const struct state_autoscaling_member *m);
