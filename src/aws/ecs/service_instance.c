#include "service_instance.h"

#include "provider.h"

enum { WHOLE = 100 };

bool service_on_instances(const struct ecs_service *v)
{
	return str_is(v->launch_type, "EC2") || ecs_strategy_on_instances(&v->capacity_provider_strategy);
}

bool service_is_daemon(const struct ecs_service *v)
{
	return str_is(v->scheduling_strategy, "DAEMON");
}

struct str service_refuses(struct call *c, const struct ecs_service *v, const struct ecs_task_definition *d)
{
	if (service_on_instances(v))
		return ecs_instance_refuses(c, d);
	return str_set(ecs_fargate_refuses(c, d)) ? S("Task definition does not support launch_type FARGATE.") : STR_NONE;
}

/* The definition is looked at when it has been taken. */
bool service_has_interfaces(struct call *c, const struct ecs_service *v)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_definition_record d = {0};
	return !service_on_instances(v) ||
	       (ecs_definition_in(&s, v->task_definition, &d) && str_is(d.definition->network_mode, "awsvpc"));
}

int service_check_names(struct call *c, const struct ecs_service *v, const struct ecs_service_registries *registries,
                        const struct ecs_service_connect_configuration *connect)
{
	if (!service_on_instances(v))
		return CALL_OK;
	if (connect && connect->enabled.v && !service_has_interfaces(c, v))
		return call_fail(c, "UnsupportedFeatureException", 400,
		                 "Service Connect on container instances is supported with the network mode awsvpc alone.");
	return service_has_interfaces(c, v) ? CALL_OK : ecs_registries_check_published(c, registries);
}

int service_take_placement(struct call *c, const struct ecs_placement_constraints *constraints,
                           const struct ecs_placement_strategies *strategies, struct ecs_service *v)
{
	if (!service_on_instances(v) && constraints->n)
		return ecs_invalid(c, "Placement constraints are not supported with FARGATE launch type.");
	if (!service_on_instances(v) && strategies->n)
		return ecs_invalid(c, "Placement strategies are not supported with FARGATE launch type.");
	if (service_is_daemon(v) && strategies->n)
		return ecs_invalid(c, "The daemon scheduling strategy does not support placement strategies.");
	if (ecs_constraints_check(c, constraints) != CALL_OK || ecs_strategies_check(c, strategies) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < constraints->n; i++)
		if (service_is_daemon(v) && str_is(constraints->v[i].type, "distinctInstance"))
			return ecs_invalid(c, "The daemon scheduling strategy supports the placement constraint memberOf alone.");
	if (constraints->set)
		v->placement_constraints = *constraints;
	if (strategies->set)
		v->placement_strategy = *strategies;
	return CALL_OK;
}

int service_take_daemon(struct call *c, const struct ecs_create_service_request *in, struct ecs_service *v)
{
	struct ecs_deployment_configuration *conf = v->deployment_configuration;
	if (!service_on_instances(v))
		return ecs_invalid(
		        c, "The daemon scheduling strategy is not supported for services that use the FARGATE launch type.");
	if (in->desired_count.set)
		return ecs_invalid(c, "The daemon scheduling strategy does not support a desired count for services. Remove the "
		                      "desired count value and try again.");
	if (in->deployment_configuration && in->deployment_configuration->maximum_percent.v > WHOLE)
		return ecs_invalid(c, "The daemon scheduling strategy does not support values above 100 for maximumPercent.");
	v->scheduling_strategy = S("DAEMON");
	conf->maximum_percent = OPT_INT(WHOLE);
	conf->minimum_healthy_percent = OPT_INT(0);
	return CALL_OK;
}

/* --- what the scheduler asks */

void service_mark_leaving(const struct ecs_scope *s, struct str cluster, struct service_view *view)
{
	for (uint32_t k = 0; k < view->n; k++) {
		struct state_ecs_instance_record r = {0};
		const struct ecs_task *t = view->v[k].record.task;
		view->v[k].leaving = ecs_task_is_remote(t) && ecs_instance_find(s, cluster, ecs_task_instance(t), &r) &&
		                     str_is(r.instance->status, "DRAINING");
	}
}

/* Resources do not count: where a daemon has no room, it is missing. */
static bool eligible(const struct ecs_scope *s, const struct placement_node *n, const struct placement_need *need)
{
	bool there = str_is(n->status, "ACTIVE") && n->connected;
	for (uint32_t i = 0; there && i < need->attribute_count; i++)
		placement_attribute(n, need->attributes[i], &there);
	for (uint32_t i = 0; there && i < need->query_count; i++)
		there = placement_query_fits(s->arena, need->queries[i], n);
	return there;
}

static void add_query(const struct ecs_scope *s, struct placement_need *need, struct str expression)
{
	const struct placement_query *q = placement_query_parse(s->arena, expression, NULL);
	if (q && need->query_count < PLACEMENT_QUERIES)
		need->queries[need->query_count++] = q;
}

