/* requiresAttributes: what the agent of a container instance must be able to do for a task definition. */
#include "rows.h"

static void add(struct call *c, struct ecs_task_definition *d, const char *name)
{
	for (uint32_t i = 0; i < d->requires_attributes.n; i++)
		if (str_is(d->requires_attributes.v[i].name, name))
			return;
	*LIST_ADD(c->arena, &d->requires_attributes) = (struct ecs_attribute){.name = str_from(name)};
}

static void add_container(struct call *c, struct ecs_task_definition *d, const struct ecs_container_definition *k)
{
	bool ecr = str_find(k->image, S(".dkr.ecr.")) == 12;
	if (k->log_configuration && str_is(k->log_configuration->log_driver, "awslogs")) {
		add(c, d, "com.amazonaws.ecs.capability.logging-driver.awslogs");
		add(c, d, "com.amazonaws.ecs.capability.docker-remote-api.1.19");
		if (d->execution_role_arn.n)
			add(c, d, "ecs.capability.execution-role-awslogs");
	}
	if (ecr)
		add(c, d, "com.amazonaws.ecs.capability.ecr-auth");
	if (ecr && d->execution_role_arn.n)
		add(c, d, "ecs.capability.execution-role-ecr-pull");
	if (k->health_check)
		add(c, d, "ecs.capability.container-health-check");
	if (k->depends_on.n)
		add(c, d, "ecs.capability.container-ordering");
	for (uint32_t i = 0; i < k->secrets.n; i++)
		add(c, d,
		    str_starts(k->secrets.v[i].value_from, S("arn:aws:secretsmanager:"))
		            ? "ecs.capability.secrets.asm.environment-variables"
		            : "ecs.capability.secrets.ssm.environment-variables");
	if (k->environment_files.n)
		add(c, d, "ecs.capability.env-files.s3");
	if (k->restart_policy && k->restart_policy->enabled.v)
		add(c, d, "ecs.capability.container-restart-policy");
	if (k->privileged.v)
		add(c, d, "com.amazonaws.ecs.capability.privileged-container");
}

void ecs_definition_attributes(struct call *c, struct ecs_task_definition *d)
{
	d->requires_attributes = (struct ecs_requires_attributes){0};
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		add_container(c, d, &d->container_definitions.v[i]);
	for (uint32_t i = 0; i < d->volumes.n; i++)
		if (d->volumes.v[i].docker_volume_configuration)
			add(c, d, "com.amazonaws.ecs.capability.docker-plugin.local");
	if (d->task_role_arn.n)
		add(c, d, "com.amazonaws.ecs.capability.task-iam-role");
	if (str_is(d->network_mode, "awsvpc"))
		add(c, d, "ecs.capability.task-eni");
	add(c, d, "com.amazonaws.ecs.capability.docker-remote-api.1.18");
}
