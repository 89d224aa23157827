/* Which state an alarm goes into, over points that are there (0 fine, X breaching) and missing (-): AWS's own tables, and more. */
#include "unit.h"

#include "aws/cloudwatch/alarm.h"

enum { N_MAX = 16 };
/* What a table says of a state: A alarm, O ok, I insufficient data, = as it was. */
static void check(const char *points, unsigned n, unsigned m, const char *wanted)
{
	static const char *const treatments[] = {"missing", "ignore", "breaching", "notBreaching"};
	struct alarm_point p[N_MAX] = {0};
	unsigned count = 0;
	for (const char *c = points; *c; c++) {
		p[count].there = *c != '-';
		p[count].few = *c == 'f';
		p[count++].value = *c == 'X' || *c == 'f' ? 10 : 0;
	}
	for (unsigned i = 0; i < 4; i++) {
		struct alarm_rule r = {.periods = n,
		                       .to_alarm = m,
		                       .operator= S("GreaterThanThreshold"),
		                       .missing = str_from(treatments[i]),
		                       .threshold = 5};
		struct alarm_verdict v = alarm_decide(&r, p, count);
		char got = v.keep ? '=' : v.state == ALARM_ALARM ? 'A' : v.state == ALARM_OK ? 'O' : 'I';
		if (got != wanted[i])
			fail_msg("%s, %u of %u, %s: %c and not %c", points, m, n, treatments[i], got, wanted[i]);
	}
}

static void missing_data(void **state)
{
	(void)state;
	check("0-X-X", 3, 3, "OOOO");
	check("0----", 3, 3, "OOOO");
	check("-----", 3, 3, "I=AO");
	check("0XX-X", 3, 3, "AAAA");
	check("--X--", 3, 3, "A=AO");
	check("0-X-X", 3, 2, "AAAA");
	check("00X0X", 3, 2, "AAAA");
	check("0-X--", 3, 2, "OOAO");
	check("----0", 3, 2, "OOAO");
	check("---X-", 3, 2, "A=AO");
}

static void more(void **state)
{
	(void)state;
	/* Nothing is missing. */
	check("00000", 3, 3, "OOOO");
	check("XXX00", 3, 1, "AAAA");
	check("XXX00", 3, 2, "OOOO");
	check("00XXX", 3, 3, "AAAA");
	/* The first breaching one is too young to say more. */
	check("----X", 3, 3, "==AO");
	check("---XX", 3, 3, "==AO");
	check("--X", 1, 1, "AAAA");
	check("---", 1, 1, "I=AO");
	check("X--", 1, 1, "AAAA");
	check("0--", 1, 1, "OOOO");
	/* Too few samples for a percentile. */
	check("00f", 1, 1, "====");
	check("f00", 1, 1, "OOOO");
}

static void operators(void **state)
{
	(void)state;
	assert_true(alarm_breaches(S("GreaterThanOrEqualToThreshold"), 5, 5));
	assert_false(alarm_breaches(S("GreaterThanThreshold"), 5, 5));
	assert_false(alarm_breaches(S("LessThanThreshold"), 5, 5));
	assert_true(alarm_breaches(S("LessThanOrEqualToThreshold"), 5, 5));
}

static void reasons(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct alarm_point p[5] = {{0}};
	struct alarm_rule r = {.periods = 3,
	                       .to_alarm = 2,
	                       .operator= S("LessThanOrEqualToThreshold"),
	                       .missing = S("breaching"),
	                       .threshold = 80};
	for (unsigned i = 0; i < 5; i++)
		p[i] = (struct alarm_point){.there = true, .value = 70 + i, .time_ms = INT64_C(1767225600000) + i * 60000};
	struct alarm_verdict v = alarm_decide(&r, p, 5);
	assert_str(
	        alarm_reason(&a, &r, p, 5, &v, ALARM_OK),
	        "Threshold Crossed: 3 out of the last 3 datapoints [74.0 (01/01/26 00:04:00), 73.0 (01/01/26 00:03:00), 72.0 (01/01/26 "
	        "00:02:00)] were less than or equal to the threshold (80.0) (minimum 2 datapoints for OK -> ALARM transition).");
	p[4].value = 90.5;
	p[3].value = 91;
	v = alarm_decide(&r, p, 5);
	assert_str(
	        alarm_reason(&a, &r, p, 5, &v, ALARM_ALARM),
	        "Threshold Crossed: 2 out of the last 3 datapoints [90.5 (01/01/26 00:04:00), 91.0 (01/01/26 00:03:00)] were not less than "
	        "or equal to the threshold (80.0) (minimum 2 datapoints for ALARM -> OK transition).");
	memset(p, 0, sizeof(p));
	v = alarm_decide(&r, p, 5);
	assert_str(
	        alarm_reason(&a, &r, p, 5, &v, ALARM_OK),
	        "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as [Breaching].");
	r.missing = S("missing");
	v = alarm_decide(&r, p, 5);
	assert_str(alarm_reason(&a, &r, p, 5, &v, ALARM_OK), "Insufficient Data: 3 datapoints were unknown.");
}

static int state_of(void *ctx, struct str name)
{
	(void)ctx;
	return str_is(name, "a") ? (int)ALARM_ALARM : str_is(name, "b c") ? (int)ALARM_OK : -1;
}

static void rules(void **state)
{
	(void)state;
	static const struct {
		const char *rule;
		int wanted; /* -1: refused */
	} all[] = {{"ALARM(a)", 1},
	           {"ALARM(\"a\")", 1},
	           {"OK('b c')", 1},
	           {"OK(b c)", 1},
	           {"ALARM(gone) OR INSUFFICIENT_DATA(gone)", 0},
	           {"NOT ALARM(a)", 0},
	           {"NOT ALARM(a) OR ALARM(a)", 1},
	           {"TRUE OR FALSE AND FALSE", 1},
	           {"(TRUE OR FALSE) AND FALSE", 0},
	           {"NOT (ALARM(a) AND OK(a))", 1},
	           {"", -1},
	           {"ALARM", -1},
	           {"ALARM(", -1},
	           {"ALARM()", -1},
	           {"ALARM(\"a)", -1},
	           {"ALARM(a) ALARM(a)", -1},
	           {"ALARM(a) AND", -1},
	           {"(ALARM(a)", -1},
	           {"ALARM(a))", -1},
	           {"alarm(a)", -1},
	           {"TRUEFALSE", -1}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct str why;
		struct alarm_rule_tree *t = alarm_rule_parse(&a, str_from(all[i].rule), &why);
		int got = t ? alarm_rule_holds(t, state_of, NULL) : -1;
		if (got != all[i].wanted)
			fail_msg("%s: %d", all[i].rule, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(missing_data), cmocka_unit_test(more), cmocka_unit_test(operators),
	                                   cmocka_unit_test(reasons), cmocka_unit_test(rules)};
	return cmocka_run_group_tests_name("cloudwatch decide", tests, NULL, NULL);
}
