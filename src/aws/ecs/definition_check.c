/* What holds for a task definition as a whole, and the defaults that AWS writes into one. */
#include "rows.h"

#include "base/buf.h"

enum { CONTAINERS_MAX = 10, BYTES_MAX = 64 * 1024, CONSTRAINTS_MAX = 10, VOLUMES_MAX = 32 };
enum { CPU_MIN = 128, CPU_MAX = 196608, MEMORY_MIN = 4, MIB_A_GB = 1024, UNITS_A_CPU = 1024 };

/* "1 vCPU", ".5vcpu": a number and its unit, in thousandths; or a plain integer. */
static int64_t amount(struct str text, struct str unit, int64_t plain_of_unit)
{
	struct str t = str_trim(text);
	int64_t plain;
	double of;
	if (str_to_i64(t, &plain))
		return plain > 0 && plain < INT32_MAX ? plain : 0;
	if (t.n <= unit.n || !str_ieq(str_from_at(t, t.n - unit.n), unit))
		return 0;
	t = str_trim(str_sub(t, 0, t.n - unit.n));
	for (size_t i = 0; i < t.n; i++)
		if (!ascii_is_digit(t.p[i]) && t.p[i] != '.')
			return 0;
	if (!t.n || !str_to_double(t.p[0] == '.' ? str_from_at(t, 0) : t, &of) || of <= 0 || of > 1e6)
		return 0;
	double all = of * (double)plain_of_unit;
	return all == (double)(int64_t)all ? (int64_t)all : 0;
}

int64_t ecs_cpu_units(struct str text)
{
	return amount(text, S("vCPU"), UNITS_A_CPU);
}

int64_t ecs_memory_mib(struct str text)
{
	return amount(text, S("GB"), MIB_A_GB);
}

/* Sizes are kept as plain numbers, however they were written. */
static int check_size(struct call *c, struct ecs_task_definition *d)
{
	static const char *const more = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";
	int64_t cpu = str_set(d->cpu) ? ecs_cpu_units(d->cpu) : 0, memory = str_set(d->memory) ? ecs_memory_mib(d->memory) : 0;
	if (str_set(d->cpu) && (cpu < CPU_MIN || cpu > CPU_MAX))
		return ecs_client_error(c, "Invalid 'cpu' setting for task. %s", more);
	if (str_set(d->memory) && memory < MEMORY_MIN)
		return ecs_client_error(c, "Invalid 'memory' setting for task. %s", more);
	if (cpu)
		d->cpu = arena_printf(c->arena, "%lld", (long long)cpu);
	if (memory)
		d->memory = arena_printf(c->arena, "%lld", (long long)memory);
	int64_t cpus = 0, hard = 0, soft = 0;
	for (uint32_t i = 0; i < d->container_definitions.n; i++) {
		const struct ecs_container_definition *k = &d->container_definitions.v[i];
		cpus += k->cpu.v;
		hard = k->memory.v > hard ? k->memory.v : hard;
		soft += k->memory_reservation.set ? k->memory_reservation.v : 0;
		if (!memory && !k->memory.set && !k->memory_reservation.set)
			return ecs_client_error(
			        c,
			        "Invalid setting for container '%.*s'. At least one of 'memory' or 'memoryReservation' must be specified.",
			        STR_ARG(k->name));
	}
	if (cpu && cpus > cpu)
		return ecs_client_error(c,
		                        "The total number of CPU units reserved by the containers exceeds the 'cpu' of the task.");
	if (memory && hard > memory)
		return ecs_client_error(c, "Invalid 'memory' setting for a container: it exceeds the 'memory' of the task.");
	if (memory && soft > memory)
		return ecs_client_error(c, "The total 'memoryReservation' of the containers exceeds the 'memory' of the task.");
	return CALL_OK;
}

