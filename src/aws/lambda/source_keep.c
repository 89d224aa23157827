/* Looks after event source mappings: a watch of their records says which there are, the waiter at its queue says when one has
 * something to do. Nobody asks an empty queue for messages.
 *
 * Five batches may be with a function at first, and more as long as it keeps up: five a second, as AWS adds 300 a minute. Errors
 * and throttles take them away again. */
#include "aws/lambda/source.h"

#include "aws/lambda/credentials.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/provision.h"
#include "aws/sqs/sqs.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LIMIT_FIRST = 5,
	LIMIT_MAX = 1250,
	RAISE_US = 200 * 1000,
	REFUSED_MS = 1000,
	REFUSED_MAX_MS = 60 * 1000,
	ABSENT_US = 1000 * 1000, /* its function is not there, or not ready */
	ROOM_US = 10 * 1000,
	STARTING_MIN = 4,
};

struct sources {
	struct lambda *lambda;
	struct map all; /* key -> struct source */
	struct store_watch *watch;
	unsigned starting_max;
};

struct str source_queue_url(struct arena *a, struct str arn)
{
	struct str rest = arn, part[6];
	for (int i = 0; i < 6; i++) {
		part[i] = str_cut(&rest, ':');
		if (i < 5 && !str_set(rest))
			return STR_NONE;
	}
	return ARENA_CAT(a, S("http://sqs/"), part[4], S("/"), part[5]);
}

bool source_is_on(const struct source *s)
{
	return s->there && str_eq(s->record.config->state, S("Enabled"));
}

static unsigned limit_max(const struct source *s)
{
	const struct lambda_scaling_config *f = s->record.config->scaling_config;
	return f && f->maximum_concurrency.set ? (unsigned)f->maximum_concurrency.v : LIMIT_MAX;
}

static unsigned ready_count(const struct source *s)
{
	unsigned n = 0;
	for (const struct list *at = s->ready.next; at != &s->ready; at = at->next)
		n++;
	return n;
}

/* --- its state */

struct settling {
	struct lambda *lambda;
	struct arena arena;
	struct str key;
	unsigned tries;
};

static void write_state(void *ctx);

static void written(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct settling *w = ctx;
	if (result == -EAGAIN && ++w->tries < 100) {
		loop_post(w->lambda->cloud->loop, write_state, w);
		return;
	}
	if (result)
		log_error("lambda: settling an event source mapping: %s", strerror(-result));
	struct source *s = map_get(&w->lambda->sources->all, w->key);
	if (s) {
		s->settling = false;
		source_look(s);
	}
	arena_done(&w->arena);
	free(w);
}

static bool is_settled(struct str state)
{
	return str_eq(state, S("Enabled")) || str_eq(state, S("Disabled"));
}

static void write_state(void *ctx)
{
	struct settling *w = ctx;
	struct state_lambda_event_source_record row = {0};
	struct store_txn *t = store_begin(w->lambda->cloud->store, &w->arena);
	if (!record_get(t, &w->arena, w->key, ROW("EventSource"), &row) || is_settled(row.config->state)) {
		store_abort(t);
		written(w, 0, 0);
		return;
	}
	if (str_eq(row.config->state, S("Deleting"))) {
		store_delete(t, w->key);
	} else {
		row.config->state = row.enabled.v ? S("Enabled") : S("Disabled");
		record_put(t, &w->arena, w->key, ROW("EventSource"), &row);
	}
	store_commit(t, written, w);
}

/* What ends waits for what is under way. */
static void settle(struct source *s)
{
	struct str state = s->record.config->state;
	bool ends = str_eq(state, S("Deleting")) || str_eq(state, S("Disabling"));
	if (s->settling || is_settled(state) || (ends && (s->running || s->receiving || s->gathering || !list_empty(&s->ready))))
		return;
	struct settling *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->lambda = s->lambda;
	arena_init(&w->arena, 0);
	w->key = arena_dup(&w->arena, s->key);
	s->settling = true;
	loop_post(s->lambda->cloud->loop, write_state, w);
}

/* --- receiving */

static void again(void *ctx)
{
	struct source *s = ctx;
	s->again = NULL;
	source_look(s);
}

