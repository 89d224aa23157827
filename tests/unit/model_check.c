/* Constraints and the exact texts in which AWS reports them. */
#include "unit.h"

#include "gen/lambda.h"
#include "gen/state_tiny.h"
#include "gen/tiny.h"

static struct arena arena;
static bool missing;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

static struct str check(const struct api *api, const char *shape, const void *value)
{
	struct str message = STR_NONE;
	missing = false;
	bool good = model_check(&arena, api, api_shape_named(api, str_from(shape)), value, &message, &missing);
	assert_int_equal(good, !str_set(message));
	return message;
}

#define assert_thing(want, ...) \
	do { \
		struct tiny_thing thing_ = {__VA_ARGS__}; \
		if (!str_set(thing_.name)) \
			thing_.name = S("abc"); \
		assert_str(check(&tiny_api, "Thing", &thing_), want); \
	} while (0)
#define ONE "1 validation error detected: "

static void accepts_what_holds(void **state)
{
	(void)state;
	struct tiny_thing thing = {.name = S("ab"),
	                           .size = OPT_INT(10),
	                           .ratio = OPT_DOUBLE(0.001),
	                           .state = S("OFF"),
	                           .secret = S("abc"),
	                           .data = S("1234"),
	                           .document = S("{}")};
	for (int i = 0; i < 3; i++)
		LIST_ADD(&arena, &thing.children)->name = S("kid");
	*LIST_ADD(&arena, &thing.codes) = S("ON");
	*LIST_ADD(&arena, &thing.weights) = (struct tiny_weights_entry){.key = S("ab"), .value = OPT_DOUBLE(99.999)};
	assert_false(str_set(check(&tiny_api, "Thing", &thing)));
}

static void reports_scalars(void **state)
{
	(void)state;
	assert_thing(ONE "Value '0' at 'size' failed to satisfy constraint: Member must have value greater than or equal to 1",
	             .size = OPT_INT(0));
	assert_thing(ONE "Value '11' at 'size' failed to satisfy constraint: Member must have value less than or equal to 10",
	             .size = OPT_INT(11));
	assert_thing(ONE
	             "Value '0.0' at 'ratio' failed to satisfy constraint: Member must have value greater than or equal to 0.001",
	             .ratio = OPT_DOUBLE(0));
	assert_thing(ONE
	             "Value '100.0' at 'ratio' failed to satisfy constraint: Member must have value less than or equal to 99.999",
	             .ratio = OPT_DOUBLE(100));
	assert_thing(ONE "Value 'BOTH' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [OFF, ON]",
	             .state = S("BOTH"));
	assert_thing(ONE
	             "Value 'a1b' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+",
	             .name = S("a1b"));
	assert_thing(ONE "Value 'abcdefg' at 'name' failed to satisfy constraint: Member must have length less than or equal to 6",
	             .name = S("abcdefg"));
	assert_thing(ONE "Value at 'secret' failed to satisfy constraint: Member must have length less than or equal to 3",
	             .secret = S("abcd"));
	/* Characters, not bytes. */
	assert_thing(NULL, .secret = S("\xc3\xa9\xc3\xa9\xc3\xa9"));
	assert_thing(
	        "2 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must have length greater than or "
	        "equal to 2; Value '' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+",
	        .name = S(""));
	assert_false(missing);
}

static void reports_missing_members(void **state)
{
	(void)state;
	struct tiny_thing thing = {.name = STR_NONE, .size = OPT_INT(0)};
	assert_str(
	        check(&tiny_api, "Thing", &thing),
	        "2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; Value '0' at "
	        "'size' failed to satisfy constraint: Member must have value greater than or equal to 1");
	assert_true(missing);
	struct state_tiny_record record = {.tag = &(struct tiny_tag){.key = STR_NONE}};
	assert_str(
	        check(&state_tiny_api, "Record", &record),
	        "2 validation errors detected: Value null at 'id' failed to satisfy constraint: Member must not be null; Value null at "
	        "'tag.key' failed to satisfy constraint: Member must not be null");
}

