/* Groups: what is wanted. What there is follows (keeper.c). */
#include "group_check.h"
#include "hooks.h"
#include "traffic.h"
#include "warm.h"

#include "aws/ec2/ec2.h"
#include "base/id.h"

/* Both operations call these members by the same names. */
#define WISH_OF(in) \
	{ \
		.configuration = (in)->launch_configuration_name, .template = (in)->launch_template, \
		.mixed = (in)->mixed_instances_policy, .min = (in)->min_size, .max = (in)->max_size, \
		.desired = (in)->desired_capacity, .cooldown = (in)->default_cooldown, .grace = (in)->health_check_grace_period, \
		.lifetime = (in)->max_instance_lifetime, .warmup = (in)->default_instance_warmup, \
		.zones = &(in)->availability_zones, .zone_ids = &(in)->availability_zone_ids, \
		.termination = &(in)->termination_policies, .health = (in)->health_check_type, \
		.placement_group = (in)->placement_group, .subnets = (in)->vpc_zone_identifier, \
		.role = (in)->service_linked_role_arn, .desired_type = (in)->desired_capacity_type, \
		.deletion = (in)->deletion_protection, .context = (in)->context, \
		.protect = (in)->new_instances_protected_from_scale_in, .rebalance = (in)->capacity_rebalance, \
		.maintenance = (in)->instance_maintenance_policy, .distribution = (in)->availability_zone_distribution, \
		.impairment = (in)->availability_zone_impairment_policy, .reservation = (in)->capacity_reservation_specification, \
		.lifecycle = (in)->instance_lifecycle_policy \
	}

enum { GROUPS_MAX = 500, USUAL = 50, MOST = 100 };

/* "At T a user request ... changing the desired capacity from A to B." stands at the beginning of the causes of all that follows,
 * until the capacity is what was asked for. */
void scaling_set_desired(const struct scope *s, struct state_autoscaling_group_record *r, int64_t desired, struct str reason)
{
	int64_t before = r->group->desired_capacity.v;
	r->group->desired_capacity = OPT_INT(desired);
	r->reason = before == desired ? STR_NONE
	                              : arena_printf(s->arena, "At %.*s %.*s changing the desired capacity from %lld to %lld.  ",
	                                             STR_ARG(scaling_time(s->arena, s->now_ms)), STR_ARG(reason), (long long)before,
	                                             (long long)desired);
	r->alarms = STR_NONE;
	r->not_before = (struct opt_time){0};
}

static void add_tags(struct call *c, struct autoscaling_auto_scaling_group *g, const struct autoscaling_tags *tags)
{
	g->tags.set = true;
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &g->tags) =
		        (struct autoscaling_tag_description){.resource_id = g->auto_scaling_group_name,
		                                             .resource_type = S("auto-scaling-group"),
		                                             .key = tags->v[i].key,
		                                             .value = str_set(tags->v[i].value) ? tags->v[i].value : S(""),
		                                             .propagate_at_launch = OPT_BOOL(tags->v[i].propagate_at_launch.v)};
}

static int check_room(struct call *c, struct str name)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r = {0};
	struct str under = scaling_under(&s, "group", STR_NONE), key;
	struct store_value v;
	unsigned count = 0;
	if (scaling_find(&s, name, &r))
		return r.deleting.v
		               ? call_fail(c, "ScalingActivityInProgress", 400,
		                           "AutoScalingGroup '%.*s' is being deleted and its name cannot be used yet.",
		                           STR_ARG(name))
		               : call_fail(
		                         c, "AlreadyExists", 400,
		                         "AutoScalingGroup by this name already exists - A group with the name %.*s already exists",
		                         STR_ARG(name));
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v))
		count++;
	if (count >= GROUPS_MAX)
		return call_fail(c, "LimitExceeded", 400, "You have already reached your maximum limit of %d groups.", GROUPS_MAX);
	return CALL_OK;
}

