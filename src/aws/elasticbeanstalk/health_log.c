/* An environment's health as events of CloudWatch Logs, where it is wished for: one a minute, with status, colour and causes. What
 * cannot be written is dropped: the next minute says it again. */
#include "health.h"

#include "base/clock.h"
#include "core/cloud.h"
#include "gen/logs.h"

#include <stdlib.h>

enum { EVENT_MAX = 16384 };

struct health_line {
	struct health_line *next;
	struct health_lines *all;
	struct arena arena;
	const struct principal *owner;
	struct str region, group, stream, text;
	int64_t at_ms;
	bool made; /* the stream, just now */
};
struct health_lines {
	struct cloud *cloud;
	struct health_line *first; /* on their way */
};

struct health_lines *health_lines_new(struct cloud *cloud)
{
	struct health_lines *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->cloud = cloud;
	return l;
}

static void line_free(struct health_line *l)
{
	principal_unref(l->owner);
	arena_done(&l->arena);
	free(l);
}

void health_lines_free(struct health_lines *l)
{
	while (l && l->first) {
		struct health_line *one = l->first;
		l->first = one->next;
		line_free(one);
	}
	free(l);
}

static void send(struct health_line *l);

static void made(void *ctx, struct call *sub)
{
	(void)sub;
	send(ctx);
}

static void sent(void *ctx, struct call *sub)
{
	struct health_line *l = ctx, **at = &l->all->first;
	if (str_is(sub->error.code, "ResourceNotFoundException") && !l->made) {
		l->made = true;
		const struct logs_create_log_stream_request in = {l->group, l->stream};
		call_op(l->all->cloud, l->owner, l->region, &logs_api, "CreateLogStream", &in, made, l);
		return;
	}
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	line_free(l);
}

static void send(struct health_line *l)
{
	struct arena CLEAN_ARENA a = {0};
	struct logs_put_log_events_request in = {.log_group_name = l->group, .log_stream_name = l->stream};
	*LIST_ADD(&a, &in.log_events) = (struct logs_input_log_event){OPT_INT(l->at_ms), l->text};
	in.log_events.set = true;
	call_op(l->all->cloud, l->owner, l->region, &logs_api, "PutLogEvents", &in, sent, l);
}

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

void health_lines_add(struct health_lines *all, const struct scope *s, const struct environment_record *r,
                      const struct health_samples *samples)
{
	struct buf CLEAN_BUF b = {0};
	char at[40];
	struct verdict v = health_judge(s->arena, r, samples, s->now_ms);
	struct health_line *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	time_format_to(at, s->now_ms, TIME_ISO8601);
	buf_init(&b, EVENT_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "timestamp", str_from(at));
	put(&j, "environment-name", r->environment->environment_name);
	put(&j, "status", str_from(v.status));
	put(&j, "color", str_from(v.colour));
	json_key(&j, S("causes"));
	json_open(&j, '[');
	for (uint32_t i = 0; i < v.causes.n; i++)
		json_string(&j, v.causes.v[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	*l = (struct health_line){
	        .next = all->first, .all = all, .owner = principal_new(PRINCIPAL_ROOT, s->account), .at_ms = s->now_ms};
	l->region = arena_dup(&l->arena, s->region);
	l->group = arena_dup(&l->arena, beside_health_group(s->arena, r));
	l->stream = arena_printf(&l->arena, "archive-health-%.10s", at);
	l->text = arena_dup(&l->arena, buf_str(&b));
	all->first = l;
	send(l);
}
