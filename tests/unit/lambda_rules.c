/* The rules of Lambda that need no cloud: who may say what to the Runtime API when, weights, waits, billing, names. */
#include "unit.h"

#include "aws/lambda/async.h"
#include "aws/lambda/recursion.h"
#include "aws/lambda/report.h"
#include "aws/lambda/runtime_api.h"
#include "base/rand.h"

static void routes(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path, *id;
		enum runtime_request want;
	} cases[] = {
	        {"GET", "/2018-06-01/runtime/invocation/next", NULL, RUNTIME_NEXT},
	        {"POST", "/2018-06-01/runtime/invocation/next", NULL, RUNTIME_UNKNOWN},
	        {"POST", "/2018-06-01/runtime/invocation/abc/response", "abc", RUNTIME_RESPONSE},
	        {"POST", "/2018-06-01/runtime/invocation/abc/error", "abc", RUNTIME_ERROR},
	        {"GET", "/2018-06-01/runtime/invocation/abc/response", NULL, RUNTIME_UNKNOWN},
	        {"POST", "/2018-06-01/runtime/invocation/abc/other", "abc", RUNTIME_UNKNOWN},
	        {"POST", "/2018-06-01/runtime/invocation/", NULL, RUNTIME_UNKNOWN},
	        {"POST", "/2018-06-01/runtime/init/error", NULL, RUNTIME_INIT_ERROR},
	        {"GET", "/2018-06-01/runtime/restore/next", NULL, RUNTIME_RESTORE_NEXT},
	        {"POST", "/2018-06-01/runtime/restore/error", NULL, RUNTIME_RESTORE_ERROR},
	        {"POST", "/2018-06-01/runtime/restore/next", NULL, RUNTIME_UNKNOWN},
	        {"GET", "/2021-04-23/credentials", NULL, RUNTIME_CREDENTIALS},
	        {"GET", "/2018-06-01/ping", NULL, RUNTIME_PING},
	        {"PUT", "/2022-07-01/telemetry", NULL, RUNTIME_UNKNOWN},
	        {"GET", "/", NULL, RUNTIME_UNKNOWN},
	        {"GET", "", NULL, RUNTIME_UNKNOWN},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str id;
		assert_int_equal(runtime_api_route(str_from(cases[i].method), str_from(cases[i].path), &id), cases[i].want);
		if (cases[i].want == RUNTIME_RESPONSE || cases[i].want == RUNTIME_ERROR)
			assert_str(id, cases[i].id);
	}
}

static void turns(void **state)
{
	(void)state;
	/* Rows: CLAIMING STARTING READY BUSY DONE COLD STOPPING. */
	static const bool next[] = {false, true, true, false, true, false, false},
	                  answer[] = {false, false, false, true, false, false, false},
	                  init[] = {false, true, false, false, false, false, false};
	for (enum environment_state s = ENVIRONMENT_CLAIMING; s <= ENVIRONMENT_STOPPING; s++) {
		const char *from, *to;
		assert_int_equal(runtime_api_allows(s, RUNTIME_NEXT, &from, &to), next[s]);
		assert_string_equal(to, "Ready");
		assert_int_equal(runtime_api_allows(s, RUNTIME_RESPONSE, &from, &to), answer[s]);
		assert_string_equal(to, "InvocationResponse");
		assert_int_equal(runtime_api_allows(s, RUNTIME_ERROR, &from, &to), answer[s]);
		assert_int_equal(runtime_api_allows(s, RUNTIME_INIT_ERROR, &from, &to), init[s]);
		assert_string_equal(to, "InitError");
		assert_int_equal(runtime_api_allows(s, RUNTIME_RESTORE_NEXT, &from, &to), init[s]);
		assert_string_equal(to, "RestoreReady");
		assert_int_equal(runtime_api_allows(s, RUNTIME_RESTORE_ERROR, &from, &to), init[s]);
	}
	const char *from, *to;
	runtime_api_allows(ENVIRONMENT_BUSY, RUNTIME_NEXT, &from, &to);
	assert_string_equal(from, "Running");
}

