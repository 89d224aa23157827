/* PutScalingPolicy, DescribeScalingPolicies, DeleteScalingPolicy. What policies do is in run.c. */
#include "policy.h"

#include "base/id.h"
#include "core/alarm_wish.h"
#include "engine/scaling/adjust.h"

#include <math.h>

enum { POLICIES_MAX = 50, STEPS_MAX = 20, PERIOD_S = 60 };

#define tracking struct application_autoscaling_target_tracking_scaling_policy_configuration

const struct record_type appscale_policy_row = {&state_applicationautoscaling_api, "PolicyRecord"};

struct policies appscale_policies_of(const struct appscale *s, const struct resource *of)
{
	struct policies all = {0};
	struct str under = appscale_under(s, "policy", of->namespace, of->id, of->dimension), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_applicationautoscaling_policy_record r = {0};
		if (record_read(s->arena, v.value, &appscale_policy_row, &r))
			*LIST_ADD(s->arena, &all) = r;
	}
	return all;
}

/* arn:aws:autoscaling:REGION:ACCOUNT:scalingPolicy:<uuid>:resource/... */
static struct str uuid_of(struct str arn)
{
	struct str rest = arn;
	for (int i = 0; i < 6 && str_set(rest); i++)
		str_cut(&rest, ':');
	return str_cut(&rest, ':');
}

bool appscale_policy_of_arn(const struct appscale *s, struct str arn, struct state_applicationautoscaling_policy_record *ret)
{
	struct str uuid = uuid_of(arn);
	struct store_value v;
	*ret = (struct state_applicationautoscaling_policy_record){0};
	return uuid.n && store_get(s->txn, appscale_id_key(s, "policy-id", uuid), &v) &&
	       record_get(s->txn, s->arena, arena_dup(s->arena, v.value), &appscale_policy_row, ret) &&
	       str_starts(arn, ret->policy->policy_arn);
}

struct adjust_step *appscale_policy_steps(struct arena *a,
                                          const struct application_autoscaling_step_scaling_policy_configuration *conf)
{
	struct adjust_step *all = arena_array(a, conf->step_adjustments.n + 1, sizeof(*all));
	for (uint32_t i = 0; i < conf->step_adjustments.n; i++) {
		const struct application_autoscaling_step_adjustment *one = &conf->step_adjustments.v[i];
		all[i] = (struct adjust_step){
		        one->metric_interval_lower_bound.set ? one->metric_interval_lower_bound.v : -(double)INFINITY,
		        one->metric_interval_upper_bound.set ? one->metric_interval_upper_bound.v : (double)INFINITY,
		        one->scaling_adjustment.v};
	}
	return all;
}

/* --- what policies may be */

static int check_steps(struct call *c, const struct application_autoscaling_step_scaling_policy_configuration *conf)
{
	if (!conf)
		return appscale_invalid(c, "StepScalingPolicyConfiguration is required for the policy type StepScaling.");
	if (!conf->adjustment_type.n)
		return appscale_invalid(c, "AdjustmentType is required in a StepScalingPolicyConfiguration.");
	if (!conf->step_adjustments.n || conf->step_adjustments.n > STEPS_MAX)
		return appscale_invalid(c, "From 1 to %d step adjustments are required for a step scaling policy.", STEPS_MAX);
	if (conf->cooldown.v < 0 || conf->min_adjustment_magnitude.v < 0)
		return appscale_invalid(c, "Cooldown and MinAdjustmentMagnitude must be non-negative numbers.");
	if (conf->min_adjustment_magnitude.set && !str_is(conf->adjustment_type, "PercentChangeInCapacity"))
		return appscale_invalid(
		        c, "MinAdjustmentMagnitude is only supported for the adjustment type PercentChangeInCapacity.");
	const char *wrong = adjust_check(appscale_policy_steps(c->arena, conf), conf->step_adjustments.n);
	return wrong ? appscale_invalid(c, "%s", wrong) : CALL_OK;
}

static const struct resource_metric *predefined(const struct resource *of, struct str type)
{
	for (const struct resource_metric *m = of->kind->metrics; m->type; m++)
		if (str_is(type, m->type))
			return m;
	return NULL;
}

