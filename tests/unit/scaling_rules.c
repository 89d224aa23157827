/* What policies make of a capacity, and when scheduled actions are due. */
#include "unit.h"

#include "base/clock.h"
#include "engine/scaling/adjust.h"
#include "engine/scaling/cron.h"

#include <math.h>

static void adjustments(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		int64_t capacity, adjustment, least, want;
	} of[] = {{"ChangeInCapacity", 3, 2, 0, 5},
	          {"ChangeInCapacity", 3, -5, 0, 0},
	          {"ExactCapacity", 3, 7, 0, 7},
	          {"PercentChangeInCapacity", 10, 10, 0, 11},
	          {"PercentChangeInCapacity", 10, 127, 0, 22},
	          {"PercentChangeInCapacity", 4, 10, 0, 5},   /* 0.4 is one */
	          {"PercentChangeInCapacity", 4, -10, 0, 3},  /* -0.4 is one less */
	          {"PercentChangeInCapacity", 10, -68, 0, 4}, /* -6.8 is six less */
	          {"PercentChangeInCapacity", 4, 25, 2, 6}};
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++)
		assert_int_equal(adjust_capacity(str_from(of[i].type), of[i].capacity, of[i].adjustment, of[i].least), of[i].want);
	assert_int_equal(adjust_to_target(4, 75, 50), 6);
	assert_int_equal(adjust_to_target(4, 50, 50), 4);
	assert_int_equal(adjust_to_target(3, 50.1, 50), 4);
	assert_int_equal(adjust_to_target(10, 5, 50), 1);
}

static void steps(void **state)
{
	(void)state;
	const struct adjust_step out[] = {{0, 10, 1}, {10, 20, 2}, {20, (double)INFINITY, 3}};
	const struct adjust_step in[] = {{-10, 0, -1}, {-(double)INFINITY, -10, -2}};
	assert_int_equal(adjust_find(out, 3, 0)->adjustment, 1);
	assert_int_equal(adjust_find(out, 3, 10)->adjustment, 2);
	assert_int_equal(adjust_find(out, 3, 500)->adjustment, 3);
	assert_null(adjust_find(out, 3, -1));
	assert_int_equal(adjust_find(in, 2, -9)->adjustment, -1);
	assert_int_equal(adjust_find(in, 2, -10)->adjustment, -2);
	assert_null(adjust_check(out, 3));
	assert_null(adjust_check(in, 2));
	const struct adjust_step gap[] = {{0, 10, 1}, {11, (double)INFINITY, 2}}, both[] = {{0, 10, 1}, {9, (double)INFINITY, 2}};
	const struct adjust_step closed[] = {{0, 10, 1}};
	assert_non_null(adjust_check(gap, 2));
	assert_non_null(adjust_check(both, 2));
	assert_non_null(adjust_check(closed, 1));
}

static void next(const char *text, const char *after, const char *want)
{
	struct arena CLEAN_ARENA a = {0};
	struct cron c;
	int64_t ms;
	assert_true(cron_parse(str_from(text), &c));
	assert_true(time_parse(str_from(after), &ms));
	assert_str(time_format(&a, cron_next(&c, NULL, ms), TIME_ISO8601), want);
}

