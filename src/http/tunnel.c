/* A TLS connection that has been upgraded. Whoever took it over wants a descriptor, so it gets one end of a pair of sockets, and
 * what passes between the other end and the client is put into and out of TLS here, with one piece of room each way. */
#include "http/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE_BYTES = 16384 };

struct piece {
	char bytes[PIECE_BYTES];
	size_t at, n;
	bool ended;
};
struct http_tunnel {
	struct list node; /* of the server */
	struct loop *loop;
	struct tls_conn *tls;
	int client, inner;
	struct loop_fd *client_watch, *inner_watch;
	struct piece in, out; /* from the client, and towards it */
};

void tunnel_free(struct http_tunnel *t)
{
	list_remove(&t->node);
	loop_remove_fd(t->loop, t->client_watch);
	loop_remove_fd(t->loop, t->inner_watch);
	tls_close(t->tls);
	tls_conn_free(t->tls);
	close(t->client);
	close(t->inner);
	free(t);
}

static ssize_t plain_read(int fd, void *p, size_t n)
{
	ssize_t got = read(fd, p, n);
	return got >= 0 ? got : errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t plain_write(int fd, const void *p, size_t n)
{
	ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
	return put >= 0 ? put : errno == EINTR ? -EAGAIN : -errno;
}

/* What was read, or why nothing was. True: there is something to pass on. */
static bool filled(struct piece *w, ssize_t n)
{
	if (n > 0) {
		w->at = 0;
		w->n = (size_t)n;
	} else if (n != -EAGAIN) {
		w->ended = true;
	}
	return n > 0;
}

/* What was written. True: there is room again. */
static bool emptied(struct piece *w, ssize_t n)
{
	if (n > 0) {
		w->at += (size_t)n;
		w->n -= (size_t)n;
	} else if (n != -EAGAIN) {
		w->ended = true; /* nobody takes it any more */
		w->n = 0;
	}
	return n > 0 && w->n == 0;
}

static void turn(void *ctx, uint32_t events)
{
	(void)events;
	struct http_tunnel *t = ctx;
	bool more = true;
	while (more) {
		more = false;
		if (!t->in.n && !t->in.ended)
			filled(&t->in, tls_read(t->tls, t->in.bytes, PIECE_BYTES));
		if (t->in.n)
			more = emptied(&t->in, plain_write(t->inner, t->in.bytes + t->in.at, t->in.n));
		if (!t->out.n && !t->out.ended)
			filled(&t->out, plain_read(t->inner, t->out.bytes, PIECE_BYTES));
		if (t->out.n)
			more = emptied(&t->out, tls_write(t->tls, t->out.bytes + t->out.at, t->out.n)) || more;
	}
	if ((t->in.ended && !t->in.n) || (t->out.ended && !t->out.n)) {
		tunnel_free(t);
		return;
	}
	/* An end that has closed would be reported again and again while the other has not taken its last words. */
	if (t->out.ended) {
		loop_remove_fd(t->loop, t->inner_watch);
		t->inner_watch = NULL;
	}
	loop_set_fd(t->loop, t->client_watch,
	            (t->in.n || t->in.ended ? 0u : EPOLLIN) | (t->out.n || tls_wants_write(t->tls) ? EPOLLOUT : 0u));
	if (t->inner_watch)
		loop_set_fd(t->loop, t->inner_watch, (t->out.n ? 0u : EPOLLIN) | (t->in.n ? EPOLLOUT : 0u));
}

struct http_tunnel *tunnel_first(struct http_server *s)
{
	return list_first(&s->tunnels, struct http_tunnel, node);
}

int tunnel_open(struct http_server *s, struct tls_conn *tls, int client)
{
	int pair[2];
	struct http_tunnel *t = calloc(1, sizeof(*t));
	if (!t || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		free(t);
		tls_close(tls);
		tls_conn_free(tls);
		close(client);
		return -EMFILE;
	}
	*t = (struct http_tunnel){.loop = s->loop, .tls = tls, .client = client, .inner = pair[0]};
	list_push(&s->tunnels, &t->node);
	/* It can be written to, so the first turn comes at once and finds what TLS has decrypted already. */
	t->client_watch = loop_add_fd(s->loop, client, EPOLLIN | EPOLLOUT, turn, t);
	t->inner_watch = loop_add_fd(s->loop, t->inner, EPOLLIN, turn, t);
	if (t->client_watch && t->inner_watch)
		return pair[1];
	tunnel_free(t);
	close(pair[1]);
	return -EMFILE;
}
