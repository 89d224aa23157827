/* Links that are made bad for a time: what the kernel does with packets meanwhile, and that it ends by itself whoever has died. */
#include "cloud.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ANY \
	{ \
		0, 0 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct network_acl_rule open_acl[] = {{100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {-1, -1, -1, ANY}}};
static const struct network_route local16[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}};
static const struct network_group_rule all[] = {{.egress = true, .match = {-1, -1, -1, ANY}}, {false, {-1, -1, -1, ANY}, NULL}};

static void put_a(struct cloud *c)
{
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-all", true);
}

/* eni-a, eni-b and eni-c in one subnet; b's link gets what is in c->fault. */
static void put_three(struct cloud *c)
{
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", open_acl, COUNT(open_acl));
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", local16, 1);
	put_group(c, "sg-all", "vpc-1", all, COUNT(all));
	put_a(c);
	put_port(c, NETWORK_VETH, "eni-c", "vpc-1", "subnet-1", "10.0.1.30", NULL, "sg-all", true);
}

static void put_b(struct cloud *c, struct network_fault fault)
{
	c->fault = fault;
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.20", NULL, "sg-all", true);
	c->fault = (struct network_fault){0};
}

static int64_t in_ms(int ms)
{
	return clock_mono_us() + (int64_t)ms * world_patience() * 1000;
}

static void a_link_is_down_and_comes_up_by_itself(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	put_b(c, (struct network_fault){0});
	int a = cloud_port(c, "eni-a", 1), other = cloud_port(c, "eni-c", 1), b = cloud_port(c, "eni-b", 1);
	/* the kernel may lose what is sent in the moment in which a link comes */
	assert_true(eventually(c, pings(c, a, "10.0.1.20") && pings(c, other, "10.0.1.10")));
	int64_t until_us = in_ms(2500);
	put_b(c, (struct network_fault){.until_us = until_us, .down = true});
	assert_true(eventually(c, !pings(c, a, "10.0.1.20")));
	assert_false(pings(c, b, "10.0.1.10"));
	assert_true(pings(c, a, "10.0.1.30")); /* the others are well */
	assert_true(pings(c, other, "10.0.1.10"));
	assert_true(clock_mono_us() < until_us);
	while (clock_mono_us() < until_us)
		cloud_turn(c, 50);
	assert_true(eventually(c, pings(c, a, "10.0.1.20")));
	assert_true(pings(c, b, "10.0.1.30"));
	/* the same link: nobody was given another one */
	assert_int_equal(cloud_port(c, "eni-b", 1), b);
}

static void a_link_that_is_down_takes_changes(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	put_b(c, (struct network_fault){.until_us = in_ms(60000), .down = true});
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	assert_false(pings(c, a, "10.0.1.20"));
	/* another fault in its place, then none: before its time */
	put_b(c, (struct network_fault){.until_us = in_ms(60000), .down = true, .loss_percent = 100});
	assert_false(pings(c, b, "10.0.1.10"));
	put_b(c, (struct network_fault){0});
	assert_true(eventually(c, pings(c, a, "10.0.1.20")));
	assert_int_equal(cloud_port(c, "eni-b", 1), b);
	/* what was over before it was said is none */
	put_b(c, (struct network_fault){.until_us = clock_mono_us() - 1, .down = true, .loss_percent = 100});
	cloud_turn(c, 200);
	assert_true(pings(c, a, "10.0.1.20"));
}

static unsigned lost(struct cloud *c, int ns, const char *to, unsigned of)
{
	unsigned n = 0;
	for (unsigned i = 0; i < of; i++)
		n += !pings(c, ns, to);
	return n;
}

static void packets_get_lost(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	put_b(c, (struct network_fault){.until_us = in_ms(60000), .loss_percent = 100});
	int a = cloud_port(c, "eni-a", 1);
	cloud_port(c, "eni-b", 1);
	cloud_port(c, "eni-c", 1);
	assert_false(pings(c, a, "10.0.1.20"));
	assert_true(eventually(c, pings(c, a, "10.0.1.30")));
	int64_t until_us = in_ms(9000);
	put_b(c, (struct network_fault){.until_us = until_us, .loss_percent = 30});
	cloud_turn(c, 200);
	/* each way: half of them come back */
	unsigned n = lost(c, a, "10.0.1.20", 20);
	assert_true(clock_mono_us() < until_us);
	assert_in_range(n, 2, 18);
	while (clock_mono_us() < until_us)
		cloud_turn(c, 50);
	assert_true(eventually(c, pings(c, a, "10.0.1.20")));
	assert_int_equal(lost(c, a, "10.0.1.20", 20), 0);
}

