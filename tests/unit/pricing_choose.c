/* Advice without running: the arithmetic of the four models against numbers worked out by hand. */
#include "unit.h"

#include "aws/pricing/choose.h"

#include <math.h>

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

static void assert_near(double got, double want, double by)
{
	if (fabs(got - want) > by)
		fail_msg("got %.9f, want %.9f", got, want);
}

/* A million requests a month, bare servers: no disks, addresses and balancers. */
static struct choose_workload plain(int64_t mb, double s)
{
	return (struct choose_workload){.average_s = 1e6 / (730 * 3600.0), .duration_s = s, .memory_mb = mb, .concurrency = 10};
}

static struct choose_advice ask(const struct choose_workload *w)
{
	struct choose_advice advice;
	choose_ask(&arena, NULL, w, &advice);
	return advice;
}

/* 0.20 + 16.67 x seconds x GB a million */
static void functions(void **state)
{
	(void)state;
	static const struct {
		int64_t mb;
		double s, usd;
	} by_hand[] = {{128, 0.1, 0.4083}, {512, 0.2, 1.8667}, {1024, 0.2, 3.5333}, {1024, 1, 16.8667}, {2048, 2, 66.8668}};
	for (size_t i = 0; i < sizeof(by_hand) / sizeof(*by_hand); i++) {
		struct choose_workload w = plain(by_hand[i].mb, by_hand[i].s);
		assert_near(ask(&w).models[CHOOSE_LAMBDA].usd, by_hand[i].usd, 0.00006);
	}
	/* 2 GB busy for an hour: 3600 x 2 x 0.0000166667 = 0.12; provisioned: 4.1667 / (16.6667 - 9.7222) = 0.6 */
	struct choose_workload w = plain(2048, 1);
	assert_near(ask(&w).busy_usd_h, 0.12, 0.000001);
	assert_near(ask(&w).provisioned_share, 0.6, 0.0001);
	/* by the millisecond that has begun: 0.0101 s are 11 ms; one in a hundred calls has a second before it */
	w = plain(1024, 0.0101);
	w.cold_share = 0.01;
	w.init_s = 1;
	assert_near(ask(&w).models[CHOOSE_LAMBDA].usd, 0.2 + 0.1833337 + 0.166667, 0.000001);
	assert_int_equal(ask(&w).models[CHOOSE_LAMBDA].servers, 0);
}

/* The month's price of a server over that of a request. */
static void break_evens(void **state)
{
	(void)state;
	static const struct {
		const char *type; /* NULL: a task of 0.25 vCPU and 0.5 GB, 730 x (0.01012 + 0.0022225) = 9.0100 */
		double usd, millions[3];
	} by_hand[] = {{NULL, 9.010025, {4.8268, 2.5500, 0.5342}},
	               {"t3.micro", 7.592, {4.0671, 2.1487, 0.4501}},
	               {"m5.large", 70.08, {37.5428, 19.8339, 4.1550}}};
	static const struct {
		int64_t mb;
		double s;
	} work[] = {{512, 0.2}, {1024, 0.2}, {1024, 1}};
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++) {
			struct choose_workload w = plain(work[k].mb, work[k].s);
			if (by_hand[i].type) {
				w.instance_type = str_from(by_hand[i].type);
				struct choose_advice a = ask(&w);
				assert_near(a.models[CHOOSE_EC2].usd, by_hand[i].usd, 0.0001);
				assert_near(a.models[CHOOSE_EC2].break_even_requests / 1e6, by_hand[i].millions[k], 0.0001);
				assert_near(a.models[CHOOSE_BEANSTALK].usd, by_hand[i].usd, 0.0001);
				continue;
			}
			struct choose_advice a = ask(&w);
			double per_request = a.usd_per_request;
			w.memory_mb = 512;
			assert_str(ask(&w).models[CHOOSE_FARGATE].size, "0.25 vCPU, 0.5 GB");
			assert_near(ask(&w).models[CHOOSE_FARGATE].usd, by_hand[i].usd, 0.0001);
			assert_near(by_hand[i].usd / per_request / 1e6, by_hand[i].millions[k], 0.0001);
		}
}

static void sizes(void **state)
{
	(void)state;
	static const struct {
		int64_t mb;
		double vcpus;
		const char *task, *box;
	} by_hand[] = {{128, 0, "0.25 vCPU, 0.5 GB", "t3.nano"},
	               {513, 0, "0.25 vCPU, 1 GB", "t3.micro"},
	               {2049, 0, "0.5 vCPU, 3 GB", "t3.medium"},
	               {512, 1, "1 vCPU, 2 GB", "t3.micro"},
	               {9000, 0, "2 vCPU, 9 GB", "t3.xlarge"},
	               {61440, 0, "8 vCPU, 60 GB", "m5.4xlarge"},
	               {131072, 0, NULL, "m5.12xlarge"},
	               {512, 32, NULL, "m5.8xlarge"},
	               {393216, 0, NULL, NULL}};
	for (size_t i = 0; i < sizeof(by_hand) / sizeof(*by_hand); i++) {
		struct choose_workload w = plain(by_hand[i].mb, 0.1);
		w.vcpus = by_hand[i].vcpus;
		struct choose_advice a = ask(&w);
		assert_int_equal(by_hand[i].task == NULL, str_set(a.models[CHOOSE_FARGATE].why_not));
		assert_int_equal(by_hand[i].box == NULL, str_set(a.models[CHOOSE_EC2].why_not));
		if (by_hand[i].task)
			assert_str(a.models[CHOOSE_FARGATE].size, by_hand[i].task);
		if (by_hand[i].box)
			assert_str(a.models[CHOOSE_EC2].size, by_hand[i].box);
	}
}

