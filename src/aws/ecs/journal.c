/* Lines wait in a queue of each container and leave in batches, one batch under way at a time. What a role may not write is given
 * up; what the log cannot take now is tried again. A queue that is full loses its oldest lines, as the driver's non-blocking mode
 * does. */
#include "journal.h"

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
	LEFT_MS = 60000
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
};
struct journal {
	struct crew *crew;
	struct arena arena;
	struct str region, role, id;
	struct queue queues[TASK_CONTAINERS_MAX];
	struct session *session;
	struct session_wait *wait;
	struct loop_timer *timer;
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
	for (size_t i = 0; i < TASK_CONTAINERS_MAX; i++)
		while (j->queues[i].first)
			take(&j->queues[i]);
	session_forget(j->wait);
	session_free(j->session);
	loop_remove_timer(j->crew->cloud->loop, j->timer);
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

void journal_line(struct journal *j, uint32_t index, int64_t at_us, struct str line)
{
	struct queue *q = index < TASK_CONTAINERS_MAX ? &j->queues[index] : NULL;
	if (!q || !q->group.n || !line.n) /* CloudWatch Logs takes no empty events */
		return;
	while (q->first && q->bytes + line.n > QUEUE_BYTES && j->sending != q)
		take(q);
	struct line *l = malloc(sizeof(*l) + line.n);
	if (!l)
		abort();
	l->next = NULL;
	l->at_ms = at_us / 1000;
	l->n = line.n;
	memcpy(l->text, line.p, line.n);
	*q->end = l;
	q->end = &l->next;
	q->bytes += line.n;
	later(j, 0);
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
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
