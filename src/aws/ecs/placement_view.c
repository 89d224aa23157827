/* From records to what placement decides over, and back into what is shown of a container instance. */
#include "aws/ec2/ec2.h"
#include "container_instance.h"

enum { EXPRESSION_MAX = 2000 };

int64_t ecs_resource_of(const struct ecs_resources *l, const char *name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_is(l->v[i].name, name))
			return l->v[i].integer_value.v;
	return 0;
}

static void add_port(struct arena *a, struct placement_node *n, int64_t port, bool udp)
{
	struct placement_port *v = arena_array(a, n->port_count + 1, sizeof(*v));
	if (n->port_count)
		memcpy(v, n->ports, n->port_count * sizeof(*v));
	v[n->port_count++] = (struct placement_port){port, udp};
	n->ports = v;
}

static void add_reserved(struct arena *a, struct placement_node *n, const struct ecs_resources *l, const char *name, bool udp)
{
	for (uint32_t i = 0; i < l->n; i++)
		for (uint32_t k = 0; str_is(l->v[i].name, name) && k < l->v[i].string_set_value.n; k++) {
			int64_t port;
			if (str_to_i64(l->v[i].string_set_value.v[k], &port))
				add_port(a, n, port, udp);
		}
}

/* A task's own size, else what its containers reserve. */
static void size_of(const struct ecs_task_definition *d, int64_t *ret_cpu, int64_t *ret_memory)
{
	int64_t cpu = 0, memory = 0;
	for (uint32_t i = 0; i < d->container_definitions.n; i++) {
		const struct ecs_container_definition *k = &d->container_definitions.v[i];
		cpu += k->cpu.v;
		memory += k->memory_reservation.set ? k->memory_reservation.v : k->memory.v;
	}
	*ret_cpu = d->cpu.n ? ecs_cpu_units(d->cpu) : cpu;
	*ret_memory = d->memory.n ? ecs_memory_mib(d->memory) : memory;
}

/* Those of a task with an interface of its own are not the instance's. */
static bool takes_ports(const struct ecs_task_definition *d)
{
	return !str_is(d->network_mode, "awsvpc");
}

void ecs_node_take(struct arena *a, struct placement_node *n, const struct ecs_task *t, const struct ecs_task_definition *d)
{
	int64_t cpu, memory;
	size_of(d, &cpu, &memory);
	n->cpu -= cpu;
	n->memory -= memory;
	for (uint32_t i = 0; i < d->container_definitions.n && takes_ports(d); i++)
		for (uint32_t k = 0; k < d->container_definitions.v[i].port_mappings.n; k++) {
			const struct ecs_port_mapping *p = &d->container_definitions.v[i].port_mappings.v[k];
			if (p->host_port.v)
				add_port(a, n, p->host_port.v, str_is(p->protocol, "udp"));
		}
	/* those that the agent has chosen */
	for (uint32_t i = 0; i < t->containers.n; i++)
		for (uint32_t k = 0; k < t->containers.v[i].network_bindings.n; k++) {
			const struct ecs_network_binding *b = &t->containers.v[i].network_bindings.v[k];
			bool udp = str_is(b->protocol, "udp"), there = false;
			for (uint32_t m = 0; m < n->port_count; m++)
				there = there || (n->ports[m].port == b->host_port.v && n->ports[m].udp == udp);
			if (b->host_port.v && !there)
				add_port(a, n, b->host_port.v, udp);
		}
	struct placement_task *v = arena_array(a, n->task_count + 1, sizeof(*v));
	if (n->task_count)
		memcpy(v, n->tasks, n->task_count * sizeof(*v));
	v[n->task_count++] = (struct placement_task){t->group};
	n->tasks = v;
	n->running += ecs_task_status(t) >= ECS_RUNNING;
}

static struct placement_node registered(const struct ecs_scope *s, struct roster *roster, const struct state_ecs_instance_record *r)
{
	const struct ecs_container_instance *i = r->instance;
	struct placement_node n = {
	        .id = r->id,
	        .arn = i->container_instance_arn,
	        .ec2_id = i->ec2_instance_id,
	        .status = i->status,
	        .agent_version = i->version_info ? i->version_info->agent_version : STR_NONE,
	        .connected = roster_connected(roster, r->id),
	        .registered_ms = i->registered_at.ms,
	        .cpu = ecs_resource_of(&i->registered_resources, "CPU"),
	        .memory = ecs_resource_of(&i->registered_resources, "MEMORY"),
	        .interfaces = ec2_interface_room(s->txn, s->arena, s->account, s->region, i->ec2_instance_id),
	        .attributes = arena_array(s->arena, i->attributes.n + 1, sizeof(struct placement_pair)),
	};
	for (uint32_t k = 0; k < i->attributes.n; k++)
		n.attributes[n.attribute_count++] = (struct placement_pair){i->attributes.v[k].name, i->attributes.v[k].value};
	add_reserved(s->arena, &n, &i->registered_resources, "PORTS", false);
	add_reserved(s->arena, &n, &i->registered_resources, "PORTS_UDP", true);
	return n;
}

