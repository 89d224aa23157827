/* Event patterns and what targets get of events: examples of EventBridge's guide, and what they leave open. */
#include "unit.h"

#include "engine/events/input.h"
#include "engine/events/pattern.h"

#include <stdio.h>

#define EVENT \
	"{\"version\":\"0\",\"id\":\"e-1\",\"detail-type\":\"EC2 Instance State-change Notification\",\"source\":\"aws.ec2\"," \
	"\"account\":\"111122223333\",\"time\":\"2026-01-01T00:00:00Z\",\"region\":\"us-east-1\"," \
	"\"resources\":[\"arn:aws:ec2:us-east-1:111122223333:instance/i-1\",\"arn:aws:ec2:us-east-1:111122223333:instance/i-2\"]," \
	"\"detail\":{\"state\":\"running\",\"count\":5,\"price\":2.50,\"ip\":\"10.1.2.3\",\"six\":\"2001:db8::7\",\"none\":null,\"empty\":\"\"," \
	"\"yes\":true,\"list\":[\"red\",\"blue\"],\"void\":[],\"file\":\"dir/Image.PNG\",\"star\":\"a*b\\\\c\"," \
	"\"items\":[{\"k\":1,\"m\":2},{\"k\":3,\"m\":4}],\"deep\":{\"a\":{\"b\":\"c\"}}}}"

static void count(void *ctx, void *owner)
{
	(void)owner;
	++*(int *)ctx;
}

/* -1: refused */
static int verdict(const char *pattern)
{
	CLEAN_ARENA struct arena a = {0};
	struct str why = STR_NONE;
	const struct json_value *event = json_parse(&a, S(EVENT), NULL);
	const struct event_pattern *p = event_pattern_compile(&a, str_from(pattern), &why);
	struct pattern_index x = {0};
	int n = 0;
	assert_non_null(event);
	if (!p) {
		assert_true(str_set(why));
		return -1;
	}
	struct pattern_entry e = {.pattern = p};
	pattern_index_add(&x, &e);
	pattern_index_match(&x, event, count, &n);
	assert_int_equal(n, event_pattern_match(p, event));
	pattern_index_done(&x);
	return n;
}

struct vector {
	const char *pattern;
	int want;
};

