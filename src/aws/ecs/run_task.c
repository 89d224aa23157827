/* RunTask: what was asked for is held against the definition, each task gets its network interface, and its record; all in one
 * transaction. What follows is the crew's work (crew.c). */
#include "task.h"

#include "aws/ec2/ec2.h"
#include "base/hash.h"
#include "base/id.h"
#include "connect.h"
#include "container_instance.h"
#include "crew.h"
#include "provider.h"
#include "run.h"
#include "scheduled.h"

enum { COUNT_MAX = 10, SUBNETS_MAX = 16, GROUPS_MAX = 5, STARTED_BY_MAX = 128, TOKEN_MAX = 64, STORAGE_GIB = 20 };
#define PLATFORM "1.4.0"
#define NO_CAPACITY "Capacity is unavailable at this time. Please try again later or in a different availability zone"

/* --- checks */

static int check_launch(struct call *c, struct run *r)
{
	const struct ecs_run_task_request *in = r->in;
	if (in->launch_type.n && in->capacity_provider_strategy.n)
		return ecs_invalid(
		        c,
		        "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.");
	if (in->capacity_provider_strategy.n) {
		if (ecs_strategy_check(c, &in->capacity_provider_strategy, &r->cluster.capacity_providers) != CALL_OK)
			return CALL_FAIL;
		r->strategy = in->capacity_provider_strategy;
	} else if (!in->launch_type.n) {
		r->strategy = r->cluster.default_capacity_provider_strategy;
	}
	if (str_is(in->launch_type, "EXTERNAL"))
		return ecs_invalid(c, "No Container Instances were found in your cluster.");
	r->instances = r->strategy.n ? ecs_strategy_on_instances(&r->strategy) : !str_is(in->launch_type, "FARGATE");
	if (r->instances)
		return run_check_instances(c, r);
	if (in->placement_constraints.n)
		return ecs_invalid(c, "Placement constraints are not supported with FARGATE launch type.");
	if (in->placement_strategy.n)
		return ecs_invalid(c, "Placement strategies are not supported with FARGATE launch type.");
	if (in->platform_version.n && !str_is(in->platform_version, "LATEST") && !str_is(in->platform_version, PLATFORM))
		return call_fail(c, "PlatformUnknownException", 400, "The specified platform version does not exist.");
	if (in->volume_configurations.n)
		return call_fail(c, "UnsupportedFeatureException", 400, "Volumes that are configured at launch are not supported.");
	return CALL_OK;
}

int run_check_words(struct call *c, struct run *r)
{
	const struct ecs_run_task_request *in = r->in;
	bool ours = !c->http; /* the scheduler alone speaks of services */
	r->count = in->count.set ? in->count.v : 1;
	if (r->count < 1 || r->count > COUNT_MAX)
		return ecs_invalid(c, "Count must be between 1 and %d.", COUNT_MAX);
	if (in->started_by.n > STARTED_BY_MAX)
		return ecs_invalid(c, "startedBy can have at most %d characters.", STARTED_BY_MAX);
	for (size_t i = 0; i < in->started_by.n; i++)
		if (!ascii_is_alnum(in->started_by.p[i]) && !strchr("-_/.:", in->started_by.p[i]))
			return ecs_invalid(c, "startedBy contains invalid characters.");
	if (!ours && (str_starts(in->group, S("service:")) || str_starts(in->started_by, S("ecs-svc/"))))
		return ecs_invalid(c, "Invalid namespace for group.");
	if (str_is(in->propagate_tags, "SERVICE") && !ours)
		return ecs_invalid(c, "The SERVICE option is not valid for propagateTags when a task is run.");
	return ecs_tags_check(c, &in->tags);
}

int run_check_network(struct call *c, const struct run *r)
{
	const struct ecs_network_configuration *n = r->in->network_configuration;
	const struct ecs_aws_vpc_configuration *v = n ? n->awsvpc_configuration : NULL;
	if (r->instances && !str_is(r->definition.definition->network_mode, "awsvpc"))
		return n ? ecs_invalid(c, "Network Configuration is not valid for the given networkMode of this task definition.")
		         : CALL_OK;
	if (!v)
		return ecs_invalid(c, "Network Configuration must be provided when networkMode 'awsvpc' is specified.");
	if (!v->subnets.n)
		return ecs_invalid(c, "subnets can not be empty.");
	if (v->subnets.n > SUBNETS_MAX)
		return ecs_invalid(c, "subnets can have at most %d items.", SUBNETS_MAX);
	if (v->security_groups.n > GROUPS_MAX)
		return ecs_invalid(c, "securityGroups can have at most %d items.", GROUPS_MAX);
	if (r->instances && str_is(v->assign_public_ip, "ENABLED"))
		return ecs_invalid(c, "Assign public IP is not supported for this launch type.");
	return CALL_OK;
}

