/* The rules of extensions that need no cloud: paths, who may say what when, which files are theirs, subscriptions to telemetry. */
#include "unit.h"

#include "aws/lambda/extension.h"
#include "aws/lambda/telemetry.h"
#include "base/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void routes(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path;
		enum extension_request want;
	} cases[] = {
	        {"POST", "/2020-01-01/extension/register", EXTENSION_REGISTER},
	        {"GET", "/2020-01-01/extension/register", EXTENSION_OTHER},
	        {"GET", "/2020-01-01/extension/event/next", EXTENSION_NEXT},
	        {"POST", "/2020-01-01/extension/init/error", EXTENSION_INIT_ERROR},
	        {"POST", "/2020-01-01/extension/exit/error", EXTENSION_EXIT_ERROR},
	        {"POST", "/2020-01-01/extension/", EXTENSION_OTHER},
	        {"PUT", "/2022-07-01/telemetry", EXTENSION_TELEMETRY},
	        {"PUT", "/2022-07-01/telemetry/", EXTENSION_TELEMETRY},
	        {"GET", "/2022-07-01/telemetry", EXTENSION_OTHER},
	        {"PUT", "/2020-08-15/logs", EXTENSION_LOGS},
	        {"GET", "/2018-06-01/runtime/invocation/next", EXTENSION_NONE},
	        {"GET", "/", EXTENSION_NONE},
	        {"GET", "", EXTENSION_NONE},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(extension_route(str_from(cases[i].method), str_from(cases[i].path)), cases[i].want);
}

static void turns(void **state)
{
	(void)state;
	/* Columns: REGISTER NEXT INIT_ERROR EXIT_ERROR TELEMETRY LOGS OTHER NONE. */
	static const bool may[][EXTENSION_NONE + 1] = {
	        [EXTENSION_STARTED] = {true, false, false, false, false, false, false, false},
	        [EXTENSION_REGISTERED] = {false, true, true, true, true, true, false, false},
	        [EXTENSION_READY] = {false, true, false, true, true, true, false, false},
	        [EXTENSION_RUNNING] = {false, true, false, true, true, true, false, false},
	        [EXTENSION_FAILED] = {false, false, false, false, false, false, false, false},
	        [EXTENSION_STOPPING] = {false, false, false, true, true, true, false, false},
	};
	for (enum extension_state s = EXTENSION_STARTED; s <= EXTENSION_STOPPING; s++) {
		for (enum extension_request r = EXTENSION_REGISTER; r <= EXTENSION_NONE; r++)
			assert_int_equal(extension_allows(s, r), may[s][r]);
		assert_true(*extension_state_name(s) != 0);
	}
	assert_string_equal(extension_goal_name(EXTENSION_EXIT_ERROR), "ExitError");
}

static void events(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		bool good;
		unsigned want;
	} cases[] = {
	        {"{}", true, 0},
	        {"{\"events\":[]}", true, 0},
	        {"{\"events\":[\"INVOKE\"]}", true, EXTENSION_INVOKE},
	        {"{\"events\":[\"SHUTDOWN\",\"INVOKE\",\"INVOKE\"]}", true, EXTENSION_INVOKE | EXTENSION_SHUTDOWN},
	        {"{\"events\":[\"invoke\"]}", false, 0},
	        {"{\"events\":[1]}", false, 0},
	        {"{\"events\":\"INVOKE\"}", false, 0},
	        {"{\"events\":null}", false, 0},
	};
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned got = 0;
		const struct json_value *v = json_get(json_parse(&a, str_from(cases[i].json), NULL), S("events"));
		assert_int_equal(extension_read_events(v, &got), cases[i].good);
		assert_int_equal(got, cases[i].want);
	}
}

