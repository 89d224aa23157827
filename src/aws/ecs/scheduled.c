/* Services: CreateService, UpdateService, DeleteService, DescribeServices, ListServices. */
#include "scheduled.h"

#include "connect.h"
#include "deployment.h"
#include "service_instance.h"
#include "service_targets.h"

enum { DESCRIBED_MAX = 10, PERCENT_MAX = 20000 };

/* --- what services may be like */

static int unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedFeatureException", 400, "%s not supported by this cloud.", what);
}

#define REFUSE_COMMON(c, in) \
	(ecs_registries_check(c, &(in)->service_registries) != CALL_OK ? CALL_FAIL \
	 : (in)->volume_configurations.n                               ? unsupported(c, "Volumes configured at launch are") \
	 : (in)->vpc_lattice_configurations.n                          ? unsupported(c, "VPC Lattice is") \
	 : (in)->deployment_controller && !str_is((in)->deployment_controller->type, "ECS") \
	         ? unsupported(c, "Deployment controllers other than ECS are") \
	         : CALL_OK)

/* The percentages with AWS's defaults; what is given takes the place of what was. */
static int take_configuration(struct call *c, const struct ecs_deployment_configuration *in,
                              struct ecs_deployment_configuration *to)
{
	if (!in)
		return CALL_OK;
	if (in->alarms && in->alarms->enable.v && !in->alarms->alarm_names.n)
		return ecs_invalid(c, "alarmNames cannot be empty when deployment alarms are enabled.");
	if (str_set(in->strategy) && !str_is(in->strategy, "ROLLING"))
		return unsupported(c, "Deployment strategies other than ROLLING are");
	if (in->lifecycle_hooks.n || in->bake_time_in_minutes.v)
		return unsupported(c, "Lifecycle hooks and bake times are");
	const struct ecs_deployment_circuit_breaker *b = in->deployment_circuit_breaker;
	const struct ecs_threshold_configuration *t = b ? b->threshold_configuration : NULL;
	if (t && (!t->value.set || t->value.v < 1))
		return ecs_invalid(c, "The value of thresholdConfiguration must be at least 1.");
	if (t && str_is(t->type, "BOUNDED_PERCENT") && t->value.v > 100)
		return ecs_invalid(c, "The value of thresholdConfiguration must be at most 100 percent.");
	if (b)
		to->deployment_circuit_breaker = in->deployment_circuit_breaker;
	if (in->alarms)
		to->alarms = in->alarms;
	if (in->maximum_percent.set)
		to->maximum_percent = in->maximum_percent;
	if (in->minimum_healthy_percent.set)
		to->minimum_healthy_percent = in->minimum_healthy_percent;
	if (to->minimum_healthy_percent.v < 0 || to->maximum_percent.v < 0 || to->minimum_healthy_percent.v > 100 ||
	    to->maximum_percent.v > PERCENT_MAX)
		return ecs_invalid(c, "Deployment configuration values are out of range.");
	if (to->maximum_percent.v <= to->minimum_healthy_percent.v && to->minimum_healthy_percent.v != 100)
		return ecs_invalid(c, "maximumPercent must be greater than minimumHealthyPercent.");
	if (to->maximum_percent.v < 100)
		return ecs_invalid(c, "maximumPercent must be at least 100.");
	return CALL_OK;
}

static int take_definition(struct call *c, struct str text, const struct ecs_service *v, struct str *ret_arn)
{
	struct ecs_definition_name name;
	struct state_ecs_definition_record r;
	if (!ecs_definition_name(c, text, &name) || !ecs_definition_find(c, &name, &r))
		return ecs_client_error(c, "TaskDefinition not found.");
	if (!str_is(r.definition->status, "ACTIVE"))
		return ecs_client_error(c, "TaskDefinition is inactive");
	struct str why = service_refuses(c, v, r.definition);
	if (str_set(why))
		return ecs_invalid(c, "%.*s", STR_ARG(why));
	*ret_arn = r.definition->task_definition_arn;
	return CALL_OK;
}

static int check_network(struct call *c, const struct ecs_service *service, const struct ecs_network_configuration *n)
{
	const struct ecs_aws_vpc_configuration *v = n ? n->awsvpc_configuration : NULL;
	if (!service_has_interfaces(c, service))
		return n ? ecs_invalid(c, "Network Configuration is not valid for the given networkMode of this task definition.")
		         : CALL_OK;
	if (!v)
		return ecs_invalid(c, "Network Configuration must be provided when networkMode 'awsvpc' is specified.");
	if (!v->subnets.n)
		return ecs_invalid(c, "subnets can not be empty.");
	if (v->subnets.n > 16)
		return ecs_invalid(c, "subnets can have at most 16 items.");
	if (service_on_instances(service) && str_is(v->assign_public_ip, "ENABLED"))
		return ecs_invalid(c, "Assign public IP is not supported for this launch type.");
	return v->security_groups.n > 5 ? ecs_invalid(c, "securityGroups can have at most 5 items.") : CALL_OK;
}