int run_get_definition(struct call *c, struct run *r)
{
	struct ecs_definition_name name;
	if (!ecs_definition_name(c, r->in->task_definition, &name) || !ecs_definition_find(c, &name, &r->definition))
		return ecs_client_error(c, "TaskDefinition not found.");
	bool service = !c->http && str_starts(r->in->group, S("service:")); /* goes on with what it was made of */
	if (!str_is(r->definition.definition->status, "ACTIVE") && !service)
		return ecs_client_error(c, "TaskDefinition is inactive");
	if (!r->instances && str_set(ecs_fargate_refuses(c, r->definition.definition)))
		return ecs_invalid(c, "Task definition does not support launch_type FARGATE.");
	r->group = r->in->group.n ? r->in->group : ARENA_CAT(c->arena, S("family:"), r->definition.definition->family);
	return CALL_OK;
}

/* --- overrides */

static struct ecs_container_definition *container(struct ecs_task_definition *d, struct str name)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		if (str_eq(d->container_definitions.v[i].name, name))
			return &d->container_definitions.v[i];
	return NULL;
}

static void override_environment(struct call *c, const struct ecs_environment_variables *with, struct ecs_environment_variables *to)
{
	struct ecs_environment_variables all = {0};
	for (uint32_t i = 0; i < to->n; i++)
		*LIST_ADD(c->arena, &all) = to->v[i];
	for (uint32_t i = 0; i < with->n; i++) {
		uint32_t at = 0;
		while (at < all.n && !str_eq(all.v[at].name, with->v[i].name))
			at++;
		struct ecs_key_value_pair *e = at < all.n ? &all.v[at] : LIST_ADD(c->arena, &all);
		*e = with->v[i];
	}
	*to = all;
}

static int override_container(struct call *c, struct run *r, const struct ecs_container_override *o)
{
	struct ecs_container_definition *k = container(&r->effective, o->name);
	if (!k)
		return ecs_invalid(c, "Override for container named %.*s is not a container in the TaskDefinition.",
		                   STR_ARG(o->name));
	if (o->resource_requirements.n)
		return ecs_invalid(c, "Resource requirements cannot be overridden on Fargate.");
	if (o->command.set)
		k->command = o->command;
	if (o->environment_files.set)
		k->environment_files = o->environment_files;
	k->cpu = o->cpu.set ? o->cpu : k->cpu;
	k->memory = o->memory.set ? o->memory : k->memory;
	k->memory_reservation = o->memory_reservation.set ? o->memory_reservation : k->memory_reservation;
	override_environment(c, &o->environment, &k->environment);
	return CALL_OK;
}

static int override_role(struct call *c, struct str given, struct str *role)
{
	return given.n ? ecs_role_take(c, given, role) : CALL_OK;
}

/* The definition as it will run; it must hold as a definition too. */
int run_apply_overrides(struct call *c, struct run *r)
{
	static const struct ecs_task_override nothing;
	const struct ecs_task_override *o = r->in->overrides ? r->in->overrides : &nothing;
	struct ecs_task_definition *d = &r->effective;
	*d = *r->definition.definition;
	if (o->inference_accelerator_overrides.n)
		return ecs_invalid(c, "Inference accelerators are not supported by this cloud.");
	if (override_role(c, o->task_role_arn, &d->task_role_arn) != CALL_OK ||
	    override_role(c, o->execution_role_arn, &d->execution_role_arn) != CALL_OK)
		return CALL_FAIL;
	d->cpu = o->cpu.n ? o->cpu : d->cpu;
	d->memory = o->memory.n ? o->memory : d->memory;
	d->ephemeral_storage = o->ephemeral_storage ? o->ephemeral_storage : d->ephemeral_storage;
	for (uint32_t i = 0; i < o->container_overrides.n; i++)
		if (override_container(c, r, &o->container_overrides.v[i]) != CALL_OK)
			return CALL_FAIL;
	if (r->in->overrides && ecs_definition_check(c, d) != CALL_OK)
		return CALL_FAIL;
	if (r->in->enable_execute_command.v && !d->task_role_arn.n)
		return ecs_invalid(
		        c,
		        "The task couldn't be run because a valid taskRoleArn is not being used. Specify a valid task role in your "
		        "task definition and try again.");
	struct str why = r->instances ? ecs_instance_refuses(c, d) : ecs_fargate_refuses(c, d);
	return str_set(why) ? ecs_client_error(c, "%.*s", STR_ARG(why)) : CALL_OK;
}

