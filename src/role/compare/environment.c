/* The application as an environment of Elastic Beanstalk, of one instance: the bundle as its version, the platform's proxy before
 * it. */
#include "role/compare/compare.h"

#include "base/clock.h"
#include "gen/elasticbeanstalk.h"
#include "gen/iam.h"

#include <unistd.h>

#define POLICY "arn:aws:iam::aws:policy/AWSElasticBeanstalkWebTier" /* the bundle itself may be read by anybody: made.c */
enum { TRIES = 1200, PAUSE_US = 100000, HTTP_PORT = 80 };

/* The newest of the language's platforms that run here. */
static int find_platform(struct compare *c, struct str *ret)
{
	struct elasticbeanstalk_list_available_solution_stacks_result_message out = {0};
	static const struct model_none in;
	int status = compare_call(c, &elasticbeanstalk_api, "ListAvailableSolutionStacks", &in, &out);
	*ret = STR_NONE;
	for (uint32_t i = 0; status == CLI_OK && i < out.solution_stacks.n && !str_set(*ret); i++)
		if (str_find(out.solution_stacks.v[i], c->app.node ? S("Node.js") : S("Python")) >= 0)
			*ret = out.solution_stacks.v[i];
	return status;
}

static int why_not(struct compare *c, struct str *ret)
{
	struct str platform;
	if (!str_set(c->app.web)) {
		*ret = S("it has no Procfile with a line `web: COMMAND`");
		return CLI_OK;
	}
	int status = find_platform(c, &platform);
	if (status == CLI_OK && !str_set(platform))
		*ret = c->app.node ? S("no platform of Node.js runs here")
		                   : S("no platform of Python runs here (tools/make-image)");
	return status;
}

static struct str size(struct compare *c)
{
	return c->instance_type;
}

static struct compare_bounds bounds(const struct compare *c)
{
	return compare_type_bounds(c->instance_type);
}

static int make_profile(struct compare *c)
{
	struct model_none none;
	struct str arn;
	struct iam_create_instance_profile_response made = {0};
	int status = compare_make_role(c, "environment", "ec2.amazonaws.com", POLICY, &c->role, &arn);
	if (status == CLI_OK)
		status = compare_call(c, &iam_api, "CreateInstanceProfile",
		                      &(struct iam_create_instance_profile_request){.instance_profile_name = c->name}, &made);
	if (status != CLI_OK)
		return status;
	c->profile = c->name;
	const struct iam_add_role_to_instance_profile_request add = {.instance_profile_name = c->profile, .role_name = c->role};
	return compare_call(c, &iam_api, "AddRoleToInstanceProfile", &add, &none);
}

static int make_version(struct compare *c)
{
	struct elasticbeanstalk_application_description_message application = {0};
	struct elasticbeanstalk_application_version_description_message version = {0};
	const struct elasticbeanstalk_create_application_message in = {.application_name = c->name};
	int status = compare_call(c, &elasticbeanstalk_api, "CreateApplication", &in, &application);
	if (status != CLI_OK)
		return status;
	c->application = c->name;
	struct elasticbeanstalk_s3_location bundle = {.s3_bucket = c->bucket, .s3_key = S("source.zip")};
	const struct elasticbeanstalk_create_application_version_message of = {
	        .application_name = c->application, .version_label = S("1"), .source_bundle = &bundle};
	return compare_call(c, &elasticbeanstalk_api, "CreateApplicationVersion", &of, &version);
}

static int make_environment(struct compare *c)
{
	struct elasticbeanstalk_environment_description made = {0};
	struct elasticbeanstalk_create_environment_message in = {
	        .application_name = c->application, .environment_name = c->name, .version_label = S("1")};
	const struct elasticbeanstalk_configuration_option_setting settings[] = {
	        {STR_NONE, S("aws:elasticbeanstalk:environment"), S("EnvironmentType"), S("SingleInstance")},
	        {STR_NONE, S("aws:autoscaling:launchconfiguration"), S("InstanceType"), c->instance_type},
	        {STR_NONE, S("aws:autoscaling:launchconfiguration"), S("IamInstanceProfile"), c->profile}};
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		*LIST_ADD(&c->cli->arena, &in.option_settings) = settings[i];
	int status = find_platform(c, &in.solution_stack_name);
	if (status != CLI_OK)
		return status;
	c->launched_us = clock_mono_us();
	status = compare_call(c, &elasticbeanstalk_api, "CreateEnvironment", &in, &made);
	if (status == CLI_OK)
		c->environment = made.environment_id;
	return status;
}

