/* Records and their keys. Versions are keyed with leading zeros, so that a scan meets $LATEST first and then 1, 2, 3 ... */
#include "aws/lambda/lambda.h"

#include "core/meter.h"

static struct str padded(struct arena *a, int64_t version)
{
	return arena_printf(a, "%018lld", (long long)version);
}

struct str lambda_function_key(struct arena *a, struct str account, struct str region, struct str name)
{
	return KEY(a, S("lambda"), S("function"), account, region, name);
}

struct str lambda_version_key(struct arena *a, struct str account, struct str region, struct str name, struct str version)
{
	int64_t number;
	struct str last = lambda_is_version_number(version, &number) ? padded(a, number) : version;
	return KEY(a, S("lambda"), S("version"), account, region, name, last);
}

struct str lambda_alias_key(struct arena *a, struct str account, struct str region, struct str name, struct str alias)
{
	return KEY(a, S("lambda"), S("alias"), account, region, name, alias);
}

struct str lambda_policy_key(struct arena *a, struct str account, struct str region, struct str name, struct str qualifier)
{
	return KEY(a, S("lambda"), S("policy"), account, region, name, str_set(qualifier) ? qualifier : S("-"));
}

struct str lambda_event_config_key(struct arena *a, struct str account, struct str region, struct str name, struct str qualifier)
{
	return KEY(a, S("lambda"), S("event_config"), account, region, name, str_set(qualifier) ? qualifier : S(LAMBDA_LATEST));
}

struct str lambda_provisioned_key(struct arena *a, struct str account, struct str region, struct str name, struct str qualifier)
{
	return KEY(a, S("lambda"), S("provisioned"), account, region, name, qualifier);
}

struct str lambda_event_key(struct arena *a, struct str account, struct str region, struct str request_id)
{
	return KEY(a, S("lambda"), S("event"), account, region, request_id);
}

struct str lambda_layer_key(struct arena *a, struct str account, struct str region, struct str layer)
{
	return KEY(a, S("lambda"), S("layer"), account, region, layer);
}

struct str lambda_layer_version_key(struct arena *a, struct str account, struct str region, struct str layer, int64_t version)
{
	return KEY(a, S("lambda"), S("layer_version"), account, region, layer, padded(a, version));
}

struct str lambda_layer_policy_key(struct arena *a, struct str account, struct str region, struct str layer, int64_t version)
{
	return KEY(a, S("lambda"), S("layer_policy"), account, region, layer, padded(a, version));
}

struct str lambda_code_key(struct arena *a, struct str code)
{
	return KEY(a, S("lambda"), S("code"), code);
}

struct store_iter *lambda_scan(struct call *c, struct str prefix)
{
	return store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), false);
}

bool lambda_get_function_row(struct call *c, const struct lambda_name *n, struct state_lambda_function_record *ret)
{
	struct str key = lambda_function_key(c->arena, n->account, n->region, n->name);
	return record_get(call_txn(c), c->arena, key, ROW("Function"), ret);
}

bool lambda_get_version_row(struct call *c, const struct lambda_name *n, struct str version,
                            struct state_lambda_version_record *ret)
{
	struct str key = lambda_version_key(c->arena, n->account, n->region, n->name, version);
	return record_get(call_txn(c), c->arena, key, ROW("Version"), ret);
}

void lambda_put_function_row(struct call *c, const struct lambda_name *n, const struct state_lambda_function_record *row)
{
	record_put(call_txn(c), c->arena, lambda_function_key(c->arena, n->account, n->region, n->name), ROW("Function"), row);
	meter_tags(call_txn(c), c->arena, n->account, n->region,
	           lambda_function_arn(c->arena, n->region, n->account, n->name, STR_NONE), &row->tags, c->now_ms);
}

void lambda_put_version_row(struct call *c, const struct lambda_name *n, struct str version,
                            const struct state_lambda_version_record *row)
{
	record_put(call_txn(c), c->arena, lambda_version_key(c->arena, n->account, n->region, n->name, version), ROW("Version"),
	           row);
}

int lambda_load_version(struct call *c, const struct lambda_name *n, struct state_lambda_version_record *ret)
{
	struct str version = str_set(n->qualifier) ? n->qualifier : S(LAMBDA_LATEST);
	if (lambda_get_version_row(c, n, version, ret))
		return CALL_OK;
	struct state_lambda_alias_record alias = {0};
	if (!lambda_get_alias_row(c, n, version, &alias) || !lambda_get_version_row(c, n, alias.config->function_version, ret))
		return lambda_no_function(c, n);
	return CALL_OK;
}