/* AWS shows an override for every container. */
struct ecs_task_override *run_shown_overrides(struct call *c, const struct run *r)
{
	struct ecs_task_override *o = arena_new(c->arena, struct ecs_task_override);
	if (r->in->overrides)
		*o = *r->in->overrides;
	struct ecs_container_overrides all = {.set = true};
	for (uint32_t i = 0; i < r->effective.container_definitions.n; i++) {
		struct ecs_container_override *to = LIST_ADD(c->arena, &all);
		to->name = r->effective.container_definitions.v[i].name;
		for (uint32_t k = 0; k < o->container_overrides.n; k++)
			if (str_eq(o->container_overrides.v[k].name, to->name))
				*to = o->container_overrides.v[k];
	}
	o->container_overrides = all;
	o->inference_accelerator_overrides.set = true;
	return o;
}

/* --- tags */

static void add_tags(struct call *c, struct ecs_tags *to, const struct ecs_tags *from)
{
	for (uint32_t i = 0; i < from->n; i++) {
		bool there = false;
		for (uint32_t k = 0; k < to->n; k++)
			there = there || str_eq(to->v[k].key, from->v[i].key);
		if (!there)
			*LIST_ADD(c->arena, to) = from->v[i];
	}
}

static void gather_tags(struct call *c, struct run *r)
{
	add_tags(c, &r->tags, &r->in->tags);
	if (str_is(r->in->propagate_tags, "TASK_DEFINITION"))
		add_tags(c, &r->tags, &r->definition.tags);
	if (r->in->enable_ecs_managed_tags.v) {
		*LIST_ADD(c->arena, &r->managed) = (struct str_map_entry){S("aws:ecs:clusterName"), r->cluster.cluster_name};
		if (str_starts(r->group, S("service:")))
			*LIST_ADD(c->arena, &r->managed) =
			        (struct str_map_entry){S("aws:ecs:serviceName"), str_from_at(r->group, sizeof("service:") - 1)};
	}
	for (uint32_t i = 0; i < r->managed.n; i++)
		*LIST_ADD(c->arena, &r->tags) = (struct ecs_tag){r->managed.v[i].key, r->managed.v[i].value};
	r->tags.set = true;
}

/* All tasks of a deployment run the same images, whatever becomes of their tags. */
static void fix_images(struct call *c, struct run *r)
{
	struct ecs_container_definitions own = {0};
	for (uint32_t i = 0; i < r->effective.container_definitions.n; i++)
		*LIST_ADD(c->arena, &own) = r->effective.container_definitions.v[i];
	r->effective.container_definitions = own;
	for (uint32_t i = 0; i < r->service.images.n; i++) {
		const struct ecs_container_image *image = &r->service.images.v[i];
		struct ecs_container_definition *k = container(&r->effective, image->container_name);
		if (!k || !image->image_digest.n || str_is(k->version_consistency, "disabled") || str_find_char(k->image, '@') >= 0)
			continue;
		ptrdiff_t tag = str_rfind_char(k->image, ':');
		struct str name = tag > str_rfind_char(k->image, '/') ? str_sub(k->image, 0, (size_t)tag) : k->image;
		k->image = ARENA_CAT(c->arena, name, S("@"), image->image_digest);
	}
}

static void find_service(struct call *c, struct run *r)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_service_record service = {0};
	if (!str_starts(r->group, S("service:")) ||
	    !ecs_service_find(&s, r->cluster.cluster_name, str_from_at(r->group, sizeof("service:") - 1), &service))
		return;
	for (uint32_t i = 0; i < service.runs.n; i++)
		if (str_eq(service.runs.v[i].id, r->in->started_by))
			r->service = service.runs.v[i];
}

