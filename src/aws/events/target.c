/* PutTargets, RemoveTargets, ListTargetsByRule. Targets lie in their rule's record. */
#include "rows.h"

struct kind {
	const char *service, *resource; /* the ARN's third part, and how its last begins */
	bool needs_role;
};
static const struct kind kinds[] = {
        {"lambda", "function:", false},
        {"sqs", "", false},
        {"sns", "", false},
        {"logs", "log-group:", false},
        {"events", "event-bus/", false},
        {"ecs", "cluster/", true},
        {"events", "api-destination/", true},
};

static const struct kind *kind_of(struct str arn, struct str *ret_service)
{
	struct str rest = arn, parts[5];
	for (int i = 0; i < 5; i++)
		parts[i] = str_cut(&rest, ':');
	*ret_service = STR_NONE;
	if (!str_is(parts[0], "arn") || !str_set(rest) || !rest.n)
		return NULL;
	*ret_service = parts[2];
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_is(parts[2], kinds[i].service) && str_starts(rest, str_from(kinds[i].resource)))
			return str_is(parts[2], "sns") && str_ends(rest, S(".fifo")) ? NULL : &kinds[i];
	return NULL;
}

struct str events_target_wrong(struct arena *a, struct str arn)
{
	struct str service;
	if (kind_of(arn, &service))
		return STR_NONE;
	if (!str_set(service))
		return arena_printf(a, "Parameter %.*s is not valid. Reason: Provided Arn is not in correct format.", STR_ARG(arn));
	return arena_printf(a, "Parameter %.*s is not valid. Reason: Quartet provides no targets of this kind.", STR_ARG(arn));
}

bool events_target_needs_role(struct str arn)
{
	struct str service;
	const struct kind *k = kind_of(arn, &service);
	return k && k->needs_role;
}

/* --- checks */

static int check_input(struct call *c, const struct events_target *t)
{
	struct str id = t->id, wrong;
	if ((str_set(t->input) ? 1 : 0) + (str_set(t->input_path) ? 1 : 0) + (t->input_transformer ? 1 : 0) > 1)
		return events_invalid(c, "Only one of Input, InputPath, or InputTransformer must be provided for target %.*s.",
		                      STR_ARG(id));
	if (str_set(t->input) && !json_parse(c->arena, t->input, NULL))
		return events_invalid(c, "JSON syntax error in Input for target %.*s.", STR_ARG(id));
	if (str_set(t->input_path) && !path_good(t->input_path))
		return events_invalid(c, "InputPath for target %.*s is invalid.", STR_ARG(id));
	if (!t->input_transformer)
		return CALL_OK;
	wrong = transform_wrong(c->arena, &t->input_transformer->input_paths_map, t->input_transformer->input_template);
	return str_set(wrong) ? events_invalid(c, "Invalid InputTemplate for target %.*s : %.*s", STR_ARG(id), STR_ARG(wrong))
	                      : CALL_OK;
}

/* Parameters of kinds of targets that this one is not of, or that there are not. */
static int check_parameters(struct call *c, const struct events_target *t, bool fifo)
{
	bool task = str_starts(t->arn, S("arn:aws:ecs:")), api = str_find(t->arn, S(":api-destination/")) > 0;
	const char *what = t->kinesis_parameters               ? "KinesisParameters"
	                   : t->run_command_parameters         ? "RunCommandParameters"
	                   : t->batch_parameters               ? "BatchParameters"
	                   : t->http_parameters && !api        ? "HttpParameters"
	                   : t->redshift_data_parameters       ? "RedshiftDataParameters"
	                   : t->sage_maker_pipeline_parameters ? "SageMakerPipelineParameters"
	                   : t->app_sync_parameters            ? "AppSyncParameters"
	                   : t->ecs_parameters && !task        ? "EcsParameters"
	                   : t->sqs_parameters && !fifo        ? "SqsParameters"
	                                                       : NULL;
	if (what)
		return events_invalid(c, "Parameter %s is not valid for target %.*s.", what, STR_ARG(t->id));
	if (task && !t->ecs_parameters)
		return events_invalid(c, "Parameter(s) EcsParameters must be specified for target: %.*s.", STR_ARG(t->id));
	if (fifo && (!t->sqs_parameters || !t->sqs_parameters->message_group_id.n))
		return events_invalid(c, "Parameter(s) SqsParameters must be specified for target: %.*s.", STR_ARG(t->id));
	return CALL_OK;
}

