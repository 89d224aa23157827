/* What leaves for the world over IPv6, what is counted of it, and what is said of a connection against whether one comes about. */
#include "scene6.h"

#include "engine/net/explain.h"
#include "engine/net/network_proto.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the world ---- */

/* 2001:db8:51::2 in a namespace behind a link of this machine's; false: this kernel has no switch for it. */
static bool outside6(int *ret_ns)
{
	char text[600], name[32];
	snprintf(name, sizeof(name), "qx%d", (int)getpid());
	*ret_ns = cloud_outside();
	snprintf(text, sizeof(text),
	         "echo 1 > /proc/sys/net/ipv6/conf/%1$s/force_forwarding && ip -6 addr add 2001:db8:51::1/64 dev %1$s nodad && "
	         "ip -n %1$s -6 addr add 2001:db8:51::2/64 dev eth0 nodad && ip -n %1$s -6 route add fd00::/8 via 2001:db8:51::1",
	         name);
	return system(text) == 0;
}

/* Whom a connection comes from; "": there is none. */
static const char *caller(int server)
{
	static char text[INET6_ADDRSTRLEN];
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};
	socklen_t n = sizeof(a);
	struct pollfd p = {.fd = server, .events = POLLIN};
	int fd = poll(&p, 1, 300) == 1 ? accept(server, (struct sockaddr *)&a, &n) : -1;
	text[0] = 0;
	if (fd >= 0) {
		inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof(text));
		close(fd);
	}
	return text;
}

static void world_is_reached_where_the_machine_reaches_it(void **state)
{
	struct scene s;
	int world;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
	bool there = outside6(&world) && networks_facts(c->networks)->outside6;
	if (!there) {
		assert_true(networks_facts(c->networks)->why_not6[0] ||
		            access("/proc/sys/net/ipv6/conf/lo/force_forwarding", F_OK) < 0);
		close(world);
		close_scene(&s);
		skip();
	}
	struct network_group_rule in = rule6(false, -1, -1, "::", 0);
	put_rules(&s, &in);
	int server = open6(c, world, SOCK_STREAM, "2001:db8:51::2", 80);
	struct network_route open = route6("::", 0, NETWORK_INTERNET, NULL), leave = route6("::", 0, NETWORK_EGRESS_ONLY, NULL);
	assert_false(connects6(c, s.b, NULL, "2001:db8:51::2", 80));
	put_scene(&s, &open, 1);
	assert_true(eventually(c, connects6(c, s.b, NULL, "2001:db8:51::2", 80)));
	assert_string_equal(caller(server), "2001:db8:51::1");
	/* nobody comes in that way, whatever routes and groups say */
	assert_true(connects6(c, -1, NULL, B6, 80));
	assert_false(connects6(c, world, NULL, B6, 80));
	put_scene(&s, &leave, 1);
	assert_true(eventually(c, !connects6(c, -1, NULL, B6, 80)));
	assert_true(connects6(c, s.b, NULL, "2001:db8:51::2", 80));
	close(server);
	close(world);
	close_scene(&s);
}

/* ---- what is seen and said of it ---- */

static const struct network_flow *told(const struct cloud *c, const char *port, bool accepted, uint8_t protocol, uint16_t to_port)
{
	for (size_t i = 0; i < c->flow_count; i++) {
		const struct network_flow *f = &c->flows[i].flow;
		if (strcmp(c->flows[i].port, port) == 0 && f->accepted == accepted && f->protocol == protocol &&
		    f->to_port == to_port && !network_ip_is4(f->from))
			return f;
	}
	return NULL;
}

static void collect(struct cloud *c, const char *port)
{
	unsigned before = c->flows_times;
	network_collect_flows(c->networks, port);
	assert_true(eventually(c, c->flows_times > before));
}

static void flows_are_counted(void **state)
{
	struct scene s;
	(void)state;
	s.c.count_flows = false;
	open_scene(&s);
	struct cloud *c = &s.c;
	struct network_group_rule in = rule6(false, 6, 80, A6, 128);
	struct network_acl_rule no_udp[3] = {
	        {50, true, false, {17, 9, 9, ANY, .ipv6 = true, .peer6 = prefix6("::", 0)}}, open_acl()[0], open_acl()[1]};
	/* in this order: what passes is counted already */
	c->count_flows = true;
	put_port6(c, "eni-a", "vpc-a", "subnet-a", "10.0.0.10", A6, "sg-a", true);
	put_port6(c, "eni-b", "vpc-a", "subnet-b", "10.0.1.11", B6, "sg-b", true);
	put_acl(c, "acl-a", "vpc-a", no_udp, 3);
	put_rules(&s, &in);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80)));
	assert_false(connects6(c, s.a, NULL, B6, 81));
	int sender = open6(c, s.a, SOCK_DGRAM, A6, 7000);
	send_to(sender, B6, 9);
	close(sender);
	collect(c, "eni-a");
	collect(c, "eni-b");
	struct in6_addr a = ip6(A6), b = ip6(B6);
	const struct network_flow *f = told(c, "eni-b", true, 6, 80);
	assert_non_null(f);
	assert_memory_equal(f->from.b, &a, 16);
	assert_memory_equal(f->to.b, &b, 16);
	assert_true(f->from_port >= 1024 && f->packets >= 2 && f->bytes >= f->packets * 60);
	assert_non_null(told(c, "eni-a", true, 6, f->from_port));
	/* the group of b refuses, and the ACL of a's subnet */
	assert_non_null(told(c, "eni-b", false, 6, 81));
	assert_non_null(told(c, "eni-a", true, 6, 81));
	f = told(c, "eni-a", false, 17, 9);
	assert_non_null(f);
	assert_int_equal(f->from_port, 7000);
	assert_int_equal(f->bytes, 49);
	assert_true(f->out);
	/* an address less: what was counted is told, and IPv4 goes on */
	c->flow_count = 0;
	assert_true(connects6(c, s.a, NULL, B6, 80));
	put_port(c, NETWORK_VETH, "eni-a", "vpc-a", "subnet-a", "10.0.0.10", NULL, "sg-a", true);
	assert_true(eventually(c, told(c, "eni-a", true, 6, 80)));
	close_scene(&s);
}

