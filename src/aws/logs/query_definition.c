/* PutQueryDefinition, DescribeQueryDefinitions, DeleteQueryDefinition: queries that are kept for later. */
#include "rows.h"

#include "base/id.h"

enum { DEFINITIONS_MAX = 1000, PAGE = 1000 };

static struct str under_definitions(struct call *c)
{
	return KEY_UNDER(c->arena, S("logs"), S("query_definition"), c->account, c->region);
}

static struct str definition_key(struct call *c, struct str id)
{
	return KEY(c->arena, S("logs"), S("query_definition"), c->account, c->region, id);
}

static int not_found(struct call *c)
{
	return call_fail(c, "ResourceNotFoundException", 0, "The specified query definition does not exist.");
}

/* *ret_again: the one that this token has made. */
static unsigned count(struct call *c, struct str token, struct str *ret_again)
{
	struct str under = under_definitions(c), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	unsigned n = 0;
	*ret_again = STR_NONE;
	for (; store_next(i, &key, &v); n++) {
		struct state_logs_query_definition_record r;
		if (str_set(token) && record_read(c->arena, v.value, LOGS_ROW("QueryDefinition"), &r) &&
		    str_eq(r.client_token, token))
			*ret_again = r.definition->query_definition_id;
	}
	return n;
}

int logs_put_query_definition(struct call *c, const struct logs_put_query_definition_request *in,
                              struct logs_put_query_definition_response *out)
{
	struct state_logs_query_definition_record r;
	struct str id = str_set(in->query_definition_id) ? in->query_definition_id : STR_NONE, again;
	if (str_set(in->query_language) && !str_is(in->query_language, "CWLI"))
		return logs_invalid(c, "Queries in %.*s are not supported.", STR_ARG(in->query_language));
	if (in->parameters.n)
		return logs_invalid(c, "Queries with parameters are not supported.");
	if (str_set(id) && !record_get(call_txn(c), c->arena, definition_key(c, id), LOGS_ROW("QueryDefinition"), &r))
		return not_found(c);
	if (!str_set(id)) {
		unsigned n = count(c, in->client_token, &again);
		if (str_set(again)) {
			out->query_definition_id = again;
			return CALL_OK;
		}
		if (n >= DEFINITIONS_MAX)
			return call_fail(c, "LimitExceededException", 0, "Resource limit exceeded.");
		id = id_uuid(c->arena);
	}
	struct logs_query_definition made = {.query_language = S("CWLI"),
	                                     .query_definition_id = id,
	                                     .name = in->name,
	                                     .query_string = in->query_string,
	                                     .last_modified = OPT_INT(c->now_ms),
	                                     .log_group_names = in->log_group_names};
	r = (struct state_logs_query_definition_record){.definition = &made, .client_token = in->client_token};
	record_put(call_txn(c), c->arena, definition_key(c, id), LOGS_ROW("QueryDefinition"), &r);
	out->query_definition_id = id;
	return CALL_OK;
}

int logs_describe_query_definitions(struct call *c, const struct logs_describe_query_definitions_request *in,
                                    struct logs_describe_query_definitions_response *out)
{
	struct str under = under_definitions(c), after, key, last = STR_NONE;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : PAGE;
	out->query_definitions.set = true;
	if (!logs_page_from(c, in->next_token, under, &after))
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), str_set(after) ? ARENA_CAT(c->arena, after, str_of("", 1)) : under,
	                                  store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_query_definition_record r;
		if (!record_read(c->arena, v.value, LOGS_ROW("QueryDefinition"), &r) ||
		    (str_set(in->query_definition_name_prefix) &&
		     !str_starts(r.definition->name, in->query_definition_name_prefix)) ||
		    (str_set(in->query_language) && !str_eq(in->query_language, r.definition->query_language)))
			continue;
		if (out->query_definitions.n == limit) {
			out->next_token = logs_page_token(c, last);
			break;
		}
		last = arena_dup(c->arena, key);
		*LIST_ADD(c->arena, &out->query_definitions) = *r.definition;
	}
	return CALL_OK;
}

int logs_delete_query_definition(struct call *c, const struct logs_delete_query_definition_request *in,
                                 struct logs_delete_query_definition_response *out)
{
	struct str key = definition_key(c, in->query_definition_id);
	struct store_value v;
	if (!store_get(call_txn(c), key, &v))
		return not_found(c);
	store_delete(call_txn(c), key);
	out->success = OPT_BOOL(true);
	return CALL_OK;
}
