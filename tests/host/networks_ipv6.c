/* IPv6 of VPCs, asked from inside ports' namespaces: groups, ACLs and routes let pass what they say, the machine gets in by an
 * internet gateway and not by an egress-only one, and what an instance says on its link is heard by its router alone. */
#include "scene6.h"

#include "base/clock.h"

#include "engine/net/network_proto.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- tests ---- */

static void groups_and_acls_are_asked(void **state)
{
	struct scene s;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
	assert_false(connects6(c, s.a, NULL, B6, 80));
	/* a rule of IPv4 says nothing about IPv6 */
	struct network_group_rule in = {.match = {6, 80, 80, ANY}};
	put_rules(&s, &in);
	cloud_turn(c, 100);
	assert_false(connects6(c, s.a, NULL, B6, 80));
	in = rule6(false, 6, 80, A6, 128);
	put_rules(&s, &in);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	in = rule6(false, 6, 80, P6, 128);
	put_rules(&s, &in);
	assert_true(eventually(c, !connects6(c, s.a, NULL, B6, 80)));
	in = (struct network_group_rule){.match = {6, 80, 80, ANY}, .peer_group = "sg-a"};
	put_rules(&s, &in);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	struct network_acl_rule closed[3] = {
	        {50, false, false, {6, 80, 80, ANY, .ipv6 = true, .peer6 = prefix6(A6, 128)}}, open_acl()[0], open_acl()[1]};
	put_acl(c, "acl-a", "vpc-a", closed, 3);
	assert_true(eventually(c, !connects6(c, s.a, NULL, B6, 80)));
	close_scene(&s);
}

static void addresses_come_and_go(void **state)
{
	struct scene s;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
	struct network_group_rule in = rule6(false, 6, 80, "::", 0);
	put_rules(&s, &in);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	/* nobody sends under an address that is not his */
	inside(s.a, "ip -6 addr add fd9a:1:2:300::bad/128 dev eth0 nodad");
	assert_false(connects6(c, s.a, "fd9a:1:2:300::bad", B6, 80));
	assert_true(connects6(c, s.a, A6, B6, 80));
	inside(s.a, "ip -6 addr del fd9a:1:2:300::bad/128 dev eth0");
	put_port6(c, "eni-a", "vpc-a", "subnet-a", "10.0.0.10", "fd9a:1:2:300::bad", "sg-a", true);
	assert_true(eventually(c, inside_says(s.a, "ip -6 addr show dev eth0", "fd9a:1:2:300::bad/128")));
	assert_true(eventually(c, connects6(c, s.a, "fd9a:1:2:300::bad", B6, 80)));
	assert_false(inside_says(s.a, "ip -6 addr show dev eth0", A6 "/"));
	close_scene(&s);
}

static void machine_comes_in_by_an_internet_gateway_alone(void **state)
{
	struct scene s;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
	struct network_group_rule in = rule6(false, -1, -1, "fd71:7561:7274::", 48);
	put_rules(&s, &in);
	struct network_route open = route6("::", 0, NETWORK_INTERNET, NULL), leave = route6("::", 0, NETWORK_EGRESS_ONLY, NULL);
	put_scene(&s, &open, 1);
	assert_true(eventually(c, connects6(c, -1, NULL, B6, 80)));
	put_scene(&s, &leave, 1);
	assert_true(eventually(c, !connects6(c, -1, NULL, B6, 80)));
	/* what it opens itself is answered, by whom it has asked */
	uint8_t address[16];
	char outside[INET6_ADDRSTRLEN];
	network_outside6(network_outside_address(c->networks, "vpc-a"), address);
	inet_ntop(AF_INET6, address, outside, sizeof(outside));
	int machine = open6(c, -1, SOCK_DGRAM, outside, 8888), other = open6(c, -1, SOCK_DGRAM, outside, 8889);
	int instance = open6(c, s.b, SOCK_DGRAM, B6, 7777);
	send_to(machine, B6, 7777);
	assert_false(arrives(instance));
	/* the failed attempt is forgotten with its flow: another port asks */
	int asker = open6(c, s.b, SOCK_DGRAM, B6, 7778);
	send_to(asker, outside, 8888);
	send_to(other, B6, 7778);
	assert_false(arrives(asker));
	send_to(machine, B6, 7778);
	assert_true(arrives(asker));
	put_scene(&s, NULL, 0);
	assert_true(eventually(c, !connects6(c, -1, NULL, B6, 80)));
	close(machine);
	close(other);
	close(instance);
	close(asker);
	close_scene(&s);
}