static void patterns(void **state)
{
	(void)state;
	static const struct vector all[] = {
	        /* exact */
	        {"{\"source\":[\"aws.ec2\"]}", 1},
	        {"{\"source\":[\"aws.ecs\",\"aws.ec2\"]}", 1},
	        {"{\"source\":[\"aws\"]}", 0},
	        {"{\"source\":[\"aws.ec2\"],\"region\":[\"eu-west-1\"]}", 0},
	        {"{\"detail\":{\"state\":[\"running\",\"stopped\"]}}", 1},
	        {"{\"detail\":{\"count\":[5]}}", 1},
	        {"{\"detail\":{\"count\":[5.0]}}", 0}, /* numbers are compared as they are spelled */
	        {"{\"detail\":{\"count\":[\"5\"]}}", 0},
	        {"{\"detail\":{\"price\":[2.50]}}", 1},
	        {"{\"detail\":{\"yes\":[true]}}", 1},
	        {"{\"detail\":{\"yes\":[\"true\"]}}", 0},
	        {"{\"detail\":{\"none\":[null]}}", 1},
	        {"{\"detail\":{\"empty\":[\"\"]}}", 1},
	        {"{\"detail\":{\"none\":[\"\"]}}", 0},
	        {"{\"detail\":{\"empty\":[null]}}", 0},
	        {"{\"detail\":{\"absent\":[null]}}", 0},
	        {"{\"detail\":{\"deep\":{\"a\":{\"b\":[\"c\"]}}}}", 1},
	        {"{\"detail\":{\"deep\":{\"a\":[\"c\"]}}}", 0},
	        {"{\"detail\":{\"state\":{\"x\":[\"running\"]}}}", 0},
	        {"{\"source\":[\"no\"],\"source\":[\"aws.ec2\"]}", 1}, /* the last of two counts */
	        /* arrays */
	        {"{\"detail\":{\"list\":[\"blue\"]}}", 1},
	        {"{\"detail\":{\"list\":[\"green\"]}}", 0},
	        {"{\"resources\":[{\"suffix\":\"i-2\"}]}", 1},
	        {"{\"detail\":{\"items\":{\"k\":[1],\"m\":[2]}}}", 1},
	        {"{\"detail\":{\"items\":{\"k\":[1],\"m\":[4]}}}", 0},       /* one element has to have both */
	        {"{\"detail\":{\"list\":[{\"anything-but\":\"red\"}]}}", 1}, /* blue is not red */
	        {"{\"detail\":{\"void\":[{\"exists\":true}]}}", 0},
	        {"{\"detail\":{\"void\":[{\"exists\":false}]}}", 1},
	        /* prefix, suffix, case */
	        {"{\"time\":[{\"prefix\":\"2026-01\"}]}", 1},
	        {"{\"time\":[{\"prefix\":\"2025\"}]}", 0},
	        {"{\"detail\":{\"file\":[{\"prefix\":{\"equals-ignore-case\":\"DIR/\"}}]}}", 1},
	        {"{\"detail\":{\"file\":[{\"suffix\":\".png\"}]}}", 0},
	        {"{\"detail\":{\"file\":[{\"suffix\":{\"equals-ignore-case\":\".png\"}}]}}", 1},
	        {"{\"detail-type\":[{\"equals-ignore-case\":\"ec2 instance state-change notification\"}]}", 1},
	        {"{\"detail\":{\"count\":[{\"prefix\":\"5\"}]}}", 0},
	        {"{\"detail\":{\"empty\":[{\"prefix\":\"\"}]}}", 1},
	        /* anything-but */
	        {"{\"detail\":{\"state\":[{\"anything-but\":\"running\"}]}}", 0},
	        {"{\"detail\":{\"state\":[{\"anything-but\":\"stopped\"}]}}", 1},
	        {"{\"detail\":{\"state\":[{\"anything-but\":[\"stopped\",\"running\"]}]}}", 0},
	        {"{\"detail\":{\"count\":[{\"anything-but\":[1,2]}]}}", 1},
	        {"{\"detail\":{\"count\":[{\"anything-but\":5}]}}", 0},
	        {"{\"detail\":{\"absent\":[{\"anything-but\":\"x\"}]}}", 0},
	        {"{\"detail\":{\"state\":[{\"anything-but\":{\"prefix\":\"run\"}}]}}", 0},
	        {"{\"detail\":{\"state\":[{\"anything-but\":{\"prefix\":[\"stop\",\"term\"]}}]}}", 1},
	        {"{\"detail\":{\"state\":[{\"anything-but\":{\"suffix\":\"ing\"}}]}}", 0},
	        {"{\"detail\":{\"state\":[{\"anything-but\":{\"equals-ignore-case\":[\"RUNNING\",\"x\"]}}]}}", 0},
	        {"{\"detail\":{\"file\":[{\"anything-but\":{\"wildcard\":\"*/Image*\"}}]}}", 0},
	        {"{\"detail\":{\"file\":[{\"anything-but\":{\"wildcard\":[\"*/lib/*\",\"*.o\"]}}]}}", 1},
	        {"{\"detail\":{\"state\":[{\"anything-but\":{\"prefix\":{\"equals-ignore-case\":\"RUN\"}}}]}}", 0},
	        /* numeric */
	        {"{\"detail\":{\"count\":[{\"numeric\":[\"=\",5]}]}}", 1},
	        {"{\"detail\":{\"price\":[{\"numeric\":[\"=\",2.5]}]}}", 1},
	        {"{\"detail\":{\"count\":[{\"numeric\":[\">\",5]}]}}", 0},
	        {"{\"detail\":{\"count\":[{\"numeric\":[\">=\",5]}]}}", 1},
	        {"{\"detail\":{\"count\":[{\"numeric\":[\">\",0,\"<=\",5]}]}}", 1},
	        {"{\"detail\":{\"count\":[{\"numeric\":[\">\",0,\"<\",5]}]}}", 0},
	        {"{\"detail\":{\"count\":[{\"numeric\":[\"<\",-1]}]}}", 0},
	        {"{\"detail\":{\"state\":[{\"numeric\":[\"<\",10]}]}}", 0},
	        /* cidr */
	        {"{\"detail\":{\"ip\":[{\"cidr\":\"10.1.0.0/16\"}]}}", 1},
	        {"{\"detail\":{\"ip\":[{\"cidr\":\"10.1.2.2/31\"}]}}", 1},
	        {"{\"detail\":{\"ip\":[{\"cidr\":\"10.1.2.4/30\"}]}}", 0},
	        {"{\"detail\":{\"ip\":[{\"cidr\":\"0.0.0.0/0\"}]}}", 1},
	        {"{\"detail\":{\"six\":[{\"cidr\":\"2001:db8::/32\"}]}}", 1},
	        {"{\"detail\":{\"six\":[{\"cidr\":\"10.0.0.0/8\"}]}}", 0},
	        {"{\"detail\":{\"state\":[{\"cidr\":\"10.0.0.0/8\"}]}}", 0},
	        /* exists */
	        {"{\"detail\":{\"state\":[{\"exists\":true}]}}", 1},
	        {"{\"detail\":{\"state\":[{\"exists\":false}]}}", 0},
	        {"{\"detail\":{\"absent\":[{\"exists\":false}]}}", 1},
	        {"{\"detail\":{\"absent\":[{\"exists\":true}]}}", 0},
	        {"{\"detail\":{\"none\":[{\"exists\":true}]}}", 1},
	        {"{\"detail\":{\"deep\":[{\"exists\":true}]}}", 0}, /* leaves alone */
	        {"{\"detail\":{\"absent\":{\"x\":[{\"exists\":false}]}}}", 1},
	        {"{\"detail\":{\"absent\":[\"x\",{\"exists\":false}]}}", 1},
	        /* wildcard */
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"dir/Image.PNG\"}]}}", 1},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"dir/Image*Image.PNG\"}]}}", 0},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"*g*g*\"}]}}", 0},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"*i*I*G\"}]}}", 1},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"dir/*.PNG\"}]}}", 1},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"*\"}]}}", 1},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"dir/*.PN\"}]}}", 0},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"d*r*m*g*P*G\"}]}}", 1},
	        {"{\"detail\":{\"star\":[{\"wildcard\":\"a\\\\*b\\\\\\\\c\"}]}}", 1},
	        {"{\"detail\":{\"file\":[{\"wildcard\":\"dir\\\\*\"}]}}", 0},
	        {"{\"detail\":{\"empty\":[{\"wildcard\":\"*\"}]}}", 1},
	        /* $or */
	        {"{\"$or\":[{\"source\":[\"x\"]},{\"region\":[\"us-east-1\"]}]}", 1},
	        {"{\"$or\":[{\"source\":[\"x\"]},{\"region\":[\"y\"]}]}", 0},
	        {"{\"source\":[\"aws.ec2\"],\"detail\":{\"$or\":[{\"count\":[{\"numeric\":[\">\",9]}]},{\"state\":[\"running\"]}]}}",
	         1},
	        {"{\"source\":[\"no\"],\"$or\":[{\"region\":[\"us-east-1\"]},{\"region\":[\"y\"]}]}", 0},
	        {"{\"$or\":[{\"source\":[\"x\"]},{\"$or\":[{\"source\":[\"y\"]},{\"account\":[\"111122223333\"]}]}]}", 1},
	        {"{\"$or\":[\"a\"]}", 0}, /* a field that is called so */
	        {"{\"$or\":[{\"prefix\":\"a\"},{\"prefix\":\"b\"}]}", 0},
	        /* refused */
	        {"", -1},
	        {"[]", -1},
	        {"{}", -1},
	        {"{\"source\":\"aws.ec2\"}", -1},
	        {"{\"source\":[]}", -1},
	        {"{\"source\":[[\"a\"]]}", -1},
	        {"{\"detail\":{}}", -1},
	        {"{\"source\":[{\"begins\":\"a\"}]}", -1},
	        {"{\"source\":[{}]}", -1},
	        {"{\"source\":[{\"prefix\":\"a\",\"suffix\":\"b\"}]}", -1},
	        {"{\"source\":[{\"prefix\":5}]}", -1},
	        {"{\"source\":[{\"exists\":\"true\"}]}", -1},
	        {"{\"source\":[{\"anything-but\":[]}]}", -1},
	        {"{\"source\":[{\"anything-but\":[\"a\",1]}]}", -1},
	        {"{\"source\":[{\"anything-but\":{\"numeric\":[\"=\",1]}}]}", -1},
	        {"{\"source\":[{\"anything-but\":null}]}", -1},
	        {"{\"source\":[{\"numeric\":[]}]}", -1},
	        {"{\"source\":[{\"numeric\":[\">\"]}]}", -1},
	        {"{\"source\":[{\"numeric\":[\"!\",1]}]}", -1},
	        {"{\"source\":[{\"numeric\":[\"<\",1,\">\",0]}]}", -1},
	        {"{\"source\":[{\"numeric\":[\">\",5,\"<\",1]}]}", -1},
	        {"{\"source\":[{\"numeric\":[\">\",6000000000]}]}", -1},
	        {"{\"source\":[{\"cidr\":\"10.0.0.0\"}]}", -1},
	        {"{\"source\":[{\"cidr\":\"10.0.0.0/33\"}]}", -1},
	        {"{\"source\":[{\"wildcard\":\"a**b\"}]}", -1},
	        {"{\"source\":[{\"wildcard\":\"a\\\\b\"}]}", -1},
	        {"{\"source\":[{\"equals-ignore-case\":[\"a\"]}]}", -1},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		int got = verdict(all[i].pattern);
		if (got != all[i].want)
			fail_msg("%s: %d instead of %d", all[i].pattern, got, all[i].want);
	}
}