static int check_custom(struct call *c, const struct application_autoscaling_customized_metric_specification *m)
{
	unsigned returned = 0;
	if (!m->metrics.n)
		return m->metric_name.n && m->namespace.n && m->statistic.n
		               ? CALL_OK
		               : appscale_invalid(c, "MetricName, Namespace and Statistic are required in a "
		                                     "CustomizedMetricSpecification.");
	if (m->metric_name.n || m->namespace.n || m->statistic.n || m->unit.n || m->dimensions.n)
		return appscale_invalid(
		        c, "With Metrics, none of MetricName, Namespace, Dimensions, Statistic and Unit can be given in "
		           "a CustomizedMetricSpecification.");
	for (uint32_t i = 0; i < m->metrics.n; i++) {
		const struct application_autoscaling_target_tracking_metric_data_query *q = &m->metrics.v[i];
		if ((q->metric_stat != NULL) == (q->expression.n > 0))
			return appscale_invalid(c, "Exactly one of Expression and MetricStat is required for the metric '%.*s'.",
			                        STR_ARG(q->id));
		returned += !q->return_data.set || q->return_data.v;
	}
	return returned == 1 ? CALL_OK : appscale_invalid(c, "Exactly one element of the metrics list should return data.");
}

/* app/<balancer>/<id>/targetgroup/<group>/<id> */
static bool label_parts(struct str label, struct str *ret_balancer, struct str *ret_group)
{
	ptrdiff_t at = str_find(label, S("/targetgroup/"));
	if (!str_starts(label, S("app/")) || at < 0)
		return false;
	*ret_balancer = str_sub(label, 0, (size_t)at);
	*ret_group = str_from_at(label, (size_t)at + 1);
	return true;
}

static bool label_good(struct call *c, const struct resource *of, struct str label)
{
	struct appscale s = appscale_of_call(c);
	struct resource_seen seen;
	struct str balancer, group;
	resource_see(&s, of, &seen);
	for (uint32_t i = 0; label_parts(label, &balancer, &group) && i < seen.target_groups.n; i++)
		if (str_ends(seen.target_groups.v[i], ARENA_CAT(c->arena, S(":"), group)))
			return true;
	return false;
}

static int check_tracking(struct call *c, const struct resource *of, const tracking *t)
{
	if (!t)
		return appscale_invalid(
		        c, "TargetTrackingScalingPolicyConfiguration is required for the policy type TargetTrackingScaling.");
	if ((t->predefined_metric_specification != NULL) == (t->customized_metric_specification != NULL))
		return appscale_invalid(
		        c, "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is required.");
	if (!(t->target_value.v > 0))
		return appscale_invalid(c, "TargetValue must be greater than 0.");
	if (t->scale_out_cooldown.v < 0 || t->scale_in_cooldown.v < 0)
		return appscale_invalid(c, "ScaleOutCooldown and ScaleInCooldown must be non-negative numbers.");
	if (t->customized_metric_specification)
		return check_custom(c, t->customized_metric_specification);
	struct str type = t->predefined_metric_specification->predefined_metric_type;
	struct str label = t->predefined_metric_specification->resource_label;
	if (str_is(of->namespace, "ecs") && str_is(type, "ALBRequestCountPerTarget") && label_good(c, of, label))
		return CALL_OK;
	if (str_is(of->namespace, "ecs") && str_is(type, "ALBRequestCountPerTarget"))
		return appscale_invalid(
		        c,
		        "The resource label '%.*s' is not valid: the load balancer and the target group must exist and "
		        "be those of the service.",
		        STR_ARG(label));
	if (!predefined(of, type))
		return appscale_invalid(c, "The predefined metric type %.*s is not valid for the scalable dimension %.*s.",
		                        STR_ARG(type), STR_ARG(of->dimension));
	if (str_set(label))
		return appscale_invalid(c, "ResourceLabel cannot be specified for the predefined metric type %.*s.", STR_ARG(type));
	return CALL_OK;
}

/* What is measured, so that two policies do not hold the same at different targets. */
static struct str measured(struct call *c, const tracking *t)
{
	static const struct record_type one = {&application_autoscaling_api, "PredefinedMetricSpecification"},
	                                other = {&application_autoscaling_api, "CustomizedMetricSpecification"};
	return t->predefined_metric_specification ? record_write(c->arena, &one, t->predefined_metric_specification)
	                                          : record_write(c->arena, &other, t->customized_metric_specification);
}

