/* Provisioned concurrency: PutProvisionedConcurrencyConfig and its like. What is asked for is a record beside the function's; how
 * far it has come is in memory (provision.h). It is billed from the request on. */
#include "aws/lambda/directory.h"
#include "aws/lambda/snapstart.h"
#include "base/clock.h"
#include "core/meter.h"

/* AWS's form of this one has no milliseconds: 2019-12-03T23:28:51+0000 */
static struct str modified_text(struct arena *a, int64_t ms)
{
	struct str t = time_format(a, ms, TIME_ISO8601_MS);
	return ARENA_CAT(a, str_sub(t, 0, 19), S("+0000"));
}

static struct str key_of(struct call *c, const struct lambda_name *n, struct str qualifier)
{
	return lambda_provisioned_key(c->arena, n->account, n->region, n->name, qualifier);
}

static bool find(struct call *c, const struct lambda_name *n, struct str qualifier, struct state_lambda_provisioned_record *ret)
{
	*ret = (struct state_lambda_provisioned_record){0};
	return record_get(call_txn(c), c->arena, key_of(c, n, qualifier), ROW("Provisioned"), ret);
}

static int none(struct call *c)
{
	return call_fail(c, "ProvisionedConcurrencyConfigNotFoundException", 404,
	                 "No Provisioned Concurrency Config found for this function");
}

int64_t lambda_provisioned_sum(struct call *c, const struct lambda_name *n, struct str except)
{
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("provisioned"), n->account, n->region, n->name));
	struct str key;
	struct store_value value;
	int64_t sum = 0;
	while (store_next(it, &key, &value)) {
		struct state_lambda_provisioned_record row = {0};
		struct str_list parts = record_key_parts(c->arena, key);
		if (record_read(c->arena, value.value, ROW("Provisioned"), &row) &&
		    !(str_set(except) && str_eq(parts.v[5], except)))
			sum += row.requested.v;
	}
	return sum;
}

/* --- what it uses */

static void meter(struct call *c, const struct lambda_name *n, struct str qualifier, const struct lambda_function_configuration *f,
                  int64_t count)
{
	bool arm = f && f->architectures.n && str_is(f->architectures.v[0], "arm64");
	struct meter_use use = {.usage = arm ? S("Lambda-Provisioned-Concurrency-ARM") : S("Lambda-Provisioned-Concurrency"),
	                        .rate = count ? f->memory_size.v * count : 0};
	meter_set(call_txn(c), c->arena, n->account, n->region, ARENA_CAT(c->arena, S("provisioned/"), n->name, S(":"), qualifier),
	          &use, count > 0, c->now_ms);
}

void lambda_provisioned_drop(struct call *c, const struct lambda_name *n, struct str qualifier)
{
	struct state_lambda_provisioned_record row;
	if (!find(c, n, qualifier, &row))
		return;
	store_delete(call_txn(c), key_of(c, n, qualifier));
	meter(c, n, qualifier, NULL, 0);
}

void lambda_provisioned_drop_all(struct call *c, const struct lambda_name *n)
{
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("provisioned"), n->account, n->region, n->name));
	struct str key;
	struct store_value value;
	struct str_list all = {0};
	while (store_next(it, &key, &value))
		*LIST_ADD(c->arena, &all) = record_key_parts(c->arena, arena_dup(c->arena, key)).v[5];
	for (uint32_t i = 0; i < all.n; i++)
		lambda_provisioned_drop(c, n, all.v[i]);
}

/* --- what may be */

/* The version that the qualifier means, which is its own or an alias's without weights. */
static int check_qualifier(struct call *c, const struct lambda_name *n, struct state_lambda_version_record *ret)
{
	struct state_lambda_alias_record alias = {0};
	struct state_lambda_provisioned_record other;
	struct lambda_name at = *n;
	if (!str_set(n->qualifier) || str_eq(n->qualifier, S(LAMBDA_LATEST)))
		return lambda_invalid(c, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
	if (lambda_get_alias_row(c, n, n->qualifier, &alias)) {
		if (alias.config->routing_config)
			return lambda_invalid(c, "Alias with weights can not be used with Provisioned Concurrency");
		at.qualifier = alias.config->function_version;
		if (str_eq(at.qualifier, S(LAMBDA_LATEST)))
			return lambda_invalid(
			        c, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
		if (find(c, n, at.qualifier, &other))
			return call_fail(c, "ResourceConflictException", 409,
			                 "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
			                 "version");
	}
	if (!lambda_get_version_row(c, n, at.qualifier, ret))
		return lambda_no_function(c, n);
	if (snapstart_wanted(ret->config))
		return lambda_invalid(c, "Provisioned Concurrency is not supported for function versions with SnapStart enabled.");
	/* one version's environments are kept for one qualifier */
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("alias"), n->account, n->region, n->name));
	struct str key;
	struct store_value value;
	while (store_next(it, &key, &value)) {
		struct state_lambda_alias_record one = {0};
		record_read(c->arena, value.value, ROW("Alias"), &one);
		if (lambda_alias_uses(one.config, at.qualifier) && !str_eq(one.config->name, n->qualifier) &&
		    find(c, n, one.config->name, &other))
			return call_fail(c, "ResourceConflictException", 409,
			                 "Version is pointed by a Provisioned Concurrency alias");
	}
	return CALL_OK;
}

