#include "policy.h"

#include "base/id.h"
#include "core/alarm_wish.h"
#include "engine/scaling/adjust.h"

#include <math.h>

enum { POLICIES_MAX = 50, STEPS_MAX = 20, USUAL = 50, MOST = 100, PERIOD_S = 60 };

const struct record_type policy_row = {&state_autoscaling_api, "PolicyRecord"};

bool policy_find(const struct scope *s, struct str group, struct str name, struct state_autoscaling_policy_record *ret)
{
	return record_get(s->txn, s->arena, scaling_key(s, "policy", group, name), &policy_row, ret);
}

bool policy_of_arn(struct str arn, struct str *ret_group, struct str *ret_name)
{
	ptrdiff_t group = str_find(arn, S(":autoScalingGroupName/")), name = str_find(arn, S(":policyName/"));
	if (!str_starts(arn, S("arn:aws:autoscaling:")) || group < 0 || name < group)
		return false;
	size_t from = (size_t)group + S(":autoScalingGroupName/").n;
	*ret_group = str_sub(arn, from, (size_t)name - from);
	*ret_name = str_from_at(arn, (size_t)name + S(":policyName/").n);
	return true;
}

static struct alarm_wisher wisher(const struct scope *s, struct str group)
{
	return (struct alarm_wisher){s->txn, s->arena, "autoscaling", s->account, s->region, group};
}

static void drop_alarms(const struct scope *s, const struct autoscaling_scaling_policy *p)
{
	struct alarm_wisher w = wisher(s, p->auto_scaling_group_name);
	for (uint32_t i = 0; i < p->alarms.n; i++)
		alarm_unwant(&w, p->alarms.v[i].alarm_name);
}

struct policies {
	struct state_autoscaling_policy_record *v;
	uint32_t n;
	bool set;
};

static struct policies policies_of(const struct scope *s, struct str group)
{
	struct policies all = {0};
	struct str under = scaling_under(s, "policy", group), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_autoscaling_policy_record r = {0};
		if (record_read(s->arena, v.value, &policy_row, &r))
			*LIST_ADD(s->arena, &all) = r;
	}
	return all;
}

void policies_drop(const struct scope *s, struct str group)
{
	struct policies all = policies_of(s, group);
	for (uint32_t i = 0; i < all.n; i++)
		if (all.v[i].policy->target_tracking_configuration)
			drop_alarms(s, all.v[i].policy);
	scaling_drop_all(s, "policy", group);
}

/* --- PutScalingPolicy: what it may be */

static bool set_steps(struct call *c, const struct autoscaling_step_adjustments *from, struct adjust_step *to)
{
	(void)c;
	for (uint32_t i = 0; i < from->n; i++)
		to[i] = (struct adjust_step){
		        from->v[i].metric_interval_lower_bound.set ? from->v[i].metric_interval_lower_bound.v : -(double)INFINITY,
		        from->v[i].metric_interval_upper_bound.set ? from->v[i].metric_interval_upper_bound.v : (double)INFINITY,
		        from->v[i].scaling_adjustment.v};
	return from->n > 0;
}

static int check_adjustment(struct call *c, const struct autoscaling_put_scaling_policy_type *in)
{
	struct str t = in->adjustment_type;
	if (!str_is(t, "ChangeInCapacity") && !str_is(t, "ExactCapacity") && !str_is(t, "PercentChangeInCapacity"))
		return scaling_invalid(c, "AdjustmentType must be one of ChangeInCapacity, ExactCapacity, PercentChangeInCapacity");
	if ((in->min_adjustment_magnitude.set || in->min_adjustment_step.set) && !str_is(t, "PercentChangeInCapacity"))
		return scaling_invalid(c,
		                       "MinAdjustmentMagnitude is only supported for the adjustment type PercentChangeInCapacity");
	if (in->min_adjustment_magnitude.v < 0 || in->cooldown.v < 0 || in->estimated_instance_warmup.v < 0)
		return scaling_invalid(c, "Cooldowns, warm-ups and magnitudes are non-negative numbers.");
	return CALL_OK;
}

static int check_simple(struct call *c, const struct autoscaling_put_scaling_policy_type *in)
{
	if (in->step_adjustments.n || in->target_tracking_configuration || in->estimated_instance_warmup.set ||
	    in->metric_aggregation_type.n)
		return scaling_invalid(c, "StepAdjustments, EstimatedInstanceWarmup, MetricAggregationType and "
		                          "TargetTrackingConfiguration are not supported for policy type SimpleScaling");
	if (check_adjustment(c, in) != CALL_OK)
		return CALL_FAIL;
	if (!in->scaling_adjustment.set)
		return scaling_invalid(c, "ScalingAdjustment must be specified for policy type SimpleScaling");
	if (str_is(in->adjustment_type, "ExactCapacity") && in->scaling_adjustment.v < 0)
		return scaling_invalid(c, "ScalingAdjustment must not be negative for the adjustment type ExactCapacity");
	return CALL_OK;
}