static int check_others(struct call *c, const struct policies *all, struct str name, const tracking *t)
{
	for (uint32_t i = 0; t && i < all->n; i++) {
		const struct application_autoscaling_scaling_policy *p = all->v[i].policy;
		const tracking *other = p->target_tracking_scaling_policy_configuration;
		if (other && !str_eq(p->policy_name, name) && str_eq(measured(c, other), measured(c, t)))
			return appscale_invalid(
			        c, "Only one TargetTrackingScaling policy for a given metric specification is allowed.");
	}
	return CALL_OK;
}

/* --- the alarms */

static struct alarm_wisher wisher(const struct appscale *s, const struct resource *of)
{
	return (struct alarm_wisher){s->txn,     s->arena,  APPSCALE,
	                             s->account, s->region, ARENA_CAT(s->arena, of->id, S("|"), of->dimension)};
}

static void drop_alarms(const struct appscale *s, const struct resource *of, const struct application_autoscaling_scaling_policy *p)
{
	struct alarm_wisher w = wisher(s, of);
	for (uint32_t i = 0; p->target_tracking_scaling_policy_configuration && i < p->alarms.n; i++)
		alarm_unwant(&w, p->alarms.v[i].alarm_name);
}

static void math_of(struct call *c, const struct application_autoscaling_customized_metric_specification *m,
                    struct cloudwatch_put_metric_alarm_input *a)
{
	for (uint32_t i = 0; i < m->metrics.n; i++) {
		const struct application_autoscaling_target_tracking_metric_data_query *q = &m->metrics.v[i];
		const struct application_autoscaling_target_tracking_metric_stat *stat = q->metric_stat;
		struct cloudwatch_metric_data_query *to = LIST_ADD(c->arena, &a->metrics);
		*to = (struct cloudwatch_metric_data_query){
		        .id = q->id, .expression = q->expression, .label = q->label, .return_data = q->return_data};
		if (!stat)
			continue;
		to->metric_stat = arena_new(c->arena, struct cloudwatch_metric_stat);
		to->metric_stat->metric = arena_new(c->arena, struct cloudwatch_metric);
		to->metric_stat->period = OPT_INT(PERIOD_S);
		to->metric_stat->stat = stat->stat;
		to->metric_stat->unit = stat->unit;
		to->metric_stat->metric->namespace = stat->metric->namespace;
		to->metric_stat->metric->metric_name = stat->metric->metric_name;
		for (uint32_t k = 0; k < stat->metric->dimensions.n; k++)
			*LIST_ADD(c->arena, &to->metric_stat->metric->dimensions) = (struct cloudwatch_dimension){
			        stat->metric->dimensions.v[k].name, stat->metric->dimensions.v[k].value};
	}
}

static void metric_of(struct call *c, const struct resource *of, const tracking *t, struct cloudwatch_put_metric_alarm_input *a)
{
	const struct application_autoscaling_customized_metric_specification *m = t->customized_metric_specification;
	if (m && m->metrics.n) {
		math_of(c, m, a);
		return;
	}
	a->period = OPT_INT(PERIOD_S);
	a->statistic = S("Average");
	struct str balancer, group;
	if (!m && label_parts(t->predefined_metric_specification->resource_label, &balancer, &group)) {
		a->namespace = S("AWS/ApplicationELB");
		a->metric_name = S("RequestCountPerTarget");
		a->statistic = S("Sum");
		*LIST_ADD(c->arena, &a->dimensions) = (struct cloudwatch_dimension){S("TargetGroup"), group};
		*LIST_ADD(c->arena, &a->dimensions) = (struct cloudwatch_dimension){S("LoadBalancer"), balancer};
		return;
	}
	if (!m) {
		const struct resource_metric *p = predefined(of, t->predefined_metric_specification->predefined_metric_type);
		a->namespace = str_from(p->space);
		a->metric_name = str_from(p->name);
		a->unit = p->unit ? str_from(p->unit) : STR_NONE;
		of->kind->add_dimensions(c->arena, of->id, &a->dimensions);
		return;
	}
	a->namespace = m->namespace;
	a->metric_name = m->metric_name;
	a->statistic = m->statistic;
	a->unit = m->unit;
	for (uint32_t i = 0; i < m->dimensions.n; i++)
		*LIST_ADD(c->arena, &a->dimensions) =
		        (struct cloudwatch_dimension){m->dimensions.v[i].name, m->dimensions.v[i].value};
}

