/* Tasks on container instances: RunTask where it places, StartTask where it is told. */
#include "agent.h"
#include "aws/ec2/ec2.h"
#include "connect.h"
#include "container_instance.h"
#include "provider.h"
#include "run.h"

#include "base/id.h"
#include "base/rand.h"

enum { STARTED_MAX = 10, WAITING_MAX = 500 };

int run_check_instances(struct call *c, const struct run *r)
{
	const struct ecs_run_task_request *in = r->in;
	if (in->platform_version.n)
		return ecs_invalid(c, "The platform version must be null when specifying an EC2 launch type.");
	if (in->volume_configurations.n)
		return call_fail(c, "UnsupportedFeatureException", 400, "Volumes that are configured at launch are not supported.");
	return ecs_constraints_check(c, &in->placement_constraints) != CALL_OK ||
	                       ecs_strategies_check(c, &in->placement_strategy) != CALL_OK
	               ? CALL_FAIL
	               : CALL_OK;
}

/* --- what one of them asks of an instance */

static int add_query(struct call *c, struct placement_need *need, struct str expression)
{
	if (need->query_count == PLACEMENT_QUERIES)
		return ecs_invalid(c, "There can be at most %d placement constraints.", PLACEMENT_QUERIES);
	return ecs_expression(c, expression, &need->queries[need->query_count++]);
}

