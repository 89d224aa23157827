/* How other services write: lines are gathered and sent as PutLogEvents through the gate, one call of a writer at a time.
 *
 * A writer first makes its stream (and group), when it has something to write; when they disappear under it, it makes them again.
 * What a principal may not do is not tried again for a while, and lines are dropped meanwhile. */
#include "logs.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "core/call.h"
#include "gen/logs.h"

#include <stdlib.h>

enum {
	GATHER_US = 200 * 1000,
	REFUSED_US = 10 * 1000 * 1000,
	WAITING_BYTES_MAX = 4 * 1024 * 1024,
	BATCH_BYTES_MAX = 1048576,
	BATCH_EVENTS_MAX = 10000,
	EVENT_EXTRA_BYTES = 26,
	SPAN_MS = 24 * 3600 * 1000,
};

enum writer_step { WRITER_NEW, WRITER_NO_GROUP, WRITER_READY };

struct line {
	struct list link;
	int64_t time_ms;
	size_t n;
	char message[];
};

struct log_writer {
	struct cloud *cloud;
	const struct principal *as;
	struct arena arena;
	struct str region, group, stream;
	bool make_group;
	enum writer_step step;
	bool busy, closed;
	struct loop_timer *timer;
	int64_t refused_until_us;
	struct list lines;
	size_t bytes;
	unsigned sent; /* lines at the front that are in the call under way */
};

struct log_writer *log_writer_open(struct cloud *cloud, const struct principal *as, struct str region, struct str group,
                                   struct str stream, bool make_group)
{
	struct log_writer *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory (log writer)");
	arena_init(&w->arena, 0);
	list_init(&w->lines);
	w->cloud = cloud;
	w->as = principal_ref(as);
	w->region = arena_dup(&w->arena, region);
	w->group = arena_dup(&w->arena, group);
	w->stream = arena_dup(&w->arena, stream);
	w->make_group = make_group;
	return w;
}

void log_writer_set_principal(struct log_writer *w, const struct principal *as)
{
	principal_ref(as);
	principal_unref(w->as);
	w->as = as;
}

static void lines_drop(struct log_writer *w, unsigned n)
{
	while (n-- && !list_empty(&w->lines)) {
		struct line *line = list_first(&w->lines, struct line, link);
		w->bytes -= line->n + EVENT_EXTRA_BYTES;
		list_remove(&line->link);
		free(line);
	}
}

static void writer_free(struct log_writer *w)
{
	loop_remove_timer(w->cloud->loop, w->timer);
	lines_drop(w, UINT32_MAX);
	principal_unref(w->as);
	arena_done(&w->arena);
	free(w);
}

static void writer_go(struct log_writer *w);

static void writer_refused(struct log_writer *w)
{
	w->refused_until_us = clock_mono_us() + REFUSED_US;
	w->step = WRITER_NEW;
	lines_drop(w, UINT32_MAX);
}

static void group_made(void *ctx, struct call *sub)
{
	struct log_writer *w = ctx;
	w->busy = false;
	w->step = WRITER_NEW;
	if (str_set(sub->error.code) && !str_is(sub->error.code, "ResourceAlreadyExistsException"))
		writer_refused(w);
	writer_go(w);
}

static void stream_made(void *ctx, struct call *sub)
{
	struct log_writer *w = ctx;
	w->busy = false;
	if (!str_set(sub->error.code) || str_is(sub->error.code, "ResourceAlreadyExistsException"))
		w->step = WRITER_READY;
	else if (w->make_group && str_is(sub->error.code, "ResourceNotFoundException"))
		w->step = WRITER_NO_GROUP;
	else
		writer_refused(w);
	writer_go(w);
}

static void lines_written(void *ctx, struct call *sub)
{
	struct log_writer *w = ctx;
	w->busy = false;
	if (str_is(sub->error.code, "ResourceNotFoundException")) {
		w->step = WRITER_NEW;
	} else if (str_set(sub->error.code) && !sub->error.receiver) {
		writer_refused(w);
	} else {
		lines_drop(w, w->sent);
		w->refused_until_us = 0;
	}
	w->sent = 0;
	writer_go(w);
}

