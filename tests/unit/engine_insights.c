/* Queries of Logs Insights over a few events. */
#include "unit.h"

#include "base/buf.h"
#include "engine/logs/insights.h"

#include <stdio.h>

#define T0 INT64_C(1767225600000) /* 2026-01-01 */

static const char *const messages[] = {
        "{\"level\":\"error\",\"ms\":30,\"user\":{\"name\":\"ann\"},\"ok\":false}",
        "{\"level\":\"info\",\"ms\":10,\"user\":{\"name\":\"bob\"},\"ok\":true,\"list\":[5,6]}",
        "{\"level\":\"info\",\"ms\":20,\"user\":{\"name\":\"ann\"},\"ok\":true}",
        "GET /a took 7 ms by ann",
        "GET /b took 9 ms by bob",
};
enum { MESSAGES = sizeof(messages) / sizeof(*messages) };

/* The rows as a text: a=1,b=2|a=3. Events are a minute apart, the first is the newest. */
static struct str ask(struct arena *a, const char *query)
{
	struct str error = STR_NONE;
	const struct insights *q = insights_compile(a, str_from(query), &error);
	if (!q)
		return ARENA_CAT(a, S("! "), error);
	struct insights_run *r = insights_run_new(q, 1000);
	for (unsigned i = 0; i < MESSAGES; i++)
		if (!insights_add(r, &(struct insights_event){.time_ms = T0 - i * 60000,
		                                              .ingested_ms = T0,
		                                              .message = str_from(messages[i]),
		                                              .stream = S("s"),
		                                              .log = S("1:g"),
		                                              .ptr = S("P")}))
			break;
	struct buf CLEAN_BUF b;
	uint32_t n;
	buf_init(&b, 1 << 20);
	const struct insights_row *rows = insights_rows(r, &n);
	for (uint32_t i = 0; i < n; i++) {
		bool first = true;
		if (i)
			buf_add_lit(&b, "|");
		for (uint32_t k = 0; k < rows[i].n; k++) {
			if (str_is(rows[i].v[k].name, "@ptr"))
				continue;
			buf_printf(&b, "%s%.*s=%.*s", first ? "" : ",", STR_ARG(rows[i].v[k].name), STR_ARG(rows[i].v[k].value));
			first = false;
		}
	}
	struct str made = insights_failed(r) ? str_from(insights_failed(r)) : arena_dup(a, buf_str(&b));
	insights_run_free(r);
	return made;
}

static void queries(void **state)
{
	(void)state;
	static const char *const all[][2] = {
	        {"fields @timestamp, level | limit 1", "@timestamp=2026-01-01 00:00:00.000,level=error"},
	        {"filter level = 'info' | fields ms", "ms=10|ms=20"},
	        {"fields ms | filter ms >= 10 and ms < 30 | sort ms desc", "ms=20|ms=10"},
	        {"fields user.name as who | filter ok = true and user.name like /^B|^bo/", "who=bob"},
	        {"fields list.1 as x | filter ispresent(list.1)", "x=6"},
	        {"filter @message like 'GET' | parse @message 'GET * took * ms by *' as path, took, who | display path, took * 2 as twice | sort took",
	         "path=/a,twice=14|path=/b,twice=18"},
	        {"parse /GET (?<path>\\S+) took (?<took>\\d+) ms by (?<who>\\w+)/ | filter ispresent(took) | display path, took * 2 as twice | sort took",
	         "path=/a,twice=14|path=/b,twice=18"},
	        {"filter @message like /(?i)get/ | parse 'by *' as who | stats count(*) as n by who | sort who",
	         "who=ann,n=1|who=bob,n=1"},
	        {"stats count(*), sum(ms), avg(ms), min(ms), max(ms)", "count(*)=5,sum(ms)=60,avg(ms)=20,min(ms)=10,max(ms)=30"},
	        {"stats count(ms) as n, pct(ms, 50) as half, count_distinct(level) as kinds", "n=3,half=20,kinds=2"},
	        {"stats count(*) as n by bin(2m) | sort n desc, `bin(2m)` asc",
	         "bin(2m)=2025-12-31 23:56:00.000,n=2|bin(2m)=2025-12-31 23:58:00.000,n=2|bin(2m)=2026-01-01 00:00:00.000,n=1"},
	        {"stats latest(level) as l, earliest(ms) as m", "l=error,m=20"},
	        {"stats sum(ms) as total by level | filter total > 30 or level = 'error' | stats count(*) as groups", "groups=1"},
	        {"filter level in ['error', 'warn'] | fields toupper(level) as u, strlen(level) as n", "u=ERROR,n=5"},
	        {"filter not ispresent(level) | fields substr(@message, 4, 2) as p, replace(@message, 'GET ', '') as q | limit 1",
	         "p=/a,q=/a took 7 ms by ann"},
	        {"dedup level | filter ispresent(level) | fields level", "level=error|level=info"},
	        {"filter ispresent(level) and level not like 'e' | fields concat(level, '-', ms) as c # a remark\n| sort c",
	         "c=info-10|c=info-20"},
	        {"fields (ms + 2) / 4 - -1 as x | filter ispresent(x) | limit 2", "x=9|x=4"},
	        {"fields datefloor(@timestamp, 1h) as h | limit 1", "h=2026-01-01 00:00:00.000"},
	        {"fields absent | filter absent = 1", ""},
	        {"", "@timestamp=2026-01-01 00:00:00.000,@message="},
	};
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct str got = ask(&a, all[i][0]);
		if (all[i][0][0] ? !str_is(got, all[i][1]) : !str_starts(got, str_from(all[i][1])))
			fail_msg("%s: %.*s", all[i][0], STR_ARG(got));
	}
}

static void refusals(void **state)
{
	(void)state;
	static const char *const all[] = {"fields",
	                                  "stats",
	                                  "filter",
	                                  "filter (a",
	                                  "limit 0",
	                                  "limit 20000",
	                                  "nonsense",
	                                  "fields a |",
	                                  "fields f(a)",
	                                  "parse '*' as a, b",
	                                  "parse /(x)/",
	                                  "parse /(?<a>x/",
	                                  "parse /x/",
	                                  "parse /(?<a>x)",
	                                  "stats sum(*)",
	                                  "filter a like /(/",
	                                  "filter a in 1",
	                                  "stats count(*) by bin(5)",
	                                  "fields 'a",
	                                  "fields a b",
	                                  "stats pct(a, 200)",
	                                  "filter not"};
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct arena CLEAN_ARENA a = {0};
		if (!str_starts(ask(&a, all[i]), S("! ")))
			fail_msg("%s is taken", all[i]);
	}
}

/* Far more rows than are kept: those of the limit are the right ones. */
static void many(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str error;
	const struct insights *q = insights_compile(&a, S("fields n | sort n desc | limit 3"), &error);
	struct insights_run *r = insights_run_new(q, 1000);
	for (unsigned i = 0; i < 70000; i++) {
		char text[64];
		snprintf(text, sizeof(text), "{\"n\":%u}", i * 7919 % 70001);
		assert_true(insights_add(r, &(struct insights_event){.time_ms = T0, .message = str_from(text), .ptr = S("P")}));
	}
	uint32_t n;
	const struct insights_row *rows = insights_rows(r, &n);
	assert_int_equal(n, 3);
	assert_str(rows[0].v[0].value, "70000");
	assert_str(rows[2].v[0].value, "69998");
	assert_int_equal(insights_matched(r), 70000);
	insights_run_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(queries), cmocka_unit_test(refusals), cmocka_unit_test(many)};
	return cmocka_run_group_tests_name("engine insights", tests, NULL, NULL);
}