static int take_constraints(struct call *c, const struct run *r, struct placement_need *need)
{
	const struct ecs_task_definition_placement_constraints *own = &r->effective.placement_constraints;
	for (uint32_t i = 0; i < own->n; i++)
		if (add_query(c, need, own->v[i].expression) != CALL_OK)
			return CALL_FAIL;
	for (uint32_t i = 0; i < r->in->placement_constraints.n; i++) {
		const struct ecs_placement_constraint *p = &r->in->placement_constraints.v[i];
		if (str_is(p->type, "distinctInstance"))
			need->distinct = true;
		else if (add_query(c, need, p->expression) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}

/* A task with an interface of its own goes where one of the subnets is, and where one more can be plugged in. */
static int take_sites(struct call *c, const struct run *r, struct placement_need *need)
{
	if (!str_is(r->effective.network_mode, "awsvpc"))
		return CALL_OK;
	const struct str_list *subnets = &r->in->network_configuration->awsvpc_configuration->subnets;
	need->interfaces = 1;
	need->sites = arena_array(c->arena, subnets->n, sizeof(*need->sites));
	for (uint32_t i = 0; i < subnets->n; i++) {
		struct str vpc = ec2_subnet_vpc(call_txn(c), c->arena, c->account, c->region, subnets->v[i]),
		           zone = ec2_subnet_zone(call_txn(c), c->arena, c->account, c->region, subnets->v[i]);
		if (!str_set(vpc))
			return ecs_invalid(c, "The subnet ID '%.*s' does not exist", STR_ARG(subnets->v[i]));
		need->sites[need->site_count++] = (struct placement_site){subnets->v[i], vpc, zone};
	}
	return CALL_OK;
}

static void take_strategies(const struct run *r, struct placement_need *need)
{
	for (uint32_t i = 0; i < r->in->placement_strategy.n && i < PLACEMENT_STRATEGIES; i++) {
		struct str type = r->in->placement_strategy.v[i].type, field = r->in->placement_strategy.v[i].field;
		struct placement_strategy *to = &need->strategies[need->strategy_count++];
		*to = (struct placement_strategy){.by = PLACE_RANDOM};
		if (str_is(type, "binpack"))
			to->by = str_ieq(field, S("cpu")) ? PLACE_BINPACK_CPU : PLACE_BINPACK_MEMORY;
		else if (str_is(type, "spread"))
			to->by = PLACE_SPREAD;
		if (to->by == PLACE_SPREAD && str_starts(field, S("attribute:")))
			to->field = str_from_at(field, sizeof("attribute:") - 1);
	}
	/* As AWS has it: a service without a strategy is spread over the zones. */
	if (!need->strategy_count && str_starts(r->group, S("service:")))
		need->strategies[need->strategy_count++] = (struct placement_strategy){PLACE_SPREAD, S("ecs.availability-zone")};
}

/* --- one task */

static const struct ecs_container_instance *instance_of(const struct ecs_nodes *all, const struct placement_node *n)
{
	return all->records[n - all->v].instance;
}

static struct str attribute(const struct placement_node *n, const char *name)
{
	bool there;
	return placement_attribute(n, str_from(name), &there);
}

/* On the node, with an interface there where it has one of its own. */
static int settle(struct call *c, const struct run *r, const struct ecs_nodes *all, struct placement_node *n,
                  const struct placement_need *need, uint32_t index, struct state_ecs_task_record *record)
{
	struct ecs_task *t = record->task;
	struct ec2_lent eni = {0};
	if (need->interfaces) {
		if (run_lend(c, r, placement_site(n, need, index)->subnet, n->ec2_id, t->task_arn, &eni) != CALL_OK)
			return CALL_FAIL;
		n->interfaces--;
		run_add_attachment(c, t, &eni);
		record->interface = eni.id;
		for (uint32_t i = 0; i < t->containers.n; i++)
			run_add_interface(c, t, &eni, &t->containers.v[i]);
	}
	t->availability_zone = attribute(n, "ecs.availability-zone");
	t->container_instance_arn = instance_of(all, n)->container_instance_arn;
	t->capacity_provider_name = instance_of(all, n)->capacity_provider_name;
	t->connectivity = S("CONNECTED");
	t->connectivity_at = OPT_TIME(c->now_ms);
	if (!need->interfaces)
		t->last_status = ecs_status_name(ECS_PENDING);
	ecs_node_take(c->arena, n, t, record->definition);
	return CALL_OK;
}

/* n NULL: it waits for an instance of its provider. */
static int make(struct call *c, struct run *r, const struct ecs_nodes *all, struct placement_node *n, struct str provider,
                const struct placement_need *need, uint32_t index, struct ecs_task *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct str id = id_hex(c->arena, 32), arn = ecs_task_arn(c->arena, &s, r->cluster.cluster_name, id);
	struct ecs_task_definition plain = r->effective, *d = &r->effective;
	struct state_ecs_connect_record *connect = NULL;
	connect_join(&s, &r->service, id, d, &connect);
	*ret = (struct ecs_task){
	        .capacity_provider_name = provider,
	        .cluster_arn = r->cluster.cluster_arn,
	        .cpu = d->cpu.n ? d->cpu : arena_printf(c->arena, "%lld", (long long)need->cpu),
	        .created_at = OPT_TIME(c->now_ms),
	        .desired_status = S("RUNNING"),
	        .enable_execute_command = OPT_BOOL(r->in->enable_execute_command.v),
	        .group = r->group,
	        .health_status = S("UNKNOWN"),
	        .last_status = ecs_status_name(ECS_PROVISIONING),
	        .launch_type = S("EC2"),
	        .memory = d->memory.n ? d->memory : arena_printf(c->arena, "%lld", (long long)need->memory),
	        .overrides = run_shown_overrides(c, r),
	        .started_by = r->in->started_by.n ? r->in->started_by : STR_NONE,
	        .tags = r->tags,
	        .task_arn = arn,
	        .task_definition_arn = d->task_definition_arn,
	};
	ret->inference_accelerators.set = ret->attachments.set = true;
	*LIST_ADD(c->arena, &ret->attributes) = (struct ecs_attribute){.name = S("ecs.cpu-architecture"), .value = S("x86_64")};
	run_add_containers(c, r, NULL, ret, id);
	struct state_ecs_task_record record = {
	        .id = id,
	        .cluster = r->cluster.cluster_name,
	        .task = ret,
	        .definition = d,
	        .task_role = d->task_role_arn,
	        .execution_role = d->execution_role_arn,
	        .registries = r->service.registries,
	        .balancers = r->service.balancers,
	        .connect = connect,
	};
	if (!n)
		record.request = (struct ecs_run_task_request *)r->in;
	else if (settle(c, r, all, n, need, index, &record) != CALL_OK)
		return CALL_FAIL;
	ecs_task_put(&s, &record);
	r->effective = plain;
	return CALL_OK;
}

/* Why each of them has no place for it. */
static void refuse(struct call *c, const struct ecs_nodes *all, const struct placement_need *need, struct ecs_failures *failures)
{
	for (uint32_t i = 0; i < all->n; i++) {
		const char *why = placement_refuses(c->arena, &all->v[i], need);
		if (why)
			ecs_failure(c, failures, all->v[i].arn, why);
	}
}

/* Those of one provider. */
static struct ecs_nodes nodes_of(struct arena *a, const struct ecs_nodes *all, struct str provider)
{
	struct ecs_nodes own = {.records = arena_array(a, all->n + 1, sizeof(*own.records)),
	                        .v = arena_array(a, all->n + 1, sizeof(*own.v))};
	for (uint32_t i = 0; i < all->n; i++) {
		if (!str_eq(all->records[i].instance->capacity_provider_name, provider))
			continue;
		own.records[own.n] = all->records[i];
		own.v[own.n++] = all->v[i];
	}
	return own;
}

/* How many tasks of the cluster wait for instances. */
static uint32_t count_waiting(const struct ecs_scope *s, struct str cluster)
{
	struct str under = ecs_tasks_under(s, cluster), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	uint32_t n = 0;
	while (store_next(iter, &key, &v)) {
		struct state_ecs_task_record t = {0};
		n += ecs_task_read(s->arena, v.value, &t) && ecs_task_waits(t.task) && ecs_task_status(t.task) != ECS_STOPPED;
	}
	return n;
}

/* By a strategy: what has no room waits for more instances, where the provider brings them. */
static int run_by_strategy(struct call *c, struct run *r, const struct ecs_nodes *all, const struct placement_need *need,
                           struct ecs_tasks *tasks, struct ecs_failures *failures)
{
	struct ecs_scope s = ecs_scope(c);
	uint32_t waiting = count_waiting(&s, r->cluster.cluster_name);
	struct ecs_nodes own[RUN_PROVIDERS] = {0};
	for (uint32_t i = 0; i < r->strategy.n; i++)
		own[i] = nodes_of(c->arena, all, r->strategy.v[i].capacity_provider);
	for (int64_t i = 0; i < r->count; i++) {
		struct str provider = run_next_provider(r);
		struct state_ecs_provider_record p;
		uint32_t at = 0;
		while (at + 1 < r->strategy.n && !str_eq(r->strategy.v[at].capacity_provider, provider))
			at++;
		struct placement_node *n = placement_choose(c->arena, own[at].v, own[at].n, need, rand_below(UINT64_C(1) << 32));
		if (!n && (!ecs_provider_find(&s, provider, &p) || !ecs_provider_scales(&p))) {
			if (!own[at].n)
				ecs_failure(c, failures, r->cluster.cluster_arn, "EMPTY CAPACITY PROVIDER");
			refuse(c, &own[at], need, failures);
			break;
		}
		if (!n && waiting++ >= WAITING_MAX) {
			ecs_failure(c, failures, r->cluster.cluster_arn, "CAPACITY");
			break;
		}
		if (make(c, r, &own[at], n, provider, need, (uint32_t)i, LIST_ADD(c->arena, tasks)) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}

int run_on_instances(struct call *c, struct run *r, struct ecs_tasks *tasks, struct ecs_failures *failures)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_nodes all = ecs_nodes(&s, roster_of(c), r->cluster.cluster_name);
	struct placement_need need = ecs_need(c->arena, &r->effective, r->group);
	if (take_constraints(c, r, &need) != CALL_OK || take_sites(c, r, &need) != CALL_OK)
		return CALL_FAIL;
	take_strategies(r, &need);
	if (r->strategy.n)
		return run_by_strategy(c, r, &all, &need, tasks, failures);
	if (!all.n)
		return ecs_invalid(c, "No Container Instances were found in your cluster.");
	for (int64_t i = 0; i < r->count; i++) {
		struct placement_node *n = placement_choose(c->arena, all.v, all.n, &need, rand_below(UINT64_C(1) << 32));
		if (!n) {
			refuse(c, &all, &need, failures);
			break;
		}
		if (make(c, r, &all, n, STR_NONE, &need, (uint32_t)i, LIST_ADD(c->arena, tasks)) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}

/* --- a task that waits, when there may be room for it: our own operation, which no client can call */

int ecs_agent_place_task(struct call *c, const struct ecs_agent_place_task_request *in, struct ecs_agent_place_task_response *out)
{
	(void)out;
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_task_record record = {0};
	struct run *r = arena_new(c->arena, struct run);
	if (c->http)
		return call_fail(c, "AccessDeniedException", 400, "This operation is for the cloud itself.");
	if (ecs_cluster_get(c, in->cluster, &r->cluster) != CALL_OK)
		return CALL_FAIL;
	if (!ecs_task_find(&s, r->cluster.cluster_name, in->task, &record) || !ecs_task_waits(record.task) || !record.request ||
	    !str_is(record.task->desired_status, "RUNNING") || ecs_task_status(record.task) != ECS_PROVISIONING)
		return CALL_OK;
	r->in = record.request;
	r->instances = true;
	r->effective = *record.definition;
	r->group = record.task->group;
	run_gather(c, r);
	struct ecs_nodes all = ecs_nodes(&s, roster_of(c), r->cluster.cluster_name);
	struct ecs_nodes own = nodes_of(c->arena, &all, record.task->capacity_provider_name);
	struct placement_need need = ecs_need(c->arena, &r->effective, r->group);
	if (take_constraints(c, r, &need) != CALL_OK || take_sites(c, r, &need) != CALL_OK)
		return CALL_FAIL;
	take_strategies(r, &need);
	struct placement_node *n = placement_choose(c->arena, own.v, own.n, &need, rand_below(UINT64_C(1) << 32));
	if (!n)
		return CALL_OK;
	if (settle(c, r, &own, n, &need, 0, &record) != CALL_OK)
		return CALL_FAIL;
	record.request = NULL;
	ecs_task_put(&s, &record);
	return CALL_OK;
}

/* --- StartTask */

static struct placement_node *node_named(struct call *c, const struct run *r, const struct ecs_nodes *all, struct str text)
{
	struct str id = ecs_instance_id(c, r->cluster.cluster_name, text);
	for (uint32_t i = 0; i < all->n; i++)
		if (str_set(id) && str_eq(all->v[i].id, id))
			return &all->v[i];
	return NULL;
}

int ecs_start_task(struct call *c, const struct ecs_start_task_request *in, struct ecs_start_task_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct run *r = arena_new(c->arena, struct run);
	struct ecs_run_task_request *as = arena_new(c->arena, struct ecs_run_task_request);
	*as = (struct ecs_run_task_request){
	        .cluster = in->cluster,
	        .enable_ecs_managed_tags = in->enable_ecs_managed_tags,
	        .enable_execute_command = in->enable_execute_command,
	        .group = in->group,
	        .network_configuration = in->network_configuration,
	        .overrides = in->overrides,
	        .propagate_tags = in->propagate_tags,
	        .reference_id = in->reference_id,
	        .started_by = in->started_by,
	        .tags = in->tags,
	        .task_definition = in->task_definition,
	        .volume_configurations = in->volume_configurations,
	};
	r->in = as;
	r->instances = true;
	out->tasks.set = out->failures.set = true;
	if (!in->container_instances.n || in->container_instances.n > STARTED_MAX)
		return ecs_invalid(c, "containerInstances must have from 1 to %d items.", STARTED_MAX);
	if (run_check_words(c, r) != CALL_OK || ecs_cluster_get(c, in->cluster, &r->cluster) != CALL_OK ||
	    run_check_instances(c, r) != CALL_OK || run_get_definition(c, r) != CALL_OK)
		return CALL_FAIL;
	if (run_check_network(c, r) != CALL_OK || run_apply_overrides(c, r) != CALL_OK)
		return CALL_FAIL;
	run_gather(c, r);
	struct ecs_nodes all = ecs_nodes(&s, roster_of(c), r->cluster.cluster_name);
	struct placement_need need = ecs_need(c->arena, &r->effective, r->group);
	if (take_constraints(c, r, &need) != CALL_OK || take_sites(c, r, &need) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->container_instances.n; i++) {
		struct str text = in->container_instances.v[i], id = ecs_instance_id(c, r->cluster.cluster_name, text);
		struct placement_node *n = node_named(c, r, &all, text);
		const char *why = n ? placement_refuses(c->arena, n, &need) : "MISSING";
		if (why)
			ecs_failure(c, &out->failures,
			            n             ? n->arn
			            : str_set(id) ? ecs_instance_arn(c->arena, &s, r->cluster.cluster_name, id)
			                          : text,
			            why);
		else if (make(c, r, &all, n, STR_NONE, &need, i, LIST_ADD(c->arena, &out->tasks)) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}
