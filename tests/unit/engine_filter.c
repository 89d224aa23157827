/* Filter patterns: most pairs are the examples of CloudWatch's guide. */
#include "unit.h"

#include "engine/logs/filter.h"

static int verdict(const char *pattern, const char *message)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct str error = STR_NONE;
	const struct log_filter *f = log_filter_compile(&a, str_from(pattern), &error);
	if (!f) {
		assert_true(str_set(error));
		return -1;
	}
	return log_filter_match(&a, f, str_from(message));
}

struct vector {
	const char *pattern, *message;
	int want; /* -1: not a valid pattern */
};

static void run(const struct vector *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int got = verdict(v[i].pattern, v[i].message);
		if (got != v[i].want)
			fail_msg("%s on %s: %d instead of %d", v[i].pattern, v[i].message, got, v[i].want);
	}
}
#define RUN(vectors) run(vectors, sizeof(vectors) / sizeof((vectors)[0]))

static void words(void **state)
{
	(void)state;
	const struct vector vectors[] = {
	        {"", "anything", 1},
	        {"   ", "", 1},
	        {"ERROR", "[ERROR 400] BAD REQUEST", 1},
	        {"ERROR", "Exiting with ERRORCODE: -1", 1},
	        {"ERROR", "[error 400] BAD REQUEST", 0},
	        {"ERROR ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS", 1},
	        {"ERROR ARGUMENTS", "[ERROR 401] UNAUTHORIZED REQUEST", 0},
	        {"?ERROR ?ARGUMENTS", "[ERROR 401] UNAUTHORIZED REQUEST", 1},
	        {"?ERROR ?ARGUMENTS", "INVALID ARGUMENTS", 1},
	        {"?ERROR ?ARGUMENTS", "[SUCCESS 200] AUTHORIZED REQUEST", 0},
	        {"\"INTERNAL SERVER ERROR\"", "[ERROR 500] INTERNAL SERVER ERROR", 1},
	        {"\"INTERNAL SERVER ERROR\"", "INTERNAL  SERVER ERROR", 0},
	        {"ERROR -ARGUMENTS", "[ERROR 400] BAD REQUEST", 1},
	        {"ERROR -ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS", 0},
	        {"\"ERROR\" - \"Exiting\"", "Exiting with ERRORCODE: -1", 0},
	        {"-DEBUG", "INFO", 1},
	        {"-DEBUG", "DEBUG", 0},
	        {"INFO ?ERROR", "INFO", 1},
	        {"INFO ?ERROR", "ERROR", 0},
	        {"\"a \\\"b\\\" c\"", "say a \"b\" c", 1},
	        {"\"[x]\"", "in [x]", 1},
	        {"foo-bar", "foo-bar", -1},
	        {"a.b", "a.b", -1},
	        {"\"open", "open", -1},
	        {"?", "x", -1},
	        {"-", "x", -1},
	        {"%AUTHORIZED%", "[ERROR 401] UNAUTHORIZED REQUEST", 1},
	        {"%AUTHORIZED%", "[ERROR 400] BAD REQUEST", 0},
	        {"%ERROR\\s[4-5][0-9]{2}%", "an ERROR 404 here", 1},
	        {"%^ERROR%", "an ERROR", 0},
	        {"%ERROR$%", "an ERROR", 1},
	        {"%colou?r|grey%", "light grey", 1},
	        {"%10\\.10\\.0\\.1%", "from 10.10.0.1", 1},
	        {"%10\\.10\\.0\\.1%", "from 10x10.0.1", 0},
	        {"%\\d{3}\\s\\w+%", "404 not", 1},
	        {"%\\x28x\\x29%", "f(x)", 1},
	        {"INFO %[0-9]+ms%", "INFO took 12ms", 1},
	        {"-%[0-9]+ms%", "INFO took 12ms", 0},
	        {"?%a+b% ?c", "xaab", 1},
	        {"%something!%", "something!", -1},
	        {"%(a)%", "a", -1},
	        {"%a", "a", -1},
	        {"%%", "a", -1},
	        {"%[%", "a", -1},
	        {"%a% %b% %c%", "abc", -1},
	};
	RUN(vectors);
}