static void words(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *why;
	} all[] = {
	        {"[]", "Filter is not an object"},
	        {"{\"a\":\"b\"}",
	         "\"a\" must be an object or an array\n at [Source: (String)\"{\"a\":\"b\"}\"; line: 1, column: 6]"},
	        {"{\n\"a\":[]}", "Empty arrays are not allowed\n at [Source: (String)\"{\n\"a\":[]}\"; line: 2, column: 5]"},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		CLEAN_ARENA struct arena a = {0};
		struct str why = STR_NONE;
		assert_null(event_pattern_compile(&a, str_from(all[i].pattern), &why));
		assert_string_equal(arena_dupz(&a, why), all[i].why);
	}
}

/* Ten $or with two ways each are 1,024 patterns. */
static void too_many_ways(void **state)
{
	(void)state;
	for (int n = 9; n <= 10; n++) {
		char text[2000] = "{";
		for (int i = 0; i < n; i++) {
			size_t at = strlen(text);
			snprintf(text + at, sizeof(text) - at, "%s\"k%d\":{\"$or\":[{\"a\":[1]},{\"b\":[2]}]}", i ? "," : "", i);
		}
		strcat(text, "}");
		assert_int_equal(verdict(text), n == 9 ? 0 : -1);
	}
}

/* A thousand rules: each event finds its own, and nothing is left when they go. */
static void an_index_finds_its_own(void **state)
{
	(void)state;
	enum { N = 1000 };
	CLEAN_ARENA struct arena a = {0};
	static struct pattern_entry entries[N];
	struct pattern_index x = {0};
	struct str why;
	for (int i = 0; i < N; i++) {
		struct str text = arena_printf(&a,
		                               i % 3 == 0   ? "{\"source\":[\"shop\"],\"detail\":{\"id\":[\"%d\",\"x\"]}}"
		                               : i % 3 == 1 ? "{\"detail\":{\"id\":[{\"prefix\":\"%d-\"}]}}"
		                                            : "{\"source\":[\"shop\"],\"detail\":{\"n\":[%d]}}",
		                               i);
		entries[i] = (struct pattern_entry){.pattern = event_pattern_compile(&a, text, &why)};
		assert_non_null(entries[i].pattern);
		pattern_index_add(&x, &entries[i]);
	}
	int n = 0;
	pattern_index_match(&x, json_parse(&a, S("{\"source\":\"shop\",\"detail\":{\"id\":\"300\",\"n\":[302,305]}}"), NULL), count,
	                    &n);
	assert_int_equal(n, 3);
	n = 0;
	pattern_index_match(&x, json_parse(&a, S("{\"source\":\"shop\",\"detail\":{\"id\":[\"x\",\"300\",\"301-a\"]}}"), NULL),
	                    count, &n);
	assert_int_equal(n, 334 + 1);
	for (int i = 0; i < N; i++)
		pattern_index_remove(&x, &entries[i]);
	assert_int_equal(x.under.count, 0);
	n = 0;
	pattern_index_match(&x, json_parse(&a, S("{\"source\":\"shop\",\"detail\":{\"id\":[\"x\",\"301-a\"]}}"), NULL), count, &n);
	assert_int_equal(n, 0);
	pattern_index_done(&x);
}

