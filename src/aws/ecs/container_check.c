/* What holds for one container of a task definition, wherever it is to run; and the defaults that AWS writes into it. */
#include "journal.h"

enum {
	CPU_MIN = 0,
	MEMORY_MIN = 6,
	PORT_MAX = 65535,
	PORTS_MAX = 100,
	FILES_MAX = 10,
	IMAGE_MAX = 255,
	START_MIN = 2,
	TMPFS_OPTIONS_MAX = 30
};

static int refuse(struct call *c, const struct ecs_container_definition *k, const char *setting, const char *why)
{
	return ecs_client_error(c, "Invalid '%s' setting for container '%.*s': %s", setting, STR_ARG(k->name), why);
}

static bool within(struct opt_int v, int64_t from, int64_t to)
{
	return !v.set || (v.v >= from && v.v <= to);
}

static int check_size(struct call *c, struct ecs_container_definition *k)
{
	if (!k->cpu.set)
		k->cpu = OPT_INT(CPU_MIN);
	if (k->cpu.v < 0)
		return ecs_client_error(c, "Invalid setting for container '%.*s'. CPU units must not be negative.",
		                        STR_ARG(k->name));
	if (!within(k->memory, MEMORY_MIN, INT32_MAX) || !within(k->memory_reservation, MEMORY_MIN, INT32_MAX))
		return ecs_client_error(c, "Invalid setting for container '%.*s'. The minimum memory is %d MiB.", STR_ARG(k->name),
		                        MEMORY_MIN);
	if (k->memory.set && k->memory_reservation.set && k->memory_reservation.v > k->memory.v)
		return ecs_client_error(c,
		                        "Invalid setting for container '%.*s'. 'memory' must not be less than 'memoryReservation'.",
		                        STR_ARG(k->name));
	return CALL_OK;
}

/* In awsvpc and host mode a container's port is the host's. */
static int check_port(struct call *c, const struct ecs_task_definition *d, const struct ecs_container_definition *k,
                      struct ecs_port_mapping *p)
{
	bool vpc = str_is(d->network_mode, "awsvpc"), same = vpc || str_is(d->network_mode, "host");
	if (p->container_port_range.n)
		return refuse(c, k, "portMappings", "ranges of ports are not supported by this cloud.");
	if (!p->container_port.set || !within(p->container_port, 1, PORT_MAX) || !within(p->host_port, 0, PORT_MAX))
		return refuse(c, k, "portMappings", "a container port is from 1 to 65535, a host port from 0 to 65535.");
	if (vpc && p->host_port.set && p->host_port.v && p->host_port.v != p->container_port.v)
		return ecs_client_error(c,
		                        "When networkMode=awsvpc, the host ports and container ports in port mappings must match.");
	if (same && p->host_port.set && p->host_port.v && p->host_port.v != p->container_port.v)
		return ecs_client_error(c,
		                        "When networkMode=host, the host ports and container ports in port mappings must match.");
	if (same || !p->host_port.set)
		p->host_port = same ? p->container_port : OPT_INT(0);
	if (!str_set(p->protocol))
		p->protocol = S("tcp");
	if (p->app_protocol.n && !p->name.n)
		return refuse(c, k, "portMappings", "an appProtocol needs a name.");
	return CALL_OK;
}

/* Containers of one network must not want the same port. */
static int check_ports(struct call *c, const struct ecs_task_definition *d, struct ecs_container_definition *k)
{
	if (k->port_mappings.n > PORTS_MAX)
		return refuse(c, k, "portMappings", "there can be at most 100.");
	for (uint32_t i = 0; i < k->port_mappings.n; i++) {
		struct ecs_port_mapping *p = &k->port_mappings.v[i];
		if (check_port(c, d, k, p) != CALL_OK)
			return CALL_FAIL;
		for (const struct ecs_container_definition *o = d->container_definitions.v; o <= k; o++)
			for (uint32_t n = 0; n < (o == k ? i : o->port_mappings.n); n++)
				if (p->host_port.v && o->port_mappings.v[n].host_port.v == p->host_port.v &&
				    str_eq(o->port_mappings.v[n].protocol, p->protocol))
					return ecs_client_error(c, "The host port %lld is mapped more than once.",
					                        (long long)p->host_port.v);
	}
	return CALL_OK;
}

