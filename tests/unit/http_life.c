/* Connections over time: deadlines, clients that leave, draining, upgrade, and what many idle ones cost. */
#include "http_test.h"

#include "base/clock.h"
#include "base/sanitized.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

#define GET "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
static const struct http_limits quick = {.head_us = 60000, .idle_us = 60000, .stall_us = 60000};

static void gone(void *ctx)
{
	((struct site *)ctx)->gone++;
}

static void drained(void *ctx)
{
	((struct site *)ctx)->drained++;
}

static void hold(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->held = r;
	http_on_gone(r, gone, t);
}

static void answer(void *ctx, struct http_request *r)
{
	(void)ctx;
	http_reply(r, 200, NULL, 0, S("body"));
}

static void collected(void *ctx, struct str body, int status)
{
	(void)body;
	assert_int_equal(status, 0);
	answer(NULL, ((struct site *)ctx)->held);
}

static void collect_and_answer(void *ctx, struct http_request *r)
{
	if (http_head(r)->has_body) {
		hold(ctx, r);
		http_body_collect(r, 100, collected, ctx);
	} else {
		answer(ctx, r);
	}
}

/* Turns the loop for that long. */
static void site_wait(struct site *t, int64_t us)
{
	for (int64_t end = clock_mono_us() + us, left; (left = end - clock_mono_us()) > 0;)
		loop_turn(t->loop, left);
}

static void idle_connections_end(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, &quick, answer);
	int fd = site_connect(&t), silent = site_connect(&t);
	for (int i = 0; i < 4; i++) { /* each request begins the time anew */
		site_wait(&t, 30000);
		client_send(fd, S(GET));
	}
	site_wait(&t, 30000);
	assert_int_equal(http_connections(t.server), 1); /* the silent one is gone */
	site_wait(&t, 90000);
	assert_int_equal(http_connections(t.server), 0);
	assert_true(client_read(&t, fd, &b) && str_ends(buf_str(&b), S("body")));
	buf_clear(&b);
	assert_true(client_read(&t, silent, &b) && b.n == 0);
	close(fd);
	close(silent);
	site_close(&t);
}

static void patient_listeners_wait(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, &quick, collect_and_answer);
	http_listener_patient(t.listener);
	int fd = site_connect(&t);
	static const char *const parts[] = {GET, "GET / HT", "TP/1.1\r\nHost: x\r\n\r\n",
	                                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab", "cd"};
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		site_wait(&t, 150000);
		client_send(fd, str_from(parts[i]));
	}
	assert_false(client_read(&t, fd, &b));
	int answers = 0;
	for (struct str rest = buf_str(&b); str_find(rest, S("200 OK")) >= 0; answers++)
		rest = str_from_at(rest, (size_t)str_find(rest, S("200 OK")) + 6);
	assert_int_equal(answers, 3);
	assert_int_equal(http_connections(t.server), 1);
	close(fd);
	site_close(&t);
}

static void slow_heads_end(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, &quick, answer);
	int fd = site_connect(&t);
	client_send(fd, S("GET / HTTP/1.1\r\n"));
	bool closed = false;
	for (int i = 0; i < 12 && !closed; i++) { /* a header line now and then does not help */
		site_wait(&t, 15000);
		closed = client_read(&t, fd, &b);
		if (!closed)
			client_send(fd, S("a: b\r\n"));
	}
	assert_true(closed);
	assert_true(str_starts(buf_str(&b), S("HTTP/1.1 408 ")));
	close(fd);
	site_close(&t);
}

static void piece_take(void *ctx, struct str piece, int status)
{
	struct site *t = ctx;
	t->bytes += piece.n;
	t->status = status;
	if (status > 0)
		http_body_next(t->held, piece_take, t);
	else
		http_reply(t->held, status ? 400 : 200, NULL, 0, S("end"));
}

static void take_all(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	t->held = r;
	http_body_next(r, piece_take, t);
}

static void slow_bodies_may_be_slow_but_move(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, &quick, take_all);
	int fd = site_connect(&t);
	client_send(fd, S("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"));
	for (int i = 0; i < 6; i++) {
		site_wait(&t, 30000);
		client_send(fd, S("0123456789"));
	}
	site_wait(&t, 10000);
	assert_int_equal(t.bytes, 60);
	assert_true(t.status > 0);
	site_wait(&t, 100000);
	assert_int_equal(t.status, -ETIMEDOUT);
	assert_true(client_read(&t, fd, &b));
	assert_true(str_starts(buf_str(&b), S("HTTP/1.1 400 ")) && str_ends(buf_str(&b), S("end")));
	close(fd);
	site_close(&t);
}

