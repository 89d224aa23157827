#include "engine/probe/probe.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_TCP_US = 10000000, CONNECT_HTTP_US = 4000000, REPLY_US = 2000000, BODY_US = 2000000 };
enum { REQUEST_MAX = 2048, HEAD_MAX = 16384, SEARCHED_MAX = 5120, WHY_MAX = 200 };

enum step { CONNECTING, SHAKING_HANDS, SENDING, READING_HEAD, READING_BODY };

struct probe {
	struct loop *loop;
	probe_done_fn *done;
	void *ctx;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *timer;
	enum step step;
	int64_t since_us; /* the step that is timed */
	struct probe_times took;
	bool http;
	SSL_CTX *tls;
	SSL *ssl;
	struct str search; /* points into `texts` */
	char request[REQUEST_MAX], status[64], texts[256];
	size_t request_n, sent, n, body; /* body: where it begins in `in` */
	char in[HEAD_MAX + SEARCHED_MAX];
};

bool probe_may(uint32_t a)
{
	static const struct {
		uint32_t at;
		unsigned bits;
	} closed[] = {{0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
	              {0xac100000, 12}, {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xe0000000, 3}};
	static const uint32_t public = 0x7f400000, public_mask = 0xfff00000; /* 127.64.0.0/12, EC2's */
	if ((a & public_mask) == public)
		return true;
	for (size_t i = 0; i < sizeof(closed) / sizeof(*closed); i++)
		if ((a ^ closed[i].at) >> (32 - closed[i].bits) == 0)
			return false;
	return true;
}

static void release(struct probe *p)
{
	loop_remove_fd(p->loop, p->watch);
	loop_remove_timer(p->loop, p->timer);
	SSL_free(p->ssl);
	SSL_CTX_free(p->tls);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

void probe_cancel(struct probe *p)
{
	if (p)
		release(p);
}

static void end(struct probe *p, bool good, const char *why)
{
	char text[WHY_MAX];
	probe_done_fn *done = p->done;
	void *ctx = p->ctx;
	struct probe_times took = p->took;
	snprintf(text, sizeof(text), "%s", why);
	release(p);
	done(ctx, good, text, &took);
}

static void fail(struct probe *p, const char *what, int error)
{
	char text[WHY_MAX];
	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	end(p, false, text);
}

/* --- bytes, plain or through TLS: what recv() and send() return, -EAGAIN to wait, other errors as -EIO */

static int tls_result(struct probe *p, int n)
{
	int why = SSL_get_error(p->ssl, n);
	if (n > 0)
		return n;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	loop_set_fd(p->loop, p->watch, why == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -EAGAIN : -EPROTO;
}

static int send_some(struct probe *p)
{
	size_t left = p->request_n - p->sent;
	if (p->ssl)
		return tls_result(p, SSL_write(p->ssl, p->request + p->sent, (int)left));
	ssize_t n = send(p->fd, p->request + p->sent, left, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : (int)n;
}

static int read_some(struct probe *p)
{
	size_t room = sizeof(p->in) - p->n;
	if (p->ssl)
		return tls_result(p, SSL_read(p->ssl, p->in + p->n, (int)room));
	ssize_t n = recv(p->fd, p->in + p->n, room, MSG_DONTWAIT);
	return n < 0 ? -errno : (int)n;
}

static void too_late(void *ctx)
{
	struct probe *p = ctx;
	p->timer = NULL;
	end(p, false, p->step == CONNECTING ? "connection timed out" : "Response timed out");
}

/* The step that was timed has ended, and another one begins. */
static int64_t lap(struct probe *p)
{
	int64_t now = clock_mono_us(), took = now - p->since_us;
	p->since_us = now;
	return took > 0 ? took : 1;
}

static void step_to(struct probe *p, enum step step, int64_t us)
{
	p->step = step;
	if (us) {
		loop_remove_timer(p->loop, p->timer);
		p->timer = loop_add_timer(p->loop, us, too_late, p);
	}
	loop_set_fd(p->loop, p->watch, step == READING_HEAD || step == READING_BODY ? EPOLLIN : EPOLLOUT);
}

/* --- HTTP */

/* The text of a status line: "HTTP/1.1 200 OK". False: it is none. */
static bool read_status(struct probe *p, unsigned *ret)
{
	struct str head = str_of(p->in, p->n), line = str_cut(&head, '\n');
	uint64_t code;
	if (!str_starts(line, S("HTTP/1.")) || line.n < 12 || !str_to_u64(str_sub(line, 9, 3), &code) || code < 100)
		return false;
	struct str reason = str_trim(str_from_at(line, 12));
	if (reason.n > 30)
		reason.n = 30;
	for (size_t i = 0; i < reason.n; i++)
		if (reason.p[i] < ' ' || reason.p[i] > '~')
			reason.n = i;
	snprintf(p->status, sizeof(p->status), "HTTP Status Code %u, %.*s", (unsigned)code, STR_ARG(reason));
	*ret = (unsigned)code;
	return true;
}

/* True: it has ended. */
static bool judge_body(struct probe *p, bool whole)
{
	size_t n = p->n - p->body;
	struct str body = str_of(p->in + p->body, n < SEARCHED_MAX ? n : SEARCHED_MAX);
	char text[WHY_MAX];
	bool found = str_find(body, p->search) >= 0;
	if (!found && !whole && n < SEARCHED_MAX)
		return false;
	snprintf(text, sizeof(text), "%s. Response body %s search string", p->status, found ? "contains" : "does not contain");
	end(p, found, text);
	return true;
}

static bool judge_head(struct probe *p, bool whole)
{
	ptrdiff_t at = str_find(str_of(p->in, p->n), S("\r\n\r\n"));
	unsigned code;
	if (at < 0) {
		if (!whole && p->n < HEAD_MAX)
			return false;
		end(p, false, p->n ? "The response is not HTTP" : "The connection was closed without a response");
		return true;
	}
	bool is_http = read_status(p, &code);
	if (!is_http || code >= 400 || code < 200 || !str_set(p->search)) {
		end(p, is_http && code >= 200 && code < 400, is_http ? p->status : "The response is not HTTP");
		return true;
	}
	p->body = (size_t)at + 4;
	step_to(p, READING_BODY, BODY_US);
	return judge_body(p, whole);
}

static void reply_came(struct probe *p)
{
	for (;;) {
		int n = read_some(p);
		if (n == -EAGAIN)
			return;
		bool whole = n <= 0;
		if (!whole && !p->took.first_byte_us)
			p->took.first_byte_us = lap(p);
		p->n += n > 0 ? (size_t)n : 0;
		if (p->step == READING_HEAD ? judge_head(p, whole) : judge_body(p, whole))
			return;
		if (whole)
			return;
	}
}

static void send_request(struct probe *p)
{
	while (p->sent < p->request_n) {
		int n = send_some(p);
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			fail(p, "The request could not be sent", n ? -n : ECONNRESET);
			return;
		}
		p->sent += (size_t)n;
	}
	step_to(p, READING_HEAD, 0);
	reply_came(p);
}

static void shake_hands(struct probe *p)
{
	int n = tls_result(p, SSL_connect(p->ssl));
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		end(p, false, "SSL handshake failed");
		return;
	}
	p->took.handshake_us = lap(p);
	step_to(p, SENDING, 0);
	send_request(p);
}

static void connected(struct probe *p)
{
	int error = 0;
	socklen_t size = sizeof(error);
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error) {
		fail(p, "connection failed", error ? error : errno);
		return;
	}
	p->took.connect_us = lap(p);
	if (!p->http) {
		end(p, true, "TCP connection was established");
		return;
	}
	step_to(p, p->ssl ? SHAKING_HANDS : SENDING, REPLY_US);
	if (p->ssl)
		shake_hands(p);
	else
		send_request(p);
}

static void happened(void *ctx, uint32_t events)
{
	struct probe *p = ctx;
	(void)events;
	switch (p->step) {
	case CONNECTING:
		connected(p);
		break;
	case SHAKING_HANDS:
		shake_hands(p);
		break;
	case SENDING:
		send_request(p);
		break;
	default:
		reply_came(p);
	}
}

static void cannot(void *ctx)
{
	struct probe *p = ctx;
	p->timer = NULL;
	end(p, false, p->status);
}

/* What fails at once is said later too. */
static struct probe *later(struct probe *p, const char *why)
{
	snprintf(p->status, sizeof(p->status), "%s", why);
	p->timer = loop_add_timer(p->loop, 0, cannot, p);
	return p;
}

static bool begin_tls(struct probe *p, const char *sni)
{
	p->tls = SSL_CTX_new(TLS_client_method());
	p->ssl = p->tls ? SSL_new(p->tls) : NULL;
	if (!p->ssl || SSL_set_fd(p->ssl, p->fd) != 1)
		return false;
	return !sni || SSL_set_tlsext_host_name(p->ssl, sni) == 1;
}

struct probe *probe_start(struct loop *l, const struct probe_about *about, probe_done_fn *done, void *ctx)
{
	struct probe *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->loop = l;
	p->done = done;
	p->ctx = ctx;
	p->fd = -1;
	p->http = about->http;
	if (!probe_may(about->address))
		return later(p, "The address is not one that checkers reach");
	if (about->http) {
		int n = snprintf(p->request, sizeof(p->request),
		                 "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nUser-Agent: %s\r\n\r\n", about->path,
		                 about->host, about->agent);
		if (n < 0 || (size_t)n >= sizeof(p->request))
			return later(p, "The request is too long");
		p->request_n = (size_t)n;
	}
	if (str_set(about->search) && about->search.n <= sizeof(p->texts)) {
		memcpy(p->texts, about->search.p, about->search.n);
		p->search = str_of(p->texts, about->search.n);
	}
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(about->port), .sin_addr = {htonl(about->address)}};
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || (about->tls && !begin_tls(p, about->sni)))
		return later(p, "The checker has no socket");
	p->since_us = clock_mono_us();
	if (connect(p->fd, (const struct sockaddr *)&at, sizeof(at)) < 0 && errno != EINPROGRESS)
		return later(p, "connection failed");
	p->watch = loop_add_fd(l, p->fd, EPOLLOUT, happened, p);
	p->timer = loop_add_timer(l, about->http ? CONNECT_HTTP_US : CONNECT_TCP_US, too_late, p);
	return p;
}