static void crons(void **state)
{
	(void)state;
	next("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
	next("*/15 9-17 * * *", "2026-01-01T17:46:00Z", "2026-01-02T09:00:00Z");
	next("30 2 * * MON-FRI", "2026-01-02T02:30:00Z", "2026-01-05T02:30:00Z"); /* Friday to Monday */
	next("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z");
	next("0 12 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T12:00:00Z"); /* either is enough */
	next("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z");
	next("0 0 1 jan,jul *", "2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z");
	static const char *const bad[] = {"",          "* * * *",     "* * * * * *", "60 * * * *",  "* 24 * * *",
	                                  "* * 0 * *", "* * * 13 *",  "* * * * 8",   "5-1 * * * *", "*/0 * * * *",
	                                  "a * * * *", "1,, * * * *", "@daily"};
	struct cron c;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(cron_parse(str_from(bad[i]), &c));
	assert_true(cron_parse(S("0 0 31 2 *"), &c));
	assert_int_equal(cron_next(&c, NULL, 0), 0);
}

static void due(const char *text, const char *zone, const char *after, const char *want)
{
	struct arena CLEAN_ARENA a = {0};
	struct when w;
	int64_t ms;
	assert_true(when_parse(str_from(text), zone ? zone_find(str_from(zone)) : NULL, &w));
	assert_true(time_parse(str_from(after), &ms));
	int64_t at = when_next(&w, INT64_C(1767225600000), ms); /* 2026-01-01 */
	if (want)
		assert_str(time_format(&a, at, TIME_ISO8601), want);
	else
		assert_int_equal(at, 0);
}

static void whens(void **state)
{
	(void)state;
	due("cron(0 12 * * ? *)", NULL, "2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z");
	due("cron(15 10 ? * 6L 2026-2027)", NULL, "2026-01-01T00:00:00Z", "2026-01-30T10:15:00Z"); /* the last Friday */
	due("cron(0 8 1W * ? *)", NULL, "2026-02-02T08:00:00Z", "2026-03-02T08:00:00Z");           /* the 1st is a Sunday */
	due("cron(0 0 L 2 ? *)", NULL, "2027-03-01T00:00:00Z", "2028-02-29T00:00:00Z");
	due("cron(0 0 LW * ? *)", NULL, "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z"); /* the 31st is a Saturday */
	due("cron(0 9 ? * MON#2 *)", NULL, "2026-01-01T00:00:00Z", "2026-01-12T09:00:00Z");
	due("cron(0/20 1 ? * SUN,2 *)", NULL, "2026-01-03T00:00:00Z", "2026-01-04T01:00:00Z");
	due("cron(0 0 1 1 ? 2100)", NULL, "2026-01-03T00:00:00Z", "2100-01-01T00:00:00Z");
	due("cron(0 0 1 1 ? 2026)", NULL, "2026-01-03T00:00:00Z", NULL);
	due("rate(1 minute)", NULL, "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
	due("rate(6 hours)", NULL, "2026-01-01T07:00:00Z", "2026-01-01T12:00:00Z");
	due("rate(2 days)", NULL, "2025-12-01T07:00:00Z", "2026-01-01T00:00:00Z"); /* not before it begins */
	due("at(2026-05-01T12:00:00)", NULL, "2026-01-01T00:00:00Z", "2026-05-01T12:00:00Z");
	due("at(2026-05-01T12:00:00)", "America/New_York", "2026-01-01T00:00:00Z", "2026-05-01T16:00:00Z");
	due("at(2026-05-01T12:00:00)", NULL, "2026-05-01T12:00:00Z", NULL);
	/* clocks are put forward on the 29th of March 2026 at two, and back on the 25th of October at three */
	due("cron(0 9 * * ? *)", "Europe/Berlin", "2026-03-28T09:00:00Z", "2026-03-29T07:00:00Z");
	due("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T09:00:00Z", "2026-03-29T01:30:00Z");
	due("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-24T09:00:00Z", "2026-10-25T00:30:00Z");
	due("cron(30 2 * * ? *)", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
	due("cron(0 9 * * ? *)", "Asia/Kolkata", "2026-03-28T09:00:00Z", "2026-03-29T03:30:00Z");
	due("cron(0 0 1 7 ? *)", "Europe/Dublin", "2060-03-28T09:00:00Z", "2060-06-30T23:00:00Z"); /* by the rule */
	due("cron(0 0 1 1 ? *)", "Australia/Sydney", "2060-03-28T09:00:00Z", "2060-12-31T13:00:00Z");
	static const char *const bad[] = {"",
	                                  "cron(0 12 * * * *)",
	                                  "cron(0 12 ? * ? *)",
	                                  "cron(0 12 * * ?)",
	                                  "cron(0 12 * * ? 1969)",
	                                  "cron(0 12 ? * 8 *)",
	                                  "cron(0 12 32W * ? *)",
	                                  "rate(5 minute)",
	                                  "rate(1 minutes)",
	                                  "rate(0 hours)",
	                                  "rate(5 weeks)",
	                                  "at(2026-05-01)",
	                                  "at(2026-13-01T12:00:00)",
	                                  "every day"};
	struct when w;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(when_parse(str_from(bad[i]), NULL, &w));
	assert_null(zone_find(S("Europe/Nowhere")));
	assert_null(zone_find(S("../../../etc/passwd")));
	assert_null(zone_find(S("Europe")));
	assert_non_null(zone_find(S("Etc/UTC")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(adjustments), cmocka_unit_test(steps), cmocka_unit_test(crons),
	                                   cmocka_unit_test(whens)};
	return cmocka_run_group_tests_name("scaling_rules", tests, NULL, NULL);
}