static int take_platform(struct call *c, const struct ecs_service *v, struct str given, struct str *ret)
{
	if (service_on_instances(v))
		return given.n ? ecs_invalid(c, "The platform version must be null when specifying an EC2 launch type.") : CALL_OK;
	if (given.n && !str_is(given, "LATEST") && !str_is(given, "1.4.0"))
		return call_fail(c, "PlatformUnknownException", 400, "The specified platform version does not exist.");
	if (given.n || !str_set(*ret))
		*ret = S("1.4.0");
	return CALL_OK;
}

/* --- making one */

static struct ecs_service *show(struct call *c, const struct ecs_service *v, bool tags)
{
	struct ecs_service *shown = arena_new(c->arena, struct ecs_service);
	*shown = *v;
	shown->load_balancers.set = shown->service_registries.set = shown->events.set = shown->deployments.set = true;
	shown->placement_constraints.set = shown->placement_strategy.set = true;
	if (!tags)
		shown->tags = (struct ecs_tags){0};
	return shown;
}

static bool same(struct call *c, const struct ecs_create_service_request *in, const struct ecs_service *v, struct str definition)
{
	struct record_type row = {&ecs_api, "NetworkConfiguration"};
	return (service_is_daemon(v) || v->desired_count.v == in->desired_count.v) && str_eq(v->task_definition, definition) &&
	       str_eq(record_write(c->arena, &row, v->network_configuration),
	              record_write(c->arena, &row, in->network_configuration));
}

static int take_launch(struct call *c, const struct ecs_create_service_request *in, const struct ecs_cluster *cluster,
                       struct ecs_service *v)
{
	if (in->launch_type.n && in->capacity_provider_strategy.n)
		return ecs_invalid(
		        c,
		        "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.");
	if (ecs_strategy_check(c, &in->capacity_provider_strategy, &cluster->capacity_providers) != CALL_OK)
		return CALL_FAIL;
	v->capacity_provider_strategy = in->capacity_provider_strategy;
	if (!in->launch_type.n && !in->capacity_provider_strategy.n)
		v->capacity_provider_strategy = cluster->default_capacity_provider_strategy;
	if (v->capacity_provider_strategy.n)
		return CALL_OK;
	if (str_is(in->launch_type, "EXTERNAL"))
		return unsupported(c, "Services of the launch type EXTERNAL are");
	v->launch_type = in->launch_type.n ? in->launch_type : S("EC2");
	return CALL_OK;
}

/* One task more than desired is needed for it. */
static int take_rebalancing(struct call *c, struct str given, struct ecs_service *v)
{
	if (given.n)
		v->availability_zone_rebalancing = given;
	if (str_is(v->availability_zone_rebalancing, "ENABLED") && service_is_daemon(v))
		return ecs_invalid(c, "Availability Zone rebalancing does not support the daemon scheduling strategy.");
	if (str_is(v->availability_zone_rebalancing, "ENABLED") && !service_spreads_zones(v))
		return ecs_invalid(c, "Availability Zone rebalancing needs no placement strategy, or spread by "
		                      "attribute:ecs.availability-zone as the first one.");
	if (str_is(v->availability_zone_rebalancing, "ENABLED") && v->deployment_configuration->maximum_percent.v <= 100)
		return ecs_invalid(c, "Availability Zone rebalancing does not support maximumPercent values of 100 or less.");
	return CALL_OK;
}