static int check_steps(struct call *c, const struct autoscaling_put_scaling_policy_type *in)
{
	struct adjust_step *all = arena_array(c->arena, in->step_adjustments.n + 1, sizeof(*all));
	if (in->scaling_adjustment.set || in->cooldown.set || in->target_tracking_configuration)
		return scaling_invalid(
		        c,
		        "ScalingAdjustment, Cooldown and TargetTrackingConfiguration are not supported for policy type StepScaling");
	if (check_adjustment(c, in) != CALL_OK)
		return CALL_FAIL;
	if (!set_steps(c, &in->step_adjustments, all) || in->step_adjustments.n > STEPS_MAX)
		return scaling_invalid(c, "From 1 to %d step adjustments are required for policy type StepScaling", STEPS_MAX);
	struct str by = in->metric_aggregation_type;
	if (by.n && !str_is(by, "Average") && !str_is(by, "Minimum") && !str_is(by, "Maximum"))
		return scaling_invalid(c, "MetricAggregationType must be one of: Minimum, Maximum, Average");
	const char *wrong = adjust_check(all, in->step_adjustments.n);
	return wrong ? scaling_invalid(c, "%s", wrong) : CALL_OK;
}

/* What an expression must be beyond this CloudWatch says, when it is asked for the alarms. */
static int check_math(struct call *c, const struct autoscaling_customized_metric_specification *m)
{
	unsigned returned = 0;
	if (m->metric_name.n || m->namespace.n || m->statistic.n || m->unit.n || m->dimensions.n || m->period.set)
		return scaling_invalid(c,
		                       "With Metrics, none of MetricName, Namespace, Dimensions, Statistic, Unit and Period can be "
		                       "given in a CustomizedMetricSpecification.");
	for (uint32_t i = 0; i < m->metrics.n; i++) {
		const struct autoscaling_target_tracking_metric_data_query *q = &m->metrics.v[i];
		if ((q->metric_stat != NULL) == (q->expression.n > 0))
			return scaling_invalid(c, "Exactly one of Expression and MetricStat is required for the metric '%.*s'.",
			                       STR_ARG(q->id));
		returned += !q->return_data.set || q->return_data.v;
	}
	return returned == 1 ? CALL_OK : scaling_invalid(c, "Exactly one element of the metrics list should return data.");
}

/* app/<balancer>/<id>/targetgroup/<group>/<id>: the parts behind the words. */
static bool label_parts(struct str label, struct str *ret_balancer, struct str *ret_group)
{
	ptrdiff_t at = str_find(label, S("/targetgroup/"));
	if (!str_starts(label, S("app/")) || at < 0)
		return false;
	*ret_balancer = str_sub(label, 0, (size_t)at);
	*ret_group = str_from_at(label, (size_t)at + 1);
	return true;
}

static int check_label(struct call *c, const struct autoscaling_auto_scaling_group *g, struct str label)
{
	struct str balancer, group;
	for (uint32_t i = 0; label_parts(label, &balancer, &group) && i < g->target_group_arns.n; i++)
		if (str_ends(g->target_group_arns.v[i], ARENA_CAT(c->arena, S(":"), group)))
			return CALL_OK;
	return scaling_invalid(
	        c,
	        "The resource label '%.*s' is not valid: it names a load balancer and a target group that is attached to "
	        "the Auto Scaling group.",
	        STR_ARG(label));
}

