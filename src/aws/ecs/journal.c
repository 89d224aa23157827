/* Lines wait in a queue of each container and leave in batches, one batch under way at a time. What a role may not write is given
 * up; what the log cannot take now is tried again. A queue that is full loses its oldest lines, as the driver's non-blocking mode
 * does. Where an event may have several lines, those of the last one are gathered until the next begins, or it is old enough. */
#include "journal.h"

#include "base/buf.h"
#include "base/clock.h"
#include "gen/logs.h"
#include "session.h"

#include <stdlib.h>

enum {
	QUEUE_BYTES = 10 << 20,
	BATCH_LINES = 10000,
	BATCH_BYTES = 1000000,
	LINE_OVERHEAD = 26,
	AGAIN_US = 2000000,
	LEFT_MS = 60000,
	EVENT_BYTES = 262144 - LINE_OVERHEAD,
	EVENT_US = 5000000,
};

struct line {
	struct line *next;
	int64_t at_ms;
	size_t n;
	char text[];
};
struct queue {
	struct str group, stream, region; /* group absent: no log */
	struct line *first, **end;
	size_t bytes;
	const struct pattern *begins; /* NULL: every line is an event */
	struct buf event;             /* the one that is gathered */
	int64_t event_ms;
};
struct journal {
	struct crew *crew;
	struct arena arena;
	struct str region, role, id;
	struct queue queues[TASK_CONTAINERS_MAX];
	struct session *session;
	struct session_wait *wait;
	struct loop_timer *timer, *event_timer;
	struct queue *sending; /* NULL: nothing is under way */
	uint32_t sent;
	bool closing, refused, dropped;
};

static void send_some(struct journal *j);

static void take(struct queue *q)
{
	struct line *l = q->first;
	q->first = l->next;
	q->bytes -= l->n;
	if (!q->first)
		q->end = &q->first;
	free(l);
}

static void journal_free(struct journal *j)
{
	for (size_t i = 0; i < TASK_CONTAINERS_MAX; i++) {
		while (j->queues[i].first)
			take(&j->queues[i]);
		buf_done(&j->queues[i].event);
	}
	session_forget(j->wait);
	session_free(j->session);
	loop_remove_timer(j->crew->cloud->loop, j->timer);
	loop_remove_timer(j->crew->cloud->loop, j->event_timer);
	arena_done(&j->arena);
	free(j);
}

struct journal *journal_new(struct crew *crew, struct str region, const struct state_ecs_task_record *r)
{
	bool any = false;
	const struct ecs_container_definitions *all = &r->definition->container_definitions;
	for (uint32_t i = 0; i < all->n; i++)
		any = any || all->v[i].log_configuration;
	if (!any)
		return NULL;
	struct journal *j = calloc(1, sizeof(*j));
	if (!j)
		abort();
	j->crew = crew;
	j->region = arena_dup(&j->arena, region);
	j->role = arena_dup(&j->arena, r->execution_role);
	j->id = arena_dup(&j->arena, r->id);
	for (uint32_t i = 0; i < all->n && i < TASK_CONTAINERS_MAX; i++) {
		const struct ecs_log_configuration *l = all->v[i].log_configuration;
		struct queue *q = &j->queues[i];
		q->end = &q->first;
		if (!l)
			continue;
		const char *why;
		journal_begins(&j->arena, &l->options, &q->begins, &why); /* which was asked when it was registered */
		buf_init(&q->event, EVENT_BYTES + 1);
		q->group = arena_dup(&j->arena, str_map_get(&l->options, S("awslogs-group")));
		q->region = arena_dup(&j->arena, str_map_get(&l->options, S("awslogs-region")));
		q->stream = ARENA_CAT(&j->arena, str_map_get(&l->options, S("awslogs-stream-prefix")), S("/"), all->v[i].name,
		                      S("/"), r->id);
	}
	return j;
}

static void again(void *ctx)
{
	struct journal *j = ctx;
	j->timer = NULL;
	send_some(j);
}

static void later(struct journal *j, int64_t delay_us)
{
	if (!j->timer)
		j->timer = loop_add_timer(j->crew->cloud->loop, delay_us, again, j);
}

