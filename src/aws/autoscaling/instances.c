/* Operations on members: describing, ending, health, protection, attaching, detaching, standby. */
#include "hooks.h"

#include "aws/ec2/ec2.h"
#include "base/id.h"

enum { USUAL = 50, MOST = 50, IDS_MAX = 20 };

static struct str now_text(struct call *c)
{
	return scaling_time(c->arena, c->now_ms);
}

int autoscaling_describe_auto_scaling_instances(struct call *c, const struct autoscaling_describe_auto_scaling_instances_type *in,
                                                struct autoscaling_auto_scaling_instances_type *out)
{
	struct scope s = scaling_scope(c);
	struct page p;
	struct str under = scaling_under(&s, "member", STR_NONE), key, last = STR_NONE;
	struct store_value v;
	if (scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	out->auto_scaling_instances.set = true;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		struct state_autoscaling_group_record r = {0};
		struct autoscaling_instance i;
		if (parts.n != 5 || (str_set(p.after) && str_cmp(parts.v[4], p.after) <= 0) ||
		    !scaling_among(&in->instance_ids, parts.v[4]) || !scaling_find(&s, v.value, &r))
			continue;
		const struct state_autoscaling_member *m = scaling_member(&r, parts.v[4]);
		if (!m)
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = parts.v[4];
		scaling_member_show(&s, m, &i);
		*LIST_ADD(c->arena, &out->auto_scaling_instances) = (struct autoscaling_auto_scaling_instance_details){
		        .instance_id = i.instance_id,
		        .instance_type = i.instance_type,
		        .auto_scaling_group_name = r.group->auto_scaling_group_name,
		        .availability_zone = i.availability_zone,
		        .availability_zone_id = i.availability_zone_id,
		        .lifecycle_state = i.lifecycle_state,
		        .health_status = str_is(i.health_status, "Healthy") ? S("HEALTHY") : S("UNHEALTHY"),
		        .launch_configuration_name = i.launch_configuration_name,
		        .launch_template = i.launch_template,
		        .protected_from_scale_in = i.protected_from_scale_in,
		        .weighted_capacity = i.weighted_capacity};
	}
	return CALL_OK;
}

static int check_decrement(struct call *c, const struct state_autoscaling_group_record *r, int64_t weight)
{
	if (r->group->desired_capacity.v - weight >= r->group->min_size.v)
		return CALL_OK;
	return scaling_invalid(
	        c,
	        "Currently, desiredSize equals minSize (%lld). Terminating instance without replacement will violate "
	        "group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
	        "group's min size.",
	        (long long)r->group->min_size.v);
}

/* ", shrinking the capacity from 3 to 2", and does it. */
static struct str decrement(struct call *c, struct state_autoscaling_group_record *r, int64_t weight)
{
	int64_t before = r->group->desired_capacity.v;
	r->group->desired_capacity = OPT_INT(before - weight);
	return arena_printf(c->arena, ", shrinking the capacity from %lld to %lld", (long long)before,
	                    (long long)(before - weight));
}

int autoscaling_terminate_instance_in_auto_scaling_group(struct call *c,
                                                         const struct autoscaling_terminate_instance_in_auto_scaling_group_type *in,
                                                         struct autoscaling_activity_type *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct state_autoscaling_member *m;
	if (scaling_get_member(c, in->instance_id, &r, &m) != CALL_OK)
		return CALL_FAIL;
	if (!member_ends(m)) {
		bool counts = member_counts(m);
		struct str shrinking = S("");
		if (in->should_decrement_desired_capacity.v && counts) {
			if (check_decrement(c, &r, member_weight(m)) != CALL_OK)
				return CALL_FAIL;
			shrinking = decrement(c, &r, member_weight(m));
		}
		step_terminate(&s, &r, m,
		               arena_printf(c->arena,
		                            "At %.*s instance %.*s was taken out of service in response to a user request%.*s.",
		                            STR_ARG(now_text(c)), STR_ARG(m->id), STR_ARG(shrinking)));
		scaling_put(&s, &r);
	}
	out->activity = arena_new(c->arena, struct autoscaling_activity);
	scaling_activity_read(&s, r.group->auto_scaling_group_name, m->activity_at.ms, m->activity, out->activity);
	return CALL_OK;
}

int autoscaling_set_instance_health(struct call *c, const struct autoscaling_set_instance_health_query *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct state_autoscaling_member *m;
	if (!str_is(in->health_status, "Healthy") && !str_is(in->health_status, "Unhealthy"))
		return scaling_invalid(c, "Valid values for HealthStatus are [Healthy, Unhealthy]");
	if (scaling_get_member(c, in->instance_id, &r, &m) != CALL_OK)
		return CALL_FAIL;
	int64_t grace = m->in_service.ms + r.group->health_check_grace_period.v * 1000;
	bool respects = !in->should_respect_grace_period.set || in->should_respect_grace_period.v;
	if (str_is(in->health_status, "Healthy"))
		m->unhealthy = STR_NONE;
	else if (!respects || (m->in_service.set && c->now_ms >= grace))
		m->unhealthy = S("a user health-check");
	scaling_put(&s, &r);
	return CALL_OK;
}