static int deploy(struct compare *c)
{
	int status = compare_need_bucket(c);
	if (status == CLI_OK)
		status = make_profile(c);
	if (status == CLI_OK)
		status = make_version(c);
	return status == CLI_OK ? make_environment(c) : status;
}

static int describe(struct compare *c, struct elasticbeanstalk_environment_description *ret)
{
	struct elasticbeanstalk_describe_environments_message in = {0};
	struct elasticbeanstalk_environment_descriptions_message out = {0};
	*LIST_ADD(&c->cli->arena, &in.environment_ids) = c->environment;
	int status = compare_call(c, &elasticbeanstalk_api, "DescribeEnvironments", &in, &out);
	*ret = (struct elasticbeanstalk_environment_description){.status = S("Terminated")};
	if (status == CLI_OK && out.environments.n)
		*ret = out.environments.v[0];
	return status;
}

/* Whose use is measured: its one instance. */
static void find_instance(struct compare *c)
{
	struct elasticbeanstalk_environment_resource_descriptions_message out = {0};
	const struct elasticbeanstalk_describe_environment_resources_message in = {.environment_id = c->environment};
	if (compare_call(c, &elasticbeanstalk_api, "DescribeEnvironmentResources", &in, &out) == CLI_OK &&
	    out.environment_resources && out.environment_resources->instances.n)
		c->workload = out.environment_resources->instances.v[0].id;
}

static int look(struct compare *c, bool *ret_there)
{
	struct elasticbeanstalk_environment_description now;
	int status = describe(c, &now);
	if (status != CLI_OK)
		return status;
	if (str_is(now.status, "Terminating") || str_is(now.status, "Terminated"))
		return cli_fail(c->cli, CLI_FAILED, "the environment is %.*s", STR_ARG(now.status));
	if (str_is(now.status, "Ready") && str_is(now.health, "Red"))
		return cli_fail(c->cli, CLI_FAILED, "the environment came up Red; its events say why, while it is there");
	*ret_there = str_is(now.status, "Ready") && str_set(now.endpoint_url);
	if (*ret_there) {
		c->address = now.endpoint_url;
		c->port = HTTP_PORT;
		find_instance(c);
	}
	return CLI_OK;
}

static void remove_all(struct compare *c)
{
	struct model_none none;
	struct elasticbeanstalk_environment_description now = {0};
	if (str_set(c->environment)) {
		const struct elasticbeanstalk_terminate_environment_message end = {.environment_id = c->environment};
		for (unsigned i = 0; i < TRIES && describe(c, &now) == CLI_OK && str_is(now.status, "Launching"); i++)
			usleep(PAUSE_US); /* it can be told to end once it stands */
		compare_call(c, &elasticbeanstalk_api, "TerminateEnvironment", &end, &now);
		for (unsigned i = 0; i < TRIES && describe(c, &now) == CLI_OK && !str_is(now.status, "Terminated"); i++)
			usleep(PAUSE_US);
	}
	if (str_set(c->application))
		compare_call(c, &elasticbeanstalk_api, "DeleteApplication",
		             &(struct elasticbeanstalk_delete_application_message){.application_name = c->application}, &none);
	if (str_set(c->profile)) {
		const struct iam_remove_role_from_instance_profile_request out = {.instance_profile_name = c->profile,
		                                                                  .role_name = c->role};
		compare_call(c, &iam_api, "RemoveRoleFromInstanceProfile", &out, &none);
		compare_call(c, &iam_api, "DeleteInstanceProfile",
		             &(struct iam_delete_instance_profile_request){.instance_profile_name = c->profile}, &none);
	}
	c->environment = c->application = c->profile = c->address = STR_NONE;
	compare_remove_role(c, &c->role, POLICY);
	compare_remove_bucket(c);
}

const struct compare_model compare_environment = {.name = "beanstalk",
                                                  .title = "Beanstalk",
                                                  .why_not = why_not,
                                                  .deploy = deploy,
                                                  .look = look,
                                                  .remove = remove_all,
                                                  .size = size,
                                                  .bounds = bounds,
                                                  .chosen_as = CHOOSE_BEANSTALK,
                                                  .scaling = "an instance more, by its Auto Scaling group",
                                                  .limits = "the platforms that are listed; what the type holds"};
