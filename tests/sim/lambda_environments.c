/* Environments over hours, and many at once: credentials that never end under a function, invocations as long as Lambda allows, and
 * the limits of an account, which take a thousand invocations to reach. */
#include "unit.h"

#include "functions.h"

#include <stdio.h>
#include <stdlib.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static struct sim_function *new_function(struct world *w, const char *name, enum sim_answer answer, int64_t takes_ms,
                                         int64_t timeout_s)
{
	struct sim_function *f = calloc(1, sizeof(*f));
	f->name = name;
	f->answer = answer;
	f->takes_ms = takes_ms;
	sim_create(w, f, timeout_s);
	return f;
}

static void begin_invoke(struct world *w, const char *name, char *ret_code)
{
	struct lambda_invocation_request in = {.function_name = str_from(name)};
	strcpy(ret_code, "?");
	world_begin(w, &lambda_api, "Invoke", &in, ret_code);
	world_settle(w);
}

static unsigned different_keys(const struct sim_function *f)
{
	unsigned n = 0;
	for (unsigned i = 0; i < f->calls; i++)
		n += i == 0 || strcmp(f->log[i].access_key_id, f->log[i - 1].access_key_id) != 0;
	return n;
}

/* Called again as soon as it has answered, for hours: never idle for long, and never without credentials that outlive the call. */
static void busy_functions_get_new_credentials(void **state)
{
	(void)state;
	struct world w;
	char code[128];
	world_open(&w);
	struct sim_function *f = new_function(&w, "busy", SIM_SUCCEEDS, 29 * 1000, 60);
	int64_t end = w.wall_ms + 2 * HOUR + 10 * MINUTE;
	w.step_ms = 1500;
	while (w.wall_ms < end) {
		begin_invoke(&w, "busy", code);
		while (strcmp(code, "?") == 0)
			world_pass(&w, w.step_ms);
		assert_string_equal(code, "");
	}
	for (unsigned i = 0; i < f->calls; i++)
		if (f->log[i].credentials_left_ms < 60 * 1000)
			fail_msg("call %u had credentials for %lld ms", i, (long long)f->log[i].credentials_left_ms);
	assert_in_range(different_keys(f), 3, 4);
	assert_in_range(f->environments, 3, 4);
	world_close(&w);
	free(f);
}

/* The longest timeout counts as much: what may run for a quarter of an hour begins with more than that. */
static void credentials_outlive_long_timeouts(void **state)
{
	(void)state;
	struct world w;
	char code[128];
	world_open(&w);
	struct sim_function *f = new_function(&w, "long", SIM_SUCCEEDS, 0, 900);
	w.step_ms = 10 * 1000;
	for (int i = 0; i < 40; i++) {
		begin_invoke(&w, "long", code);
		assert_string_equal(code, "");
		world_pass(&w, 4 * MINUTE);
	}
	for (unsigned i = 0; i < f->calls; i++)
		if (f->log[i].credentials_left_ms < 900 * 1000)
			fail_msg("call %u had credentials for %lld ms", i, (long long)f->log[i].credentials_left_ms);
	assert_true(different_keys(f) >= 4);
	world_close(&w);
	free(f);
}

static void idle_environments_are_recycled(void **state)
{
	(void)state;
	struct world w;
	char code[128];
	world_open(&w);
	struct sim_function *f = new_function(&w, "idle", SIM_SUCCEEDS, 0, 3);
	w.step_ms = 5 * 1000;
	begin_invoke(&w, "idle", code);
	world_pass(&w, 9 * MINUTE);
	begin_invoke(&w, "idle", code);
	assert_int_equal(f->environments, 1);
	world_pass(&w, 11 * MINUTE);
	begin_invoke(&w, "idle", code);
	assert_int_equal(f->environments, 2);
	world_close(&w);
	free(f);
}

static int64_t allocated(struct world *w, const char *name)
{
	const void *answer;
	struct lambda_get_provisioned_concurrency_config_request in = {.function_name = str_from(name), .qualifier = S("1")};
	assert_string_equal(world_call(w, &lambda_api, "GetProvisionedConcurrencyConfig", &in, &answer), "");
	const struct lambda_get_provisioned_concurrency_config_response *out = answer;
	assert_int_equal(out->requested_provisioned_concurrent_executions.v, 8);
	assert_str(out->status, out->allocated_provisioned_concurrent_executions.v == 8 ? "READY" : "IN_PROGRESS");
	return out->allocated_provisioned_concurrent_executions.v;
}

/* For a day, through restarts of the role: there are always most of them, none is idle for too long, none's credentials grow old,
 * and none is made without need. */