#define TRAIL \
	"{\"eventType\":\"UpdateTrail\",\"sourceIPAddress\":\"111.111.111.111\",\"arrayKey\":[\"value\",\"another value\"]," \
	"\"objectList\":[{\"name\":\"a\",\"id\":1},{\"name\":\"b\",\"id\":2}],\"SomeObject\":null,\"cluster.name\":\"c\",\"ThisFlag\":true}"
#define USERS \
	"{\"user\":{\"id\":1,\"email\":\"John.Stiles@example.com\"},\"users\":[{\"id\":2,\"email\":\"John.Doe@example.com\"}," \
	"{\"id\":3,\"email\":\"Jane.Doe@example.com\"}],\"actions\":[\"GET\",\"PUT\",\"DELETE\"]," \
	"\"coordinates\":[[0,1,2],[4,5,6],[7,8,9]]}"
#define NUMBERS "{\"latency\":500,\"n\":[0.05,-3],\"text\":\"400\",\"list\":[1,2,3],\"big\":1.5e3}"

static void json(void **state)
{
	(void)state;
	const struct vector vectors[] = {
	        {"{ $.eventType = \"UpdateTrail\" }", TRAIL, 1},
	        {"{$.eventType=UpdateTrail}", TRAIL, 1},
	        {"{ $.eventType != \"UpdateTrail\" }", TRAIL, 0},
	        {"{ $.eventType = \"*Trail\" }", TRAIL, 1},
	        {"{ $.eventType = Update* }", TRAIL, 1},
	        {"{ $.eventType = *ateT* }", TRAIL, 1},
	        {"{ $.eventType = Up*il }", TRAIL, 0},
	        {"{ $.eventType = \"Up*il\" }", "{\"eventType\":\"Up*il\"}", 1},
	        {"{ $.eventType = * }", TRAIL, 1},
	        {"{ $.missing = * }", TRAIL, 0},
	        {"{ $.eventType = %^Update[A-Z]% }", TRAIL, 1},
	        {"{ $.eventType != %^Update% }", TRAIL, 0},
	        {"{ $.sourceIPAddress != 123.123.* }", TRAIL, 1},
	        {"{ $.sourceIPAddress != 111.111.* }", TRAIL, 0},
	        {"{ $.arrayKey[0] = \"value\" }", TRAIL, 1},
	        {"{ $.arrayKey[1] = \"value\" }", TRAIL, 0},
	        {"{ $.arrayKey[2] = \"value\" }", TRAIL, 0},
	        {"{ $.eventType[0] = \"U\" }", TRAIL, 0},
	        {"{ $.objectList[1].id = 2 }", TRAIL, 1},
	        {"{ $.SomeObject IS NULL }", TRAIL, 1},
	        {"{ $.eventType IS NULL }", TRAIL, 0},
	        {"{ $.SomeOtherObject IS NULL }", TRAIL, 0},
	        {"{ $.SomeOtherObject NOT EXISTS }", TRAIL, 1},
	        {"{ $.SomeObject NOT EXISTS }", TRAIL, 0},
	        {"{ $.SomeObject EXISTS }", TRAIL, 1},
	        {"{ $.ThisFlag IS TRUE }", TRAIL, 1},
	        {"{ $.ThisFlag IS FALSE }", TRAIL, 0},
	        {"{ $.['cluster.name'] = c }", TRAIL, 1},
	        {"{ $['cluster.name'] = \"d\" }", TRAIL, 0},
	        {"{ $.objectList = 1 }", TRAIL, 0},
	        {"{ $.objectList != 1 }", TRAIL, 0},
	        {"{ $.missing != 1 }", TRAIL, 0},
	        {"{ ($.user.id = 1) && ($.users[0].email = \"John.Doe@example.com\") }", USERS, 1},
	        {"{ ($.user.id = 2 && $.users[0].email = \"nonmatch\") || $.actions[2] = \"GET\" }", USERS, 0},
	        {"{ $.user.email = \"John.Stiles@example.com\" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }",
	         USERS, 1},
	        {"{ ($.user.email = \"John.Stiles@example.com\" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nomatch }",
	         USERS, 0},
	        {"{ $.coordinates[2][2] = 9 }", USERS, 1},
	        {"{ $.latency >= 500 }", NUMBERS, 1},
	        {"{ $.latency > 500 }", NUMBERS, 0},
	        {"{ $.latency > +1000 }", NUMBERS, 0},
	        {"{ $.latency = 5e2 }", NUMBERS, 1},
	        {"{ $.latency != 500.0 }", NUMBERS, 0},
	        {"{ $.latency = 5* }", NUMBERS, 1},
	        {"{ $.n[0] < 10e-1 }", NUMBERS, 1},
	        {"{ $.n[1] <= -3 }", NUMBERS, 1},
	        {"{ $.big = 1500 }", NUMBERS, 1},
	        {"{ $.text = 400 }", NUMBERS, 1},
	        {"{ $.text > 300 }", NUMBERS, 0},
	        {"{ $.a = 1 }", "not json", 0},
	        {"{ $.a = 1 }", "{\"a\":1} trailing", 0},
	        {"{ $.a = 1 }", "  {\"a\":1}\n", 1},
	        {"{ $[0].a = 1 }", "[{\"a\":1}]", 1},
	        {"{ $.a = \"}\" }", "{\"a\":\"}\"}", 1},
	        {"{ $.a = 1", "{\"a\":1}", -1},
	        {"{ $.a = 1 } x", "{\"a\":1}", -1},
	        {"{ $.a 1 }", "{\"a\":1}", -1},
	        {"{ $.a = }", "{\"a\":1}", -1},
	        {"{ $.a > x }", "{\"a\":1}", -1},
	        {"{ $.a IS }", "{\"a\":1}", -1},
	        {"{ $.a NOT NULL }", "{\"a\":1}", -1},
	        {"{ $.a[x] = 1 }", "{\"a\":1}", -1},
	        {"{ $ = 1 }", "{\"a\":1}", -1},
	        {"{ a = 1 }", "{\"a\":1}", -1},
	        {"{ ($.a = 1 }", "{\"a\":1}", -1},
	        {"{ $.a = 1 && }", "{\"a\":1}", -1},
	        {"{ }", "{}", -1},
	        {"{", "{}", -1},
	};
	RUN(vectors);
}

