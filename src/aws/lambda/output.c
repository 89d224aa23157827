#include "aws/lambda/output.h"

#include "aws/logs/logs.h"
#include "base/buf.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LINE_BYTES = 262144 - 26, /* CloudWatch's limit for one event */
	TAIL_BYTES = 4096,
};

struct output {
	struct lambda *lambda;
	struct arena arena;
	struct str region, group, stream;
	struct log_writer *writer; /* NULL: nothing is sent */
	struct buf line;           /* begun, without its newline */
	char tail[2 * TAIL_BYTES]; /* the last TAIL_BYTES end at tail_n */
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
	buf_init(&o->line, LINE_BYTES);
	return o;
}

void output_set_principal(struct output *o, const struct principal *principal)
{
	if (o->writer || !principal)
		return;
	o->writer = log_writer_open(o->lambda->cloud, principal, o->region, o->group, o->stream, true);
}

void output_close(struct output *o)
{
	if (!o)
		return;
	output_end_line(o);
	log_writer_close(o->writer);
	buf_done(&o->line);
	arena_done(&o->arena);
	free(o);
}

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
	if (o->writer && !str_empty(text))
		log_writer_add(o->writer, clock_wall_ms(), text);
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

void output_end_line(struct output *o)
{
	if (!o->line.n)
		return;
	add_event(o, buf_str(&o->line));
	buf_clear(&o->line);
}

static void add_bytes(struct output *o, struct str bytes)
{
	while (!str_empty(bytes)) {
		ptrdiff_t end = str_find_char(bytes, '\n');
		struct str part = end < 0 ? bytes : str_sub(bytes, 0, (size_t)end + 1);
		if (o->line.n + part.n > LINE_BYTES)
			output_end_line(o);
		if (end >= 0 && !o->line.n) {
			add_event(o, part);
		} else {
			buf_add_str(&o->line, part);
			if (end >= 0)
				output_end_line(o);
		}
		bytes = str_from_at(bytes, part.n);
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
