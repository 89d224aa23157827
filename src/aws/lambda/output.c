#include "aws/lambda/output.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "gen/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LINE_BYTES = 262144 - 26, /* CloudWatch's limit for one event */
	PENDING_BYTES = 4 << 20,  /* beyond it, lines are dropped */
	FULL_BYTES = 2 << 20,     /* from here on the pipe is not read */
	FULL_EVENTS = 20000,
	AGAIN_US = 1000 * 1000, /* after an error that may pass, such as a full disk */
	BATCH_BYTES = 1 << 20,
	BATCH_EVENTS = 10000,
	FLUSH_US = 100 * 1000,
	TAIL_BYTES = 4096,
	FRAME_HEAD_BYTES = 16,
};
enum destination { DESTINATION_NEW, DESTINATION_OPEN, DESTINATION_REFUSED };

struct event {
	int64_t ms;
	uint32_t at, n;
};
struct output {
	struct lambda *lambda;
	struct arena arena;
	struct str region, group, stream;
	const struct principal *principal;
	enum destination destination;
	bool sending, closing, tried_group, unsent;
	struct loop_timer *timer;
	loop_fn *room;
	void *room_ctx;
	output_tap_fn *tap;
	void *tap_ctx;
	struct buf text; /* pending events' bytes */
	struct event *events;
	size_t event_count, event_cap, sending_count;
	int64_t last_ms;             /* of the youngest event */
	struct buf line;             /* begun, without its newline */
	char head[FRAME_HEAD_BYTES]; /* what may become the head of a frame */
	size_t head_n, frame_left;   /* of the frame that is coming in */
	char tail[2 * TAIL_BYTES];   /* the last TAIL_BYTES end at tail_n */
	size_t tail_n;
};

struct output *output_new(struct lambda *l, struct str region, struct str group, struct str stream)
{
	struct output *o = calloc(1, sizeof(*o));
	if (!o)
		abort();
	o->lambda = l;
	arena_init(&o->arena, 0);
	o->region = arena_dup(&o->arena, region);
	o->group = arena_dup(&o->arena, group);
	o->stream = arena_dup(&o->arena, stream);
	buf_init(&o->text, PENDING_BYTES);
	buf_init(&o->line, LINE_BYTES);
	return o;
}

static void set_unsent(struct output *o, bool unsent)
{
	if (o->unsent == unsent)
		return;
	o->unsent = unsent;
	if (unsent)
		o->lambda->unsent_outputs++;
	else
		o->lambda->unsent_outputs--;
}

static void free_output(struct output *o)
{
	set_unsent(o, false);
	loop_remove_timer(o->lambda->cloud->loop, o->timer);
	if (o->principal)
		principal_unref(o->principal);
	buf_done(&o->text);
	buf_done(&o->line);
	free(o->events);
	arena_done(&o->arena);
	free(o);
}

static void send_more(struct output *o);

static void flush_due(void *ctx)
{
	struct output *o = ctx;
	o->timer = NULL;
	send_more(o);
}

void output_set_principal(struct output *o, const struct principal *principal)
{
	if (o->principal)
		principal_unref(o->principal);
	o->principal = principal ? principal_ref(principal) : NULL;
	if (!principal)
		o->destination = DESTINATION_REFUSED;
}

void output_close(struct output *o)
{
	if (!o)
		return;
	output_end_line(o);
	o->closing = true;
	loop_remove_timer(o->lambda->cloud->loop, o->timer);
	o->timer = NULL;
	send_more(o);
}

bool output_is_full(const struct output *o)
{
	return o->text.n >= FULL_BYTES || o->event_count >= FULL_EVENTS;
}

void output_when_room(struct output *o, loop_fn *room, void *ctx)
{
	o->room = room;
	o->room_ctx = ctx;
}

/* --- to CloudWatch Logs */

static void drop_sent(struct output *o, size_t count)
{
	size_t bytes = count < o->event_count ? o->events[count].at : o->text.n;
	buf_consume(&o->text, bytes);
	o->text.overflow = false;
	o->event_count -= count;
	if (!o->event_count)
		set_unsent(o, false);
	memmove(o->events, o->events + count, o->event_count * sizeof(*o->events));
	for (size_t i = 0; i < o->event_count; i++)
		o->events[i].at -= (uint32_t)bytes;
	loop_fn *room = o->room;
	if (room && o->text.n < FULL_BYTES / 2 && o->event_count < FULL_EVENTS / 2) {
		o->room = NULL;
		room(o->room_ctx);
	}
}