void run_gather(struct call *c, struct run *r)
{
	gather_tags(c, r);
	find_service(c, r);
	fix_images(c, r);
}

/* --- one task */

struct str run_next_provider(struct run *r)
{
	uint32_t best = r->strategy.n;
	if (!r->strategy.n)
		return STR_NONE;
	for (uint32_t i = 0; i < r->strategy.n; i++)
		if (r->given[i] < r->strategy.v[i].base.v) {
			r->given[i]++;
			return r->strategy.v[i].capacity_provider;
		}
	for (uint32_t i = 0; i < r->strategy.n; i++) {
		int64_t w = r->strategy.n == 1 ? 1 : r->strategy.v[i].weight.v;
		if (!w)
			continue;
		int64_t mine = r->given[i] - r->strategy.v[i].base.v;
		if (best == r->strategy.n ||
		    mine * r->strategy.v[best].weight.v < (r->given[best] - r->strategy.v[best].base.v) * w)
			best = i;
	}
	best = best < r->strategy.n ? best : 0;
	r->given[best]++;
	return r->strategy.v[best].capacity_provider;
}

/* A service's strategy holds for all tasks of its deployment. */
static void count_given(struct call *c, struct run *r)
{
	struct ecs_scope s = ecs_scope(c);
	if (!r->strategy.n || !str_starts(r->group, S("service:")))
		return;
	struct str under = ecs_tasks_under(&s, r->cluster.cluster_name), key;
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(c->arena, v.value, &t) || !str_is(t.task->desired_status, "RUNNING") ||
		    !str_eq(t.task->started_by, r->in->started_by))
			continue;
		for (uint32_t i = 0; i < r->strategy.n; i++)
			r->given[i] += str_eq(t.task->capacity_provider_name, r->strategy.v[i].capacity_provider);
	}
}

static void detail(struct call *c, struct ecs_attachment *a, const char *name, struct str value)
{
	if (str_set(value))
		*LIST_ADD(c->arena, &a->details) = (struct ecs_key_value_pair){str_from(name), value};
}

void run_add_attachment(struct call *c, struct ecs_task *t, const struct ec2_lent *eni)
{
	struct ecs_attachment *a = LIST_ADD(c->arena, &t->attachments);
	*a = (struct ecs_attachment){.id = id_uuid(c->arena), .type = S("ElasticNetworkInterface"), .status = S("PRECREATED")};
	detail(c, a, "subnetId", eni->subnet);
	detail(c, a, "networkInterfaceId", eni->id);
	detail(c, a, "macAddress", eni->mac);
	detail(c, a, "privateDnsName", eni->private_name);
	detail(c, a, "privateIPv4Address", eni->address);
	detail(c, a, "ipv6Address", eni->address6);
}

static struct str number(struct call *c, struct opt_int n)
{
	return n.set ? arena_printf(c->arena, "%lld", (long long)n.v) : STR_NONE;
}

void run_add_interface(struct call *c, const struct ecs_task *t, const struct ec2_lent *eni, struct ecs_container *to)
{
	*LIST_ADD(c->arena, &to->network_interfaces) = (struct ecs_network_interface){
	        .attachment_id = t->attachments.v[0].id, .private_ipv4_address = eni->address, .ipv6_address = eni->address6};
}

void run_add_containers(struct call *c, const struct run *r, const struct ec2_lent *eni, struct ecs_task *t, struct str id)
{
	for (uint32_t i = 0; i < r->effective.container_definitions.n; i++) {
		const struct ecs_container_definition *k = &r->effective.container_definitions.v[i];
		struct ecs_container *to = LIST_ADD(c->arena, &t->containers);
		*to = (struct ecs_container){
		        .container_arn =
		                ecs_arn(c, arena_printf(c->arena, "container/%.*s/%.*s/%.*s", STR_ARG(r->cluster.cluster_name),
		                                        STR_ARG(id), STR_ARG(id_uuid(c->arena)))),
		        .task_arn = t->task_arn,
		        .name = k->name,
		        .image = i < r->definition.definition->container_definitions.n
		                         ? r->definition.definition->container_definitions.v[i].image
		                         : STR_NONE,
		        .last_status = S("PENDING"),
		        .health_status = S("UNKNOWN"),
		        .cpu = number(c, k->cpu),
		        .memory = number(c, k->memory),
		        .memory_reservation = number(c, k->memory_reservation),
		};
		to->network_bindings.set = true;
		if (r->in->enable_execute_command.v)
			*LIST_ADD(c->arena, &to->managed_agents) =
			        (struct ecs_managed_agent){.name = S("ExecuteCommandAgent"), .last_status = S("PENDING")};
		if (eni)
			run_add_interface(c, t, eni, to);
	}
}

