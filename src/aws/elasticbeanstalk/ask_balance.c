/* Questions about what an environment with a load balancer has besides: the balancer, its targets, and what scales the group. */
#include "extra.h"

#include "core/cloud.h"
#include "gen/autoscaling.h"
#include "gen/cloudwatch.h"
#include "gen/ec2.h"
#include "gen/elbv2.h"

#include <stdlib.h>

#define PROCESS "aws:elasticbeanstalk:environment:process:default"
#define TRIGGER "aws:autoscaling:trigger"
#define VPC "aws:ec2:vpc"
#define BALANCER "aws:elbv2:loadbalancer"

static void ask_of(const struct question *q, const struct api *api, const char *operation, const void *in)
{
	call_op(q->cloud, q->owner, q->region, api, operation, in, q->done, q->ctx);
}

static struct elbv2_tag_list tags_of(struct arena *a, const struct environment_record *r)
{
	struct elbv2_tag_list l = {.set = true};
	uint32_t n;
	const struct environment_tag *tags = environment_tags(a, r, &n);
	for (uint32_t i = 0; i < n; i++)
		*LIST_ADD(a, &l) = (struct elbv2_tag){tags[i].key, tags[i].value};
	return l;
}

static struct str_list one(struct arena *a, struct str text)
{
	struct str_list l = {.set = true};
	*LIST_ADD(a, &l) = text;
	return l;
}

static void make_group(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct ec2_create_security_group_request in = {
	        .description =
	                S("Elastic Beanstalk created security group used when no ELB security groups are specified during ELB "
	                  "creation"),
	        .group_name = environment_part_name(a, r, "AWSEBLoadBalancerSecurityGroup"),
	        .vpc_id = r->vpc,
	        .tag_specifications.set = true};
	struct ec2_tag_specification *t = LIST_ADD(a, &in.tag_specifications);
	uint32_t n;
	const struct environment_tag *tags = environment_tags(a, r, &n);
	*t = (struct ec2_tag_specification){.resource_type = S("security-group"), .tags.set = true};
	for (uint32_t i = 0; i < n; i++)
		*LIST_ADD(a, &t->tags) = (struct ec2_tag){tags[i].key, tags[i].value};
	ask_of(q, &ec2_api, "CreateSecurityGroup", &in);
}

static void find_group(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct ec2_describe_security_groups_request in = {.filters.set = true};
	struct ec2_filter *f = LIST_ADD(a, &in.filters);
	f->name = S("group-name");
	f->values = one(a, environment_part_name(a, r, "AWSEBLoadBalancerSecurityGroup"));
	ask_of(q, &ec2_api, "DescribeSecurityGroups", &in);
}

/* To everybody, for the next listener that is to be made. */
static void open_port(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct ec2_authorize_security_group_ingress_request in = {.group_id = r->balancer_group, .ip_permissions.set = true};
	struct ec2_ip_permission *p = LIST_ADD(a, &in.ip_permissions);
	int64_t port = listener_next(a, r).port;
	*p = (struct ec2_ip_permission){
	        .ip_protocol = S("tcp"), .from_port = OPT_INT(port), .to_port = OPT_INT(port), .ip_ranges.set = true};
	LIST_ADD(a, &p->ip_ranges)->cidr_ip = S("0.0.0.0/0");
	ask_of(q, &ec2_api, "AuthorizeSecurityGroupIngress", &in);
}

/* Said of the process, or of the application as a whole. */
static struct str check_path(const struct environment_record *r, const char *process)
{
	struct str path = option_value(r, process, "HealthCheckPath"),
	           url = option_value(r, "aws:elasticbeanstalk:application", "Application Healthcheck URL");
	return str_is(path, "/") && url.n ? url : path;
}

