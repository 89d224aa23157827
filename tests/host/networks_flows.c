/* Packets counted by flow: what groups and ACLs let pass and what they refused, at both ends, by the kernel that decides it. */
#include "cloud.h"

#include "base/clock.h"
#include "engine/cell/cell.h"

#include <arpa/inet.h>
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
static const struct network_acl_rule no_udp[] = {
        {90, true, false, {17, -1, -1, ANY}}, {100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {-1, -1, -1, ANY}}};
static const struct network_route local16[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}};
static const struct network_group_rule out[] = {OUT_ALL};
static const struct network_group_rule web[] = {OUT_ALL, {false, {6, 80, 80, ANY}, NULL}, {false, {1, -1, -1, ANY}, NULL}};

/* eni-a and eni-b in two subnets. */
static void put_two(struct cloud *c)
{
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", open_acl, COUNT(open_acl));
	put_acl(c, "acl-2", "vpc-1", no_udp, COUNT(no_udp));
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-2", local16, 1);
	put_subnet(c, "subnet-2", "vpc-1", "10.0.2.0/24", "acl-1", local16, 1);
	put_group(c, "sg-out", "vpc-1", out, COUNT(out));
	put_group(c, "sg-web", "vpc-1", web, COUNT(web));
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-out", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-web", true);
}

static void collect(struct cloud *c, const char *port)
{
	unsigned before = c->flows_times;
	network_collect_flows(c->networks, port);
	assert_true(eventually(c, c->flows_times > before));
}

static const struct network_flow *told(const struct cloud *c, const char *port, bool outgoing, bool accepted, uint8_t protocol,
                                       uint16_t to_port)
{
	for (size_t i = 0; i < c->flow_count; i++) {
		const struct network_flow *f = &c->flows[i].flow;
		if (strcmp(c->flows[i].port, port) == 0 && f->out == outgoing && f->accepted == accepted &&
		    f->protocol == protocol && (protocol == 1 || f->to_port == to_port))
			return f;
	}
	return NULL;
}

static void send_datagram(struct cloud *c, int ns, const char *to, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(ip(to))}};
	int fd = open_in(c, ns, SOCK_DGRAM, NULL, 0);
	assert_int_equal(sendto(fd, "1234", 4, 0, (struct sockaddr *)&a, sizeof(a)), 4);
	close(fd);
}

static void flows_are_what_happened(void **state)
{
	struct cloud *c = *state;
	c->count_flows = true;
	put_two(c);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	int server = open_in(c, b, SOCK_STREAM, "10.0.2.10", 80);
	int64_t before = clock_wall_ms();
	assert_true(connects(c, a, "10.0.2.10", 80, NULL));
	assert_false(connects(c, a, "10.0.2.10", 81, NULL));
	assert_true(pings(c, a, "10.0.2.10"));
	send_datagram(c, a, "10.0.2.10", 9);
	collect(c, "eni-a");
	collect(c, "eni-b");
	/* a connection is a flow each way, at both ends */
	const struct network_flow *f = told(c, "eni-a", true, true, 6, 80);
	assert_non_null(f);
	assert_int_equal(network_ip_to4(f->from), ip("10.0.1.10"));
	assert_int_equal(network_ip_to4(f->to), ip("10.0.2.10"));
	assert_true(f->from_port >= 1024);
	assert_true(f->packets >= 2 && f->bytes >= f->packets * 40);
	assert_true(f->first_ms >= before - 100 && f->last_ms >= f->first_ms && f->last_ms <= clock_wall_ms());
	const struct network_flow *same = told(c, "eni-b", false, true, 6, 80);
	assert_non_null(same);
	assert_int_equal(same->packets, f->packets);
	assert_int_equal(same->bytes, f->bytes);
	assert_non_null(told(c, "eni-b", true, true, 6, f->from_port));
	assert_non_null(told(c, "eni-a", false, true, 6, f->from_port));
	/* the group of b refuses what left a */
	assert_non_null(told(c, "eni-a", true, true, 6, 81));
	assert_non_null(told(c, "eni-b", false, false, 6, 81));
	assert_null(told(c, "eni-b", false, true, 6, 81));
	f = told(c, "eni-b", false, true, 1, 0);
	assert_non_null(f);
	assert_int_equal(f->to_port, 0);
	/* the ACL of a's subnet lets no datagram out */
	f = told(c, "eni-a", true, false, 17, 9);
	assert_non_null(f);
	assert_int_equal(f->packets, 1);
	assert_int_equal(f->bytes, 32);
	assert_null(told(c, "eni-b", false, true, 17, 9));
	/* what was told is not told again */
	c->flow_count = 0;
	collect(c, "eni-a");
	assert_null(told(c, "eni-a", true, true, 6, 81));
	assert_null(told(c, "eni-a", true, false, 17, 9));
	close(server);
}