static int fill(struct call *c, const struct ecs_create_service_request *in, const struct ecs_cluster *cluster,
                struct ecs_service *v)
{
	struct ecs_deployment_controller *controller = arena_new(c->arena, struct ecs_deployment_controller);
	struct ecs_deployment_configuration *conf = arena_new(c->arena, struct ecs_deployment_configuration);
	controller->type = S("ECS");
	*conf = (struct ecs_deployment_configuration){
	        .maximum_percent = OPT_INT(200), .minimum_healthy_percent = OPT_INT(100), .strategy = S("ROLLING")};
	conf->deployment_circuit_breaker = arena_new(c->arena, struct ecs_deployment_circuit_breaker);
	*conf->deployment_circuit_breaker = (struct ecs_deployment_circuit_breaker){OPT_BOOL(false), OPT_BOOL(false)};
	v->service_arn =
	        ecs_arn(c, arena_printf(c->arena, "service/%.*s/%.*s", STR_ARG(cluster->cluster_name), STR_ARG(in->service_name)));
	v->service_name = in->service_name;
	v->cluster_arn = cluster->cluster_arn;
	v->status = S("ACTIVE");
	v->desired_count = OPT_INT(in->desired_count.v);
	v->running_count = v->pending_count = OPT_INT(0);
	v->platform_family = service_on_instances(v) ? STR_NONE : S("Linux");
	v->deployment_configuration = conf;
	v->deployment_controller = controller;
	v->created_at = OPT_TIME(c->now_ms);
	v->created_by = c->caller->arn;
	v->network_configuration = in->network_configuration;
	v->scheduling_strategy = S("REPLICA");
	v->service_registries = in->service_registries;
	v->load_balancers = in->load_balancers;
	v->health_check_grace_period_seconds = in->health_check_grace_period_seconds;
	v->tags = in->tags;
	v->enable_ecs_managed_tags = OPT_BOOL(in->enable_ecs_managed_tags.v);
	v->propagate_tags = in->propagate_tags.n ? in->propagate_tags : S("NONE");
	v->enable_execute_command = OPT_BOOL(in->enable_execute_command.v);
	if (str_is(in->scheduling_strategy, "DAEMON") && service_take_daemon(c, in, v) != CALL_OK)
		return CALL_FAIL;
	if (service_take_placement(c, &in->placement_constraints, &in->placement_strategy, v) != CALL_OK ||
	    take_platform(c, v, in->platform_version, &v->platform_version) != CALL_OK ||
	    take_configuration(c, in->deployment_configuration, conf) != CALL_OK)
		return CALL_FAIL;
	v->availability_zone_rebalancing = conf->maximum_percent.v > 100 && service_spreads_zones(v) ? S("ENABLED") : S("DISABLED");
	return take_rebalancing(c, in->availability_zone_rebalancing, v);
}

/* Commands in containers need a task's role. */
static int check_execute(struct call *c, const struct ecs_service *v, const char *done)
{
	struct ecs_definition_name name;
	struct state_ecs_definition_record d;
	if (!v->enable_execute_command.v || !ecs_definition_name(c, v->task_definition, &name) ||
	    !ecs_definition_find(c, &name, &d) || d.definition->task_role_arn.n)
		return CALL_OK;
	return ecs_invalid(c,
	                   "The service couldn't be %s because a valid taskRoleArn is not being used. Specify a valid task role in "
	                   "your task definition and try again.",
	                   done);
}

int ecs_create_service(struct call *c, const struct ecs_create_service_request *in, struct ecs_create_service_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_service_record r = {0};
	struct ecs_service *v = arena_new(c->arena, struct ecs_service);
	if (!ecs_name_good(in->service_name))
		return ecs_invalid(c, "Service name contains invalid characters.");
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK || REFUSE_COMMON(c, in) != CALL_OK ||
	    ecs_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->scheduling_strategy, "DAEMON") && (!in->desired_count.set || in->desired_count.v < 0))
		return ecs_invalid(c, "desiredCount must be given and not be negative.");
	if (take_launch(c, in, &cluster, v) != CALL_OK ||
	    take_definition(c, in->task_definition, v, &v->task_definition) != CALL_OK ||
	    service_check_names(c, v, &in->service_registries, in->service_connect_configuration) != CALL_OK ||
	    check_network(c, v, in->network_configuration) != CALL_OK)
		return CALL_FAIL;
	bool there = ecs_service_find(&s, cluster.cluster_name, in->service_name, &r);
	if (there && str_is(r.service->status, "DRAINING"))
		return ecs_invalid(c, "Unable to Start a service that is still Draining.");
	if (there && str_is(r.service->status, "ACTIVE")) {
		if (!same(c, in, r.service, v->task_definition))
			return ecs_invalid(c, "Creation of service was not idempotent.");
		out->service = show(c, r.service, true);
		return CALL_OK;
	}
	if (fill(c, in, &cluster, v) != CALL_OK || service_targets_check(c, v) != CALL_OK ||
	    check_execute(c, v, "created") != CALL_OK)
		return CALL_FAIL;
	struct ecs_service_connect_configuration *connect = NULL;
	struct ecs_service_connect_service_resource_list resources = {0};
	if (connect_take(c, &cluster, in->service_name, v->task_definition, in->service_connect_configuration, &connect,
	                 &resources) != CALL_OK)
		return CALL_FAIL;
	r = (struct state_ecs_service_record){.name = in->service_name,
	                                      .cluster = cluster.cluster_name,
	                                      .service = v,
	                                      .connect = connect,
	                                      .connect_resources = resources};
	ecs_service_deploy(&s, &r, NULL, c->now_ms);
	ecs_deployment_begin(&s, &r, c->now_ms);
	ecs_service_put(&s, &r);
	out->service = show(c, v, true);
	return CALL_OK;
}

