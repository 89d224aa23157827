/* IPv6 of VPCs, asked from inside ports' namespaces: groups, ACLs and routes let pass what they say, the machine gets in by an
 * internet gateway and not by an egress-only one, and what an instance says on its link is heard by its router alone. */
#include "cloud.h"

#include "engine/net/explain.h"
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

#define ANY \
	{ \
		0, 0 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BLOCK "fd9a:1:2:300::"
#define A6 "fd9a:1:2:300::a"
#define B6 "fd9a:1:2:301::b"
#define P6 "fd9a:1:3:500::c"

static struct in6_addr ip6(const char *text)
{
	struct in6_addr a;
	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

static struct network_prefix6 prefix6(const char *text, uint8_t bits)
{
	struct in6_addr a = ip6(text);
	struct network_prefix6 p = {.bits = bits};
	memcpy(p.base, &a, 16);
	return p;
}

/* ---- puts ---- */

static void put_vpc6(struct cloud *c, const char *id, const char *v4, const char *v6)
{
	struct network_prefix p = prefix(v4);
	struct network_prefix6 p6 = prefix6(v6, 56);
	assert_int_equal(network_put_vpc(c->networks, &(struct network_vpc){id, &p, 1, &p6, 1}), 0);
}

static struct network_route route6(const char *to, uint8_t bits, enum network_target kind, const char *target)
{
	return (struct network_route){.kind = kind, .target = target, .ipv6 = true, .to6 = prefix6(to, bits)};
}

static void put_subnet6(struct cloud *c, const char *id, const char *vpc, const char *v4, const char *v6, const char *acl,
                        const struct network_route *routes, size_t n)
{
	struct network_subnet s = {.id = id,
	                           .vpc = vpc,
	                           .acl = acl,
	                           .prefix = prefix(v4),
	                           .routes = routes,
	                           .route_count = n,
	                           .has_prefix6 = true,
	                           .prefix6 = prefix6(v6, 64)};
	assert_int_equal(network_put_subnet(c->networks, &s), 0);
}

static void put_port6(struct cloud *c, const char *id, const char *vpc, const char *subnet, const char *v4, const char *v6,
                      const char *group, bool source_check)
{
	uint32_t a = ip(v4);
	struct network_address addresses[] = {{a, 0}};
	struct in6_addr six = ip6(v6);
	struct network_port p = {.id = id,
	                         .vpc = vpc,
	                         .subnet = subnet,
	                         .kind = NETWORK_VETH,
	                         .mac = {0x0a, 0, (uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a},
	                         .addresses = addresses,
	                         .address_count = 1,
	                         .addresses6 = (const uint8_t(*)[16]) & six,
	                         .address6_count = 1,
	                         .groups = &group,
	                         .group_count = 1,
	                         .source_check = source_check,
	                         .flows = c->count_flows,
	                         .host_name = "ip-10-0-0-1",
	                         .domain = "ec2.internal"};
	assert_int_equal(network_put_port(c->networks, &p), 0);
}

static struct network_group_rule rule6(bool egress, int16_t protocol, int32_t port, const char *peer, uint8_t bits)
{
	return (struct network_group_rule){.egress = egress,
	                                   .match = {protocol, port, port, ANY, .ipv6 = true, .peer6 = prefix6(peer, bits)}};
}

static const struct network_acl_rule *open_acl(void)
{
	static struct network_acl_rule rules[2];
	for (int i = 0; i < 2; i++)
		rules[i] = (struct network_acl_rule){101, i, true, {-1, -1, -1, ANY, .ipv6 = true, .peer6 = prefix6("::", 0)}};
	return rules;
}

/* ---- packets ---- */

static int open6(struct cloud *c, int ns, int type, const char *address, int port)
{
	int one = 1;
	if (ns >= 0)
		assert_return_code(setns(ns, CLONE_NEWNET), errno);
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, type == SOCK_RAW ? IPPROTO_ICMPV6 : 0);
	if (ns >= 0)
		assert_return_code(setns(c->home, CLONE_NEWNET), errno);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address) {
		struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = ip6(address)};
		assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
		if (type == SOCK_STREAM)
			assert_return_code(listen(fd, 16), errno);
	}
	return fd;
}