static void what_is_left_is_told_at_the_end(void **state)
{
	struct cloud *c = *state;
	c->count_flows = true;
	put_two(c);
	int a = cloud_port(c, "eni-a", 1), kept = dup(a);
	cloud_port(c, "eni-b", 1);
	assert_true(pings(c, a, "10.0.2.10"));
	/* not counted any more: the rest comes, and nothing after it */
	c->count_flows = false;
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-out", true);
	assert_true(eventually(c, told(c, "eni-a", true, true, 1, 0)));
	unsigned before = c->flows_times;
	assert_true(pings(c, kept, "10.0.2.10"));
	network_collect_flows(c->networks, "eni-a");
	network_collect_flows(c->networks, "eni-b");
	assert_true(eventually(c, c->flows_times == before + 1));
	assert_non_null(told(c, "eni-b", false, true, 1, 0));
	/* a port that goes tells as well, and the rules of others stay as they are */
	c->flow_count = 0;
	assert_true(pings(c, kept, "10.0.2.10"));
	network_remove(c->networks, "eni-b");
	assert_true(eventually(c, told(c, "eni-b", false, true, 1, 0)));
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-web", true);
	assert_true(eventually(c, pings(c, kept, "10.0.2.10")));
	close(kept);
}

static void counts_outlive_the_api(void **state)
{
	struct cloud *c = *state;
	c->count_flows = true;
	put_two(c);
	int a = cloud_port(c, "eni-a", 1);
	cloud_port(c, "eni-b", 1);
	assert_true(pings(c, a, "10.0.2.10"));
	cloud_restart_api(c);
	c->count_flows = true;
	put_two(c);
	networks_settled(c->networks);
	cloud_port(c, "eni-a", 1);
	collect(c, "eni-a");
	assert_non_null(told(c, "eni-a", true, true, 1, 0));
	/* deleted meanwhile: the first that the new one says is the end */
	cloud_restart_api(c);
	c->count_flows = false;
	c->flow_count = 0;
	put_two(c);
	networks_settled(c->networks);
	assert_true(eventually(c, told(c, "eni-b", false, true, 1, 0)));
}

static uint64_t between_zones(struct cloud *c)
{
	struct network_vpc_stats s;
	/* what is known may be a second old */
	cloud_turn(c, 1100);
	assert_true(eventually(c, network_vpc_stats(c->networks, "vpc-1", &s)));
	cloud_turn(c, 100);
	assert_true(network_vpc_stats(c->networks, "vpc-1", &s));
	return s.zones_bytes;
}

/* There and back, and nothing of what stays in a zone or of ports without one. */
static void bytes_between_zones(void **state)
{
	struct cloud *c = *state;
	c->zone = 1;
	put_two(c); /* eni-a stays in the first one */
	c->zone = 2;
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-web", true);
	c->zone = 1;
	put_port(c, NETWORK_VETH, "eni-c", "vpc-1", "subnet-2", "10.0.2.11", NULL, "sg-web", true);
	c->zone = 0;
	put_port(c, NETWORK_VETH, "eni-d", "vpc-1", "subnet-2", "10.0.2.12", NULL, "sg-web", true);
	int a = cloud_port(c, "eni-a", 1);
	cloud_port(c, "eni-b", 1);
	cloud_port(c, "eni-c", 1);
	cloud_port(c, "eni-d", 1);
	assert_true(pings(c, a, "10.0.2.11"));
	assert_true(pings(c, a, "10.0.2.12"));
	assert_int_equal(between_zones(c), 0);
	assert_true(pings(c, a, "10.0.2.10"));
	uint64_t there_and_back = between_zones(c);
	assert_true(there_and_back >= 2 * 28 && there_and_back % 2 == 0);
	assert_true(pings(c, a, "10.0.2.10"));
	assert_int_equal(between_zones(c), 2 * there_and_back);
	/* what no group lets pass has not passed */
	assert_false(connects(c, a, "10.0.2.10", 81, NULL));
	assert_int_equal(between_zones(c), 2 * there_and_back);
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
	        cmocka_unit_test_setup_teardown(flows_are_what_happened, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(what_is_left_is_told_at_the_end, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(counts_outlive_the_api, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(bytes_between_zones, open_cloud, close_cloud),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
