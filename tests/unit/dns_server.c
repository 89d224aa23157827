/* The resolver with sockets of loopback: the table of answerers, questions that go on to name servers, what those do wrong. */
#include "unit.h"

#include "engine/dns/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct scene {
	struct loop *loop;
	struct dns *dns;
	char servers[64];
	int upstream, upstream_tcp, client;
	struct sockaddr_in at; /* of the resolver's datagrams */
	struct sockaddr_in tcp_at;
	struct sockaddr_in from; /* who asked the name server last */
	uint8_t got[4096];
	struct dns_way way;
	uint32_t tag; /* of the socket that was asked for last; 0: none was */
	bool no_doors;
};
static struct scene *scene;

static int bound(int type, struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	*at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_return_code(bind(fd, (struct sockaddr *)at, sizeof(*at)), errno);
	if (type == SOCK_STREAM)
		assert_return_code(listen(fd, 5), errno);
	getsockname(fd, (struct sockaddr *)at, &size);
	return fd;
}

static enum dns_said ask(void *ctx, const char *place, uint32_t peer, const struct dns_query *q, struct dns_writer *w)
{
	(void)ctx;
	w->way = &scene->way;
	if (strcmp(q->name, "way.test") == 0)
		return DNS_SENT;
	w->way = NULL;
	assert_string_equal(place, "vpc-1");
	assert_int_equal(peer, INADDR_LOOPBACK);
	if (strcmp(q->name, "mine.test") == 0) {
		dns_put_address(w, DNS_ANSWER, NULL, 60, 0x0a000005);
		return DNS_ANSWERED;
	}
	if (strcmp(q->name, "leads.test") == 0 || strcmp(q->name, "home.test") == 0) {
		const char *to = *q->name == 'l' ? "far.test" : "mine.test";
		dns_put_name(w, DNS_ANSWER, NULL, DNS_CNAME, 60, to);
		w->leads_out = true;
		dns_name_write(to, w->out);
		return DNS_ANSWERED;
	}
	return strcmp(q->name, "absent.test") == 0 ? DNS_ABSENT : strcmp(q->name, "silent.test") == 0 ? DNS_SILENT : DNS_NOT_MINE;
}

static int set_up(void **state)
{
	static struct scene s;
	static const struct dns_answerer table[] = {{.ask = ask}};
	struct sockaddr_in at;
	memset(&s, 0, sizeof(s));
	s.loop = loop_new();
	/* one port of both kinds: what is free for datagrams may be taken for connections */
	for (int i = 0; i < 50; i++) {
		s.upstream = bound(SOCK_DGRAM, &at);
		s.upstream_tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (bind(s.upstream_tcp, (struct sockaddr *)&at, sizeof(at)) == 0)
			break;
		close(s.upstream);
		close(s.upstream_tcp);
	}
	assert_return_code(listen(s.upstream_tcp, 5), errno);
	snprintf(s.servers, sizeof(s.servers), "/tmp/quartet-dns-%d", (int)getpid());
	FILE *f = fopen(s.servers, "w");
	fprintf(f, "# comment\nnameserver ::1\nnameserver 127.0.0.1:%d\n", ntohs(at.sin_port));
	fclose(f);
	s.dns = dns_new(s.loop, table, 1, NULL, s.servers);
	dns_serve_datagrams(s.dns, "vpc-1", bound(SOCK_DGRAM, &s.at));
	dns_serve_connections(s.dns, "vpc-1", bound(SOCK_STREAM, &s.tcp_at));
	s.way = (struct dns_way){
	        .servers = {{INADDR_LOOPBACK, ntohs(at.sin_port)}}, .doors = {"eni-1"}, .server_count = 1, .door_count = 1};
	s.client = bound(SOCK_DGRAM, &at);
	*state = scene = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	dns_free(s->dns);
	loop_free(s->loop);
	unlink(s->servers);
	close(s->client);
	close(s->upstream);
	close(s->upstream_tcp);
	return 0;
}

static size_t query_for(uint8_t *p, uint16_t id, const char *name)
{
	memset(p, 0, DNS_HEAD);
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
	p[2] = 1;
	p[5] = 1;
	size_t n = DNS_HEAD + dns_name_write(name, p + DNS_HEAD);
	memcpy(p + n, "\0\1\0\1", 4);
	return n + 4;
}

