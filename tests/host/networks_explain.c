/* What the explanation says of a connection, against whether one comes about: every question is asked of every configuration. */
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
#define TEN \
	{ \
		0x0a000000, 16 \
	}

static const struct network_acl_rule open_acl[] = {{100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {-1, -1, -1, ANY}}};
static const struct network_route local[] = {{TEN, NETWORK_LOCAL, NULL}};
static const struct network_route out[] = {{TEN, NETWORK_LOCAL, NULL}, {ANY, NETWORK_INTERNET, NULL}};
static const struct network_route by_nat[] = {{TEN, NETWORK_LOCAL, NULL}, {ANY, NETWORK_NAT, "eni-nat"}};
static const struct network_route by_box[] = {{TEN, NETWORK_LOCAL, NULL}, {{0x0a000100, 24}, NETWORK_PORT, "eni-a"}};
static const struct network_route by_nobody[] = {{TEN, NETWORK_LOCAL, NULL}, {{0x0a000100, 24}, NETWORK_PORT, "eni-gone"}};
static const struct network_route closed[] = {{TEN, NETWORK_LOCAL, NULL}, {{0x0a000100, 24}, NETWORK_BLACKHOLE, NULL}};
static const struct network_group_rule all[] = {OUT_ALL, {false, {-1, -1, -1, ANY}, NULL}};
static const struct network_group_rule web[] = {OUT_ALL, {false, {6, 80, 80, {0x0a000200, 24}}, NULL}};
static const struct network_group_rule by_group[] = {OUT_ALL, {false, {6, 80, 80, ANY}, "sg-b"}};
static const struct network_group_rule only_81_out[] = {{true, {6, 81, 81, TEN}, NULL}, {false, {-1, -1, -1, ANY}, NULL}};
static const struct network_group_rule from_links[] = {OUT_ALL, {false, {6, 80, 80, {0x64580000, 16}}, NULL}};
static const struct network_acl_rule deny_first[] = {{90, false, false, {6, 80, 80, {0x0a000100, 24}}},
                                                     {100, false, true, {-1, -1, -1, ANY}},
                                                     {100, true, true, {-1, -1, -1, ANY}}};
static const struct network_acl_rule no_answers[] = {{100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {6, 0, 1023, ANY}}};
static const struct network_acl_rule with_answers[] = {{100, false, true, {6, 80, 80, ANY}},
                                                       {100, true, true, {6, 1024, 65535, ANY}},
                                                       {101, false, true, {6, 1024, 65535, ANY}},
                                                       {101, true, true, {6, 80, 80, ANY}}};

static const struct config {
	const char *name;
	const struct network_route *routes_1, *routes_2;
	size_t route_count_1, route_count_2;
	const struct network_group_rule *group_a, *group_b;
	size_t group_count_a, group_count_b;
	const struct network_acl_rule *acl_2;
	size_t acl_count_2;
} configs[] = {
#define C(name, routes_1, routes_2, group_a, group_b, acl_2) \
	{ \
		name, routes_1, routes_2, COUNT(routes_1), COUNT(routes_2), group_a, group_b, COUNT(group_a), COUNT(group_b), \
		        acl_2, COUNT(acl_2) \
	}
        C("all open", out, out, all, all, open_acl),
        C("one port from one subnet", out, out, web, all, open_acl),
        C("by group", out, out, by_group, all, open_acl),
        C("little goes out", out, out, all, only_81_out, open_acl),
        C("from the machine alone", out, out, from_links, all, open_acl),
        C("an entry that denies", out, out, all, all, deny_first),
        C("no answers", out, out, all, all, no_answers),
        C("answers to high ports", out, out, all, all, with_answers),
        C("no way out", local, local, all, all, open_acl),
        C("out by NAT", out, by_nat, all, all, open_acl),
        C("NAT that leads nowhere", local, by_nat, all, all, open_acl),
        C("through an interface that has the address", out, by_box, all, all, open_acl),
        C("through nobody", out, by_nobody, all, all, open_acl),
        C("a black hole", out, closed, all, all, open_acl),
};

static const struct ask {
	const char *from, *to; /* NULL: this machine; NULL: outside, or the address */
	const char *address;   /* where a connection is tried */
	int port;
} asks[] = {
        {"eni-a", "eni-b", "10.0.2.10", 80}, {"eni-a", "eni-b", "10.0.2.10", 81}, {"eni-b", "eni-a", "10.0.1.10", 80},
        {"eni-b", "eni-a", "10.0.1.10", 81}, {NULL, "eni-a", "127.77.0.5", 80},   {"eni-a", NULL, "198.51.100.2", 80},
        {"eni-b", NULL, "198.51.100.2", 80}, {"eni-a", NULL, "10.0.2.77", 80},    {"eni-a", NULL, "10.0.1.1", 80},
        {"eni-a", NULL, "127.77.0.5", 80},
};

