#include "scene6.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct in6_addr ip6(const char *text)
{
	struct in6_addr a;
	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

struct network_prefix6 prefix6(const char *text, uint8_t bits)
{
	struct in6_addr a = ip6(text);
	struct network_prefix6 p = {.bits = bits};
	memcpy(p.base, &a, 16);
	return p;
}

/* ---- puts ---- */

void put_vpc6(struct cloud *c, const char *id, const char *v4, const char *v6)
{
	struct network_prefix p = prefix(v4);
	struct network_prefix6 p6 = prefix6(v6, 56);
	assert_int_equal(network_put_vpc(c->networks, &(struct network_vpc){id, &p, 1, &p6, 1}), 0);
}

struct network_route route6(const char *to, uint8_t bits, enum network_target kind, const char *target)
{
	return (struct network_route){.kind = kind, .target = target, .ipv6 = true, .to6 = prefix6(to, bits)};
}

void put_subnet6(struct cloud *c, const char *id, const char *vpc, const char *v4, const char *v6, const char *acl,
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

void put_port6(struct cloud *c, const char *id, const char *vpc, const char *subnet, const char *v4, const char *v6,
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
	                         .fault = c->fault,
	                         .host_name = "ip-10-0-0-1",
	                         .domain = "ec2.internal"};
	assert_int_equal(network_put_port(c->networks, &p), 0);
}

struct network_group_rule rule6(bool egress, int16_t protocol, int32_t port, const char *peer, uint8_t bits)
{
	return (struct network_group_rule){.egress = egress,
	                                   .match = {protocol, port, port, ANY, .ipv6 = true, .peer6 = prefix6(peer, bits)}};
}

const struct network_acl_rule *open_acl(void)
{
	static struct network_acl_rule rules[2];
	for (int i = 0; i < 2; i++)
		rules[i] = (struct network_acl_rule){101, i, true, {-1, -1, -1, ANY, .ipv6 = true, .peer6 = prefix6("::", 0)}};
	return rules;
}

/* ---- packets ---- */

int open6(struct cloud *c, int ns, int type, const char *address, int port)
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

bool connects6(struct cloud *c, int ns, const char *from, const char *to, int port)
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

void inside(int ns, const char *command)
{
	char text[400];
	snprintf(text, sizeof(text), "nsenter --net=/proc/%d/fd/%d %s", (int)getpid(), ns, command);
	assert_int_equal(system(text), 0);
}

bool inside_says(int ns, const char *command, const char *needle)
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

bool arrives(int fd)
{
	char room[1500];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 300 * world_patience()) == 1 && recv(fd, room, sizeof(room), 0) > 0;
}

void send_to(int fd, const char *to, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = ip6(to)};
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)), 1);
}

/* ---- a VPC with two subnets ---- */

void put_scene(struct scene *s, const struct network_route *more, size_t n)
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

void put_rules(struct scene *s, const struct network_group_rule *in)
{
	struct network_group_rule rules[] = {rule6(true, -1, -1, "::", 0), in ? *in : rule6(true, -1, -1, "::", 0)};
	put_group(&s->c, "sg-b", "vpc-a", rules, 2);
}

void open_scene(struct scene *s)
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

void close_scene(struct scene *s)
{
	close(s->served);
	cloud_close(&s->c);
}
