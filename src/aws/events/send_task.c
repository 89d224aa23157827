/* A task of ECS as a target: what the target's parameters and its input say becomes one RunTask. */
#include "send.h"

#include "gen/ecs.h"

static struct opt_int number_of(const struct json_value *v, struct str name)
{
	const struct json_value *n = json_get(v, name);
	int64_t x;
	return json_is(n, JSON_NUMBER) && json_to_int(n->text, &x) ? OPT_INT(x) : (struct opt_int){0};
}

static void take_container(struct arena *a, struct ecs_task_override *o, const struct json_value *v)
{
	struct ecs_container_override *c = LIST_ADD(a, &o->container_overrides);
	const struct json_value *command = json_get(v, S("command"));
	c->name = json_get_str(v, S("name"));
	c->command.set = json_is(command, JSON_ARRAY);
	json_each(command, word) * LIST_ADD(a, &c->command) = word->text;
	json_each(json_get(v, S("environment")), pair)
	{
		struct ecs_key_value_pair *e = LIST_ADD(a, &c->environment);
		e->name = json_get_str(pair, S("name"));
		e->value = json_get_str(pair, S("value"));
	}
	c->cpu = number_of(v, S("cpu"));
	c->memory = number_of(v, S("memory"));
	c->memory_reservation = number_of(v, S("memoryReservation"));
}

/* Of the input, what RunTask's overrides have; an event that is sent as it is has none of it. */
static struct ecs_task_override *overrides(struct sending *s)
{
	const struct json_value *v = json_parse(s->arena, s->payload, NULL);
	struct ecs_task_override *o = arena_new(s->arena, struct ecs_task_override);
	if (!json_is(v, JSON_OBJECT))
		return NULL;
	json_each(json_get(v, S("containerOverrides")), one) take_container(s->arena, o, one);
	o->cpu = json_get_str(v, S("cpu"));
	o->memory = json_get_str(v, S("memory"));
	o->task_role_arn = json_get_str(v, S("taskRoleArn"));
	o->execution_role_arn = json_get_str(v, S("executionRoleArn"));
	return o->container_overrides.n || str_set(o->cpu) || str_set(o->memory) || str_set(o->task_role_arn) ||
	                       str_set(o->execution_role_arn)
	               ? o
	               : NULL;
}

static void started(void *ctx, struct call *sub)
{
	struct sending *s = ctx;
	const struct ecs_run_task_response *out = sub->out;
	if (!str_set(sub->error.code) && out->failures.n)
		send_end(s, SEND_LATER, "INTERNAL_ERROR", arena_dup(s->arena, out->failures.v[0].reason));
	else
		send_answered(s, sub);
}

static struct str started_by(const struct sending *s)
{
	struct str schedule = s->row->schedule;
	if (!str_set(schedule))
		return ARENA_CAT(s->arena, S("events-rule/"), str_sub(s->row->rule_name, 0, 24));
	schedule = str_from_at(schedule, (size_t)(str_rfind_char(schedule, '/') + 1));
	return ARENA_CAT(s->arena, S("chronos-schedule/"), str_sub(schedule, 0, 19));
}

void send_task(struct sending *s)
{
	const struct events_ecs_parameters *p = s->row->target->ecs_parameters;
	struct arena *a = s->arena;
	struct ecs_run_task_request in = {.cluster = s->row->target->arn,
	                                  .task_definition = p->task_definition_arn,
	                                  .count = OPT_INT(p->task_count.set ? p->task_count.v : 1),
	                                  .launch_type = p->launch_type,
	                                  .platform_version = p->platform_version,
	                                  .group = p->group,
	                                  .enable_ecs_managed_tags = p->enable_ecs_managed_tags,
	                                  .enable_execute_command = p->enable_execute_command,
	                                  .propagate_tags = p->propagate_tags,
	                                  .reference_id = p->reference_id,
	                                  .started_by = started_by(s),
	                                  .overrides = overrides(s)};
	struct ecs_network_configuration network;
	struct ecs_aws_vpc_configuration vpc;
	if (p->network_configuration && p->network_configuration->awsvpc_configuration) {
		const struct events_aws_vpc_configuration *from = p->network_configuration->awsvpc_configuration;
		vpc = (struct ecs_aws_vpc_configuration){from->subnets, from->security_groups, from->assign_public_ip};
		network.awsvpc_configuration = &vpc;
		in.network_configuration = &network;
	}
	for (uint32_t i = 0; i < p->capacity_provider_strategy.n; i++) {
		const struct events_capacity_provider_strategy_item *from = &p->capacity_provider_strategy.v[i];
		*LIST_ADD(a, &in.capacity_provider_strategy) =
		        (struct ecs_capacity_provider_strategy_item){from->capacity_provider, from->weight, from->base};
	}
	for (uint32_t i = 0; i < p->placement_constraints.n; i++)
		*LIST_ADD(a, &in.placement_constraints) = (struct ecs_placement_constraint){
		        p->placement_constraints.v[i].type, p->placement_constraints.v[i].expression};
	for (uint32_t i = 0; i < p->placement_strategy.n; i++)
		*LIST_ADD(a, &in.placement_strategy) =
		        (struct ecs_placement_strategy){p->placement_strategy.v[i].type, p->placement_strategy.v[i].field};
	for (uint32_t i = 0; i < p->tags.n; i++)
		*LIST_ADD(a, &in.tags) = (struct ecs_tag){p->tags.v[i].key, p->tags.v[i].value};
	call_op(s->cloud, s->as, send_arn(s->row->target->arn).region, &ecs_api, "RunTask", &in, started, s);
}