static void it_ends_where_nobody_is_left_to_say_so(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	put_b(c, (struct network_fault){0});
	int a = cloud_port(c, "eni-a", 1), kept = dup(a);
	cloud_port(c, "eni-b", 1);
	int64_t until_us = in_ms(2000);
	put_b(c, (struct network_fault){.until_us = until_us, .down = true, .loss_percent = 50});
	assert_true(eventually(c, !pings(c, a, "10.0.1.20")));
	/* the api side of before is not there any more when the time comes, and that of now has not said anything */
	cloud_restart_api(c);
	while (clock_mono_us() < until_us)
		cloud_turn(c, 50);
	bool came = false;
	for (int i = 0; i < 60 && !came; i++) {
		usleep(50000);
		came = pings(c, kept, "10.0.1.20");
	}
	assert_true(came);
	assert_int_equal(lost(c, kept, "10.0.1.20", 10), 0);
	close(kept);
}

static void an_api_that_begins_anew_ends_it(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	put_b(c, (struct network_fault){.until_us = in_ms(60000), .down = true});
	int kept = dup(cloud_port(c, "eni-a", 1));
	cloud_port(c, "eni-b", 1);
	assert_false(pings(c, kept, "10.0.1.20"));
	cloud_restart_api(c);
	put_three(c);
	put_b(c, (struct network_fault){0});
	networks_settled(c->networks);
	assert_true(eventually(c, pings(c, kept, "10.0.1.20")));
	close(kept);
}

static void a_net_that_begins_anew_has_it_again(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	put_b(c, (struct network_fault){.until_us = in_ms(60000), .down = true});
	cloud_port(c, "eni-a", 1);
	cloud_port(c, "eni-b", 1);
	cloud_kill_net(c, true);
	int a = cloud_port(c, "eni-a", 2);
	cloud_port(c, "eni-b", 2);
	cloud_port(c, "eni-c", 2);
	assert_false(pings(c, a, "10.0.1.20"));
	assert_true(eventually(c, pings(c, a, "10.0.1.30")));
	put_b(c, (struct network_fault){0});
	assert_true(eventually(c, pings(c, a, "10.0.1.20")));
}

static void a_net_that_takes_over_has_it_too(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	int64_t until_us = in_ms(4000);
	put_b(c, (struct network_fault){.until_us = until_us, .down = true, .delay_ms = 10});
	int a = cloud_port(c, "eni-a", 1), pid = cloud_net_pid(c);
	cloud_port(c, "eni-b", 1);
	cloud_port(c, "eni-c", 1);
	cloud_kill_net(c, false);
	assert_true(eventually(c, cloud_net_pid(c) != pid));
	assert_true(eventually(c, pings(c, a, "10.0.1.30")));
	bool back = pings(c, a, "10.0.1.20");
	assert_true(!back || clock_mono_us() >= until_us);
	while (clock_mono_us() < until_us)
		cloud_turn(c, 50);
	assert_true(eventually(c, pings(c, a, "10.0.1.20")));
	/* one that ends while nobody is there */
	pid = cloud_net_pid(c);
	put_b(c, (struct network_fault){.until_us = in_ms(60000), .down = true});
	assert_true(eventually(c, !pings(c, a, "10.0.1.20")));
	cloud_kill_net(c, false);
	put_b(c, (struct network_fault){0});
	assert_true(eventually(c, cloud_net_pid(c) != pid));
	assert_true(eventually(c, pings(c, a, "10.0.1.20")));
	assert_int_equal(cloud_port(c, "eni-a", 1), a);
}

static void packets_wait(void **state)
{
	struct cloud *c = *state;
	put_three(c);
	put_b(c, (struct network_fault){0});
	int a = cloud_port(c, "eni-a", 1);
	cloud_port(c, "eni-b", 1);
	if (!networks_facts(c->networks)->delays) {
		print_message("this kernel has no netem\n");
		skip();
	}
	int64_t until_us = in_ms(6000);
	put_b(c, (struct network_fault){.until_us = until_us, .delay_ms = 100});
	cloud_turn(c, 200);
	int64_t before_us = clock_mono_us();
	assert_true(pings(c, a, "10.0.1.20"));
	assert_true(clock_mono_us() - before_us >= 100000);
	while (clock_mono_us() < until_us)
		cloud_turn(c, 50);
	cloud_turn(c, 200);
	before_us = clock_mono_us();
	assert_true(pings(c, a, "10.0.1.20"));
	assert_true(clock_mono_us() - before_us < 100000);
}

static int open_cloud(void **state)
{
	static struct cloud c;
	cloud_open(&c);
	*state = &c;
	return 0;
}

static int close_cloud(void **state)
{
	cloud_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_link_is_down_and_comes_up_by_itself, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(a_link_that_is_down_takes_changes, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(packets_get_lost, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(it_ends_where_nobody_is_left_to_say_so, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(an_api_that_begins_anew_ends_it, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(a_net_that_begins_anew_has_it_again, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(a_net_that_takes_over_has_it_too, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(packets_wait, open_cloud, close_cloud),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