void balance_make_targets(const struct question *q, struct arena *a, const struct environment_record *r, const char *process,
                          struct str name)
{
	struct elbv2_matcher matcher = {.http_code = option_value(r, process, "MatcherHTTPCode")};
	ask_of(q, &elbv2_api, "CreateTargetGroup",
	       &(struct elbv2_create_target_group_input){
	               .name = name,
	               .protocol = S("HTTP"),
	               .port = OPT_INT(option_number(r, process, "Port")),
	               .vpc_id = r->vpc,
	               .health_check_path = check_path(r, process),
	               .health_check_interval_seconds = OPT_INT(option_number(r, process, "HealthCheckInterval")),
	               .health_check_timeout_seconds = OPT_INT(option_number(r, process, "HealthCheckTimeout")),
	               .healthy_threshold_count = OPT_INT(option_number(r, process, "HealthyThresholdCount")),
	               .unhealthy_threshold_count = OPT_INT(option_number(r, process, "UnhealthyThresholdCount")),
	               .matcher = &matcher,
	               .target_type = S("instance"),
	               .tags = tags_of(a, r)});
}

void balance_set_checks(const struct question *q, const struct environment_record *r, const char *process, struct str targets)
{
	struct elbv2_matcher matcher = {.http_code = option_value(r, process, "MatcherHTTPCode")};
	ask_of(q, &elbv2_api, "ModifyTargetGroup",
	       &(struct elbv2_modify_target_group_input){
	               .target_group_arn = targets,
	               .health_check_path = check_path(r, process),
	               .health_check_interval_seconds = OPT_INT(option_number(r, process, "HealthCheckInterval")),
	               .health_check_timeout_seconds = OPT_INT(option_number(r, process, "HealthCheckTimeout")),
	               .healthy_threshold_count = OPT_INT(option_number(r, process, "HealthyThresholdCount")),
	               .unhealthy_threshold_count = OPT_INT(option_number(r, process, "UnhealthyThresholdCount")),
	               .matcher = &matcher});
}

void balance_set_attributes(const struct question *q, struct arena *a, const struct environment_record *r, const char *process,
                            struct str targets)
{
	struct elbv2_modify_target_group_attributes_input in = {.target_group_arn = targets, .attributes.set = true};
	*LIST_ADD(a, &in.attributes) = (struct elbv2_target_group_attribute){S("deregistration_delay.timeout_seconds"),
	                                                                     option_value(r, process, "DeregistrationDelay")};
	*LIST_ADD(a, &in.attributes) =
	        (struct elbv2_target_group_attribute){S("stickiness.enabled"), option_value(r, process, "StickinessEnabled")};
	*LIST_ADD(a, &in.attributes) = (struct elbv2_target_group_attribute){
	        S("stickiness.lb_cookie.duration_seconds"), option_value(r, process, "StickinessLBCookieDuration")};
	ask_of(q, &elbv2_api, "ModifyTargetGroupAttributes", &in);
}

/* What differs from the options first: one is missing, is otherwise, or is too many. */
static void set_listener(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct listener_wish w = listener_next(a, r);
	struct elbv2_certificate_list certificates = {0};
	struct elbv2_actions actions = {.set = true};
	*LIST_ADD(a, &actions) = (struct elbv2_action){.type = S("forward"), .target_group_arn = r->targets};
	if (w.certificate.n)
		LIST_ADD(a, &certificates)->certificate_arn = w.certificate;
	certificates.set = w.certificate.n > 0;
	if (!w.wanted)
		ask_of(q, &elbv2_api, "DeleteListener", &(struct elbv2_delete_listener_input){.listener_arn = w.arn});
	else if (str_set(w.arn))
		ask_of(q, &elbv2_api, "ModifyListener",
		       &(struct elbv2_modify_listener_input){.listener_arn = w.arn,
		                                             .port = OPT_INT(w.port),
		                                             .protocol = w.protocol,
		                                             .ssl_policy = w.policy,
		                                             .certificates = certificates});
	else
		ask_of(q, &elbv2_api, "CreateListener",
		       &(struct elbv2_create_listener_input){.load_balancer_arn = r->balancer,
		                                             .protocol = w.protocol,
		                                             .port = OPT_INT(w.port),
		                                             .ssl_policy = w.policy,
		                                             .certificates = certificates,
		                                             .default_actions = actions,
		                                             .tags = tags_of(a, r)});
}

