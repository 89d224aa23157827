#include "environment.h"

/* --- what permissions are about */

static void add_tags(struct call *c, struct authz *az, const char *key, const struct elasticbeanstalk_tag *v, uint32_t n)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < n; i++) {
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){v[i].key, v[i].value};
		if (strcmp(key, "aws:RequestTag") == 0)
			authz_add(c, az, "aws:TagKeys", v[i].key);
	}
	authz_add_tags(c, az, key, &map);
}

static int about_application(struct call *c, struct authz *az, struct str name)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_application_record r = {0};
	az->resource = beanstalk_arn(&s, "application", str_set(name) ? name : S("*"), STR_NONE);
	if (application_find(&s, name, &r))
		add_tags(c, az, "aws:ResourceTag", r.tags.v, r.tags.n);
	return CALL_OK;
}

static int about_version(struct call *c, struct authz *az, struct str application, struct str label)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_version_record r = {0};
	az->resource = beanstalk_arn(&s, "applicationversion", application, str_set(label) ? label : S("*"));
	authz_add(c, az, "elasticbeanstalk:InApplication", beanstalk_arn(&s, "application", application, STR_NONE));
	if (version_find(&s, application, label, &r))
		add_tags(c, az, "aws:ResourceTag", r.tags.v, r.tags.n);
	return CALL_OK;
}

static int about_template(struct call *c, struct authz *az, struct str application, struct str name)
{
	struct scope s = beanstalk_scope(c);
	struct state_elasticbeanstalk_template_record r = {0};
	az->resource = beanstalk_arn(&s, "configurationtemplate", application, name);
	authz_add(c, az, "elasticbeanstalk:InApplication", beanstalk_arn(&s, "application", application, STR_NONE));
	if (template_find(&s, application, name, &r))
		add_tags(c, az, "aws:ResourceTag", r.tags.v, r.tags.n);
	return CALL_OK;
}

static int about_environment(struct call *c, struct authz *az, struct str application, struct str id, struct str name)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record r = {0};
	if (environment_find(&s, str_set(id) ? id : environment_named(&s, name), &r)) {
		application = r.environment->application_name;
		name = r.environment->environment_name;
		add_tags(c, az, "aws:ResourceTag", r.tags.v, r.tags.n);
	}
	az->resource = beanstalk_arn(&s, "environment", str_set(application) ? application : S("*"), str_set(name) ? name : S("*"));
	authz_add(c, az, "elasticbeanstalk:InApplication", beanstalk_arn(&s, "application", application, STR_NONE));
	return CALL_OK;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	(void)c;
	az->resource = arn;
	return CALL_OK;
}

#define ABOUT(name, type, answer) \
	static int about_##name(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct elasticbeanstalk_##type *in = input; \
		return answer; \
	}
#define ABOUT_TAGGED(name, type, answer) ABOUT(name, type, (add_tags(c, az, "aws:RequestTag", in->tags.v, in->tags.n), answer))
ABOUT_TAGGED(create, create_application_message, about_application(c, az, in->application_name))
ABOUT(compose, compose_environments_message, about_application(c, az, in->application_name))
ABOUT(update, update_application_message, about_application(c, az, in->application_name))
ABOUT(lifecycle, update_application_resource_lifecycle_message, about_application(c, az, in->application_name))
ABOUT(delete, delete_application_message, about_application(c, az, in->application_name))
ABOUT_TAGGED(create_version, create_application_version_message, about_version(c, az, in->application_name, in->version_label))
ABOUT(update_version, update_application_version_message, about_version(c, az, in->application_name, in->version_label))
ABOUT(delete_version, delete_application_version_message, about_version(c, az, in->application_name, in->version_label))
ABOUT_TAGGED(create_template, create_configuration_template_message, about_template(c, az, in->application_name, in->template_name))
ABOUT(update_template, update_configuration_template_message, about_template(c, az, in->application_name, in->template_name))
ABOUT(delete_template, delete_configuration_template_message, about_template(c, az, in->application_name, in->template_name))
ABOUT(list_tags, list_tags_for_resource_message, about_arn(c, az, in->resource_arn))
ABOUT(platform, describe_platform_version_request, about_arn(c, az, in->platform_arn))

ABOUT_TAGGED(create_environment, create_environment_message,
             about_environment(c, az, in->application_name, STR_NONE, in->environment_name))