static void look_again(struct source *s, int64_t delay_us)
{
	if (!s->again)
		s->again = loop_add_clock_timer(s->lambda->cloud->loop, delay_us, again, s);
}

static void refused(struct source *s, struct str why)
{
	if (!s->refused_ms)
		log_warn("lambda: the event source mapping of %.*s for %.*s: %.*s", STR_ARG(s->record.config->event_source_arn),
		         STR_ARG(s->record.config->function_arn), STR_ARG(why));
	s->refused_ms = !s->refused_ms ? REFUSED_MS : s->refused_ms * 2 < REFUSED_MAX_MS ? s->refused_ms * 2 : REFUSED_MAX_MS;
	look_again(s, s->refused_ms * 1000);
}

static void receive_over(struct source *s)
{
	s->receiving = false;
	credentials_unref(s->role);
	s->role = NULL;
	source_look(s);
}

static void received(void *ctx, struct call *sub)
{
	struct source *s = ctx;
	const struct sqs_receive_message_result *out = sub->out;
	if (str_set(sub->error.code)) {
		refused(s, sub->error.message);
	} else {
		struct str arn = s->record.config->event_source_arn;
		s->refused_ms = 0;
		batch_take(s, &out->messages, clock_wall_ms() + sqs_visibility_ms(s->lambda->cloud, s->region, arn), s->role);
	}
	receive_over(s);
}

static void have_role(void *ctx, const struct credentials *role)
{
	struct source *s = ctx;
	static struct str all[] = {S_INIT("All")};
	const struct str_list every = {all, 1, true};
	if (!role || !role->principal) {
		refused(s, S("the execution role cannot be assumed"));
		receive_over(s);
		return;
	}
	s->role = (struct credentials *)role;
	s->role->refs++;
	int64_t size = s->record.config->batch_size.v;
	const struct sqs_receive_message_request in = {
	        .queue_url = s->queue_url,
	        .max_number_of_messages = OPT_INT(size < SOURCE_RECEIVE_MAX ? size : SOURCE_RECEIVE_MAX),
	        .wait_time_seconds = OPT_INT(0),
	        .message_system_attribute_names = every,
	        .message_attribute_names = every,
	};
	call_op(s->lambda->cloud, role->principal, s->region, &sqs_api, "ReceiveMessage", &in, received, s);
}

/* The function, if it may have another batch now; else it is looked at again. Many starts at once take one another's time. */
static struct fn_version *function_with_room(struct source *s)
{
	struct lambda *l = s->lambda;
	struct fn *fn = directory_find(l->directory, s->function.account, s->function.region, s->function.name);
	struct fn_version *v = fn ? fn_choose_version(fn, s->function.qualifier) : NULL;
	if (!v || !str_eq(v->shown->state, S("Active"))) {
		look_again(s, ABSENT_US);
		return NULL;
	}
	struct pools_stats now;
	pools_stats(l->pools, &now);
	if (now.starting < l->sources->starting_max || pool_is_warm(v->pool) ||
	    provision_has_room(pool_provision(v->pool), s->function.qualifier))
		return v;
	look_again(s, ROOM_US);
	return NULL;
}

static bool may_receive(const struct source *s)
{
	return source_is_on(s) && !s->receiving && !s->again && s->running + ready_count(s) < s->limit;
}

static void woken(struct queue_waiter *w)
{
	struct source *s = container_of(w, struct source, waiter);
	s->listening = false;
	struct fn_version *v = may_receive(s) ? function_with_room(s) : NULL;
	if (!v)
		return;
	s->receiving = true;
	credentials_get(s->lambda, s->function.account, s->region, v->config->role, s->function.name,
	                v->config->timeout.v * 1000 + CREDENTIALS_LEFT_MS, have_role, s);
}

static void listen(struct source *s)
{
	if (s->listening || !may_receive(s))
		return;
	s->listening = true;
	if (!sqs_wait_at(s->lambda->cloud, s->region, s->record.config->event_source_arn, &s->waiter)) {
		s->listening = false;
		refused(s, S("the queue does not exist"));
	}
}

/* --- rounds */

static void free_source(struct source *s)
{
	struct loop *loop = s->lambda->cloud->loop;
	struct batch *b;
	while ((b = batch_first_ready(s)))
		batch_free(b);
	batch_free(s->gathering);
	queue_unwait(&s->waiter);
	loop_remove_timer(loop, s->soon);
	loop_remove_timer(loop, s->again);
	arena_done(&s->config);
	arena_done(&s->arena);
	free(s);
}

