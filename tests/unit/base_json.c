#include "unit.h"

#include "base/json.h"

#include <math.h>

/* Reads a text and writes it again; "!" and the reason when it is refused. */
static struct str again(struct arena *a, const char *text)
{
	struct str error = STR_NONE;
	struct json_value *v = json_parse(a, str_from(text), &error);
	if (!v)
		return ARENA_CAT(a, S("!"), error);
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	json_put_value(&b, v);
	return arena_dup(a, buf_str(&b));
}

static void keeps_values(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	assert_str(again(&a, " { \"b\" : [ 1 , -2.5e+3, true,false,null , {} , [ ] ] ,\"a\":\"x\" , \"b\":0}\n"),
	           "{\"b\":[1,-2.5e+3,true,false,null,{},[]],\"a\":\"x\",\"b\":0}");
	assert_str(again(&a, "\"\\u0041\\u00e9\\ud83d\\ude00\\n\\/\\\"\\\\\\u0001\""),
	           "\"A\xc3\xa9\xf0\x9f\x98\x80\\n/\\\"\\\\\\u0001\"");
	assert_str(again(&a, "0"), "0");
	assert_str(again(&a, "-0.0"), "-0.0");
	assert_str(again(&a, "\"\""), "\"\"");
}

static void refuses_what_is_not_json(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "",
	        " ",
	        "{",
	        "}",
	        "[1,]",
	        "[,1]",
	        "{\"a\":1,}",
	        "{\"a\"}",
	        "{\"a\":}",
	        "{a:1}",
	        "{1:1}",
	        "[1 2]",
	        "01",
	        "-",
	        "1.",
	        ".5",
	        "1e",
	        "+1",
	        "0x1",
	        "NaN",
	        "Infinity",
	        "tru",
	        "truee",
	        "nul",
	        "'a'",
	        "\"",
	        "\"\\",
	        "\"\\x\"",
	        "\"\\u12\"",
	        "\"\\u12g4\"",
	        "\"\\ud800\"",
	        "\"\\ud800\\u0041\"",
	        "\"\\udc00\"",
	        "\"\t\"",
	        "\"\n\"",
	        "1 1",
	        "[1]]",
	        "{}{}",
	        "\"\x80\"",
	        "\"\xc0\xaf\"",
	        "\"\xed\xa0\x80\"",
	        "\"\xf4\x90\x80\x80\"",
	        "\"\xe2\x82\"",
	        "[1}",
	        "{\"a\":1]",
	        "//x\n1",
	        "\xef\xbb\xbf{}",
	};
	struct arena CLEAN_ARENA a = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (again(&a, bad[i]).p[0] != '!')
			fail_msg("%s was read", bad[i]);
	assert_str(again(&a, "{\"a\": tru}"), "!unexpected character at offset 6");
	assert_str(again(&a, "[1,\"x]"), "!string without an end at offset 6");
}

static void bounds_depth(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	char text[2 * JSON_DEPTH_MAX + 3] = "";
	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_str(again(&a, text), text);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_str(again(&a, text), "!nested too deeply at offset 128");
	struct json_reader r;
	json_reader_init(&r, &a, S("{\"a\":[1]}"), 1);
	assert_int_equal(json_next(&r), JSON_OBJECT);
	assert_int_equal(json_next(&r), JSON_KEY);
	assert_int_equal(json_next(&r), JSON_ERROR);
	assert_int_equal(json_next(&r), JSON_ERROR);
	assert_int_equal(r.at, 5);
}

static void skips_and_cuts(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct json_reader r;
	json_reader_init(&r, &a, S("{\"a\":{\"x\":[1,{}]},\"b\": [1, {\"c\":2}] ,\"d\":3}"), 0);
	assert_int_equal(json_next(&r), JSON_OBJECT);
	assert_int_equal(json_next(&r), JSON_KEY);
	assert_true(json_skip(&r, json_next(&r)));
	assert_int_equal(json_next(&r), JSON_KEY);
	assert_str(r.text, "b");
	assert_str(json_raw_value(&r, json_next(&r)), "[1, {\"c\":2}]");
	assert_int_equal(json_next(&r), JSON_KEY);
	assert_str(json_raw_value(&r, json_next(&r)), "3");
	assert_int_equal(json_next(&r), JSON_OBJECT_END);
	assert_int_equal(json_next(&r), JSON_END);
}

static void finds_members(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct json_value *v = json_parse(&a, S("{\"a\":\"1\",\"b\":{\"c\":1,\"c\":\"2\"},\"n\":null}"), NULL);
	assert_str(json_get_str(v, S("a")), "1");
	assert_str(json_get_str(json_get(v, S("b")), S("c")), "2");
	assert_true(json_is(json_get(v, S("n")), JSON_NULL));
	assert_null(json_get(v, S("x")));
	assert_null(json_get(json_get(v, S("x")), S("y")));
	assert_false(str_set(json_get_str(v, S("b"))));
	assert_str(json_duplicate(v), "c");
	assert_int_equal(v->count, 3);
	assert_false(str_set(json_duplicate(json_get(v, S("a")))));
}

static void reads_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool whole;
		int64_t v;
	} cases[] = {
	        {"0", true, 0},
	        {"-9223372036854775808", true, INT64_MIN},
	        {"9223372036854775807", true, INT64_MAX},
	        {"9223372036854775808", false, 0},
	        {"1.0", true, 1},
	        {"1e3", true, 1000},
	        {"1.5", false, 0},
	        {"1e400", false, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int64_t v = 0;
		if (json_to_int(str_from(cases[i].text), &v) != cases[i].whole || v != cases[i].v)
			fail_msg("%s read as %lld", cases[i].text, (long long)v);
	}
}

static void writes(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("a\"\x01\x7f\xff\xc3\xa9"));
	json_open(&o, '[');
	json_int(&o, INT64_MIN);
	json_int(&o, 0);
	json_double(&o, 0.1);
	json_double(&o, 1.0 / 3);
	json_double(&o, 5e-324);
	json_double(&o, (double)NAN);
	json_double(&o, -(double)INFINITY);
	json_bool(&o, true);
	json_null(&o);
	json_string(&o, STR_NONE);
	json_string(&o, S(""));
	json_raw(&o, S("{}"));
	json_close(&o, ']');
	json_key(&o, S("b"));
	json_open(&o, '{');
	json_close(&o, '}');
	json_close(&o, '}');
	assert_str(
	        buf_str(&b),
	        "{\"a\\\"\\u0001\x7f\xef\xbf\xbd\xc3\xa9\":[-9223372036854775808,0,0.1,0.3333333333333333,4.94065645841247e-324,\"NaN\","
	        "\"-Infinity\",true,null,null,\"\",{}],\"b\":{}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(keeps_values),  cmocka_unit_test(refuses_what_is_not_json),
	        cmocka_unit_test(bounds_depth),  cmocka_unit_test(skips_and_cuts),
	        cmocka_unit_test(finds_members), cmocka_unit_test(reads_numbers),
	        cmocka_unit_test(writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
