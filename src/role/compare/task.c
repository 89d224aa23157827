/* The application as a task on Fargate: an image of this machine's own interpreter and the folder, pushed into a repository. */
#include "role/cli_image.h"
#include "role/cli_temporary.h"
#include "role/compare/compare.h"

#include "base/clock.h"
#include "gen/ec2.h"
#include "gen/ecr.h"
#include "gen/ecs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLICY "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
enum { TRIES = 600, PAUSE_US = 100000 };

/* The least of Fargate's sizes that has so much memory. */
static const struct {
	int64_t memory_mb;
	const char *cpu;
} sizes[] = {{2048, "256"}, {4096, "512"}, {8192, "1024"}, {16384, "2048"}, {30720, "4096"}};

static const char *cpu_of(const struct compare *c)
{
	unsigned i = 0;
	while (i + 1 < sizeof(sizes) / sizeof(*sizes) && sizes[i].memory_mb < c->memory_mb)
		i++;
	return sizes[i].cpu;
}

/* 512, 1024, 2048 and then whole GiB. */
static int64_t memory_of(const struct compare *c)
{
	return c->memory_mb <= 512 ? 512 : (c->memory_mb + 1023) / 1024 * 1024;
}

static struct str size(struct compare *c)
{
	return arena_printf(&c->cli->arena, "%s CPU, %lld MB", cpu_of(c), (long long)memory_of(c));
}

static struct compare_bounds bounds(const struct compare *c)
{
	int64_t cpu = 0;
	str_to_i64(str_from(cpu_of(c)), &cpu);
	return (struct compare_bounds){memory_of(c), (double)cpu / 1024};
}

static const char *tool(struct compare *c)
{
	const char *runtimes = cli_runtime_dir(c->cli);
	return runtimes ? arena_printf(&c->cli->arena, "%s/../tools/make-oci-image", runtimes).p : NULL;
}

static int why_not(struct compare *c, struct str *ret)
{
	const char *path = tool(c);
	if (!str_set(c->app.web))
		*ret = S("it has no Procfile with a line `web: COMMAND`");
	else if (!path || access(path, X_OK) < 0)
		*ret = S("tools/make-oci-image, which makes its image, is not there");
	return CLI_OK;
}

