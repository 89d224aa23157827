/* The resolver of a VPC, asked by real packets from a port: at the VPC's base + 2 and at 169.254.169.253, by datagrams and over
 * connections, whatever the port's groups let out. */
#include "cloud.h"

#include "engine/dns/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t question[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04mine\x04test\x00\x00\x01\x00\x01";
enum { QUESTION_N = sizeof(question) - 1 };

struct heard {
	char place[NETWORK_ID_MAX];
	uint32_t peer;
	unsigned times;
};

static enum dns_said ask(void *ctx, const char *place, uint32_t peer, const struct dns_query *q, struct dns_writer *w)
{
	struct heard *h = ctx;
	assert_string_equal(q->name, "mine.test");
	snprintf(h->place, sizeof(h->place), "%s", place);
	h->peer = peer;
	h->times++;
	dns_put_address(w, DNS_ANSWER, NULL, 60, 0x0a000105);
	return DNS_ANSWERED;
}

/* Does the answer come? */
static bool resolves(struct cloud *c, int ns, int type, const char *server)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr = {htonl(ip(server))}};
	uint8_t framed[2 + QUESTION_N] = {0, QUESTION_N}, got[512];
	bool tcp = type == SOCK_STREAM;
	ssize_t n = -1;
	memcpy(framed + 2, question, QUESTION_N);
	int fd = -1;
	if (tcp && !connects(c, ns, server, 53, &fd))
		return false;
	if (!tcp) {
		fd = open_in(c, ns, type, NULL, 0);
		assert_return_code(connect(fd, (struct sockaddr *)&at, sizeof(at)), errno);
	}
	assert_true(send(fd, tcp ? framed : framed + 2, tcp ? sizeof(framed) : QUESTION_N, 0) > 0);
	for (int i = 0; i < 20 && n < 0; i++) {
		cloud_turn(c, 25 * world_patience());
		n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	}
	close(fd);
	return n == QUESTION_N + 16 + (tcp ? 2 : 0) && memcmp(got + n - 4, "\x0a\0\1\5", 4) == 0;
}

static void ports_are_answered(void **state)
{
	struct cloud *c = *state;
	struct heard heard = {0};
	const struct dns_answerer table[] = {{.ask = ask, .ctx = &heard}};
	static const struct network_acl_rule no_rules[1];
	static const struct network_route local[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}};
	/* a group and an ACL that let nothing pass: they have no say in this */
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", no_rules, 0);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", local, 1);
	put_group(c, "sg-none", "vpc-1", NULL, 0);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-none", true);
	int a = cloud_port(c, "eni-a", 1);
	struct dns *d = dns_new(c->world.loop, table, 1, NULL, "/dev/null");
	dns_serve_datagrams(d, "vpc-1", dup(cloud_listener(c, "vpc-1", NETWORK_DNS)));
	dns_serve_connections(d, "vpc-1", dup(cloud_listener(c, "vpc-1", NETWORK_DNS_TCP)));
	static const char *const servers[] = {"10.0.0.2", "169.254.169.253"};
	for (int i = 0; i < 2; i++) {
		assert_true(resolves(c, a, SOCK_DGRAM, servers[i]));
		assert_true(resolves(c, a, SOCK_STREAM, servers[i]));
	}
	assert_int_equal(heard.times, 4);
	assert_string_equal(heard.place, "vpc-1");
	assert_int_equal(heard.peer, ip("10.0.1.10"));
	assert_false(resolves(c, a, SOCK_DGRAM, "10.0.0.3"));
	assert_int_equal(heard.times, 4);
	dns_free(d);
}

/* Ports that nobody runs behind: a resolver answers at one, and asks from another, within what groups let pass. */
static void put_doors(struct cloud *c)
{
	static const struct network_acl_rule pass[] = {{100, false, true, {-1, -1, -1, {0, 0}}},
	                                               {100, true, true, {-1, -1, -1, {0, 0}}}};
	static const struct network_route local[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}};
	static const struct network_group_rule all[] = {{true, {-1, -1, -1, {0, 0}}, NULL}, {false, {-1, -1, -1, {0, 0}}, NULL}};
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", pass, 2);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", local, 1);
	put_group(c, "sg-all", "vpc-1", all, 2);
	put_group(c, "sg-door", "vpc-1", all, 2);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-all", true);
	put_port(c, NETWORK_ANSWERS, "eni-in", "vpc-1", "subnet-1", "10.0.1.20", NULL, "sg-door", true);
	put_port(c, NETWORK_ASKS, "eni-out", "vpc-1", "subnet-1", "10.0.1.30", NULL, "sg-all", true);
}