static void input_paths(void **state)
{
	(void)state;
	static const struct {
		const char *path, *want; /* NULL: refused; "": nothing there */
	} all[] = {
	        {"$.detail.state", "\"running\""},
	        {"$.detail-type", "\"EC2 Instance State-change Notification\""},
	        {"$['detail-type']", "\"EC2 Instance State-change Notification\""},
	        {"$.resources[1]", "\"arn:aws:ec2:us-east-1:111122223333:instance/i-2\""},
	        {"$.resources[2]", ""},
	        {"$.detail.items[*].k", "[1,3]"},
	        {"$.detail.items[1]", "{\"k\":3,\"m\":4}"},
	        {"$.detail.deep.a", "{\"b\":\"c\"}"},
	        {"$.detail.nothing", ""},
	        {"$.detail.price", "2.50"},
	        {"detail", NULL},
	        {"$.", NULL},
	        {"$..a", NULL},
	        {"$.a[", NULL},
	        {"$.a[-1]", NULL},
	        {"$.a[?(@.b)]", NULL},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		CLEAN_ARENA struct arena a = {0};
		struct buf CLEAN_BUF b = {0};
		buf_init(&b, INPUT_BYTES_MAX);
		assert_int_equal(path_good(str_from(all[i].path)), all[i].want != NULL);
		if (!all[i].want)
			continue;
		bool there = path_put(str_from(all[i].path), json_parse(&a, S(EVENT), NULL), &b);
		assert_int_equal(there, all[i].want[0] != 0);
		assert_string_equal(arena_dupz(&a, buf_str(&b)), all[i].want);
	}
}