static void peers_reach_each_other(void **state)
{
	struct scene s;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
	struct network_group_rule in = {.match = {6, 80, 80, ANY}, .peer_group = "sg-p"};
	put_rules(&s, &in);
	struct network_route there = route6("fd9a:1:3:500::", 56, NETWORK_PEER, "pcx-1");
	put_scene(&s, &there, 1);
	struct network_route routes[] = {{{0x0a010000, 16}, NETWORK_LOCAL, NULL},
	                                 route6("fd9a:1:3:500::", 56, NETWORK_LOCAL, NULL),
	                                 route6(BLOCK, 56, NETWORK_PEER, "pcx-1")};
	put_vpc6(c, "vpc-p", "10.1.0.0/16", "fd9a:1:3:500::");
	put_acl(c, "acl-p", "vpc-p", open_acl(), 2);
	put_subnet6(c, "subnet-p", "vpc-p", "10.1.0.0/24", "fd9a:1:3:500::", "acl-p", routes, COUNT(routes));
	struct network_group_rule out = rule6(true, -1, -1, "::", 0);
	put_group(c, "sg-p", "vpc-p", &out, 1);
	put_port6(c, "eni-p", "vpc-p", "subnet-p", "10.1.0.12", P6, "sg-p", true);
	int p = cloud_port(c, "eni-p", 1);
	assert_false(connects6(c, p, NULL, B6, 80));
	assert_int_equal(network_put_peering(c->networks, &(struct network_peering){"pcx-1", {"vpc-a", "vpc-p"}}), 0);
	assert_true(eventually(c, connects6(c, p, NULL, B6, 80)));
	network_remove(c->networks, "pcx-1");
	assert_true(eventually(c, !connects6(c, p, NULL, B6, 80)));
	close_scene(&s);
}

/* A client's first message: transaction, its id, one identity association. */
static const uint8_t solicit[] = {1, 0x11, 0x22, 0x33, 0,  1, 0, 10, 0, 3, 0, 1, 2, 3, 4, 5, 6,
                                  7, 0,    3,    0,    12, 0, 0, 0,  9, 0, 0, 0, 0, 0, 0, 0, 0};

static void links_give_routes_and_addresses(void **state)
{
	struct scene s;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
	/* as a guest's kernel begins: nothing but its link-local address */
	inside(s.a, "sysctl -qw net.ipv6.conf.eth0.accept_ra=1 net.ipv6.conf.eth0.forwarding=0 net.ipv6.conf.eth0.accept_dad=0");
	inside(s.a, "ip link set eth0 down");
	inside(s.a, "ip link set eth0 up");
	assert_true(eventually(c, inside_says(s.a, "ip -6 route show default", "via fe80::1 dev eth0 proto ra")));
	int fd = open6(c, s.a, SOCK_DGRAM, "::", 546);
	struct sockaddr_in6 servers = {.sin6_family = AF_INET6, .sin6_port = htons(547), .sin6_addr = ip6("ff02::1:2")};
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5), errno);
	assert_int_equal(sendto(fd, solicit, sizeof(solicit), 0, (struct sockaddr *)&servers, sizeof(servers)), sizeof(solicit));
	uint8_t room[1500];
	bool found = false;
	struct in6_addr own = ip6(A6);
	for (int i = 0; i < 100 && !found; i++) {
		ssize_t n = recv(fd, room, sizeof(room), 0);
		if (n < 0)
			cloud_turn(c, 50);
		for (ssize_t at = 0; n > 20 && at + 16 <= n; at++)
			found = found ||
			        (room[0] == 2 && memcmp(room + 1, solicit + 1, 3) == 0 && memcmp(room + at, &own, 16) == 0);
	}
	assert_true(found);
	close(fd);
	/* metadata are served there too, and nothing beside them */
	assert_true(cloud_listener(c, "vpc-a", NETWORK_METADATA6) > 0);
	inside(s.a, "ip -6 addr add " A6 "/128 dev eth0 nodad");
	assert_true(eventually(c, connects6(c, s.a, NULL, "fd00:ec2::254", 80)));
	assert_false(connects6(c, s.a, NULL, "fd00:ec2::254", 4566));
	close_scene(&s);
}

