#include "connect.h"
#include "container_instance.h"
#include "crew.h"
#include "deployment.h"
#include "provider.h"
#include "scheduled.h"

/* --- what permissions are about */

static int about_cluster(struct call *c, struct authz *az, struct str text)
{
	struct ecs_cluster cluster = {0};
	struct str name = ecs_cluster_name(c, text);
	az->resource = str_set(name) ? ecs_cluster_arn(c, name) : text;
	if (str_set(name) && ecs_cluster_find(c, name, &cluster))
		ecs_authz_tags(c, az, &cluster.tags);
	return CALL_OK;
}

static int about_definition(struct call *c, struct authz *az, struct str text)
{
	struct ecs_definition_name name;
	struct state_ecs_definition_record r;
	az->resource = S("*");
	if (!ecs_definition_name(c, text, &name))
		return CALL_OK;
	if (ecs_definition_find(c, &name, &r)) {
		az->resource = r.definition->task_definition_arn;
		ecs_authz_tags(c, az, &r.tags);
		return CALL_OK;
	}
	az->resource =
	        ecs_arn(c, arena_printf(c->arena, "task-definition/%.*s:%lld", STR_ARG(name.family), (long long)name.revision));
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct ecs_##type##_request *in = input; \
		return answer; \
	}
ABOUT(update_cluster, about_cluster(c, az, in->cluster))
ABOUT(update_cluster_settings, about_cluster(c, az, in->cluster))
ABOUT(delete_cluster, about_cluster(c, az, in->cluster))
ABOUT(put_cluster_capacity_providers, about_cluster(c, az, in->cluster))

