/* One batch on its way into the sandbox: a socket there is asked for (the cell's first process opens it), written as it takes
 * bytes, and by HTTP the beginning of a reply is awaited: 2xx is the subscriber's receipt. What goes wrong is tried again, less and
 * less often, while the next batch fills. Of what a subscriber says beyond the first line of a reply, nothing is read. */
#include "aws/lambda/telemetry.h"

#include "aws/lambda/environment.h"
#include "base/buf.h"
#include "engine/cell/cell.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ATTEMPT_US = 3 * 1000 * 1000, /* for a connection, a batch and its receipt */
	AGAIN_US = 100 * 1000,
	AGAIN_SHIFT_MAX = 4,     /* 1.6 s */
	TURN_BYTES = 128 * 1024, /* written at once: the loop has others to serve */
	REPLY_BYTES = 12,        /* HTTP/1.1 200 */
};

static struct loop *loop_of(const struct subscription *s)
{
	return s->telemetry->environment->lambda->cloud->loop;
}

static void due(void *ctx);

static void set_timer(struct subscription *s, int64_t delay_us)
{
	loop_remove_timer(loop_of(s), s->timer);
	s->timer = NULL;
	s->due_us = loop_now_us(loop_of(s)) + delay_us;
	if (!s->telemetry->paused)
		s->timer = loop_add_timer(loop_of(s), delay_us, due, s);
}

static void drop_timer(struct subscription *s)
{
	loop_remove_timer(loop_of(s), s->timer);
	s->timer = NULL;
	s->due_us = 0;
}

static void hang_up(struct subscription *s)
{
	loop_remove_fd(loop_of(s), s->watch);
	s->watch = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

static void failed(struct subscription *s)
{
	hang_up(s);
	s->delivery = DELIVERY_IDLE;
	unsigned shift = s->failures < AGAIN_SHIFT_MAX ? s->failures : AGAIN_SHIFT_MAX;
	s->failures++;
	set_timer(s, (int64_t)AGAIN_US << shift);
}

static void delivered(struct subscription *s)
{
	s->telemetry->environment->lambda->telemetry_bytes -= s->sending.n;
	buf_done(&s->sending);
	buf_init(&s->sending, s->pending.max_bytes + 4096);
	s->delivery = DELIVERY_IDLE;
	s->failures = 0;
	drop_timer(s);
	if (!s->wanted.tcp)
		hang_up(s);
	if (!s->pending.n)
		return;
	if (s->telemetry->flushing)
		telemetry_send(s);
	else
		set_timer(s, s->wanted.timeout_ms * 1000);
}

/* The events become a batch. */
static void pack(struct subscription *s)
{
	size_t events = s->pending.n;
	if (s->wanted.tcp) {
		buf_add_str(&s->sending, buf_str(&s->pending));
		buf_add_char(&s->sending, '\n');
	} else {
		buf_printf(
		        &s->sending,
		        "POST %s HTTP/1.1\r\nHost: sandbox.localdomain:%u\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n[",
		        s->wanted.path, s->wanted.port, events + 2);
		buf_add_str(&s->sending, buf_str(&s->pending));
		buf_add_char(&s->sending, ']');
	}
	s->telemetry->environment->lambda->telemetry_bytes += s->sending.n - events;
	buf_clear(&s->pending);
	s->pending_count = 0;
}

static void read_receipt(struct subscription *s)
{
	char reply[REPLY_BYTES];
	ssize_t n = recv(s->fd, reply, sizeof(reply), MSG_DONTWAIT | MSG_PEEK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	bool whole = n == sizeof(reply);
	if (whole && memcmp(reply, "HTTP/1.", 7) == 0 && reply[9] == '2')
		delivered(s);
	else if (whole || n <= 0)
		failed(s);
	else
		loop_set_fd(loop_of(s), s->watch, EPOLLIN | EPOLLET); /* a part of it: the rest wakes us */
}

static void write_more(struct subscription *s)
{
	size_t left = s->sending.n - s->written;
	ssize_t n = send(s->fd, s->sending.p + s->written, left < TURN_BYTES ? left : TURN_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			failed(s);
		return;
	}
	s->written += (size_t)n;
	if (s->written < s->sending.n)
		return;
	/* of a stream nothing is read; that it is cut is seen at the next write, or by the kernel's word */
	loop_set_fd(loop_of(s), s->watch, s->wanted.tcp ? 0 : EPOLLIN);
	if (s->wanted.tcp)
		delivered(s);
	else
		s->delivery = DELIVERY_WAITING;
}

static void ready(void *ctx, uint32_t events)
{
	struct subscription *s = ctx;
	if (s->delivery == DELIVERY_WRITING)
		write_more(s);
	else if (s->delivery == DELIVERY_WAITING)
		read_receipt(s);
	else if (events & (EPOLLHUP | EPOLLERR))
		hang_up(s);
}

static void begin_writing(struct subscription *s)
{
	s->delivery = DELIVERY_WRITING;
	s->written = 0;
	set_timer(s, ATTEMPT_US);
}

void telemetry_send_connected(struct subscription *s, int fd)
{
	if (fd < 0) {
		failed(s);
		return;
	}
	s->fd = fd;
	s->watch = loop_add_fd(loop_of(s), fd, EPOLLOUT, ready, s);
	if (!s->watch) {
		failed(s);
		return;
	}
	begin_writing(s);
}

void telemetry_send(struct subscription *s)
{
	if (s->telemetry->paused || s->delivery != DELIVERY_IDLE)
		return;
	if (!s->sending.n && s->pending.n)
		pack(s);
	if (!s->sending.n)
		return;
	if (s->fd >= 0 && s->watch) {
		loop_set_fd(loop_of(s), s->watch, EPOLLOUT);
		begin_writing(s);
		return;
	}
	int question = cell_connect(s->telemetry->environment->cell, s->wanted.port);
	if (question < 0) {
		failed(s);
		return;
	}
	s->question = (unsigned)question;
	s->delivery = DELIVERY_ASKED;
	set_timer(s, ATTEMPT_US);
}

static void due(void *ctx)
{
	struct subscription *s = ctx;
	s->timer = NULL;
	s->due_us = 0;
	if (s->delivery == DELIVERY_IDLE)
		telemetry_send(s);
	else
		failed(s);
}

void telemetry_send_soon(struct subscription *s, int64_t delay_us)
{
	if (s->delivery == DELIVERY_IDLE && !s->due_us)
		set_timer(s, delay_us);
}

void telemetry_send_pause(struct subscription *s)
{
	loop_remove_timer(loop_of(s), s->timer);
	s->timer = NULL;
}

void telemetry_send_resume(struct subscription *s)
{
	int64_t left = s->due_us - loop_now_us(loop_of(s));
	if (!s->due_us)
		return;
	/* an attempt had no time while all stood still */
	if (s->delivery != DELIVERY_IDLE)
		left = ATTEMPT_US;
	set_timer(s, left > 0 ? left : 0);
}

void telemetry_send_stop(struct subscription *s)
{
	drop_timer(s);
	hang_up(s);
	s->delivery = DELIVERY_IDLE;
}