static bool listens(const struct cloud *c)
{
	return c->sockets[NETWORK_SOCKET_DNS].fd > 0 && c->sockets[NETWORK_SOCKET_DNS_TCP].fd > 0;
}

static struct dns *serve_door(struct cloud *c, struct heard *heard)
{
	const struct dns_answerer table[] = {{.ask = ask, .ctx = heard}};
	struct dns *d = dns_new(c->world.loop, table, 1, NULL, "/dev/null");
	assert_true(eventually(c, listens(c)));
	dns_serve_datagrams(d, "eni-in", dup(c->sockets[NETWORK_SOCKET_DNS].fd));
	dns_serve_connections(d, "eni-in", dup(c->sockets[NETWORK_SOCKET_DNS_TCP].fd));
	return d;
}

static void doors_answer(void **state)
{
	struct cloud *c = *state;
	struct heard heard = {0};
	put_doors(c);
	int a = cloud_port(c, "eni-a", 1);
	struct dns *d = serve_door(c, &heard);
	assert_string_equal(c->sockets[NETWORK_SOCKET_DNS].port, "eni-in");
	assert_int_equal(c->sockets[NETWORK_SOCKET_DNS].tag, 0);
	assert_true(eventually(c, resolves(c, a, SOCK_DGRAM, "10.0.1.20")));
	assert_true(resolves(c, a, SOCK_STREAM, "10.0.1.20"));
	assert_string_equal(heard.place, "eni-in");
	assert_int_equal(heard.peer, ip("10.0.1.10"));
	/* groups hold */
	put_group(c, "sg-door", "vpc-1", NULL, 0);
	cloud_turn(c, 100);
	assert_false(resolves(c, a, SOCK_DGRAM, "10.0.1.20"));
	/* who comes next is given the same sockets, and serves who has asked meanwhile */
	dns_free(d);
	cloud_restart_api(c);
	put_doors(c);
	networks_settled(c->networks);
	a = cloud_port(c, "eni-a", 1);
	d = serve_door(c, &heard);
	assert_true(eventually(c, resolves(c, a, SOCK_STREAM, "10.0.1.20")));
	/* its end is told */
	unsigned times = c->sockets[NETWORK_SOCKET_DNS].times;
	network_remove(c->networks, "eni-in");
	assert_int_equal(c->sockets[NETWORK_SOCKET_DNS].times, times + 1);
	assert_int_equal(c->sockets[NETWORK_SOCKET_DNS].fd, -1);
	dns_free(d);
}

static void doors_ask(void **state)
{
	struct cloud *c = *state;
	char got[8];
	struct sockaddr_in from = {0}, to = {.sin_family = AF_INET, .sin_port = htons(5000), .sin_addr = {htonl(ip("10.0.1.10"))}};
	socklen_t size = sizeof(from);
	assert_false(network_open_socket(c->networks, "eni-out", NETWORK_SOCKET_UDP, 1)); /* there is no net yet */
	put_doors(c);
	int a = cloud_port(c, "eni-a", 1), server = open_in(c, a, SOCK_DGRAM, "10.0.1.10", 5000);
	assert_true(network_open_socket(c->networks, "eni-out", NETWORK_SOCKET_UDP, 7));
	assert_true(network_open_socket(c->networks, "eni-out", NETWORK_SOCKET_TCP, 8));
	assert_true(eventually(c, c->sockets[NETWORK_SOCKET_UDP].fd > 0 && c->sockets[NETWORK_SOCKET_TCP].fd > 0));
	assert_int_equal(c->sockets[NETWORK_SOCKET_UDP].tag, 7);
	assert_int_equal(c->sockets[NETWORK_SOCKET_TCP].tag, 8);
	assert_int_equal(sendto(c->sockets[NETWORK_SOCKET_UDP].fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	assert_true(eventually(c, recvfrom(server, got, sizeof(got), MSG_DONTWAIT, (struct sockaddr *)&from, &size) == 5));
	assert_int_equal(ntohl(from.sin_addr.s_addr), ip("10.0.1.30"));
	close(server);
	/* a port that somebody runs behind has none to give */
	assert_true(network_open_socket(c->networks, "eni-a", NETWORK_SOCKET_UDP, 9));
	assert_true(eventually(c, c->sockets[NETWORK_SOCKET_UDP].tag == 9));
	assert_int_equal(c->sockets[NETWORK_SOCKET_UDP].fd, -1);
	assert_false(network_open_socket(c->networks, "eni-none", NETWORK_SOCKET_UDP, 10));
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
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(ports_are_answered, open_cloud, close_cloud),
	                                   cmocka_unit_test_setup_teardown(doors_answer, open_cloud, close_cloud),
	                                   cmocka_unit_test_setup_teardown(doors_ask, open_cloud, close_cloud)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