static void turn(struct scene *s, int rounds)
{
	for (int i = 0; i < rounds; i++)
		loop_turn(s->loop, 5000);
}

static void send_query(struct scene *s, uint16_t id, const char *name)
{
	uint8_t query[512];
	size_t n = query_for(query, id, name);
	assert_int_equal(sendto(s->client, query, n, 0, (struct sockaddr *)&s->at, sizeof(s->at)), n);
}

/* What the client gets, within two seconds; -1: nothing. */
static ssize_t answer(struct scene *s, int rounds)
{
	ssize_t n = -1;
	for (int i = 0; i < rounds && n < 0; i++) {
		turn(s, 1);
		n = recv(s->client, s->got, sizeof(s->got), 0);
	}
	return n;
}

/* What the name server is asked. */
static ssize_t asked(struct scene *s, uint8_t *query, int rounds)
{
	ssize_t n = -1;
	for (int i = 0; i < rounds && n < 0; i++) {
		socklen_t size = sizeof(s->from);
		turn(s, 1);
		n = recvfrom(s->upstream, query, 512, 0, (struct sockaddr *)&s->from, &size);
	}
	return n;
}

static size_t answer_to(uint8_t *out, const uint8_t *query, size_t n, uint32_t address)
{
	struct dns_query q;
	struct dns_writer w;
	assert_int_equal(dns_query_read(query, n, &q), DNS_OK);
	dns_begin(&w, out, DNS_PLAIN_MAX, query, &q);
	dns_put_address(&w, DNS_ANSWER, NULL, 60, address);
	return dns_end(&w, DNS_OK);
}

static void own_names(void **state)
{
	struct scene *s = *state;
	send_query(s, 7, "mine.test");
	ssize_t n = answer(s, 400);
	assert_true(n > 4);
	assert_memory_equal(s->got, "\0\7\x81\x80\0\1\0\1", 8);
	assert_memory_equal(s->got + n - 4, "\x0a\0\0\5", 4);
	send_query(s, 8, "absent.test");
	assert_true(answer(s, 400) > 0);
	assert_int_equal(s->got[3] & 15, DNS_NO_NAME);
	send_query(s, 9, "silent.test");
	assert_int_equal(answer(s, 20), -1);
	assert_int_equal(asked(s, s->got, 1), -1);
}

static void others_are_asked_for(void **state)
{
	struct scene *s = *state;
	uint8_t query[512], reply[512];
	send_query(s, 0x4242, "example.test");
	ssize_t n = asked(s, query, 400);
	assert_true(n > DNS_HEAD);
	/* guesses: another id, another question, another sender; then the truth */
	size_t m = answer_to(reply, query, (size_t)n, 0x01010101);
	reply[0] ^= 1;
	sendto(s->upstream, reply, m, 0, (struct sockaddr *)&s->from, sizeof(s->from));
	reply[0] ^= 1;
	reply[DNS_HEAD + 1] = 'x';
	sendto(s->upstream, reply, m, 0, (struct sockaddr *)&s->from, sizeof(s->from));
	m = answer_to(reply, query, (size_t)n, 0x02020202);
	sendto(s->client, reply, m, 0, (struct sockaddr *)&s->from, sizeof(s->from));
	assert_int_equal(answer(s, 20), -1);
	m = answer_to(reply, query, (size_t)n, 0x03030303);
	sendto(s->upstream, reply, m, 0, (struct sockaddr *)&s->from, sizeof(s->from));
	n = answer(s, 400);
	assert_true(n > 4);
	assert_memory_equal(s->got, "\x42\x42", 2);
	assert_memory_equal(s->got + n - 4, "\3\3\3\3", 4);
}