static int check_health(struct call *c, struct ecs_container_definition *k)
{
	struct ecs_health_check *h = k->health_check;
	if (!h)
		return CALL_OK;
	struct str kind = h->command.n ? h->command.v[0] : STR_NONE;
	bool shell = str_is(kind, "CMD-SHELL"), none = str_is(kind, "NONE");
	if ((!shell && !none && !str_is(kind, "CMD")) || (!none && h->command.n < 2) || (shell && h->command.n != 2))
		return refuse(c, k, "healthCheck",
		              "a command begins with CMD-SHELL, for one string, or CMD, for a list of arguments.");
	if (!within(h->interval, 5, 300))
		return refuse(c, k, "healthCheck", "interval must be between 5 and 300 seconds.");
	if (!within(h->timeout, 2, 120))
		return refuse(c, k, "healthCheck", "timeout must be between 2 and 120 seconds.");
	if (!within(h->retries, 1, 10))
		return refuse(c, k, "healthCheck", "retries must be between 1 and 10.");
	if (!within(h->start_period, 0, 300))
		return refuse(c, k, "healthCheck", "startPeriod must be between 0 and 300 seconds.");
	h->interval = h->interval.set ? h->interval : OPT_INT(30);
	h->timeout = h->timeout.set ? h->timeout : OPT_INT(5);
	h->retries = h->retries.set ? h->retries : OPT_INT(3);
	return CALL_OK;
}

static int check_environment(struct call *c, const struct ecs_container_definition *k)
{
	if (k->environment_files.n > FILES_MAX)
		return refuse(c, k, "environmentFiles", "there can be at most 10.");
	for (uint32_t i = 0; i < k->environment_files.n; i++)
		if (!str_starts(k->environment_files.v[i].value, S("arn:aws:s3:::")) ||
		    !str_ends(k->environment_files.v[i].value, S(".env")) ||
		    str_find_char(str_from_at(k->environment_files.v[i].value, sizeof("arn:aws:s3:::") - 1), '/') < 1)
			return refuse(c, k, "environmentFiles", "a value is the ARN of an object in S3 whose name ends in .env.");
	for (uint32_t i = 0; i < k->environment.n; i++)
		if (!k->environment.v[i].name.n || str_find_char(k->environment.v[i].name, '=') >= 0)
			return refuse(c, k, "environment", "a variable has a name, without '='.");
	for (uint32_t i = 0; i < k->secrets.n; i++) {
		if (!k->secrets.v[i].name.n || !k->secrets.v[i].value_from.n)
			return refuse(c, k, "secrets", "a secret has a name and a place that it comes from.");
		for (uint32_t n = 0; n < k->environment.n; n++)
			if (str_eq(k->environment.v[n].name, k->secrets.v[i].name))
				return ecs_client_error(
				        c,
				        "The secret name must be unique and not shared with any new or existing environment "
				        "variables set on the container, such as '%.*s'.",
				        STR_ARG(k->secrets.v[i].name));
	}
	return CALL_OK;
}

static bool has_volume(const struct ecs_task_definition *d, struct str name)
{
	for (uint32_t i = 0; i < d->volumes.n; i++)
		if (str_eq(d->volumes.v[i].name, name))
			return true;
	return false;
}

static bool has_container(const struct ecs_task_definition *d, struct str name)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		if (str_eq(d->container_definitions.v[i].name, name))
			return true;
	return false;
}