/* What the role may not do is given up; what the log cannot do now (its disk is full) is tried again later. */
static void refused(struct output *o, const struct call *sub)
{
	if (!sub->error.receiver) {
		o->destination = DESTINATION_REFUSED;
		return;
	}
	log_warn("lambda: writing logs: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	o->tried_group = false;
	if (o->closing)
		o->destination = DESTINATION_REFUSED;
	else if (!o->timer)
		o->timer = loop_add_timer(o->lambda->cloud->loop, AGAIN_US, flush_due, o);
}

static void put_done(void *ctx, struct call *sub)
{
	struct output *o = ctx;
	o->sending = false;
	if (!str_set(sub->error.code))
		drop_sent(o, o->sending_count);
	else if (str_eq(sub->error.code, S("ResourceNotFoundException"))) {
		o->destination = DESTINATION_NEW; /* somebody deleted the stream: make it again */
		o->tried_group = false;
	} else
		refused(o, sub);
	send_more(o);
}

static void stream_done(void *ctx, struct call *sub);

static void make_stream(struct output *o)
{
	struct logs_create_log_stream_request in = {.log_group_name = o->group, .log_stream_name = o->stream};
	call_op(o->lambda->cloud, o->principal, o->region, &logs_api, "CreateLogStream", &in, stream_done, o);
}

static void group_done(void *ctx, struct call *sub)
{
	struct output *o = ctx;
	if (!str_set(sub->error.code) || str_eq(sub->error.code, S("ResourceAlreadyExistsException"))) {
		make_stream(o);
		return;
	}
	o->sending = false;
	refused(o, sub);
	send_more(o);
}

static void stream_done(void *ctx, struct call *sub)
{
	struct output *o = ctx;
	if (str_eq(sub->error.code, S("ResourceNotFoundException")) && !o->tried_group) {
		o->tried_group = true;
		struct logs_create_log_group_request in = {.log_group_name = o->group};
		call_op(o->lambda->cloud, o->principal, o->region, &logs_api, "CreateLogGroup", &in, group_done, o);
		return;
	}
	o->sending = false;
	if (!str_set(sub->error.code) || str_eq(sub->error.code, S("ResourceAlreadyExistsException")))
		o->destination = DESTINATION_OPEN;
	else
		refused(o, sub);
	send_more(o);
}

static void put_events(struct output *o)
{
	struct logs_put_log_events_request in = {.log_group_name = o->group, .log_stream_name = o->stream};
	struct logs_input_log_event *events = calloc(o->event_count, sizeof(*events));
	if (!events)
		abort();
	size_t count = 0, bytes = 0;
	for (; count < o->event_count && count < BATCH_EVENTS; count++) {
		bytes += o->events[count].n + 26;
		if (bytes > BATCH_BYTES && count)
			break;
		events[count].timestamp = OPT_INT(o->events[count].ms);
		events[count].message = str_of(o->text.p + o->events[count].at, o->events[count].n);
	}
	in.log_events.v = events;
	in.log_events.n = (uint32_t)count;
	in.log_events.set = true;
	o->sending = true;
	o->sending_count = count;
	call_op(o->lambda->cloud, o->principal, o->region, &logs_api, "PutLogEvents", &in, put_done, o);
	free(events);
}

static void send_more(struct output *o)
{
	if (o->sending || o->timer)
		return;
	if (!o->principal || o->destination == DESTINATION_REFUSED) {
		if (o->principal || o->closing)
			drop_sent(o, o->event_count);
	}
	if (!o->event_count) {
		if (o->closing)
			free_output(o);
		return;
	}
	if (!o->principal)
		return;
	if (o->destination == DESTINATION_NEW) {
		o->sending = true;
		make_stream(o);
		return;
	}
	put_events(o);
}

/* --- lines */

static void add_tail(struct output *o, struct str text)
{
	if (text.n > TAIL_BYTES)
		text = str_from_at(text, text.n - TAIL_BYTES);
	if (o->tail_n + text.n > sizeof(o->tail)) {
		size_t keep = TAIL_BYTES - text.n;
		memmove(o->tail, o->tail + o->tail_n - keep, keep);
		o->tail_n = keep;
	}
	memcpy(o->tail + o->tail_n, text.p, text.n);
	o->tail_n += text.n;
}

static void add_event(struct output *o, struct str text)
{
	add_tail(o, text);
	if (o->destination == DESTINATION_REFUSED || str_empty(text))
		return;
	size_t at = o->text.n;
	buf_add_str(&o->text, text);
	if (o->text.overflow)
		return;
	if (o->event_count == o->event_cap) {
		o->event_cap = o->event_cap ? 2 * o->event_cap : 16;
		o->events = realloc(o->events, o->event_cap * sizeof(*o->events));
		if (!o->events)
			abort();
	}
	set_unsent(o, true);
	/* A batch out of order is refused as a whole: a clock that is set back must not cost the lines. */
	int64_t now = clock_wall_ms();
	if (now > o->last_ms)
		o->last_ms = now;
	o->events[o->event_count++] = (struct event){o->last_ms, (uint32_t)at, (uint32_t)text.n};
	if (!o->timer && !o->sending)
		o->timer = loop_add_timer(o->lambda->cloud->loop, FLUSH_US, flush_due, o);
}

static void add_line(struct output *o, struct str text)
{
	if (o->tap)
		o->tap(o->tap_ctx, text);
	add_event(o, text);
}

void output_set_tap(struct output *o, output_tap_fn *fn, void *ctx)
{
	o->tap = fn;
	o->tap_ctx = ctx;
}

void output_extension_line(struct output *o, struct str line)
{
	add_event(o, line);
}

void output_line(struct output *o, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	output_end_line(o);
	add_event(o, str_of(line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1));
}

static void release_head(struct output *o);

void output_end_line(struct output *o)
{
	if (o->head_n && o->head_n < FRAME_HEAD_BYTES)
		release_head(o);
	if (!o->line.n)
		return;
	add_line(o, buf_str(&o->line));
	buf_clear(&o->line);
}

/* Adds what the event that has begun has room for, and ends it when it is full or all is said. Returns how much that was. */
static size_t add_part(struct output *o, struct str part, bool ends)
{
	size_t room = LINE_BYTES - o->line.n, n = part.n;
	if (n > room) {
		n = room;
		while (n && room - n < 3 && ((unsigned char)part.p[n] & 0xc0) == 0x80) /* not in the middle of a letter */
			n--;
		ends = true;
	}
	if (ends && !o->line.n) {
		add_line(o, str_sub(part, 0, n));
		return n;
	}
	buf_add(&o->line, part.p, n);
	if (ends)
		output_end_line(o);
	return n;
}

/* Text is one event a line. */
static void add_text(struct output *o, struct str bytes)
{
	while (!str_empty(bytes)) {
		ptrdiff_t end = str_find_char(bytes, '\n');
		bytes = str_from_at(bytes, add_part(o, end < 0 ? bytes : str_sub(bytes, 0, (size_t)end + 1), end >= 0));
	}
}

/* A frame is one event, however many lines it has. Returns how much of the bytes was its. */
static size_t add_framed(struct output *o, struct str bytes)
{
	bool whole = bytes.n >= o->frame_left;
	size_t n = add_part(o, whole ? str_sub(bytes, 0, o->frame_left) : bytes, whole);
	o->frame_left -= n;
	return n;
}

/* How many bytes at the beginning of s may be, or become, the head of a frame: a5 5a 00 and a type, 4 bytes of length, 8 of time.
 */
static size_t frame_head(struct str s)
{
	static const char magic[] = {'\xa5', '\x5a', 0};
	for (size_t i = 0; i < sizeof(magic) && i < s.n; i++)
		if (s.p[i] != magic[i])
			return 0;
	return s.n < FRAME_HEAD_BYTES ? s.n : FRAME_HEAD_BYTES;
}

/* What was kept for the head of a frame and is none. */
static void release_head(struct output *o)
{
	char kept[FRAME_HEAD_BYTES];
	size_t n = o->head_n;
	memcpy(kept, o->head, n);
	o->head_n = 0;
	add_text(o, str_of(kept, n));
}

static void begin_frame(struct output *o)
{
	const unsigned char *p = (const unsigned char *)o->head + 4;
	output_end_line(o);
	o->frame_left = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	o->head_n = 0;
}

/* Runtimes put messages of several lines into frames; what the function prints beside them is plain text, on the same pipe. */
static void add_bytes(struct output *o, struct str bytes)
{
	while (!str_empty(bytes)) {
		if (o->frame_left) {
			bytes = str_from_at(bytes, add_framed(o, bytes));
			continue;
		}
		if (o->head_n) {
			o->head[o->head_n++] = bytes.p[0];
			if (!frame_head(str_of(o->head, o->head_n))) {
				o->head_n--;
				release_head(o);
				continue;
			}
			bytes = str_from_at(bytes, 1);
			if (o->head_n == FRAME_HEAD_BYTES)
				begin_frame(o);
			continue;
		}
		const char *at = memchr(bytes.p, '\xa5', bytes.n);
		while (at && !frame_head(str_from_at(bytes, (size_t)(at - bytes.p))))
			at = memchr(at + 1, '\xa5', (size_t)(bytes.p + bytes.n - at - 1));
		size_t plain = at ? (size_t)(at - bytes.p) : bytes.n;
		add_text(o, str_sub(bytes, 0, plain));
		bytes = str_from_at(bytes, plain);
		if (at) {
			o->head[o->head_n++] = bytes.p[0];
			bytes = str_from_at(bytes, 1);
		}
	}
}

void output_drain(struct output *o, int fd)
{
	char bytes[16384];
	/* A function that writes without end shall not keep the loop: the watch calls again. */
	for (int rounds = 0; rounds < 16; rounds++) {
		ssize_t n = read(fd, bytes, sizeof(bytes));
		if (n <= 0)
			return;
		add_bytes(o, str_of(bytes, (size_t)n));
		if ((size_t)n < sizeof(bytes))
			return;
	}
}

void output_cut(struct output *o)
{
	output_end_line(o);
	o->frame_left = 0;
}

void output_begin_tail(struct output *o)
{
	o->tail_n = 0;
}

struct str output_tail(struct output *o)
{
	size_t n = o->tail_n < TAIL_BYTES ? o->tail_n : TAIL_BYTES;
	return str_of(o->tail + o->tail_n - n, n);
}

struct str output_stream(const struct output *o)
{
	return o->stream;
}