static void transformers(void **state)
{
	(void)state;
	struct str_map_entry entries[] = {{S("state"), S("$.detail.state")},
	                                  {S("n"), S("$.detail.count")},
	                                  {S("deep"), S("$.detail.deep")},
	                                  {S("gone"), S("$.detail.gone")},
	                                  {S("star"), S("$.detail.star")}};
	const struct str_map paths = {.v = entries, .n = 5};
	static const struct {
		const char *template, *want; /* NULL: refused */
	} all[] = {
	        {"\"it is <state>\"", "\"it is running\""},
	        {"{\"s\": <state>, \"n\": <n>, \"t\": \"<n> of <state>\"}",
	         "{\"s\": \"running\", \"n\": 5, \"t\": \"5 of running\"}"},
	        {"{\"d\": <deep>, \"t\": \"<deep>\"}",
	         "{\"d\": {\"a\":{\"b\":\"c\"}}, \"t\": \"{\\\"a\\\":{\\\"b\\\":\\\"c\\\"}}\"}"},
	        {"{\"g\": <gone>, \"t\": \"<gone>\"}", "{\"g\": \"\", \"t\": \"\"}"},
	        {"\"<star>\"", "\"a*b\\\\c\""},
	        {"\"a <state>\"\n\"b <n>\"", "\"a running\"\n\"b 5\""},
	        {"{\"r\": <aws.events.rule-arn>, \"n\": \"<aws.events.rule-name>\", \"t\": <aws.events.event.ingestion-time>}",
	         "{\"r\": \"arn:r\", \"n\": \"r\", \"t\": \"2026\"}"},
	        {"{\"a\": \"x < y > z\"}", "{\"a\": \"x < y > z\"}"},
	        {"{\"a\": <unknown>}", NULL},
	        {"it is <state>", NULL},
	        {"{\"a\": }", NULL},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		CLEAN_ARENA struct arena a = {0};
		struct buf CLEAN_BUF b = {0};
		const struct transform_event e = {json_parse(&a, S(EVENT), NULL), S(EVENT), S("arn:r"), S("r"), S("2026")};
		buf_init(&b, INPUT_BYTES_MAX);
		struct str wrong = transform_wrong(&a, &paths, str_from(all[i].template));
		if (str_set(wrong) != !all[i].want)
			fail_msg("%s: %.*s", all[i].template, STR_ARG(wrong));
		if (!all[i].want)
			continue;
		assert_true(transform_put(&e, &paths, str_from(all[i].template), &b));
		assert_string_equal(arena_dupz(&a, buf_str(&b)), all[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(patterns),      cmocka_unit_test(words),
	        cmocka_unit_test(too_many_ways), cmocka_unit_test(an_index_finds_its_own),
	        cmocka_unit_test(input_paths),   cmocka_unit_test(transformers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