static void nobody_hears_what_an_instance_advertises(void **state)
{
	struct scene s;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
	struct network_group_rule in = rule6(false, 6, 80, "::", 0);
	put_rules(&s, &in);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	int thief = open6(c, s.a, SOCK_RAW, NULL, 0), hops = 255, witness = open6(c, s.b, SOCK_RAW, NULL, 0);
	struct icmp6_filter filter;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
	ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &filter);
	assert_return_code(setsockopt(witness, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)), errno);
	assert_return_code(setsockopt(thief, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5), errno);
	setsockopt(thief, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops));
	setsockopt(thief, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	struct {
		struct nd_neighbor_advert head;
		struct nd_opt_hdr option;
		uint8_t mac[6];
	} a = {.head = {.nd_na_target = ip6(B6)}, .option = {ND_OPT_TARGET_LINKADDR, 1}, .mac = {2, 6, 6, 6, 6, 6}};
	a.head.nd_na_type = ND_NEIGHBOR_ADVERT;
	a.head.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE | ND_NA_FLAG_SOLICITED;
	struct nd_router_advert ra = {.nd_ra_type = ND_ROUTER_ADVERT, .nd_ra_router_lifetime = htons(1800)};
	static const char *const to[] = {"ff02::1", "fe80::1", B6};
	while (arrives(witness))
		;
	for (size_t i = 0; i < COUNT(to); i++) {
		struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = ip6(to[i])};
		assert_true(sendto(thief, &a, sizeof(a), 0, (struct sockaddr *)&at, sizeof(at)) == sizeof(a));
		assert_true(sendto(thief, &ra, sizeof(ra), 0, (struct sockaddr *)&at, sizeof(at)) == sizeof(ra));
	}
	assert_false(arrives(witness));
	/* the way to B is still B's */
	assert_true(connects6(c, s.a, NULL, B6, 80));
	assert_false(inside_says(s.b, "ip -6 route show default", "ra"));
	close(thief);
	close(witness);
	close_scene(&s);
}

static void put_fault(struct scene *s, struct network_fault fault)
{
	s->c.fault = fault;
	put_port6(&s->c, "eni-b", "vpc-a", "subnet-b", "10.0.1.11", B6, "sg-b", true);
	s->c.fault = (struct network_fault){0};
}

/* The kernel forgets more of IPv6 than of IPv4 when a link goes down. */
static void a_link_that_was_down_is_as_before(void **state)
{
	(void)state;
	static struct scene s;
	struct cloud *c = &s.c;
	open_scene(&s);
	struct network_group_rule web = rule6(false, 6, 80, "::", 0);
	put_rules(&s, &web);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	int64_t until_us = clock_mono_us() + 2000000 * world_patience();
	put_fault(&s, (struct network_fault){.until_us = until_us, .down = true, .loss_percent = 10});
	assert_true(eventually(c, !connects6(c, s.a, NULL, B6, 80)));
	while (clock_mono_us() < until_us)
		cloud_turn(c, 50);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	put_fault(&s, (struct network_fault){.until_us = clock_mono_us() + 60000000, .loss_percent = 100});
	assert_true(eventually(c, !connects6(c, s.a, NULL, B6, 80)));
	put_fault(&s, (struct network_fault){0});
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(groups_and_acls_are_asked),
	        cmocka_unit_test(addresses_come_and_go),
	        cmocka_unit_test(machine_comes_in_by_an_internet_gateway_alone),
	        cmocka_unit_test(peers_reach_each_other),
	        cmocka_unit_test(links_give_routes_and_addresses),
	        cmocka_unit_test(nobody_hears_what_an_instance_advertises),
	        cmocka_unit_test(a_link_that_was_down_is_as_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