static void variables(void **state)
{
	(void)state;
	static const char *const hidden[] = {"_HANDLER", "_X", "AWS_EXECUTION_ENV", "LAMBDA_TASK_ROOT",
	                                     "AWS_LAMBDA_LOG_STREAM_NAME"},
	                         *const seen[] = {"PATH", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "MY_OWN",
	                                          ""};
	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		assert_true(extension_hides(str_from(hidden[i])));
	for (size_t i = 0; i < sizeof(seen) / sizeof(*seen); i++)
		assert_false(extension_hides(str_from(seen[i])));
}

/* --- files */

static void make(const char *root, const char *path, bool directory)
{
	char full[600];
	snprintf(full, sizeof(full), "%s/%s", root, path);
	if (directory) {
		assert_int_equal(mkdir(full, 0755), 0);
		return;
	}
	int fd = open(full, O_CREAT | O_WRONLY | O_EXCL, 0644);
	assert_true(fd >= 0);
	close(fd);
}

static void files(void **state)
{
	(void)state;
	char top[] = "/tmp/quartet-extensions-XXXXXX", high[64], low[64];
	struct arena CLEAN_ARENA a;
	struct str_list got;
	arena_init(&a, 0);
	assert_non_null(mkdtemp(top));
	snprintf(high, sizeof(high), "%s/high", top);
	snprintf(low, sizeof(low), "%s/low", top);
	make(top, "high", true);
	make(top, "low", true);
	const char *roots[] = {high, low};
	extension_files_of(roots, 2, "opt/extensions", &a, &got);
	assert_int_equal(got.n, 0);
	static const char *const directories[] = {"opt", "opt/extensions", "opt/extensions/folder"};
	for (size_t i = 0; i < 3; i++)
		make(low, directories[i], true);
	make(low, "opt/extensions/zz", false);
	make(low, "opt/extensions/both", false);
	extension_files_of(roots, 2, "opt/extensions", &a, &got);
	assert_int_equal(got.n, 2);
	assert_str(got.v[0], "both");
	assert_str(got.v[1], "zz");
	/* a directory of that name hides a file, and what is in the higher layer comes too */
	make(high, "opt", true);
	make(high, "opt/extensions", true);
	make(high, "opt/extensions/zz", true);
	make(high, "opt/extensions/both", false);
	make(high, "opt/extensions/aa", false);
	extension_files_of(roots, 2, "opt/extensions", &a, &got);
	assert_int_equal(got.n, 2);
	assert_str(got.v[0], "aa");
	assert_str(got.v[1], "both");
	/* an opaque directory ends it; file systems without such attributes are not asked */
	char opaque[128];
	snprintf(opaque, sizeof(opaque), "%s/opt", high);
	make(low, "opt/extensions/yy", false);
	if (setxattr(opaque, "user.overlay.opaque", "y", 1, 0) == 0) {
		extension_files_of(roots, 2, "opt/extensions", &a, &got);
		assert_int_equal(got.n, 2);
	}
	snprintf(opaque, sizeof(opaque), "rm -rf %s", top);
	assert_int_equal(system(opaque), 0);
}

/* --- subscriptions */

static void subscriptions(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a;
	struct telemetry_request r;
	struct str why;
	arena_init(&a, 0);
	struct str plain =
	        S("{\"types\":[\"platform\"],\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox.localdomain:8080\"}}");
	assert_true(telemetry_read_request(&a, false, plain, &r, &why));
	assert_int_equal(r.schema, TELEMETRY_2022_07_01);
	assert_int_equal(r.types, TELEMETRY_PLATFORM);
	assert_int_equal(r.max_items, 1000);
	assert_int_equal(r.max_bytes, 262144);
	assert_int_equal(r.timeout_ms, 1000);
	assert_int_equal(r.port, 8080);
	assert_false(r.tcp);
	assert_string_equal(r.path, "/");
	assert_true(telemetry_read_request(&a, true, plain, &r, &why));
	assert_int_equal(r.schema, TELEMETRY_LOGS_2020_08_15);
	assert_int_equal(r.max_items, 10000);
	assert_true(telemetry_read_request(
	        &a, false,
	        S("{\"schemaVersion\":\"2022-12-13\",\"types\":[\"function\",\"extension\"],\"buffering\":{\"maxItems\":10000,\"maxBytes\":1048576,\"timeoutMs\":25},\"destination\":{\"protocol\":\"TCP\",\"URI\":\"http://sandbox.localdomain:1/a/b?c\"}}"),
	        &r, &why));
	assert_int_equal(r.schema, TELEMETRY_2022_12_13);
	assert_int_equal(r.types, TELEMETRY_FUNCTION | TELEMETRY_EXTENSION);
	assert_int_equal(r.max_items, 10000);
	assert_int_equal(r.timeout_ms, 25);
	assert_true(r.tcp);
	assert_string_equal(r.path, "/a/b?c");
}