static void many_servers(void **state)
{
	(void)state;
	/* 100 a second x 0.2 s / 10 at once / 0.6 = 3.33: four tasks, a balancer with 25 of 25 connections a second, six addresses
	 */
	struct choose_workload w = {
	        .average_s = 25, .peak_s = 100, .duration_s = 0.2, .memory_mb = 512, .concurrency = 10, .addresses = true};
	struct choose_answer task = ask(&w).models[CHOOSE_FARGATE];
	assert_int_equal(task.servers, 4);
	assert_near(task.usd, 4 * 9.010025 + 730 * (0.0225 + 0.008) + 6 * 3.65, 0.0001);
	assert_str(task.parts[1].arithmetic, "730 h x (0.0225 + 1 units x 0.008)");
	/* exactly three are three */
	w.peak_s = 90;
	assert_int_equal(ask(&w).models[CHOOSE_FARGATE].servers, 3);
	w.peak_s = 1;
	w.servers_least = 2;
	assert_int_equal(ask(&w).models[CHOOSE_EC2].servers, 2);
	w.servers_least = 1;
	w.disk_gb = 8;
	struct choose_answer box = ask(&w).models[CHOOSE_EC2];
	assert_int_equal(box.servers, 1);
	assert_near(box.usd, 7.592 + 0.64 + 3.65, 0.0001);
}

static void jobs(void **state)
{
	(void)state;
	struct choose_workload w = {.memory_mb = 512, .duration_s = 10, .concurrency = 1};
	assert_true(choose_load(S("cron:1h"), &w));
	struct choose_advice a = ask(&w);
	/* 730 runs of a minute at least, 0.0123425 USD an hour; 730 x (0.0000002 + 10 x 0.5 x 0.0000166667) */
	assert_near(a.models[CHOOSE_FARGATE].usd, 730.0 / 60 * 0.0123425, 0.000001);
	assert_near(a.models[CHOOSE_LAMBDA].usd, 0.0609795, 0.000001);
	assert_int_equal(a.best, CHOOSE_LAMBDA);
	assert_int_equal(a.next, CHOOSE_FARGATE);
}

static void refusals(void **state)
{
	(void)state;
	struct choose_workload w = plain(512, 901);
	w.average_s = w.peak_s = 0.01;
	assert_str(ask(&w).models[CHOOSE_LAMBDA].why_not, "a call may take 15 minutes");
	assert_near(ask(&w).models[CHOOSE_EC2].break_even_requests, 0, 0);
	w = plain(10241, 1);
	assert_true(str_set(ask(&w).models[CHOOSE_LAMBDA].why_not));
	w = plain(512, 1);
	w.inbound = true;
	assert_true(str_set(ask(&w).models[CHOOSE_LAMBDA].why_not) && !str_set(ask(&w).models[CHOOSE_FARGATE].why_not));
	w.gpu = true;
	assert_true(str_set(ask(&w).models[CHOOSE_FARGATE].why_not) && !str_set(ask(&w).models[CHOOSE_BEANSTALK].why_not));
	w.state = true;
	assert_true(str_set(ask(&w).models[CHOOSE_BEANSTALK].why_not));
	assert_int_equal(ask(&w).best, CHOOSE_EC2);
	assert_int_equal(ask(&w).next, -1);
	w.instance_type = S("t9.none");
	assert_str(ask(&w).models[CHOOSE_EC2].why_not, "the price of t9.none is not known");
	assert_int_equal(ask(&w).best, -1);
	w = plain(512, 1);
	w.host = true;
	assert_int_equal(ask(&w).best, CHOOSE_EC2);
}

static void loads(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
	                                  "steady",
	                                  "steady:",
	                                  "steady:0rps",
	                                  "steady:5",
	                                  "steady:-1rps",
	                                  "spiky:5rps",
	                                  "spiky:5rps-9rps",
	                                  "spiky:5rps-9rps/0s",
	                                  "cron:0s",
	                                  "cron:5",
	                                  "cron:s",
	                                  "daily:1d"};
	struct choose_workload w = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (choose_load(str_from(bad[i]), &w))
			fail_msg("\"%s\" is a load", bad[i]);
	assert_true(choose_load(S("steady:0.5rps"), &w));
	assert_near(w.average_s, 0.5, 0);
	assert_true(choose_load(S("spiky:5rps-100rps/20s"), &w));
	assert_near(w.average_s, 24, 1e-9);
	assert_near(w.peak_s, 100, 0);
	assert_true(choose_load(S("cron:5m"), &w));
	assert_near(w.average_s, 1.0 / 300, 1e-9);
	assert_true(w.jobs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(functions), cmocka_unit_test(break_evens),  cmocka_unit_test(sizes),
	                                   cmocka_unit_test(jobs),      cmocka_unit_test(many_servers), cmocka_unit_test(refusals),
	                                   cmocka_unit_test(loads)};
	return cmocka_run_group_tests_name("pricing choose", tests, set_up, tear_down);
}
