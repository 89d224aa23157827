/* Questions over TCP: messages behind their length, one after the other on a connection. The next one is read when the answer of
 * the one before has been sent. */
#include "engine/dns/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IDLE_US = 10 * 1000 * 1000, QUERY_MAX = 4096 };

struct dns_connection {
	struct list link;
	struct dns_place *place;
	struct sockaddr_in peer;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *idle;
	bool waiting; /* for an answer */
	size_t in_n, out_at, out_n;
	uint8_t in[2 + QUERY_MAX];
	uint8_t *out; /* NULL: nothing is being sent */
};

static void close_connection(struct dns_connection *c)
{
	dns_forget(c->place, c);
	loop_remove_fd(c->place->dns->loop, c->watch);
	loop_remove_timer(c->place->dns->loop, c->idle);
	close(c->fd);
	list_remove(&c->link);
	c->place->connection_count--;
	free(c->out);
	free(c);
}

void dns_connections_close(struct dns_place *place)
{
	while (!list_empty(&place->connections))
		close_connection((struct dns_connection *)(void *)place->connections.next); /* link is its first member */
}

static void is_idle(void *ctx)
{
	struct dns_connection *c = ctx;
	c->idle = NULL;
	close_connection(c);
}

static void wake_later(struct dns_connection *c)
{
	struct loop *l = c->place->dns->loop;
	loop_remove_timer(l, c->idle);
	c->idle = loop_add_timer(l, IDLE_US, is_idle, c);
}

/* False: it was closed. */
static bool send_on(struct dns_connection *c)
{
	while (c->out && c->out_at < c->out_n) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			close_connection(c);
			return false;
		}
		c->out_at += (size_t)n;
	}
	if (c->out && c->out_at == c->out_n) {
		free(c->out);
		c->out = NULL;
		c->waiting = false;
		wake_later(c);
	}
	loop_set_fd(c->place->dns->loop, c->watch, c->out ? EPOLLOUT : c->waiting ? 0 : EPOLLIN);
	return true;
}

void dns_connection_tell(struct dns_connection *c, const uint8_t *answer, size_t n)
{
	free(c->out);
	c->out = malloc(2 + n);
	if (!c->out)
		abort();
	c->out[0] = (uint8_t)(n >> 8);
	c->out[1] = (uint8_t)n;
	memcpy(c->out + 2, answer, n);
	c->out_at = 0;
	c->out_n = 2 + n;
	/* It is sent from the loop: whoever tells may stand in a walk over what this could close. */
	loop_set_fd(c->place->dns->loop, c->watch, EPOLLOUT);
}

static void take_whole(struct dns_connection *c)
{
	size_t n = (size_t)c->in[0] << 8 | c->in[1];
	struct dns_asker asker = {.place = c->place, .peer = c->peer, .connection = c};
	if (n > QUERY_MAX || n < DNS_HEAD) {
		close_connection(c);
		return;
	}
	if (c->in_n < 2 || c->in_n < 2 + n)
		return;
	uint8_t query[QUERY_MAX];
	memcpy(query, c->in + 2, n);
	c->in_n -= 2 + n;
	memmove(c->in, c->in + 2 + n, c->in_n);
	c->waiting = true;
	loop_set_fd(c->place->dns->loop, c->watch, 0);
	dns_take(&asker, query, n);
}

static void happened(void *ctx, uint32_t events)
{
	struct dns_connection *c = ctx;
	if (c->out) {
		if (!send_on(c) || c->out || c->in_n < 2)
			return;
		take_whole(c); /* it had come together with the one before */
		return;
	}
	if (events & (EPOLLERR | EPOLLHUP) || c->waiting) {
		close_connection(c);
		return;
	}
	ssize_t n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_connection(c);
		return;
	}
	c->in_n += (size_t)n;
	if (c->in_n >= 2)
		take_whole(c);
}

void dns_accept(struct dns_place *place)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int fd = accept4(place->listening, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (place->connection_count == DNS_PLACE_CONNECTIONS_MAX || peer.sin_family != AF_INET) {
		close(fd);
		return;
	}
	struct dns_connection *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->place = place;
	c->peer = peer;
	c->fd = fd;
	c->watch = loop_add_fd(place->dns->loop, fd, EPOLLIN, happened, c);
	if (!c->watch) {
		close(fd);
		free(c);
		return;
	}
	list_push(&place->connections, &c->link);
	place->connection_count++;
	wake_later(c);
}