static bool connects6(struct cloud *c, int ns, const char *from, const char *to, int port)
{
	int fd = open6(c, ns, SOCK_STREAM, NULL, 0), error = 0;
	socklen_t n = sizeof(error);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = ip6(to)};
	struct sockaddr_in6 own = {.sin6_family = AF_INET6};
	if (from) {
		own.sin6_addr = ip6(from);
		assert_return_code(bind(fd, (struct sockaddr *)&own, sizeof(own)), errno);
	}
	bool done = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (!done && errno == EINPROGRESS) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		done = poll(&p, 1, 300 * world_patience()) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && !error;
	}
	close(fd);
	return done;
}

static void inside(int ns, const char *command)
{
	char text[400];
	snprintf(text, sizeof(text), "nsenter --net=/proc/%d/fd/%d %s", (int)getpid(), ns, command);
	assert_int_equal(system(text), 0);
}

static bool inside_says(int ns, const char *command, const char *needle)
{
	char text[400], line[1024];
	bool found = false;
	snprintf(text, sizeof(text), "nsenter --net=/proc/%d/fd/%d %s", (int)getpid(), ns, command);
	FILE *f = popen(text, "r");
	while (f && fgets(line, sizeof(line), f))
		found = found || strstr(line, needle);
	if (f)
		pclose(f);
	return found;
}

static bool arrives(int fd)
{
	char room[1500];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 300 * world_patience()) == 1 && recv(fd, room, sizeof(room), 0) > 0;
}

static void send_to(int fd, const char *to, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = ip6(to)};
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), 1);
}

/* ---- a VPC with two subnets ---- */

struct scene {
	struct cloud c;
	int a, b; /* namespaces */
	int served;
};

static void put_scene(struct scene *s, const struct network_route *more, size_t n)
{
	struct cloud *c = &s->c;
	struct network_route routes[4] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}, route6(BLOCK, 56, NETWORK_LOCAL, NULL)};
	for (size_t i = 0; i < n; i++)
		routes[2 + i] = more[i];
	put_vpc6(c, "vpc-a", "10.0.0.0/16", BLOCK);
	put_acl(c, "acl-a", "vpc-a", open_acl(), 2);
	put_subnet6(c, "subnet-a", "vpc-a", "10.0.0.0/24", "fd9a:1:2:300::", "acl-a", routes, 2 + n);
	put_subnet6(c, "subnet-b", "vpc-a", "10.0.1.0/24", "fd9a:1:2:301::", "acl-a", routes, 2 + n);
}

static void put_rules(struct scene *s, const struct network_group_rule *in)
{
	struct network_group_rule rules[] = {rule6(true, -1, -1, "::", 0), in ? *in : rule6(true, -1, -1, "::", 0)};
	put_group(&s->c, "sg-b", "vpc-a", rules, 2);
}

static void open_scene(struct scene *s)
{
	struct cloud *c = &s->c;
	cloud_open(c);
	put_scene(s, NULL, 0);
	struct network_group_rule out = rule6(true, -1, -1, "::", 0);
	put_group(c, "sg-a", "vpc-a", &out, 1);
	put_rules(s, NULL);
	put_port6(c, "eni-a", "vpc-a", "subnet-a", "10.0.0.10", A6, "sg-a", true);
	put_port6(c, "eni-b", "vpc-a", "subnet-b", "10.0.1.11", B6, "sg-b", true);
	s->a = cloud_port(c, "eni-a", 1);
	s->b = cloud_port(c, "eni-b", 1);
	s->served = open6(c, s->b, SOCK_STREAM, B6, 80);
}

static void close_scene(struct scene *s)
{
	close(s->served);
	cloud_close(&s->c);
}

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
	put_rules(&s, &in);
	put_acl(c, "acl-a", "vpc-a", no_udp, 3);
	c->count_flows = true;
	put_port6(c, "eni-a", "vpc-a", "subnet-a", "10.0.0.10", A6, "sg-a", true);
	put_port6(c, "eni-b", "vpc-a", "subnet-b", "10.0.1.11", B6, "sg-b", true);
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
	        cmocka_unit_test(groups_and_acls_are_asked),
	        cmocka_unit_test(addresses_come_and_go),
	        cmocka_unit_test(machine_comes_in_by_an_internet_gateway_alone),
	        cmocka_unit_test(peers_reach_each_other),
	        cmocka_unit_test(links_give_routes_and_addresses),
	        cmocka_unit_test(nobody_hears_what_an_instance_advertises),
	        cmocka_unit_test(flows_are_counted),
	        cmocka_unit_test(explanations_are_true),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
