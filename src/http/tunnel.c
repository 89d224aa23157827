/* A client's connection and a socket that is spoken to in its place, with one piece of room each way. Whoever takes over an
 * upgraded TLS connection wants a descriptor, so it gets one end of a pair of sockets, and what passes between the other end and
 * the client is put into and out of TLS here. A request that is passed on goes to a socket that was there before. */
#include "http/conn.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE_BYTES = 16384 };

struct piece {
	char *bytes;
	size_t cap, at, n;
	bool ended;
};
struct http_tunnel {
	struct list node; /* of the server */
	struct loop *loop;
	struct tls_conn *tls; /* NULL: the client speaks plainly */
	int client, inner;
	struct loop_fd *client_watch, *inner_watch;
	struct piece in, out; /* from the client, and towards it */
};

void tunnel_free(struct http_tunnel *t)
{
	list_remove(&t->node);
	loop_remove_fd(t->loop, t->client_watch);
	loop_remove_fd(t->loop, t->inner_watch);
	if (t->tls)
		tls_close(t->tls);
	tls_conn_free(t->tls);
	close(t->client);
	close(t->inner);
	free(t->in.bytes);
	free(t->out.bytes);
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

static ssize_t client_read(struct http_tunnel *t, void *p, size_t n)
{
	return t->tls ? tls_read(t->tls, p, n) : plain_read(t->client, p, n);
}

static ssize_t client_write(struct http_tunnel *t, const void *p, size_t n)
{
	return t->tls ? tls_write(t->tls, p, n) : plain_write(t->client, p, n);
}

static void turn(void *ctx, uint32_t events)
{
	(void)events;
	struct http_tunnel *t = ctx;
	bool more = true;
	while (more) {
		more = false;
		if (!t->in.n && !t->in.ended)
			filled(&t->in, client_read(t, t->in.bytes, t->in.cap));
		if (t->in.n)
			more = emptied(&t->in, plain_write(t->inner, t->in.bytes + t->in.at, t->in.n));
		if (!t->out.n && !t->out.ended)
			filled(&t->out, plain_read(t->inner, t->out.bytes, t->out.cap));
		if (t->out.n)
			more = emptied(&t->out, client_write(t, t->out.bytes + t->out.at, t->out.n)) || more;
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
	            (t->in.n || t->in.ended ? 0u : EPOLLIN) | (t->out.n || (t->tls && tls_wants_write(t->tls)) ? EPOLLOUT : 0u));
	if (t->inner_watch)
		loop_set_fd(t->loop, t->inner_watch, (t->out.n ? 0u : EPOLLIN) | (t->in.n ? EPOLLOUT : 0u));
}

struct http_tunnel *tunnel_first(struct http_server *s)
{
	return list_first(&s->tunnels, struct http_tunnel, node);
}

static void *piece_new(struct piece *w, size_t cap)
{
	w->cap = cap;
	return w->bytes = malloc(cap);
}

/* NULL: there is none, and all that it was to own is closed. */
static struct http_tunnel *tunnel_new(struct http_server *s, struct tls_conn *tls, int client, int inner, size_t room)
{
	struct http_tunnel *t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory (tunnel)");
	*t = (struct http_tunnel){.loop = s->loop, .tls = tls, .client = client, .inner = inner};
	if (!piece_new(&t->in, room) || !piece_new(&t->out, PIECE_BYTES))
		die("out of memory (tunnel)");
	list_push(&s->tunnels, &t->node);
	/* It can be written to, so the first turn comes at once and finds what TLS has decrypted already. */
	t->client_watch = loop_add_fd(s->loop, client, EPOLLIN | EPOLLOUT, turn, t);
	t->inner_watch = loop_add_fd(s->loop, t->inner, EPOLLIN, turn, t);
	if (t->client_watch && t->inner_watch)
		return t;
	tunnel_free(t);
	return NULL;
}

int tunnel_open(struct http_server *s, struct tls_conn *tls, int client)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		tls_close(tls);
		tls_conn_free(tls);
		close(client);
		return -EMFILE;
	}
	if (tunnel_new(s, tls, client, pair[0], PIECE_BYTES))
		return pair[1];
	close(pair[1]);
	return -EMFILE;
}

void tunnel_join(struct http_server *s, struct tls_conn *tls, int client, int to, const struct str early[2])
{
	size_t n = early[0].n + early[1].n;
	struct http_tunnel *t = tunnel_new(s, tls, client, to, n > PIECE_BYTES ? n : PIECE_BYTES);
	if (!t)
		return;
	t->in.n = n;
	memcpy(t->in.bytes, early[0].p, early[0].n);
	memcpy(t->in.bytes + early[0].n, early[1].p, early[1].n);
}
