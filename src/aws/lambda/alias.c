/* Aliases: names for versions, with weights to share calls between two of them. */
#include "aws/lambda/lambda.h"
#include "base/id.h"

static bool get_row(struct call *c, const struct lambda_name *n, struct str alias, struct state_lambda_alias_record *ret)
{
	return record_get(call_txn(c), c->arena, lambda_alias_key(c->arena, n->account, n->region, n->name, alias), ROW("Alias"),
	                  ret);
}

static void put_row(struct call *c, const struct lambda_name *n, const struct state_lambda_alias_record *row)
{
	record_put(call_txn(c), c->arena, lambda_alias_key(c->arena, n->account, n->region, n->name, row->config->name),
	           ROW("Alias"), row);
}

static int no_alias(struct call *c, const struct lambda_name *n, struct str alias)
{
	struct str arn = lambda_function_arn(c->arena, n->region, n->account, n->name, alias);
	return call_fail(c, "ResourceNotFoundException", 404, "Cannot find alias arn: %.*s", STR_ARG(arn));
}

static int check_versions(struct call *c, const struct lambda_name *n, const struct lambda_alias_configuration *a)
{
	struct state_lambda_version_record first = {0}, second = {0};
	struct lambda_name at = *n;
	at.qualifier = a->function_version;
	if (!lambda_get_version_row(c, n, a->function_version, &first))
		return lambda_no_function(c, &at);
	const struct lambda_alias_routing_configuration *r = a->routing_config;
	if (!r || !r->additional_version_weights.n)
		return CALL_OK;
	if (r->additional_version_weights.n > 1)
		return lambda_invalid(c, "Number of items in AdditionalVersionWeights cannot be greater than 1");
	struct str other = r->additional_version_weights.v[0].key;
	double weight = r->additional_version_weights.v[0].value.v;
	int64_t number;
	if (weight < 0 || weight > 1) {
		return call_fail(
		        c, "ValidationException", 400,
		        "1 validation error detected: Value '{%.*s=%g}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: Map "
		        "value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to "
		        "0.0]",
		        STR_ARG(other), weight);
	}
	if (str_eq(a->function_version, S(LAMBDA_LATEST)))
		return lambda_invalid(c, "$LATEST is not supported for an alias pointing to more than 1 version");
	if (str_eq(other, a->function_version))
		return lambda_invalid(
		        c, "Invalid function version %.*s. Function version %.*s is already included in routing configuration.",
		        STR_ARG(other), STR_ARG(other));
	if (!lambda_is_version_number(other, &number))
		return lambda_invalid(c, "Invalid version %.*s in routing configuration.", STR_ARG(other));
	at.qualifier = other;
	if (!lambda_get_version_row(c, n, other, &second))
		return lambda_no_function(c, &at);
	if (!str_eq(first.config->role, second.config->role))
		return lambda_invalid(c, "The versions of an alias with weights need the same execution role.");
	return CALL_OK;
}

/* Weights of nothing are no weights. */
static struct lambda_alias_routing_configuration *routing_of(struct lambda_alias_routing_configuration *r)
{
	return r && r->additional_version_weights.n ? r : NULL;
}

int lambda_create_alias(struct call *c, const struct lambda_create_alias_request *in, struct lambda_alias_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_function_record function = {0};
	struct state_lambda_alias_record row = {0};
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_function_row(c, &n, &function))
		return lambda_no_function(c, &n);
	struct str arn = lambda_function_arn(c->arena, n.region, n.account, n.name, in->name);
	if (get_row(c, &n, in->name, &row))
		return call_fail(c, "ResourceConflictException", 409, "Alias already exists: %.*s", STR_ARG(arn));
	*out = (struct lambda_alias_configuration){
	        .alias_arn = arn,
	        .name = in->name,
	        .function_version = in->function_version,
	        .description = str_set(in->description) ? in->description : S(""),
	        .routing_config = routing_of(in->routing_config),
	        .revision_id = id_uuid(c->arena),
	};
	if (check_versions(c, &n, out) != CALL_OK)
		return CALL_FAIL;
	row.config = out;
	put_row(c, &n, &row);
	return CALL_OK;
}

int lambda_get_alias(struct call *c, const struct lambda_get_alias_request *in, struct lambda_alias_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_alias_record row = {0};
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	if (!get_row(c, &n, in->name, &row))
		return no_alias(c, &n, in->name);
	*out = *row.config;
	return CALL_OK;
}

int lambda_update_alias(struct call *c, const struct lambda_update_alias_request *in, struct lambda_alias_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_alias_record row = {0};
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	if (!get_row(c, &n, in->name, &row))
		return no_alias(c, &n, in->name);
	if (lambda_check_revision(c, in->revision_id, row.config->revision_id) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	if (str_set(in->function_version))
		out->function_version = in->function_version;
	if (str_set(in->description))
		out->description = in->description;
	if (in->routing_config)
		out->routing_config = routing_of(in->routing_config);
	out->revision_id = id_uuid(c->arena);
	if (check_versions(c, &n, out) != CALL_OK)
		return CALL_FAIL;
	row.config = out;
	put_row(c, &n, &row);
	return CALL_OK;
}

int lambda_delete_alias(struct call *c, const struct lambda_delete_alias_request *in, struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), lambda_alias_key(c->arena, n.account, n.region, n.name, in->name));
	store_delete(call_txn(c), lambda_policy_key(c->arena, n.account, n.region, n.name, in->name));
	store_delete(call_txn(c), lambda_event_config_key(c->arena, n.account, n.region, n.name, in->name));
	return CALL_OK;
}

int lambda_list_aliases(struct call *c, const struct lambda_list_aliases_request *in, struct lambda_list_aliases_response *out)
{
	struct lambda_name n;
	struct lambda_page page;
	struct state_lambda_function_record function = {0};
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK ||
	    lambda_page_begin(c, in->marker, in->max_items, LAMBDA_PAGE, &page) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_function_row(c, &n, &function))
		return lambda_no_function(c, &n);
	struct store_iter *it =
	        lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("alias"), n.account, n.region, n.name), page.after);
	struct str key, last = STR_NONE;
	struct store_value value;
	out->aliases.set = true;
	while (store_next(it, &key, &value)) {
		struct state_lambda_alias_record row = {0};
		record_read(c->arena, value.value, ROW("Alias"), &row);
		if (str_set(in->function_version) && !str_eq(in->function_version, row.config->function_version))
			continue;
		if (out->aliases.n == page.max) {
			out->next_marker = lambda_page_marker(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->aliases) = *row.config;
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}
