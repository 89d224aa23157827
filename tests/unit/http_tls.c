/* Certificates, TLS on the server, and our client against both, over TCP and Unix sockets. The server runs on a thread of its own.
 */
#include "http_test.h"

#include "http/client.h"
#include "http/tls.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { LARGE = 3 << 20 };
static char large[LARGE];
static char dir[64], ca_pem[96], cert_pem[96], key_pem[96];

static void echo_end(void *ctx, struct str body, int status)
{
	struct http_request *r = ctx;
	assert_int_equal(status, 0);
	const struct http_header headers[] = {{S("X-Host"), http_head(r)->host},
	                                      {S("X-Tls"), http_head(r)->tls ? S("yes") : S("no")},
	                                      {S("X-Empty"), http_header(r, S("x-empty"))}};
	http_reply(r, 200, headers, 3, body);
}

static void echo(void *ctx, struct http_request *r)
{
	(void)ctx;
	http_body_collect(r, 64 << 20, echo_end, r);
}

static void stop(void *ctx)
{
	loop_stop(ctx);
}

static void *serve(void *ctx)
{
	loop_run(((struct site *)ctx)->loop);
	return NULL;
}

struct running {
	struct site site;
	struct http_tls *tls;
	pthread_t thread;
	int port;
	struct sockaddr_in at;
	char unix_path[96];
};

static void run_start(struct running *s)
{
	site_open(&s->site, NULL, echo);
	assert_int_equal(http_tls_new(cert_pem, key_pem, &s->tls), 0);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	s->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(s->at);
	assert_int_equal(bind(l, (struct sockaddr *)&s->at, n), 0);
	assert_int_equal(listen(l, 10), 0);
	getsockname(l, (struct sockaddr *)&s->at, &n);
	s->port = ntohs(s->at.sin_port);
	assert_non_null(http_listen(s->site.server, l, s->tls, NULL));
	l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	snprintf(s->unix_path, sizeof(s->unix_path), "%s/socket", dir);
	memcpy(u.sun_path, s->unix_path, strlen(s->unix_path));
	unlink(s->unix_path);
	assert_int_equal(bind(l, (struct sockaddr *)&u, sizeof(u)), 0);
	assert_int_equal(listen(l, 10), 0);
	assert_non_null(http_listen(s->site.server, l, NULL, NULL));
	assert_int_equal(pthread_create(&s->thread, NULL, serve, &s->site), 0);
}

static void run_stop(struct running *s)
{
	loop_post(s->site.loop, stop, s->site.loop);
	pthread_join(s->thread, NULL);
	site_close(&s->site);
	http_tls_free(s->tls);
}

static struct str file_read(struct arena *a, const char *path)
{
	char text[16384];
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return arena_dup(a, str_of(text, n));
}

static void authority_is_kept(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	assert_int_equal(tls_make_ca(dir), 0);
	struct stat st;
	assert_int_equal(stat(key_pem, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	struct str ca = file_read(&a, ca_pem), cert = file_read(&a, cert_pem), key = file_read(&a, key_pem);
	assert_int_equal(tls_make_ca(dir), 0);
	assert_true(str_eq(ca, file_read(&a, ca_pem)) && str_eq(cert, file_read(&a, cert_pem)) &&
	            str_eq(key, file_read(&a, key_pem)));
	/* a key that does not fit its certificate is of no use: all is made anew */
	FILE *f = fopen(key_pem, "we");
	fputs("no key\n", f);
	fclose(f);
	struct http_tls *tls = NULL;
	assert_int_equal(http_tls_new(cert_pem, key_pem, &tls), -EINVAL);
	assert_int_equal(tls_make_ca(dir), 0);
	assert_false(str_eq(cert, file_read(&a, cert_pem)));
	assert_int_equal(http_tls_new(cert_pem, key_pem, &tls), 0);
	http_tls_free(tls);
	assert_true(tls_make_ca("/nonexistent/dir") < 0);
}

static struct str reply_header(const struct http_client_reply *r, const char *name)
{
	for (unsigned i = 0; i < r->header_count; i++)
		if (str_ieq(r->headers[i].name, str_from(name)))
			return r->headers[i].value;
	return STR_NONE;
}

struct sink {
	size_t bytes;
	size_t stop_at;
};

static bool sink_take(void *ctx, struct str piece)
{
	struct sink *s = ctx;
	assert_memory_equal(piece.p, large + s->bytes, piece.n);
	s->bytes += piece.n;
	return !s->stop_at || s->bytes < s->stop_at;
}

static void round_trips(void **state)
{
	(void)state;
	struct running s = {0};
	struct arena CLEAN_ARENA a = {0};
	run_start(&s);
	const char *why = NULL;
	struct http_client *c = http_client_new(NULL, ca_pem, &why);
	assert_non_null(c);
	struct http_client_reply reply;
	struct str text = STR_NONE;
	const struct http_header headers[] = {{S("X-Empty"), S("")}};
	struct http_client_request q = {.method = "GET",
	                                .url = arena_printf(&a, "https://localhost:%d/", s.port).p,
	                                .headers = headers,
	                                .header_count = 1,
	                                .timeout_us = 20000000};
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), 0);
	assert_int_equal(reply.status, 200);
	assert_str(reply_header(&reply, "x-tls"), "yes");
	assert_true(str_set(reply_header(&reply, "x-empty")));
	/* names of services and buckets, one connection each */
	const char *const hosts[] = {"s3.localhost", "bucket.s3.localhost", "127.0.0.1", "lambda.localhost"};
	for (int i = 0; i < 4; i++) {
		q.url = arena_printf(&a, "https://%s:%d/", hosts[i], s.port).p;
		int failed = http_client_send(c, &a, &q, &reply, &text);
		if (failed)
			fail_msg("%s: %.*s", hosts[i], STR_ARG(text));
		assert_true(str_starts(reply_header(&reply, "x-host"), str_from(hosts[i])));
	}
	/* large both ways, streamed back */
	struct sink sink = {0};
	q.method = "PUT";
	q.url = arena_printf(&a, "https://localhost:%d/", s.port).p;
	q.body = str_of(large, LARGE);
	q.on_body = sink_take;
	q.ctx = &sink;
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), 0);
	assert_int_equal(sink.bytes, LARGE);
	sink = (struct sink){.stop_at = 1000};
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), -ECANCELED);
	q.on_body = NULL;
	q.max_body = 1000;
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), -EMSGSIZE);
	q.max_body = 0;
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), 0);
	assert_true(str_eq(reply.body, q.body));
	http_client_free(c);
	/* whoever does not know the authority does not trust the server */
	c = http_client_new(NULL, NULL, &why);
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), -EPROTO);
	assert_true(text.n > 0);
	http_client_free(c);
	/* plain, over a Unix socket, with HEAD; then nobody there */
	c = http_client_new(s.unix_path, NULL, &why);
	q = (struct http_client_request){.method = "POST", .url = "http://cloud/x", .body = S("abc")};
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), 0);
	assert_str(reply.body, "abc");
	assert_str(reply_header(&reply, "x-tls"), "no");
	assert_str(reply_header(&reply, "x-host"), "cloud");
	q.method = "HEAD";
	q.body = STR_NONE;
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), 0);
	assert_int_equal(reply.body.n, 0);
	q.url = "ftp://cloud/";
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), -EINVAL);
	http_client_free(c);
	run_stop(&s);
	unlink(s.unix_path);
	c = http_client_new(s.unix_path, NULL, &why);
	q.url = "http://cloud/";
	assert_int_equal(http_client_send(c, &a, &q, &reply, &text), -ECONNREFUSED);
	http_client_free(c);
}