static bool find_definition(const struct ecs_scope *s, struct str arn, struct state_ecs_definition_record *ret)
{
	struct str rest = str_from_at(arn, (size_t)(str_rfind_char(arn, '/') + 1)), family = str_cut(&rest, ':');
	int64_t revision;
	return str_to_i64(rest, &revision) && record_get(s->txn, s->arena,
	                                                 KEY(s->arena, S("ecs"), S("definition"), s->account, s->region, family,
	                                                     arena_printf(s->arena, "%08lld", (long long)revision)),
	                                                 &ecs_definition_row, ret);
}

static bool has_of(const struct placement_node *n, struct str group)
{
	for (uint32_t i = 0; i < n->task_count; i++)
		if (str_eq(n->tasks[i].group, group))
			return true;
	return false;
}

static struct placement_need need_of(const struct ecs_scope *s, const struct ecs_service *v)
{
	struct placement_need need = {0};
	struct state_ecs_definition_record d = {0};
	if (find_definition(s, v->task_definition, &d)) {
		need = ecs_need(s->arena, d.definition, STR_NONE);
		for (uint32_t i = 0; i < d.definition->placement_constraints.n; i++)
			add_query(s, &need, d.definition->placement_constraints.v[i].expression);
	}
	for (uint32_t i = 0; i < v->placement_constraints.n; i++)
		add_query(s, &need, v->placement_constraints.v[i].expression);
	return need;
}

uint32_t service_instance_zones(const struct service_look *l, const struct ecs_scope *s, const struct state_ecs_service_record *r,
                                struct str *ret, uint32_t max)
{
	struct placement_need need = need_of(s, r->service);
	struct ecs_nodes all = ecs_nodes(s, l->roster, r->cluster);
	uint32_t n = 0;
	for (uint32_t i = 0; i < all.n && n < max; i++) {
		bool there = false;
		struct str zone = placement_attribute(&all.v[i], S("ecs.availability-zone"), &there);
		uint32_t at = 0;
		if (!there || !eligible(s, &all.v[i], &need))
			continue;
		while (at < n && !str_eq(ret[at], zone))
			at++;
		if (at == n)
			ret[n++] = zone;
	}
	return n;
}

bool service_spreads_zones(const struct ecs_service *v)
{
	const struct ecs_placement_strategy *first = v->placement_strategy.n ? &v->placement_strategy.v[0] : NULL;
	return !service_is_daemon(v) &&
	       (!first || (str_is(first->type, "spread") && str_is(first->field, "attribute:ecs.availability-zone")));
}

void service_place_zone(struct arena *a, struct str zone, struct ecs_run_task_request *request)
{
	*LIST_ADD(a, &request->placement_constraints) = (struct ecs_placement_constraint){
	        .type = S("memberOf"), .expression = ARENA_CAT(a, S("attribute:ecs.availability-zone == "), zone)};
}

struct service_places service_places(const struct service_look *l, const struct ecs_scope *s,
                                     const struct state_ecs_service_record *r)
{
	const struct ecs_service *v = r->service;
	struct service_places ret = {0};
	if (!str_is(v->status, "ACTIVE"))
		return ret;
	struct placement_need need = need_of(s, v);
	struct ecs_nodes all = ecs_nodes(s, l->roster, r->cluster);
	struct str group = ARENA_CAT(s->arena, S("service:"), r->name);
	for (uint32_t i = 0; i < all.n; i++) {
		if (!eligible(s, &all.v[i], &need))
			continue;
		ret.all++;
		ret.free += !has_of(&all.v[i], group);
	}
	return ret;
}

void service_place(struct arena *a, const struct ecs_service *v, struct ecs_run_task_request *request)
{
	if (!service_on_instances(v))
		return;
	request->placement_strategy = v->placement_strategy;
	for (uint32_t i = 0; i < v->placement_constraints.n; i++)
		*LIST_ADD(a, &request->placement_constraints) = v->placement_constraints.v[i];
	if (service_is_daemon(v))
		*LIST_ADD(a, &request->placement_constraints) = (struct ecs_placement_constraint){.type = S("distinctInstance")};
}

struct str service_trouble(struct arena *a, const struct ecs_failure *f)
{
	static const struct {
		const char *reason, *text;
	} known[] = {{"RESOURCE:MEMORY", "has insufficient memory available"},
	             {"RESOURCE:CPU", "has insufficient CPU units available"},
	             {"RESOURCE:PORTS", "is already using a port required by your task"},
	             {"ATTRIBUTE", "is missing an attribute required by your task"},
	             {"AGENT", "has an agent that is disconnected"}};
	ptrdiff_t at = str_find(f->arn, S(":container-instance/"));
	if (at < 0)
		return arena_printf(a, ". Reason: %.*s", STR_ARG(f->reason));
	struct str id = str_from_at(f->arn, (size_t)(str_rfind_char(f->arn, '/') + 1)),
	           text = arena_printf(a, "cannot take it: %.*s", STR_ARG(f->reason));
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_is(f->reason, known[i].reason))
			text = str_from(known[i].text);
	return arena_printf(a,
	                    " because no container instance met all of its requirements. The closest matching "
	                    "(container-instance %.*s) %.*s. For more information, see the Troubleshooting section of the Amazon "
	                    "ECS Developer Guide",
	                    STR_ARG(id), STR_ARG(text));
}
