#include "unit.h"

#include "engine/net/network_proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct net_port good_port(void)
{
	struct net_port p = {.h = {.verb = NET_PORT, .id = "eni-1"},
	                     .vpc = "vpc-1",
	                     .subnet = "subnet-1",
	                     .kind = NETWORK_TAP,
	                     .address_count = 2,
	                     .group_count = 1,
	                     .mac = {2, 0, 0, 0, 0, 1},
	                     .host_name = "ip-10-0-0-4",
	                     .domain = "ec2.internal",
	                     .addresses = {{0x0a000004, 0x7f400001}, {0x0a000005, 0}},
	                     .groups = {"sg-1"}};
	return p;
}

static int check_port(const struct net_port *p)
{
	return network_check(p, sizeof(*p));
}

static void ports_are_checked(void **state)
{
	(void)state;
	struct net_port p = good_port();
	assert_int_equal(check_port(&p), 0);
	assert_int_equal(network_check(&p, sizeof(p) - 1), -EINVAL);
#define BAD(change) \
	do { \
		p = good_port(); \
		change; \
		assert_int_equal(check_port(&p), -EINVAL); \
	} while (0)
	BAD(p.kind = NETWORK_SHARED + 1);
	BAD(p.address_count = 0);
	BAD(p.address_count = NETWORK_ADDRESSES_MAX + 1);
	BAD(p.group_count = NETWORK_GROUPS_MAX + 1);
	BAD(p.mac[0] = 1); /* everybody's address is nobody's */
	BAD(p.source_check = 2);
	BAD(p.addresses[1].private = p.addresses[0].private);
	BAD(p.addresses[1].public = p.addresses[0].public);
	BAD(p.addresses[0].private = 0xa9fea9fe); /* the metadata service's */
	BAD(p.addresses[0].private = 0x7f000001);
	BAD(p.addresses[0].private = 0xe0000001);
	BAD(p.addresses[0].public = 0x7f000035); /* the machine's resolver */
	BAD(p.addresses[0].public = 0x08080808);
	BAD(memset(p.h.id, 'a', sizeof(p.h.id)));
	BAD(memset(p.vpc, 'a', sizeof(p.vpc)));
	BAD(p.subnet[0] = 0);
	BAD(strcpy(p.groups[0], "sg-1;"));
	BAD(strcpy(p.groups[0], "sg 1"));
	BAD(strcpy(p.host_name, "a\nb"));
	BAD(memset(p.domain, 'a', sizeof(p.domain)));
#undef BAD
}

static size_t rules_size(const struct net_rules *m)
{
	return offsetof(struct net_rules, rules) + m->h.value * sizeof(m->rules[0]);
}

