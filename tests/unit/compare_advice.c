/* What `quartet compare` advises, from measurements that are made up: the arithmetic is beside them. */
#include "unit.h"

#include "role/compare/compare.h"

static const struct compare_model function = {.name = "lambda", .title = "Lambda function", .by_request = true};
static const struct compare_model task = {.name = "ecs", .title = "Fargate task"};
static const struct compare_model instance = {.name = "ec2", .title = "EC2 instance"};

/* 100 requests in ten seconds: ten a second. */
static struct compare_row row(const struct compare_model *m, double usd_month)
{
	return (struct compare_row){.model = m,
	                            .why_not = STR_NONE,
	                            .load = {.n = 100, .for_ms = 10000},
	                            .usd_month = usd_month,
	                            .memory_bytes = -1,
	                            .cpu_us = -1};
}

static void expect_near(double is, double wanted)
{
	if (is < wanted * (1 - 1e-9) || is > wanted * (1 + 1e-9))
		fail_msg("%.12g is not %.12g", is, wanted);
}

static void break_even(void **state)
{
	(void)state;
	/* A month has 730 x 3600 = 2,628,000 s, so ten a second are 26,280,000 requests: 73 / 26,280,000 each. The instance's 10.95
	 * buy 10.95 / 73 x 26,280,000 = 3,942,000 of them, 1.5 a second. */
	const struct compare_row rows[] = {row(&function, 73), row(&task, 36.5), row(&instance, 10.95)};
	struct compare_advice v = compare_advise(rows, 3);
	assert_ptr_equal(v.best, &rows[2]);
	assert_ptr_equal(v.fixed, &rows[2]);
	expect_near(v.usd_request, 73.0 / 26280000);
	expect_near(v.requests, 3942000);
	/* At that rate both cost the same; at half of it the function costs half. */
	expect_near(compare_month_at(&rows[0], 1.5), 10.95);
	expect_near(compare_month_at(&rows[2], 1.5), 10.95);
	expect_near(compare_month_at(&rows[0], 0.75), 5.475);
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	const struct load_plan plan = {.n = 100, .for_ms = 10000};
	compare_put_advice(&b, &a, &plan, rows, 3);
	assert_str(
	        buf_str(&b),
	        "For this load: EC2 instance, the cheapest of those that answered every request ($10.95 a month).\n"
	        "A function's request costs $0.000002778 here, the EC2 instance $10.95 a month whatever is asked of it:\n"
	        "10.95 / 0.000002778 = 3942000 requests a month, 1.50 a second, is where they cost the same. This load is 10.00 a "
	        "second.\n");
}

static void failures(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	uint16_t why[100] = {429, 429, LOAD_SILENT};
	buf_init(&b, 1 << 16);
	struct compare_row rows[] = {row(&function, 1), row(&task, 36.5)};
	rows[0].load.failed = 3;
	rows[0].load.why = why;
	/* The cheap one did not answer all: the other is chosen, and nothing breaks even with what failed. */
	struct compare_advice v = compare_advise(rows, 2);
	assert_ptr_equal(v.best, &rows[1]);
	assert_null(v.function);
	assert_true(v.requests == 0);
	const struct load_plan plan = {.n = 100, .for_ms = 10000};
	compare_put_advice(&b, &a, &plan, rows, 2);
	assert_true(str_starts(buf_str(&b), S("Lambda function failed 3 of 100 requests (2 x 429, 1 without an answer), so")));
	rows[1].why_not = S("it has no Procfile");
	assert_null(compare_advise(rows, 2).best);
}

static void limits(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	uint16_t why[100] = {0};
	struct compare_row r = row(&task, 1);
	r.load.why = why;
	r.bounds = (struct compare_bounds){512, 0.25};
	r.memory_bytes = INT64_C(100) << 20;
	r.cpu_us = 1000000; /* a second of ten: 0.1 of a processor */
	assert_false(str_set(compare_limits_met(&a, &r)));
	r.memory_bytes = INT64_C(500) << 20;
	r.cpu_us = 2400000;
	why[7] = 503;
	assert_str(compare_limits_met(&a, &r), "0.24 of 0.25 vCPU; 500 of 512 MB; 1 x 503");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(break_even), cmocka_unit_test(failures), cmocka_unit_test(limits)};
	return cmocka_run_group_tests_name("compare advice", tests, NULL, NULL);
}