#define ACCESS(status, bytes) "127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] \"GET /index.html HTTP/1.0\" " status " " bytes

static void fields(void **state)
{
	(void)state;
	const struct vector vectors[] = {
	        {"[ip, user, username, timestamp, request, status_code, bytes]", ACCESS("200", "1534"), 1},
	        {"[ip, user, username, timestamp, request, status_code]", ACCESS("200", "1534"), 0},
	        {"[ip, user, username, timestamp, request, status_code, bytes, more]", ACCESS("200", "1534"), 0},
	        {"[..., status_code, bytes]", ACCESS("200", "1534"), 1},
	        {"[ip, user, ...]", ACCESS("200", "1534"), 1},
	        {"[ip, user, ..., status_code = 500, bytes]", ACCESS("500", "1534"), 1},
	        {"[ip, user, ..., status_code = 500, bytes]", ACCESS("200", "500"), 0},
	        {"[ip, user, username, timestamp, request, status_code, bytes > 1000]", ACCESS("200", "1534"), 1},
	        {"[ip, user, username, timestamp, request, status_code, bytes > 1000]", ACCESS("200", "534"), 0},
	        {"[ip, user, username, timestamp, request, status_code, bytes > 1000]", ACCESS("200", "-"), 0},
	        {"[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]", ACCESS("404", "1"), 1},
	        {"[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]", ACCESS("500", "1"), 0},
	        {"[ip, user, username, timestamp, request, status_code = 4* && status_code != 403, bytes]", ACCESS("404", "1"), 1},
	        {"[ip, user, username, timestamp, request, status_code = 4* && status_code != 403, bytes]", ACCESS("403", "1"), 0},
	        {"[..., status_code = 404 || status_code = 410, bytes]", ACCESS("410", "1"), 1},
	        {"[..., request=*.html*, status_code=4*,]", ACCESS("404", "1534"), 1},
	        {"[ip=%127\\.0\\.0\\.[0-9]{1,3}%, ...]", ACCESS("404", "1534"), 1},
	        {"[ip=%128\\.0%, ...]", ACCESS("404", "1534"), 0},
	        {"[w1=ERROR, w2]", "ERROR message", 1},
	        {"[w1=ERROR, w2]", "ERROR WARN message", 0},
	        {"[w1=ERROR, w2]", "WARN message", 0},
	        {"[w1=ERROR || w1=WARN, w2]", "WARN message", 1},
	        {"[w1!=ERROR&&w1!=WARN, w2]", "INFO message", 1},
	        {"[(w1=ERROR || w1=WARN) && w1=W*, w2]", "ERROR message", 0},
	        {"[w1=\"a b\", w2]", "\"a b\" c", 1},
	        {"[a, b]", "x \"unclosed", 1},
	        {"[...]", "", 1},
	        {"[a]", "", 0},
	        {"[a, ..., b, ...]", "a b", -1},
	        {"[a, b", "a b", -1},
	        {"[a b]", "a b", -1},
	        {"[a = 1 && b = 2, b]", "1 2", -1},
	        {"[a =, b]", "1 2", -1},
	        {"[a, b] c", "1 2", -1},
	        {"[!, b]", "1 2", -1},
	        {"[", "x", -1},
	};
	RUN(vectors);
}

