/* Where a health checker may look, and what it says of endpoints that are slow, silent or none. */
#include "unit.h"

#include "engine/probe/probe.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void only_what_is_public(void **state)
{
	(void)state;
	static const uint32_t open[] = {0x7f400000, 0x7f4fffff, 0x08080808,     0xac0fffff,
	                                0xac200000, 0xa9fd0101, 0x64400000 - 1, 0x64800000};
	static const uint32_t closed[] = {0,          0x7f000001, 0x7f3fffff, 0x7f500000, 0x7fffffff, 0x0a000001, 0xac100000,
	                                  0xac1fffff, 0xc0a80001, 0xa9fea9fe, 0x64400000, 0x647fffff, 0xe0000001, 0xffffffff};
	for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
		assert_true(probe_may(open[i]));
	for (size_t i = 0; i < sizeof(closed) / sizeof(*closed); i++)
		assert_false(probe_may(closed[i]));
}

struct seen {
	bool came, good;
	char why[200];
	struct probe_times took;
};

static void done(void *ctx, bool good, const char *why, const struct probe_times *took)
{
	struct seen *s = ctx;
	s->took = *took;
	s->came = true;
	s->good = good;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

enum { ADDRESS = 0x7f4ffe01 };

/* One look at an endpoint that says `reply` and closes. */
static struct seen look_at(const char *reply, struct str search)
{
	struct seen s = {0};
	struct loop *l = loop_new();
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(ADDRESS)}};
	socklen_t size = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = -1;
	assert_return_code(bind(server, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_return_code(listen(server, 1), 0);
	getsockname(server, (struct sockaddr *)&at, &size);
	probe_start(l,
	            &(struct probe_about){.address = ADDRESS,
	                                  .port = ntohs(at.sin_port),
	                                  .http = true,
	                                  .host = "h",
	                                  .path = "/",
	                                  .agent = "a",
	                                  .search = search},
	            done, &s);
	while (!s.came) {
		loop_turn(l, 10000);
		if (client < 0 && (client = accept4(server, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
			char request[512];
			while (recv(client, request, sizeof(request), MSG_DONTWAIT) < 0 && !s.came)
				loop_turn(l, 10000);
			assert_return_code(send(client, reply, strlen(reply), MSG_NOSIGNAL), 0);
			shutdown(client, SHUT_WR);
		}
	}
	close(client);
	close(server);
	loop_free(l);
	return s;
}

static void answers_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *reply, *why;
		bool good;
	} cases[] = {{"HTTP/1.1 200 OK\r\n\r\n", "HTTP Status Code 200, OK", true},
	             {"HTTP/1.0 399 Odd\r\n\r\nbody", "HTTP Status Code 399, Odd", true},
	             {"HTTP/1.1 400 No\r\n\r\n", "HTTP Status Code 400, No", false},
	             {"HTTP/1.1 200 OK\r\n", "The response is not HTTP", false},
	             {"SSH-2.0-x\r\n\r\n", "The response is not HTTP", false},
	             {"HTTP/1.1 \r\n\r\n", "The response is not HTTP", false},
	             {"", "The connection was closed without a response", false}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct seen s = look_at(cases[i].reply, STR_NONE);
		assert_string_equal(s.why, cases[i].why);
		assert_int_equal(s.good, cases[i].good);
		assert_true(s.took.connect_us > 0);
		assert_int_equal(s.took.first_byte_us > 0, *cases[i].reply != 0);
		assert_int_equal(s.took.handshake_us, 0);
	}
	assert_true(look_at("HTTP/1.1 200 OK\r\n\r\nneedle", S("needle")).good);
	assert_false(look_at("HTTP/1.1 200 needle\r\n\r\nbody", S("needle")).good);
}

static void what_is_closed_is_said_later(void **state)
{
	(void)state;
	struct loop *l = loop_new();
	struct seen s = {0};
	probe_start(l, &(struct probe_about){.address = INADDR_LOOPBACK, .port = 1}, done, &s);
	assert_false(s.came);
	while (!s.came)
		loop_turn(l, 10000);
	assert_string_equal(s.why, "The address is not one that checkers reach");
	assert_int_equal(s.took.connect_us, 0);
	probe_cancel(probe_start(l, &(struct probe_about){.address = ADDRESS, .port = 1}, done, &s));
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_is_public), cmocka_unit_test(answers_are_judged),
	                                   cmocka_unit_test(what_is_closed_is_said_later)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
