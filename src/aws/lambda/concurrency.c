/* Reserved concurrency and the account's limits and use. */
#include "aws/lambda/lambda.h"

int64_t lambda_reserved_by_others(struct call *c, struct str except)
{
	int64_t sum = 0;
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("function"), c->account, c->region));
	struct str key;
	struct store_value value;
	while (store_next(it, &key, &value)) {
		struct state_lambda_function_record row = {0};
		record_read(c->arena, value.value, ROW("Function"), &row);
		struct lambda_name n = {.region = c->region, .account = c->account, .name = row.name};
		if (!str_set(except) || !str_eq(row.name, except))
			sum += row.reserved_concurrency.set ? row.reserved_concurrency.v : lambda_provisioned_sum(c, &n, STR_NONE);
	}
	return sum;
}

static int load(struct call *c, struct str text, struct lambda_name *n, struct state_lambda_function_record *ret)
{
	if (lambda_name_parse(c, text, STR_NONE, n) != CALL_OK)
		return CALL_FAIL;
	if (str_set(n->qualifier))
		return lambda_not_qualified(c);
	return lambda_get_function_row(c, n, ret) ? CALL_OK : lambda_no_function(c, n);
}

int lambda_put_function_concurrency(struct call *c, const struct lambda_put_function_concurrency_request *in,
                                    struct lambda_concurrency *out)
{
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (load(c, in->function_name, &n, &row) != CALL_OK)
		return CALL_FAIL;
	int64_t wanted = in->reserved_concurrent_executions.v;
	if (LAMBDA_CONCURRENCY - lambda_reserved_by_others(c, n.name) - wanted < LAMBDA_UNRESERVED_MIN) {
		return lambda_invalid(
		        c,
		        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [%d].",
		        LAMBDA_UNRESERVED_MIN);
	}
	int64_t provisioned = lambda_provisioned_sum(c, &n, STR_NONE);
	if (wanted < provisioned)
		return lambda_invalid(
		        c,
		        " ReservedConcurrentExecutions  %lld should not be lower than function's total provisioned concurrency [%lld].",
		        (long long)wanted, (long long)provisioned);
	row.reserved_concurrency = OPT_INT(wanted);
	lambda_put_function_row(c, &n, &row);
	out->reserved_concurrent_executions = row.reserved_concurrency;
	return CALL_OK;
}

int lambda_get_function_concurrency(struct call *c, const struct lambda_get_function_concurrency_request *in,
                                    struct lambda_get_function_concurrency_response *out)
{
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (load(c, in->function_name, &n, &row) != CALL_OK)
		return CALL_FAIL;
	out->reserved_concurrent_executions = row.reserved_concurrency;
	return CALL_OK;
}

int lambda_delete_function_concurrency(struct call *c, const struct lambda_delete_function_concurrency_request *in,
                                       struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	struct state_lambda_function_record row = {0};
	if (load(c, in->function_name, &n, &row) != CALL_OK)
		return CALL_FAIL;
	row.reserved_concurrency = (struct opt_int){0};
	lambda_put_function_row(c, &n, &row);
	return CALL_OK;
}

int lambda_get_account_settings(struct call *c, const struct lambda_get_account_settings_request *in,
                                struct lambda_get_account_settings_response *out)
{
	(void)in;
	int64_t bytes, functions;
	lambda_usage(c, &bytes, &functions);
	out->account_limit = arena_new(c->arena, struct lambda_account_limit);
	*out->account_limit = (struct lambda_account_limit){
	        .total_code_size = OPT_INT(LAMBDA_STORAGE_BYTES),
	        .code_size_unzipped = OPT_INT(LAMBDA_UNZIPPED_BYTES),
	        .code_size_zipped = OPT_INT(LAMBDA_ZIP_BYTES),
	        .concurrent_executions = OPT_INT(LAMBDA_CONCURRENCY),
	        .unreserved_concurrent_executions = OPT_INT(LAMBDA_CONCURRENCY - lambda_reserved_by_others(c, STR_NONE)),
	};
	out->account_usage = arena_new(c->arena, struct lambda_account_usage);
	*out->account_usage =
	        (struct lambda_account_usage){.total_code_size = OPT_INT(bytes), .function_count = OPT_INT(functions)};
	return CALL_OK;
}