int autoscaling_create_auto_scaling_group(struct call *c, const struct autoscaling_create_auto_scaling_group_type *in,
                                          struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct str name = in->auto_scaling_group_name;
	struct autoscaling_auto_scaling_group g = {.auto_scaling_group_name = name, .created_time = OPT_TIME(c->now_ms)};
	struct state_autoscaling_group_record r = {.group = &g};
	if (str_find_char(name, ':') >= 0)
		return scaling_invalid(c, "Group name contains invalid characters. A group name cannot contain ':'.");
	if (check_room(c, name) != CALL_OK)
		return CALL_FAIL;
	if (in->instance_id.n)
		return scaling_invalid(c, "A group made of an instance is not supported.");
	if (in->load_balancer_names.n)
		return scaling_invalid(c, "Classic Load Balancers are not supported.");
	struct group_wish w = WISH_OF(in);
	if (group_apply(c, &w, true, &g) != CALL_OK || group_tags_check(c, &in->tags) != CALL_OK ||
	    traffic_take(c, &in->target_group_arns, &in->traffic_sources, &g) != CALL_OK)
		return CALL_FAIL;
	add_tags(c, &g, &in->tags);
	g.auto_scaling_group_arn =
	        scaling_arn(&s, "autoScalingGroup", id_uuid(c->arena), ARENA_CAT(c->arena, S("autoScalingGroupName/"), name));
	for (uint32_t i = 0; i < in->lifecycle_hook_specification_list.n; i++) {
		const struct autoscaling_lifecycle_hook_specification *h = &in->lifecycle_hook_specification_list.v[i];
		struct autoscaling_lifecycle_hook hook = {.lifecycle_hook_name = h->lifecycle_hook_name,
		                                          .lifecycle_transition = h->lifecycle_transition,
		                                          .notification_metadata = h->notification_metadata,
		                                          .heartbeat_timeout = h->heartbeat_timeout,
		                                          .default_result = h->default_result,
		                                          .notification_target_arn = h->notification_target_arn,
		                                          .role_arn = h->role_arn};
		if (hooks_add(c, &r, &hook) != CALL_OK)
			return CALL_FAIL;
	}
	int64_t desired = g.desired_capacity.v;
	g.desired_capacity = OPT_INT(0);
	scaling_set_desired(&s, &r, desired, S("a user request created an AutoScalingGroup"));
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_update_auto_scaling_group(struct call *c, const struct autoscaling_update_auto_scaling_group_type *in,
                                          struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	struct group_wish w = WISH_OF(in);
	int64_t before = r.group->desired_capacity.v;
	if (group_apply(c, &w, false, r.group) != CALL_OK)
		return CALL_FAIL;
	int64_t desired = r.group->desired_capacity.v;
	if (desired != before) {
		r.group->desired_capacity = OPT_INT(before);
		scaling_set_desired(&s, &r, desired,
		                    arena_printf(c->arena,
		                                 "a user request update of AutoScalingGroup constraints to min: %lld, max: %lld, "
		                                 "desired: %lld",
		                                 (long long)r.group->min_size.v, (long long)r.group->max_size.v,
		                                 (long long)desired));
	}
	/* what could not be launched is tried at once in another form */
	r.not_before = (struct opt_time){0};
	r.bad_zones.n = 0;
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_set_desired_capacity(struct call *c, const struct autoscaling_set_desired_capacity_type *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	int64_t wanted = in->desired_capacity.v;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (wanted > r.group->max_size.v)
		return scaling_invalid(c, "New SetDesiredCapacity value %lld is above max value %lld for the AutoScalingGroup.",
		                       (long long)wanted, (long long)r.group->max_size.v);
	if (wanted < r.group->min_size.v)
		return scaling_invalid(c, "New SetDesiredCapacity value %lld is below min value %lld for the AutoScalingGroup.",
		                       (long long)wanted, (long long)r.group->min_size.v);
	if (in->honor_cooldown.v && r.cooldown_until.ms > c->now_ms)
		return call_fail(c, "ScalingActivityInProgress", 400,
		                 "Scaling activity is in progress and the cooldown of the group has not ended.");
	scaling_set_desired(&s, &r, wanted, S("a user request explicitly set group desired capacity"));
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_delete_auto_scaling_group(struct call *c, const struct autoscaling_delete_auto_scaling_group_type *in,
                                          struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(r.group->deletion_protection, "prevent-all-deletion") ||
	    (in->force_delete.v && str_is(r.group->deletion_protection, "prevent-force-deletion")))
		return call_fail(c, "ResourceInUse", 400, "The AutoScalingGroup '%.*s' is protected from being deleted (%.*s).",
		                 STR_ARG(r.group->auto_scaling_group_name), STR_ARG(r.group->deletion_protection));
	if (r.members.n && !in->force_delete.v)
		return call_fail(
		        c, "ResourceInUse", 400,
		        "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
		        "still in the group.");
	r.deleting = OPT_BOOL(true);
	if (in->force_delete.v)
		r.hooks.n = 0; /* nobody is waited for */
	r.group->status = S("Delete in progress");
	r.group->min_size = r.group->max_size = OPT_INT(0);
	if (r.group->desired_capacity.v)
		scaling_set_desired(&s, &r, 0, S("a user request force deleted the AutoScalingGroup"));
	scaling_put(&s, &r); /* the keeper drops it when its last member is gone */
	return CALL_OK;
}

/* --- describing */

void scaling_member_show(const struct scope *s, const struct state_autoscaling_member *m, struct autoscaling_instance *ret)
{
	*ret = (struct autoscaling_instance){.instance_id = m->id,
	                                     .instance_type = m->type,
	                                     .availability_zone = m->zone,
	                                     .availability_zone_id = ec2_zone_id_of(s->arena, s->region, m->zone),
	                                     .lifecycle_state = m->state,
	                                     .health_status = str_set(m->unhealthy) ? S("Unhealthy") : S("Healthy"),
	                                     .launch_configuration_name = m->configuration,
	                                     .protected_from_scale_in = OPT_BOOL(m->protected.v)};
	if (m->weight.set)
		ret->weighted_capacity = arena_printf(s->arena, "%lld", (long long)m->weight.v);
	if (str_set(m->template_id)) {
		ret->launch_template = arena_new(s->arena, struct autoscaling_launch_template_specification);
		*ret->launch_template = (struct autoscaling_launch_template_specification){.launch_template_id = m->template_id,
		                                                                           .launch_template_name = m->template_name,
		                                                                           .version = m->template_version};
	}
}

void scaling_group_show(struct call *c, const struct state_autoscaling_group_record *r, struct autoscaling_auto_scaling_group *ret,
                        bool instances)
{
	struct scope s = scaling_scope(c);
	*ret = *r->group;
	ret->instances = (struct autoscaling_instances){.set = true};
	ret->load_balancer_names.set = ret->target_group_arns.set = ret->suspended_processes.set = ret->enabled_metrics.set = true;
	ret->tags.set = ret->termination_policies.set = ret->traffic_sources.set = ret->availability_zones.set = true;
	for (uint32_t i = 0; i < ret->availability_zones.n; i++)
		*LIST_ADD(c->arena, &ret->availability_zone_ids) =
		        ec2_zone_id_of(c->arena, c->region, ret->availability_zones.v[i]);
	if (ret->warm_pool_configuration)
		ret->warm_pool_size = OPT_INT(warm_count(r, true));
	for (uint32_t i = 0; instances && i < r->members.n; i++)
		if (str_set(r->members.v[i].id) && !member_warm(&r->members.v[i]))
			scaling_member_show(&s, &r->members.v[i], LIST_ADD(c->arena, &ret->instances));
}

static bool tag_matches(const struct autoscaling_filter *f, const struct autoscaling_auto_scaling_group *g)
{
	for (uint32_t i = 0; i < g->tags.n; i++) {
		const struct autoscaling_tag_description *t = &g->tags.v[i];
		if (str_is(f->name, "tag-key")     ? scaling_among(&f->values, t->key)
		    : str_is(f->name, "tag-value") ? scaling_among(&f->values, t->value)
		                                   : str_eq(str_from_at(f->name, 4), t->key) && scaling_among(&f->values, t->value))
			return true;
	}
	return false;
}

int autoscaling_describe_auto_scaling_groups(struct call *c, const struct autoscaling_auto_scaling_group_names_type *in,
                                             struct autoscaling_auto_scaling_groups_type *out)
{
	struct scope s = scaling_scope(c);
	struct page p;
	struct str under = scaling_under(&s, "group", STR_NONE), key, last = STR_NONE;
	struct store_value v;
	if (scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->filters.n; i++)
		if (!str_is(in->filters.v[i].name, "tag-key") && !str_is(in->filters.v[i].name, "tag-value") &&
		    !str_starts(in->filters.v[i].name, S("tag:")))
			return scaling_invalid(
			        c, "Filter type %.*s is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>",
			        STR_ARG(in->filters.v[i].name));
	out->auto_scaling_groups.set = true;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		struct state_autoscaling_group_record r = {0};
		if (parts.n != 5 || (str_set(p.after) && str_cmp(parts.v[4], p.after) <= 0) || !scaling_find(&s, parts.v[4], &r))
			continue;
		bool passes = scaling_among(&in->auto_scaling_group_names, parts.v[4]) ||
		              scaling_among(&in->auto_scaling_group_names, r.group->auto_scaling_group_arn);
		for (uint32_t i = 0; passes && i < in->filters.n; i++)
			passes = tag_matches(&in->filters.v[i], r.group);
		if (!passes)
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = parts.v[4];
		scaling_group_show(c, &r, LIST_ADD(c->arena, &out->auto_scaling_groups),
		                   !in->include_instances.set || in->include_instances.v);
	}
	return CALL_OK;
}