/* Behind a CNAME lies what others know; whoever asked gets both. */
static void names_that_lead_on(void **state)
{
	struct scene *s = *state;
	uint8_t query[512], reply[512];
	send_query(s, 0x11, "home.test"); /* to a name of the table */
	ssize_t n = answer(s, 400);
	assert_true(n > 4);
	assert_memory_equal(s->got, "\0\x11\x81\x80\0\1\0\2", 8);
	assert_memory_equal(s->got + n - 4, "\x0a\0\0\5", 4);
	send_query(s, 0x12, "leads.test"); /* to a name of the outside, whose answer is compressed */
	n = asked(s, query, 400);
	assert_true(n > DNS_HEAD);
	assert_memory_equal(query + DNS_HEAD, "\3far\4test\0\0\1\0\1", 14);
	size_t m = answer_to(reply, query, (size_t)n, 0x03030303);
	sendto(s->upstream, reply, m, 0, (struct sockaddr *)&s->from, sizeof(s->from));
	n = answer(s, 400);
	assert_true(n > 30);
	assert_memory_equal(s->got, "\0\x12\x81\x80\0\1\0\2", 8);
	assert_memory_equal(s->got + DNS_HEAD, "\5leads\4test", 11);
	assert_memory_equal(s->got + n - 24, "\3far\4test\0\0\1\0\1\0\0\0\x3c\0\4\3\3\3\3", 24);
}

static bool open_door(void *ctx, const char *door, bool tcp, uint32_t tag)
{
	struct scene *s = ctx;
	assert_string_equal(door, "eni-1");
	assert_false(tcp);
	s->tag = tag;
	return !s->no_doors;
}

static int any_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void expect_failure(struct scene *s, uint8_t id)
{
	assert_true(answer(s, 400) >= DNS_HEAD);
	assert_int_equal(s->got[1], id);
	assert_int_equal(s->got[3] & 15, DNS_SERVER_FAILED);
}