static int check_mounts(struct call *c, const struct ecs_task_definition *d, const struct ecs_container_definition *k)
{
	for (uint32_t i = 0; i < k->mount_points.n; i++) {
		const struct ecs_mount_point *m = &k->mount_points.v[i];
		if (!has_volume(d, m->source_volume))
			return ecs_client_error(c, "Unknown volume '%.*s'.", STR_ARG(m->source_volume));
		if (!str_starts(m->container_path, S("/")))
			return refuse(c, k, "mountPoints", "a containerPath is absolute.");
		for (uint32_t n = 0; n < i; n++)
			if (str_eq(k->mount_points.v[n].container_path, m->container_path))
				return refuse(c, k, "mountPoints", "a containerPath is there twice.");
	}
	for (uint32_t i = 0; i < k->volumes_from.n; i++)
		if (!has_container(d, k->volumes_from.v[i].source_container) ||
		    str_eq(k->volumes_from.v[i].source_container, k->name))
			return ecs_client_error(c, "Unknown container '%.*s'.", STR_ARG(k->volumes_from.v[i].source_container));
	return CALL_OK;
}

/* Of what mount(8) knows, what has a meaning for a file system in memory of the container's own. */
static bool tmpfs_option(struct str option)
{
	static const char *const plain[] = {"defaults", "ro",         "rw",          "suid",          "nosuid",   "dev",
	                                    "nodev",    "exec",       "noexec",      "sync",          "async",    "dirsync",
	                                    "mand",     "nomand",     "atime",       "noatime",       "diratime", "nodiratime",
	                                    "relatime", "norelatime", "strictatime", "nostrictatime", NULL};
	static const char *const valued[] = {"mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", NULL};
	struct str name = str_cut(&option, '=');
	for (const char *const *o = str_set(option) ? valued : plain; *o; o++)
		if (str_is(name, *o))
			return true;
	return false;
}

static int check_tmpfs(struct call *c, const struct ecs_container_definition *k)
{
	const struct ecs_linux_parameters *l = k->linux_parameters;
	for (uint32_t i = 0; l && i < l->tmpfs.n; i++) {
		const struct ecs_tmpfs *t = &l->tmpfs.v[i];
		if (!str_starts(t->container_path, S("/")))
			return refuse(c, k, "tmpfs", "a containerPath is absolute.");
		if (!within(t->size, 1, INT32_MAX))
			return refuse(c, k, "tmpfs", "a size is at least 1 MiB.");
		if (t->mount_options.n > TMPFS_OPTIONS_MAX)
			return refuse(c, k, "tmpfs", "there are too many mountOptions.");
		for (uint32_t n = 0; n < t->mount_options.n; n++)
			if (!tmpfs_option(t->mount_options.v[n]))
				return ecs_client_error(
				        c,
				        "Invalid 'tmpfs' setting for container '%.*s': the mount option '%.*s' is not supported.",
				        STR_ARG(k->name), STR_ARG(t->mount_options.v[n]));
	}
	return CALL_OK;
}

static int check_log(struct call *c, const struct ecs_container_definition *k)
{
	const struct ecs_log_configuration *l = k->log_configuration;
	if (!l || !str_is(l->log_driver, "awslogs"))
		return CALL_OK;
	for (const char *const *o = (const char *const[]){"awslogs-group", "awslogs-region", NULL}; *o; o++)
		if (!str_map_get(&l->options, str_from(*o)).n)
			return ecs_client_error(c, "Log driver awslogs requires options: awslogs-region, awslogs-group");
	for (uint32_t i = 0; i < l->options.n; i++) {
		bool known = false;
		for (const char *const *o = (const char *const[]){"awslogs-create-group", "awslogs-datetime-format",
		                                                  "awslogs-group", "awslogs-multiline-pattern", "awslogs-region",
		                                                  "awslogs-stream-prefix", "max-buffer-size", "mode", NULL};
		     *o; o++)
			known = known || str_is(l->options.v[i].key, *o);
		if (!known)
			return ecs_client_error(c, "Log driver awslogs disallows options: %.*s", STR_ARG(l->options.v[i].key));
	}
	struct str mode = str_map_get(&l->options, S("mode"));
	if (mode.n && !str_is(mode, "blocking") && !str_is(mode, "non-blocking"))
		return refuse(c, k, "logConfiguration", "mode is blocking or non-blocking.");
	const struct pattern *begins;
	const char *why;
	if (!journal_begins(c->arena, &l->options, &begins, &why))
		return refuse(c, k, "logConfiguration", why);
	if (l->secret_options.n)
		return refuse(c, k, "logConfiguration", "the driver awslogs has no secret options.");
	return CALL_OK;
}