#define ABOUT_ENVIRONMENT(name) \
	ABOUT(name, name##_message, about_environment(c, az, STR_NONE, in->environment_id, in->environment_name))
ABOUT_ENVIRONMENT(abort_environment_update)
ABOUT_ENVIRONMENT(rebuild_environment)
ABOUT_ENVIRONMENT(update_environment)
ABOUT_ENVIRONMENT(terminate_environment)
ABOUT_ENVIRONMENT(restart_app_server)
ABOUT_ENVIRONMENT(describe_environment_resources)
ABOUT_ENVIRONMENT(request_environment_info)
ABOUT_ENVIRONMENT(retrieve_environment_info)
#define ABOUT_HEALTH(name) ABOUT(name, name##_request, about_environment(c, az, STR_NONE, in->environment_id, in->environment_name))
ABOUT_HEALTH(apply_environment_managed_action)
ABOUT_HEALTH(describe_environment_health)
ABOUT_HEALTH(describe_environment_managed_action_history)
ABOUT_HEALTH(describe_environment_managed_actions)
ABOUT_HEALTH(describe_instances_health)

ABOUT(swap, swap_environment_cnames_message,
      about_environment(c, az, STR_NONE, in->source_environment_id, in->source_environment_name))

static int about_update_tags(struct call *c, const void *input, struct authz *az)
{
	const struct elasticbeanstalk_update_tags_for_resource_message *in = input;
	add_tags(c, az, "aws:RequestTag", in->tags_to_add.v, in->tags_to_add.n);
	return about_arn(c, az, in->resource_arn);
}

/* --- the table */

#define ROW(c_name, name, ...) OP(elasticbeanstalk, c_name, name, ##__VA_ARGS__)
#define READ .flags = OP_READ
static const struct service_op ops[] = {
        ROW(abort_environment_update, AbortEnvironmentUpdate, .resource = about_abort_environment_update),
        ROW(apply_environment_managed_action, ApplyEnvironmentManagedAction, .resource = about_apply_environment_managed_action),
        ROW(check_dns_availability, CheckDNSAvailability, READ),
        ROW(compose_environments, ComposeEnvironments, .resource = about_compose),
        ROW(create_application, CreateApplication, .resource = about_create),
        ROW(create_application_version, CreateApplicationVersion, .resource = about_create_version,
            .missing = "sample applications, builds by CodeBuild, CodeCommit"),
        ROW(create_configuration_template, CreateConfigurationTemplate, .resource = about_create_template),
        ROW(create_environment, CreateEnvironment, .resource = about_create_environment,
            .missing = "classic and network load balancers"),
        ROW(create_storage_location, CreateStorageLocation),
        ROW(delete_application, DeleteApplication, .resource = about_delete),
        ROW(delete_application_version, DeleteApplicationVersion, .resource = about_delete_version),
        ROW(delete_configuration_template, DeleteConfigurationTemplate, .resource = about_delete_template),
        ROW(describe_account_attributes, DescribeAccountAttributes, READ),
        ROW(describe_application_versions, DescribeApplicationVersions, READ),
        ROW(describe_applications, DescribeApplications, READ),
        ROW(describe_configuration_options, DescribeConfigurationOptions, READ),
        ROW(describe_configuration_settings, DescribeConfigurationSettings, READ),
        ROW(describe_environment_health, DescribeEnvironmentHealth, READ, .resource = about_describe_environment_health),
        ROW(describe_environment_managed_action_history, DescribeEnvironmentManagedActionHistory, READ,
            .resource = about_describe_environment_managed_action_history),
        ROW(describe_environment_managed_actions, DescribeEnvironmentManagedActions, READ,
            .resource = about_describe_environment_managed_actions),
        ROW(describe_environment_resources, DescribeEnvironmentResources, READ, .resource = about_describe_environment_resources),
        ROW(describe_environments, DescribeEnvironments, READ),
        ROW(describe_events, DescribeEvents, READ),
        ROW(describe_instances_health, DescribeInstancesHealth, READ, .resource = about_describe_instances_health),
        ROW(describe_platform_version, DescribePlatformVersion, READ, .resource = about_platform),
        ROW(list_available_solution_stacks, ListAvailableSolutionStacks, READ),
        ROW(list_platform_branches, ListPlatformBranches, READ),
        ROW(list_platform_versions, ListPlatformVersions, READ),
        ROW(list_tags_for_resource, ListTagsForResource, READ, .resource = about_list_tags),
        ROW(rebuild_environment, RebuildEnvironment, .resource = about_rebuild_environment),
        ROW(request_environment_info, RequestEnvironmentInfo, .resource = about_request_environment_info, .missing = "analyze"),
        ROW(restart_app_server, RestartAppServer, .resource = about_restart_app_server),
        ROW(swap_environment_cnames, SwapEnvironmentCNAMEs, .resource = about_swap),
        ROW(retrieve_environment_info, RetrieveEnvironmentInfo, READ, .resource = about_retrieve_environment_info,
            .missing = "analyze"),
        ROW(terminate_environment, TerminateEnvironment, .resource = about_terminate_environment),
        ROW(update_application, UpdateApplication, .resource = about_update),
        ROW(update_application_resource_lifecycle, UpdateApplicationResourceLifecycle, .resource = about_lifecycle),
        ROW(update_application_version, UpdateApplicationVersion, .resource = about_update_version),
        ROW(update_configuration_template, UpdateConfigurationTemplate, .resource = about_update_template),
        ROW(update_environment, UpdateEnvironment, .resource = about_update_environment,
            .missing = "platforms of another language"),
        ROW(update_tags_for_resource, UpdateTagsForResource, .resource = about_update_tags),
        ROW(validate_configuration_settings, ValidateConfigurationSettings, READ),
};

static int start(struct cloud *cloud, void **ret_state)
{
	*ret_state = environments_keep(cloud);
	return 0;
}

static void stop(void *state)
{
	environments_let_go(state);
}

const struct service elasticbeanstalk_service = {
        .api = &elasticbeanstalk_api,
        .iam_prefix = "elasticbeanstalk",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .start = start,
        .stop = stop,
};