static int check_changeable(struct call *c, const struct lambda_function_configuration *f)
{
	if (str_eq(f->state, S("Pending"))) {
		return call_fail(
		        c, "ResourceConflictException", 409,
		        "The operation cannot be performed at this time. The function is currently in the following state: Pending");
	}
	if (str_eq(f->last_update_status, S("InProgress"))) {
		return call_fail(c, "ResourceConflictException", 409,
		                 "The operation cannot be performed at this time. An update is in progress for resource: %.*s",
		                 STR_ARG(f->function_arn));
	}
	return CALL_OK;
}

int lambda_load_function(struct call *c, struct str text, struct lambda_name *ret_name, struct state_lambda_function_record *ret)
{
	if (lambda_name_whole(c, text, ret_name) != CALL_OK)
		return CALL_FAIL;
	return lambda_get_function_row(c, ret_name, ret) ? CALL_OK : lambda_no_function(c, ret_name);
}

int lambda_load_changeable(struct call *c, struct str text, struct str revision, struct lambda_name *ret_name,
                           struct state_lambda_function_record *ret_function, struct state_lambda_version_record *ret)
{
	if (lambda_load_function(c, text, ret_name, ret_function) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_version_row(c, ret_name, S(LAMBDA_LATEST), ret))
		return lambda_no_function(c, ret_name);
	if (lambda_check_revision(c, revision, ret->config->revision_id) != CALL_OK)
		return CALL_FAIL;
	return check_changeable(c, ret->config);
}

int lambda_load_qualified(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret_name,
                          struct state_lambda_version_record *ret)
{
	if (lambda_name_parse(c, text, qualifier, ret_name) != CALL_OK)
		return CALL_FAIL;
	return lambda_load_version(c, ret_name, ret);
}

void lambda_code_reference(struct call *c, struct str code, int64_t bytes, int64_t unzipped_bytes)
{
	struct state_lambda_code_record row = {.bytes = OPT_INT(bytes), .unzipped_bytes = OPT_INT(unzipped_bytes)};
	record_get(call_txn(c), c->arena, lambda_code_key(c->arena, code), ROW("Code"), &row);
	row.references = OPT_INT(row.references.v + 1);
	record_put(call_txn(c), c->arena, lambda_code_key(c->arena, code), ROW("Code"), &row);
}

void lambda_code_release(struct call *c, struct str code)
{
	struct state_lambda_code_record row = {0};
	struct str key = lambda_code_key(c->arena, code);
	if (!record_get(call_txn(c), c->arena, key, ROW("Code"), &row))
		return;
	row.references.v--;
	if (row.references.v > 0)
		record_put(call_txn(c), c->arena, key, ROW("Code"), &row);
	else
		store_delete(call_txn(c), key); /* the code store's watch removes the files */
}

/* Counted on a snapshot of its own: two functions made at once shall not conflict over the sum. */
void lambda_usage(struct call *c, int64_t *ret_bytes, int64_t *ret_functions)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(c->cloud->store, &a);
	struct str prefix = KEY_UNDER(&a, S("lambda"), S("version"), c->account, c->region);
	struct store_iter *it = store_scan(t, prefix, store_prefix_end(&a, prefix), false);
	struct str key;
	struct store_value value;
	int64_t bytes = 0, functions = 0;
	while (store_next(it, &key, &value)) {
		struct state_lambda_version_record row = {0};
		if (!record_read(&a, value.value, ROW("Version"), &row))
			continue;
		bytes += row.config->code_size.v;
		functions += str_eq(row.config->version, S(LAMBDA_LATEST));
	}
	prefix = KEY_UNDER(&a, S("lambda"), S("layer_version"), c->account, c->region);
	it = store_scan(t, prefix, store_prefix_end(&a, prefix), false);
	while (store_next(it, &key, &value)) {
		struct state_lambda_layer_version_record row = {0};
		if (record_read(&a, value.value, ROW("LayerVersion"), &row))
			bytes += row.code_size.v;
	}
	store_abort(t);
	*ret_bytes = bytes;
	*ret_functions = functions;
}