static void put_policy(const struct question *q, struct arena *a, const struct environment_record *r, bool up)
{
	ask_of(q, &autoscaling_api, "PutScalingPolicy",
	       &(struct autoscaling_put_scaling_policy_type){
	               .auto_scaling_group_name = environment_scaling_name(a, r),
	               .policy_name = environment_part_name(
	                       a, r, up ? "AWSEBAutoScalingScaleUpPolicy" : "AWSEBAutoScalingScaleDownPolicy"),
	               .policy_type = S("SimpleScaling"),
	               .adjustment_type = S("ChangeInCapacity"),
	               .scaling_adjustment =
	                       OPT_INT(option_number(r, TRIGGER, up ? "UpperBreachScaleIncrement" : "LowerBreachScaleIncrement"))});
}

static void put_alarm(const struct question *q, struct arena *a, const struct environment_record *r, bool high)
{
	struct str measure = option_value(r, TRIGGER, "MeasureName");
	bool of_balancer = str_is(measure, "Latency") || str_is(measure, "RequestCount") || str_is(measure, "HealthyHostCount") ||
	                   str_is(measure, "UnhealthyHostCount");
	double threshold = strtod(arena_dupz(a, option_value(r, TRIGGER, high ? "UpperThreshold" : "LowerThreshold")), NULL);
	int64_t period = option_number(r, TRIGGER, "Period"), breach = option_number(r, TRIGGER, "BreachDuration") / period,
	        periods = option_number(r, TRIGGER, "EvaluationPeriods");
	struct cloudwatch_put_metric_alarm_input in = {
	        .alarm_name = environment_part_name(a, r, high ? "AWSEBCloudwatchAlarmHigh" : "AWSEBCloudwatchAlarmLow"),
	        .alarm_description = arena_printf(a, "ElasticBeanstalk Default Scale %s alarm", high ? "Up" : "Down"),
	        .metric_name = str_is(measure, "Latency")              ? S("TargetResponseTime")
	                       : str_is(measure, "UnhealthyHostCount") ? S("UnHealthyHostCount")
	                                                               : measure,
	        .namespace = of_balancer ? S("AWS/ApplicationELB") : S("AWS/EC2"),
	        .statistic = option_value(r, TRIGGER, "Statistic"),
	        .period = OPT_INT(period * 60),
	        .unit = option_value(r, TRIGGER, "Unit"),
	        .evaluation_periods = OPT_INT(breach > periods ? breach : periods),
	        .threshold = OPT_DOUBLE(threshold),
	        .comparison_operator = high ? S("GreaterThanThreshold") : S("LessThanThreshold"),
	        .alarm_actions = one(a, high ? r->policy_up : r->policy_down),
	        .dimensions.set = true};
	if (of_balancer) {
		ptrdiff_t at = str_find(r->balancer, S(":loadbalancer/"));
		*LIST_ADD(a, &in.dimensions) = (struct cloudwatch_dimension){
		        S("LoadBalancer"), at < 0 ? S("") : str_from_at(r->balancer, (size_t)at + strlen(":loadbalancer/"))};
		if (str_is(measure, "HealthyHostCount") || str_is(measure, "UnhealthyHostCount")) {
			at = str_find(r->targets, S(":targetgroup/"));
			*LIST_ADD(a, &in.dimensions) = (struct cloudwatch_dimension){
			        S("TargetGroup"), at < 0 ? S("") : str_from_at(r->targets, (size_t)at + 1)};
		}
	} else {
		*LIST_ADD(a, &in.dimensions) =
		        (struct cloudwatch_dimension){S("AutoScalingGroupName"), environment_scaling_name(a, r)};
	}
	ask_of(q, &cloudwatch_api, "PutMetricAlarm", &in);
}