/* A task is below its cluster; what it is called may be an ARN. */
static int about_task(struct call *c, struct authz *az, struct str cluster_text, struct str text)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_task_record r = {0};
	struct str cluster = ecs_cluster_name(c, cluster_text), id = str_set(cluster) ? ecs_task_id(c, cluster, text) : STR_NONE;
	az->resource = str_set(id) ? ecs_task_arn(c->arena, &s, cluster, id) : text;
	if (str_set(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	if (str_set(id) && ecs_name_good(cluster) && ecs_task_find(&s, cluster, id, &r))
		ecs_authz_tags(c, az, &r.task->tags);
	return CALL_OK;
}

static int about_tasks(struct call *c, struct authz *az, struct str cluster, const struct str_list *texts)
{
	az->resource = S("*");
	for (uint32_t i = 0; i < texts->n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		az->keys = NULL;
		az->key_count = 0;
		about_task(c, az, cluster, texts->v[i]);
	}
	return CALL_OK;
}
ABOUT(stop_task, about_task(c, az, in->cluster, in->task))
ABOUT(describe_tasks, about_tasks(c, az, in->cluster, &in->tasks))
ABOUT(get_task_protection, about_tasks(c, az, in->cluster, &in->tasks))
ABOUT(update_task_protection, about_tasks(c, az, in->cluster, &in->tasks))

/* Permission is wanted for the cluster and for the task in it. */
static int about_execute_command(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_execute_command_request *in = input;
	struct authz of_cluster = *az;
	about_cluster(c, &of_cluster, in->cluster);
	if (in->container.n)
		authz_add(c, &of_cluster, "ecs:container-name", in->container);
	if (!call_authorize(c, &of_cluster))
		return CALL_FAIL;
	about_task(c, az, in->cluster, in->task);
	if (in->container.n)
		authz_add(c, az, "ecs:container-name", in->container);
	return CALL_OK;
}

static int about_list_tasks(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_list_tasks_request *in = input;
	struct str cluster = ecs_cluster_name(c, in->cluster);
	if (str_set(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	return CALL_OK;
}

static int about_instance(struct call *c, struct authz *az, struct str cluster_text, struct str text)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_instance_record r = {0};
	struct str cluster = ecs_cluster_name(c, cluster_text),
	           id = str_set(cluster) ? ecs_instance_id(c, cluster, text) : STR_NONE;
	az->resource = str_set(id) ? ecs_instance_arn(c->arena, &s, cluster, id) : text;
	if (str_set(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	if (str_set(id) && ecs_name_good(cluster) && ecs_instance_find(&s, cluster, id, &r))
		ecs_authz_tags(c, az, &r.instance->tags);
	return CALL_OK;
}
ABOUT(deregister_container_instance, about_cluster(c, az, in->cluster))
ABOUT(list_container_instances, about_cluster(c, az, in->cluster))
ABOUT(list_attributes, about_cluster(c, az, in->cluster))
ABOUT(submit_attachment_state_changes, about_cluster(c, az, in->cluster))
ABOUT(submit_task_state_change, about_cluster(c, az, in->cluster))
ABOUT(submit_container_state_change, about_cluster(c, az, in->cluster))

static int about_agent(struct call *c, struct authz *az, const struct ecs_update_container_agent_request *in)
{
	about_instance(c, az, in->cluster, in->container_instance);
	return CALL_OK;
}
ABOUT(update_container_agent, about_agent(c, az, in))

static int about_instances(struct call *c, struct authz *az, struct str cluster, const struct str_list *texts)
{
	az->resource = S("*");
	for (uint32_t i = 0; i < texts->n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		az->keys = NULL;
		az->key_count = 0;
		about_instance(c, az, cluster, texts->v[i]);
	}
	return CALL_OK;
}
ABOUT(describe_container_instances, about_instances(c, az, in->cluster, &in->container_instances))
ABOUT(update_container_instances_state, about_instances(c, az, in->cluster, &in->container_instances))

static int about_attributes(struct call *c, struct authz *az, struct str cluster, const struct ecs_attributes *l)
{
	struct str_list targets = {0};
	for (uint32_t i = 0; i < l->n; i++)
		*LIST_ADD(c->arena, &targets) = l->v[i].target_id.n ? l->v[i].target_id : S("*");
	return about_instances(c, az, cluster, &targets);
}
ABOUT(put_attributes, about_attributes(c, az, in->cluster, &in->attributes))
ABOUT(delete_attributes, about_attributes(c, az, in->cluster, &in->attributes))

static int about_service(struct call *c, struct authz *az, struct str cluster_text, struct str text)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_service_record r = {0};
	struct str cluster = ecs_cluster_name(c, cluster_text),
	           name = str_set(cluster) ? ecs_service_name(c, cluster, text) : STR_NONE;
	az->resource =
	        str_set(name) ? ecs_arn(c, arena_printf(c->arena, "service/%.*s/%.*s", STR_ARG(cluster), STR_ARG(name))) : text;
	if (str_set(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	if (str_set(name) && ecs_name_good(cluster) && ecs_service_find(&s, cluster, name, &r))
		ecs_authz_tags(c, az, &r.service->tags);
	return CALL_OK;
}

static void add_execute(struct call *c, struct authz *az, struct opt_bool enabled)
{
	if (enabled.set)
		authz_add(c, az, "ecs:enable-execute-command", enabled.v ? S("true") : S("false"));
}

static int about_update_service(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_update_service_request *in = input;
	add_execute(c, az, in->enable_execute_command);
	return about_service(c, az, in->cluster, in->service);
}
ABOUT(create_task_set, about_service(c, az, in->cluster, in->service))
ABOUT(update_task_set, about_service(c, az, in->cluster, in->service))
ABOUT(delete_task_set, about_service(c, az, in->cluster, in->service))
ABOUT(describe_task_sets, about_service(c, az, in->cluster, in->service))
ABOUT(update_service_primary_task_set, about_service(c, az, in->cluster, in->service))
ABOUT(delete_service, about_service(c, az, in->cluster, in->service))

/* Deployments and revisions have ARNs of their own, and the tags of nobody. */
static int about_history(struct call *c, struct authz *az, const char *type, struct str arn)
{
	struct str rest = ecs_of_arn(c, type, arn), cluster = str_set(rest) ? str_cut(&rest, '/') : STR_NONE;
	az->resource = arn;
	if (ecs_name_good(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	return CALL_OK;
}

static int about_histories(struct call *c, struct authz *az, const char *type, const struct str_list *arns)
{
	az->resource = S("*");
	for (uint32_t i = 0; i < arns->n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		az->keys = NULL;
		az->key_count = 0;
		about_history(c, az, type, arns->v[i]);
	}
	return CALL_OK;
}
ABOUT(list_service_deployments, about_service(c, az, in->cluster, in->service))
ABOUT(describe_service_deployments, about_histories(c, az, "service-deployment", &in->service_deployment_arns))
ABOUT(describe_service_revisions, about_histories(c, az, "service-revision", &in->service_revision_arns))
ABOUT(continue_service_deployment, about_history(c, az, "service-deployment", in->service_deployment_arn))
ABOUT(stop_service_deployment, about_history(c, az, "service-deployment", in->service_deployment_arn))

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	struct str task = ecs_of_arn(c, "task", arn), service = ecs_of_arn(c, "service", arn),
	           instance = ecs_of_arn(c, "container-instance", arn);
	if (str_set(task))
		return about_task(c, az, str_cut(&task, '/'), arn);
	if (str_set(service))
		return about_service(c, az, str_cut(&service, '/'), arn);
	if (str_set(instance))
		return about_instance(c, az, str_cut(&instance, '/'), arn);
	return str_starts(arn, ecs_arn(c, S("cluster/"))) ? about_cluster(c, az, arn) : about_definition(c, az, arn);
}
ABOUT(untag_resource, about_arn(c, az, in->resource_arn))
ABOUT(list_tags_for_resource, about_arn(c, az, in->resource_arn))

static int about_create_service(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_create_service_request *in = input;
	about_service(c, az, in->cluster, in->service_name);
	add_execute(c, az, in->enable_execute_command);
	return ecs_tags_authorize(c, az, &in->tags);
}

static int about_describe_services(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_describe_services_request *in = input;
	az->resource = S("*");
	for (uint32_t i = 0; i < in->services.n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		az->keys = NULL;
		az->key_count = 0;
		about_service(c, az, in->cluster, in->services.v[i]);
	}
	return CALL_OK;
}

/* Permission is for the definition, in a cluster. */
static int about_run_task(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_run_task_request *in = input;
	struct str cluster = ecs_cluster_name(c, in->cluster);
	about_definition(c, az, in->task_definition);
	add_execute(c, az, in->enable_execute_command);
	if (str_set(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	return ecs_tags_authorize(c, az, &in->tags);
}

static int about_register_container_instance(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_register_container_instance_request *in = input;
	about_cluster(c, az, in->cluster);
	return ecs_tags_authorize(c, az, &in->tags);
}

static int about_start_task(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_start_task_request *in = input;
	struct str cluster = ecs_cluster_name(c, in->cluster);
	about_definition(c, az, in->task_definition);
	if (str_set(cluster))
		authz_add(c, az, "ecs:cluster", ecs_cluster_arn(c, cluster));
	return ecs_tags_authorize(c, az, &in->tags);
}

static int about_provider(struct call *c, struct authz *az, struct str text)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_provider_record r;
	struct str name = ecs_of_arn(c, "capacity-provider", text);
	az->resource = str_set(name) ? ecs_arn(c, ARENA_CAT(c->arena, S("capacity-provider/"), name)) : text;
	if (ecs_provider_find(&s, name, &r))
		ecs_authz_tags(c, az, &r.provider->tags);
	return CALL_OK;
}
ABOUT(update_capacity_provider, about_provider(c, az, in->name))
ABOUT(delete_capacity_provider, about_provider(c, az, in->capacity_provider))

static int about_create_capacity_provider(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_create_capacity_provider_request *in = input;
	about_provider(c, az, in->name);
	return ecs_tags_authorize(c, az, &in->tags);
}

static int about_create_cluster(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_create_cluster_request *in = input;
	about_cluster(c, az, in->cluster_name);
	return ecs_tags_authorize(c, az, &in->tags);
}

static int about_register_task_definition(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_register_task_definition_request *in = input;
	az->resource = ecs_arn(c, arena_printf(c->arena, "task-definition/%.*s:*", STR_ARG(in->family)));
	return ecs_tags_authorize(c, az, &in->tags);
}

static int about_tag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_tag_resource_request *in = input;
	about_arn(c, az, in->resource_arn);
	for (uint32_t i = 0; i < in->tags.n; i++) {
		authz_add(c, az, arena_dupz(c->arena, ARENA_CAT(c->arena, S("aws:RequestTag/"), in->tags.v[i].key)),
		          in->tags.v[i].value);
		authz_add(c, az, "aws:TagKeys", in->tags.v[i].key);
	}
	return CALL_OK;
}

/* Every one must be allowed: all but the last are asked here, the last by the gate. */
static int about_describe_clusters(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_describe_clusters_request *in = input;
	if (!in->clusters.n)
		return about_cluster(c, az, STR_NONE);
	for (uint32_t i = 0; i < in->clusters.n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		az->keys = NULL;
		az->key_count = 0;
		about_cluster(c, az, in->clusters.v[i]);
	}
	return CALL_OK;
}

static int about_delete_task_definitions(struct call *c, const void *input, struct authz *az)
{
	const struct ecs_delete_task_definitions_request *in = input;
	for (uint32_t i = 0; i < in->task_definitions.n; i++) {
		if (i && !call_authorize(c, az))
			return CALL_FAIL;
		az->keys = NULL;
		az->key_count = 0;
		about_definition(c, az, in->task_definitions.v[i]);
	}
	return CALL_OK;
}

/* --- the table */

#define EXTERNAL_ONLY "services of external controllers, which alone have task sets"

static const struct service_op ops[] = {
        OP(ecs, continue_service_deployment, ContinueServiceDeployment, .resource = about_continue_service_deployment,
           .missing = "lifecycle hooks, at which deployments wait"),
        OP(ecs, create_capacity_provider, CreateCapacityProvider, .resource = about_create_capacity_provider,
           .missing = "managed instances"),
        OP(ecs, create_cluster, CreateCluster, .resource = about_create_cluster,
           .missing = "configuration of ECS Exec and of managed storage"),
        OP(ecs, create_service, CreateService, .resource = about_create_service,
           .missing =
                   "the launch type EXTERNAL, Service Connect in bridge mode, TLS and access logs of Service Connect, deployment strategies other than ROLLING"),
        OP(ecs, create_task_set, CreateTaskSet, .resource = about_create_task_set, .missing = EXTERNAL_ONLY),
        OP(ecs, delete_account_setting, DeleteAccountSetting),
        OP(ecs, delete_attributes, DeleteAttributes, .resource = about_delete_attributes),
        OP(ecs, delete_capacity_provider, DeleteCapacityProvider, .resource = about_delete_capacity_provider),
        OP(ecs, delete_cluster, DeleteCluster, .resource = about_delete_cluster),
        OP(ecs, delete_service, DeleteService, .resource = about_delete_service),
        OP(ecs, delete_task_definitions, DeleteTaskDefinitions, .resource = about_delete_task_definitions),
        OP(ecs, delete_task_set, DeleteTaskSet, .resource = about_delete_task_set, .missing = EXTERNAL_ONLY),
        OP(ecs, deregister_container_instance, DeregisterContainerInstance, .resource = about_deregister_container_instance),
        OP(ecs, deregister_task_definition, DeregisterTaskDefinition),
        OP(ecs, describe_capacity_providers, DescribeCapacityProviders, .flags = OP_READ, .missing = "managed instances"),
        OP(ecs, describe_clusters, DescribeClusters, .resource = about_describe_clusters, .flags = OP_READ),
        OP(ecs, describe_container_instances, DescribeContainerInstances, .resource = about_describe_container_instances,
           .flags = OP_READ),
        OP(ecs, describe_service_deployments, DescribeServiceDeployments, .resource = about_describe_service_deployments,
           .flags = OP_READ),
        OP(ecs, describe_service_revisions, DescribeServiceRevisions, .resource = about_describe_service_revisions,
           .flags = OP_READ),
        OP(ecs, describe_services, DescribeServices, .resource = about_describe_services, .flags = OP_READ),
        OP(ecs, describe_task_definition, DescribeTaskDefinition, .flags = OP_READ),
        OP(ecs, describe_task_sets, DescribeTaskSets, .resource = about_describe_task_sets, .flags = OP_READ,
           .missing = EXTERNAL_ONLY),
        OP(ecs, describe_tasks, DescribeTasks, .resource = about_describe_tasks, .flags = OP_READ),
        OP(ecs, discover_poll_endpoint, DiscoverPollEndpoint, .flags = OP_READ),
        OP(ecs, execute_command, ExecuteCommand, .resource = about_execute_command),
        OP(ecs, get_task_protection, GetTaskProtection, .resource = about_get_task_protection, .flags = OP_READ),
        OP(ecs, list_account_settings, ListAccountSettings, .flags = OP_READ,
           .missing = "guardDutyActivate, defaultLogDriverMode, fargateTaskRetirementWaitPeriod, fargateEventWindows"),
        OP(ecs, list_attributes, ListAttributes, .resource = about_list_attributes, .flags = OP_READ),
        OP(ecs, list_clusters, ListClusters, .flags = OP_READ),
        OP(ecs, list_container_instances, ListContainerInstances, .resource = about_list_container_instances, .flags = OP_READ),
        OP(ecs, list_service_deployments, ListServiceDeployments, .resource = about_list_service_deployments, .flags = OP_READ),
        OP(ecs, list_services, ListServices, .flags = OP_READ),
        OP(ecs, list_services_by_namespace, ListServicesByNamespace, .flags = OP_READ),
        OP(ecs, list_tags_for_resource, ListTagsForResource, .resource = about_list_tags_for_resource, .flags = OP_READ),
        OP(ecs, list_task_definition_families, ListTaskDefinitionFamilies, .flags = OP_READ),
        OP(ecs, list_task_definitions, ListTaskDefinitions, .flags = OP_READ),
        OP(ecs, list_tasks, ListTasks, .resource = about_list_tasks, .flags = OP_READ),
        OP(ecs, put_attributes, PutAttributes, .resource = about_put_attributes),
        OP(ecs, put_account_setting, PutAccountSetting, .missing = "values that would change something this cloud does not have"),
        OP(ecs, put_account_setting_default, PutAccountSettingDefault,
           .missing = "values that would change something this cloud does not have"),
        OP(ecs, put_cluster_capacity_providers, PutClusterCapacityProviders, .resource = about_put_cluster_capacity_providers,
           .missing = "managed instances"),
        OP(ecs, register_container_instance, RegisterContainerInstance, .resource = about_register_container_instance,
           .missing = "devices"),
        OP(ecs, register_task_definition, RegisterTaskDefinition, .resource = about_register_task_definition,
           .missing = "FireLens and log drivers other than awslogs on Fargate, EFS and EBS volumes, private "
                      "registries, proxies, ranges of ports, Windows, EXTERNAL"),
        OP(ecs, run_task, RunTask, .resource = about_run_task, .missing = "the launch type EXTERNAL, volumes"),
        OP(ecs, start_task, StartTask, .resource = about_start_task, .missing = "volumes"),
        OP(ecs, stop_service_deployment, StopServiceDeployment, .resource = about_stop_service_deployment),
        OP(ecs, stop_task, StopTask, .resource = about_stop_task),
        OP(ecs, submit_attachment_state_changes, SubmitAttachmentStateChanges, .resource = about_submit_attachment_state_changes),
        OP(ecs, submit_container_state_change, SubmitContainerStateChange, .resource = about_submit_container_state_change),
        OP(ecs, submit_task_state_change, SubmitTaskStateChange, .resource = about_submit_task_state_change,
           .missing = "managed agents"),
        OP(ecs, tag_resource, TagResource, .resource = about_tag_resource),
        OP(ecs, untag_resource, UntagResource, .resource = about_untag_resource),
        OP(ecs, update_capacity_provider, UpdateCapacityProvider, .resource = about_update_capacity_provider,
           .missing = "managed instances"),
        OP(ecs, update_cluster, UpdateCluster, .resource = about_update_cluster,
           .missing = "configuration of ECS Exec and of managed storage"),
        OP(ecs, update_cluster_settings, UpdateClusterSettings, .resource = about_update_cluster_settings),
        OP(ecs, update_container_agent, UpdateContainerAgent, .resource = about_update_container_agent),
        OP(ecs, update_container_instances_state, UpdateContainerInstancesState,
           .resource = about_update_container_instances_state),
        OP(ecs, update_service, UpdateService, .resource = about_update_service,
           .missing = "TLS and access logs of Service Connect"),
        OP(ecs, update_service_primary_task_set, UpdateServicePrimaryTaskSet, .resource = about_update_service_primary_task_set,
           .missing = EXTERNAL_ONLY),
        OP(ecs, update_task_protection, UpdateTaskProtection, .resource = about_update_task_protection),
        OP(ecs, update_task_set, UpdateTaskSet, .resource = about_update_task_set, .missing = EXTERNAL_ONLY),
};

static int ecs_start(struct cloud *cloud, void **ret_state)
{
	*ret_state = crew_new(cloud);
	return 0;
}

static void ecs_stop(void *state)
{
	if (state)
		crew_free(state);
}

const struct service ecs_service = {
        .api = &ecs_api,
        .iam_prefix = "ecs",
        .unsupported = "UnsupportedFeatureException",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .start = ecs_start,
        .stop = ecs_stop,
};
