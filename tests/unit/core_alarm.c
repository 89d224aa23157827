/* Which service an alarm's action belongs to. */
#include "unit.h"

#include "core/alarm.h"

static const struct alarm_action_kind wide[] = {{.prefix = "arn:aws:automate:"}, {.prefix = "arn:aws:lambda:"}};
static const struct alarm_action_kind narrow[] = {{.prefix = "arn:aws:automate:*:ec2:"}};
static const struct service one = {.alarm_actions = wide, .alarm_action_count = 2};
static const struct service none = {0};
static const struct service other = {.alarm_actions = narrow, .alarm_action_count = 1};
const struct service *const cloud_services[] = {&one, &none, &other, NULL};

static void matches(void **state)
{
	(void)state;
	assert_true(alarm_action_matches("arn:aws:automate:*:ec2:", S("arn:aws:automate:us-east-1:ec2:stop")));
	assert_false(alarm_action_matches("arn:aws:automate:*:ec2:", S("arn:aws:automate:us-east-1:rds:stop")));
	assert_false(alarm_action_matches("arn:aws:automate:*:ec2:", S("arn:aws:automate:us-east-1:ec2")));
	assert_false(alarm_action_matches("arn:aws:sns:", S("arn:aws:sqs:us-east-1:1:x")));
	assert_false(alarm_action_matches("arn:aws:sns:", S("arn")));
	assert_true(alarm_action_matches("arn:aws:automate:*:ec2:st", S("arn:aws:automate:us-east-1:ec2:stop")));
}

static void finds_the_longest(void **state)
{
	(void)state;
	assert_ptr_equal(alarm_action_find(S("arn:aws:automate:us-east-1:ec2:stop")), &narrow[0]);
	assert_ptr_equal(alarm_action_find(S("arn:aws:automate:us-east-1:ssm:x")), &wide[0]);
	assert_ptr_equal(alarm_action_find(S("arn:aws:lambda:us-east-1:000000000000:function:f")), &wide[1]);
	assert_null(alarm_action_find(S("arn:aws:sns:us-east-1:000000000000:topic")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(matches), cmocka_unit_test(finds_the_longest)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