static void provisioned_ones_are_kept(void **state)
{
	(void)state;
	struct world w;
	char code[128];
	world_open(&w);
	struct sim_function *f = new_function(&w, "kept", SIM_SUCCEEDS, 0, 3);
	struct lambda_publish_version_request publish = {.function_name = S("kept")};
	assert_string_equal(world_call(&w, &lambda_api, "PublishVersion", &publish, NULL), "");
	w.step_ms = 1000;
	world_pass(&w, 5000);
	struct lambda_put_provisioned_concurrency_config_request put = {
	        .function_name = S("kept"), .qualifier = S("1"), .provisioned_concurrent_executions = OPT_INT(8)};
	assert_string_equal(world_call(&w, &lambda_api, "PutProvisionedConcurrencyConfig", &put, NULL), "");
	world_pass(&w, 10 * 1000);
	assert_int_equal(allocated(&w, "kept"), 8);
	assert_int_equal(f->environments, 8);
	w.step_ms = 5000;
	for (int minute = 1; minute <= 24 * 60; minute++) {
		world_pass(&w, MINUTE);
		assert_in_range(allocated(&w, "kept"), 6, 8);
		if (minute % 7 == 0) {
			struct lambda_invocation_request in = {.function_name = S("kept"), .qualifier = S("1")};
			unsigned before = f->calls;
			strcpy(code, "?");
			world_begin(&w, &lambda_api, "Invoke", &in, code);
			world_pass(&w, 10 * 1000);
			assert_string_equal(code, "");
			assert_int_equal(f->calls, before + 1);
			assert_true(f->log[before].credentials_left_ms >= 60 * 1000);
		}
		if (minute % 500 == 0) {
			world_reopen(&w, 1000);
			world_pass(&w, 30 * 1000);
			assert_int_equal(allocated(&w, "kept"), 8);
		}
	}
	/* each lives for three quarters of an hour at least */
	assert_in_range(f->environments, 8, 8 * 24 * 4 / 3 + 8 * 4);
	struct lambda_delete_provisioned_concurrency_config_request drop = {.function_name = S("kept"), .qualifier = S("1")};
	assert_string_equal(world_call(&w, &lambda_api, "DeleteProvisionedConcurrencyConfig", &drop, NULL), "");
	unsigned made = f->environments;
	world_pass(&w, 3 * HOUR);
	assert_int_equal(f->environments, made);
	world_close(&w);
	free(f);
}

/* A quarter of an hour without a word from the runtime. */
static void invocations_may_take_long(void **state)
{
	(void)state;
	struct world w;
	char code[128];
	world_open(&w);
	struct sim_function *f = new_function(&w, "slow", SIM_SUCCEEDS, 890 * 1000, 900);
	w.step_ms = 2000;
	begin_invoke(&w, "slow", code);
	world_pass(&w, 880 * 1000);
	assert_string_equal(code, "?");
	world_pass(&w, 12 * 1000);
	assert_string_equal(code, "");
	f->takes_ms = 910 * 1000;
	begin_invoke(&w, "slow", code);
	world_pass(&w, 902 * 1000);
	assert_string_equal(code, ""); /* with the error of a function that timed out */
	world_close(&w);
	free(f);
}

static const char *reserve(struct world *w, const char *name, int64_t count)
{
	struct lambda_put_function_concurrency_request in = {.function_name = str_from(name),
	                                                     .reserved_concurrent_executions = OPT_INT(count)};
	const char *error = world_call(w, &lambda_api, "PutFunctionConcurrency", &in, NULL);
	world_settle(w);
	return error;
}

static int64_t unreserved(struct world *w)
{
	struct lambda_get_account_settings_request in = {0};
	const void *out;
	world_call(w, &lambda_api, "GetAccountSettings", &in, &out);
	return ((const struct lambda_get_account_settings_response *)out)->account_limit->unreserved_concurrent_executions.v;
}

static void assert_throttled(struct world *w, const char *name, const char *reason)
{
	struct lambda_invocation_request in = {.function_name = str_from(name)};
	assert_string_equal(world_call(w, &lambda_api, "Invoke", &in, NULL), "TooManyRequestsException");
	assert_str(world_error_field("Reason"), reason);
}