static void register_targets(const struct question *q, struct arena *a, const struct environment_record *r, bool in)
{
	struct elbv2_register_targets_input l = {.target_group_arn = r->targets, .targets.set = true};
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].phase.v == (in ? PHASE_JOIN : PHASE_OUT))
			LIST_ADD(a, &l.targets)->id = r->members.v[i].instance;
	if (in)
		ask_of(q, &elbv2_api, "RegisterTargets", &l);
	else
		ask_of(q, &elbv2_api, "DeregisterTargets",
		       &(struct elbv2_deregister_targets_input){.target_group_arn = r->targets, .targets = l.targets});
}

static struct str_list split(struct arena *a, struct str texts)
{
	struct str_list l = {.set = true};
	while (texts.n && str_set(texts)) {
		struct str one_of = str_trim(str_cut(&texts, ','));
		if (one_of.n)
			*LIST_ADD(a, &l) = one_of;
	}
	return l;
}

/* Its own and those that are said besides. */
static struct str_list balancer_groups(struct arena *a, const struct environment_record *r)
{
	struct str_list groups = split(a, option_value(r, BALANCER, "SecurityGroups"));
	*LIST_ADD(a, &groups) = r->balancer_group;
	return groups;
}

static void make_balancer(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct str subnets = option_value(r, VPC, "ELBSubnets");
	if (!subnets.n)
		subnets = option_value(r, VPC, "Subnets");
	ask_of(q, &elbv2_api, "CreateLoadBalancer",
	       &(struct elbv2_create_load_balancer_input){
	               .name = environment_balancer_name(a, r),
	               .subnets = subnets.n ? split(a, subnets) : r->subnets,
	               .security_groups = balancer_groups(a, r),
	               .scheme = str_is(option_value(r, VPC, "ELBScheme"), "internal") ? S("internal") : S("internet-facing"),
	               .type = S("application"),
	               .tags = tags_of(a, r)});
}

static void set_attribute(struct arena *a, struct elbv2_modify_load_balancer_attributes_input *in, const char *name,
                          struct str value)
{
	*LIST_ADD(a, &in->attributes) = (struct elbv2_load_balancer_attribute){str_from(name), value};
}

/* How long it waits, and where it logs. */
static void set_balancer(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct elbv2_modify_load_balancer_attributes_input in = {.load_balancer_arn = r->balancer, .attributes.set = true};
	struct str bucket = option_value(r, BALANCER, "AccessLogsS3Bucket"),
	           prefix = option_value(r, BALANCER, "AccessLogsS3Prefix");
	bool logs = str_is(option_value(r, BALANCER, "AccessLogsS3Enabled"), "true");
	set_attribute(a, &in, "idle_timeout.timeout_seconds", option_value(r, BALANCER, "IdleTimeout"));
	set_attribute(a, &in, "access_logs.s3.enabled", logs ? S("true") : S("false"));
	if (logs) {
		set_attribute(a, &in, "access_logs.s3.bucket", bucket);
		set_attribute(a, &in, "access_logs.s3.prefix", str_set(prefix) ? prefix : S(""));
	}
	ask_of(q, &elbv2_api, "ModifyLoadBalancerAttributes", &in);
}

static void hold(const struct question *q, struct arena *a, const struct environment_record *r, bool holds)
{
	struct autoscaling_scaling_process_query in = {.auto_scaling_group_name = environment_scaling_name(a, r),
	                                               .scaling_processes.set = true};
	*LIST_ADD(a, &in.scaling_processes) = S("AZRebalance");
	*LIST_ADD(a, &in.scaling_processes) = S("AlarmNotification");
	*LIST_ADD(a, &in.scaling_processes) = S("ScheduledActions");
	ask_of(q, &autoscaling_api, holds ? "SuspendProcesses" : "ResumeProcesses", &in);
}

static void scaling_process(const struct question *q, struct arena *a, const struct environment_record *r)
{
	ask_of(q, &autoscaling_api, "SuspendProcesses",
	       &(struct autoscaling_scaling_process_query){.auto_scaling_group_name = environment_scaling_name(a, r),
	                                                   .scaling_processes = one(a, S("AddToLoadBalancer"))});
}