static void want_alarm(struct call *c, const struct resource *of, struct application_autoscaling_scaling_policy *p, bool high,
                       struct str action)
{
	struct appscale s = appscale_of_call(c);
	struct alarm_wisher w = wisher(&s, of);
	const tracking *t = p->target_tracking_scaling_policy_configuration;
	struct cloudwatch_put_metric_alarm_input a = {0};
	metric_of(c, of, t, &a);
	alarm_track(c->arena, of->id, action, t->target_value.v, true, high, &a);
	alarm_want(&w, &a);
	*LIST_ADD(c->arena, &p->alarms) = (struct application_autoscaling_alarm){
	        .alarm_name = a.alarm_name, .alarm_arn = alarm_arn_of(c->arena, c->region, c->account, a.alarm_name)};
}

/* --- the operations */

static void fill_defaults(const struct resource *of, struct application_autoscaling_scaling_policy *p)
{
	tracking *t = p->target_tracking_scaling_policy_configuration;
	struct application_autoscaling_step_scaling_policy_configuration *steps = p->step_scaling_policy_configuration;
	if (t && !t->scale_out_cooldown.set)
		t->scale_out_cooldown = OPT_INT(of->kind->cooldown_s);
	if (t && !t->scale_in_cooldown.set)
		t->scale_in_cooldown = OPT_INT(of->kind->cooldown_s);
	if (t && !t->disable_scale_in.set)
		t->disable_scale_in = OPT_BOOL(false);
	if (steps && !steps->cooldown.set)
		steps->cooldown = OPT_INT(of->kind->cooldown_s);
	if (steps && !steps->metric_aggregation_type.n)
		steps->metric_aggregation_type = S("Average");
}

static struct str new_arn(struct call *c, const struct resource *of, struct str uuid, struct str name)
{
	return arena_printf(c->arena, "arn:aws:autoscaling:%.*s:%.*s:scalingPolicy:%.*s:resource/%.*s/%.*s:policyName/%.*s",
	                    STR_ARG(c->region), STR_ARG(c->account), STR_ARG(uuid), STR_ARG(of->namespace), STR_ARG(of->id),
	                    STR_ARG(name));
}

int application_autoscaling_put_scaling_policy(struct call *c, const struct application_autoscaling_put_scaling_policy_request *in,
                                               struct application_autoscaling_put_scaling_policy_response *out)
{
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct state_applicationautoscaling_target_record target;
	struct state_applicationautoscaling_policy_record old = {0};
	struct str type = in->policy_type.n ? in->policy_type : S("StepScaling");
	if (appscale_resource(c, in->service_namespace, in->resource_id, in->scalable_dimension, &of) != CALL_OK ||
	    target_get(c, &of, &target) != CALL_OK)
		return CALL_FAIL;
	bool steps = str_is(type, "StepScaling");
	if (str_is(type, "PredictiveScaling") || in->predictive_scaling_policy_configuration)
		return appscale_invalid(c, "The policy type PredictiveScaling is not supported.");
	if (steps ? in->target_tracking_scaling_policy_configuration != NULL : in->step_scaling_policy_configuration != NULL)
		return appscale_invalid(c, "The policy configuration does not belong to the policy type %.*s.", STR_ARG(type));
	if ((steps ? check_steps(c, in->step_scaling_policy_configuration)
	           : check_tracking(c, &of, in->target_tracking_scaling_policy_configuration)) != CALL_OK)
		return CALL_FAIL;
	struct str key = appscale_key(&s, "policy", &of, in->policy_name);
	bool there = record_get(s.txn, c->arena, key, &appscale_policy_row, &old);
	struct policies all = appscale_policies_of(&s, &of);
	if (there && !str_eq(old.policy->policy_type, type))
		return appscale_invalid(c, "The type of a scaling policy cannot be changed from %.*s to %.*s.",
		                        STR_ARG(old.policy->policy_type), STR_ARG(type));
	if (!there && all.n >= POLICIES_MAX)
		return appscale_full(c, "A scalable target can have at most %d scaling policies.", POLICIES_MAX);
	if (check_others(c, &all, in->policy_name, in->target_tracking_scaling_policy_configuration) != CALL_OK)
		return CALL_FAIL;
	struct str uuid = there ? uuid_of(old.policy->policy_arn) : id_uuid(c->arena);
	struct application_autoscaling_scaling_policy p = {
	        .policy_arn = there ? old.policy->policy_arn : new_arn(c, &of, uuid, in->policy_name),
	        .policy_name = in->policy_name,
	        .service_namespace = of.namespace,
	        .resource_id = of.id,
	        .scalable_dimension = of.dimension,
	        .policy_type = type,
	        .step_scaling_policy_configuration = in->step_scaling_policy_configuration,
	        .target_tracking_scaling_policy_configuration = in->target_tracking_scaling_policy_configuration,
	        .creation_time = there ? old.policy->creation_time : OPT_TIME(c->now_ms)};
	fill_defaults(&of, &p);
	p.alarms.set = true;
	if (there)
		drop_alarms(&s, &of, old.policy);
	if (!steps) {
		struct str action = ARENA_CAT(c->arena, p.policy_arn, S(":createdBy/"), id_uuid(c->arena));
		want_alarm(c, &of, &p, true, action);
		if (!p.target_tracking_scaling_policy_configuration->disable_scale_in.v)
			want_alarm(c, &of, &p, false, action);
	}
	struct state_applicationautoscaling_policy_record r = {.policy = &p};
	record_put(s.txn, c->arena, key, &appscale_policy_row, &r);
	store_put(s.txn, appscale_id_key(&s, "policy-id", uuid), key);
	out->policy_arn = p.policy_arn;
	out->alarms = p.alarms;
	return CALL_OK;
}

