#include "http/websocket_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_BYTES = 16384,
	OUT_HIGH_BYTES = 256 * 1024, /* above it senders wait, and nothing is read that would be answered */
	OUT_MAX_BYTES = 4 << 20,     /* what senders that do not wait may pile up before the client is given up */
	CODE_NONE = 1006,            /* the connection ended without a word */
	PING_US = 60 * 1000000,      /* a client that has said nothing for so long is asked whether it is there */
	CLOSE_US = 5 * 1000000,      /* and gets so long to say goodbye */
};

struct ws_link {
	struct loop *loop;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *timer;
	const struct ws_link_events *events; /* NULL: its owner has left */
	void *ctx;
	struct ws_reader reader;
	struct buf out, early;
	bool waiting, broken, turning; /* broken: nothing can be written any more */
	bool heard;                    /* something came since the last ping */
	bool closing, close_seen;
	unsigned code;
};

static void link_free(struct ws_link *w)
{
	loop_remove_fd(w->loop, w->watch);
	loop_remove_timer(w->loop, w->timer);
	close(w->fd);
	ws_reader_done(&w->reader);
	buf_done(&w->out);
	buf_done(&w->early);
	free(w);
}

static void link_end(struct ws_link *w)
{
	const struct ws_link_events *events = w->events;
	void *ctx = w->ctx;
	unsigned code = w->code;
	link_free(w);
	if (events)
		events->closed(ctx, code);
}

static void add_frame(struct ws_link *w, enum ws_kind kind, struct str bytes)
{
	unsigned char head[WS_HEAD_MAX];
	size_t n = ws_head(head, kind, bytes.n);
	if (w->out.n + n + bytes.n > OUT_MAX_BYTES) {
		w->broken = true;
		return;
	}
	buf_add(&w->out, head, n);
	buf_add_str(&w->out, bytes);
}

static void add_close(struct ws_link *w, enum ws_code code, struct str why)
{
	char text[WS_CONTROL_MAX];
	size_t n = why.n < sizeof(text) - 2 ? why.n : sizeof(text) - 2;
	text[0] = (char)((unsigned)code >> 8);
	text[1] = (char)code;
	if (n)
		memcpy(text + 2, why.p, n);
	add_frame(w, WS_CLOSE, str_of(text, n + 2));
	w->closing = true;
}

static void flush(struct ws_link *w)
{
	size_t at = 0;
	while (!w->broken && at < w->out.n) {
		ssize_t n = send(w->fd, w->out.p + at, w->out.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0 && errno != EINTR)
			w->broken = true;
		at += n > 0 ? (size_t)n : 0;
	}
	buf_consume(&w->out, at);
}

static void take(struct ws_link *w, const struct ws_message *m)
{
	w->heard = true;
	if (m->kind == WS_PING) {
		if (!w->closing)
			add_frame(w, WS_PONG, m->bytes);
	} else if (m->kind == WS_CLOSE) {
		w->close_seen = true;
		w->code = ws_close_code(m->bytes);
		if (!w->closing)
			add_close(w, WS_NORMAL, S(""));
	} else if (m->kind != WS_PONG && w->events && !w->closing) {
		w->events->message(w->ctx, m->kind == WS_BINARY, m->bytes);
	}
}

/* Everything that is whole in these bytes, or as much as is answered without piling up. */
static void feed(struct ws_link *w, struct str *in)
{
	struct ws_message m;
	int n = 1;
	while (n > 0 && !w->close_seen && w->out.n < OUT_HIGH_BYTES) {
		n = ws_read(&w->reader, in, &m);
		if (n > 0)
			take(w, &m);
	}
	if (n < 0) {
		if (!w->closing)
			add_close(w, (enum ws_code) - n, S(""));
		w->code = (unsigned)-n;
		w->close_seen = true; /* what follows cannot be read */
	}
}

static void receive(struct ws_link *w)
{
	while (!w->close_seen && !w->broken && w->out.n < OUT_HIGH_BYTES) {
		char bytes[READ_BYTES];
		struct str in = buf_str(&w->early);
		if (!in.n) {
			ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			if (n <= 0) {
				w->broken = true;
				return;
			}
			in = str_of(bytes, (size_t)n);
			feed(w, &in);
			buf_add_str(&w->early, in); /* what was not looked at yet */
		} else {
			feed(w, &in);
			buf_consume(&w->early, w->early.n - in.n);
		}
		flush(w);
	}
}

static void set_timer(struct ws_link *w);

static void turn(struct ws_link *w)
{
	w->turning = true;
	flush(w);
	receive(w);
	if (w->waiting && !w->broken && !w->closing && w->out.n < OUT_HIGH_BYTES / 2) {
		w->waiting = false;
		if (w->events)
			w->events->drained(w->ctx);
		flush(w);
	}
	w->turning = false;
	if (w->broken || (w->close_seen && !w->out.n)) {
		link_end(w);
		return;
	}
	/* A full queue with bytes unread: they are looked at once it has been written. */
	loop_set_fd(w->loop, w->watch, (w->out.n < OUT_HIGH_BYTES && !w->close_seen ? EPOLLIN : 0u) | (w->out.n ? EPOLLOUT : 0u));
}

static void on_event(void *ctx, uint32_t events)
{
	(void)events;
	turn(ctx);
}

static void on_timer(void *ctx)
{
	struct ws_link *w = ctx;
	w->timer = NULL;
	if (w->closing || !w->heard) {
		link_end(w); /* neither a pong nor a goodbye */
		return;
	}
	w->heard = false;
	add_frame(w, WS_PING, S(""));
	set_timer(w);
	turn(w);
}

static void set_timer(struct ws_link *w)
{
	loop_remove_timer(w->loop, w->timer);
	w->timer = loop_add_timer(w->loop, w->closing ? CLOSE_US : PING_US, on_timer, w);
}

struct ws_link *ws_link_new(struct loop *l, int fd, struct str early, size_t message_max, const struct ws_link_events *events,
                            void *ctx)
{
	struct ws_link *w = calloc(1, sizeof(*w));
	if (!w) {
		close(fd);
		return NULL;
	}
	*w = (struct ws_link){.loop = l, .fd = fd, .events = events, .ctx = ctx, .heard = true, .code = CODE_NONE};
	ws_reader_init(&w->reader, message_max);
	buf_init(&w->out, OUT_MAX_BYTES);
	buf_init(&w->early, early.n + READ_BYTES);
	buf_add_str(&w->early, early);
	/* It can be written to, so the first turn comes at once and finds what came early. */
	w->watch = loop_add_fd(l, fd, EPOLLIN | EPOLLOUT, on_event, w);
	set_timer(w);
	if (w->watch)
		return w;
	link_free(w);
	return NULL;
}

bool ws_link_send(struct ws_link *w, enum ws_kind kind, struct str bytes)
{
	if (!w->closing && !w->broken)
		add_frame(w, kind, bytes);
	if (!w->turning) /* written, and its end noticed, with the loop */
		loop_set_fd(w->loop, w->watch, (w->out.n < OUT_HIGH_BYTES ? EPOLLIN : 0u) | EPOLLOUT);
	w->waiting = w->out.n >= OUT_HIGH_BYTES;
	return !w->waiting;
}

void ws_link_close(struct ws_link *w, enum ws_code code, struct str why)
{
	w->events = NULL;
	if (!w->closing)
		add_close(w, code, why);
	set_timer(w);
	if (!w->turning)
		loop_set_fd(w->loop, w->watch, EPOLLIN | EPOLLOUT);
}