static int check_tracking(struct call *c, const struct autoscaling_auto_scaling_group *g,
                          const struct autoscaling_put_scaling_policy_type *in)
{
	const struct autoscaling_target_tracking_configuration *t = in->target_tracking_configuration;
	if (!t)
		return scaling_invalid(c, "TargetTrackingConfiguration must be specified for policy type TargetTrackingScaling");
	if (in->adjustment_type.n || in->scaling_adjustment.set || in->step_adjustments.n || in->cooldown.set ||
	    in->min_adjustment_magnitude.set)
		return scaling_invalid(
		        c, "AdjustmentType, ScalingAdjustment, StepAdjustments, Cooldown and MinAdjustmentMagnitude are "
		           "not supported for policy type TargetTrackingScaling");
	if ((t->predefined_metric_specification != NULL) == (t->customized_metric_specification != NULL))
		return scaling_invalid(
		        c, "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is required.");
	if (!(t->target_value.v > 0) || in->estimated_instance_warmup.v < 0)
		return scaling_invalid(c, "TargetValue must be greater than 0.");
	if (t->predefined_metric_specification) {
		struct str type = t->predefined_metric_specification->predefined_metric_type;
		if (str_is(type, "ALBRequestCountPerTarget"))
			return check_label(c, g, t->predefined_metric_specification->resource_label);
		if (str_set(t->predefined_metric_specification->resource_label))
			return scaling_invalid(c, "Resource label should not be specified with the %.*s metric", STR_ARG(type));
		return CALL_OK;
	}
	const struct autoscaling_customized_metric_specification *m = t->customized_metric_specification;
	if (m->metrics.n)
		return check_math(c, m);
	if (!m->metric_name.n || !m->namespace.n || !m->statistic.n)
		return scaling_invalid(c, "MetricName, Namespace and Statistic are required in a CustomizedMetricSpecification.");
	if (m->period.set && m->period.v != 10 && m->period.v != 30 && m->period.v != 60)
		return scaling_invalid(c, "Period must be 10, 30 or 60.");
	return CALL_OK;
}

/* --- the alarms */

static void math_of(struct call *c, const struct autoscaling_customized_metric_specification *m,
                    struct cloudwatch_put_metric_alarm_input *a)
{
	for (uint32_t i = 0; i < m->metrics.n; i++) {
		const struct autoscaling_target_tracking_metric_data_query *q = &m->metrics.v[i];
		const struct autoscaling_target_tracking_metric_stat *stat = q->metric_stat;
		struct cloudwatch_metric_data_query *to = LIST_ADD(c->arena, &a->metrics);
		*to = (struct cloudwatch_metric_data_query){
		        .id = q->id, .expression = q->expression, .label = q->label, .return_data = q->return_data};
		if (!stat) {
			to->period = q->period;
			continue;
		}
		to->metric_stat = arena_new(c->arena, struct cloudwatch_metric_stat);
		*to->metric_stat = (struct cloudwatch_metric_stat){.metric = arena_new(c->arena, struct cloudwatch_metric),
		                                                   .period = stat->period.set ? stat->period : OPT_INT(PERIOD_S),
		                                                   .stat = stat->stat,
		                                                   .unit = stat->unit};
		to->metric_stat->metric->namespace = stat->metric->namespace;
		to->metric_stat->metric->metric_name = stat->metric->metric_name;
		for (uint32_t k = 0; k < stat->metric->dimensions.n; k++)
			*LIST_ADD(c->arena, &to->metric_stat->metric->dimensions) = (struct cloudwatch_dimension){
			        stat->metric->dimensions.v[k].name, stat->metric->dimensions.v[k].value};
	}
}

static void metric_of(struct call *c, const struct autoscaling_scaling_policy *p, struct cloudwatch_put_metric_alarm_input *a)
{
	static const char *const predefined[][2] = {{"ASGAverageCPUUtilization", "CPUUtilization"},
	                                            {"ASGAverageNetworkIn", "NetworkIn"},
	                                            {"ASGAverageNetworkOut", "NetworkOut"}};
	const struct autoscaling_target_tracking_configuration *t = p->target_tracking_configuration;
	a->period = OPT_INT(PERIOD_S);
	a->statistic = S("Average");
	if (t->predefined_metric_specification) {
		struct str balancer, group;
		if (label_parts(t->predefined_metric_specification->resource_label, &balancer, &group)) {
			a->namespace = S("AWS/ApplicationELB");
			a->metric_name = S("RequestCountPerTarget");
			a->statistic = S("Sum");
			*LIST_ADD(c->arena, &a->dimensions) = (struct cloudwatch_dimension){S("TargetGroup"), group};
			*LIST_ADD(c->arena, &a->dimensions) = (struct cloudwatch_dimension){S("LoadBalancer"), balancer};
			return;
		}
		a->namespace = S("AWS/EC2");
		for (size_t i = 0; i < sizeof(predefined) / sizeof(*predefined); i++)
			if (str_is(t->predefined_metric_specification->predefined_metric_type, predefined[i][0]))
				a->metric_name = str_from(predefined[i][1]);
		*LIST_ADD(c->arena, &a->dimensions) =
		        (struct cloudwatch_dimension){S("AutoScalingGroupName"), p->auto_scaling_group_name};
		return;
	}
	const struct autoscaling_customized_metric_specification *m = t->customized_metric_specification;
	if (m->metrics.n) {
		a->period = (struct opt_int){0};
		a->statistic = STR_NONE;
		math_of(c, m, a);
		return;
	}
	a->namespace = m->namespace;
	a->metric_name = m->metric_name;
	a->statistic = m->statistic;
	a->unit = m->unit;
	if (m->period.set)
		a->period = m->period;
	for (uint32_t i = 0; i < m->dimensions.n; i++)
		*LIST_ADD(c->arena, &a->dimensions) =
		        (struct cloudwatch_dimension){m->dimensions.v[i].name, m->dimensions.v[i].value};
}