static int check_room(struct call *c, const struct lambda_name *n, int64_t wanted)
{
	struct state_lambda_function_record function = {0};
	int64_t all = lambda_provisioned_sum(c, n, n->qualifier) + wanted;
	if (!lambda_get_function_row(c, n, &function))
		return lambda_no_function(c, n);
	if (function.reserved_concurrency.set)
		return all <= function.reserved_concurrency.v
		               ? CALL_OK
		               : lambda_invalid(c, "Requested Provisioned Concurrency should not be greater than the "
		                                   "reservedConcurrentExecution for function");
	if (LAMBDA_CONCURRENCY - lambda_reserved_by_others(c, n->name) - all < LAMBDA_UNRESERVED_MIN)
		return lambda_invalid(
		        c, "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
		           "below its minimum value of [100].");
	return CALL_OK;
}

int lambda_provisioned_follow(struct call *c, const struct lambda_name *n, const struct lambda_alias_configuration *alias)
{
	struct state_lambda_provisioned_record row, other;
	struct state_lambda_version_record version = {0};
	if (!find(c, n, alias->name, &row))
		return CALL_OK;
	if (str_eq(alias->function_version, S(LAMBDA_LATEST)))
		return lambda_invalid(c, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.");
	if (find(c, n, alias->function_version, &other))
		return call_fail(c, "ResourceConflictException", 409,
		                 "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version");
	if (!lambda_get_version_row(c, n, alias->function_version, &version))
		return lambda_no_function(c, n);
	meter(c, n, alias->name, version.config, row.requested.v);
	return CALL_OK;
}

/* --- operations */

/* How far it has come: *ret_status is READY, IN_PROGRESS or FAILED. */
static int64_t progress(struct call *c, const struct lambda_name *n, struct str qualifier, int64_t requested,
                        struct str *ret_status, struct str *ret_reason)
{
	bool failed = false;
	struct fn *fn = directory_find(lambda_of(c->cloud)->directory, n->account, n->region, n->name);
	int64_t ready = fn ? fn_provisioned_ready(fn, qualifier, &failed) : 0;
	ready = ready < requested ? ready : requested;
	*ret_status = ready == requested ? S("READY") : failed ? S("FAILED") : S("IN_PROGRESS");
	if (failed)
		*ret_reason = S("FUNCTION_ERROR_INIT_FAILURE");
	return ready;
}

int lambda_put_provisioned_concurrency_config(struct call *c, const struct lambda_put_provisioned_concurrency_config_request *in,
                                              struct lambda_put_provisioned_concurrency_config_response *out)
{
	struct lambda_name n;
	struct str status, reason = STR_NONE;
	struct state_lambda_version_record version = {0};
	int64_t wanted = in->provisioned_concurrent_executions.v;
	if (lambda_name_parse(c, in->function_name, in->qualifier, &n) != CALL_OK || check_qualifier(c, &n, &version) != CALL_OK ||
	    check_room(c, &n, wanted) != CALL_OK)
		return CALL_FAIL;
	struct state_lambda_provisioned_record row = {.requested = OPT_INT(wanted), .last_modified = OPT_TIME(c->now_ms)};
	record_put(call_txn(c), c->arena, key_of(c, &n, n.qualifier), ROW("Provisioned"), &row);
	meter(c, &n, n.qualifier, version.config, wanted);
	int64_t ready = progress(c, &n, n.qualifier, wanted, &status, &reason);
	*out = (struct lambda_put_provisioned_concurrency_config_response){
	        .requested_provisioned_concurrent_executions = OPT_INT(wanted),
	        .available_provisioned_concurrent_executions = OPT_INT(ready),
	        .allocated_provisioned_concurrent_executions = OPT_INT(ready),
	        .status = S("IN_PROGRESS"),
	        .last_modified = modified_text(c->arena, c->now_ms)};
	return CALL_OK;
}

static int load(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret_name,
                struct state_lambda_provisioned_record *ret)
{
	struct state_lambda_version_record version = {0};
	if (lambda_load_qualified(c, text, qualifier, ret_name, &version) != CALL_OK)
		return CALL_FAIL;
	if (!str_set(ret_name->qualifier) || str_eq(ret_name->qualifier, S(LAMBDA_LATEST)))
		return lambda_invalid(c, "The function resource provided must be an alias or a published version.");
	*ret = (struct state_lambda_provisioned_record){0};
	find(c, ret_name, ret_name->qualifier, ret);
	return CALL_OK;
}

int lambda_get_provisioned_concurrency_config(struct call *c, const struct lambda_get_provisioned_concurrency_config_request *in,
                                              struct lambda_get_provisioned_concurrency_config_response *out)
{
	struct lambda_name n;
	struct state_lambda_provisioned_record row;
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	if (!row.requested.set)
		return none(c);
	int64_t ready = progress(c, &n, n.qualifier, row.requested.v, &out->status, &out->status_reason);
	out->requested_provisioned_concurrent_executions = row.requested;
	out->available_provisioned_concurrent_executions = out->allocated_provisioned_concurrent_executions = OPT_INT(ready);
	out->last_modified = modified_text(c->arena, row.last_modified.ms);
	return CALL_OK;
}

int lambda_delete_provisioned_concurrency_config(struct call *c,
                                                 const struct lambda_delete_provisioned_concurrency_config_request *in,
                                                 struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	struct state_lambda_provisioned_record row;
	if (load(c, in->function_name, in->qualifier, &n, &row) != CALL_OK)
		return CALL_FAIL;
	lambda_provisioned_drop(c, &n, n.qualifier);
	return CALL_OK;
}

int lambda_list_provisioned_concurrency_configs(struct call *c,
                                                const struct lambda_list_provisioned_concurrency_configs_request *in,
                                                struct lambda_list_provisioned_concurrency_configs_response *out)
{
	struct lambda_list l;
	struct lambda_name n;
	struct state_lambda_provisioned_record row = {0};
	if (lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK ||
	    lambda_list_of_function(c, S("provisioned"), in->function_name, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->provisioned_concurrency_configs.set = true;
	while (lambda_list_next(&l, ROW("Provisioned"), &row)) {
		struct str qualifier = record_key_parts(c->arena, arena_dup(c->arena, l.key)).v[5];
		if (!lambda_list_take(&l, &out->next_marker))
			break;
		struct lambda_provisioned_concurrency_config_list_item *item =
		        LIST_ADD(c->arena, &out->provisioned_concurrency_configs);
		int64_t ready = progress(c, &n, qualifier, row.requested.v, &item->status, &item->status_reason);
		item->function_arn = lambda_function_arn(c->arena, n.region, n.account, n.name, qualifier);
		item->requested_provisioned_concurrent_executions = row.requested;
		item->available_provisioned_concurrent_executions = item->allocated_provisioned_concurrent_executions =
		        OPT_INT(ready);
		item->last_modified = modified_text(c->arena, row.last_modified.ms);
	}
	return CALL_OK;
}

/* --- for others */

void lambda_see_provisioned(struct store_txn *t, struct arena *a, struct cloud *cloud, struct str account, struct str region,
                            struct str name, struct str qualifier, struct lambda_provisioned_seen *ret)
{
	struct state_lambda_provisioned_record row = {0};
	struct store_value v;
	bool failed = false;
	*ret = (struct lambda_provisioned_seen){0};
	ret->there =
	        store_get(t, lambda_alias_key(a, account, region, name, qualifier), &v) ||
	        (!str_eq(qualifier, S(LAMBDA_LATEST)) && store_get(t, lambda_version_key(a, account, region, name, qualifier), &v));
	if (record_get(t, a, lambda_provisioned_key(a, account, region, name, qualifier), ROW("Provisioned"), &row))
		ret->wanted = row.requested.v;
	const struct lambda *l = lambda_of(cloud);
	struct fn *fn = l ? directory_find(l->directory, account, region, name) : NULL;
	ret->ready = fn ? fn_provisioned_ready(fn, qualifier, &failed) : 0;
}