static void error_types(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
	        {"Runtime.ExitError", "Runtime.ExitError"},
	        {"Function.Bad", "Function.Bad"},
	        {"Function.bad", "Function.Unknown"},
	        {"Runtime.A1", "Runtime.Unknown"},
	        {"Runtime.", "Runtime.Unknown"},
	        {"Other.Thing", "Function.Unknown"},
	        {"", "Function.Unknown"},
	        {"Runtime", "Function.Unknown"},
	        {"Function.X", "Function.Unknown"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_str(runtime_api_error_type(str_from(cases[i][0])), cases[i][1]);
}

static void weights(void **state)
{
	(void)state;
	assert_false(alias_draw(0.0, 0));
	assert_true(alias_draw(1.0, UINT64_MAX));
	assert_true(alias_draw(0.5, 0));
	assert_false(alias_draw(0.5, UINT64_MAX));
	rand_seed(7);
	unsigned hits = 0;
	for (int i = 0; i < 100000; i++)
		hits += alias_draw(0.05, rand_u64());
	assert_in_range(hits, 4600, 5400);
}

static void waits(void **state)
{
	(void)state;
	assert_int_equal(async_retry_delay_ms(1), 60000);
	assert_int_equal(async_retry_delay_ms(2), 120000);
	static const int64_t want[] = {1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000};
	for (int i = 0; i < 11; i++)
		assert_int_equal(async_throttle_delay_ms(i + 1), want[i]);
	assert_int_equal(async_throttle_delay_ms(INT64_MAX), 300000);
}

static void billing(void **state)
{
	(void)state;
	assert_int_equal(report_billed_ms(0, 0), 0);
	assert_int_equal(report_billed_ms(0, 1), 1);
	assert_int_equal(report_billed_ms(0, 1000), 1);
	assert_int_equal(report_billed_ms(0, 1001), 2);
	assert_int_equal(report_billed_ms(1294000, 1050000), 2344);
	assert_int_equal(report_billed_ms(500, 600), 2);
	assert_int_equal(report_billed_ms(0, -5), 0);
}

static void names(void **state)
{
	(void)state;
	int64_t n = 0;
	assert_true(lambda_is_version_number(S("42"), &n));
	assert_int_equal(n, 42);
	static const char *const bad[] = {"", "0", "-1", "+1", "1a", "$LATEST", " 1", "9999999999999999999"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(lambda_is_version_number(str_from(bad[i]), &n));
	assert_false(lambda_is_version_number(STR_NONE, &n));
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	assert_str(lambda_function_arn(&a, S("eu-west-1"), S("123456789012"), S("f"), STR_NONE),
	           "arn:aws:lambda:eu-west-1:123456789012:function:f");
	assert_str(lambda_function_arn(&a, S("eu-west-1"), S("123456789012"), S("f"), S("live")),
	           "arn:aws:lambda:eu-west-1:123456789012:function:f:live");
	assert_str(runtime_version_name(&a, S("python3.12")), "python:3.12.v1");
	assert_str(runtime_version_name(&a, S("nodejs20.x")), "nodejs:20.v1");
	assert_str(runtime_version_name(&a, S("provided.al2023")), "provided:al2023.v1");
}

static void split_names(void **state)
{
	(void)state;
	static const char *const cases[][5] = {
	        {"f", NULL, NULL, "f", NULL},
	        {"f:live", NULL, NULL, "f", "live"},
	        {"f:", NULL, NULL, "f", NULL},
	        {"function:f:$LATEST", NULL, NULL, "f", "$LATEST"},
	        {"123456789012:f", NULL, "123456789012", "f", NULL},
	        {"123456789012:function:f:1", NULL, "123456789012", "f", "1"},
	        {"eu-west-1:123456789012:function:f", "eu-west-1", "123456789012", "f", NULL},
	        {"us-gov-west-1:f", "us-gov-west-1", NULL, "f", NULL},
	        {"arn:aws:lambda:eu-west-1:123456789012:function:f:1", "eu-west-1", "123456789012", "f", "1"},
	        /* Words that look like parts and stand last are names. */
	        {"function", NULL, NULL, "function", NULL},
	        {"123456789012", NULL, NULL, "123456789012", NULL},
	        {"12345678901:f", NULL, NULL, "12345678901", "f"},
	};
	struct lambda_name n;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(lambda_name_split(str_from(cases[i][0]), &n));
		struct str got[] = {n.region, n.account, n.name, n.qualifier};
		for (int j = 0; j < 4; j++) {
			assert_int_equal(str_set(got[j]), cases[i][j + 1] != NULL);
			if (cases[i][j + 1])
				assert_str(got[j], cases[i][j + 1]);
		}
	}
	static const char *const bad[] = {"arn:", "arn:aws:lambda", "arn:aws:s3:::bucket",
	                                  "arn:aws:lambda:eu-west-1:123456789012:layer:l:1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(lambda_name_split(str_from(bad[i]), &n));
}

static void stems(void **state)
{
	(void)state;
	struct str_map_entry one = {S("COLOR"), S("red")};
	struct str_map env = {.v = &one, .n = 1};
	assert_true(runtime_allows_stem(&(struct str_map){0}));
	assert_true(runtime_allows_stem(&env));
	static const char *const refused[] = {"PYTHONPATH", "NODE_OPTIONS", "LD_PRELOAD", "AWS_LAMBDA_EXEC_WRAPPER",
	                                      "LANG",       "RUBYOPT"};
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		one.key = str_from(refused[i]);
		assert_false(runtime_allows_stem(&env));
	}
	struct runtime_choice choice;
	assert_false(runtime_choose(S("python2.7"), &choice));
	assert_false(runtime_choose(S("cobol"), &choice));
	assert_true(runtime_choose(S("provided.al2023"), &choice));
	assert_int_equal(choice.family, RUNTIME_PROVIDED);
	runtime_set_clients("/nonexistent");
	assert_false(runtime_choose(S("python3.12"), &choice));
}

static void passes(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct lambda l = {.publish = NULL};
	struct fn one = {.account = S("000000000000"), .region = S("us-east-1"), .name = S("one")}, other = one;
	other.name = S("other");
	struct str trace = S("Root=1-0-0;Parent=1;Sampled=0");
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(recursion_passes(trace, &one), i);
		assert_true(recursion_enter(&a, &l, &one, STR_NONE, &trace));
		assert_true(str_starts(trace, S("Root=1-0-0;Parent=1;Sampled=0;Lineage=1:")));
		if (i % 2)
			assert_true(recursion_enter(&a, &l, &other, STR_NONE, &trace));
	}
	assert_int_equal(recursion_passes(trace, &other), 8);
	one.may_recur = true;
	assert_true(recursion_enter(&a, &l, &one, STR_NONE, &trace));
	assert_int_equal(recursion_passes(trace, &one), 17);
	static const char *const odd[] = {"Lineage=",       "Lineage=1:x", "Lineage=||",
	                                  "Lineage=1:x:-4", ";;",          "Lineage=1:x:99999999999999999999"};
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		trace = str_from(odd[i]);
		assert_int_equal(recursion_passes(trace, &one), 0);
		assert_true(recursion_enter(&a, &l, &one, STR_NONE, &trace));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(routes), cmocka_unit_test(turns),   cmocka_unit_test(error_types), cmocka_unit_test(weights),
	        cmocka_unit_test(waits),  cmocka_unit_test(billing), cmocka_unit_test(names),       cmocka_unit_test(split_names),
	        cmocka_unit_test(stems),  cmocka_unit_test(passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