/* Every one is of this group, or nothing is done. */
static int take_members(struct call *c, struct str group, const struct str_list *ids, struct state_autoscaling_group_record *r,
                        struct state_autoscaling_member ***ret)
{
	if (scaling_get(c, group, r) != CALL_OK)
		return CALL_FAIL;
	if (ids->n > IDS_MAX)
		return scaling_invalid(c, "At most %d instances can be given.", IDS_MAX);
	*ret = arena_array(c->arena, ids->n + 1, sizeof(**ret));
	for (uint32_t i = 0; i < ids->n; i++) {
		(*ret)[i] = scaling_member(r, ids->v[i]);
		if (!(*ret)[i])
			return scaling_invalid(c, "The instance %.*s is not part of Auto Scaling group %.*s.", STR_ARG(ids->v[i]),
			                       STR_ARG(r->group->auto_scaling_group_name));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(ids->v[k], ids->v[i]))
				return scaling_invalid(c, "The instance %.*s is given twice.", STR_ARG(ids->v[i]));
	}
	return CALL_OK;
}

int autoscaling_set_instance_protection(struct call *c, const struct autoscaling_set_instance_protection_query *in,
                                        struct autoscaling_set_instance_protection_answer *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct state_autoscaling_member **all;
	if (take_members(c, in->auto_scaling_group_name, &in->instance_ids, &r, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->instance_ids.n; i++) {
		if (!member_in(all[i], "InService") && !member_begins(all[i]) && !member_in(all[i], "Standby"))
			return scaling_invalid(c, "The instance %.*s is not in InService or EnteringStandby or Standby.",
			                       STR_ARG(all[i]->id));
		all[i]->protected = OPT_BOOL(in->protected_from_scale_in.v);
	}
	scaling_put(&s, &r);
	return CALL_OK;
}

/* --- attach and detach */

int autoscaling_attach_instances(struct call *c, const struct autoscaling_attach_instances_query *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	int64_t n = in->instance_ids.n;
	if (scaling_get(c, in->auto_scaling_group_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (!n || n > IDS_MAX)
		return scaling_invalid(c, "From 1 to %d instances can be attached.", IDS_MAX);
	int64_t before = r.group->desired_capacity.v;
	if (before + n > r.group->max_size.v)
		return scaling_invalid(
		        c,
		        "AutoScalingGroup %.*s has min-size=%lld, max-size=%lld, and desired-size=%lld. To attach %lld more "
		        "instance, please update the AutoScalingGroup sizes appropriately.",
		        STR_ARG(r.group->auto_scaling_group_name), (long long)r.group->min_size.v, (long long)r.group->max_size.v,
		        (long long)before, (long long)n);
	for (uint32_t i = 0; i < in->instance_ids.n; i++) {
		struct ec2_seen e;
		struct str id = in->instance_ids.v[i], other = scaling_group_of(&s, id);
		ec2_see_instance(s.txn, c->arena, c->account, c->region, id, &e);
		if (!e.there)
			return scaling_invalid(c, "Invalid Instance ID(s): %.*s", STR_ARG(id));
		if (str_set(other))
			return scaling_invalid(c, "Instance %.*s is already part of AutoScalingGroup:%.*s", STR_ARG(id),
			                       STR_ARG(other));
		if (!str_is(e.state, "running"))
			return scaling_invalid(c, "Instance %.*s is not in correct state. Instance(s) must be in 'running' state.",
			                       STR_ARG(id));
		if (!scaling_among(&r.group->availability_zones, e.zone))
			return scaling_invalid(
			        c, "The instance %.*s is in the Availability Zone %.*s, which is not one of the group's.",
			        STR_ARG(id), STR_ARG(e.zone));
		struct state_autoscaling_member m = {.slot = id_uuid(c->arena),
		                                     .id = id,
		                                     .state = S("Pending"),
		                                     .type = e.type,
		                                     .zone = e.zone,
		                                     .subnet = e.subnet,
		                                     .image = e.image,
		                                     .spot = OPT_BOOL(e.spot),
		                                     .launched = OPT_TIME(e.launched_ms),
		                                     .attached = OPT_BOOL(true),
		                                     .protected = OPT_BOOL(r.group->new_instances_protected_from_scale_in.v)};
		scaling_activity_begin(
		        &s, &r, &m, ARENA_CAT(c->arena, S("Attaching an existing EC2 instance: "), id),
		        arena_printf(c->arena,
		                     "At %.*s an instance %.*s was attached in response to a user request, increasing the "
		                     "capacity from %lld to %lld.",
		                     STR_ARG(now_text(c)), STR_ARG(id), (long long)(before + i), (long long)(before + i + 1)),
		        "InProgress");
		hooks_begin(&s, &r, &m);
		*LIST_ADD(c->arena, &r.members) = m;
		scaling_note_member(&s, id, r.group->auto_scaling_group_name);
	}
	r.group->desired_capacity = OPT_INT(before + n);
	scaling_put(&s, &r);
	return CALL_OK;
}

/* What detaching and entering standby share: InService members leave the capacity. */
static int leave(struct call *c, struct str group, const struct str_list *ids, struct opt_bool decrements, bool standby,
                 struct autoscaling_activities *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct state_autoscaling_member **all;
	int64_t weight = 0;
	if (take_members(c, group, ids, &r, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < ids->n; i++) {
		if (!member_in(all[i], "InService") && (standby || !member_in(all[i], "Standby")))
			return scaling_invalid(c, "The instance %.*s is not in InService%s.", STR_ARG(all[i]->id),
			                       standby ? "" : " or Standby");
		weight += member_counts(all[i]) ? member_weight(all[i]) : 0;
	}
	if (decrements.v && r.group->desired_capacity.v - weight < r.group->min_size.v)
		return scaling_invalid(
		        c,
		        "AutoScalingGroup %.*s has min-size=%lld, max-size=%lld, and desired-size=%lld. To place into "
		        "standby %lld more instance, please update the AutoScalingGroup sizes appropriately.",
		        STR_ARG(r.group->auto_scaling_group_name), (long long)r.group->min_size.v, (long long)r.group->max_size.v,
		        (long long)r.group->desired_capacity.v, (long long)weight);
	out->set = true;
	for (uint32_t i = 0; i < ids->n; i++) {
		struct state_autoscaling_member *m = all[i];
		struct str shrinking = decrements.v && member_counts(m) ? decrement(c, &r, member_weight(m)) : S("");
		struct str cause = arena_printf(c->arena, "At %.*s instance %.*s was %s in response to a user request%.*s.",
		                                STR_ARG(now_text(c)), STR_ARG(m->id), standby ? "moved to standby" : "detached",
		                                STR_ARG(shrinking));
		if (standby) {
			m->state = S("Standby");
			scaling_activity_done(&s, &r, m, ARENA_CAT(c->arena, S("Moving EC2 instance to Standby: "), m->id), cause,
			                      LIST_ADD(c->arena, out));
			continue;
		}
		m->state = S("Detaching");
		scaling_activity_begin(&s, &r, m, ARENA_CAT(c->arena, S("Detaching EC2 instance: "), m->id), cause, "InProgress");
		scaling_activity_read(&s, r.group->auto_scaling_group_name, m->activity_at.ms, m->activity,
		                      LIST_ADD(c->arena, out));
	}
	scaling_put(&s, &r);
	return CALL_OK;
}

int autoscaling_detach_instances(struct call *c, const struct autoscaling_detach_instances_query *in,
                                 struct autoscaling_detach_instances_answer *out)
{
	return leave(c, in->auto_scaling_group_name, &in->instance_ids, in->should_decrement_desired_capacity, false,
	             &out->activities);
}

int autoscaling_enter_standby(struct call *c, const struct autoscaling_enter_standby_query *in,
                              struct autoscaling_enter_standby_answer *out)
{
	return leave(c, in->auto_scaling_group_name, &in->instance_ids, in->should_decrement_desired_capacity, true,
	             &out->activities);
}

int autoscaling_exit_standby(struct call *c, const struct autoscaling_exit_standby_query *in,
                             struct autoscaling_exit_standby_answer *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record r;
	struct state_autoscaling_member **all;
	int64_t weight = 0;
	if (take_members(c, in->auto_scaling_group_name, &in->instance_ids, &r, &all) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->instance_ids.n; i++) {
		if (!member_in(all[i], "Standby"))
			return scaling_invalid(c, "The instance %.*s is not in Standby.", STR_ARG(all[i]->id));
		weight += member_weight(all[i]);
	}
	if (r.group->desired_capacity.v + weight > r.group->max_size.v)
		return scaling_invalid(
		        c,
		        "AutoScalingGroup %.*s has min-size=%lld, max-size=%lld, and desired-size=%lld. To place into "
		        "service %lld more instance, please update the AutoScalingGroup sizes appropriately.",
		        STR_ARG(r.group->auto_scaling_group_name), (long long)r.group->min_size.v, (long long)r.group->max_size.v,
		        (long long)r.group->desired_capacity.v, (long long)weight);
	out->activities.set = true;
	for (uint32_t i = 0; i < in->instance_ids.n; i++) {
		struct state_autoscaling_member *m = all[i];
		int64_t before = r.group->desired_capacity.v;
		r.group->desired_capacity = OPT_INT(before + member_weight(m));
		m->state = S("Pending");
		scaling_activity_begin(&s, &r, m, ARENA_CAT(c->arena, S("Moving EC2 instance out of Standby: "), m->id),
		                       arena_printf(c->arena,
		                                    "At %.*s instance %.*s was moved out of standby in response to a user request, "
		                                    "increasing the capacity from %lld to %lld.",
		                                    STR_ARG(now_text(c)), STR_ARG(m->id), (long long)before,
		                                    (long long)r.group->desired_capacity.v),
		                       "PreInService");
		scaling_activity_read(&s, r.group->auto_scaling_group_name, m->activity_at.ms, m->activity,
		                      LIST_ADD(c->arena, &out->activities));
	}
	scaling_put(&s, &r);
	return CALL_OK;
}