static void an_account_has_limits(void **state)
{
	(void)state;
	struct world w;
	static char codes[110][128];
	world_open(&w);
	struct sim_function *a = new_function(&w, "a", SIM_HANGS, 0, 900), *b = new_function(&w, "b", SIM_HANGS, 0, 900),
	                    *c = new_function(&w, "c", SIM_SUCCEEDS, 0, 900);
	/* What is reserved leaves a hundred to the others. */
	assert_string_equal(reserve(&w, "a", 901), "InvalidParameterValueException");
	assert_int_equal(unreserved(&w), 1000);
	assert_string_equal(reserve(&w, "a", 500), "");
	assert_string_equal(reserve(&w, "c", 401), "InvalidParameterValueException");
	assert_string_equal(reserve(&w, "c", 398), "");
	assert_string_equal(reserve(&w, "a", 3), ""); /* a function's own reservation does not stand in its way */
	assert_string_equal(reserve(&w, "a", 502), "");
	assert_int_equal(unreserved(&w), 100);

	for (int i = 0; i < 100; i++)
		begin_invoke(&w, "b", codes[i]);
	assert_int_equal(b->calls, 100);
	assert_throttled(&w, "b", "ConcurrentInvocationLimitExceeded");
	assert_int_equal(b->calls, 100);
	/* Others' reservations are theirs. */
	begin_invoke(&w, "c", codes[100]);
	assert_string_equal(codes[100], "");
	assert_string_equal(reserve(&w, "c", 0), "");
	assert_throttled(&w, "c", "ReservedFunctionConcurrentInvocationLimitExceeded");
	/* What is given back is the others' at once. */
	begin_invoke(&w, "b", codes[101]);
	assert_int_equal(b->calls, 101);
	/* A function that runs while it gets a reservation takes what runs along. */
	assert_string_equal(reserve(&w, "a", 2), "");
	assert_string_equal(reserve(&w, "b", 101), "");
	assert_throttled(&w, "b", "ReservedFunctionConcurrentInvocationLimitExceeded");
	for (int i = 102; i < 104; i++)
		begin_invoke(&w, "a", codes[i]);
	assert_throttled(&w, "a", "ReservedFunctionConcurrentInvocationLimitExceeded");
	struct lambda_delete_function_request gone = {.function_name = S("c")};
	assert_string_equal(world_call(&w, &lambda_api, "DeleteFunction", &gone, NULL), "");
	world_settle(&w);
	assert_int_equal(unreserved(&w), 1000 - 2 - 101);

	sim_answer_all(a);
	sim_answer_all(b);
	world_settle(&w);
	world_settle(&w);
	for (int i = 0; i < 104; i++)
		assert_string_equal(codes[i], "");
	for (int i = 0; i < 101; i++)
		begin_invoke(&w, "b", codes[i]);
	for (int i = 0; i < 101; i++)
		assert_string_equal(codes[i], "");
	world_close(&w);
	free(a);
	free(b);
	free(c);
}

/* All at once, so that nothing is settled between them. */
static void assert_no_changes(struct world *w)
{
	struct lambda_update_function_configuration_request set = {.function_name = S("f"), .description = S("other")};
	struct lambda_update_function_code_request code = {.function_name = S("f"), .zip_file = S("never looked at")};
	struct lambda_publish_version_request publish = {.function_name = S("f")};
	char codes[3][128];
	world_begin(w, &lambda_api, "UpdateFunctionConfiguration", &set, codes[0]);
	world_begin(w, &lambda_api, "UpdateFunctionCode", &code, codes[1]);
	world_begin(w, &lambda_api, "PublishVersion", &publish, codes[2]);
	world_settle(w);
	for (int i = 0; i < 3; i++)
		assert_string_equal(codes[i], "ResourceConflictException");
}

/* Nobody changes or publishes what is being made; whoever calls in the meantime gets what was there before. */
static void changes_wait_for_each_other(void **state)
{
	(void)state;
	struct world w;
	char code[128];
	world_open(&w);
	struct sim_function *f = calloc(1, sizeof(*f));
	f->name = "f";
	sim_begin(&w, f, 3);
	assert_no_changes(&w);
	begin_invoke(&w, "f", code);
	assert_string_equal(code, "");

	struct lambda_update_function_configuration_request set = {.function_name = S("f"), .description = S("new")};
	assert_string_equal(world_call(&w, &lambda_api, "UpdateFunctionConfiguration", &set, NULL), "");
	assert_no_changes(&w);
	struct lambda_publish_version_request publish = {.function_name = S("f")};
	const void *out;
	assert_string_equal(world_call(&w, &lambda_api, "PublishVersion", &publish, &out), "");
	const struct lambda_function_configuration *made = out;
	assert_str(made->description, "new");
	assert_str(made->version, "1");
	world_close(&w);
	free(f);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(busy_functions_get_new_credentials), cmocka_unit_test(credentials_outlive_long_timeouts),
	        cmocka_unit_test(idle_environments_are_recycled),     cmocka_unit_test(provisioned_ones_are_kept),
	        cmocka_unit_test(invocations_may_take_long),          cmocka_unit_test(an_account_has_limits),
	        cmocka_unit_test(changes_wait_for_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
