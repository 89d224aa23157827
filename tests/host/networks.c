/* Virtual networks, asked by real packets: ports are namespaces with an eth0, and what they send is routed, dropped or answered by
 * the kernel as security groups, ACLs and route tables say. */
#include "cloud.h"

#include "engine/cell/cell.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
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
static const struct network_route local16[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}};

/* 10.0.0.0/16 with a subnet, an ACL that lets everything pass, and a group that lets everything out and nothing in. */
static void ordinary(struct cloud *c)
{
	const struct network_group_rule out[] = {OUT_ALL};
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", open_acl, COUNT(open_acl));
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", local16, 1);
	put_group(c, "sg-out", "vpc-1", out, 1);
}

static void groups_decide(void **state)
{
	struct cloud *c = *state;
	ordinary(c);
	const struct network_group_rule web[] = {OUT_ALL, {false, {6, 80, 80, {0x0a000000, 16}}, NULL}};
	put_group(c, "sg-web", "vpc-1", web, 2);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-out", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-web", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	int server = open_in(c, b, SOCK_STREAM, "10.0.1.11", 80), other = open_in(c, b, SOCK_STREAM, "10.0.1.11", 81);
	int fd = -1;
	assert_true(connects(c, a, "10.0.1.11", 80, &fd));
	assert_false(connects(c, a, "10.0.1.11", 81, NULL));
	assert_false(pings(c, a, "10.0.1.11"));
	assert_false(pings(c, b, "10.0.1.10"));
	/* a reference to a group: its members' addresses, whoever they are by then */
	const struct network_group_rule refer[] = {OUT_ALL, {false, {1, 8, -1, ANY}, "sg-out"}};
	put_group(c, "sg-web", "vpc-1", refer, 2);
	assert_true(eventually(c, pings(c, a, "10.0.1.11")));
	/* what is no longer allowed ends for connections that are there */
	assert_int_equal(send(fd, "x", 1, 0), 1);
	int peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);
	char x;
	world_sleep(100000);
	assert_int_equal(recv(peer, &x, 1, MSG_DONTWAIT), -1);
	assert_false(connects(c, a, "10.0.1.11", 80, NULL));
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-web", true);
	assert_true(eventually(c, !pings(c, a, "10.0.1.11")));
	close(fd);
	close(peer);
	close(server);
	close(other);
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
	        cmocka_unit_test_setup_teardown(groups_decide, open_cloud, close_cloud),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
