#include "engine/net/networks.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct unsent {
	struct list at;
	int fd;
	size_t n;
	char bytes[];
};

void line_init(struct line *l)
{
	*l = (struct line){.fd = -1};
	list_init(&l->unsent);
}

void line_open(struct line *l, struct loop *loop, int fd, loop_fd_fn *fn, void *ctx)
{
	l->fd = fd;
	l->loop = loop;
	l->watch = loop_add_fd(loop, fd, EPOLLIN, fn, ctx);
	if (!l->watch)
		die("cannot watch a socket");
}

static void drop(struct unsent *u)
{
	list_remove(&u->at);
	if (u->fd >= 0)
		close(u->fd);
	free(u);
}

void line_close(struct line *l, struct loop *loop)
{
	loop_remove_fd(loop, l->watch);
	l->watch = NULL;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	list_each (&l->unsent, struct unsent, at, u)
		drop(u);
}

void line_send(struct line *l, const void *p, size_t n, int fd)
{
	if (l->fd < 0)
		return;
	int error = list_empty(&l->unsent) ? msg_send(l->fd, p, n, &fd, fd >= 0) : -EAGAIN;
	if (error != -EAGAIN)
		return; /* a peer that is gone shows as a closed socket */
	struct unsent *u = calloc(1, sizeof(*u) + n);
	if (!u)
		die("out of memory");
	u->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	u->n = n;
	memcpy(u->bytes, p, n);
	list_push(&l->unsent, &u->at);
	loop_set_fd(l->loop, l->watch, EPOLLIN | EPOLLOUT);
}

void line_flush(struct line *l, struct loop *loop)
{
	list_each (&l->unsent, struct unsent, at, u) {
		if (msg_send(l->fd, u->bytes, u->n, &u->fd, u->fd >= 0) == -EAGAIN)
			return;
		drop(u);
	}
	loop_set_fd(loop, l->watch, EPOLLIN);
}
