/* DescribeContainerInstances, ListContainerInstances, UpdateContainerInstancesState, UpdateContainerAgent,
 * DeregisterContainerInstance. */
#include "container_instance.h"

#include "base/base64.h"

enum { DESCRIBED_MAX = 100, LISTED_MAX = 100, UPDATED_MAX = 10 };

/* --- what is shown */

static struct ecs_resource *find(struct ecs_resources *l, const char *name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_is(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

static void show_ports(struct call *c, const struct placement_node *n, bool udp, struct ecs_resource *to)
{
	to->string_set_value = (struct str_list){.set = true};
	for (uint32_t i = 0; i < n->port_count; i++)
		if (n->ports[i].udp == udp)
			*LIST_ADD(c->arena, &to->string_set_value) = arena_printf(c->arena, "%lld", (long long)n->ports[i].port);
}

static void show_remaining(struct call *c, const struct placement_node *n, struct ecs_container_instance *to)
{
	struct ecs_resources all = {.set = true};
	for (uint32_t i = 0; i < to->registered_resources.n; i++)
		*LIST_ADD(c->arena, &all) = to->registered_resources.v[i];
	struct ecs_resource *cpu = find(&all, "CPU"), *memory = find(&all, "MEMORY"), *tcp = find(&all, "PORTS"),
	                    *udp = find(&all, "PORTS_UDP");
	if (cpu)
		cpu->integer_value = OPT_INT(n->cpu);
	if (memory)
		memory->integer_value = OPT_INT(n->memory);
	if (tcp)
		show_ports(c, n, false, tcp);
	if (udp)
		show_ports(c, n, true, udp);
	to->remaining_resources = all;
}

static void show(struct call *c, const struct state_ecs_instance_record *r, bool tags, struct ecs_container_instance *to)
{
	struct ecs_scope s = ecs_scope(c);
	struct placement_node n = ecs_node(&s, roster_of(c), r);
	struct ecs_walk w;
	*to = *r->instance;
	show_remaining(c, &n, to);
	to->agent_connected = OPT_BOOL(n.connected);
	to->running_tasks_count = to->pending_tasks_count = OPT_INT(0);
	to->attachments.set = to->attributes.set = true;
	if (!tags)
		to->tags = (struct ecs_tags){.set = true};
	if (ecs_walk_begin(c, &w, ecs_tasks_under(&s, r->cluster), STR_NONE, false) != CALL_OK)
		return;
	while (ecs_walk_next(&w)) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(c->arena, w.value, &t) || !ecs_task_is_remote(t.task) ||
		    !str_eq(ecs_task_instance(t.task), r->id))
			continue;
		enum ecs_status status = ecs_task_status(t.task);
		to->pending_tasks_count.v += status < ECS_RUNNING;
		to->running_tasks_count.v += status >= ECS_RUNNING && status < ECS_STOPPED;
	}
}

int ecs_describe_container_instances(struct call *c, const struct ecs_describe_container_instances_request *in,
                                     struct ecs_describe_container_instances_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	bool tags = false, health = false;
	out->container_instances.set = out->failures.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!in->container_instances.n)
		return ecs_invalid(c, "Container instances cannot be empty.");
	if (in->container_instances.n > DESCRIBED_MAX)
		return ecs_invalid(c, "containerInstances can have at most %d items.", DESCRIBED_MAX);
	for (uint32_t i = 0; i < in->include.n; i++) {
		tags = tags || str_is(in->include.v[i], "TAGS");
		health = health || str_is(in->include.v[i], "CONTAINER_INSTANCE_HEALTH");
	}
	for (uint32_t i = 0; i < in->container_instances.n; i++) {
		struct state_ecs_instance_record r = {0};
		struct str text = in->container_instances.v[i], id = ecs_instance_id(c, cluster.cluster_name, text);
		if (!str_set(id) || !ecs_instance_find(&s, cluster.cluster_name, id, &r)) {
			ecs_failure(c, &out->failures,
			            str_set(id) ? ecs_instance_arn(c->arena, &s, cluster.cluster_name, id) : text, "MISSING");
			continue;
		}
		struct ecs_container_instance *to = LIST_ADD(c->arena, &out->container_instances);
		show(c, &r, tags, to);
		if (health)
			to->health_status = roster_health(roster_of(c), c->arena, id);
	}
	return CALL_OK;
}

