/* Targets of schedules: what they may be, and one invocation, which is a delivery of EventBridge's (aws/events/deliver.c). */
#include "rows.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "gen/sts.h"

static int wrong(struct call *c, const char *what, struct str arn)
{
	return scheduler_invalid(c, "%s for target %.*s.", what, STR_ARG(arn));
}

static int check_kind(struct call *c, const struct scheduler_target *t)
{
	struct str why = events_target_wrong(c->arena, t->arn);
	if (str_starts(t->arn, S("arn:aws:scheduler:::aws-sdk:")))
		return scheduler_invalid(c, "%.*s is not supported: Quartet provides no universal targets.", STR_ARG(t->arn));
	if (str_set(why))
		return scheduler_invalid(c, "%.*s", STR_ARG(why));
	if (str_starts(t->arn, S("arn:aws:logs:")) || str_find(t->arn, S(":api-destination/")) > 0)
		return scheduler_invalid(c, "%.*s is not a supported target.", STR_ARG(t->arn));
	bool queue = str_starts(t->arn, S("arn:aws:sqs:")), task = str_starts(t->arn, S("arn:aws:ecs:")),
	     bus = str_starts(t->arn, S("arn:aws:events:"));
	if (t->kinesis_parameters || t->sage_maker_pipeline_parameters || (t->ecs_parameters && !task) ||
	    (t->sqs_parameters && !queue) || (t->event_bridge_parameters && !bus))
		return wrong(c, "Parameters of another kind of target are not valid", t->arn);
	if (task && !t->ecs_parameters)
		return wrong(c, "EcsParameters must be provided", t->arn);
	if (bus && !t->event_bridge_parameters)
		return wrong(c, "EventBridgeParameters must be provided", t->arn);
	if (queue && str_ends(t->arn, S(".fifo")) && (!t->sqs_parameters || !t->sqs_parameters->message_group_id.n))
		return wrong(c, "SqsParameters with a MessageGroupId must be provided", t->arn);
	if (bus && !str_set(t->input))
		return wrong(c, "Input must be provided", t->arn);
	if (!queue && str_set(t->input) && !json_parse(c->arena, t->input, NULL))
		return wrong(c, "Input must be well-formed JSON", t->arn);
	return CALL_OK;
}

int target_check(struct call *c, const struct scheduler_target *t)
{
	const char *code;
	if (call_tried(c, &code)) {
		if (!*code)
			return CALL_OK;
		return scheduler_invalid(c,
		                         "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.");
	}
	if (check_kind(c, t) != CALL_OK || !call_allowed(c, "iam:PassRole", t->role_arn))
		return CALL_FAIL;
	struct principal *self = principal_new(PRINCIPAL_SERVICE, c->account);
	self->name = self->arn = self->user_id = S("scheduler.amazonaws.com");
	const struct sts_assume_role_request in = {.role_arn = t->role_arn, .role_session_name = S("scheduler")};
	int tried = call_try(c, self, c->region, &sts_api, "AssumeRole", &in);
	principal_unref(self);
	return tried;
}

/* --- one invocation */

