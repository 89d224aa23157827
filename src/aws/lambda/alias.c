/* Aliases: names for versions, with weights to share calls between two of them. */
#include "aws/lambda/lambda.h"
#include "base/id.h"

bool lambda_get_alias_row(struct call *c, const struct lambda_name *n, struct str alias, struct state_lambda_alias_record *ret)
{
	return record_get(call_txn(c), c->arena, lambda_alias_key(c->arena, n->account, n->region, n->name, alias), ROW("Alias"),
	                  ret);
}

/* CALL_FAIL with the error set. */
static int load(struct call *c, struct str text, struct str alias, struct lambda_name *ret_name,
                struct state_lambda_alias_record *ret)
{
	if (lambda_name_whole(c, text, ret_name) != CALL_OK)
		return CALL_FAIL;
	if (lambda_get_alias_row(c, ret_name, alias, ret))
		return CALL_OK;
	struct str arn = lambda_function_arn(c->arena, ret_name->region, ret_name->account, ret_name->name, alias);
	return call_fail(c, "ResourceNotFoundException", 404, "Cannot find alias arn: %.*s", STR_ARG(arn));
}

bool lambda_alias_uses(const struct lambda_alias_configuration *a, struct str version)
{
	const struct lambda_alias_routing_configuration *r = a->routing_config;
	bool uses = str_eq(a->function_version, version);
	for (uint32_t i = 0; r && i < r->additional_version_weights.n; i++)
		uses = uses || str_eq(r->additional_version_weights.v[i].key, version);
	return uses;
}

void lambda_put_alias_row(struct call *c, const struct lambda_name *n, const struct state_lambda_alias_record *row)
{
	record_put(call_txn(c), c->arena, lambda_alias_key(c->arena, n->account, n->region, n->name, row->config->name),
	           ROW("Alias"), row);
}

static struct str letters_of(const struct state_lambda_version_record *v)
{
	return v->config->dead_letter_config ? v->config->dead_letter_config->target_arn : STR_NONE;
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
	int64_t number;
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
	if (!str_eq(letters_of(&first), letters_of(&second)))
		return lambda_invalid(c, "The versions of an alias with weights need the same dead letter queue.");
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
	if (lambda_load_function(c, in->function_name, &n, &function) != CALL_OK)
		return CALL_FAIL;
	struct str arn = lambda_function_arn(c->arena, n.region, n.account, n.name, in->name);
	if (lambda_get_alias_row(c, &n, in->name, &row))
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
	lambda_put_alias_row(c, &n, &row);
	return CALL_OK;
}

int lambda_get_alias(struct call *c, const struct lambda_get_alias_request *in, struct lambda_alias_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_alias_record row = {0};
	if (load(c, in->function_name, in->name, &n, &row) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	return CALL_OK;
}

int lambda_update_alias(struct call *c, const struct lambda_update_alias_request *in, struct lambda_alias_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_alias_record row = {0};
	if (load(c, in->function_name, in->name, &n, &row) != CALL_OK ||
	    lambda_check_revision(c, in->revision_id, row.config->revision_id) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	if (str_set(in->function_version))
		out->function_version = in->function_version;
	if (str_set(in->description))
		out->description = in->description;
	if (in->routing_config)
		out->routing_config = routing_of(in->routing_config);
	out->revision_id = id_uuid(c->arena);
	if (check_versions(c, &n, out) != CALL_OK || lambda_provisioned_follow(c, &n, out) != CALL_OK)
		return CALL_FAIL;
	row.config = out;
	lambda_put_alias_row(c, &n, &row);
	return CALL_OK;
}

int lambda_delete_alias(struct call *c, const struct lambda_delete_alias_request *in, struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	if (lambda_name_whole(c, in->function_name, &n) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), lambda_alias_key(c->arena, n.account, n.region, n.name, in->name));
	store_delete(call_txn(c), lambda_policy_key(c->arena, n.account, n.region, n.name, in->name));
	store_delete(call_txn(c), lambda_event_config_key(c->arena, n.account, n.region, n.name, in->name));
	lambda_provisioned_drop(c, &n, in->name);
	lambda_url_drop(c, &n, in->name);
	return CALL_OK;
}

int lambda_list_aliases(struct call *c, const struct lambda_list_aliases_request *in, struct lambda_list_aliases_response *out)
{
	struct lambda_list l;
	struct state_lambda_alias_record row;
	if (lambda_list_of_function(c, S("alias"), in->function_name, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->aliases.set = true;
	while (lambda_list_next(&l, ROW("Alias"), &row)) {
		if (str_set(in->function_version) && !lambda_alias_uses(row.config, in->function_version))
			continue;
		if (!lambda_list_take(&l, &out->next_marker))
			break;
		*LIST_ADD(c->arena, &out->aliases) = *row.config;
	}
	return CALL_OK;
}
