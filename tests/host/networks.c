/* Virtual networks, asked by real packets: ports are namespaces with an eth0, and what they send is routed, dropped or answered by
 * the kernel as security groups, ACLs and route tables say. */
#include "cloud.h"

#include "engine/cell/cell.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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
	assert_true(eventually(c, connects(c, a, "10.0.1.11", 80, &fd)));
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

/* From a socket that is bound to 127.0.0.1. */
static int bound_connection(const char *to, int port)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(ip(to))}};
	struct timeval limit = {.tv_sec = world_patience()};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	assert_return_code(bind(fd, (struct sockaddr *)&from, sizeof(from)), errno);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void machine_reaches_public_addresses(void **state)
{
	struct cloud *c = *state;
	const struct network_route routes[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}, {ANY, NETWORK_INTERNET, NULL}};
	const struct network_group_rule web[] = {OUT_ALL, {false, {6, 80, 80, ANY}, NULL}};
	ordinary(c);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", routes, 2);
	put_group(c, "sg-web", "vpc-1", web, 2);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-web", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-web", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	int server = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80), closed = open_in(c, a, SOCK_STREAM, "10.0.1.10", 81), fd = -1;
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	assert_false(connects(c, -1, "127.77.0.5", 81, NULL));
	assert_false(connects(c, -1, "127.77.0.6", 80, NULL));
	/* nobody gets a VPC's own address for the peer */
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int one = accept(server, (struct sockaddr *)&peer, &size);
	assert_true(one >= 0);
	assert_int_equal(ntohl(peer.sin_addr.s_addr) >> 16, 0x6458);
	close(one);
	/* a program bound to 127.0.0.1 too */
	fd = bound_connection("127.77.0.5", 80);
	assert_true(fd >= 0);
	close(fd);
	/* the address moves, and goes */
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-web", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", "127.77.0.5", "sg-web", true);
	assert_true(eventually(c, !connects(c, -1, "127.77.0.5", 80, NULL)));
	int moved = open_in(c, b, SOCK_STREAM, "10.0.1.11", 80);
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	/* and is told of where it goes before where it goes from */
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-web", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-web", true);
	close(moved);
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", "127.77.0.5", "sg-web", true);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-web", true);
	assert_true(eventually(c, !connects(c, -1, "127.77.0.5", 80, NULL)));
	moved = open_in(c, b, SOCK_STREAM, "10.0.1.11", 80);
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	/* the group closes, and the route */
	put_group(c, "sg-web", "vpc-1", web, 1);
	assert_true(eventually(c, !connects(c, -1, "127.77.0.5", 80, NULL)));
	put_group(c, "sg-web", "vpc-1", web, 2);
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", routes, 1);
	assert_true(eventually(c, !connects(c, -1, "127.77.0.5", 80, NULL)));
	/* other addresses of 127/8 still are the machine's own */
	int own = open_in(c, -1, SOCK_STREAM, "127.0.0.1", 48231);
	assert_true(connects(c, -1, "127.0.0.1", 48231, NULL));
	close(own);
	close(server);
	close(closed);
	close(moved);
}

