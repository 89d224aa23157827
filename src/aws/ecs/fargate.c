/* What Fargate asks of a task definition, and what of Fargate this cloud does not have. */
#include "rows.h"

#include "aws/ecr/ecr.h"

enum { STOP_MAX = 120, START_MAX = 120 };

/* Memory by processors: from, to and step in MiB. */
static const struct size {
	int64_t cpu, from, to, step;
} sizes[] = {
        {256, 512, 2048, 0},       {512, 1024, 4096, 1024},    {1024, 2048, 8192, 1024},     {2048, 4096, 16384, 1024},
        {4096, 8192, 30720, 1024}, {8192, 16384, 61440, 4096}, {16384, 32768, 122880, 8192},
};

static bool size_good(int64_t cpu, int64_t memory)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const struct size *s = &sizes[i];
		if (s->cpu != cpu || memory < s->from || memory > s->to)
			continue;
		/* The smallest size doubles. */
		return s->step ? (memory - s->from) % s->step == 0 : memory == 512 || memory == 1024 || memory == 2048;
	}
	return false;
}

static struct str no(struct call *c, const char *what)
{
	return arena_printf(c->arena, "Fargate compatible task definitions do not support %s", what);
}

static struct str linux_refused(struct call *c, const struct ecs_linux_parameters *l)
{
	if (l->devices.n)
		return no(c, "devices");
	if (l->shared_memory_size.set)
		return no(c, "sharedMemorySize");
	for (uint32_t i = 0; i < l->tmpfs.n; i++)
		for (uint32_t n = 0; n < l->tmpfs.v[i].mount_options.n; n++)
			if (str_is(l->tmpfs.v[i].mount_options.v[n], "suid") || str_is(l->tmpfs.v[i].mount_options.v[n], "dev"))
				return S("The mount options suid and dev of tmpfs are not supported by this cloud.");
	if (l->max_swap.set)
		return no(c, "maxSwap");
	if (l->swappiness.set)
		return no(c, "swappiness");
	for (uint32_t i = 0; l->capabilities && i < l->capabilities->add.n; i++)
		if (!str_is(l->capabilities->add.v[i], "SYS_PTRACE"))
			return no(c, "adding capabilities other than SYS_PTRACE");
	return STR_NONE;
}

static struct str log_refused(struct call *c, const struct ecs_task_definition *d, const struct ecs_log_configuration *l, bool role)
{
	(void)d;
	if (!str_is(l->log_driver, "awslogs"))
		return arena_printf(c->arena, "Log driver %.*s is not supported by this cloud: awslogs alone is.",
		                    STR_ARG(l->log_driver));
	if (!str_map_get(&l->options, S("awslogs-stream-prefix")).n)
		return S("Log driver awslogs requires options: awslogs-stream-prefix for FARGATE launch type");
	if (!role)
		return S("Fargate requires task definition to have execution role ARN to support log driver awslogs.");
	return STR_NONE;
}

static bool ecr_image(struct str image)
{
	struct ecr_reference ref;
	return ecr_reference_read(image, &ref);
}

static struct str container_refused(struct call *c, const struct ecs_task_definition *d, const struct ecs_container_definition *k)
{
	bool role = d->execution_role_arn.n;
	struct str why = STR_NONE;
	if (k->privileged.v)
		return no(c, "privileged");
	if (k->docker_security_options.n)
		return no(c, "dockerSecurityOptions");
	if (k->resource_requirements.n)
		return no(c, "resourceRequirements");
	if (k->links.n)
		return no(c, "links");
	if (k->repository_credentials)
		return S("Private registries other than ECR are not supported by this cloud.");
	if (k->stop_timeout.v > STOP_MAX)
		return arena_printf(c->arena, "The stopTimeout of a container on Fargate is at most %d seconds.", STOP_MAX);
	if (k->start_timeout.v > START_MAX)
		return arena_printf(c->arena, "The startTimeout of a container on Fargate is at most %d seconds.", START_MAX);
	for (uint32_t i = 0; i < k->ulimits.n; i++)
		if (!str_is(k->ulimits.v[i].name, "nofile"))
			return no(c, "ulimits other than nofile");
	if (k->linux_parameters && str_set(why = linux_refused(c, k->linux_parameters)))
		return why;
	if (ecr_image(k->image) && !role)
		return S("Fargate requires task definition to have execution role ARN to support ECR images.");
	if (k->secrets.n && !role)
		return S("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.");
	if (k->environment_files.n && !role)
		return S("When you are specifying environment files, you must also specify a value for 'executionRoleArn'.");
	return k->log_configuration ? log_refused(c, d, k->log_configuration, role) : STR_NONE;
}

static struct str volume_refused(struct call *c, const struct ecs_volume *v)
{
	if (v->host && v->host->source_path.n)
		return no(c, "source paths of volumes");
	if (v->docker_volume_configuration)
		return no(c, "dockerVolumeConfiguration");
	if (v->efs_volume_configuration || v->fsx_windows_file_server_volume_configuration || v->s3files_volume_configuration ||
	    v->configured_at_launch.v)
		return S("Volumes of EFS, FSx, S3 Files and EBS are not supported by this cloud.");
	return STR_NONE;
}

static struct str platform_refused(struct call *c, const struct ecs_task_definition *d)
{
	const struct ecs_runtime_platform *p = d->runtime_platform;
	(void)c;
	if (p && p->operating_system_family.n && !str_is(p->operating_system_family, "LINUX"))
		return S("Operating systems other than LINUX are not supported by this cloud.");
#if defined(__aarch64__)
	bool ours = p && str_is(p->cpu_architecture, "ARM64");
#else
	bool ours = !p || !p->cpu_architecture.n || str_is(p->cpu_architecture, "X86_64");
#endif
	if (!ours)
		return S("This cloud's machine does not have the processor architecture of the task definition.");
	if (d->proxy_configuration)
		return S("Proxy configurations are not supported by this cloud.");
	return STR_NONE;
}

struct str ecs_fargate_refuses(struct call *c, const struct ecs_task_definition *d)
{
	struct str why;
	if (!str_is(d->network_mode, "awsvpc"))
		return S("Fargate only supports network mode \u2018awsvpc\u2019.");
	if (!d->cpu.n)
		return S("Fargate requires that 'cpu' be defined at the task level.");
	if (!d->memory.n)
		return S("Fargate requires that 'memory' be defined at the task level.");
	if (!size_good(ecs_cpu_units(d->cpu), ecs_memory_mib(d->memory)))
		return arena_printf(c->arena, "No Fargate configuration exists for given values: %.*s CPU, %.*s memory.",
		                    STR_ARG(d->cpu), STR_ARG(d->memory));
	if (d->pid_mode.n && !str_is(d->pid_mode, "task"))
		return no(c, "pidMode other than task");
	if (d->ipc_mode.n)
		return no(c, "ipcMode");
	if (d->placement_constraints.n)
		return no(c, "placementConstraints");
	if (d->enable_fault_injection.v)
		return S("Fault injection is not supported by this cloud.");
	if (str_set(why = platform_refused(c, d)))
		return why;
	for (uint32_t i = 0; i < d->volumes.n; i++)
		if (str_set(why = volume_refused(c, &d->volumes.v[i])))
			return why;
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		if (str_set(why = container_refused(c, d, &d->container_definitions.v[i])))
			return why;
	return STR_NONE;
}
