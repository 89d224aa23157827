/* How asynchronous invocations of a function are retried and where their results go. */
#include "aws/lambda/destination.h"

static int check_destination(struct call *c, const struct lambda_name *n, const char *which, struct str arn)
{
	struct lambda_name to;
	if (!str_set(arn) || str_empty(arn))
		return CALL_OK;
	if (destination_check(c, which, arn) != CALL_OK)
		return CALL_FAIL;
	if (lambda_name_split(arn, &to) && str_eq(to.name, n->name) && str_eq(to.account, n->account) &&
	    str_eq(to.region, n->region))
		return lambda_invalid(c, "You can't specify the function as a destination for itself.");
	return CALL_OK;
}

static int apply(struct call *c, const struct lambda_name *n, struct opt_int retries, struct opt_int age,
                 const struct lambda_destination_config *destinations, struct lambda_function_event_invoke_config *f)
{
	if (!retries.set && !age.set && !destinations)
		return lambda_invalid(c, "You must specify at least one of error handling or destination setting.");
	if (destinations) {
		if (destinations->on_success &&
		    check_destination(c, n, "OnSuccess", destinations->on_success->destination) != CALL_OK)
			return CALL_FAIL;
		if (destinations->on_failure &&
		    check_destination(c, n, "OnFailure", destinations->on_failure->destination) != CALL_OK)
			return CALL_FAIL;
		f->destination_config = arena_new(c->arena, struct lambda_destination_config);
		*f->destination_config = *destinations;
	}
	if (!f->destination_config)
		f->destination_config = arena_new(c->arena, struct lambda_destination_config);
	if (!f->destination_config->on_success)
		f->destination_config->on_success = arena_new(c->arena, struct lambda_on_success);
	if (!f->destination_config->on_failure)
		f->destination_config->on_failure = arena_new(c->arena, struct lambda_on_failure);
	if (retries.set)
		f->maximum_retry_attempts = retries;
	if (age.set)
		f->maximum_event_age_in_seconds = age;
	f->function_arn = lambda_function_arn(c->arena, n->region, n->account, n->name,
	                                      str_set(n->qualifier) ? n->qualifier : S(LAMBDA_LATEST));
	f->last_modified = OPT_TIME(c->now_ms);
	struct state_lambda_event_config_record row = {.config = f};
	record_put(call_txn(c), c->arena, lambda_event_config_key(c->arena, n->account, n->region, n->name, n->qualifier),
	           ROW("EventConfig"), &row);
	return CALL_OK;
}

/* The configuration that belongs to a name and a qualifier; CALL_FAIL with the error set. */
static int load(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret_name,
                struct state_lambda_event_config_record *ret)
{
	struct state_lambda_version_record version = {0};
	if (lambda_load_qualified(c, text, qualifier, ret_name, &version) != CALL_OK)
		return CALL_FAIL;
	const struct lambda_name *n = ret_name;
	if (record_get(call_txn(c), c->arena, lambda_event_config_key(c->arena, n->account, n->region, n->name, n->qualifier),
	               ROW("EventConfig"), ret))
		return CALL_OK;
	struct str arn = lambda_function_arn(c->arena, n->region, n->account, n->name,
	                                     str_set(n->qualifier) ? n->qualifier : S(LAMBDA_LATEST));
	return call_fail(c, "ResourceNotFoundException", 404, "The function %.*s doesn't have an EventInvokeConfig", STR_ARG(arn));
}

int lambda_put_function_event_invoke_config(struct call *c, const struct lambda_put_function_event_invoke_config_request *in,
                                            struct lambda_function_event_invoke_config *out)
{
	struct lambda_name n;
	struct state_lambda_version_record version = {0};
	if (lambda_load_qualified(c, in->function_name, in->qualifier, &n, &version) != CALL_OK)
		return CALL_FAIL;
	return apply(c, &n, in->maximum_retry_attempts, in->maximum_event_age_in_seconds, in->destination_config, out);
}

int lambda_update_function_event_invoke_config(struct call *c, const struct lambda_update_function_event_invoke_config_request *in,
                                               struct lambda_function_event_invoke_config *out)
{
	struct lambda_name n;
	struct state_lambda_event_config_record row = {0};
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	return apply(c, &n, in->maximum_retry_attempts, in->maximum_event_age_in_seconds, in->destination_config, out);
}

int lambda_get_function_event_invoke_config(struct call *c, const struct lambda_get_function_event_invoke_config_request *in,
                                            struct lambda_function_event_invoke_config *out)
{
	struct lambda_name n;
	struct state_lambda_event_config_record row = {0};
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	return CALL_OK;
}

int lambda_delete_function_event_invoke_config(struct call *c, const struct lambda_delete_function_event_invoke_config_request *in,
                                               struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	struct state_lambda_event_config_record row = {0};
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), lambda_event_config_key(c->arena, n.account, n.region, n.name, n.qualifier));
	return CALL_OK;
}

int lambda_list_function_event_invoke_configs(struct call *c, const struct lambda_list_function_event_invoke_configs_request *in,
                                              struct lambda_list_function_event_invoke_configs_response *out)
{
	struct lambda_list l;
	struct state_lambda_event_config_record row;
	if (lambda_list_of_function(c, S("event_config"), in->function_name, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->function_event_invoke_configs.set = true;
	while (lambda_list_next(&l, ROW("EventConfig"), &row) && lambda_list_take(&l, &out->next_marker))
		*LIST_ADD(c->arena, &out->function_event_invoke_configs) = *row.config;
	return CALL_OK;
}