int run_lend(struct call *c, const struct run *r, struct str subnet, struct str instance, struct str arn, struct ec2_lent *ret)
{
	const struct ecs_aws_vpc_configuration *v = r->in->network_configuration->awsvpc_configuration;
	struct ec2_lend what = {
	        .subnet = subnet,
	        .instance = instance,
	        .groups = &v->security_groups,
	        .public = str_is(v->assign_public_ip, "ENABLED"),
	        .requester = c->account,
	        .description = arn,
	        .tags = &r->managed,
	};
	if (ec2_lend_interface(c, &what, ret) == CALL_OK)
		return CALL_OK;
	/* What EC2 says of a subnet or group is said as a fault of this call's parameters. */
	struct str message = c->error.message;
	return c->error.receiver ? CALL_FAIL : ecs_invalid(c, "%.*s", STR_ARG(message));
}

static int make(struct call *c, struct run *r, int64_t index, struct str provider, struct ecs_task *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct str id = id_hex(c->arena, 32), arn = ecs_task_arn(c->arena, &s, r->cluster.cluster_name, id);
	struct ecs_task_definition *d = &r->effective;
	struct ec2_lent eni;
	struct state_ecs_connect_record *connect = NULL;
	const struct str_list *subnets = &r->in->network_configuration->awsvpc_configuration->subnets;
	if (run_lend(c, r, subnets->v[(uint32_t)index % subnets->n], STR_NONE, arn, &eni) != CALL_OK)
		return CALL_FAIL;
	connect_join(&s, &r->service, id, d, &connect);
	int64_t storage = d->ephemeral_storage ? d->ephemeral_storage->size_in_gib.v : STORAGE_GIB;
	struct ecs_ephemeral_storage *gib = arena_new(c->arena, struct ecs_ephemeral_storage);
	struct ecs_task_ephemeral_storage *fargate = arena_new(c->arena, struct ecs_task_ephemeral_storage);
	gib->size_in_gib = fargate->size_in_gib = OPT_INT(storage);
	*ret = (struct ecs_task){
	        .availability_zone = eni.zone,
	        .capacity_provider_name = provider,
	        .cluster_arn = r->cluster.cluster_arn,
	        .cpu = d->cpu,
	        .created_at = OPT_TIME(c->now_ms),
	        .desired_status = S("RUNNING"),
	        .enable_execute_command = OPT_BOOL(r->in->enable_execute_command.v),
	        .group = r->group,
	        .health_status = S("UNKNOWN"),
	        .last_status = ecs_status_name(ECS_PROVISIONING),
	        .launch_type = S("FARGATE"),
	        .memory = d->memory,
	        .overrides = run_shown_overrides(c, r),
	        .platform_version = S(PLATFORM),
	        .platform_family = S("Linux"),
	        .started_by = r->in->started_by.n ? r->in->started_by : STR_NONE,
	        .tags = r->tags,
	        .task_arn = arn,
	        .task_definition_arn = d->task_definition_arn,
	        .ephemeral_storage = gib,
	        .fargate_ephemeral_storage = fargate,
	};
	ret->inference_accelerators.set = true;
	*LIST_ADD(c->arena, &ret->attributes) = (struct ecs_attribute){.name = S("ecs.cpu-architecture"), .value = S("x86_64")};
	run_add_attachment(c, ret, &eni);
	run_add_containers(c, r, &eni, ret, id);
	struct state_ecs_task_record record = {
	        .id = id,
	        .cluster = r->cluster.cluster_name,
	        .task = ret,
	        .definition = d,
	        .interface = eni.id,
	        .task_role = d->task_role_arn,
	        .execution_role = d->execution_role_arn,
	        .registries = r->service.registries,
	        .balancers = r->service.balancers,
	        .connect = connect,
	        .spot = OPT_BOOL(str_is(ret->capacity_provider_name, "FARGATE_SPOT")),
	};
	ecs_task_put(&s, &record);
	return CALL_OK;
}