static void readers_that_stall_are_cut(void **state)
{
	(void)state;
	static char large[4 << 20];
	struct site t;
	site_open(&t, &quick, hold);
	int fd = site_connect(&t);
	client_send(fd, S(GET));
	site_turn(&t, 2);
	http_reply_start(t.held, 200, NULL, 0, -1, drained, &t);
	while (http_reply_write(t.held, str_of(large, sizeof(large))))
		site_turn(&t, 2);
	char piece[4096];
	for (int i = 0; i < 4; i++) { /* as long as the client takes something it is borne with */
		site_wait(&t, 30000);
		assert_true(recv(fd, piece, sizeof(piece), MSG_DONTWAIT) > 0);
		while (recv(fd, piece, sizeof(piece), MSG_DONTWAIT) > 0)
			;
	}
	assert_int_equal(t.gone, 0);
	site_wait(&t, 150000);
	assert_int_equal(t.gone, 1);
	assert_int_equal(t.drained, 0);
	assert_int_equal(http_connections(t.server), 0);
	close(fd);
	site_close(&t);
}

static void late_replies_and_clients_that_leave(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, &quick, hold);
	int fd = site_connect(&t);
	client_send(fd, S(GET GET)); /* the second waits its turn */
	site_wait(&t, 200000);       /* thinking has no deadline */
	struct http_request *first = t.held;
	assert_non_null(first);
	http_reply(first, 200, NULL, 0, S("late"));
	assert_false(client_read(&t, fd, &b));
	assert_true(str_ends(buf_str(&b), S("\r\n\r\nlate")));
	t.held = NULL;
	client_send(fd, S(GET));
	site_turn(&t, 3);
	assert_int_equal(t.gone, 0);
	close(fd);
	site_turn(&t, 3);
	assert_int_equal(t.gone, 1);
	assert_int_equal(http_connections(t.server), 0);
	/* half a close while nothing more is expected counts as leaving, too */
	fd = site_connect(&t);
	client_send(fd, S(GET));
	site_turn(&t, 3);
	shutdown(fd, SHUT_WR);
	site_turn(&t, 3);
	assert_int_equal(t.gone, 2);
	close(fd);
	/* the server's end counts as well */
	fd = site_connect(&t);
	client_send(fd, S(GET));
	site_turn(&t, 3);
	http_listener_close(t.listener);
	assert_int_equal(t.gone, 3);
	assert_int_equal(http_connections(t.server), 0);
	close(fd);
	site_close(&t);
}

static void close_inside(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	http_on_gone(r, gone, t);
	http_listener_close(t->listener);
}

static void listener_closed_by_its_own_handler(void **state)
{
	(void)state;
	struct site t;
	site_open(&t, NULL, close_inside);
	int other = site_connect(&t), fd = site_connect(&t);
	client_send(fd, S(GET));
	site_turn(&t, 3);
	assert_int_equal(t.gone, 1);
	assert_int_equal(http_connections(t.server), 0);
	close(fd);
	close(other);
	site_close(&t);
}

static void draining(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, NULL, hold);
	int idle = site_connect(&t), busy = site_connect(&t);
	client_send(busy, S(GET));
	site_turn(&t, 3);
	http_server_drain(t.server, HTTP_DRAIN_SERVE, 10000000, drained, &t);
	assert_true(client_read(&t, idle, &b));
	assert_int_equal(t.drained, 0);
	http_reply(t.held, 200, NULL, 0, S("last"));
	assert_true(client_read(&t, busy, &b));
	assert_true(str_find(buf_str(&b), S("Connection: close")) > 0);
	site_turn(&t, 2);
	assert_int_equal(t.drained, 1);
	assert_int_equal(t.gone, 0);
	close(idle);
	close(busy);
	site_close(&t);
	/* a request that has come and was not read yet is served */
	site_open(&t, NULL, hold);
	busy = site_connect(&t);
	client_send(busy, S(GET));
	http_server_drain(t.server, HTTP_DRAIN_SERVE, 10000000, drained, &t);
	site_turn(&t, 3);
	assert_non_null(t.held);
	http_reply(t.held, 200, NULL, 0, S("late"));
	buf_clear(&b);
	assert_true(client_read(&t, busy, &b));
	assert_true(str_ends(buf_str(&b), S("late")));
	assert_int_equal(t.drained, 1);
	close(busy);
	site_close(&t);
	/* but not where the next server is to have it */
	site_open(&t, NULL, hold);
	busy = site_connect(&t);
	client_send(busy, S(GET));
	http_server_drain(t.server, HTTP_DRAIN_LEAVE, 10000000, drained, &t);
	site_turn(&t, 3);
	assert_null(t.held);
	assert_true(client_read(&t, busy, &b));
	assert_int_equal(t.drained, 1);
	close(busy);
	site_close(&t);
	/* what outlasts the grace is cut */
	site_open(&t, NULL, hold);
	busy = site_connect(&t);
	client_send(busy, S(GET));
	site_turn(&t, 3);
	http_server_drain(t.server, HTTP_DRAIN_SERVE, 30000, drained, &t);
	site_wait(&t, 60000);
	assert_int_equal(t.gone, 1);
	assert_int_equal(t.drained, 1);
	close(busy);
	site_close(&t);
}

static void upgraded(void *ctx, int fd, struct str early)
{
	struct site *t = ctx;
	t->status = fd;
	buf_add_str(&t->seen, early);
}

