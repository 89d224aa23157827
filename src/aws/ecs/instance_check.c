/* What the agent of our images cannot do for a task definition. What it can is in guest/ecs.py. */
#include "container_instance.h"

static struct str no(struct call *c, const char *what)
{
	return arena_printf(c->arena, "%s not supported by this cloud's container agent.", what);
}

static struct str log_refused(struct call *c, const struct ecs_log_configuration *l)
{
	static const char *const files[] = {"max-size", "max-file", NULL};
	if (!str_is(l->log_driver, "awslogs") && !str_is(l->log_driver, "json-file"))
		return no(c, "Log drivers other than awslogs and json-file are");
	if (l->secret_options.n)
		return no(c, "Secret options of log drivers are");
	for (uint32_t i = 0; i < l->options.n && str_is(l->log_driver, "json-file"); i++)
		if (!str_is(l->options.v[i].key, files[0]) && !str_is(l->options.v[i].key, files[1]))
			return no(c, "Options of json-file other than max-size and max-file are");
	return STR_NONE;
}

static struct str security_refused(struct call *c, const struct ecs_container_definition *k)
{
	for (uint32_t i = 0; i < k->docker_security_options.n; i++)
		if (!str_is(k->docker_security_options.v[i], "no-new-privileges"))
			return no(c, "dockerSecurityOptions other than no-new-privileges are");
	return STR_NONE;
}

static struct str container_refused(struct call *c, const struct ecs_container_definition *k)
{
	struct str why = STR_NONE;
	/* Control groups of version 2 do not know it. */
	if (k->linux_parameters && k->linux_parameters->swappiness.set)
		return no(c, "swappiness is");
	if (str_set(why = security_refused(c, k)))
		return why;
	if (k->log_configuration && str_set(why = log_refused(c, k->log_configuration)))
		return why;
	return k->resource_requirements.n  ? no(c, "Resource requirements are")
	       : k->repository_credentials ? no(c, "Private registries other than ECR are")
	       : k->pseudo_terminal.v      ? no(c, "pseudoTerminal is")
	                                   : STR_NONE;
}

static struct str volume_refused(struct call *c, const struct ecs_volume *v)
{
	const struct ecs_docker_volume_configuration *d = v->docker_volume_configuration;
	return d && str_set(d->driver) && !str_is(d->driver, "local") ? no(c, "Docker's volumes of drivers other than local are")
	       : d && d->driver_opts.n                                ? no(c, "Options of the driver of Docker's volumes are")
	       : v->efs_volume_configuration || v->fsx_windows_file_server_volume_configuration ||
	                       v->s3files_volume_configuration || v->configured_at_launch.v
	               ? S("Volumes of EFS, FSx, S3 Files and EBS are not supported by this cloud.")
	               : STR_NONE;
}

struct str ecs_instance_refuses(struct call *c, const struct ecs_task_definition *d)
{
	const struct ecs_runtime_platform *p = d->runtime_platform;
	struct str why;
	if (p && p->operating_system_family.n && !str_is(p->operating_system_family, "LINUX"))
		return S("Operating systems other than LINUX are not supported by this cloud.");
	if (p && p->cpu_architecture.n && !str_is(p->cpu_architecture, "X86_64"))
		return S("This cloud's container instances do not have the processor architecture of the task definition.");
	if (d->proxy_configuration)
		return no(c, "A proxy configuration is");
	if (d->enable_fault_injection.v)
		return no(c, "Fault injection is");
	for (uint32_t i = 0; i < d->volumes.n; i++)
		if (str_set(why = volume_refused(c, &d->volumes.v[i])))
			return why;
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		if (str_set(why = container_refused(c, &d->container_definitions.v[i])))
			return why;
	return STR_NONE;
}