/* Sockets of others' are waited for; who comes too late is not needed any more. */
static void ways_through_doors(void **state)
{
	struct scene *s = *state;
	uint8_t query[512], reply[512];
	send_query(s, 1, "way.test");
	expect_failure(s, 1); /* there are no doors at all */
	dns_open_with(s->dns, open_door, s);
	send_query(s, 2, "way.test");
	turn(s, 4);
	assert_int_not_equal(s->tag, 0);
	dns_opened(s->dns, s->tag, any_socket());
	ssize_t n = asked(s, query, 400);
	assert_true(n > DNS_HEAD);
	size_t m = answer_to(reply, query, (size_t)n, 0x04040404);
	sendto(s->upstream, reply, m, 0, (struct sockaddr *)&s->from, sizeof(s->from));
	n = answer(s, 400);
	assert_memory_equal(s->got, "\0\2", 2);
	assert_memory_equal(s->got + n - 4, "\4\4\4\4", 4);
	/* one that cannot be had is asked for again, three times in all */
	send_query(s, 3, "way.test");
	turn(s, 4);
	for (int i = 0; i < 3; i++) {
		uint32_t tag = s->tag;
		dns_opened(s->dns, tag, -1);
		assert_true(i == 2 || s->tag != tag);
	}
	expect_failure(s, 3);
	s->no_doors = true;
	send_query(s, 4, "way.test");
	expect_failure(s, 4);
	s->no_doors = false;
	s->way.door_count = 0;
	send_query(s, 5, "way.test");
	expect_failure(s, 5);
	s->way.door_count = 1;
	/* nobody waits for it any more */
	send_query(s, 6, "way.test");
	turn(s, 4);
	dns_leave(s->dns, "vpc-1");
	int late = any_socket();
	dns_opened(s->dns, s->tag, late);
	assert_int_equal(fcntl(late, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
}

static void ids_and_ports_differ(void **state)
{
	struct scene *s = *state;
	uint8_t query[512];
	uint16_t ids[8], ports[8];
	bool id_differs = false, port_differs = false, follows = true;
	for (int i = 0; i < 8; i++) {
		send_query(s, 1, "example.test");
		assert_true(asked(s, query, 400) > 0);
		ids[i] = (uint16_t)(query[0] << 8 | query[1]);
		ports[i] = s->from.sin_port;
		id_differs = id_differs || ids[i] != ids[0];
		port_differs = port_differs || ports[i] != ports[0];
		follows = follows && (!i || ids[i] == ids[i - 1] + 1);
	}
	assert_true(id_differs && port_differs && !follows);
}

static void silence_is_a_failure(void **state)
{
	struct scene *s = *state;
	uint8_t query[512];
	send_query(s, 5, "example.test");
	assert_true(asked(s, query, 400) > 0);
	assert_true(asked(s, query, 800) > 0); /* once more after two seconds */
	close(s->upstream);                    /* and now nobody is there */
	s->upstream = -1;
	assert_true(answer(s, 1600) > 0);
	assert_int_equal(s->got[3] & 15, DNS_SERVER_FAILED);
	assert_memory_equal(s->got, "\0\5", 2);
}

static void floods_are_refused(void **state)
{
	struct scene *s = *state;
	unsigned refused = 0;
	for (int i = 0; i < 200; i++) {
		send_query(s, (uint16_t)i, "example.test");
		turn(s, i % 16 == 0);
	}
	while (answer(s, 20) > 0)
		refused += (s->got[3] & 15) == DNS_REFUSED;
	assert_in_range(refused, 200 - 128, 200 - 128);
}

/* --- over TCP */

static int connected(struct scene *s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(fd, (struct sockaddr *)&s->tcp_at, sizeof(s->tcp_at)), errno);
	return fd;
}

static size_t frame(uint8_t *out, uint16_t id, const char *name)
{
	size_t n = query_for(out + 2, id, name);
	out[0] = 0;
	out[1] = (uint8_t)n;
	return n + 2;
}

static size_t received(struct scene *s, int fd, uint8_t *p, size_t want)
{
	size_t n = 0;
	for (int i = 0; i < 400 && n < want; i++) {
		turn(s, 1);
		ssize_t k = recv(fd, p + n, want - n, MSG_DONTWAIT);
		n += k > 0 ? (size_t)k : 0;
	}
	return n;
}

static void connections(void **state)
{
	struct scene *s = *state;
	uint8_t out[1024], got[1024];
	int fd = connected(s);
	/* two questions at once, the second in pieces */
	size_t n = frame(out, 1, "mine.test");
	n += frame(out + n, 2, "absent.test");
	assert_int_equal(send(fd, out, n - 5, 0), n - 5);
	turn(s, 4);
	assert_int_equal(send(fd, out + n - 5, 5, 0), 5);
	assert_int_equal(received(s, fd, got, 2 + 43), 45);
	assert_memory_equal(got + 2, "\0\1\x81\x80", 4);
	assert_true(received(s, fd, got, 2 + 29) == 31);
	assert_memory_equal(got + 2, "\0\2\x81\x83", 4);
	close(fd);
	/* nonsense ends the connection */
	fd = connected(s);
	assert_int_equal(send(fd, "\0\3abc", 5, 0), 5);
	turn(s, 10);
	assert_int_equal(recv(fd, got, 1, MSG_DONTWAIT), 0);
	close(fd);
}

static void large_answers_come_over_connections(void **state)
{
	struct scene *s = *state;
	uint8_t out[512], query[512];
	static uint8_t large[2 + 3000], got[2 + 3000];
	int fd = connected(s), upstream = -1;
	size_t n = frame(out, 0x77, "large.test");
	assert_int_equal(send(fd, out, n, 0), n);
	for (int i = 0; i < 400 && upstream < 0; i++) {
		turn(s, 1);
		upstream = accept(s->upstream_tcp, NULL, NULL);
	}
	assert_true(upstream >= 0);
	assert_int_equal(received(s, upstream, query, n), n);
	large[0] = 3000 >> 8;
	large[1] = 3000 & 255;
	memcpy(large + 2, query + 2, n - 2);
	large[4] |= 0x80;
	large[3001] = 0x55;
	assert_int_equal(send(upstream, large, 1000, 0), 1000);
	turn(s, 4);
	assert_int_equal(send(upstream, large + 1000, sizeof(large) - 1000, 0), sizeof(large) - 1000);
	assert_int_equal(received(s, fd, got, sizeof(got)), sizeof(got));
	assert_memory_equal(got, "\x0b\xb8\0\x77", 4);
	assert_int_equal(got[3001], 0x55);
	/* a place that is left takes all of it along */
	send_query(s, 1, "example.test");
	turn(s, 4);
	/* the asker leaves: what is under way for it is forgotten */
	assert_int_equal(send(fd, out, n, 0), n);
	turn(s, 10);
	close(fd);
	turn(s, 10);
	close(upstream);
	turn(s, 10);
	dns_leave(s->dns, "vpc-1");
	dns_leave(s->dns, "vpc-1");
	send_query(s, 1, "mine.test");
	assert_int_equal(answer(s, 20), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(own_names, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(others_are_asked_for, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(names_that_lead_on, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(ways_through_doors, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(ids_and_ports_differ, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(silence_is_a_failure, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(floods_are_refused, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(connections, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(large_answers_come_over_connections, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