static void upgrade(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	http_on_gone(r, gone, t);
	t->pieces = http_upgrade(r, (const struct http_header[]){{S("Upgrade"), S("tcp")}}, 1, upgraded, t);
	if (t->pieces < 0)
		http_reply(r, 400, NULL, 0, S("no"));
}

static void upgrades(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, NULL, upgrade);
	int fd = site_connect(&t);
	client_send(fd, S("POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly"));
	assert_false(client_read(&t, fd, &b));
	assert_str(buf_str(&b), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
	assert_str(buf_str(&t.seen), "early");
	assert_int_equal(http_connections(t.server), 0);
	assert_int_equal(write(t.status, "hi", 2), 2);
	buf_clear(&b);
	client_read(&t, fd, &b);
	assert_str(buf_str(&b), "hi");
	close(t.status);
	close(fd);
	fd = site_connect(&t);
	client_send(fd, S("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nea"));
	site_turn(&t, 3);
	assert_int_equal(t.pieces, -EPROTO);
	close(fd);
	site_turn(&t, 3);
	assert_int_equal(t.gone, 0);
	/* a client that is lost before its 101 could be sent is told as gone */
	t.status = -1;
	fd = site_connect(&t);
	client_send(fd, S("POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\r\n"));
	close(fd);
	site_turn(&t, 3);
	assert_int_equal(t.gone, 1);
	assert_int_equal(t.status, -1);
	site_close(&t);
}

static struct sockaddr_in tcp_listen(struct site *t)
{
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* the server makes it non-blocking */
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	assert_int_equal(bind(l, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(l, 2000), 0);
	getsockname(l, (struct sockaddr *)&at, &n);
	assert_non_null(http_listen(t->server, l, NULL, t));
	assert_true(fcntl(l, F_GETFL) & O_NONBLOCK);
	return at;
}

static int tcp_connect(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)at, sizeof(*at)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void note_peer(void *ctx, struct http_request *r)
{
	struct site *t = ctx;
	const struct sockaddr_in *peer = (const struct sockaddr_in *)&http_head(r)->peer;
	t->status = peer->sin_family == AF_INET && peer->sin_addr.s_addr == htonl(INADDR_LOOPBACK) ? ntohs(peer->sin_port) : -1;
	assert_ptr_equal(http_head(r)->listener_ctx, t);
	http_reply(r, 200, NULL, 0, S("body"));
}

static void accepting_within_the_limit(void **state)
{
	(void)state;
	struct site t;
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	site_open(&t, &(struct http_limits){.connections = 2}, note_peer);
	struct sockaddr_in at = tcp_listen(&t);
	int fds[3];
	for (int i = 0; i < 3; i++)
		fds[i] = tcp_connect(&at);
	client_send(fds[2], S(GET));
	assert_false(client_read(&t, fds[2], &b));
	assert_int_equal(b.n, 0);
	assert_int_equal(http_connections(t.server), 2);
	close(fds[0]); /* makes room for the one in the backlog */
	site_turn(&t, 3);
	assert_false(client_read(&t, fds[2], &b));
	assert_true(str_ends(buf_str(&b), S("body")));
	struct sockaddr_in me;
	socklen_t n = sizeof(me);
	getsockname(fds[2], (struct sockaddr *)&me, &n);
	assert_int_equal(t.status, ntohs(me.sin_port));
	close(fds[1]);
	close(fds[2]);
	site_close(&t);
}

static size_t rss_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long size, resident;
	assert_int_equal(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident * 4096;
}

static void idle_connections_cost_little(void **state)
{
	(void)state;
	enum { COUNT = 1000, BOUND_BYTES = 1024 };
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	struct site t;
	site_open(&t, NULL, answer);
	int fds[COUNT];
	size_t before = 0;
	for (int i = 0; i < COUNT; i++) {
		fds[i] = site_connect(&t);
		client_send(fds[i], S("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"));
		site_turn(&t, 2);
		char piece[512];
		assert_true(recv(fds[i], piece, sizeof(piece), 0) > 0);
		if (i == 50)
			before = rss_bytes();
	}
	size_t grown = rss_bytes() - before;
	assert_int_equal(http_connections(t.server), COUNT);
	if (!SANITIZED && grown > (COUNT - 51) * BOUND_BYTES)
		fail_msg("%zu bytes for %d idle connections", grown, COUNT - 51);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	site_turn(&t, COUNT / 50); /* a round reports at most 128 */
	assert_int_equal(http_connections(t.server), 0);
	site_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(idle_connections_end),
	        cmocka_unit_test(patient_listeners_wait),
	        cmocka_unit_test(slow_heads_end),
	        cmocka_unit_test(slow_bodies_may_be_slow_but_move),
	        cmocka_unit_test(readers_that_stall_are_cut),
	        cmocka_unit_test(late_replies_and_clients_that_leave),
	        cmocka_unit_test(listener_closed_by_its_own_handler),
	        cmocka_unit_test(draining),
	        cmocka_unit_test(upgrades),
	        cmocka_unit_test(accepting_within_the_limit),
	        cmocka_unit_test(idle_connections_cost_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