static void drop_alarms(const struct question *q, struct arena *a, const struct environment_record *r)
{
	struct cloudwatch_delete_alarms_input in = {.alarm_names.set = true};
	*LIST_ADD(a, &in.alarm_names) = environment_part_name(a, r, "AWSEBCloudwatchAlarmHigh");
	*LIST_ADD(a, &in.alarm_names) = environment_part_name(a, r, "AWSEBCloudwatchAlarmLow");
	ask_of(q, &cloudwatch_api, "DeleteAlarms", &in);
}

void environment_ask_balance(const struct question *q, struct arena *a, const struct environment_record *r, enum ask_kind kind)
{
	switch (kind) {
	case ASK_BALANCER_GROUP:
		make_group(q, a, r);
		break;
	case ASK_BALANCER_GROUP_THERE:
		find_group(q, a, r);
		break;
	case ASK_BALANCER_OPEN:
		open_port(q, a, r);
		break;
	case ASK_TARGETS:
		balance_make_targets(q, a, r, PROCESS, environment_targets_name(a, r));
		break;
	case ASK_OTHER_TARGETS:
		balance_make_targets(q, a, r, PROCESS, ARENA_CAT(a, S("awseb-AWSEBT-"), r->suffix));
		break;
	case ASK_TARGETS_THERE:
		ask_of(q, &elbv2_api, "DescribeTargetGroups",
		       &(struct elbv2_describe_target_groups_input){.names = one(a, environment_targets_name(a, r))});
		break;
	case ASK_CHECKS:
		balance_set_checks(q, r, PROCESS, r->targets);
		break;
	case ASK_DELAY:
		balance_set_attributes(q, a, r, PROCESS, r->targets);
		break;
	case ASK_BALANCER:
		make_balancer(q, a, r);
		break;
	case ASK_BALANCER_THERE:
		ask_of(q, &elbv2_api, "DescribeLoadBalancers",
		       &(struct elbv2_describe_load_balancers_input){.names = one(a, environment_balancer_name(a, r))});
		break;
	case ASK_LISTENER:
		set_listener(q, a, r);
		break;
	case ASK_BALANCER_SET:
		set_balancer(q, a, r);
		break;
	case ASK_BALANCER_GROUPS:
		ask_of(q, &elbv2_api, "SetSecurityGroups",
		       &(struct elbv2_set_security_groups_input){.load_balancer_arn = r->balancer,
		                                                 .security_groups = balancer_groups(a, r)});
		break;
	case ASK_SUSPEND:
		scaling_process(q, a, r);
		break;
	case ASK_ATTACH:
		ask_of(q, &autoscaling_api, "AttachLoadBalancerTargetGroups",
		       &(struct autoscaling_attach_load_balancer_target_groups_type){
		               .auto_scaling_group_name = environment_scaling_name(a, r), .target_group_arns = one(a, r->targets)});
		break;
	case ASK_POLICY_UP:
	case ASK_POLICY_DOWN:
		put_policy(q, a, r, kind == ASK_POLICY_UP);
		break;
	case ASK_ALARM_HIGH:
	case ASK_ALARM_LOW:
		put_alarm(q, a, r, kind == ASK_ALARM_HIGH);
		break;
	case ASK_REGISTER:
	case ASK_DEREGISTER:
		register_targets(q, a, r, kind == ASK_REGISTER);
		break;
	case ASK_HEALTH:
		ask_of(q, &elbv2_api, "DescribeTargetHealth",
		       &(struct elbv2_describe_target_health_input){.target_group_arn = r->targets});
		break;
	case ASK_HOLD:
	case ASK_RELEASE:
		hold(q, a, r, kind == ASK_HOLD);
		break;
	case ASK_TERMINATE: {
		const struct state_elasticbeanstalk_member *m = member_unborn(r);
		ask_of(q, &autoscaling_api, "TerminateInstanceInAutoScalingGroup",
		       &(struct autoscaling_terminate_instance_in_auto_scaling_group_type){
		               .instance_id = m ? m->instance : S("i-0"), .should_decrement_desired_capacity = OPT_BOOL(true)});
		break;
	}
	case ASK_DROP_ALARMS:
		drop_alarms(q, a, r);
		break;
	case ASK_DROP_BALANCER:
		ask_of(q, &elbv2_api, "DeleteLoadBalancer",
		       &(struct elbv2_delete_load_balancer_input){.load_balancer_arn = r->balancer});
		break;
	case ASK_DROP_TARGETS:
		ask_of(q, &elbv2_api, "DeleteTargetGroup",
		       &(struct elbv2_delete_target_group_input){.target_group_arn = r->targets});
		break;
	case ASK_DROP_BALANCER_GROUP:
		ask_of(q, &ec2_api, "DeleteSecurityGroup",
		       &(struct ec2_delete_security_group_request){
		               .group_name = environment_part_name(a, r, "AWSEBLoadBalancerSecurityGroup")});
		break;
	default:
		environment_ask_immutable(q, a, r, kind);
		break;
	}
}