static void fields_are_extracted(void **state)
{
	(void)state;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct str error;
	const struct log_filter *f = log_filter_compile(&a, S("[..., request=*.html*, status_code=4*,]"), &error);
	assert_non_null(f);
	struct str_map map = log_filter_fields(&a, f, str_from(ACCESS("404", "1534")));
	assert_int_equal(map.n, 7);
	assert_str(str_map_get(&map, S("$1")), "127.0.0.1");
	assert_str(str_map_get(&map, S("$3")), "frank");
	assert_str(str_map_get(&map, S("$4")), "10/Oct/2000:13:25:15 -0700");
	assert_str(str_map_get(&map, S("$request")), "GET /index.html HTTP/1.0");
	assert_str(str_map_get(&map, S("$status_code")), "404");
	assert_str(str_map_get(&map, S("$7")), "1534");
	assert_int_equal(log_filter_fields(&a, f, str_from(ACCESS("200", "1"))).n, 0);
	f = log_filter_compile(&a, S("ERROR"), &error);
	assert_int_equal(log_filter_fields(&a, f, S("ERROR")).n, 0);
}

static void errors_are_told(void **state)
{
	(void)state;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct str error = STR_NONE;
	assert_null(log_filter_compile(&a, S("ok foo-bar"), &error));
	assert_str(error, "Invalid character(s) in term 'foo-bar'");
	assert_null(log_filter_compile(&a, S("{ $.x }"), &error));
	assert_str(error, "Invalid filter pattern");
}

static struct str taken(struct arena *a, const char *pattern, const char *selector, const char *message)
{
	struct str error;
	const struct log_filter *f = log_filter_compile(a, str_from(pattern), &error);
	assert_non_null(f);
	const struct log_selector *s = log_selector_compile(a, f, str_from(selector));
	assert_non_null(s);
	return log_selector_take(a, f, s, str_from(message));
}

static void selectors(void **state)
{
	(void)state;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	static const char *const none[][2] = {{"{ $.x = 1 }", "$x"},     {"{ $.x = 1 }", "$.x y"}, {"{ $.x = 1 }", "x"},
	                                      {"[ip, size]", "$user"},   {"[ip, size]", "$.ip"},   {"[ip, size]", "$2"},
	                                      {"[ip, ..., size]", "$2"}, {"ERROR", "$.x"},         {"", "$x"}};
	assert_str(taken(&a, "{ $.x = 1 }", "$.a.b[1]", "{\"x\":1,\"a\":{\"b\":[1,2.50]}}"), "2.50");
	assert_str(taken(&a, "{ $.x = 1 }", "$.a", "{\"x\":1,\"a\":\"text\"}"), "text");
	assert_str(taken(&a, "{ $.x = 1 }", "$.a", "{\"x\":1,\"a\":true}"), "true");
	assert_false(str_set(taken(&a, "{ $.x = 1 }", "$.a", "{\"x\":1,\"a\":{}}")));
	assert_false(str_set(taken(&a, "{ $.x = 1 }", "$.b", "{\"x\":1}")));
	assert_str(taken(&a, "[ip, ..., size]", "$size", "10.0.0.1 a b 17"), "17");
	assert_str(taken(&a, "[ip, , size]", "$2", "10.0.0.1 alice 3"), "alice");
	for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct str error;
		assert_null(log_selector_compile(&a, log_filter_compile(&a, str_from(none[i][0]), &error), str_from(none[i][1])));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(words),           cmocka_unit_test(json),
	        cmocka_unit_test(fields),          cmocka_unit_test(fields_are_extracted),
	        cmocka_unit_test(errors_are_told), cmocka_unit_test(selectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
