/* The application as a function: its handler, invoked. */
#include "role/compare/compare.h"

#include "base/base64.h"
#include "base/clock.h"
#include "gen/lambda.h"
#include "gen/logs.h"

#define POLICY "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

static int why_not(struct compare *c, struct str *ret)
{
	if (!str_set(c->app.handler))
		*ret = S("it has no handler (lambda_function.py, index.mjs, index.js, bootstrap; or --handler and --runtime)");
	return CLI_OK;
}

static struct str size(struct compare *c)
{
	return arena_printf(&c->cli->arena, "%lld MB", (long long)c->memory_mb);
}

/* A processor at 1769 MB. */
static struct compare_bounds bounds(const struct compare *c)
{
	return (struct compare_bounds){c->memory_mb, (double)c->memory_mb / 1769};
}

static int deploy(struct compare *c)
{
	struct str role;
	struct lambda_function_configuration made = {0};
	int status = compare_make_role(c, "function", "lambda.amazonaws.com", POLICY, &c->function_role, &role);
	if (status != CLI_OK)
		return status;
	struct lambda_function_code code = {.zip_file = c->app.zip};
	const struct lambda_create_function_request in = {.function_name = c->name,
	                                                  .runtime = c->app.runtime,
	                                                  .handler = c->app.handler,
	                                                  .role = role,
	                                                  .code = &code,
	                                                  .memory_size = OPT_INT(c->memory_mb),
	                                                  .timeout = OPT_INT(60)};
	status = compare_call(c, &lambda_api, "CreateFunction", &in, &made);
	if (status == CLI_OK) {
		c->function = c->name;
		c->workload = made.function_arn;
	}
	return status;
}

static int look(struct compare *c, bool *ret_there)
{
	struct lambda_function_configuration now = {0};
	const struct lambda_get_function_configuration_request in = {.function_name = c->function};
	int status = compare_call(c, &lambda_api, "GetFunctionConfiguration", &in, &now);
	if (status == CLI_OK && str_is(now.state, "Failed"))
		return cli_fail(c->cli, CLI_FAILED, "the function: %.*s", STR_ARG(now.state_reason));
	*ret_there = status == CLI_OK && str_is(now.state, "Active");
	if (*ret_there && !c->launched_us)
		c->launched_us = clock_mono_us();
	return status;
}

/* What AWS says of a function's memory: the end of an invocation's log. */
static void measure(struct compare *c, struct compare_row *r)
{
	static const char before[] = "Max Memory Used: ";
	struct arena *a = &c->cli->arena;
	struct lambda_invocation_response out = {0};
	int64_t mb;
	const struct lambda_invocation_request in = {
	        .function_name = c->function, .payload = compare_event(c, a), .log_type = S("Tail")};
	if (compare_call(c, &lambda_api, "Invoke", &in, &out) != CLI_OK || !str_set(out.log_result))
		return;
	struct str log = base64_decode(a, out.log_result);
	ptrdiff_t at = str_find(log, str_from(before));
	if (at < 0)
		return;
	struct str rest = str_from_at(log, (size_t)at + sizeof(before) - 1);
	if (str_to_i64(str_cut(&rest, ' '), &mb))
		r->memory_bytes = mb << 20;
}

static void remove_all(struct compare *c)
{
	struct model_none none;
	struct lambda_delete_function_response gone = {0};
	struct logs_describe_log_groups_response groups = {0};
	struct str log = ARENA_CAT(&c->cli->arena, S("/aws/lambda/"), c->name);
	if (str_set(c->function)) {
		const struct logs_describe_log_groups_request of = {.log_group_name_prefix = log};
		compare_call(c, &lambda_api, "DeleteFunction",
		             &(struct lambda_delete_function_request){.function_name = c->function}, &gone);
		if (compare_call(c, &logs_api, "DescribeLogGroups", &of, &groups) == CLI_OK && groups.log_groups.n)
			compare_call(c, &logs_api, "DeleteLogGroup", &(struct logs_delete_log_group_request){.log_group_name = log},
			             &none);
	}
	c->function = STR_NONE;
	compare_remove_role(c, &c->function_role, POLICY);
}

const struct compare_model compare_function = {.name = "lambda",
                                               .title = "Lambda function",
                                               .why_not = why_not,
                                               .deploy = deploy,
                                               .look = look,
                                               .measure = measure,
                                               .remove = remove_all,
                                               .size = size,
                                               .bounds = bounds,
                                               .chosen_as = CHOOSE_LAMBDA,
                                               .scaling = "one environment a request at a time, by itself",
                                               .limits =
                                                       "15 minutes a call, 10,240 MB, no sockets from outside, no disk that stays",
                                               .by_request = true};