/* --- answers */

static void take_balancer(struct arena *a, struct answer *to, const struct elbv2_load_balancers *l)
{
	if (!l->n)
		return;
	to->first = arena_dup(a, l->v[0].load_balancer_arn);
	to->second = arena_dup(a, l->v[0].dns_name);
}

static void take_targets(struct arena *a, struct answer *to, const struct elbv2_target_groups *l)
{
	if (l->n)
		to->first = arena_dup(a, l->v[0].target_group_arn);
}

void environment_take_balance(struct arena *a, struct answer *to, const struct call *sub)
{
	switch (to->kind) {
	case ASK_BALANCER_GROUP:
		to->first = arena_dup(a, ((const struct ec2_create_security_group_result *)sub->out)->group_id);
		break;
	case ASK_BALANCER_GROUP_THERE: {
		const struct ec2_describe_security_groups_result *out = sub->out;
		to->first = out->security_groups.n ? arena_dup(a, out->security_groups.v[0].group_id) : STR_NONE;
		break;
	}
	case ASK_TARGETS:
	case ASK_OTHER_TARGETS:
		take_targets(a, to, &((const struct elbv2_create_target_group_output *)sub->out)->target_groups);
		break;
	case ASK_TARGETS_THERE:
		take_targets(a, to, &((const struct elbv2_describe_target_groups_output *)sub->out)->target_groups);
		break;
	case ASK_BALANCER:
		take_balancer(a, to, &((const struct elbv2_create_load_balancer_output *)sub->out)->load_balancers);
		break;
	case ASK_BALANCER_THERE:
		take_balancer(a, to, &((const struct elbv2_describe_load_balancers_output *)sub->out)->load_balancers);
		break;
	case ASK_LISTENER: {
		const struct elbv2_create_listener_output *out = sub->out;
		if (strcmp(sub->row->name, "CreateListener") != 0)
			break;
		to->first = out->listeners.n ? arena_dup(a, out->listeners.v[0].listener_arn) : STR_NONE;
		break;
	}
	case ASK_POLICY_UP:
	case ASK_POLICY_DOWN:
		to->first = arena_dup(a, ((const struct autoscaling_policy_arn_type *)sub->out)->policy_arn);
		break;
	case ASK_HEALTH:
	case ASK_OTHER_HEALTH: {
		const struct elbv2_describe_target_health_output *out = sub->out;
		for (uint32_t i = 0; i < out->target_health_descriptions.n; i++) {
			const struct elbv2_target_health_description *d = &out->target_health_descriptions.v[i];
			*LIST_ADD(a, &to->all) = arena_dup(a, d->target->id);
			*LIST_ADD(a, &to->states) = arena_dup(a, d->target_health->state);
		}
		break;
	}
	default:
		break;
	}
}