static int check_volumes(struct call *c, const struct ecs_task_definition *d)
{
	if (d->volumes.n > VOLUMES_MAX)
		return ecs_client_error(c, "A task definition can have at most %d volumes.", VOLUMES_MAX);
	for (uint32_t i = 0; i < d->volumes.n; i++) {
		const struct ecs_volume *v = &d->volumes.v[i];
		unsigned kinds = !!v->host + !!v->docker_volume_configuration + !!v->efs_volume_configuration +
		                 !!v->fsx_windows_file_server_volume_configuration + !!v->s3files_volume_configuration +
		                 (v->configured_at_launch.v ? 1 : 0);
		if (!ecs_name_good(v->name))
			return ecs_client_error(c, "Volume name contains invalid characters.");
		if (kinds > 1)
			return ecs_client_error(c, "Only one volume configuration can be specified for volume '%.*s'.",
			                        STR_ARG(v->name));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(d->volumes.v[k].name, v->name))
				return ecs_client_error(c, "Volume names must be unique: '%.*s' is there twice.", STR_ARG(v->name));
	}
	return CALL_OK;
}

static const struct ecs_container_definition *container(const struct ecs_task_definition *d, struct str name)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		if (str_eq(d->container_definitions.v[i].name, name))
			return &d->container_definitions.v[i];
	return NULL;
}

/* Does one wait for itself, through others? A walk of as many steps as there are containers finds a way back. */
static bool waits_for(const struct ecs_task_definition *d, const struct ecs_container_definition *k, struct str name,
                      uint32_t steps)
{
	for (uint32_t i = 0; steps && i < k->depends_on.n; i++) {
		const struct ecs_container_definition *next = container(d, k->depends_on.v[i].container_name);
		if (str_eq(k->depends_on.v[i].container_name, name) || (next && waits_for(d, next, name, steps - 1)))
			return true;
	}
	return false;
}

static int check_depends(struct call *c, const struct ecs_task_definition *d, const struct ecs_container_definition *k)
{
	for (uint32_t i = 0; i < k->depends_on.n; i++) {
		const struct ecs_container_dependency *on = &k->depends_on.v[i];
		const struct ecs_container_definition *other = container(d, on->container_name);
		if (!other || other == k)
			return ecs_client_error(
			        c, "Invalid 'dependsOn' setting for container '%.*s': there is no other container '%.*s'.",
			        STR_ARG(k->name), STR_ARG(on->container_name));
		for (uint32_t n = 0; n < i; n++)
			if (str_eq(k->depends_on.v[n].container_name, on->container_name))
				return ecs_client_error(c,
				                        "Invalid 'dependsOn' setting for container '%.*s': '%.*s' is there twice.",
				                        STR_ARG(k->name), STR_ARG(on->container_name));
		if (str_is(on->condition, "HEALTHY") && !other->health_check)
			return ecs_client_error(
			        c, "Invalid 'dependsOn' setting for container '%.*s': '%.*s' has no health check to be HEALTHY by.",
			        STR_ARG(k->name), STR_ARG(on->container_name));
		bool ends = str_is(on->condition, "COMPLETE") || str_is(on->condition, "SUCCESS");
		if (ends && (!other->essential.set || other->essential.v))
			return ecs_client_error(
			        c,
			        "Invalid 'dependsOn' setting for container '%.*s': the condition %.*s cannot be used with the essential "
			        "container '%.*s'.",
			        STR_ARG(k->name), STR_ARG(on->condition), STR_ARG(on->container_name));
	}
	if (waits_for(d, k, k->name, d->container_definitions.n))
		return ecs_client_error(c, "Container dependencies form a cycle through '%.*s'.", STR_ARG(k->name));
	return CALL_OK;
}

