/* Two VPCs that are peers, asked by real packets: what routes lead over passes as groups and ACLs of both say, and nothing else. */
#include "cloud.h"

#include "engine/cell/cell.h"
#include "engine/net/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ANY \
	{ \
		0, 0 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OUT_ALL \
	{ \
		.egress = true, .match = { -1, -1, -1, ANY } \
	}

static const struct network_acl_rule open_acl[] = {{100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {-1, -1, -1, ANY}}};
static const struct network_group_rule all[] = {OUT_ALL, {false, {-1, -1, -1, ANY}, NULL}};
static const struct network_group_rule by_group[] = {OUT_ALL, {false, {6, 80, 80, ANY}, "sg-1"}};

/* VPC n is 10.n.0.0/16 with one subnet, whose routes lead everything of 10/8 that is not its own over `peering`. */
static void put_side(struct cloud *c, int n, const char *peering)
{
	char vpc[16], acl[16], subnet[16], group[16], block[24], eni[16], address[24], prefix_text[24];
	snprintf(vpc, sizeof(vpc), "vpc-%d", n);
	snprintf(acl, sizeof(acl), "acl-%d", n);
	snprintf(subnet, sizeof(subnet), "subnet-%d", n);
	snprintf(group, sizeof(group), "sg-%d", n);
	snprintf(eni, sizeof(eni), "eni-%d", n);
	snprintf(block, sizeof(block), "10.%d.0.0/16", n);
	snprintf(prefix_text, sizeof(prefix_text), "10.%d.1.0/24", n);
	snprintf(address, sizeof(address), "10.%d.1.10", n);
	const struct network_route routes[] = {{prefix(block), NETWORK_LOCAL, NULL},
	                                       {prefix("10.0.0.0/8"), peering ? NETWORK_PEER : NETWORK_BLACKHOLE, peering}};
	put_vpc(c, vpc, block);
	put_acl(c, acl, vpc, open_acl, COUNT(open_acl));
	put_group(c, group, vpc, all, COUNT(all));
	put_subnet(c, subnet, vpc, prefix_text, acl, routes, COUNT(routes));
	put_port(c, NETWORK_VETH, eni, vpc, subnet, address, NULL, group, true);
}

static void put_peering(struct cloud *c, const char *id, const char *a, const char *b)
{
	assert_int_equal(network_put_peering(c->networks, &(struct network_peering){id, {a, b}}), 0);
}

static enum network_stop explained(struct cloud *c, const char *from, const char *to, const char *address)
{
	struct network_question q = {.from = from, .to = to, .to_address = network_ip4(ip(address)), .protocol = 6, .to_port = 80};
	return network_explain(c->networks, &q).stop;
}

static void peers_reach_each_other(void **state)
{
	struct cloud *c = *state;
	put_side(c, 1, "pcx-12");
	put_side(c, 2, "pcx-12");
	put_side(c, 3, "pcx-23");
	int one = cloud_port(c, "eni-1", 1), two = cloud_port(c, "eni-2", 1), three = cloud_port(c, "eni-3", 1);
	int server = open_in(c, two, SOCK_STREAM, "10.2.1.10", 80), last = open_in(c, three, SOCK_STREAM, "10.3.1.10", 80);
	int first = open_in(c, one, SOCK_STREAM, "10.1.1.10", 80);
	assert_false(connects(c, one, "10.2.1.10", 80, NULL));
	assert_int_equal(explained(c, "eni-1", "eni-2", "10.2.1.10"), NETWORK_STOP_ROUTE);
	put_peering(c, "pcx-12", "vpc-1", "vpc-2");
	assert_true(eventually(c, connects(c, one, "10.2.1.10", 80, NULL)));
	assert_true(connects(c, two, "10.1.1.10", 80, NULL));
	assert_true(pings(c, two, "10.1.1.10"));
	assert_int_equal(explained(c, "eni-1", "eni-2", "10.2.1.10"), NETWORK_STOP_NONE);
	/* not on into a third VPC, whatever the routes say, and not to the router's own services */
	put_peering(c, "pcx-23", "vpc-3", "vpc-2");
	cloud_turn(c, 200);
	assert_false(connects(c, one, "10.3.1.10", 80, NULL));
	assert_false(connects(c, three, "10.1.1.10", 80, NULL));
	assert_int_equal(explained(c, "eni-1", "eni-3", "10.3.1.10"), NETWORK_STOP_ROUTE);
	assert_false(connects(c, one, "10.2.0.2", 53, NULL));
	assert_true(connects(c, one, "10.1.0.2", 53, NULL));
	/* the way back needs a route too */
	assert_false(connects(c, three, "10.2.1.10", 80, NULL));
	assert_int_equal(explained(c, "eni-3", "eni-2", "10.2.1.10"), NETWORK_STOP_ROUTE);
	/* groups of the other side */
	put_group(c, "sg-2", "vpc-2", by_group, COUNT(by_group));
	assert_true(eventually(c, !pings(c, one, "10.2.1.10")));
	assert_true(eventually(c, connects(c, one, "10.2.1.10", 80, NULL)));
	assert_int_equal(explained(c, "eni-1", "eni-2", "10.2.1.10"), NETWORK_STOP_NONE);
	put_group(c, "sg-other", "vpc-1", all, COUNT(all));
	put_port(c, NETWORK_VETH, "eni-1", "vpc-1", "subnet-1", "10.1.1.10", NULL, "sg-other", true);
	assert_true(eventually(c, !connects(c, one, "10.2.1.10", 80, NULL)));
	assert_int_equal(explained(c, "eni-1", "eni-2", "10.2.1.10"), NETWORK_STOP_GROUPS);
	put_port(c, NETWORK_VETH, "eni-1", "vpc-1", "subnet-1", "10.1.1.10", NULL, "sg-1", true);
	assert_true(eventually(c, connects(c, one, "10.2.1.10", 80, NULL)));
	/* ACLs of both sides are asked, for answers as well */
	const struct network_acl_rule one_way[] = {{100, false, true, {-1, -1, -1, ANY}}};
	put_acl(c, "acl-2", "vpc-2", one_way, COUNT(one_way));
	assert_true(eventually(c, !connects(c, one, "10.2.1.10", 80, NULL)));
	assert_int_equal(explained(c, "eni-1", "eni-2", "10.2.1.10"), NETWORK_STOP_ACL);
	put_acl(c, "acl-2", "vpc-2", open_acl, COUNT(open_acl));
	assert_true(eventually(c, connects(c, one, "10.2.1.10", 80, NULL)));
	/* another api finds it in place; and it ends */
	network_remove(c->networks, "pcx-12");
	assert_true(eventually(c, !connects(c, one, "10.2.1.10", 80, NULL)));
	put_peering(c, "pcx-12", "vpc-1", "vpc-2");
	assert_true(eventually(c, connects(c, one, "10.2.1.10", 80, NULL)));
	network_remove(c->networks, "vpc-2");
	cloud_turn(c, 100);
	assert_false(connects(c, one, "10.2.1.10", 80, NULL));
	close(server);
	close(last);
	close(first);
}

static void peerings_outlive_the_api(void **state)
{
	struct cloud *c = *state;
	put_side(c, 1, "pcx-12");
	put_side(c, 2, "pcx-12");
	put_peering(c, "pcx-12", "vpc-1", "vpc-2");
	int one = cloud_port(c, "eni-1", 1), server = open_in(c, cloud_port(c, "eni-2", 1), SOCK_STREAM, "10.2.1.10", 80), fd = -1;
	assert_true(eventually(c, connects(c, one, "10.2.1.10", 80, &fd)));
	int peer = accept(server, NULL, NULL);
	int kept = dup(one);
	cloud_restart_api(c);
	put_side(c, 1, "pcx-12");
	put_side(c, 2, "pcx-12");
	put_peering(c, "pcx-12", "vpc-1", "vpc-2");
	networks_settled(c->networks);
	cloud_port(c, "eni-1", 1);
	/* a connection of before goes on */
	char x = 0;
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(eventually(c, recv(peer, &x, 1, MSG_DONTWAIT) == 1));
	assert_true(connects(c, kept, "10.2.1.10", 80, NULL));
	/* what is not said again goes */
	cloud_restart_api(c);
	put_side(c, 1, "pcx-12");
	put_side(c, 2, "pcx-12");
	networks_settled(c->networks);
	assert_true(eventually(c, !connects(c, kept, "10.2.1.10", 80, NULL)));
	close(peer);
	close(fd);
	close(server);
	close(kept);
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
	        cmocka_unit_test_setup_teardown(peers_reach_each_other, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(peerings_outlive_the_api, open_cloud, close_cloud),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