static void way_out_follows_routes(void **state)
{
	struct cloud *c = *state;
	int outside = cloud_outside(), server = open_in(c, outside, SOCK_STREAM, "198.51.100.2", 80);
	const struct network_route public[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}, {ANY, NETWORK_INTERNET, NULL}};
	const struct network_route private[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}, {ANY, NETWORK_NAT, "eni-nat"}};
	ordinary(c);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", public, 2);
	put_subnet(c, "subnet-2", "vpc-1", "10.0.2.0/24", "acl-1", private, 2);
	put_subnet(c, "subnet-3", "vpc-1", "10.0.3.0/24", "acl-1", local16, 1);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-out", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-out", true);
	put_port(c, NETWORK_VETH, "eni-p", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-out", true);
	put_port(c, NETWORK_VETH, "eni-i", "vpc-1", "subnet-3", "10.0.3.10", "127.77.0.7", "sg-out", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1), p = cloud_port(c, "eni-p", 1),
	    i = cloud_port(c, "eni-i", 1);
	assert_true(eventually(c, connects(c, a, "198.51.100.2", 80, NULL)));
	assert_false(connects(c, b, "198.51.100.2", 80, NULL)); /* no public address */
	assert_false(connects(c, i, "198.51.100.2", 80, NULL)); /* no route */
	assert_false(connects(c, p, "198.51.100.2", 80, NULL)); /* no NAT gateway yet */
	put_port(c, NETWORK_GATEWAY, "eni-nat", "vpc-1", "subnet-1", "10.0.1.200", "127.77.0.6", "sg-out", false);
	assert_true(eventually(c, connects(c, p, "198.51.100.2", 80, NULL)));
	/* what it carries is counted, both ways: at least the packets that make and end a connection; others' are not in it */
	struct network_port_stats carried = {0}, later = {0};
	assert_true(eventually(c, network_port_stats(c->networks, "eni-nat", &carried) && carried.tx_packets >= 3));
	assert_true(carried.tx_bytes >= 3 * 40 && carried.tx_bytes < 100000);
	assert_true(carried.rx_packets >= 1 && carried.rx_bytes >= 40 && carried.rx_bytes < 100000);
	assert_true(eventually(c, connects(c, a, "198.51.100.2", 80, NULL)));
	for (int k = 0; k < 4; k++)
		assert_true(connects(c, p, "198.51.100.2", 80, NULL));
	assert_true(
	        eventually(c, network_port_stats(c->networks, "eni-nat", &later) && later.tx_packets >= carried.tx_packets + 8));
	assert_true(later.tx_bytes >= carried.tx_bytes + 4 * 2 * 40);
	assert_true(later.rx_packets >= carried.rx_packets + 4);
	/* connections that began, and were answered; none was refused a port, and nothing was lost in it */
	assert_true(carried.gate.tried >= 1 && later.gate.tried >= carried.gate.tried + 4);
	assert_true(carried.gate.met >= 1 && later.gate.met >= carried.gate.met + 4);
	assert_int_equal(later.gate.unported + later.gate.idle + later.drops, 0);
	int open_fd = -1;
	uint64_t active = later.gate.active; /* whose other end has not closed it */
	assert_true(connects(c, p, "198.51.100.2", 80, &open_fd));
	assert_true(eventually(c, network_port_stats(c->networks, "eni-nat", &later) && later.gate.active == active + 1));
	close(open_fd);
	/* its own subnet must lead out */
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", local16, 1);
	assert_true(eventually(c, !connects(c, p, "198.51.100.2", 80, NULL)));
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", public, 2);
	assert_true(eventually(c, connects(c, p, "198.51.100.2", 80, NULL)));
	network_remove(c->networks, "eni-nat");
	assert_true(eventually(c, !connects(c, p, "198.51.100.2", 80, NULL)));
	/* nothing of this machine, whatever the routes say: its link's end, its own addresses, loopback by way of the route */
	int own = open_in(c, -1, SOCK_STREAM, "0.0.0.0", 48232);
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	assert_false(connects(c, a, "198.51.100.1", 48232, NULL));
	const struct network_group_rule in[] = {OUT_ALL, {false, {6, 80, 80, ANY}, NULL}};
	put_group(c, "sg-out", "vpc-1", in, 2);
	int web = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80);
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	int one = accept(web, (struct sockaddr *)&peer, &size);
	char link_end[INET_ADDRSTRLEN];
	inet_ntop(AF_INET, &peer.sin_addr, link_end, sizeof(link_end));
	assert_false(connects(c, a, link_end, 48232, NULL));
	/* and nothing out there gets in by its private address */
	assert_false(connects(c, outside, "10.0.1.10", 80, NULL));
	close(one);
	close(web);
	close(own);
	close(server);
	close(outside);
}

/* The largest groups fit into one atomic change, whatever their rules are made of. */
static void groups_may_be_large(void **state)
{
	struct cloud *c = *state;
	static struct network_group_rule rules[NETWORK_GROUP_RULES_MAX];
	ordinary(c);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-out", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-large", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	for (int kind = 0; kind < 3; kind++) {
		for (int i = 0; i < NETWORK_GROUP_RULES_MAX; i++) {
			/* each about other ports; two prefixes a range of ports; ICMP with type and code */
			int n = kind == 1 ? i / 2 : i;
			struct network_match m = {
			        i % 4 < 2 ? 6 : 17, 10000 + n * 20, 10007 + n * 20, {0x0b000000u + (uint32_t)i * 256, 24}};
			if (kind == 2)
				m = (struct network_match){1, i % 200 + 20, i / 200, m.peer};
			rules[i] = (struct network_group_rule){false, m, NULL};
		}
		rules[0] = (struct network_group_rule)OUT_ALL;
		/* the last is what is tried */
		rules[NETWORK_GROUP_RULES_MAX - 1] =
		        (struct network_group_rule){false, {6, 80 + kind, 80 + kind, {0x0a000100, 24}}, NULL};
		int server = open_in(c, b, SOCK_STREAM, "10.0.1.11", 80 + kind);
		assert_false(connects(c, a, "10.0.1.11", 80 + kind, NULL));
		put_group(c, "sg-large", "vpc-1", rules, NETWORK_GROUP_RULES_MAX);
		assert_true(eventually(c, connects(c, a, "10.0.1.11", 80 + kind, NULL)));
		close(server);
	}
	/* one more is refused, and nothing changed */
	struct network_group g = {"sg-large", "vpc-1", rules, NETWORK_GROUP_RULES_MAX + 1};
	assert_int_equal(network_put_group(c->networks, &g), -EINVAL);
}