static void rules_are_checked(void **state)
{
	(void)state;
	struct net_rules *m = calloc(1, sizeof(*m));
	m->h = (struct net_header){.verb = NET_GROUP, .value = 2, .id = "sg-1"};
	strcpy(m->vpc, "vpc-1");
	const struct net_rule web = {.protocol = 6, .from = 80, .to = 90, .peer = {0x0a000000, 8}};
	m->rules[0] = m->rules[1] = web;
	assert_int_equal(network_check(m, rules_size(m)), 0);
	assert_int_equal(network_check(m, rules_size(m) - 1), -EINVAL);
	assert_int_equal(network_check(m, rules_size(m) + sizeof(m->rules[0])), -EINVAL);
	static const struct net_rule bad[] = {
	        {.protocol = 6, .from = 90, .to = 80},
	        {.protocol = 17, .from = 0, .to = 65536},
	        {.protocol = 6, .from = -1, .to = 80},
	        {.protocol = 1, .from = 256, .to = -1},
	        {.protocol = 256},
	        {.protocol = -2},
	        {.protocol = -1, .peer = {0, 33}},
	        {.protocol = -1, .peer = {0x0a000001, 8}}, /* host bits */
	        {.protocol = -1, .egress = 2},
	        {.protocol = -1, .peer_group = "sg/1"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m->rules[1] = bad[i];
		assert_int_equal(network_check(m, rules_size(m)), -EINVAL);
	}
	m->rules[1] = web;
	strcpy(m->rules[1].peer_group, "sg-2");
	assert_int_equal(network_check(m, rules_size(m)), 0);
	m->h.verb = NET_ACL; /* has no references, and an order */
	assert_int_equal(network_check(m, rules_size(m)), -EINVAL);
	m->rules[1] = web;
	m->rules[0].number = 2;
	m->rules[1].number = 1;
	assert_int_equal(network_check(m, rules_size(m)), -EINVAL);
	m->rules[1].number = 3;
	assert_int_equal(network_check(m, rules_size(m)), 0);
	m->h.value = NETWORK_ACL_RULES_MAX + 1;
	assert_int_equal(network_check(m, rules_size(m)), -EINVAL);
	free(m);
}

static void subnets_and_vpcs_are_checked(void **state)
{
	(void)state;
	struct net_subnet *m = calloc(1, sizeof(*m));
	*m = (struct net_subnet){.h = {.verb = NET_SUBNET, .value = 2, .id = "subnet-1"},
	                         .vpc = "vpc-1",
	                         .acl = "acl-1",
	                         .prefix = {0x0a000100, 24},
	                         .routes = {{{0x0a000000, 16}, NETWORK_LOCAL, ""}, {{0, 0}, NETWORK_NAT, "eni-1"}}};
	size_t n = offsetof(struct net_subnet, routes) + 2 * sizeof(m->routes[0]);
	assert_int_equal(network_check(m, n), 0);
	m->routes[1].target[0] = 0;
	assert_int_equal(network_check(m, n), -EINVAL);
	m->routes[1].kind = NETWORK_INTERNET;
	assert_int_equal(network_check(m, n), 0);
	m->routes[1].to = m->routes[0].to;
	assert_int_equal(network_check(m, n), -EINVAL);
	m->routes[1].to = (struct net_prefix){0, 0};
	m->prefix.bits = 29;
	assert_int_equal(network_check(m, n), -EINVAL);
	m->prefix = (struct net_prefix){0xa9fe0000, 24};
	assert_int_equal(network_check(m, n), -EINVAL);
	/* IPv6: a NAT gateway is of IPv4 alone, an egress-only one of IPv6; host bits are zero; Amazon's own block is nobody's */
	m->prefix = (struct net_prefix){0x0a000100, 24};
	m->routes[1] = (struct net_route){.kind = NETWORK_EGRESS_ONLY};
	assert_int_equal(network_check(m, n), -EINVAL);
	m->routes[1].ipv6 = 1;
	assert_int_equal(network_check(m, n), 0);
	m->routes[1].to6 = (struct net_prefix6){.base = {0xfd, 1, 2, 0x10}, .bits = 28};
	assert_int_equal(network_check(m, n), 0);
	m->routes[1].to6.bits = 24;
	assert_int_equal(network_check(m, n), -EINVAL);
	m->routes[1].to6 = (struct net_prefix6){.bits = 129};
	assert_int_equal(network_check(m, n), -EINVAL);
	m->routes[1] = (struct net_route){.kind = NETWORK_NAT, .target = "eni-1", .ipv6 = 1};
	assert_int_equal(network_check(m, n), -EINVAL);
	m->h.value = 1;
	n = offsetof(struct net_subnet, routes) + sizeof(m->routes[0]);
	m->prefix6 = (struct net_prefix6){.base = {0xfd, 1}, .bits = 64};
	assert_int_equal(network_check(m, n), 0);
	m->prefix6.base[1] = 0;
	assert_int_equal(network_check(m, n), -EINVAL);
	free(m);

	struct net_vpc v = {.h = {.verb = NET_VPC, .value = 1, .id = "vpc-1"}, .prefixes = {{0x0a000000, 16}}};
	n = offsetof(struct net_vpc, prefixes) + sizeof(v.prefixes[0]);
	assert_int_equal(network_check(&v, n), 0);
	v.prefixes[0].bits = 15;
	assert_int_equal(network_check(&v, n), -EINVAL);
	v.prefixes[0] = (struct net_prefix){0xa9fe0000, 16};
	assert_int_equal(network_check(&v, n), -EINVAL);
	v.prefixes[0] = (struct net_prefix){0x0a000000, 16};
	v.prefix6_count = 1;
	v.prefixes6[0] = (struct net_prefix6){.base = {0xfd, 1}, .bits = 56};
	assert_int_equal(network_check(&v, n), 0);
	v.prefixes6[0].base[0] = 0x20;
	assert_int_equal(network_check(&v, n), -EINVAL);
	v.prefix6_count = NETWORK_PREFIXES_MAX + 1;
	assert_int_equal(network_check(&v, n), -EINVAL);
	v.h.value = 0;
	assert_int_equal(network_check(&v, offsetof(struct net_vpc, prefixes)), -EINVAL);

	struct net_header h = {.verb = NET_LISTENER, .id = "vpc-1"}; /* an answer, not a request */
	assert_int_equal(network_check(&h, sizeof(h)), -EINVAL);
	struct net_socket open = {.h = {.verb = NET_OPEN, .value = NETWORK_SOCKET_TCP, .id = "eni-1"}, .tag = 1};
	assert_int_equal(network_check(&open, sizeof(open)), 0);
	open.h.value = NETWORK_SOCKET_DNS; /* those that listen come by themselves */
	assert_int_equal(network_check(&open, sizeof(open)), -EINVAL);
	open.h.value = NETWORK_SOCKET_UDP;
	open.tag = 0;
	assert_int_equal(network_check(&open, sizeof(open)), -EINVAL);
	h.verb = NET_REMOVE;
	assert_int_equal(network_check(&h, sizeof(h)), 0);
	h.id[0] = 0;
	assert_int_equal(network_check(&h, sizeof(h)), -EINVAL);
}

static void peerings_are_checked(void **state)
{
	(void)state;
	struct net_peering p = {.h = {.verb = NET_PEERING, .id = "pcx-1"}, .vpcs = {"vpc-1", "vpc-2"}};
	assert_int_equal(network_check(&p, sizeof(p)), 0);
	assert_int_equal(network_check(&p, sizeof(p) - 1), -EINVAL);
	strcpy(p.vpcs[1], "vpc-1"); /* nobody is a peer of himself */
	assert_int_equal(network_check(&p, sizeof(p)), -EINVAL);
	strcpy(p.vpcs[1], "vpc 2");
	assert_int_equal(network_check(&p, sizeof(p)), -EINVAL);
}

static void balances_are_checked(void **state)
{
	(void)state;
	enum { BYTES = offsetof(struct net_balance, targets) + 2 * sizeof(struct net_balance_target) };
	struct net_balance *m = calloc(1, sizeof(*m));
#define BALANCE(change, result) \
	do { \
		*m = (struct net_balance){ \
		        .h = {.verb = NET_BALANCE, .value = 2, .id = "eni-1-17-53"}, \
		        .vpc = "vpc-1", \
		        .port = "eni-1", \
		        .protocol = 17, \
		        .listens = 53, \
		        .idle_s = 120, \
		        .targets = {{0x0a000004, 1, 53, NETWORK_SERVES, 0}, {0x0a000005, 9, 53, NETWORK_CUT, 0}}}; \
		change; \
		assert_int_equal(network_check(m, BYTES), result); \
	} while (0)
	BALANCE((void)0, 0);
	BALANCE(m->protocol = 1, -EINVAL);
	BALANCE(m->listens = 0, -EINVAL);
	BALANCE(m->idle_s = 0, -EINVAL);
	BALANCE(m->others = 10001, -EINVAL);
	BALANCE(m->h.value = 3, -EINVAL);
	BALANCE(strcpy(m->port, "eni 1"), -EINVAL);
	BALANCE(m->targets[1].weight = 0, -EINVAL);
	BALANCE(m->targets[1].state = NETWORK_CUT + 1, -EINVAL);
	BALANCE(m->targets[0].address = 0xa9fea9fe, -EINVAL); /* the metadata service's */
	BALANCE(m->targets[0].port = 0, -EINVAL);
	free(m);
	struct net_header settled = {.verb = NET_SETTLED};
	assert_int_equal(network_check(&settled, sizeof(settled)), 0);
	strcpy(settled.id, "eni-1");
	assert_int_equal(network_check(&settled, sizeof(settled)), 0);
	strcpy(settled.id, "eni;1");
	assert_int_equal(network_check(&settled, sizeof(settled)), -EINVAL);
}

static void requests_for_links_are_checked(void **state)
{
	(void)state;
	struct link_request six = {.verb = LINK_PREFIX6, .number = 1, .prefix6 = {.base = {0xfd, 1, 2, 3, 4, 5, 6}, .bits = 56}};
	assert_int_equal(link_check(&six, sizeof(six)), 0);
	six.prefix6.bits = 48;
	assert_int_equal(link_check(&six, sizeof(six)), -EINVAL);
	six.prefix6 = (struct net_prefix6){.base = {0x20, 1, 0x0d, 0xb8}, .bits = 56};
	assert_int_equal(link_check(&six, sizeof(six)), -EINVAL);
	six.prefix6 = (struct net_prefix6){.base = {0xfd, 0}, .bits = 56};
	assert_int_equal(link_check(&six, sizeof(six)), -EINVAL);
	struct link_request r = {LINK_PUBLIC, 1, 0x7f400001};
	assert_int_equal(link_check(&r, sizeof(r)), 0);
	assert_int_equal(link_check(&r, sizeof(r) - 1), -EINVAL);
	static const uint32_t machine[] = {0x7f000001, 0x7f000035, 0x7f000101, 0x0a000001, 0, 0x7f4000ff, 0xffffffff};
	for (size_t i = 0; i < sizeof(machine) / sizeof(machine[0]); i++) {
		r.address = machine[i];
		assert_int_equal(link_check(&r, sizeof(r)), -EINVAL);
	}
	r = (struct link_request){LINK_UPLINK, 0, 0};
	assert_int_equal(link_check(&r, sizeof(r)), -EINVAL);
	r = (struct link_request){LINK_SETTLED, 1, 0};
	assert_int_equal(link_check(&r, sizeof(r)), 0);
	r = (struct link_request){LINK_SETTLED + 1, 1, 0};
	assert_int_equal(link_check(&r, sizeof(r)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(ports_are_checked),
	        cmocka_unit_test(rules_are_checked),
	        cmocka_unit_test(subnets_and_vpcs_are_checked),
	        cmocka_unit_test(peerings_are_checked),
	        cmocka_unit_test(balances_are_checked),
	        cmocka_unit_test(requests_for_links_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
