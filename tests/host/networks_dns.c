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
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(ports_are_answered, open_cloud, close_cloud)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
