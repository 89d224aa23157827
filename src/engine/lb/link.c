/* The agent's connections. It is inside a sandbox with whoever has broken into HAProxy: what it says is bounded and checked, and
 * believed of its own node alone.
 *
 * "wants VERSION paced ADDRESS6\n" (the address of IPv6 that it has, or "-") opens a connection on which it hears, now and at each
 * change, a line "VERSION BYTES LIST-VERSION BYTES\n" with the bundle (nothing, if it has that version) and the list behind it.
 * With "paced" behind the version it says "BYTES\n" of what it has taken, and never has more than WINDOW_BYTES before it.
 * "report\n" opens one with what it has to say until its end. What begins with a capital letter is HTTP, by which HAProxy asks
 * functions: such a connection is handed on as it came. */
#include "lb_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINKS_MAX = 64, WINDOW_BYTES = 48 * 1024, OUT_BYTES_MAX = 3 * (LB_BUNDLE_BYTES_MAX + LB_WANTED_BYTES_MAX) };

static void close_link(struct lb_link *k)
{
	list_remove(&k->at);
	loop_remove_fd(k->node->lb->loop, k->watch);
	close(k->fd);
	buf_done(&k->in);
	buf_done(&k->out);
	free(k);
}

void lb_links_close(struct lb_node_state *n)
{
	list_each (&n->links, struct lb_link, at, k)
		close_link(k);
}

/* False: it is gone. */
static bool flush(struct lb_link *k)
{
	while (k->out.n && (!k->paced || k->under_way < WINDOW_BYTES)) {
		size_t n = k->paced && k->out.n > WINDOW_BYTES - k->under_way ? WINDOW_BYTES - k->under_way : k->out.n;
		ssize_t sent = send(k->fd, k->out.p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent <= 0) {
			close_link(k);
			return false;
		}
		buf_consume(&k->out, (size_t)sent);
		k->under_way += (size_t)sent;
	}
	bool full = k->paced && k->under_way >= WINDOW_BYTES;
	loop_set_fd(k->node->lb->loop, k->watch, k->out.n && !full ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return true;
}

static bool push(struct lb_link *k)
{
	const struct lb_node_state *n = k->node;
	if (!n->of || n->ending)
		return true;
	const struct lb_wanted *w = n->of->wanted;
	bool has = strcmp(k->has, w->version) == 0;
	buf_printf(&k->out, "%s %zu %s %zu\n", w->version, has ? (size_t)0 : w->bundle.n, n->list_version, n->list.n);
	if (!has)
		buf_add_str(&k->out, w->bundle);
	buf_add_str(&k->out, n->list);
	strcpy(k->has, w->version);
	if (k->out.overflow) {
		close_link(k); /* it asks again */
		return false;
	}
	return flush(k);
}

void lb_links_push(struct lb_node_state *n)
{
	list_each (&n->links, struct lb_link, at, k)
		if (k->wants)
			push(k);
}

static void take_address(struct lb_node_state *n, struct str text)
{
	char z[INET6_ADDRSTRLEN] = "";
	memcpy(z, str_set(text) ? text.p : "", text.n < sizeof(z) ? text.n : 0);
	n->has_address6 = inet_pton(AF_INET6, z, n->address6) == 1;
	n->spoke = true;
}

static bool begins(struct lb_link *k)
{
	struct str text = buf_str(&k->in), head = str_sub(text, 0, (size_t)str_find_char(text, '\n'));
	if (!str_starts(head, S("wants ")))
		return true;
	struct str rest = str_from_at(head, 6);
	head = str_cut(&rest, ' ');
	k->paced = str_is(str_cut(&rest, ' '), "paced");
	take_address(k->node, rest);
	if (head.n < sizeof(k->has))
		memcpy(k->has, head.p, head.n);
	k->wants = true;
	buf_clear(&k->in);
	lb_node_check_address(k->node);
	return push(k);
}

static void took(struct lb_link *k)
{
	ptrdiff_t end;
	while ((end = str_find_char(buf_str(&k->in), '\n')) >= 0) {
		uint64_t bytes = 0;
		str_to_u64(str_sub(buf_str(&k->in), 0, (size_t)end), &bytes);
		k->under_way -= bytes < k->under_way ? (size_t)bytes : k->under_way;
		buf_consume(&k->in, (size_t)end + 1);
	}
	if (k->in.n > 64)
		buf_clear(&k->in);
	flush(k);
}

/* The first byte tells. The agent's own words are in small letters, and HAProxy's requests are all POST (config.c). */
static bool is_http(const struct lb_link *k)
{
	char first;
	return !k->wants && !k->in.n && recv(k->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first >= 'A' && first <= 'Z';
}

static void hand_on(struct lb_link *k)
{
	const struct lb_node_state *n = k->node;
	int fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 3);
	bool taken = fd >= 0 && n->of && !n->ending && n->lb->events->connection;
	close_link(k);
	if (taken)
		n->lb->events->connection(n->lb->ctx, n->balancer, n->id, fd);
	else if (fd >= 0)
		close(fd);
}

static void speaks(void *ctx, uint32_t events)
{
	struct lb_link *k = ctx;
	if (is_http(k)) {
		hand_on(k);
		return;
	}
	char *room = buf_room(&k->in, 65536);
	ssize_t n = room ? recv(k->fd, room, 65536, MSG_DONTWAIT) : -1;
	if ((events & EPOLLOUT) && !flush(k))
		return;
	if (n < 0 && room && errno == EAGAIN)
		return;
	if (n > 0) {
		buf_grew(&k->in, (size_t)n);
		if (!k->wants && str_find_char(buf_str(&k->in), '\n') >= 0)
			begins(k);
		else if (k->wants)
			took(k);
		return;
	}
	struct str text = buf_str(&k->in);
	if (n == 0 && str_starts(text, S("report\n"))) {
		struct lb_node_state *node = k->node;
		CLEAN_BUF struct buf said = k->in; /* whoever hears it may take the node away */
		k->in = (struct buf){0};
		close_link(k);
		lb_report_take(node, str_from_at(buf_str(&said), sizeof("report\n") - 1));
		return;
	}
	close_link(k);
}

void lb_links_accept(void *ctx, uint32_t events)
{
	struct lb_node_state *n = ctx;
	unsigned count = 0;
	(void)events;
	int fd = accept4(task_metadata_listener(n->task), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	list_each (&n->links, struct lb_link, at, other)
		count++;
	struct lb_link *k = count < LINKS_MAX ? calloc(1, sizeof(*k)) : NULL;
	if (!k) {
		close(fd);
		return;
	}
	k->node = n;
	k->fd = fd;
	buf_init(&k->in, LB_REPORT_BYTES_MAX);
	buf_init(&k->out, OUT_BYTES_MAX);
	list_push(&n->links, &k->at);
	k->watch = loop_add_fd(n->lb->loop, fd, EPOLLIN, speaks, k);
}
