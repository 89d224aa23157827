/* Metric math without metrics, SEARCH, and the names of statistics. */
#include "unit.h"

#include "aws/cloudwatch/math.h"
#include "aws/cloudwatch/query.h"
#include "aws/cloudwatch/statistic.h"

#include <math.h>

static bool named(struct math *m, struct str name, struct math_value *ret)
{
	if (!str_is(name, "m"))
		return math_fail(m, "unknown");
	struct math_series s = {.label = S("m"), .period_s = 60, .points.set = true};
	for (int i = 0; i < 3; i++)
		*LIST_ADD(m->arena, &s.points) = (struct math_point){i * 60000, i + 1};
	*ret = (struct math_value){.kind = MATH_SERIES, .all.set = true};
	*LIST_ADD(m->arena, &ret->all) = s;
	return true;
}

/* The sum of what comes, or the scalar; NaN: refused. */
static double value(const char *text)
{
	struct arena CLEAN_ARENA a = {0};
	struct math m = {.arena = &a, .to_ms = 300000, .period_s = 60, .named = named};
	struct math_value v = {0};
	struct str why = STR_NONE;
	struct math_node *n = math_parse(&a, str_from(text), &why);
	if (!n) {
		assert_true(str_set(why));
		return NAN;
	}
	if (!math_eval(&m, n, &v)) {
		assert_true(str_set(m.error));
		return NAN;
	}
	double sum = v.kind == MATH_SCALAR ? v.scalar : 0;
	for (uint32_t i = 0; i < v.all.n; i++)
		for (uint32_t k = 0; k < v.all.v[i].points.n; k++)
			sum += v.all.v[i].points.v[k].value;
	return sum;
}

static void values(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double wanted;
	} all[] = {{"1 + 2 * 3", 7},
	           {"(1 + 2) * 3", 9},
	           {"2 ^ 3 ^ 2", 512},
	           {"-2 ^ 2", -4},
	           {"10 - 3 - 2", 5},
	           {"12 / 2 / 3", 2},
	           {"1 < 2 && 3 >= 3", 1},
	           {"1 == 2 OR 2 != 3", 1},
	           {"TRUE AND FALSE", 0},
	           {"1.5e2", 150},
	           {"m", 6},
	           {"m * 2", 12},
	           {"2 - m", 0},
	           {"m + m", 12},
	           {"[m, m]", 12},
	           {"SUM(m)", 6},
	           {"avg(m)", 2},
	           {"MAX([m, m * 2])", 12},
	           {"m / (m - 2)", 2},
	           {"FILL(m, 1)", 8},
	           {"FILL(m, REPEAT)", 12},
	           {"DATAPOINT_COUNT(m)", 3},
	           {"METRIC_COUNT([m, m])", 2},
	           {"PERIOD(m)", 60},
	           {"IF(m > 1, 10, 1)", 21},
	           {"IF(1, m, 2)", 6},
	           {"HOUR(m)", 0},
	           {"MINUTE(m)", 3},
	           {"YEAR(m)", 3 * 1970},
	           {"LOG10(m * 0 + 100)", 6}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (fabs(value(all[i].text) - all[i].wanted) > 1e-9)
			fail_msg("%s: %g", all[i].text, value(all[i].text));
}

static void refused(void **state)
{
	(void)state;
	static const char *const all[] = {"",
	                                  "1 +",
	                                  "(1",
	                                  "1)",
	                                  "f(1)",
	                                  "SUM()",
	                                  "SUM(1)",
	                                  "'a' + 1",
	                                  "'a",
	                                  "m n",
	                                  "1 / 0",
	                                  "[1]",
	                                  "x",
	                                  "FILL(m, 'a')",
	                                  "SORT(m)",
	                                  "1..2",
	                                  "SUM + 1",
	                                  "[m",
	                                  "m,m",
	                                  "LAST([])",
	                                  "INSIGHT_RULE_METRIC('a','b')",
	                                  "ANOMALY_DETECTION_BAND(m)",
	                                  "IF([m, m], 1, 2)",
	                                  "[m, m] + [m]"};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!isnan(value(all[i])))
			fail_msg("%s was taken: %g", all[i], value(all[i]));
}

static void deep(void **state)
{
	(void)state;
	char text[3000];
	memset(text, '(', sizeof(text));
	text[sizeof(text) - 1] = 0;
	assert_true(isnan(value(text)));
	memset(text, '-', sizeof(text) - 1);
	assert_true(isnan(value(text)));
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "1^", 3);
	assert_true(isnan(value(text)));
}

static bool found(const char *search, const char *space, const char *name, const char *dimension, const char *is)
{
	struct arena CLEAN_ARENA a = {0};
	struct metric_dimension d = {str_from(dimension), str_from(is)};
	struct metric m = {.space = str_from(space), .name = str_from(name), .dimensions = &d, .dimension_count = 1};
	struct str why;
	struct search *s = search_parse(&a, str_from(search), &why);
	if (!s)
		fail_msg("%s: %.*s", search, STR_ARG(why));
	return search_matches(s, &m);
}

static void searches(void **state)
{
	(void)state;
	assert_true(found("{AWS/EC2,InstanceId} CPU", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_true(found("{AWS/EC2,InstanceId}", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_false(found("{AWS/EC2,ImageId} CPU", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_false(found("{AWS/EC2,InstanceId,ImageId} CPU", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_true(found("cpu i-1", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_false(found("cpu i-2", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_true(found("i-2 OR i-1", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_false(found("MetricName=\"CPU\"", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	assert_true(found("NOT MetricName=Network (InstanceId=i- OR x)", "AWS/EC2", "CPUUtilization", "InstanceId", "i-1"));
	static const char *const bad[] = {"", "{", "{a", "(a", "a)", "\"a", "NOT", "a OR", "a=", "=a", "{a,}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct str why = STR_NONE;
		if (search_parse(&a, str_from(bad[i]), &why) || !str_set(why))
			fail_msg("%s was taken", bad[i]);
	}
}

static void statistics(void **state)
{
	(void)state;
	static const char *const good[] = {"Average",  "p99.9", "p0",      "p100", "tm90",     "TM(10%:90%)", "TM(150:1000)",
	                                   "TM(:95%)", "tc99",  "WM(5%:)", "IQM",  "PR(:300)", "ts10"};
	static const char *const bad[] = {"",      "p",     "p101",           "p-1",      "pp",        "average",
	                                  "TM()",  "TM(:)", "TM(90%:10%)",    "TM(1:2%)", "PR(1%:2%)", "tm",
	                                  "tm101", "pr5",   "p1.12345678901", "TM(1:2",   "p1e1"};
	struct statistic s;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!statistic_parse(str_from(good[i]), &s))
			fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (statistic_parse(str_from(bad[i]), &s))
			fail_msg("%s was taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(refused), cmocka_unit_test(deep),
	                                   cmocka_unit_test(searches), cmocka_unit_test(statistics)};
	return cmocka_run_group_tests_name("cloudwatch math", tests, NULL, NULL);
}