/* One TLS connection by hand: the protocol version asked for, ALPN, and a request that arrives in many records. */
static void protocol(void **state)
{
	(void)state;
	struct running s = {0};
	run_start(&s);
	for (int i = 0; i < 4; i++) {
		const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION, TLS1_1_VERSION, TLS1_3_VERSION};
		const unsigned char *const alpn[] = {(const unsigned char *)"\x02h2\x08http/1.1",
		                                     (const unsigned char *)"\x08http/1.1", (const unsigned char *)"\x08http/1.1",
		                                     (const unsigned char *)"\x02h2"};
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_security_level(ctx, 0);
		SSL_CTX_set_min_proto_version(ctx, versions[i]);
		SSL_CTX_set_max_proto_version(ctx, versions[i]);
		SSL_CTX_load_verify_locations(ctx, ca_pem, NULL);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL *ssl = SSL_new(ctx);
		SSL_set_alpn_protos(ssl, alpn[i], (unsigned)strlen((const char *)alpn[i]));
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&s.at, sizeof(s.at)), 0);
		SSL_set_fd(ssl, fd);
		bool good = SSL_connect(ssl) == 1;
		assert_int_equal(good, i < 2);
		if (good) {
			const unsigned char *chosen;
			unsigned n;
			SSL_get0_alpn_selected(ssl, &chosen, &n);
			assert_true(str_eq(str_of(chosen, n), S("http/1.1")));
			static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n";
			for (size_t k = 0; k < sizeof(head) - 1; k++)
				assert_int_equal(SSL_write(ssl, head + k, 1), 1);
			for (size_t at = 0; at < 40000; at += 100)
				assert_int_equal(SSL_write(ssl, large + at, 100), 100);
			char back[50000];
			size_t got = 0;
			while (got < 40000 || !memmem(back, got, large, 40000)) {
				int part = SSL_read(ssl, back + got, (int)(sizeof(back) - got));
				assert_true(part > 0);
				got += (size_t)part;
			}
		}
		SSL_free(ssl);
		SSL_CTX_free(ctx);
		close(fd);
	}
	run_stop(&s);
}

static void plain_http_is_told(void **state)
{
	(void)state;
	struct running s = {0};
	run_start(&s);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&s.at, sizeof(s.at)), 0);
	client_send(fd, S("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	char back[1000];
	size_t got = 0;
	ssize_t part;
	while ((part = recv(fd, back + got, sizeof(back) - got, 0)) > 0)
		got += (size_t)part;
	assert_int_equal(part, 0);
	assert_true(str_starts(str_of(back, got), S("HTTP/1.1 400 ")));
	assert_true(str_find(str_of(back, got), S("this port speaks TLS")) > 0);
	close(fd);
	run_stop(&s);
}

int main(void)
{
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)(i * 2654435761u >> 13);
	snprintf(dir, sizeof(dir), "/tmp/quartet-tls-test-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(ca_pem, sizeof(ca_pem), "%s/ca.pem", dir);
	snprintf(cert_pem, sizeof(cert_pem), "%s/cert.pem", dir);
	snprintf(key_pem, sizeof(key_pem), "%s/key.pem", dir);
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(authority_is_kept),
	        cmocka_unit_test(round_trips),
	        cmocka_unit_test(protocol),
	        cmocka_unit_test(plain_http_is_told),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	const char *const files[] = {ca_pem, cert_pem, key_pem};
	for (int i = 0; i < 3; i++)
		unlink(files[i]);
	rmdir(dir);
	return failed;
}