static struct network_verdict explain(struct cloud *c, const struct ask *a)
{
	struct network_question q = {.from = a->from,
	                             .to = a->to,
	                             .protocol = 6,
	                             .to_port = (uint16_t)a->port,
	                             .to_address = a->to ? (struct network_ip){{0}} : network_ip4(ip(a->address))};
	if (!a->from)
		q.from_address = network_ip4(network_outside_address(c->networks, "vpc-1"));
	return network_explain(c->networks, &q);
}

static void put_config(struct cloud *c, const struct config *k)
{
	put_acl(c, "acl-2", "vpc-1", k->acl_2, k->acl_count_2);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", k->routes_1, k->route_count_1);
	put_subnet(c, "subnet-2", "vpc-1", "10.0.2.0/24", "acl-2", k->routes_2, k->route_count_2);
	put_group(c, "sg-a", "vpc-1", k->group_a, k->group_count_a);
	put_group(c, "sg-b", "vpc-1", k->group_b, k->group_count_b);
}

/* Nobody may find a queue full. */
static void take_connections(const int *servers, int n)
{
	for (int i = 0; i < n; i++)
		for (int fd; (fd = accept(servers[i], NULL, NULL)) >= 0;)
			close(fd);
}

static void explanations_are_true(void **state)
{
	struct cloud *c = *state;
	int outside = cloud_outside(), servers[8], n = 0;
	unsigned passed = 0, stopped = 0;
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", open_acl, COUNT(open_acl));
	put_config(c, &configs[0]);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-a", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-b", true);
	put_port(c, NETWORK_GATEWAY, "eni-nat", "vpc-1", "subnet-1", "10.0.1.200", "127.77.0.6", "sg-a", false);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	for (int port = 80; port <= 81; port++) {
		servers[n++] = open_in(c, a, SOCK_STREAM, "10.0.1.10", port);
		servers[n++] = open_in(c, b, SOCK_STREAM, "10.0.2.10", port);
	}
	servers[n++] = open_in(c, outside, SOCK_STREAM, "198.51.100.2", 80);
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	for (size_t i = 0; i < COUNT(configs); i++) {
		put_config(c, &configs[i]);
		cloud_turn(c, 100);
		for (size_t k = 0; k < COUNT(asks); k++) {
			const struct ask *q = &asks[k];
			int from = !q->from ? -1 : strcmp(q->from, "eni-a") == 0 ? a : b;
			struct network_verdict v = explain(c, q);
			bool passes = connects(c, from, q->address, q->port, NULL);
			if (passes != (v.stop == NETWORK_STOP_NONE))
				fail_msg("%s: %s to %s:%d: said %d, %s", configs[i].name, q->from ? q->from : "host", q->address,
				         q->port, v.stop, passes ? "passes" : "does not pass");
			take_connections(servers, n);
			passed += passes;
			stopped += !passes;
		}
	}
	/* both happen often enough to say something */
	assert_true(passed > 40 && stopped > 40);
	while (n)
		close(servers[--n]);
	close(outside);
}

/* The source check of an interface that a route leads through. */
static void through_an_instance(void **state)
{
	struct cloud *c = *state;
	static const struct network_route through[] = {{TEN, NETWORK_LOCAL, NULL}, {{0x0a000200, 24}, NETWORK_PORT, "eni-mid"}};
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", open_acl, COUNT(open_acl));
	put_group(c, "sg-a", "vpc-1", all, COUNT(all));
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", through, COUNT(through));
	put_subnet(c, "subnet-2", "vpc-1", "10.0.2.0/24", "acl-1", local, COUNT(local));
	put_subnet(c, "subnet-3", "vpc-1", "10.0.3.0/24", "acl-1", local, COUNT(local));
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-a", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-a", true);
	put_port(c, NETWORK_VETH, "eni-mid", "vpc-1", "subnet-3", "10.0.3.10", NULL, "sg-a", true);
	const struct ask q = {"eni-a", "eni-b", "10.0.2.10", 80};
	int a = cloud_port(c, "eni-a", 1), mid = cloud_port(c, "eni-mid", 1);
	int server = open_in(c, cloud_port(c, "eni-b", 1), SOCK_STREAM, "10.0.2.10", 80);
	write_inside(c, mid, "/proc/sys/net/ipv4/ip_forward", "1");
	struct network_verdict v = explain(c, &q);
	assert_int_equal(v.stop, NETWORK_STOP_SOURCE_CHECK);
	assert_string_equal(v.port, "eni-mid");
	assert_false(connects(c, a, q.address, q.port, NULL));
	put_port(c, NETWORK_VETH, "eni-mid", "vpc-1", "subnet-3", "10.0.3.10", NULL, "sg-a", false);
	v = explain(c, &q);
	assert_int_equal(v.stop, NETWORK_STOP_NONE);
	assert_string_equal(v.through, "eni-mid");
	assert_true(eventually(c, connects(c, a, q.address, q.port, NULL)));
	close(server);
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
	        cmocka_unit_test_setup_teardown(explanations_are_true, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(through_an_instance, open_cloud, close_cloud),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