static void put_done(void *ctx, struct call *sub)
{
	struct journal *j = ctx;
	struct queue *q = j->sending;
	j->sending = NULL;
	if (j->dropped) {
		journal_free(j);
		return;
	}
	bool busy = str_set(sub->error.code) && sub->error.receiver && !j->closing;
	/* Lost is what cannot be written: the group was deleted, or the role may not. */
	for (uint32_t i = 0; !busy && i < j->sent && q->first; i++)
		take(q);
	later(j, busy ? AGAIN_US : 0);
}

static void put(struct journal *j, struct queue *q)
{
	struct arena CLEAN_ARENA a = {0};
	struct logs_put_log_events_request in = {.log_group_name = q->group, .log_stream_name = q->stream};
	size_t bytes = 0;
	for (struct line *l = q->first; l && in.log_events.n < BATCH_LINES && bytes < BATCH_BYTES; l = l->next) {
		*LIST_ADD(&a, &in.log_events) =
		        (struct logs_input_log_event){.timestamp = OPT_INT(l->at_ms), .message = str_of(l->text, l->n)};
		bytes += l->n + LINE_OVERHEAD;
	}
	j->sending = q;
	j->sent = in.log_events.n;
	call_op(j->crew->cloud, j->session->principal, q->region, &logs_api, "PutLogEvents", &in, put_done, j);
}

static void session_came(void *ctx, struct session *s, struct str code, struct str message)
{
	struct journal *j = ctx;
	(void)code;
	(void)message;
	j->wait = NULL;
	j->refused = !s;
	session_free(j->session);
	j->session = s;
	later(j, j->refused && !j->closing ? AGAIN_US : 0);
}

static void send_some(struct journal *j)
{
	struct queue *q = NULL;
	if (j->sending || j->wait)
		return;
	for (size_t i = 0; i < TASK_CONTAINERS_MAX && !q; i++)
		q = j->queues[i].first ? &j->queues[i] : NULL;
	if (j->closing && (!q || j->refused)) {
		journal_free(j);
		return;
	}
	if (!q)
		return;
	if (!j->session || j->session->expires_ms - clock_wall_ms() < LEFT_MS)
		j->wait = session_get(j->crew, j->region, j->role, j->id, session_came, j);
	else
		put(j, q);
}

static void add(struct journal *j, struct queue *q, int64_t at_ms, struct str text)
{
	while (q->first && q->bytes + text.n > QUEUE_BYTES && j->sending != q)
		take(q);
	struct line *l = malloc(sizeof(*l) + text.n);
	if (!l)
		abort();
	l->next = NULL;
	l->at_ms = at_ms;
	l->n = text.n;
	memcpy(l->text, text.p, text.n);
	*q->end = l;
	q->end = &l->next;
	q->bytes += text.n;
	later(j, 0);
}

static void end_event(struct journal *j, struct queue *q)
{
	if (q->event.n)
		add(j, q, q->event_ms, buf_str(&q->event));
	buf_clear(&q->event);
}

static void end_events(struct journal *j)
{
	for (size_t i = 0; i < TASK_CONTAINERS_MAX; i++)
		end_event(j, &j->queues[i]);
}

static void events_old(void *ctx)
{
	struct journal *j = ctx;
	j->event_timer = NULL;
	end_events(j);
}

/* Each line keeps its end within an event. */
static void gather(struct journal *j, struct queue *q, int64_t at_ms, struct str line)
{
	struct arena CLEAN_ARENA a = {0};
	line = str_sub(line, 0, EVENT_BYTES);
	if (pattern_match(&a, q->begins, line) || q->event.n + line.n > EVENT_BYTES)
		end_event(j, q);
	if (!q->event.n)
		q->event_ms = at_ms;
	buf_add_str(&q->event, line);
	if (q->event.n < EVENT_BYTES)
		buf_add_char(&q->event, '\n');
	if (!j->event_timer)
		j->event_timer = loop_add_timer(j->crew->cloud->loop, EVENT_US, events_old, j);
}

void journal_line(struct journal *j, uint32_t index, int64_t at_us, struct str line)
{
	struct queue *q = index < TASK_CONTAINERS_MAX ? &j->queues[index] : NULL;
	if (!q || !q->group.n)
		return;
	if (q->begins)
		gather(j, q, at_us / 1000, line);
	else if (line.n) /* CloudWatch Logs takes no empty events */
		add(j, q, at_us / 1000, line);
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	end_events(j);
	j->closing = true;
	later(j, 0);
}

void journal_drop(struct journal *j)
{
	if (!j)
		return;
	j->dropped = true;
	if (!j->sending)
		journal_free(j);
}
