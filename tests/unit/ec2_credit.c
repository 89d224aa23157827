/* CPU credits: what is earned, spent, owed and paid over time, by the numbers that AWS gives for its types. */
#include "unit.h"

#include "aws/ec2/instance/credit.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define VCPU_MINUTE_US INT64_C(60000000)

static struct credit_kind kind(const char *type, const struct instance_type **ret_type)
{
	const struct instance_type *t = instance_type_find(str_from(type));
	assert_non_null(t);
	if (ret_type)
		*ret_type = t;
	return credit_kind_of(t);
}

static void types(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t per_hour, most, launch;
		bool keeps;
	} of[] = {{"t2.micro", 6, 144, 30, false}, {"t2.medium", 24, 576, 60, false}, {"t3.nano", 6, 144, 0, true},
	          {"t3.micro", 12, 288, 0, true},  {"t3.large", 36, 864, 0, true},    {"t3a.2xlarge", 192, 4608, 0, true},
	          {"m5.large", 0, 0, 0, true}};
	for (size_t i = 0; i < sizeof(of) / sizeof(*of); i++) {
		struct credit_kind k = kind(of[i].name, NULL);
		assert_int_equal(k.per_hour, of[i].per_hour * CREDIT);
		assert_int_equal(k.most, of[i].most * CREDIT);
		assert_int_equal(k.launch, of[i].launch * CREDIT);
		assert_int_equal(k.keeps, of[i].keeps);
	}
}

static void standard_earns_and_spends(void **state)
{
	const struct instance_type *t;
	struct credit_kind k = kind("t3.micro", &t);
	struct credit_account a = {.unlimited = false};
	(void)state;
	credit_start(&k, &a, -1);
	assert_int_equal(a.balance, 0);
	assert_int_equal(credit_percent(t, &a), 20);
	assert_int_equal(credit_pass(&k, &a, HOUR_MS, 0), 0);
	assert_int_equal(a.balance, 12 * CREDIT);
	assert_int_equal(credit_percent(t, &a), 200);
	/* both of its processors for five minutes: ten credits, and one is earned */
	credit_pass(&k, &a, 5 * MINUTE_MS, 10 * VCPU_MINUTE_US);
	assert_int_equal(a.balance, 3 * CREDIT);
	credit_pass(&k, &a, MINUTE_MS, 2 * VCPU_MINUTE_US + VCPU_MINUTE_US / 5);
	assert_int_equal(a.balance, CREDIT);
	assert_int_equal(credit_percent(t, &a), 120);
	credit_pass(&k, &a, MINUTE_MS, 2 * VCPU_MINUTE_US);
	assert_int_equal(a.balance, 0);
	assert_int_equal(credit_percent(t, &a), 20);
	/* no more than a day's; what is used meanwhile is not lost at the brim */
	credit_pass(&k, &a, 48 * HOUR_MS, 0);
	assert_int_equal(a.balance, 288 * CREDIT);
	credit_pass(&k, &a, HOUR_MS, 12 * VCPU_MINUTE_US);
	assert_int_equal(a.balance, 288 * CREDIT);
	/* a week without a machine is the most */
	credit_start(&k, &a, 7 * 24 * HOUR_MS);
	assert_int_equal(a.balance, 288 * CREDIT);
	credit_start(&k, &a, 7 * 24 * HOUR_MS + 1);
	assert_int_equal(a.balance, 0);
}

static void t2_has_launch_credits(void **state)
{
	const struct instance_type *t;
	struct credit_kind k = kind("t2.micro", &t);
	struct credit_account a = {.unlimited = false};
	(void)state;
	credit_start(&k, &a, -1);
	assert_int_equal(a.launch, 30 * CREDIT);
	assert_int_equal(credit_percent(t, &a), 100);
	/* they go first, and are not counted against the most */
	credit_pass(&k, &a, HOUR_MS, 20 * VCPU_MINUTE_US);
	assert_int_equal(a.launch, 10 * CREDIT);
	assert_int_equal(a.balance, 6 * CREDIT);
	credit_pass(&k, &a, 48 * HOUR_MS, 0);
	assert_int_equal(a.balance, 144 * CREDIT);
	assert_int_equal(a.launch, 10 * CREDIT);
	credit_start(&k, &a, 0);
	assert_int_equal(a.balance, 0);
	assert_int_equal(a.launch, 30 * CREDIT);
	a.unlimited = true;
	credit_start(&k, &a, 0);
	assert_int_equal(a.launch, 0);
}

static void unlimited_owes_and_pays(void **state)
{
	const struct instance_type *t;
	struct credit_kind k = kind("t3.nano", &t);
	struct credit_account a = {.unlimited = true};
	(void)state;
	credit_start(&k, &a, -1);
	assert_int_equal(credit_percent(t, &a), 200);
	/* an hour of both processors: 120, of which 6 are earned */
	assert_int_equal(credit_pass(&k, &a, HOUR_MS, 120 * VCPU_MINUTE_US), 0);
	assert_int_equal(a.surplus, 114 * CREDIT);
	/* beyond a day's it is to be paid */
	assert_int_equal(credit_pass(&k, &a, HOUR_MS, 120 * VCPU_MINUTE_US), 84 * CREDIT);
	assert_int_equal(a.surplus, 144 * CREDIT);
	/* what is earned pays back before it is kept */
	assert_int_equal(credit_pass(&k, &a, 20 * HOUR_MS, 0), 0);
	assert_int_equal(a.surplus, 24 * CREDIT);
	assert_int_equal(a.balance, 0);
	assert_int_equal(credit_settle(&a), 24 * CREDIT);
	assert_int_equal(a.surplus, 0);
	assert_int_equal(credit_settle(&a), 0);
}

static void clocks_that_go_back_cost_nothing(void **state)
{
	struct credit_kind k = kind("t3.nano", NULL);
	struct credit_account a = {.balance = CREDIT};
	(void)state;
	assert_int_equal(credit_pass(&k, &a, -HOUR_MS, -1), 0);
	assert_int_equal(a.balance, CREDIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(types),
	        cmocka_unit_test(standard_earns_and_spends),
	        cmocka_unit_test(t2_has_launch_credits),
	        cmocka_unit_test(unlimited_owes_and_pays),
	        cmocka_unit_test(clocks_that_go_back_cost_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