static void look(void *ctx)
{
	struct source *s = ctx;
	struct batch *b;
	s->soon = NULL;
	if (!s->there && !s->running && !s->receiving) {
		map_remove(&s->lambda->sources->all, s->key);
		free_source(s);
		return;
	}
	if (!source_is_on(s))
		batch_close(s);
	while (s->running < s->limit && (b = batch_first_ready(s)))
		batch_run(b);
	if (!s->there)
		return;
	settle(s);
	listen(s);
}

void source_look(struct source *s)
{
	if (!s->soon)
		s->soon = loop_add_timer(s->lambda->cloud->loop, 0, look, s);
}

void source_went(struct source *s, enum source_end how)
{
	int64_t now_us = loop_now_us(s->lambda->cloud->loop);
	bool full = s->running + 1 >= s->limit;
	if (how == SOURCE_GOOD && full && s->limit < limit_max(s) && now_us - s->raised_us >= RAISE_US) {
		s->limit++;
		s->raised_us = now_us;
	} else if (how == SOURCE_FAILED && s->limit > 2) {
		s->limit--;
	} else if (how == SOURCE_THROTTLED && s->limit > 1) {
		s->limit /= 2;
	}
	source_look(s);
}

/* --- records */

static struct source *source_new(struct sources *all, struct str key)
{
	struct source *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->lambda = all->lambda;
	s->limit = LIMIT_FIRST;
	s->waiter.fn = woken;
	list_init(&s->waiter.link);
	list_init(&s->ready);
	arena_init(&s->arena, 0);
	arena_init(&s->config, 0);
	s->key = arena_dup(&s->arena, key);
	struct str_list parts = record_key_parts(&s->arena, s->key);
	s->account = parts.v[2];
	s->region = parts.v[3];
	map_put(&all->all, s->key, s);
	return s;
}

static void read_filters(struct source *s)
{
	const struct lambda_filter_criteria *f = s->record.config->filter_criteria;
	s->filter_count = 0;
	for (uint32_t i = 0; f && i < f->filters.n && i < SOURCE_FILTERS_MAX; i++) {
		struct str why;
		const struct event_pattern *pattern = event_pattern_compile(&s->config, f->filters.v[i].pattern, &why);
		if (pattern)
			s->filters[s->filter_count++] = pattern;
	}
}

static void on_change(void *ctx, const struct store_event *e)
{
	struct sources *all = ctx;
	struct source *s = map_get(&all->all, e->key);
	if (!str_set(e->value)) {
		if (!s)
			return;
		s->there = false;
		queue_unwait(&s->waiter);
		source_look(s);
		return;
	}
	if (!s)
		s = source_new(all, e->key);
	arena_reset(&s->config);
	s->record = (struct state_lambda_event_source_record){0};
	if (!record_read(&s->config, arena_dup(&s->config, e->value), ROW("EventSource"), &s->record))
		return;
	s->there = true;
	s->queue_url = source_queue_url(&s->config, s->record.config->event_source_arn);
	s->function = (struct lambda_name){0};
	lambda_name_split(s->record.config->function_arn, &s->function);
	read_filters(s);
	if (s->limit > limit_max(s))
		s->limit = limit_max(s);
	if (!source_is_on(s)) {
		queue_unwait(&s->waiter);
		s->listening = false;
	}
	loop_remove_timer(s->lambda->cloud->loop, s->again);
	s->again = NULL;
	s->refused_ms = 0;
	source_look(s);
}

struct sources *sources_open(struct lambda *l)
{
	struct sources *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->lambda = l;
	l->sources = all;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	all->starting_max = processors * 2 > STARTING_MIN ? (unsigned)processors * 2 : STARTING_MIN;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	all->watch = record_follow(l->cloud->store, KEY_UNDER(&a, S("lambda"), S("event_source")), on_change, all);
	return all;
}

void sources_close(struct sources *all)
{
	if (!all)
		return;
	store_unwatch(all->watch);
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&all->all, &at, &key, &value))
		free_source(value);
	map_done(&all->all);
	free(all);
}