int ecs_list_container_instances(struct call *c, const struct ecs_list_container_instances_request *in,
                                 struct ecs_list_container_instances_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	const struct placement_query *query = NULL;
	uint32_t limit;
	out->container_instance_arns.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK ||
	    (in->filter.n && ecs_expression(c, in->filter, &query) != CALL_OK) ||
	    ecs_page_size(c, in->max_results, LISTED_MAX, &limit) != CALL_OK)
		return CALL_FAIL;
	struct str after = in->next_token.n ? base64url_decode(c->arena, in->next_token) : STR_NONE;
	if (in->next_token.n && !str_set(after))
		return ecs_invalid(c, "Invalid token in ListRequest");
	struct ecs_nodes all = ecs_nodes(&s, roster_of(c), cluster.cluster_name);
	struct str last = STR_NONE;
	for (uint32_t i = 0; i < all.n; i++) {
		struct placement_node *n = &all.v[i];
		if ((str_set(after) && str_cmp(n->id, after) <= 0) || (in->status.n && !str_eq(in->status, n->status)) ||
		    (query && !placement_query_fits(c->arena, query, n)))
			continue;
		if (out->container_instance_arns.n == limit) {
			out->next_token = ecs_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->container_instance_arns) = n->arn;
		last = n->id;
	}
	return CALL_OK;
}

/* --- draining */

int ecs_update_container_instances_state(struct call *c, const struct ecs_update_container_instances_state_request *in,
                                         struct ecs_update_container_instances_state_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	out->container_instances.set = out->failures.set = true;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->status, "ACTIVE") && !str_is(in->status, "DRAINING"))
		return ecs_invalid(c, "Container instance status must be one of [ACTIVE,DRAINING].");
	if (!in->container_instances.n || in->container_instances.n > UPDATED_MAX)
		return ecs_invalid(c, "containerInstances must have from 1 to %d items.", UPDATED_MAX);
	for (uint32_t i = 0; i < in->container_instances.n; i++) {
		struct state_ecs_instance_record r = {0};
		struct str text = in->container_instances.v[i], id = ecs_instance_id(c, cluster.cluster_name, text);
		if (!str_set(id) || !ecs_instance_find(&s, cluster.cluster_name, id, &r)) {
			ecs_failure(c, &out->failures,
			            str_set(id) ? ecs_instance_arn(c->arena, &s, cluster.cluster_name, id) : text, "MISSING");
			continue;
		}
		if (str_is(r.instance->status, "INACTIVE")) {
			ecs_failure(c, &out->failures, r.instance->container_instance_arn, "INACTIVE");
			continue;
		}
		r.instance->status = in->status;
		ecs_instance_put(&s, &r);
		show(c, &r, false, LIST_ADD(c->arena, &out->container_instances));
	}
	return CALL_OK;
}

/* --- the agent */

/* It comes with the machine's image, and nobody has a newer one. */
int ecs_update_container_agent(struct call *c, const struct ecs_update_container_agent_request *in,
                               struct ecs_update_container_agent_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_instance_record r = {0};
	(void)out;
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct str id = ecs_instance_id(c, cluster.cluster_name, in->container_instance);
	if (!str_set(id) || !ecs_instance_find(&s, cluster.cluster_name, id, &r) || str_is(r.instance->status, "INACTIVE"))
		return ecs_invalid(c, "The referenced container instance was not found.");
	return call_fail(c, "NoUpdateAvailableException", 400, "There is no update available for your container agent.");
}

/* --- leaving */

int ecs_deregister_container_instance(struct call *c, const struct ecs_deregister_container_instance_request *in,
                                      struct ecs_deregister_container_instance_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_instance_record r = {0};
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct str id = ecs_instance_id(c, cluster.cluster_name, in->container_instance);
	if (!str_set(id) || !ecs_instance_find(&s, cluster.cluster_name, id, &r) || str_is(r.instance->status, "INACTIVE"))
		return ecs_invalid(c, "The referenced container instance was not found.");
	struct placement_node n = ecs_node(&s, roster_of(c), &r);
	if (n.task_count && !in->force.v)
		return ecs_invalid(c, "Found running tasks on the instance.");
	out->container_instance = arena_new(c->arena, struct ecs_container_instance);
	r.instance->status = S("INACTIVE");
	r.ended = OPT_TIME(c->now_ms);
	show(c, &r, true, out->container_instance);
	out->container_instance->agent_connected = OPT_BOOL(n.connected);
	ecs_instance_put(&s, &r);
	/* Its tasks are nobody's any more. The agent stops them: they are not among its orders. */
	struct ecs_walk w;
	if (ecs_walk_begin(c, &w, ecs_tasks_under(&s, cluster.cluster_name), STR_NONE, false) != CALL_OK)
		return CALL_FAIL;
	while (ecs_walk_next(&w)) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(c->arena, w.value, &t) || !ecs_task_is_remote(t.task) ||
		    !str_eq(ecs_task_instance(t.task), id) || ecs_task_status(t.task) == ECS_STOPPED)
			continue;
		ecs_task_stop(&s, &t, "UserInitiated", S("Container instance was deregistered by force."), c->now_ms);
		ecs_task_end(&s, &t, c->now_ms);
		ecs_task_put(&s, &t);
	}
	return CALL_OK;
}