static void bad_subscriptions(void **state)
{
	(void)state;
	static const struct {
		const char *uri, *why;
	} cases[] = {
	        {"http://sandbox.localdomain", "URI port is not provided"},
	        {"http://sandbox.localdomain:", "URI port is not provided"},
	        {"http://sandbox.localdomain:0", "URI port is not valid"},
	        {"http://sandbox.localdomain:65536", "URI port is not valid"},
	        {"http://sandbox.localdomain:9001", "URI port is not valid"},
	        {"http://sandbox.localdomain:4566/", "URI port is not valid"},
	        {"http://sandbox.localdomain:80x", "URI port is not valid"},
	        {"http://sandbox.localdomain:80/a b", "URI path is not valid"},
	        {"http://sandbox.localdomain:80/a\\r\\nX: y", "URI path is not valid"},
	        {"http://localhost:80", "URI host should be sandbox.localdomain"},
	        {"http://sandbox.localdomain@evil:80", "URI host should be sandbox.localdomain"},
	        {"https://sandbox.localdomain:80", "URI should begin with http://"},
	        {"", "URI should begin with http://"},
	};
	struct arena CLEAN_ARENA a;
	struct telemetry_request r;
	struct str why;
	arena_init(&a, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str body = arena_printf(
		        &a, "{\"types\":[\"platform\"],\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"%s\"}}", cases[i].uri);
		assert_false(telemetry_read_request(&a, false, body, &r, &why));
		assert_str(why, cases[i].why);
	}
	assert_false(telemetry_read_request(&a, false, S("[]"), &r, &why));
	assert_false(telemetry_read_request(
	        &a, false, S("{\"destination\":{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox.localdomain\"}}"), &r, &why));
	assert_str(why, "URI port is not provided; types should not be empty");
	assert_false(telemetry_read_request(&a, false, S("{\"schemaVersion\":\"2020-08-15\",\"types\":[\"rain\"],\"buffering\":1}"),
	                                    &r, &why));
	assert_str(
	        why,
	        "schemaVersion is not known; destination is not provided; types should be platform, function or extension; buffering should be an object");
}

static void schemas(void **state)
{
	(void)state;
	assert_true(telemetry_has_type(TELEMETRY_2022_07_01, "platform.initStart"));
	assert_false(telemetry_has_type(TELEMETRY_LOGS_2021_03_18, "platform.initStart"));
	assert_false(telemetry_has_type(TELEMETRY_LOGS_2020_08_15, "platform.runtimeDone"));
	assert_true(telemetry_has_type(TELEMETRY_LOGS_2021_03_18, "platform.runtimeDone"));
	assert_false(telemetry_has_type(TELEMETRY_2022_12_13, "platform.end"));
	for (enum telemetry_schema s = TELEMETRY_LOGS_2020_08_15; s <= TELEMETRY_2025_01_29; s++) {
		assert_true(telemetry_has_type(s, "platform.report"));
		assert_true(telemetry_has_type(s, "function"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(routes),
	        cmocka_unit_test(turns),
	        cmocka_unit_test(events),
	        cmocka_unit_test(variables),
	        cmocka_unit_test(files),
	        cmocka_unit_test(subscriptions),
	        cmocka_unit_test(bad_subscriptions),
	        cmocka_unit_test(schemas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