static struct events_ecs_parameters *task_of(struct arena *a, const struct scheduler_ecs_parameters *p)
{
	struct events_ecs_parameters *to = arena_new(a, struct events_ecs_parameters);
	*to = (struct events_ecs_parameters){.task_definition_arn = p->task_definition_arn,
	                                     .task_count = p->task_count,
	                                     .launch_type = p->launch_type,
	                                     .platform_version = p->platform_version,
	                                     .group = p->group,
	                                     .enable_ecs_managed_tags = p->enable_ecs_managed_tags,
	                                     .enable_execute_command = p->enable_execute_command,
	                                     .propagate_tags = p->propagate_tags,
	                                     .reference_id = p->reference_id};
	if (p->network_configuration && p->network_configuration->awsvpc_configuration) {
		const struct scheduler_aws_vpc_configuration *from = p->network_configuration->awsvpc_configuration;
		to->network_configuration = arena_new(a, struct events_network_configuration);
		to->network_configuration->awsvpc_configuration = arena_new(a, struct events_aws_vpc_configuration);
		*to->network_configuration->awsvpc_configuration =
		        (struct events_aws_vpc_configuration){.subnets = from->subnets,
		                                              .security_groups = from->security_groups,
		                                              .assign_public_ip = from->assign_public_ip};
	}
	for (uint32_t i = 0; i < p->capacity_provider_strategy.n; i++)
		*LIST_ADD(a, &to->capacity_provider_strategy) = (struct events_capacity_provider_strategy_item){
		        .capacity_provider = p->capacity_provider_strategy.v[i].capacity_provider,
		        .weight = p->capacity_provider_strategy.v[i].weight,
		        .base = p->capacity_provider_strategy.v[i].base};
	for (uint32_t i = 0; i < p->placement_constraints.n; i++)
		*LIST_ADD(a, &to->placement_constraints) = (struct events_placement_constraint){
		        .type = p->placement_constraints.v[i].type, .expression = p->placement_constraints.v[i].expression};
	for (uint32_t i = 0; i < p->placement_strategy.n; i++)
		*LIST_ADD(a, &to->placement_strategy) = (struct events_placement_strategy){
		        .type = p->placement_strategy.v[i].type, .field = p->placement_strategy.v[i].field};
	/* A tag is a map of one. */
	for (uint32_t i = 0; i < p->tags.n; i++)
		for (uint32_t k = 0; k < p->tags.v[i].n; k++)
			*LIST_ADD(a, &to->tags) = (struct events_tag){p->tags.v[i].v[k].key, p->tags.v[i].v[k].value};
	return to;
}

static struct str replace(struct arena *a, struct str text, struct str what, struct str with)
{
	struct str made = S("");
	for (ptrdiff_t at; (at = str_find(text, what)) >= 0; text = str_from_at(text, (size_t)at + what.n))
		made = ARENA_CAT(a, made, str_sub(text, 0, (size_t)at), with);
	return ARENA_CAT(a, made, text);
}

static struct str input_of(struct arena *a, const struct schedule *s, struct str arn)
{
	struct str text = s->r.target->input, id = id_uuid(a);
	char when[40];
	time_format_to(when, s->r.next.ms - s->r.next.ms % 1000, TIME_ISO8601);
	if (!str_set(text))
		return arena_printf(
		        a,
		        "{\"version\":\"0\",\"id\":\"%.*s\",\"detail-type\":\"Scheduled Event\",\"source\":\"aws.scheduler\","
		        "\"account\":\"%.*s\",\"time\":\"%s\",\"region\":\"%.*s\",\"resources\":[\"%.*s\"],\"detail\":\"{}\"}",
		        STR_ARG(id), STR_ARG(s->account), when, STR_ARG(s->region), STR_ARG(arn));
	text = replace(a, text, S("<aws.scheduler.schedule-arn>"), arn);
	text = replace(a, text, S("<aws.scheduler.scheduled-time>"), str_from(when));
	return replace(a, text, S("<aws.scheduler.execution-id>"), id);
}

void target_invoke(struct store_txn *t, struct arena *a, const struct schedule *s, int64_t now_ms)
{
	const struct scheduler_target *from = s->r.target;
	struct events_target to = {.id = S("schedule"), .arn = from->arn};
	struct events_sqs_parameters group;
	struct events_retry_policy retry;
	struct str arn = schedule_arn(a, s);
	if (from->sqs_parameters) {
		group.message_group_id = from->sqs_parameters->message_group_id;
		to.sqs_parameters = &group;
	}
	if (from->retry_policy) {
		retry = (struct events_retry_policy){.maximum_retry_attempts = from->retry_policy->maximum_retry_attempts,
		                                     .maximum_event_age_in_seconds =
		                                             from->retry_policy->maximum_event_age_in_seconds};
		to.retry_policy = &retry;
	}
	if (from->ecs_parameters)
		to.ecs_parameters = task_of(a, from->ecs_parameters);
	const struct state_events_delivery_record row = {
	        .schedule = arn,
	        .event = input_of(a, s, arn),
	        .role = from->role_arn,
	        .detail_type = from->event_bridge_parameters ? from->event_bridge_parameters->detail_type : STR_NONE,
	        .source = from->event_bridge_parameters ? from->event_bridge_parameters->source : STR_NONE,
	        .dead_letter = from->dead_letter_config ? from->dead_letter_config->arn : STR_NONE,
	        .target = &to,
	        .accepted = OPT_TIME(now_ms),
	        .scheduled = s->r.next,
	        .due = OPT_TIME(now_ms),
	};
	events_deliver(t, a, s->account, s->region, &row);
}