static void names_the_path(void **state)
{
	(void)state;
	struct tiny_tag tags[2] = {{.key = S("ab")}, {.key = S("A1")}};
	assert_thing(
	        ONE
	        "Value 'A1' at 'tags.2.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: "
	        "[a-z]+",
	        .tags = {tags, 2, true});
	struct tiny_thing inner = {.name = S("x")};
	assert_thing(ONE
	             "Value 'x' at 'parent.name' failed to satisfy constraint: Member must have length greater than or equal to 2",
	             .parent = &inner);
	struct tiny_thing_map_entry named = {.key = S("kk"), .value = inner};
	assert_thing(
	        ONE
	        "Value 'x' at 'byName.kk.member.name' failed to satisfy constraint: Member must have length greater than or equal to 2",
	        .by_name = {&named, 1, true});
	struct tiny_list_map_entry group = {.key = S("G"), .value = {&inner, 1, true}};
	assert_thing(
	        ONE
	        "Value 'x' at 'groups.G.member.1.member.name' failed to satisfy constraint: Member must have length greater than or "
	        "equal to 2",
	        .groups = {&group, 1, true});
}

static void reports_lists_and_maps(void **state)
{
	(void)state;
	struct str codes[] = {S_INIT("ON"), S_INIT("UP")};
	assert_thing(
	        ONE
	        "Value '[ON, UP]' at 'codes' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum "
	        "value set: [OFF, ON], Member must not be null]",
	        .codes = {codes, 2, true});
	assert_thing(ONE "Value '[]' at 'codes' failed to satisfy constraint: Member must have length greater than or equal to 1",
	             .codes = {NULL, 0, true});
	struct tiny_weights_entry weight = {.key = S("K"), .value = OPT_DOUBLE(100)};
	assert_thing(
	        "2 validation errors detected: Value '{K=100.0}' at 'weights' failed to satisfy constraint: Map keys must satisfy "
	        "constraint: [Member must have length less than or equal to 6, Member must have length greater than or equal to 2, Member "
	        "must satisfy regular expression pattern: [a-z]+, Member must not be null]; Value '{K=100.0}' at 'weights' failed to "
	        "satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 99.999, Member must "
	        "have value greater than or equal to 0.001, Member must not be null]",
	        .weights = {&weight, 1, true});
	struct tiny_thing kids[4] = {
	        {.name = S("kid"), .secret = S("s")}, {.name = S("kid")}, {.name = S("kid")}, {.name = S("kid")}};
	assert_thing(
	        ONE
	        "Value '[Thing(name=kid, secret=***Sensitive Data Redacted***), Thing(name=kid), Thing(name=kid), Thing(name=kid)]' "
	        "at 'children' failed to satisfy constraint: Member must have length less than or equal to 3",
	        .children = {kids, 4, true});
}

/* What a client sends is bounded in what comes back. */
static void bounds_the_message(void **state)
{
	(void)state;
	struct tiny_tags tags = {0};
	char *big = arena_alloc(&arena, 100000);
	memset(big, 'a', 100000);
	for (int i = 0; i < 1000; i++)
		LIST_ADD(&arena, &tags)->key = str_of(big, 100000);
	struct tiny_thing thing = {.name = S("abc"), .tags = tags};
	struct str message = check(&tiny_api, "Thing", &thing);
	assert_true(str_starts(message, S("50 validation errors detected: Value 'aaaa")));
	assert_true(message.n < 70000);
	/* Only the length of something far too long is looked at. */
	memset(big, '?', 100000);
	message = check(&tiny_api, "Thing", &(struct tiny_thing){.name = str_of(big, 100000)});
	assert_true(str_starts(message, S("1 validation error detected: ")));
	/* Cut between characters. */
	memset(big, 'a', 100000);
	for (size_t i = 1; i + 1 < 100000; i += 2)
		memcpy(big + i, "\xc3\xa9", 2);
	assert_true(str_is_utf8(check(&tiny_api, "Thing", &(struct tiny_thing){.name = str_of(big, 99999)})));
}

static void says_it_as_lambda_does(void **state)
{
	(void)state;
	struct lambda_create_function_url_config_request request = {
	        .function_name = S("f"), .auth_type = S("NONE"), .invoke_mode = S("UNKNOWN")};
	assert_str(
	        check(&lambda_api, "CreateFunctionUrlConfigRequest", &request), ONE
	        "Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]");
	struct lambda_create_function_request create = {.function_name = S("f"),
	                                                .code = &(struct lambda_function_code){.image_uri = STR_NONE},
	                                                .memory_size = OPT_INT(1 << 20)};
	struct str message = check(&lambda_api, "CreateFunctionRequest", &create);
	assert_true(str_starts(
	        message, S("2 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must not be "
	                   "null; Value '1048576' at 'memorySize' failed to satisfy constraint: Member must have value less ")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(accepts_what_holds, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(reports_scalars, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(reports_missing_members, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(names_the_path, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(reports_lists_and_maps, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(bounds_the_message, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(says_it_as_lambda_does, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