static int check_containers(struct call *c, struct ecs_task_definition *d)
{
	bool essential = false;
	if (!d->container_definitions.n)
		return ecs_client_error(c, "Container list cannot be empty.");
	if (d->container_definitions.n > CONTAINERS_MAX)
		return ecs_client_error(c, "Too many containers: a task definition can have at most %d.", CONTAINERS_MAX);
	for (uint32_t i = 0; i < d->container_definitions.n; i++) {
		struct ecs_container_definition *k = &d->container_definitions.v[i];
		if (ecs_container_check(c, d, k) != CALL_OK)
			return CALL_FAIL;
		for (uint32_t n = 0; n < i; n++)
			if (str_eq(d->container_definitions.v[n].name, k->name))
				return ecs_client_error(c, "Container names must be unique: '%.*s' is there twice.",
				                        STR_ARG(k->name));
		essential = essential || k->essential.v;
	}
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		if (check_depends(c, d, &d->container_definitions.v[i]) != CALL_OK)
			return CALL_FAIL;
	return essential ? CALL_OK : ecs_client_error(c, "At least one container of a task definition must be essential.");
}

static bool requires(const struct ecs_task_definition *d, const char *what)
{
	for (uint32_t i = 0; i < d->requires_compatibilities.n; i++)
		if (str_is(d->requires_compatibilities.v[i], what))
			return true;
	return false;
}

static void compatible(struct call *c, struct ecs_task_definition *d, struct str with)
{
	*LIST_ADD(c->arena, &d->compatibilities) = with;
}

/* A definition that need not run on Fargate still says whether it could. */
static int check_compatibilities(struct call *c, struct ecs_task_definition *d)
{
	struct str why = ecs_fargate_refuses(c, d);
	if (requires(d, "MANAGED_INSTANCES") || requires(d, "EXTERNAL"))
		return ecs_client_error(c, "The launch types EXTERNAL and MANAGED_INSTANCES are not supported by this cloud.");
	if (requires(d, "FARGATE") && str_set(why))
		return ecs_client_error(c, "%.*s", STR_ARG(why));
	d->compatibilities = (struct str_list){0};
	compatible(c, d, S("EC2"));
	if (!str_set(why))
		compatible(c, d, S("FARGATE"));
	return CALL_OK;
}

static int check_modes(struct call *c, struct ecs_task_definition *d)
{
	if (requires(d, "FARGATE") && !str_set(d->network_mode))
		return ecs_client_error(c, "Fargate only supports network mode \u2018awsvpc\u2019.");
	for (uint32_t i = 0; i < d->placement_constraints.n; i++)
		if (!str_is(d->placement_constraints.v[i].type, "memberOf") || !d->placement_constraints.v[i].expression.n)
			return ecs_client_error(
			        c, "A placement constraint of a task definition has the type memberOf and an expression.");
	if (d->placement_constraints.n > CONSTRAINTS_MAX)
		return ecs_client_error(c, "A task definition can have at most %d placement constraints.", CONSTRAINTS_MAX);
	if (d->ephemeral_storage && (d->ephemeral_storage->size_in_gib.v < 21 || d->ephemeral_storage->size_in_gib.v > 200))
		return ecs_client_error(c, "Ephemeral storage size must be between 21 and 200 GiB.");
	if (d->inference_accelerators.n)
		return ecs_client_error(c, "Inference accelerators are not supported by this cloud.");
	return CALL_OK;
}

int ecs_definition_check(struct call *c, struct ecs_task_definition *d)
{
	if (!ecs_name_good(d->family))
		return ecs_client_error(c, d->family.n ? "Family contains invalid characters."
		                                       : "Family should not be null or empty.");
	if (check_modes(c, d) != CALL_OK || check_volumes(c, d) != CALL_OK || check_containers(c, d) != CALL_OK ||
	    check_size(c, d) != CALL_OK || check_compatibilities(c, d) != CALL_OK)
		return CALL_FAIL;
	struct record_type row = {&ecs_api, "TaskDefinition"};
	if (record_write(c->arena, &row, d).n > BYTES_MAX)
		return ecs_client_error(c, "Actual length: '%zu'. Max allowed length is '%d' bytes.",
		                        record_write(c->arena, &row, d).n, BYTES_MAX);
	return CALL_OK;
}