/* --- the others */

static int get(struct call *c, struct str cluster_text, struct str text, struct state_ecs_service_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	if (ecs_cluster_get(c, cluster_text, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct str name = ecs_service_name(c, cluster.cluster_name, text);
	if (!str_set(name) || !ecs_service_find(&s, cluster.cluster_name, name, ret))
		return call_fail(c, "ServiceNotFoundException", 400, "Service not found.");
	return CALL_OK;
}

static bool differs(struct call *c, const struct ecs_network_configuration *a, const struct ecs_network_configuration *b)
{
	struct record_type row = {&ecs_api, "NetworkConfiguration"};
	return !str_eq(record_write(c->arena, &row, a), record_write(c->arena, &row, b));
}

/* Where the tasks of the next deployment run. No strategy at all: by the launch type that comes nearest. */
static int take_strategy(struct call *c, const struct ecs_update_service_request *in, struct ecs_service *v)
{
	struct ecs_cluster cluster = {0};
	bool before = service_on_instances(v);
	struct str same_definition;
	if (!in->capacity_provider_strategy.set)
		return CALL_OK;
	if (!in->force_new_deployment.v)
		return ecs_invalid(
		        c, "When switching from launch type to capacity provider strategy on an existing service, or making a "
		           "change to a capacity provider strategy on a service that is already using one, you must force a "
		           "new deployment.");
	if (ecs_cluster_get(c, v->cluster_arn, &cluster) != CALL_OK ||
	    ecs_strategy_check(c, &in->capacity_provider_strategy, &cluster.capacity_providers) != CALL_OK)
		return CALL_FAIL;
	v->capacity_provider_strategy = in->capacity_provider_strategy;
	v->launch_type = in->capacity_provider_strategy.n ? STR_NONE : before ? S("EC2") : S("FARGATE");
	if (before == service_on_instances(v))
		return CALL_OK;
	if (before && service_is_daemon(v))
		return ecs_invalid(
		        c, "The daemon scheduling strategy is not supported for services that use the FARGATE launch type.");
	v->platform_family = before ? S("Linux") : STR_NONE;
	v->platform_version = STR_NONE;
	if (!in->task_definition.n && take_definition(c, v->task_definition, v, &same_definition) != CALL_OK)
		return CALL_FAIL;
	if (!in->network_configuration && check_network(c, v, v->network_configuration) != CALL_OK)
		return CALL_FAIL;
	return service_take_placement(c, in->placement_constraints.set ? &in->placement_constraints : &v->placement_constraints,
	                              in->placement_strategy.set ? &in->placement_strategy : &v->placement_strategy, v);
}

int ecs_update_service(struct call *c, const struct ecs_update_service_request *in, struct ecs_update_service_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_service_record r = {0};
	bool anew = in->force_new_deployment.v;
	if (get(c, in->cluster, in->service, &r) != CALL_OK || REFUSE_COMMON(c, in) != CALL_OK)
		return CALL_FAIL;
	struct ecs_service *v = r.service;
	if (!str_is(v->status, "ACTIVE"))
		return call_fail(c, "ServiceNotActiveException", 400, "Service was not ACTIVE.");
	if (take_strategy(c, in, v) != CALL_OK)
		return CALL_FAIL;
	if (in->desired_count.set && in->desired_count.v < 0)
		return ecs_invalid(c, "desiredCount must not be negative.");
	if (in->task_definition.n) {
		struct str before = v->task_definition;
		if (take_definition(c, in->task_definition, v, &v->task_definition) != CALL_OK)
			return CALL_FAIL;
		anew = anew || !str_eq(before, v->task_definition);
	}
	if (in->network_configuration) {
		if (check_network(c, v, in->network_configuration) != CALL_OK)
			return CALL_FAIL;
		anew = anew || differs(c, v->network_configuration, in->network_configuration);
		v->network_configuration = in->network_configuration;
	}
	if (in->load_balancers.set) {
		anew = true;
		v->load_balancers = in->load_balancers;
	}
	if (in->health_check_grace_period_seconds.set)
		v->health_check_grace_period_seconds = in->health_check_grace_period_seconds;
	if (service_targets_check(c, v) != CALL_OK)
		return CALL_FAIL;
	if (in->service_registries.set) {
		anew = true;
		v->service_registries = in->service_registries;
	}
	if (service_check_names(c, v, &in->service_registries, in->service_connect_configuration) != CALL_OK)
		return CALL_FAIL;
	if (service_is_daemon(v) && in->desired_count.set)
		return ecs_invalid(c, "The daemon scheduling strategy does not support a desired count for services. Remove the "
		                      "desired count value and try again.");
	if (service_take_placement(c, &in->placement_constraints, &in->placement_strategy, v) != CALL_OK ||
	    take_platform(c, v, in->platform_version, &v->platform_version) != CALL_OK ||
	    take_configuration(c, in->deployment_configuration, v->deployment_configuration) != CALL_OK ||
	    take_rebalancing(c, in->availability_zone_rebalancing, v) != CALL_OK)
		return CALL_FAIL;
	if (in->desired_count.set)
		v->desired_count = in->desired_count;
	if (in->enable_ecs_managed_tags.set)
		v->enable_ecs_managed_tags = in->enable_ecs_managed_tags;
	if (in->propagate_tags.n)
		v->propagate_tags = in->propagate_tags;
	anew = anew || in->service_connect_configuration;
	if (in->enable_execute_command.set) /* for tasks from now on: no reason for a deployment */
		v->enable_execute_command = in->enable_execute_command;
	if (check_execute(c, v, "updated") != CALL_OK)
		return CALL_FAIL;
	if (anew) {
		struct ecs_cluster cluster = {0};
		if (ecs_cluster_get(c, r.service->cluster_arn, &cluster) != CALL_OK ||
		    connect_take(c, &cluster, r.name, v->task_definition, in->service_connect_configuration, &r.connect,
		                 &r.connect_resources) != CALL_OK)
			return CALL_FAIL;
		ecs_service_deploy(&s, &r, NULL, c->now_ms);
		ecs_deployment_begin(&s, &r, c->now_ms);
	}
	ecs_service_put(&s, &r);
	out->service = show(c, v, true);
	return CALL_OK;
}

int ecs_delete_service(struct call *c, const struct ecs_delete_service_request *in, struct ecs_delete_service_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_service_record r = {0};
	if (get(c, in->cluster, in->service, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_is(r.service->status, "INACTIVE"))
		return call_fail(c, "ServiceNotFoundException", 400, "Service not found.");
	if (r.service->desired_count.v && !in->force.v && !service_is_daemon(r.service))
		return ecs_invalid(c, "The service cannot be stopped while it is scaled above 0.");
	r.service->desired_count = OPT_INT(0);
	r.service->status = S("DRAINING");
	ecs_service_put(&s, &r);
	out->service = show(c, r.service, true);
	return CALL_OK;
}

int ecs_describe_services(struct call *c, const struct ecs_describe_services_request *in,
                          struct ecs_describe_services_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	bool tags = false;
	out->services.set = out->failures.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->services.n)
		return ecs_invalid(c, "Services cannot be empty.");
	if (in->services.n > DESCRIBED_MAX)
		return ecs_invalid(c, "services can have at most %d items.", DESCRIBED_MAX);
	for (uint32_t i = 0; i < in->include.n; i++)
		tags = tags || str_is(in->include.v[i], "TAGS");
	for (uint32_t i = 0; i < in->services.n; i++) {
		struct state_ecs_service_record r = {0};
		struct str text = in->services.v[i], name = ecs_service_name(c, cluster.cluster_name, text);
		if (str_set(name) && ecs_service_find(&s, cluster.cluster_name, name, &r))
			*LIST_ADD(c->arena, &out->services) = *show(c, r.service, tags);
		else
			ecs_failure(c, &out->failures,
			            str_starts(text, S("arn:"))
			                    ? text
			                    : ecs_arn(c, arena_printf(c->arena, "service/%.*s/%.*s", STR_ARG(cluster.cluster_name),
			                                              STR_ARG(text))),
			            "MISSING");
	}
	return CALL_OK;
}

static bool is_listed(const struct state_ecs_service_record *r, const void *ctx)
{
	const struct ecs_list_services_request *in = ctx;
	return !str_is(r->service->status, "INACTIVE") &&
	       (!in->launch_type.n || str_eq(in->launch_type, r->service->launch_type)) &&
	       (!in->scheduling_strategy.n || str_eq(in->scheduling_strategy, r->service->scheduling_strategy));
}

int ecs_list_services(struct call *c, const struct ecs_list_services_request *in, struct ecs_list_services_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	return ecs_services_page(c, ecs_services_under(&s, cluster.cluster_name), in->max_results, in->next_token, is_listed, in,
	                         &out->service_arns, &out->next_token);
}