static void want_alarm(struct call *c, struct autoscaling_scaling_policy *p, bool high)
{
	struct scope s = scaling_scope(c);
	struct alarm_wisher w = wisher(&s, p->auto_scaling_group_name);
	struct cloudwatch_put_metric_alarm_input a = {0};
	metric_of(c, p, &a);
	alarm_track(c->arena, p->auto_scaling_group_name, p->policy_arn, p->target_tracking_configuration->target_value.v,
	            p->enabled.v, high, &a);
	alarm_want(&w, &a);
	*LIST_ADD(c->arena, &p->alarms) = (struct autoscaling_alarm){
	        .alarm_name = a.alarm_name, .alarm_arn = alarm_arn_of(c->arena, c->region, c->account, a.alarm_name)};
}

int autoscaling_put_scaling_policy(struct call *c, const struct autoscaling_put_scaling_policy_type *in,
                                   struct autoscaling_policy_arn_type *out)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record g;
	struct state_autoscaling_policy_record old = {0};
	struct str type = in->policy_type.n ? in->policy_type : S("SimpleScaling");
	if (scaling_get(c, in->auto_scaling_group_name, &g) != CALL_OK)
		return CALL_FAIL;
	if (str_is(type, "PredictiveScaling"))
		return scaling_invalid(c, "The policy type PredictiveScaling is not supported.");
	int said = str_is(type, "SimpleScaling") ? check_simple(c, in)
	           : str_is(type, "StepScaling") ? check_steps(c, in)
	           : str_is(type, "TargetTrackingScaling")
	                   ? check_tracking(c, g.group, in)
	                   : scaling_invalid(c, "Policy type must be one of [StepScaling, SimpleScaling, "
	                                        "TargetTrackingScaling, PredictiveScaling]");
	if (said != CALL_OK)
		return CALL_FAIL;
	struct str group = g.group->auto_scaling_group_name;
	bool there = policy_find(&s, group, in->policy_name, &old);
	if (there && !str_eq(old.policy->policy_type, type))
		return scaling_invalid(c, "The type of a policy cannot be changed from %.*s to %.*s.",
		                       STR_ARG(old.policy->policy_type), STR_ARG(type));
	if (!there && policies_of(&s, group).n >= POLICIES_MAX)
		return call_fail(c, "LimitExceeded", 400, "A group can have at most %d scaling policies.", POLICIES_MAX);
	struct autoscaling_scaling_policy p = {
	        .auto_scaling_group_name = group,
	        .policy_name = in->policy_name,
	        .policy_arn = there ? old.policy->policy_arn
	                            : scaling_arn(&s, "scalingPolicy", id_uuid(c->arena),
	                                          ARENA_CAT(c->arena, S("autoScalingGroupName/"), group, S(":policyName/"),
	                                                    in->policy_name)),
	        .policy_type = type,
	        .adjustment_type = in->adjustment_type,
	        .min_adjustment_step = in->min_adjustment_step,
	        .min_adjustment_magnitude = in->min_adjustment_magnitude,
	        .scaling_adjustment = in->scaling_adjustment,
	        .cooldown = in->cooldown,
	        .step_adjustments = in->step_adjustments,
	        .metric_aggregation_type = str_is(type, "StepScaling")
	                                           ? in->metric_aggregation_type.n ? in->metric_aggregation_type : S("Average")
	                                           : STR_NONE,
	        .estimated_instance_warmup = in->estimated_instance_warmup,
	        .target_tracking_configuration = in->target_tracking_configuration,
	        .enabled = OPT_BOOL(!in->enabled.set || in->enabled.v)};
	p.alarms.set = p.step_adjustments.set = true;
	if (p.target_tracking_configuration) {
		if (!p.target_tracking_configuration->disable_scale_in.set)
			p.target_tracking_configuration->disable_scale_in = OPT_BOOL(false);
		if (there)
			drop_alarms(&s, old.policy);
		want_alarm(c, &p, true);
		if (!p.target_tracking_configuration->disable_scale_in.v)
			want_alarm(c, &p, false);
	}
	struct state_autoscaling_policy_record r = {.policy = &p};
	record_put(s.txn, c->arena, scaling_key(&s, "policy", group, in->policy_name), &policy_row, &r);
	out->policy_arn = p.policy_arn;
	out->alarms = p.alarms;
	return CALL_OK;
}

