#include "http/conn.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_STEP = 1 << 20, TLS_STEP = 16384, QUEUE_KEPT = 65536 };

size_t out_waiting(const struct out *o)
{
	return o->ref[0].n + o->ref[1].n + (o->n - o->at) + (size_t)o->file_left;
}

void out_done(struct out *o)
{
	if (o->file_left)
		close(o->file);
	free(o->p);
	*o = (struct out){0};
}

void out_add(struct out *o, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (o->at == o->n)
		o->at = o->n = 0;
	if (o->cap - o->n < n && o->at) {
		memmove(o->p, o->p + o->at, o->n - o->at);
		o->n -= o->at;
		o->at = 0;
	}
	if (o->cap - o->n < n) {
		size_t cap = o->cap ? o->cap : 1024;
		while (cap - o->n < n)
			cap += cap;
		o->p = realloc(o->p, cap);
		if (!o->p)
			die("out of memory (reply of %zu bytes)", cap);
		o->cap = cap;
	}
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

/* Takes n sent bytes off the front of the refs and the buffer; returns how many of n lay behind them. */
static size_t out_sent(struct out *o, size_t n)
{
	for (unsigned i = 0; i < 2; i++) {
		size_t part = n < o->ref[i].n ? n : o->ref[i].n;
		o->ref[i] = str_from_at(o->ref[i], part);
		n -= part;
	}
	size_t part = n < o->n - o->at ? n : o->n - o->at;
	o->at += part;
	if (o->at == o->n) {
		o->at = o->n = 0;
		if (o->cap > QUEUE_KEPT) {
			free(o->p);
			o->p = NULL;
			o->cap = 0;
		}
	}
	return n - part;
}

/* One write of several pieces: bytes taken, or negative errno. `more`: the kernel may wait for the next call. */
static ssize_t wire_write(struct http_conn *c, struct iovec *iov, unsigned count, bool more)
{
	if (!c->tls) {
		struct msghdr m = {.msg_iov = iov, .msg_iovlen = count};
		int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
		ssize_t n;
		do /* one piece costs the kernel less by the simpler call */
			n = count == 1 ? send(c->fd, iov->iov_base, iov->iov_len, flags) : sendmsg(c->fd, &m, flags);
		while (n < 0 && errno == EINTR);
		return n < 0 ? -errno : n;
	}
	char record[TLS_STEP]; /* small pieces share one record */
	size_t n = 0;
	for (unsigned i = 0; i < count && n < sizeof(record); i++) {
		size_t part = iov[i].iov_len < sizeof(record) - n ? iov[i].iov_len : sizeof(record) - n;
		memcpy(record + n, iov[i].iov_base, part);
		n += part;
	}
	return tls_write(c->tls, record, n);
}

/* One step of the file: 0 more to do, 1 blocked, or negative errno. A file that has become shorter cuts the connection. */
static int file_step(struct http_conn *c)
{
	struct out *o = &c->out;
	ssize_t n;
	if (c->tls) {
		char piece[TLS_STEP];
		n = pread(o->file, piece, o->file_left < sizeof(piece) ? (size_t)o->file_left : sizeof(piece), (off_t)o->file_at);
		if (n > 0)
			n = tls_write(c->tls, piece, (size_t)n);
		else
			n = n < 0 ? -errno : -EIO;
	} else {
		off_t at = (off_t)o->file_at;
		n = sendfile(c->fd, o->file, &at, o->file_left < FILE_STEP ? (size_t)o->file_left : FILE_STEP);
		if (n <= 0)
			n = n < 0 ? -errno : -EIO;
	}
	if (n == -EAGAIN || n == -EINTR)
		return 1;
	if (n < 0)
		return (int)n;
	c->progress = true;
	o->file_at += (uint64_t)n;
	o->file_left -= (uint64_t)n;
	if (o->file_left == 0)
		close(o->file);
	return 0;
}

int out_send(struct http_conn *c, const struct str *pieces, unsigned count)
{
	struct out *o = &c->out;
	if (c->broken)
		return -ECONNRESET;
	bool all = o->file_left == 0; /* pieces come behind the file */
	size_t next = 0, at = 0;      /* where we are in pieces */
	for (;;) {
		struct iovec iov[8];
		unsigned n = 0;
		for (unsigned i = 0; i < 2; i++)
			if (o->ref[i].n)
				iov[n++] = (struct iovec){(void *)(uintptr_t)o->ref[i].p, o->ref[i].n};
		if (o->n > o->at)
			iov[n++] = (struct iovec){o->p + o->at, o->n - o->at};
		for (size_t i = next; all && i < count && n < 8; i++)
			if (pieces[i].n > (i == next ? at : 0))
				iov[n++] = (struct iovec){(void *)(uintptr_t)(pieces[i].p + (i == next ? at : 0)),
				                          pieces[i].n - (i == next ? at : 0)};
		if (n == 0)
			break;
		ssize_t sent = wire_write(c, iov, n, o->file_left > 0 || o->held);
		if (sent == -EAGAIN)
			break;
		if (sent < 0) {
			c->broken = true;
			return (int)sent;
		}
		c->progress = true;
		at += out_sent(o, (size_t)sent);
		while (next < count && at >= pieces[next].n)
			at -= pieces[next++].n;
	}
	for (; next < count; next++, at = 0)
		out_add(o, pieces[next].p + at, pieces[next].n - at);
	return out_empty(o) ? 0 : 1;
}

int out_flush(struct http_conn *c)
{
	struct out *o = &c->out;
	if (c->broken)
		return -ECONNRESET;
	if (out_empty(o))
		return 0;
	int left = out_send(c, NULL, 0);
	if (left < 0)
		return left;
	/* A few steps a round: one large file must not hold up everybody. */
	for (unsigned i = 0; i < 4 && o->file_left && !o->ref[0].n && !o->ref[1].n && o->at == o->n; i++) {
		int blocked = file_step(c);
		if (blocked < 0) {
			c->broken = true;
			return blocked;
		}
		if (blocked)
			break;
	}
	return out_empty(o) ? 0 : 1;
}