static int check_limits(struct call *c, struct ecs_container_definition *k)
{
	if (!within(k->start_timeout, START_MIN, 120 * 60) || !within(k->stop_timeout, 0, 120 * 60))
		return refuse(c, k, "startTimeout", "timeouts are seconds: at least 2 to start, none to stop.");
	for (uint32_t i = 0; i < k->ulimits.n; i++)
		if (k->ulimits.v[i].soft_limit.v > k->ulimits.v[i].hard_limit.v && k->ulimits.v[i].hard_limit.v >= 0)
			return refuse(c, k, "ulimits", "a soft limit must not exceed the hard limit.");
	const struct ecs_container_restart_policy *r = k->restart_policy;
	if (r && !within(r->restart_attempt_period, 60, 1800))
		return refuse(c, k, "restartPolicy", "restartAttemptPeriod must be between 60 and 1800 seconds.");
	if (r && r->ignored_exit_codes.n > 50)
		return refuse(c, k, "restartPolicy", "there can be at most 50 ignoredExitCodes.");
	if (k->firelens_configuration || k->credential_specs.n)
		return refuse(c, k, "firelensConfiguration",
		              "neither FireLens nor credential specifications are supported by this cloud.");
	return CALL_OK;
}

/* What a network interface of its own leaves no room for. */
static int check_network(struct call *c, const struct ecs_task_definition *d, const struct ecs_container_definition *k)
{
	if (!str_is(d->network_mode, "awsvpc"))
		return k->links.n && !str_is(d->network_mode, "bridge") && str_set(d->network_mode)
		               ? ecs_client_error(c, "Links are only supported when networkMode=bridge.")
		               : CALL_OK;
	const struct {
		const char *what;
		bool given;
	} none[] = {{"Links are", k->links.n},
	            {"Hostname is", k->hostname.n},
	            {"DNS servers are", k->dns_servers.n},
	            {"DNS search domains are", k->dns_search_domains.n},
	            {"Extra hosts are", k->extra_hosts.n},
	            {"Disabled networking is", k->disable_networking.v}};
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		if (none[i].given)
			return ecs_client_error(c, "%s not supported on container when networkMode=awsvpc.", none[i].what);
	return CALL_OK;
}

int ecs_container_check(struct call *c, const struct ecs_task_definition *d, struct ecs_container_definition *k)
{
	if (!k->name.n)
		return ecs_client_error(c, "Container.name should not be null or empty.");
	if (!ecs_name_good(k->name))
		return ecs_client_error(c, "Container.name contains invalid characters.");
	if (!k->image.n)
		return ecs_client_error(c, "Container.image should not be null or empty.");
	if (k->image.n > IMAGE_MAX)
		return ecs_client_error(c, "Container.image repository should not be longer than %d characters.", IMAGE_MAX);
	for (size_t i = 0; i < k->image.n; i++)
		if (!ascii_is_alnum(k->image.p[i]) && !strchr("-_.:/#@+", k->image.p[i]))
			return ecs_client_error(c, "Container.image contains invalid characters.");
	if (!k->essential.set)
		k->essential = OPT_BOOL(true);
	if (check_size(c, k) != CALL_OK || check_network(c, d, k) != CALL_OK || check_ports(c, d, k) != CALL_OK ||
	    check_health(c, k) != CALL_OK || check_environment(c, k) != CALL_OK || check_mounts(c, d, k) != CALL_OK ||
	    check_tmpfs(c, k) != CALL_OK || check_log(c, k) != CALL_OK || check_limits(c, k) != CALL_OK)
		return CALL_FAIL;
	return CALL_OK;
}