/* Tasks take what they have until they have stopped. */
static void fill(const struct ecs_scope *s, struct str cluster, struct placement_node *v, uint32_t count)
{
	struct str under = ecs_tasks_under(s, cluster), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value value;
	while (count && store_next(iter, &key, &value)) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(s->arena, value.value, &t) || !ecs_task_is_remote(t.task) ||
		    ecs_task_status(t.task) == ECS_STOPPED)
			continue;
		for (uint32_t i = 0; i < count; i++)
			if (str_eq(v[i].id, ecs_task_instance(t.task)))
				ecs_node_take(s->arena, &v[i], t.task, t.definition);
	}
}

struct placement_node ecs_node(const struct ecs_scope *s, struct roster *roster, const struct state_ecs_instance_record *r)
{
	struct placement_node n = registered(s, roster, r);
	fill(s, r->cluster, &n, 1);
	return n;
}

struct ecs_nodes ecs_nodes(const struct ecs_scope *s, struct roster *roster, struct str cluster)
{
	struct ecs_nodes all = {0};
	struct str under = ecs_instances_under(s, cluster), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value value;
	uint32_t room = 0;
	while (store_next(iter, &key, &value)) {
		struct state_ecs_instance_record r = {0};
		if (!ecs_instance_read(s->arena, value.value, &r) || str_is(r.instance->status, "INACTIVE"))
			continue;
		if (all.n == room) {
			room = room ? 2 * room : 8;
			struct state_ecs_instance_record *records = arena_array(s->arena, room, sizeof(*records));
			struct placement_node *v = arena_array(s->arena, room, sizeof(*v));
			if (all.n) {
				memcpy(records, all.records, all.n * sizeof(*records));
				memcpy(v, all.v, all.n * sizeof(*v));
			}
			all.records = records;
			all.v = v;
		}
		all.records[all.n] = r;
		all.v[all.n++] = registered(s, roster, &r);
	}
	fill(s, cluster, all.v, all.n);
	return all;
}

struct placement_need ecs_need(struct arena *a, const struct ecs_task_definition *d, struct str group)
{
	struct placement_need need = {.group = group};
	size_of(d, &need.cpu, &need.memory);
	need.attributes = arena_array(a, d->requires_attributes.n + 1, sizeof(*need.attributes));
	for (uint32_t i = 0; i < d->requires_attributes.n; i++)
		need.attributes[need.attribute_count++] = d->requires_attributes.v[i].name;
	for (uint32_t i = 0; i < d->container_definitions.n && takes_ports(d); i++)
		for (uint32_t k = 0; k < d->container_definitions.v[i].port_mappings.n; k++) {
			const struct ecs_port_mapping *p = &d->container_definitions.v[i].port_mappings.v[k];
			struct placement_port *v = arena_array(a, need.port_count + 1, sizeof(*v));
			if (!p->host_port.v)
				continue;
			if (need.port_count)
				memcpy(v, need.ports, need.port_count * sizeof(*v));
			v[need.port_count++] = (struct placement_port){p->host_port.v, str_is(p->protocol, "udp")};
			need.ports = v;
		}
	return need;
}

int ecs_expression(struct call *c, struct str text, const struct placement_query **ret)
{
	const char *why = NULL;
	if (text.n > EXPRESSION_MAX)
		return ecs_invalid(c, "An expression can have at most %d characters.", EXPRESSION_MAX);
	const struct placement_query *q = placement_query_parse(c->arena, text, &why);
	if (!q)
		return ecs_invalid(c, "Invalid expression: %s: %.*s", why, STR_ARG(text));
	if (ret)
		*ret = q;
	return CALL_OK;
}

int ecs_constraints_check(struct call *c, const struct ecs_placement_constraints *in)
{
	if (in->n > 10)
		return ecs_invalid(c, "There can be at most 10 placement constraints.");
	for (uint32_t i = 0; i < in->n; i++) {
		bool member = str_is(in->v[i].type, "memberOf");
		if (!member && in->v[i].expression.n)
			return ecs_invalid(c, "The placement constraint distinctInstance has no expression.");
		if (member && !in->v[i].expression.n)
			return ecs_invalid(c, "The placement constraint memberOf needs an expression.");
		if (member && ecs_expression(c, in->v[i].expression, NULL) != CALL_OK)
			return CALL_FAIL;
	}
	return CALL_OK;
}

int ecs_strategies_check(struct call *c, const struct ecs_placement_strategies *in)
{
	if (in->n > PLACEMENT_STRATEGIES)
		return ecs_invalid(c, "There can be at most %d placement strategies.", PLACEMENT_STRATEGIES);
	for (uint32_t i = 0; i < in->n; i++) {
		struct str type = in->v[i].type, field = in->v[i].field;
		if (str_is(type, "random") && field.n)
			return ecs_invalid(c, "The placement strategy random has no field.");
		if (str_is(type, "binpack") && !str_ieq(field, S("cpu")) && !str_ieq(field, S("memory")))
			return ecs_invalid(c, "The field of the placement strategy binpack is cpu or memory.");
		if (str_is(type, "spread") && !str_is(field, "instanceId") && !str_is(field, "host") &&
		    (!str_starts(field, S("attribute:")) || field.n == sizeof("attribute:") - 1))
			return ecs_invalid(c, "The field of the placement strategy spread is instanceId, host or attribute:NAME.");
	}
	return CALL_OK;
}