static void call_create(struct log_writer *w)
{
	w->busy = true;
	if (w->step == WRITER_NO_GROUP) {
		const struct logs_create_log_group_request in = {.log_group_name = w->group};
		call_op(w->cloud, w->as, w->region, &logs_api, "CreateLogGroup", &in, group_made, w);
	} else {
		const struct logs_create_log_stream_request in = {.log_group_name = w->group, .log_stream_name = w->stream};
		call_op(w->cloud, w->as, w->region, &logs_api, "CreateLogStream", &in, stream_made, w);
	}
}

static int event_cmp(const void *a, const void *b)
{
	const struct logs_input_log_event *x = a, *y = b;
	if (x->timestamp.v != y->timestamp.v)
		return x->timestamp.v < y->timestamp.v ? -1 : 1;
	return x->message.p < y->message.p ? -1 : x->message.p > y->message.p;
}

/* As many lines as one call takes, in order of time. Those of one time keep their order, because they are copied in it. */
static void call_put(struct log_writer *w)
{
	struct arena a;
	arena_init(&a, 0);
	struct logs_put_log_events_request in = {.log_group_name = w->group, .log_stream_name = w->stream};
	size_t bytes = 0, messages = 0;
	int64_t low = 0, high = 0;
	bool full = false;
	list_each (&w->lines, struct line, link, line)
		messages += line->n;
	char *text = arena_alloc(&a, messages + 1);
	list_each (&w->lines, struct line, link, line) {
		if (full)
			continue;
		int64_t least = in.log_events.n == 0 || line->time_ms < low ? line->time_ms : low;
		int64_t most = in.log_events.n == 0 || line->time_ms > high ? line->time_ms : high;
		bytes += line->n + EVENT_EXTRA_BYTES;
		full = bytes > BATCH_BYTES_MAX || in.log_events.n == BATCH_EVENTS_MAX || most - least > SPAN_MS;
		if (full)
			continue;
		low = least;
		high = most;
		struct logs_input_log_event *e = LIST_ADD(&a, &in.log_events);
		memcpy(text, line->message, line->n);
		e->timestamp = OPT_INT(line->time_ms);
		e->message = str_of(text, line->n);
		text += line->n;
	}
	qsort(in.log_events.v, in.log_events.n, sizeof(in.log_events.v[0]), event_cmp);
	w->sent = in.log_events.n;
	w->busy = true;
	call_op(w->cloud, w->as, w->region, &logs_api, "PutLogEvents", &in, lines_written, w);
	arena_done(&a);
}

static void writer_on_timer(void *ctx)
{
	struct log_writer *w = ctx;
	w->timer = NULL;
	log_writer_flush(w);
}

static void writer_go(struct log_writer *w)
{
	if (w->busy)
		return;
	if (list_empty(&w->lines)) {
		if (w->closed)
			writer_free(w);
		return;
	}
	/* Not at once: what follows soon comes along. */
	if (!w->timer)
		w->timer = loop_add_timer(w->cloud->loop, w->closed || w->step != WRITER_READY ? 0 : GATHER_US, writer_on_timer, w);
}

void log_writer_flush(struct log_writer *w)
{
	if (w->busy || list_empty(&w->lines)) {
		writer_go(w);
		return;
	}
	loop_remove_timer(w->cloud->loop, w->timer);
	w->timer = NULL;
	if (w->step == WRITER_READY)
		call_put(w);
	else
		call_create(w);
}

void log_writer_add(struct log_writer *w, int64_t time_ms, struct str message)
{
	if (message.n > BATCH_BYTES_MAX - EVENT_EXTRA_BYTES)
		message.n = BATCH_BYTES_MAX - EVENT_EXTRA_BYTES;
	if (message.n == 0 || w->bytes + message.n > WAITING_BYTES_MAX || clock_mono_us() < w->refused_until_us)
		return;
	struct line *line = malloc(sizeof(*line) + message.n);
	if (!line)
		die("out of memory (log writer)");
	line->time_ms = time_ms;
	line->n = message.n;
	memcpy(line->message, message.p, message.n);
	list_init(&line->link);
	list_push(&w->lines, &line->link);
	w->bytes += message.n + EVENT_EXTRA_BYTES;
	writer_go(w);
}

void log_writer_close(struct log_writer *w)
{
	if (!w)
		return;
	w->closed = true;
	loop_remove_timer(w->cloud->loop, w->timer);
	w->timer = NULL;
	writer_go(w);
}