static void acls_are_tried_in_order(void **state)
{
	struct cloud *c = *state;
	ordinary(c);
	const struct network_group_rule all[] = {OUT_ALL, {false, {-1, -1, -1, ANY}, NULL}};
	put_group(c, "sg-all", "vpc-1", all, 2);
	/* given out of order on purpose */
	const struct network_acl_rule rules[] = {{200, false, true, {-1, -1, -1, ANY}},
	                                         {100, false, false, {6, 80, 80, {0x0a000100, 24}}},
	                                         {110, false, true, {6, 80, 80, {0x0a000100, 24}}},
	                                         {100, true, true, {-1, -1, -1, ANY}}};
	put_acl(c, "acl-2", "vpc-1", rules, COUNT(rules));
	put_subnet(c, "subnet-2", "vpc-1", "10.0.2.0/24", "acl-2", local16, 1);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-all", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-all", true);
	put_port(c, NETWORK_VETH, "eni-c", "vpc-1", "subnet-2", "10.0.2.11", NULL, "sg-all", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1), d = cloud_port(c, "eni-c", 1), fd = -1;
	int web = open_in(c, b, SOCK_STREAM, "10.0.2.10", 80), other = open_in(c, b, SOCK_STREAM, "10.0.2.10", 81);
	assert_true(eventually(c, connects(c, a, "10.0.2.10", 81, &fd)));
	assert_false(connects(c, a, "10.0.2.10", 80, NULL));
	assert_true(connects(c, d, "10.0.2.10", 80, NULL)); /* within the subnet no ACL is asked */
	/* no state: what does not get back out is no connection, and one that is there ends */
	const struct network_acl_rule one_way[] = {{100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {17, 0, 65535, ANY}}};
	put_acl(c, "acl-2", "vpc-1", one_way, 2);
	assert_true(eventually(c, !connects(c, a, "10.0.2.10", 81, NULL)));
	int peer = accept(other, NULL, NULL);
	char x;
	assert_true(peer >= 0);
	assert_int_equal(send(peer, "x", 1, 0), 1);
	world_sleep(100000);
	assert_int_equal(recv(fd, &x, 1, MSG_DONTWAIT), -1);
	put_acl(c, "acl-2", "vpc-1", NULL, 0);
	assert_true(eventually(c, !pings(c, a, "10.0.2.10")));
	close(peer);
	close(fd);
	close(web);
	close(other);
}

static void routes_lead_through_instances(void **state)
{
	struct cloud *c = *state;
	const struct network_group_rule all[] = {OUT_ALL, {false, {-1, -1, -1, ANY}, NULL}};
	const struct network_route through[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL},
	                                        {{0x0a000200, 24}, NETWORK_PORT, "eni-mid"},
	                                        {{0x0a000300, 24}, NETWORK_BLACKHOLE, NULL}};
	ordinary(c);
	put_group(c, "sg-all", "vpc-1", all, 2);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", through, 3);
	put_subnet(c, "subnet-2", "vpc-1", "10.0.2.0/24", "acl-1", local16, 1);
	put_subnet(c, "subnet-3", "vpc-1", "10.0.3.0/24", "acl-1", local16, 1);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-all", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-all", true);
	put_port(c, NETWORK_VETH, "eni-c", "vpc-1", "subnet-3", "10.0.3.10", NULL, "sg-all", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	cloud_port(c, "eni-c", 1);
	assert_false(pings(c, a, "10.0.2.10")); /* whom it leads to is not there */
	assert_false(pings(c, a, "10.0.3.10")); /* a black hole */
	assert_true(eventually(c, pings(c, b, "10.0.3.10")));
	/* an instance that forwards: only with its source check off */
	put_port(c, NETWORK_VETH, "eni-mid", "vpc-1", "subnet-3", "10.0.3.99", NULL, "sg-all", false);
	int mid = cloud_port(c, "eni-mid", 1), seen = packet_socket(c, mid);
	assert_false(pings(c, a, "10.0.2.10")); /* it does not forward yet */
	write_inside(c, mid, "/proc/sys/net/ipv4/ip_forward", "1");
	assert_true(eventually(c, pings(c, a, "10.0.2.10")));
	put_port(c, NETWORK_VETH, "eni-mid", "vpc-1", "subnet-3", "10.0.3.99", NULL, "sg-all", true);
	assert_true(eventually(c, !pings(c, a, "10.0.2.10")));
	/* it does not even get what is not for it */
	unsigned char frame[1600];
	while (recv(seen, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
	assert_false(pings(c, a, "10.0.2.10"));
	for (ssize_t n; (n = recv(seen, frame, sizeof(frame), MSG_DONTWAIT)) > 0;)
		assert_false(n >= 34 && frame[12] == 8 && frame[13] == 0 && frame[23] == 1);
	close(seen);
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
	        cmocka_unit_test_setup_teardown(machine_reaches_public_addresses, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(way_out_follows_routes, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(groups_may_be_large, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(acls_are_tried_in_order, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(routes_lead_through_instances, open_cloud, close_cloud),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