/* --- the same token again */

static const struct record_type token_row = {&state_ecs_api, "TokenRecord"};

static struct str token_key(struct call *c, const struct run *r)
{
	return KEY(c->arena, S("ecs"), S("token"), c->account, c->region, r->cluster.cluster_name, r->in->client_token);
}

static struct str input_digest(struct call *c, const struct ecs_run_task_request *in)
{
	struct record_type row = {&ecs_api, "RunTaskRequest"};
	struct ecs_run_task_request copy = *in;
	copy.client_token = STR_NONE;
	return hash_hex(c->arena, HASH_SHA256, record_write(c->arena, &row, &copy));
}

/* True: it was answered before, or is refused. */
static bool again(struct call *c, const struct run *r, struct ecs_run_task_response *out, int *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_token_record t;
	*ret = CALL_OK;
	if (!r->in->client_token.n || !record_get(call_txn(c), c->arena, token_key(c, r), &token_row, &t))
		return false;
	if (!str_eq(t.input, input_digest(c, r->in))) {
		*ret = call_fail(c, "ConflictException", 400, "The client token was used with other parameters.");
		return true;
	}
	for (uint32_t i = 0; i < t.tasks.n; i++) {
		struct state_ecs_task_record record;
		if (ecs_task_find(&s, r->cluster.cluster_name, t.tasks.v[i], &record))
			*LIST_ADD(c->arena, &out->tasks) = *record.task;
	}
	return true;
}

static void remember(struct call *c, const struct run *r, const struct ecs_run_task_response *out)
{
	struct state_ecs_token_record t = {.input = input_digest(c, r->in)};
	if (!r->in->client_token.n)
		return;
	for (uint32_t i = 0; i < out->tasks.n; i++) {
		struct str arn = out->tasks.v[i].task_arn;
		*LIST_ADD(c->arena, &t.tasks) = str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1);
	}
	store_put_leased(call_txn(c), token_key(c, r), record_write(c->arena, &token_row, &t), crew_token_lease(c));
}

int ecs_run_task(struct call *c, const struct ecs_run_task_request *in, struct ecs_run_task_response *out)
{
	struct run *r = arena_new(c->arena, struct run);
	int said;
	r->in = in;
	out->tasks.set = out->failures.set = true;
	if (in->client_token.n > TOKEN_MAX)
		return ecs_invalid(c, "clientToken can have at most %d characters.", TOKEN_MAX);
	if (run_check_words(c, r) != CALL_OK || ecs_cluster_get(c, in->cluster, &r->cluster) != CALL_OK)
		return CALL_FAIL;
	if (again(c, r, out, &said))
		return said;
	if (check_launch(c, r) != CALL_OK || run_get_definition(c, r) != CALL_OK || run_check_network(c, r) != CALL_OK ||
	    run_apply_overrides(c, r) != CALL_OK)
		return CALL_FAIL;
	run_gather(c, r);
	count_given(c, r);
	struct ecs_task_definition plain = r->effective;
	if (r->instances && run_on_instances(c, r, &out->tasks, &out->failures) != CALL_OK)
		return CALL_FAIL;
	int64_t each_mib = ecs_memory_mib(plain.memory), taken_mib = 0;
	for (int64_t i = 0; !r->instances && i < r->count; i++) {
		int64_t mib = taken_mib + each_mib;
		struct str provider = run_next_provider(r);
		bool spot = str_is(provider, "FARGATE_SPOT");
		if (!crew_has_room(c, mib) && (spot || !ecs_spot_reclaim(c, mib))) {
			ecs_failure(c, &out->failures, r->cluster.cluster_arn, NO_CAPACITY);
			continue;
		}
		taken_mib = mib;
		r->effective = plain;
		if (make(c, r, i, provider, LIST_ADD(c->arena, &out->tasks)) != CALL_OK)
			return CALL_FAIL;
	}
	if (taken_mib)
		crew_take_room(c, taken_mib);
	remember(c, r, out);
	return CALL_OK;
}