static void drop(const struct appscale *s, const struct resource *of, const struct application_autoscaling_scaling_policy *p)
{
	drop_alarms(s, of, p);
	store_delete(s->txn, appscale_id_key(s, "policy-id", uuid_of(p->policy_arn)));
	store_delete(s->txn, appscale_key(s, "policy", of, p->policy_name));
}

void appscale_policies_drop(const struct appscale *s, const struct resource *of)
{
	struct policies all = appscale_policies_of(s, of);
	for (uint32_t i = 0; i < all.n; i++)
		drop(s, of, all.v[i].policy);
}

int application_autoscaling_delete_scaling_policy(struct call *c,
                                                  const struct application_autoscaling_delete_scaling_policy_request *in,
                                                  struct application_autoscaling_delete_scaling_policy_response *out)
{
	(void)out;
	struct appscale s = appscale_of_call(c);
	struct resource of;
	struct state_applicationautoscaling_policy_record r = {0};
	if (appscale_resource(c, in->service_namespace, in->resource_id, in->scalable_dimension, &of) != CALL_OK)
		return CALL_FAIL;
	if (!record_get(s.txn, c->arena, appscale_key(&s, "policy", &of, in->policy_name), &appscale_policy_row, &r))
		return appscale_none(c, "No scaling policy found", &of, ARENA_CAT(c->arena, S("policy name: "), in->policy_name));
	drop(&s, &of, r.policy);
	return CALL_OK;
}

int application_autoscaling_describe_scaling_policies(struct call *c,
                                                      const struct application_autoscaling_describe_scaling_policies_request *in,
                                                      struct application_autoscaling_describe_scaling_policies_response *out)
{
	struct appscale s = appscale_of_call(c);
	struct page p;
	if (in->scalable_dimension.n && !in->resource_id.n)
		return appscale_invalid(c, "If you specify a scalable dimension, you must also specify a resource ID.");
	if (page_begin(c, &p, appscale_under(&s, "policy", in->service_namespace, in->resource_id, in->scalable_dimension),
	               in->max_results, in->next_token) != CALL_OK)
		return CALL_FAIL;
	out->scaling_policies.set = true;
	while (page_next(&p)) {
		struct state_applicationautoscaling_policy_record r = {0};
		if (!record_read(c->arena, p.value, &appscale_policy_row, &r) ||
		    !appscale_among(&in->policy_names, r.policy->policy_name))
			continue;
		if (!page_take(c, &p, &out->next_token))
			break;
		r.policy->alarms.set = true;
		*LIST_ADD(c->arena, &out->scaling_policies) = *r.policy;
	}
	return CALL_OK;
}
