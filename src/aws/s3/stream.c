/* A streamed reply reads ahead by one buffer: while the connection takes one, a thread fills the other. The stream outlives the
 * call when the client goes away during a read, and then ends with that read. */
#include "aws/s3/stream.h"

#include "store/blob.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { STREAM_BUFFER_BYTES = 256 * 1024 };

struct stream {
	struct call *call; /* NULL: nobody listens any more */
	struct s3_state *s3;
	struct arena arena; /* of the pieces */
	struct content_pieces pieces;
	unsigned at;   /* piece being read; the reading thread's while `reading` */
	uint64_t done; /* of that piece */
	int fd;        /* of that piece, -1: none */
	char *buffers[2];
	size_t filled;   /* bytes in buffers[reader] that wait to be sent */
	unsigned reader; /* the buffer that is read into next */
	int error;
	bool reading, ready, blocked, started, last;
};

static void stream_free(struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	content_unpin(s->s3, &s->pieces);
	for (unsigned i = 0; i < s->pieces.n; i++)
		cipher_wipe(&s->pieces.v[i].cipher);
	arena_done(&s->arena);
	free(s->buffers[0]);
	free(s->buffers[1]);
	free(s);
}

/* On a thread: fills the buffer. */
static void stream_read(void *job)
{
	struct stream *s = job;
	char *to = s->buffers[s->reader];
	size_t n = 0;
	while (n < STREAM_BUFFER_BYTES && s->at < s->pieces.n) {
		const struct content_piece *p = &s->pieces.v[s->at];
		uint64_t left = p->length - s->done;
		if (left == 0) {
			if (s->fd >= 0)
				close(s->fd);
			s->fd = -1;
			s->at++;
			s->done = 0;
			continue;
		}
		size_t want = left < STREAM_BUFFER_BYTES - n ? (size_t)left : STREAM_BUFFER_BYTES - n;
		if (!str_set(p->file)) {
			if (p->offset + p->length > p->bytes.n) {
				s->error = -EIO;
				return;
			}
			memcpy(to + n, p->bytes.p + p->offset + s->done, want);
		} else {
			if (s->fd < 0)
				s->fd = blob_open(s->s3->cloud->blobs, p->file);
			if (s->fd < 0) {
				s->error = s->fd;
				return;
			}
			ssize_t got = pread(s->fd, to + n, want, (off_t)(p->offset + s->done));
			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				s->error = got < 0 ? -errno : -EIO;
				return;
			}
			want = (size_t)got;
		}
		if (p->cipher.set)
			cipher_apply(&p->cipher, p->offset + s->done, to + n, to + n, want);
		n += want;
		s->done += want;
	}
	s->filled = n;
}

static void stream_go(struct stream *s);

static void stream_read_done(void *job)
{
	struct stream *s = job;
	s->reading = false;
	s->ready = true;
	if (!s->call)
		stream_free(s);
	else if (s->started && !s->blocked)
		stream_go(s);
}

static void stream_start_read(struct stream *s)
{
	s->reading = true;
	s->ready = false;
	work_add(s->s3->cloud->work, stream_read, stream_read_done, s);
}

/* Sends the buffer that is ready and has the other one filled meanwhile. */
static void stream_go(struct stream *s)
{
	if (!s->ready)
		return;
	struct call *c = s->call;
	if (s->error) {
		call_cut(c);
		return;
	}
	struct str piece = str_of(s->buffers[s->reader], s->filled);
	/* A short buffer is the last one. */
	bool last = s->filled < STREAM_BUFFER_BYTES;
	s->ready = false;
	s->reader ^= 1;
	if (!last)
		stream_start_read(s);
	s->blocked = piece.n > 0 && !call_write(c, piece) && !last;
	if (last)
		call_end(c);
}

static void on_start(struct call *c)
{
	struct stream *s = c->state;
	s->started = true;
	stream_go(s);
}

static void on_drained(struct call *c)
{
	struct stream *s = c->state;
	s->blocked = false;
	stream_go(s);
}

static void on_free(struct call *c)
{
	struct stream *s = c->state;
	c->state = NULL;
	s->call = NULL;
	if (!s->reading)
		stream_free(s);
}

int stream_reply(struct call *c, const struct content_pieces *pieces, uint64_t length)
{
	struct stream *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->call = c;
	s->s3 = s3_state(c);
	s->fd = -1;
	s->pieces.n = pieces->n;
	s->pieces.v = arena_array(&s->arena, pieces->n, sizeof(*pieces->v));
	for (unsigned i = 0; i < pieces->n; i++) {
		s->pieces.v[i] = pieces->v[i];
		s->pieces.v[i].bytes = arena_dup(&s->arena, pieces->v[i].bytes);
		s->pieces.v[i].file = arena_dup(&s->arena, pieces->v[i].file);
	}
	for (int i = 0; i < 2; i++) {
		s->buffers[i] = malloc(STREAM_BUFFER_BYTES);
		if (!s->buffers[i])
			abort();
	}
	content_pin(s->s3, &s->pieces);
	c->state = s;
	c->reply = (struct reply_body){.kind = REPLY_STREAM,
	                               .fd = -1,
	                               .stream_length = (int64_t)length,
	                               .stream_start = on_start,
	                               .stream_drained = on_drained};
	call_on_free(c, on_free);
	stream_start_read(s);
	return CALL_OK;
}