static int check_target(struct call *c, const struct events_target *t)
{
	struct str wrong = events_target_wrong(c->arena, t->arn);
	if (str_set(wrong))
		return events_invalid(c, "%.*s", STR_ARG(wrong));
	if (events_target_needs_role(t->arn) && !t->role_arn.n)
		return events_invalid(c, "RoleArn is required for target %.*s.", STR_ARG(t->arn));
	if (t->dead_letter_config && str_set(t->dead_letter_config->arn) &&
	    !str_starts(t->dead_letter_config->arn, S("arn:aws:sqs:")))
		return events_invalid(c, "Invalid DeadLetterConfig for target %.*s: %.*s is no queue.", STR_ARG(t->id),
		                      STR_ARG(t->dead_letter_config->arn));
	bool fifo = str_starts(t->arn, S("arn:aws:sqs:")) && str_ends(t->arn, S(".fifo"));
	if (check_input(c, t) != CALL_OK || check_parameters(c, t, fifo) != CALL_OK)
		return CALL_FAIL;
	return !t->role_arn.n || call_allowed(c, "iam:PassRole", t->role_arn) ? CALL_OK : CALL_FAIL;
}

/* --- operations */

static uint32_t find(const struct rule *r, struct str id)
{
	uint32_t at = 0;
	while (at < r->r.targets.n && !str_eq(r->r.targets.v[at].id, id))
		at++;
	return at;
}

int events_put_targets(struct call *c, const struct events_put_targets_request *in, struct events_put_targets_response *out)
{
	struct rule r;
	if (rule_get(c, in->event_bus_name, in->rule, &r) != CALL_OK || rule_own(c, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->targets.n; i++) {
		const struct events_target *t = &in->targets.v[i];
		uint32_t at = find(&r, t->id);
		if (check_target(c, t) != CALL_OK)
			return CALL_FAIL;
		if (at == r.r.targets.n)
			*LIST_ADD(c->arena, &r.r.targets) = *t;
		else
			r.r.targets.v[at] = *t;
	}
	if (r.r.targets.n > EVENTS_TARGETS_MAX)
		return call_fail(c, "LimitExceededException", 400, "The requested resource exceeds the maximum number allowed.");
	rule_put(c, &r);
	out->failed_entry_count = OPT_INT(0);
	out->failed_entries.set = true;
	return CALL_OK;
}

int events_remove_targets(struct call *c, const struct events_remove_targets_request *in,
                          struct events_remove_targets_response *out)
{
	struct rule r;
	if (rule_get(c, in->event_bus_name, in->rule, &r) != CALL_OK || rule_own(c, &r) != CALL_OK)
		return CALL_FAIL;
	out->failed_entries.set = true;
	for (uint32_t i = 0; i < in->ids.n; i++) {
		uint32_t at = find(&r, in->ids.v[i]);
		if (at < r.r.targets.n) {
			memmove(&r.r.targets.v[at], &r.r.targets.v[at + 1], (r.r.targets.n - at - 1) * sizeof(*r.r.targets.v));
			r.r.targets.n--;
			continue;
		}
		struct events_remove_targets_result_entry *e = LIST_ADD(c->arena, &out->failed_entries);
		e->target_id = in->ids.v[i];
		e->error_code = S("ResourceNotFoundException");
		e->error_message =
		        arena_printf(c->arena, "Rule %.*s does not have target(s) %.*s.", STR_ARG(in->rule), STR_ARG(in->ids.v[i]));
	}
	rule_put(c, &r);
	out->failed_entry_count = OPT_INT(out->failed_entries.n);
	return CALL_OK;
}

int events_list_targets_by_rule(struct call *c, const struct events_list_targets_by_rule_request *in,
                                struct events_list_targets_by_rule_response *out)
{
	struct rule r;
	int64_t from = 0;
	if (rule_get(c, in->event_bus_name, in->rule, &r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->next_token) && (!str_to_i64(in->next_token, &from) || from < 0))
		return events_invalid(c, "Parameter NextToken is not valid.");
	out->targets.set = true;
	for (; from < r.r.targets.n && (!in->limit.set || out->targets.n < in->limit.v); from++)
		*LIST_ADD(c->arena, &out->targets) = r.r.targets.v[from];
	if (from < r.r.targets.n)
		out->next_token = arena_printf(c->arena, "%lld", (long long)from);
	return CALL_OK;
}
