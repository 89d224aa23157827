#include "role/exec_way.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { PIECE_BYTES = 16384 };

/* One direction: what was read at one end and waits for the other. */
struct way {
	char bytes[PIECE_BYTES];
	size_t at, n;
	bool ended;
};
struct join {
	struct loop *loop;
	int client, inside;
	struct loop_fd *client_watch, *inside_watch;
	struct way in, out; /* to and from what is inside */
	loop_fn *over;
	void *ctx;
};

static void join_end(struct join *j)
{
	loop_fn *over = j->over;
	void *ctx = j->ctx;
	loop_remove_fd(j->loop, j->inside_watch);
	loop_remove_fd(j->loop, j->client_watch);
	close(j->client);
	free(j);
	over(ctx);
}

static void pump(struct way *w, int from, int to)
{
	if (w->n == 0 && !w->ended) {
		ssize_t n = read(from, w->bytes, sizeof(w->bytes));
		if (n > 0) {
			w->at = 0;
			w->n = (size_t)n;
		} else if (n == 0 || errno != EAGAIN) {
			w->ended = true; /* a terminal whose last process is gone says EIO */
		}
	}
	if (w->n) {
		ssize_t n = write(to, w->bytes + w->at, w->n);
		if (n > 0) {
			w->at += (size_t)n;
			w->n -= (size_t)n;
		} else if (errno != EAGAIN) {
			w->ended = true;
			w->n = 0;
		}
	}
}

static uint32_t wanted(const struct way *from_here, const struct way *to_here)
{
	return (from_here->n == 0 && !from_here->ended ? EPOLLIN : 0u) | (to_here->n ? EPOLLOUT : 0u);
}

static void turn(void *ctx, uint32_t events)
{
	(void)events;
	struct join *j = ctx;
	pump(&j->in, j->client, j->inside);
	pump(&j->out, j->inside, j->client);
	if ((j->in.ended && j->in.n == 0) || (j->out.ended && j->out.n == 0)) {
		join_end(j);
		return;
	}
	loop_set_fd(j->loop, j->client_watch, wanted(&j->in, &j->out));
	loop_set_fd(j->loop, j->inside_watch, wanted(&j->out, &j->in));
}

void exec_way_join(struct loop *l, int client, int inside, struct str early, loop_fn *over, void *ctx)
{
	struct join *j = calloc(1, sizeof(*j));
	if (!j)
		die("out of memory (exec)");
	*j = (struct join){.loop = l, .client = client, .inside = inside, .over = over, .ctx = ctx};
	j->in.n = early.n < sizeof(j->in.bytes) ? early.n : sizeof(j->in.bytes);
	memcpy(j->in.bytes, early.p, j->in.n);
	j->inside_watch = loop_add_fd(l, inside, EPOLLIN, turn, j);
	j->client_watch =
	        loop_add_fd(l, client, EPOLLIN | EPOLLOUT, turn, j); /* it can be written to: the first turn comes at once */
	if (!j->inside_watch || !j->client_watch)
		die("cannot watch a session");
}