/* By name and group, or by its ARN. */
static int get_policy(struct call *c, struct str group, struct str name, struct state_autoscaling_policy_record *ret)
{
	struct scope s = scaling_scope(c);
	struct state_autoscaling_group_record g;
	struct str of = group, plain = name;
	bool by_arn = policy_of_arn(name, &of, &plain);
	if (!by_arn && !str_set(group))
		return scaling_invalid(c, "The name of the group is required where a policy is not given by its ARN.");
	if (scaling_get(c, of, &g) != CALL_OK)
		return CALL_FAIL;
	if (policy_find(&s, g.group->auto_scaling_group_name, plain, ret) && (!by_arn || str_eq(ret->policy->policy_arn, name)))
		return CALL_OK;
	return scaling_invalid(c, "Policy not found - Policy '%.*s' not found", STR_ARG(name));
}

int autoscaling_delete_policy(struct call *c, const struct autoscaling_delete_policy_type *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_policy_record r = {0};
	if (get_policy(c, in->auto_scaling_group_name, in->policy_name, &r) != CALL_OK)
		return CALL_FAIL;
	if (r.policy->target_tracking_configuration)
		drop_alarms(&s, r.policy);
	store_delete(s.txn, scaling_key(&s, "policy", r.policy->auto_scaling_group_name, r.policy->policy_name));
	return CALL_OK;
}

int autoscaling_describe_policies(struct call *c, const struct autoscaling_describe_policies_type *in,
                                  struct autoscaling_policies_type *out)
{
	struct scope s = scaling_scope(c);
	struct page p;
	struct str last = STR_NONE;
	if (scaling_page(c, in->max_records, in->next_token, USUAL, MOST, &p) != CALL_OK)
		return CALL_FAIL;
	out->scaling_policies.set = true;
	struct policies all = policies_of(&s, in->auto_scaling_group_name);
	for (uint32_t i = 0; i < all.n; i++) {
		struct autoscaling_scaling_policy *one = all.v[i].policy;
		struct str at = ARENA_CAT(c->arena, one->auto_scaling_group_name, S(":"), one->policy_name);
		if ((str_set(p.after) && str_cmp(at, p.after) <= 0) || !scaling_among(&in->policy_types, one->policy_type) ||
		    (!scaling_among(&in->policy_names, one->policy_name) && !scaling_among(&in->policy_names, one->policy_arn)))
			continue;
		if (!p.left--) {
			out->next_token = scaling_token(c, last);
			break;
		}
		last = at;
		one->alarms.set = one->step_adjustments.set = true;
		*LIST_ADD(c->arena, &out->scaling_policies) = *one;
	}
	return CALL_OK;
}

int autoscaling_execute_policy(struct call *c, const struct autoscaling_execute_policy_type *in, struct model_none *out)
{
	(void)out;
	struct scope s = scaling_scope(c);
	struct state_autoscaling_policy_record p = {0};
	struct state_autoscaling_group_record g;
	const char *code = NULL;
	struct str why;
	if (get_policy(c, in->auto_scaling_group_name, in->policy_name, &p) != CALL_OK ||
	    scaling_get(c, p.policy->auto_scaling_group_name, &g) != CALL_OK)
		return CALL_FAIL;
	if (str_is(p.policy->policy_type, "TargetTrackingScaling"))
		return scaling_invalid(c, "ExecutePolicy is not supported for policies of type TargetTrackingScaling.");
	bool steps = str_is(p.policy->policy_type, "StepScaling");
	if (steps != (in->metric_value.set && in->breach_threshold.set))
		return scaling_invalid(
		        c, steps ? "MetricValue and BreachThreshold are required to execute a policy of type StepScaling"
		                 : "MetricValue and BreachThreshold are for policies of type StepScaling");
	struct policy_event e = {
	        .value = in->metric_value.v,
	        .threshold = in->breach_threshold.v,
	        .high = in->metric_value.v >= in->breach_threshold.v,
	        .honor_cooldown = in->honor_cooldown.v,
	        .reason = arena_printf(c->arena, "a user request executed policy %.*s", STR_ARG(p.policy->policy_name))};
	if (policy_run(&s, &g, p.policy, &e, &code, &why)) {
		scaling_put(&s, &g);
		return CALL_OK;
	}
	return code ? call_fail(c, code, 400, "%.*s", STR_ARG(why)) : CALL_OK;
}