static struct network_verdict explain(struct cloud *c, const char *from, const char *to, const char *address, uint16_t port)
{
	struct network_question q = {.from = from, .to = to, .protocol = 6, .to_port = port};
	struct in6_addr a = ip6(address);
	memcpy(q.to_address.b, &a, 16);
	if (!from)
		network_outside6(network_outside_address(c->networks, "vpc-a"), q.from_address.b);
	return network_explain(c->networks, &q);
}

static void says(struct scene *s, int line, const char *from, const char *to, const char *address, uint16_t port,
                 enum network_stop stop)
{
	struct cloud *c = &s->c;
	struct network_verdict v = explain(c, from, to, address, port);
	bool passes = connects6(c, from ? s->a : -1, NULL, address, port);
	if (v.stop != stop || passes != (stop == NETWORK_STOP_NONE))
		fail_msg("line %d: said %d, expected %d; it %s", line, v.stop, stop, passes ? "passes" : "does not pass");
}

static void explanations_are_true(void **state)
{
	struct scene s;
	(void)state;
	open_scene(&s);
	struct cloud *c = &s.c;
#define SAYS(from, to, address, port, stop) (cloud_turn(c, 100), says(&s, __LINE__, from, to, address, port, NETWORK_STOP_##stop))
	struct network_group_rule in = {.match = {6, 80, 80, ANY}};
	put_rules(&s, &in);
	SAYS("eni-a", "eni-b", B6, 80, GROUPS);
	in = rule6(false, 6, 80, "fd9a:1:2:300::", 64);
	put_rules(&s, &in);
	SAYS("eni-a", "eni-b", B6, 80, NONE);
	assert_int_equal(explain(c, "eni-a", NULL, B6, 80).stop, NETWORK_STOP_NONE);
	in = (struct network_group_rule){.match = {6, 80, 80, ANY}, .peer_group = "sg-a"};
	put_rules(&s, &in);
	SAYS("eni-a", "eni-b", B6, 80, NONE);
	SAYS("eni-a", "eni-b", B6, 443, GROUPS);
	SAYS("eni-a", NULL, "fd9a:1:2:300::dead", 80, NOBODY);
	SAYS("eni-a", NULL, "2001:db8::2", 80, NO_ROUTE);
	SAYS("eni-a", NULL, "fd00:ec2::254", 80, NONE);
	SAYS("eni-a", NULL, "fd00:ec2::254", 4566, LISTENER);
	struct network_acl_rule closed[3] = {
	        {50, false, false, {6, 80, 80, ANY, .ipv6 = true, .peer6 = prefix6(A6, 128)}}, open_acl()[0], open_acl()[1]};
	put_acl(c, "acl-a", "vpc-a", closed, 3);
	SAYS("eni-a", "eni-b", B6, 80, ACL);
	assert_int_equal(explain(c, "eni-a", "eni-b", B6, 80).rule, 50);
	put_acl(c, "acl-a", "vpc-a", open_acl(), 2);
	/* the machine asks */
	struct network_route open = route6("::", 0, NETWORK_INTERNET, NULL), leave = route6("::", 0, NETWORK_EGRESS_ONLY, NULL);
	in = rule6(false, 6, 80, "fd71:7561:7274::", 48);
	put_rules(&s, &in);
	SAYS(NULL, "eni-b", B6, 80, NO_ROUTE);
	put_scene(&s, &open, 1);
	SAYS(NULL, "eni-b", B6, 80, NONE);
	put_scene(&s, &leave, 1);
	SAYS(NULL, "eni-b", B6, 80, EGRESS_ONLY);
	/* an end without an address of the family */
	put_port(c, NETWORK_VETH, "eni-b", "vpc-a", "subnet-b", "10.0.1.11", NULL, "sg-b", true);
	struct network_question q = {.from = "eni-a", .to = "eni-b", .protocol = 6, .to_port = 80};
	struct in6_addr a = ip6(A6);
	memcpy(q.from_address.b, &a, 16);
	assert_int_equal(network_explain(c->networks, &q).stop, NETWORK_STOP_NO_ADDRESS);
#undef SAYS
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(world_is_reached_where_the_machine_reaches_it),
	        cmocka_unit_test(flows_are_counted),
	        cmocka_unit_test(explanations_are_true),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