/* Runs the tool; what it complains about goes where this command's complaints go. */
static int make_layout(struct compare *c, const char *layout)
{
	struct arena *a = &c->cli->arena;
	const char **words = arena_array(a, 2 * (size_t)c->app.files.n + 8, sizeof(*words));
	size_t n = 0;
	int status;
	words[n++] = tool(c);
	for (uint32_t i = 0; i < c->app.files.n; i++) {
		words[n++] = "--add";
		words[n++] =
		        arena_printf(a, "%s/%.*s:/app/%.*s", c->app.root, STR_ARG(c->app.files.v[i]), STR_ARG(c->app.files.v[i])).p;
	}
	words[n++] = layout;
	words[n++] = "dash";
	words[n++] = c->app.node ? "nodejs" : "python3";
	words[n] = NULL;
	pid_t pid = fork();
	if (pid == 0) {
		cli_temporary_follow();
		int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (dup2(nowhere, STDOUT_FILENO) >= 0)
			execv(words[0], (char **)(uintptr_t)words);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		return cli_fail(c->cli, CLI_FAILED, "no image was made of %s", c->app.dir);
	return CLI_OK;
}

static int push(struct compare *c, struct str *ret_image)
{
	struct arena *a = &c->cli->arena;
	const char *tmp = getenv("TMPDIR");
	char *place = (char *)(uintptr_t)arena_printf(a, "%s/quartet-compare-XXXXXX", tmp ? tmp : "/var/tmp").p;
	struct cli_temporary guard = {0};
	if (!mkdtemp(place) || cli_temporary_guard(&guard, place) < 0)
		return cli_fail(c->cli, CLI_FAILED, "%s: %s", place, strerror(errno));
	const char *layout = arena_printf(a, "%s/image", place).p;
	int status = make_layout(c, layout);
	if (status == CLI_OK) {
		c->repository = c->name;
		status = cli_image_push(c->cli, &c->cloud, ARENA_CAT(a, c->name, S(":1")).p, layout, ret_image);
	}
	cli_temporary_end(&guard);
	return status;
}

static int define(struct compare *c, struct str image, struct str role)
{
	struct arena *a = &c->cli->arena;
	struct ecs_register_task_definition_response made = {0};
	struct ecs_register_task_definition_request in = {.family = c->name,
	                                                  .network_mode = S("awsvpc"),
	                                                  .cpu = str_from(cpu_of(c)),
	                                                  .memory = arena_printf(a, "%lld", (long long)memory_of(c)),
	                                                  .execution_role_arn = role};
	*LIST_ADD(a, &in.requires_compatibilities) = S("FARGATE");
	struct ecs_container_definition *app = LIST_ADD(a, &in.container_definitions);
	*app = (struct ecs_container_definition){.name = S("app"), .image = image, .working_directory = S("/app")};
	*LIST_ADD(a, &app->command) = S("/bin/sh");
	*LIST_ADD(a, &app->command) = S("-c");
	*LIST_ADD(a, &app->command) = ARENA_CAT(a, S("exec "), c->app.web);
	const struct ecs_key_value_pair environment[] = {{S("PORT"), arena_printf(a, "%d", COMPARE_PORT)},
	                                                 {S("PATH"), S(COMPARE_PATH("/app"))},
	                                                 {S("PYTHONPATH"), S("/app")}};
	for (size_t i = 0; i < sizeof(environment) / sizeof(*environment); i++)
		*LIST_ADD(a, &app->environment) = environment[i];
	*LIST_ADD(a, &app->port_mappings) = (struct ecs_port_mapping){.container_port = OPT_INT(COMPARE_PORT)};
	int status = compare_call(c, &ecs_api, "RegisterTaskDefinition", &in, &made);
	if (status == CLI_OK)
		c->definition = made.task_definition->task_definition_arn;
	return status;
}

static int find_subnet(struct compare *c, struct str *ret)
{
	struct ec2_describe_subnets_request in = {0};
	struct ec2_describe_subnets_result out = {0};
	struct ec2_filter *f = LIST_ADD(&c->cli->arena, &in.filters);
	f->name = S("default-for-az");
	*LIST_ADD(&c->cli->arena, &f->values) = S("true");
	int status = compare_call(c, &ec2_api, "DescribeSubnets", &in, &out);
	if (status == CLI_OK && !out.subnets.n)
		return cli_fail(c->cli, CLI_FAILED, "the region has no default subnet");
	if (status == CLI_OK)
		*ret = out.subnets.v[0].subnet_id;
	return status;
}

static int launch(struct compare *c)
{
	struct str subnet;
	struct ecs_create_cluster_response cluster = {0};
	struct ecs_run_task_response out = {0};
	int status = find_subnet(c, &subnet);
	if (status == CLI_OK)
		status = compare_call(c, &ecs_api, "CreateCluster", &(struct ecs_create_cluster_request){.cluster_name = c->name},
		                      &cluster);
	if (status != CLI_OK)
		return status;
	c->cluster = c->name;
	struct ecs_aws_vpc_configuration vpc = {.assign_public_ip = S("ENABLED")};
	struct ecs_network_configuration network = {.awsvpc_configuration = &vpc};
	*LIST_ADD(&c->cli->arena, &vpc.subnets) = subnet;
	*LIST_ADD(&c->cli->arena, &vpc.security_groups) = c->group;
	const struct ecs_run_task_request in = {.cluster = c->cluster,
	                                        .task_definition = c->definition,
	                                        .launch_type = S("FARGATE"),
	                                        .network_configuration = &network};
	c->launched_us = clock_mono_us();
	status = compare_call(c, &ecs_api, "RunTask", &in, &out);
	if (status == CLI_OK && !out.tasks.n)
		return cli_fail(c->cli, CLI_FAILED, "the task: %.*s",
		                STR_ARG(out.failures.n ? out.failures.v[0].reason : S("not run")));
	if (status != CLI_OK)
		return status;
	c->task = out.tasks.v[0].task_arn;
	c->workload = str_from_at(c->task, (size_t)str_rfind_char(c->task, '/') + 1);
	return CLI_OK;
}

static int deploy(struct compare *c)
{
	struct str image, role;
	int status = compare_need_group(c);
	if (status == CLI_OK)
		status = compare_make_role(c, "task", "ecs-tasks.amazonaws.com", POLICY, &c->execution_role, &role);
	if (status == CLI_OK)
		status = push(c, &image);
	if (status == CLI_OK)
		status = define(c, image, role);
	return status == CLI_OK ? launch(c) : status;
}

static int describe(struct compare *c, struct ecs_task *ret)
{
	struct ecs_describe_tasks_request in = {.cluster = c->cluster};
	struct ecs_describe_tasks_response out = {0};
	*LIST_ADD(&c->cli->arena, &in.tasks) = c->task;
	int status = compare_call(c, &ecs_api, "DescribeTasks", &in, &out);
	if (status == CLI_OK && !out.tasks.n)
		return cli_fail(c->cli, CLI_FAILED, "the task is gone");
	if (status == CLI_OK)
		*ret = out.tasks.v[0];
	return status;
}

static int address(struct compare *c, const struct ecs_task *t)
{
	struct ec2_describe_network_interfaces_request in = {0};
	struct ec2_describe_network_interfaces_result out = {0};
	for (uint32_t i = 0; t->attachments.n && i < t->attachments.v[0].details.n; i++)
		if (str_is(t->attachments.v[0].details.v[i].name, "networkInterfaceId"))
			*LIST_ADD(&c->cli->arena, &in.network_interface_ids) = t->attachments.v[0].details.v[i].value;
	int status = compare_call(c, &ec2_api, "DescribeNetworkInterfaces", &in, &out);
	if (status == CLI_OK && out.network_interfaces.n == 1 && out.network_interfaces.v[0].association) {
		c->address = out.network_interfaces.v[0].association->public_ip;
		c->port = COMPARE_PORT;
	}
	return status;
}

static int look(struct compare *c, bool *ret_there)
{
	struct ecs_task now;
	int status = describe(c, &now);
	if (status != CLI_OK)
		return status;
	if (str_is(now.last_status, "STOPPED") || str_is(now.last_status, "DEPROVISIONING"))
		return cli_fail(c->cli, CLI_FAILED, "the task ended: %.*s", STR_ARG(now.stopped_reason));
	if (str_is(now.last_status, "RUNNING"))
		status = address(c, &now);
	*ret_there = str_set(c->address);
	return status;
}

static void remove_all(struct compare *c)
{
	struct ecs_stop_task_response stopped = {0};
	struct ecs_deregister_task_definition_response deregistered = {0};
	struct ecs_delete_cluster_response gone = {0};
	struct ecr_delete_repository_response emptied = {0};
	struct ecs_task now = {0};
	if (str_set(c->task)) {
		compare_call(c, &ecs_api, "StopTask", &(struct ecs_stop_task_request){.cluster = c->cluster, .task = c->task},
		             &stopped);
		for (unsigned i = 0; i < TRIES && describe(c, &now) == CLI_OK && !str_is(now.last_status, "STOPPED"); i++)
			usleep(PAUSE_US);
	}
	if (str_set(c->definition))
		compare_call(c, &ecs_api, "DeregisterTaskDefinition",
		             &(struct ecs_deregister_task_definition_request){.task_definition = c->definition}, &deregistered);
	if (str_set(c->cluster))
		compare_call(c, &ecs_api, "DeleteCluster", &(struct ecs_delete_cluster_request){.cluster = c->cluster}, &gone);
	if (str_set(c->repository))
		compare_call(c, &ecr_api, "DeleteRepository",
		             &(struct ecr_delete_repository_request){.repository_name = c->repository, .force = OPT_BOOL(true)},
		             &emptied);
	c->task = c->definition = c->cluster = c->repository = c->address = STR_NONE;
	compare_remove_role(c, &c->execution_role, POLICY);
	compare_remove_group(c);
}

const struct compare_model compare_task = {.name = "ecs",
                                           .title = "Fargate task",
                                           .why_not = why_not,
                                           .deploy = deploy,
                                           .look = look,
                                           .remove = remove_all,
                                           .size = size,
                                           .bounds = bounds,
                                           .chosen_as = CHOOSE_FARGATE,
                                           .scaling = "a task more, by a service",
                                           .limits = "16 vCPU, 120 GB, no host of your own, a disk that goes with the task"};
